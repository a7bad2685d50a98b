"""The kinds `opcua` (a server that the line's controller comes to) and `opcua_client` (writes to the controller's own server)."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from linegate.adapters.targets.controller import HandshakeTarget
from linegate.adapters.targets.place import address_of
from linegate.kind import Surroundings
from linegate.ports import Target
from linegate.sections import PLACEHOLDER, Network, Secret, Section

if TYPE_CHECKING:
    from linegate.adapters.targets.controller import LineSide
    from linegate.adapters.targets.opcua.client import Plc
    from linegate.adapters.targets.opcua.server import Endpoint
    from linegate.adapters.targets.opcua.trust import Certificates

PORT: Final = 4840  # that IANA gave to opc.tcp
TRY_S: Final = 10.0
NODE_ID: Final = re.compile(r"^(ns=[0-9]{1,5};)?[isgb]=\S.*$")


def _node(text: str) -> str:
    if not (NODE_ID.match(text) or PLACEHOLDER.search(text)):
        raise ValueError('must be the id of a node, such as "ns=4;s=GVL.Gate.Verdict"')
    return text


def _address(text: str) -> str:
    if not PLACEHOLDER.search(text):
        try:
            ip_address(text)
        except ValueError as error:
            raise ValueError("must be an IP address of this machine; 0.0.0.0 is all of them") from error
    return text


def _opc_url(url: str) -> str:
    if PLACEHOLDER.search(url):
        return url
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "opc.tcp" and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        sound = False
    if not sound or any(char.isspace() for char in url):
        raise ValueError("must be an opc.tcp:// address, without user and password")
    return url


NodeText = Annotated[str, AfterValidator(_node)]


class _OpcUa(HandshakeTarget):
    """What both have in common."""

    package: ClassVar[str] = "asyncua"

    security: Literal["encrypt", "sign", "none"] = "encrypt"
    """`encrypt` and `sign` are those of Basic256Sha256. What is not encrypted stays in `network.private_addresses`."""
    certificates: str = "opcua"
    """Folder beside the file: the gate's own certificate and key, made if they are missing; others' belong into `trusted/`."""
    user: str | None = None
    """Of the session. A server with a user lets nobody in without it and its password."""
    password: Secret | None = None
    """Of the user."""

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        if bool(written.get("user")) != bool(written.get("password")):
            yield "password: user and password belong together"

    @property
    def secret(self) -> str:
        return self.password.get_secret_value() if self.password else ""

    def own(self, around: Surroundings) -> "Certificates | None":
        from linegate.adapters.targets.opcua.trust import Certificates

        return None if self.security == "none" else Certificates(around.folder / self.certificates)


class OpcUa(_OpcUa):
    """An OPC UA server for the line's controller, with simple variables and a part of OPC 40100-1 (Machine Vision)."""

    type: Literal["opcua"] = "opcua"
    address: Annotated[str, AfterValidator(_address)] = "0.0.0.0"
    """Of this machine, where it listens."""
    port: Annotated[int, Field(ge=1, le=65_535)] = PORT
    """Where it listens."""

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        address, network = str(written.get("address", "0.0.0.0")), _network(file)
        if written.get("security", "encrypt") == "encrypt" or PLACEHOLDER.search(address) or network is None:
            return
        try:
            anywhere, refusal = ip_address(address).is_unspecified, network.refusal(address, encrypted=False)
        except ValueError:  # a fault of its own
            return
        if anywhere or refusal:
            why = "what is not encrypted is for private networks only"
            yield f"address: {why}; name this machine's address there, and list it under network.private_addresses"

    def build(self, around: Surroundings) -> Target:
        from linegate.adapters.targets.opcua.server import OpcUaServer

        server = OpcUaServer(self.endpoint(around), self.conversations(around), around.link)
        around.at_stop(server.close)
        server.start()
        return server

    def try_out(self, around: Surroundings) -> str:
        from linegate.adapters.targets.opcua.trial import try_server

        return try_server(self.endpoint(around), TRY_S)

    def line_side(self, line: str, around: Surroundings) -> "LineSide":
        from linegate.adapters.targets.opcua.line_side import CallingLine

        return CallingLine(line, self.endpoint(around))

    def endpoint(self, around: Surroundings) -> "Endpoint":
        from linegate.adapters.targets.opcua.server import Endpoint

        return Endpoint(self.address, self.port, self.security, self.own(around), self.user or "", self.secret)


class Reads(Section):
    """Where the controller shows the line's signals."""

    acknowledged: NodeText
    """The counter of the last result that the line took."""
    job: NodeText | None = None
    """The trigger; not needed without triggers."""
    part: NodeText | None = None
    """Its part."""


