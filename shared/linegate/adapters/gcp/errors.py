"""What the errors of Google's client libraries mean here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.api_core import exceptions
from google.api_core.retry import Retry, if_transient_error
from google.auth.exceptions import GoogleAuthError

from linegate.errors import PermanentError, TransientError

# A call and its retries together: well inside the acknowledgement deadline of a push.
BUDGET_S: Final = 30.0
# The one owner of a call's retries: explicit, so that no client library's default adds its own.
RETRY: Final = Retry(predicate=if_transient_error, initial=0.1, maximum=2.0, multiplier=2.0, timeout=BUDGET_S)
# What no repetition mends
_FOR_GOOD: Final = (exceptions.InvalidArgument, exceptions.RequestRangeNotSatisfiable, exceptions.OutOfRange)


@contextmanager
def mapped(service: str) -> Iterator[None]:
    """Google's errors in the block become TransientError, or PermanentError for a request that is wrong in itself.

    Missing permissions and missing resources are transient: the message must come again once a person has mended them.
    """
    try:
        yield
    except _FOR_GOOD as error:
        raise PermanentError(f"{service} refused the request: {error}") from error
    except (exceptions.GoogleAPIError, GoogleAuthError, OSError) as error:
        raise TransientError(f"{service}: {error}") from error
