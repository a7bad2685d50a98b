"""Where a target lies, and whether it may be spoken to there: encrypted, or in a private network that the file names."""

import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from linegate.errors import TransientError
from linegate.sections import PLACEHOLDER, Network


def misplaced(written: Mapping[str, Any], file: Mapping[str, Any], encrypted: str = "") -> Iterator[str]:
    """Why the `url` of a section may not be spoken to, as far as its text tells; `encrypted` is the scheme that is, if any.

    A name is looked at again where it has led.
    """
    url = written.get("url")
    if not isinstance(url, str) or PLACEHOLDER.search(url):
        return
    try:
        parts = urlsplit(url)
        network = Network.model_validate(file.get("network") or {})
    except ValueError:  # faults of their own
        return
    safe, host = bool(encrypted) and parts.scheme == encrypted, (parts.hostname or "").rstrip(".")
    try:
        refusal = network.refusal("127.0.0.1" if f".{host}".endswith(".localhost") else host, safe)
    except ValueError:  # it is a name
        if safe or not host or network.private_addresses:
            return
        whose = "is for private networks only; name yours under network.private_addresses"
        refusal = f"{parts.scheme}:// {whose}" + (f", or use {encrypted}" if encrypted else "")
    if refusal:
        yield f"url: {refusal}"


def address_of(host: str, port: int, network: Network, *, encrypted: bool) -> str:
    """The IP address that a name leads to now. Raises TransientError where it leads nowhere, or where nothing may be sent."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(f"{host} can't be resolved: {error.strerror or error}") from error
    address = str(found[0][4][0])
    why = network.refusal(address, encrypted)
    if why:
        raise TransientError(f"nothing was sent: {why}")
    return address
