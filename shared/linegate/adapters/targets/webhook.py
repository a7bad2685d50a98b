"""Signed webhooks after the Standard Webhooks specification (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from linegate.adapters.exchange import LONGEST_WAIT_S, Http
from linegate.adapters.targets.endpoint import Endpoint

TOLERANCE_S: Final = 300
LONGEST_TIMESTAMP: Final = 15  # digits


def signature(secrets: Sequence[str], entry_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one "v1,<base64 of HMAC-SHA256>" for each secret, so that secrets can be rotated.

    What is signed is "id.timestamp.body"; `timestamp` in seconds since 1970.
    """
    content = b".".join((entry_id.encode(), str(timestamp).encode(), body))
    keys = (base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets)
    digests = (hmac.new(key, content, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def doubt(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Why a received webhook is not to be trusted; empty if any of its signatures fits any secret and it is fresh.

    `headers` with lower-case names; `now` in seconds since 1970.
    """
    missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if name not in headers]
    if missing:
        return f"it lacks the header {missing[0]}"
    entry_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= LONGEST_TIMESTAMP):
        return "its timestamp is not in seconds since 1970"
    if abs(now - int(timestamp)) > TOLERANCE_S:
        return f"its timestamp is {abs(now - int(timestamp)):.0f} s off; check the clocks of both machines"
    wanted = signature(secrets, entry_id, int(timestamp), body).split(" ")
    given = headers["webhook-signature"].split(" ")
    if any(hmac.compare_digest(ours.encode(), theirs.encode()) for ours in wanted for theirs in given):
        return ""
    return "no signature fits; check the secret, and that the body is verified as it came"


class WebhookTarget:
    """The port Target: a signed POST to one address. 2xx counts as delivered, nothing else; redirects are not followed."""

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        http: Http,
        timeout_s: float,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._secrets = tuple(secrets)
        self._endpoint = Endpoint(url, http, timeout_s, longest_wait_s)

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        content = body.encode()
        timestamp = int(now.timestamp())
        self._endpoint.post(
            content,
            {
                "webhook-id": entry_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature(self._secrets, entry_id, timestamp, content),
            },
        )
