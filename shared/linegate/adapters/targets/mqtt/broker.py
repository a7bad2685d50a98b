"""A broker of MQTT as a section of the file: where it is, how it is trusted, and how it knows this gate."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from linegate.adapters.targets.place import misplaced
from linegate.kind import Surroundings, TargetKind
from linegate.sections import PLACEHOLDER, Section

if TYPE_CHECKING:
    from linegate.adapters.targets.mqtt.session import Access

PLAIN, ENCRYPTED = "mqtt", "mqtts"
PORTS: Final = {PLAIN: 1883, ENCRYPTED: 8883}


def broker_url(url: str) -> str:
    if PLACEHOLDER.search(url):
        return url
    try:
        parts = urlsplit(url)
        sound = parts.scheme in PORTS and parts.hostname and parts.port != 0 and parts.path in ("", "/")
    except ValueError:
        sound = False
    if not sound or "@" in url or any(char.isspace() for char in url):
        raise ValueError("must be mqtt://HOST:PORT or mqtts://HOST:PORT; username and password are keys of their own")
    return url


class Tls(Section):
    """Certificates for mqtts://, as PEM files; relative paths start at the file."""

    ca: str | None = None
    """Who vouches for the broker; the system's own authorities, if left out."""
    certificate: str | None = None
    """This gate's own, by which the broker knows it."""
    key: str | None = None
    """Of the certificate, where its file does not hold it."""


class Broker(TargetKind):
    """What kinds have in common that speak to a broker."""

    url: Annotated[str, AfterValidator(broker_url)]
    """The broker: mqtt://HOST:PORT, or mqtts:// with encryption."""
    version: Annotated[Literal["5", "3.1.1"], BeforeValidator(str)] = "5"
    """Of MQTT."""
    username: str | None = None
    """By which the broker knows this gate."""
    password: str | None = None
    """The username's; better as ${NAME}."""
    tls: Tls = Tls()
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 10.0
    """For the broker to acknowledge."""

    package: ClassVar[str] = "paho"
    testable: ClassVar[bool] = False  # a second connection's goodbye would be taken for that of the gate that runs
    mend: ClassVar[str] = (
        "see that the broker runs, that this machine reaches it, and that it lets this user publish there"
    )

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        yield from misplaced(written, file, encrypted=ENCRYPTED)
        url, tls = written.get("url"), written.get("tls")
        if tls and isinstance(url, str) and url.startswith(f"{PLAIN}:"):
            yield f"tls: is for {ENCRYPTED}://, and the url says {PLAIN}://"
        if isinstance(tls, Mapping) and tls.get("key") and not tls.get("certificate"):
            yield "tls.key: needs its certificate"
        if written.get("password") and not written.get("username"):
            yield "password: needs a username"

    def access(self, around: Surroundings) -> "Access":
        from linegate.adapters.targets.mqtt.session import Access

        parts = urlsplit(self.url)
        files = {name: around.folder / file if file else None for name, file in self.tls.model_dump().items()}
        return Access(
            host=parts.hostname or "",
            port=parts.port or PORTS[parts.scheme],
            encrypted=parts.scheme == ENCRYPTED,
            network=around.network,
            version_5=self.version == "5",
            username=self.username,
            password=self.password,
            timeout_s=self.timeout_s,
            **files,
        )

    def try_out(self, around: Surroundings) -> str:
        from linegate.adapters.targets.mqtt.session import Session

        access = self.access(around)
        Session(access).close()
        return f"{access.called} took the connection (MQTT {self.version})"
