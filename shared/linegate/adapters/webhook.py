"""Signed webhooks after the Standard Webhooks specification (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import urllib3

from linegate.errors import TransientError

CONNECT_TIMEOUT_S: Final = 5.0
SHORT_ANSWER: Final = 4096
TOLERANCE_S: Final = 300


def signature(secrets: Sequence[str], entry_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one "v1,<base64 of HMAC-SHA256>" for each secret, so that secrets can be rotated.

    What is signed is "id.timestamp.body"; `timestamp` in seconds since 1970.
    """
    content = b".".join((entry_id.encode(), str(timestamp).encode(), body))
    keys = (base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets)
    digests = (hmac.new(key, content, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def verified(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether a received webhook is genuine: any of its signatures fits any secret, and it is not older than 5 minutes.

    `headers` with lower-case names; `now` in seconds since 1970.
    """
    try:
        entry_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        given = headers["webhook-signature"].split(" ")
    except (KeyError, ValueError):
        return False
    if abs(now - timestamp) > TOLERANCE_S:
        return False
    wanted = signature(secrets, entry_id, timestamp, body).split(" ")
    return any(hmac.compare_digest(ours.encode(), theirs.encode()) for ours in wanted for theirs in given)


class WebhookTarget:
    """The port Target: a POST to one address. 2xx counts as delivered, nothing else; redirects are not followed."""

    def __init__(self, url: str, secrets: Sequence[str], timeout_s: float) -> None:
        self._url = url
        self._secrets = tuple(secrets)
        self._pool = urllib3.PoolManager(
            retries=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s),
        )

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        content = body.encode()
        timestamp = int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "linegate",
            "webhook-id": entry_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secrets, entry_id, timestamp, content),
        }
        try:
            # The answer is streamed and hardly read: only its status matters, however long it is.
            response = self._pool.request(
                "POST", self._url, body=content, headers=headers, redirect=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"no answer: {error}") from error
        with suppress(urllib3.exceptions.HTTPError):
            response.read(SHORT_ANSWER)  # read to its end, the connection can be used again
        response.close()
        if not 200 <= response.status < 300:
            raise TransientError(f"it answered {response.status}")
