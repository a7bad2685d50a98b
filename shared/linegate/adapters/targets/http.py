"""What kinds of targets have in common that are an address for HTTP: where it may lie, and how it is reached."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from linegate.kind import Surroundings, TargetKind
from linegate.sections import PLACEHOLDER, Network, http_url

if TYPE_CHECKING:
    from linegate.adapters.targets.endpoint import Endpoint

CONNECT_S: Final = 5.0
LONGEST_WAIT_S: Final = 3600.0
ANSWER_S: Final = 10.0


class HttpTarget(TargetKind):
    """A target that is POSTed to."""

    url: Annotated[str, AfterValidator(http_url)]
    """Where it listens."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 15.0
    """Of one call."""

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        """Why it may not be spoken to, as far as its address tells; a name is looked at again where it has led."""
        url = written.get("url")
        if not isinstance(url, str) or PLACEHOLDER.search(url):
            return
        try:
            parts = urlsplit(url)
            network = Network.model_validate(file.get("network") or {})
        except ValueError:  # faults of their own
            return
        host = (parts.hostname or "").rstrip(".")
        try:
            refusal = network.refusal("127.0.0.1" if f".{host}".endswith(".localhost") else host, parts.scheme)
        except ValueError:  # it is a name
            if parts.scheme != "http" or not host or network.private_addresses:
                return
            refusal = "http:// is for private networks only; name yours under network.private_addresses, or use https"
        if refusal:
            yield f"url: {refusal}"

    def endpoint(self, around: Surroundings) -> "Endpoint":
        """Connections of its own, which are refused where the configuration does not want them."""
        from linegate.adapters.exchange import Http
        from linegate.adapters.targets.endpoint import Endpoint

        http = Http(connect_s=min(CONNECT_S, self.timeout_s), read_s=self.timeout_s, refusal=around.network.refusal)
        # One answer must not keep it from being sent anything for long.
        return Endpoint(self.url, http, self.timeout_s, min(LONGEST_WAIT_S, self.give_up_after_s / 10))

    def try_out(self, around: Surroundings) -> str:
        from linegate.adapters.exchange import Http

        http, total_s = Http(refusal=around.network.refusal), min(ANSWER_S, self.timeout_s)
        answer = http.exchange("HEAD", self.url, headers={}, total_s=total_s, whole=False)
        return f"is there (HEAD answered {answer.status})"
