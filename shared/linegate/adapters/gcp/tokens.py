"""What Google signs: the pushes of Pub/Sub, and whom the Identity-Aware Proxy has let in."""

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
# Of the proxy: https://cloud.google.com/iap/docs/signed-headers-howto
PROXY_KEYS: Final = "https://www.gstatic.com/iap/verify/public_key"
PROXY_ISSUER: Final = "https://cloud.google.com/iap"
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


class _Signed:
    """Verifies tokens that Google signed for `audience`, by certificates that are fetched once an hour."""

    def __init__(self, audience: str, http: Http, certificates: str) -> None:
        self._audience = audience
        self._http = http
        self._certificates = certificates
        self._kept: _Response | None = None
        self._kept_until = 0.0
        self._lock = threading.Lock()

    def claims(self, token: str) -> Mapping[str, Any]:
        """What it says. Raises ValueError or GoogleAuthError for one not to be trusted, TransientError without certificates."""
        return id_token.verify_token(
            token,
            self._fetch,  # type: ignore[arg-type]  # all that is used of a transport
            self._audience,
            self._certificates,
            clock_skew_in_seconds=SKEW_S,
        )

    def _fetch(self, url: str, **_: Any) -> _Response:
        with self._lock:
            if self._kept is None or monotonic() > self._kept_until:
                answer = self._http.exchange("GET", url, headers={}, total_s=ANSWER_S)
                if answer.status != 200:
                    raise TransientError(f"Google's certificates can't be had: {url} answered {answer.status}")
                self._kept = _Response(answer.status, answer.headers, answer.body)
                self._kept_until = monotonic() + KEPT_S
            return self._kept


class PushTokens:
    """Verifies that a token was signed by Google for `audience`, and that `account` (an e-mail address) is who asked for it."""

    def __init__(self, audience: str, account: str, http: Http, certificates: str = CERTIFICATES) -> None:
        self._account = account
        self._signed = _Signed(audience, http, certificates)

    def verification_error(self, token: str) -> str:
        """Why a token is not to be trusted; empty if it is. Raises TransientError if the certificates can't be had."""
        try:
            claims = self._signed.claims(token)
        except (ValueError, GoogleAuthError) as error:
            return str(error)
        if claims.get("iss") not in ISSUERS:
            return f"it was not issued by Google but by {claims.get('iss')!r}"
        if claims.get("email") != self._account or claims.get("email_verified") is not True:
            return f"it names {claims.get('email')!r}, not {self._account!r}"
        return ""


class ProxyIdentities:
    """Whom the Identity-Aware Proxy has let in, by what it signed for `audience`."""

    def __init__(self, audience: str, http: Http, keys: str = PROXY_KEYS) -> None:
        self._signed = _Signed(audience, http, keys)

    def name(self, assertion: str) -> tuple[str, str]:
        """(e-mail address in lower case, ""), or ("", why it is not to be trusted). Raises TransientError without keys."""
        try:
            claims = self._signed.claims(assertion)
        except (ValueError, GoogleAuthError) as error:
            return "", str(error)
        email = claims.get("email")
        if claims.get("iss") != PROXY_ISSUER or not isinstance(email, str) or not email:
            return "", f"it is no word of the Identity-Aware Proxy, but of {claims.get('iss')!r}"
        return email.lower(), ""
