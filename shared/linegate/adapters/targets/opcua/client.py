"""The port Target as an OPC UA client: it writes the gate's signals to the controller's own server, and reads the line's."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from asyncua import Client, Node, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from linegate.adapters.targets.controller import tell
from linegate.adapters.targets.opcua import trust
from linegate.adapters.targets.opcua.loop import Loop
from linegate.adapters.targets.opcua.tags import LINE, Said, Value, values
from linegate.adapters.targets.opcua.trust import Certificates
from linegate.errors import TransientError
from linegate.line.conversation import Conversation
from linegate.line.handshake import Signals
from linegate.logs import log

ANSWER_S: Final = 4.0
AGAIN_S: Final = 1.0
# What belongs to a result: it may change only while none is shown
RESULT: Final = frozenset({"ResultJob", "ResultPart", "Verdict", "ResultCode", "Counter"})
AVAILABLE: Final = "Available"
WHOLE: Final = {
    ua.VariantType.SByte: (-(2**7), 2**7 - 1),
    ua.VariantType.Byte: (0, 2**8 - 1),
    ua.VariantType.Int16: (-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: (0, 2**16 - 1),
    ua.VariantType.Int32: (-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: (0, 2**32 - 1),
    ua.VariantType.Int64: (-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True)
class Plc:
    """The controller's server, and where the signals lie in it: name of the signal ▶ node id."""

    url: str
    security: str
    certificates: Certificates | None
    reads: Mapping[str, str]
    writes: Mapping[str, str]
    look: Callable[[], None]  # where its name leads; raises TransientError where nothing may be sent
    user: str = ""
    password: str = ""


