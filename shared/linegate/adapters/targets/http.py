"""What kinds of targets have in common that are an address for HTTP: where it may lie, and how it is reached."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field

from linegate.adapters.targets.place import misplaced
from linegate.kind import Surroundings, TargetKind
from linegate.sections import http_url

if TYPE_CHECKING:
    from linegate.adapters.targets.endpoint import Endpoint

CONNECT_S: Final = 5.0
LONGEST_WAIT_S: Final = 3600.0
ANSWER_S: Final = 10.0


class HttpTarget(TargetKind):
    """A target that is POSTed to."""

    mend: ClassVar[str] = "see that it runs, that this machine reaches it, and that address and secret are right"

    url: Annotated[str, AfterValidator(http_url)]
    """Where it listens."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 15.0
    """Of one call."""

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from misplaced(written, file, encrypted="https")

    def endpoint(self, around: Surroundings) -> "Endpoint":
        """Connections of its own, which are refused where the configuration does not want them."""
        from linegate.adapters.exchange import Http
        from linegate.adapters.targets.endpoint import Endpoint

        http = Http(connect_s=min(CONNECT_S, self.timeout_s), read_s=self.timeout_s, refusal=around.network.refusal)
        around.at_stop(http.close)
        # One answer must not keep it from being sent anything for long.
        return Endpoint(self.url, http, self.timeout_s, min(LONGEST_WAIT_S, self.give_up_after_s / 10))

    def try_out(self, around: Surroundings) -> str:
        from linegate.adapters.exchange import Http

        http, total_s = Http(refusal=around.network.refusal), min(ANSWER_S, self.timeout_s)
        answer = http.exchange("HEAD", self.url, headers={}, total_s=total_s, whole=False)
        return f"is there (HEAD answered {answer.status})"
