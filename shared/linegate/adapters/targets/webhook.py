"""The kind `webhook`: signed after the Standard Webhooks specification (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from linegate.adapters.targets.http import HttpTarget
from linegate.kind import Surroundings
from linegate.ports import Target
from linegate.sections import PLACEHOLDER

if TYPE_CHECKING:
    from linegate.adapters.targets.endpoint import Endpoint

TOLERANCE_S: Final = 300
LONGEST_TIMESTAMP: Final = 15  # digits


def webhook_secret(secret: str) -> str:
    """A Standard Webhooks secret as it is. Raises ValueError with what it must be."""
    if PLACEHOLDER.search(secret):
        return secret
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("must be whsec_ and base64 (openssl rand -base64 32 makes one)") from error
    if not 24 <= len(key) <= 64:
        raise ValueError(f"must hold 24 to 64 bytes, this one holds {len(key)} (openssl rand -base64 32 makes one)")
    return secret


class Webhook(HttpTarget):
    """Takes notifications as signed JSON."""

    type: Literal["webhook"] = "webhook"
    secrets: Annotated[list[Annotated[str, AfterValidator(webhook_secret)]], Field(max_length=4)] = []
    """To sign with; several while they rotate. At least one."""

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        if not written.get("secrets"):
            yield "secrets: is required, to sign with (openssl rand -base64 32 makes one)"
        yield from super().lacks(written, file)

    def build(self, around: Surroundings) -> Target:
        return WebhookTarget(self.endpoint(around), self.secrets)


def signature(secrets: Sequence[str], entry_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one "v1,<base64 of HMAC-SHA256>" for each secret, so that secrets can be rotated.

    What is signed is "id.timestamp.body"; `timestamp` in seconds since 1970.
    """
    content = b".".join((entry_id.encode(), str(timestamp).encode(), body))
    keys = (base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets)
    digests = (hmac.new(key, content, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def verification_error(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Why a received webhook is refused; empty if any of its signatures fits any secret and it is fresh.

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

    def __init__(self, endpoint: "Endpoint", secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)
        self._endpoint = endpoint

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