def steps(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[dict[str, Value]]:
    """What to write, one request after the other: a PLC may see each of them for a while, and half of any.

    So `Available` is taken back before anything of a result changes, and set when all of the next one stands.
    """
    new = {name: value for name, value in after.items() if before.get(name) != value}
    if not RESULT & new.keys():
        return [new] if new else []
    written: list[dict[str, Value]] = []
    if before.get(AVAILABLE, True) and AVAILABLE in after:  # what stands there at the start is not known
        written.append({AVAILABLE: False})
    rest = {name: value for name, value in new.items() if name != AVAILABLE}
    written.append(rest)
    if after.get(AVAILABLE):
        written.append({AVAILABLE: True})
    return written


class OpcUaWriter:
    """Stays connected from `start` until `close`, and begins again where it was cut off."""

    def __init__(self, plc: Plc, conversation: Conversation, link: Callable[[bool, str], None], poll_s: float) -> None:
        self._plc = plc
        self._conversation = conversation
        self._link = link
        self._poll_s = poll_s
        self._loop = Loop("linegate-opcua-client", self._run)
        self._pool = ThreadPoolExecutor(1, "linegate-opcua-client-handshake")
        self._failed = False  # the store did, when it was last asked
        self.connected = threading.Event()

    def start(self) -> None:
        self._conversation.on_change(self._loop.wake)
        self._loop.start()

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        tell({self._conversation.line: self._conversation}, body)

    def close(self) -> None:
        self._loop.stop()
        self._pool.shutdown(wait=False)

    async def _run(self, loop: Loop) -> None:
        trust.quiet()
        said = ""
        while not loop.stopping:
            try:
                client = await opened(self._plc)
                try:
                    await self._serve(client, loop)
                finally:
                    await client.disconnect()
            except Exception as error:
                self.connected.clear()
                why = why_not(error)
                if why != said:
                    said = why
                    log.warning("opcua.not_connected", url=self._plc.url, error=why)
                self._link(False, why)
                await loop.sleep(AGAIN_S)
            else:
                said = ""

    async def _serve(self, client: Client, loop: Loop) -> None:
        tags = Tags(client, self._plc)
        await tags.find()
        self._link(True, f"connected to {self._plc.url}")
        self.connected.set()
        heard = Said()
        while not loop.stopping:
            said = await tags.read()
            if said != heard:
                # A controller may have written one of them and not yet the other: only what stands is taken.
                heard, said = said, await tags.read()
            shown = await self._exchange(loop, said if said == heard else None)
            heard = said
            if shown is not None:
                await tags.write(values(shown))
            await loop.sleep(self._poll_s)

    async def _exchange(self, loop: Loop, said: Said | None) -> Signals | None:
        """What to show. Where the store does not answer nothing new is shown, and the heartbeat stands."""
        try:
            shown = await loop.aside(self._pool, self._hear, said)
        except TransientError as error:
            if not self._failed:
                self._failed = True
                log.warning("opcua.store", line=self._conversation.line, error=str(error))
            return None
        self._failed = False
        return shown

    def _hear(self, said: Said | None) -> Signals:
        if said is not None:
            if said.job and self._conversation.rules.triggered:
                self._conversation.trigger(said.job, said.part)
            if said.acknowledged:
                self._conversation.acknowledge(said.acknowledged)
        return self._conversation.signals()


class Tags:
    """The variables of one connection."""

    def __init__(self, client: Client, plc: Plc) -> None:
        self._client = client
        self._reads = {name: client.get_node(node) for name, node in plc.reads.items()}
        self._writes = {name: client.get_node(node) for name, node in plc.writes.items()}
        self._types: dict[str, ua.VariantType] = {}
        self._before: dict[str, Value] = {}

    async def find(self) -> None:
        """Raises TransientError for a variable that is not there, or whose type holds no such values."""
        for name, node in self._writes.items():
            try:
                self._types[name] = await node.read_data_type_as_variant_type()
            except ua.UaError as error:
                raise TransientError(f"{name} at {node.nodeid.to_string()}: {why_not(error)}") from error
        await self.read()

    async def read(self) -> Said:
        """All in one request. Raises TransientError for one that can't be read."""
        found: dict[str, Any] = dict.fromkeys(LINE)
        answers = await self._client.read_attributes(list(self._reads.values()))
        for (name, node), answer in zip(self._reads.items(), answers, strict=True):
            if answer.StatusCode is not None and not answer.StatusCode.is_good():
                raise TransientError(f"{name} at {node.nodeid.to_string()}: {answer.StatusCode.name}")
            found[name] = answer.Value.Value if answer.Value is not None else None
        return Said(int(found["Job"] or 0), str(found["Part"] or "").strip(), int(found["Acknowledged"] or 0))

    async def write(self, shown: Mapping[str, Value]) -> None:
        """What is new, in steps. Raises TransientError for one that can't be written."""
        after = {name: value for name, value in shown.items() if name in self._writes}
        for step in steps(self._before, after):
            nodes = [self._writes[name] for name in step]
            new = [ua.DataValue(self._variant(name, value)) for name, value in step.items()]
            await self._put(nodes, new)
            self._before.update(step)

    async def _put(self, nodes: list[Node], new: list[ua.DataValue]) -> None:
        for node, answer in zip(
            nodes, await self._client.write_values(nodes, new, raise_on_partial_error=False), strict=True
        ):
            if not answer.is_good():
                raise TransientError(f"{node.nodeid.to_string()} can't be written: {answer.name}")

    def _variant(self, name: str, value: Value) -> ua.Variant:
        kind = self._types[name]
        low, high = WHOLE.get(kind, (0, 0))
        fits = {
            bool: kind is ua.VariantType.Boolean,
            int: kind in WHOLE and low <= int(value) <= high if isinstance(value, int) else False,
            str: kind is ua.VariantType.String,
        }[type(value)]
        if not fits:
            raise TransientError(f"{name}: a variable of the type {kind.name} can't hold {value!r}")
        return ua.Variant(value, kind)


async def opened(plc: Plc) -> Client:
    """A connection with a session. Raises TransientError where nothing may be sent, or the server is not one that is trusted."""
    plc.look()
    client = Client(plc.url, timeout=ANSWER_S, watchdog_intervall=ANSWER_S)  # its own gives up after one second
    client.name = "Linegate"
    if plc.certificates is not None:
        plc.certificates.ensure()
        client.application_uri = plc.certificates.uri()
        await _secure(client, plc, plc.certificates)
    if plc.user:
        client.set_user(plc.user)
        client.set_password(plc.password)
    await client.connect()
    return client


async def _secure(client: Client, plc: Plc, certificates: Certificates) -> None:
    """With the very certificate that lies among those that are trusted: whoever has another one is told nothing."""
    mode = ua.MessageSecurityMode.SignAndEncrypt if plc.security == "encrypt" else ua.MessageSecurityMode.Sign
    offered = {
        trust.first(each.ServerCertificate)
        for each in await client.connect_and_get_server_endpoints()
        if each.SecurityMode == mode
        and each.SecurityPolicyUri == SecurityPolicyBasic256Sha256.URI
        and each.ServerCertificate
    }
    if not offered:
        raise TransientError(f"it has no endpoint with Basic256Sha256 and {plc.security}")
    trusted = [certificate for certificate in offered if certificates.trusts(certificate)]
    if not trusted:
        raise TransientError(
            f"its certificate is not trusted; it lies in {certificates.folder / trust.REJECTED} now: look whose it is, "
            f"and move it to {certificates.folder / trust.TRUSTED}"
        )
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        certificate=certificates.certificate,
        private_key=certificates.key,
        server_certificate=trusted[0],
        mode=mode,
    )


def why_not(error: BaseException) -> str:
    """For a person."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).split("\n")[0] or type(error).__name__