class Writes(Section):
    """Where the gate's signals are written to. What is left out is not written."""

    heartbeat: NodeText
    """Moves while the gate can decide."""
    available: NodeText
    """A result stands. It is written last, and taken back first."""
    counter: NodeText
    """The result's number."""
    result_part: NodeText
    """The result's part."""
    verdict: NodeText
    """0 none, 1 PASS, 2 FAIL, 3 REVIEW, 4 ERROR."""
    result_code: NodeText
    """Why the result has no verdict, or ERROR."""
    result_job: NodeText | None = None
    """The result's job; not needed without triggers."""
    ready: NodeText | None = None
    """A trigger would be taken."""
    busy: NodeText | None = None
    """Some job waits."""
    job: NodeText | None = None
    """The last trigger that was taken."""
    part: NodeText | None = None
    """Its part."""
    error: NodeText | None = None
    """Something is not as it should be."""
    code: NodeText | None = None
    """What."""
    not_taken_job: NodeText | None = None
    """A trigger that was refused."""
    not_taken_code: NodeText | None = None
    """Why."""


class OpcUaClient(_OpcUa):
    """Writes to variables of the controller's own OPC UA server, and reads what it shows. For one line."""

    type: Literal["opcua_client"] = "opcua_client"
    url: Annotated[str, AfterValidator(_opc_url)]
    """Where the controller listens, such as opc.tcp://192.168.0.10:4840."""
    reads: Reads
    """Where the line's signals stand."""
    writes: Writes
    """Where the gate's signals go."""
    poll_s: Annotated[float, Field(ge=0.01, le=1)] = 0.05
    """How often it reads."""

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        lines = written.get("lines")
        among = lines if isinstance(lines, list) else list(file.get("lines") or {})
        if len(among) != 1:
            yield "lines: must be one line, for there is one set of variables"
        if written.get("triggered", True) is True:
            for section, keys in (("reads", ("job", "part")), ("writes", ("result_job",))):
                given = written.get(section)
                for key in keys:
                    if isinstance(given, Mapping) and not given.get(key):
                        yield f"{section}.{key}: is required where the line triggers"
        yield from _misplaced(written, file)

    def build(self, around: Surroundings) -> Target:
        from linegate.adapters.targets.opcua.client import OpcUaWriter

        [(_, conversation)] = self.conversations(around).items()
        writer = OpcUaWriter(self.plc(around), conversation, around.link, self.poll_s)
        around.at_stop(writer.close)
        writer.start()
        return writer

    def try_out(self, around: Surroundings) -> str:
        from linegate.adapters.targets.opcua.trial import try_plc

        return try_plc(self.plc(around), TRY_S)

    def line_side(self, line: str, around: Surroundings) -> "LineSide":
        from linegate.adapters.targets.opcua.line_side import ServingLine

        return ServingLine(self.plc(around))

    def plc(self, around: Surroundings) -> "Plc":
        from linegate.adapters.targets.opcua.client import Plc

        parts, encrypted = urlsplit(self.url), self.security == "encrypt"

        def look() -> None:
            address_of(parts.hostname or "", parts.port or PORT, around.network, encrypted=encrypted)

        return Plc(
            url=self.url,
            security=self.security,
            certificates=self.own(around),
            reads={_tag(name): node for name, node in self.reads if node},
            writes={_tag(name): node for name, node in self.writes if node},
            look=look,
            user=self.user or "",
            password=self.secret,
        )


def _tag(key: str) -> str:
    """`result_job` of the file is ResultJob to OPC UA."""
    return "".join(word.capitalize() for word in key.split("_"))


def _network(file: Mapping[str, Any]) -> Network | None:
    try:
        return Network.model_validate(file.get("network") or {})
    except ValueError:  # a fault of its own
        return None


def _misplaced(written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
    """Why the controller may not be spoken to, as far as its address tells. A name is looked at again where it has led."""
    url, network = written.get("url"), _network(file)
    if not isinstance(url, str) or PLACEHOLDER.search(url) or network is None:
        return
    encrypted = written.get("security", "encrypt") == "encrypt"
    try:
        host = urlsplit(url).hostname or ""
        refusal = network.refusal(host, encrypted)
    except ValueError:  # it is a name
        refusal = ""
        if not (encrypted or network.private_addresses):
            refusal = "without encryption it must lie in a private network; name yours under network.private_addresses"
    if refusal:
        yield f"url: {refusal}"
