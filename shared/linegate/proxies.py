"""Which proxy the environment names (HTTPS_PROXY, NO_PROXY …), as the standard library reads it."""

import os
import urllib.request
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

# What it reads of the environment. Looking through all of it takes longer than the rest of a call.
_READ: Final = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    "REQUEST_METHOD",  # of a CGI script, which is not to believe HTTP_PROXY
)


def proxy_for(url: str) -> str | None:
    """The proxy for an address; None for none."""
    parts = urlsplit(url)
    if not parts.hostname:
        return None
    return _proxy(parts.scheme, parts.hostname, tuple(os.environ.get(name) for name in _READ))


@lru_cache(maxsize=64)
def _proxy(scheme: str, host: str, _: tuple[str | None, ...]) -> str | None:
    return None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(scheme)
