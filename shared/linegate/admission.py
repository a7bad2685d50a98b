"""Who may push to a function. A forged check would pass a board, so a function believes nobody it was not told to believe.

On Cloud Run the platform has asked before (only the subscription's service account may invoke a function), and has taken the
signature off the token that it hands on: there is nothing left to verify. A function that is served by itself asks for a secret
that is shared with whoever pushes, or verifies Google's token as Pub/Sub sends it.
"""

import hmac
from typing import Final

from werkzeug.exceptions import Forbidden, Unauthorized

from linegate import bootstrap
from linegate.config import PUSH_ACCOUNT_VARIABLE, PUSH_AUDIENCE_VARIABLE, PUSH_SECRET_VARIABLE, PushTrust

SHORTEST_SECRET: Final = 16


def admit(authorization: str, trust: PushTrust, *, cloud: bool) -> None:
    """Return if the push with this header Authorization may be served; `cloud` if the configuration has that section.

    Raises Unauthorized where it names nobody and Forbidden where it names the wrong one, or nothing says whom to trust;
    TransientError if Google's certificates can't be had just now.
    """
    if trust.on_cloud_run and cloud:
        return
    if fault := _fault(trust):
        raise Forbidden(fault)
    kind, _, token = authorization.strip().partition(" ")
    if kind.lower() != "bearer" or not token:
        names = " or ".join(
            name
            for name, value in ((PUSH_SECRET_VARIABLE, trust.secret), (PUSH_AUDIENCE_VARIABLE, trust.audience))
            if value
        )
        raise Unauthorized(f"a push needs the header 'Authorization: Bearer …' that {names} asks for")
    if trust.secret and hmac.compare_digest(token.encode(), trust.secret.encode()):
        return
    if not trust.audience:
        raise Forbidden(f"the push does not carry the secret of {PUSH_SECRET_VARIABLE}")
    if error := bootstrap.push_tokens(trust.audience, trust.service_account).verification_error(token):
        raise Forbidden(f"the push's token is refused: {error}")


def _fault(trust: PushTrust) -> str:
    """Why these variables let nobody in."""
    if not trust.secret and not trust.audience:
        return (
            "nothing stands before this function, and it does not know whose pushes to take: "
            f"set {PUSH_SECRET_VARIABLE}, or {PUSH_AUDIENCE_VARIABLE} and {PUSH_ACCOUNT_VARIABLE}"
        )
    if trust.secret and len(trust.secret) < SHORTEST_SECRET:
        return f"{PUSH_SECRET_VARIABLE} can be guessed; it must have {SHORTEST_SECRET} characters or more"
    if trust.audience and not trust.service_account:
        # Whoever has an account on Google Cloud can have a token made for any audience.
        return f"{PUSH_AUDIENCE_VARIABLE} needs {PUSH_ACCOUNT_VARIABLE}: the e-mail address of whom Pub/Sub pushes as"
    return ""
