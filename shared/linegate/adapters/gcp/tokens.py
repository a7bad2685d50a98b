"""Google's identity tokens, as Pub/Sub signs its pushes with them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from google.auth.exceptions import GoogleAuthError
from google.oauth2 import id_token

from linegate.adapters.exchange import Http
from linegate.errors import TransientError

CERTIFICATES: Final = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")
# Google announces a new key a day before it signs with it.
KEPT_S: Final = 3600.0
ANSWER_S: Final = 10.0
SKEW_S: Final = 30


@dataclass(frozen=True, slots=True)
class _Response:
    """As google-auth wants it of its transports."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class PushTokens:
    """Verifies that a token was signed by Google for `audience`, and that `account` (an e-mail address) is who asked for it."""

    def __init__(self, audience: str, account: str, http: Http, certificates: str = CERTIFICATES) -> None:
        self._audience = audience
        self._account = account
        self._http = http
        self._certificates = certificates
        self._kept: _Response | None = None
        self._kept_until = 0.0
        self._lock = threading.Lock()

    def verification_error(self, token: str) -> str:
        """Why a token is not to be trusted; empty if it is. Raises TransientError if the certificates can't be had."""
        try:
            claims = id_token.verify_token(
                token,
                self._fetch,  # type: ignore[arg-type]  # all that is used of a transport
                self._audience,
                self._certificates,
                clock_skew_in_seconds=SKEW_S,
            )
        except (ValueError, GoogleAuthError) as error:
            return str(error)
        if claims.get("iss") not in ISSUERS:
            return f"it was not issued by Google but by {claims.get('iss')!r}"
        if claims.get("email") != self._account or claims.get("email_verified") is not True:
            return f"it names {claims.get('email')!r}, not {self._account!r}"
        return ""

    def _fetch(self, url: str, **_: Any) -> _Response:
        with self._lock:
            if self._kept is None or monotonic() > self._kept_until:
                answer = self._http.exchange("GET", url, headers={}, total_s=ANSWER_S)
                if answer.status != 200:
                    raise TransientError(f"Google's certificates can't be had: {url} answered {answer.status}")
                self._kept = _Response(answer.status, answer.headers, answer.body)
                self._kept_until = monotonic() + KEPT_S
            return self._kept
