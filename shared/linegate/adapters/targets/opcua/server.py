"""The port Target as an OPC UA server: the line's controller comes to it, reads, writes and calls."""

import asyncio
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any, Final, TypeVar

from asyncua import Server, ua
from asyncua.common.connection import TransportLimits

from linegate import __version__
from linegate.adapters.targets.controller import tell
from linegate.adapters.targets.opcua import results, trust, vision
from linegate.adapters.targets.opcua.address_space import NAMESPACE, LineNodes, fill
from linegate.adapters.targets.opcua.loop import Loop
from linegate.adapters.targets.opcua.tags import Said, values
from linegate.adapters.targets.opcua.trust import Certificates, Guard
from linegate.errors import TransientError
from linegate.line.conversation import Conversation
from linegate.line.handshake import Code, Signals, following
from linegate.logs import log

T = TypeVar("T")

LOOK_S: Final = 0.1
AGAIN_S: Final = 2.0
# Nothing that a line says is longer
MESSAGE: Final = TransportLimits(65_535, 65_535, 64, 2**22)
# What StartSingleJob answers beside the handshake's codes, as negative numbers like them
NO_PART, NOT_ITS_CHOICE, NO_TRIGGERS, NO_SUCH_RESULT = -1, -2, -3, -4
MODES: Final = {
    "encrypt": ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    "sign": ua.SecurityPolicyType.Basic256Sha256_Sign,
    "none": ua.SecurityPolicyType.NoSecurity,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server listens, and whom it lets in."""

    host: str
    port: int
    security: str
    certificates: Certificates | None
    user: str = ""
    password: str = ""

    @property
    def url(self) -> str:
        return f"opc.tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/linegate"

    @property
    def here(self) -> str:
        """The same, as a client on this machine finds it."""
        return self.url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


class OpcUaServer:
    """Listens from `start` until `close`. Where its port is taken it tries again, without end."""

    def __init__(
        self, endpoint: Endpoint, conversations: Mapping[str, Conversation], link: Callable[[bool, str], None]
    ) -> None:
        self._endpoint = endpoint
        self._conversations = conversations
        self._link = link
        self._said: tuple[bool, str] | None = None
        self._contents = results.Contents()
        self._lines: dict[str, _Line] = {}
        self._changed: set[str] = set()  # lines
        self._loop = Loop("linegate-opcua", self._run)
        self._pool = ThreadPoolExecutor(1, "linegate-opcua-handshake")
        self.listening = threading.Event()

    @property
    def url(self) -> str:
        return self._endpoint.url

    def start(self) -> None:
        for name, conversation in self._conversations.items():
            conversation.on_change(partial(self._mark, name))
        self._loop.start()

    def _mark(self, line: str) -> None:
        self._changed.add(line)
        self._loop.wake()

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        self._contents.remember(body)  # before the line can be told of it
        tell(self._conversations, body)

    def close(self) -> None:
        self._loop.stop()
        self._pool.shutdown(wait=False)

    async def _run(self, loop: Loop) -> None:
        trust.quiet()
        while not loop.stopping:
            try:
                self._look_for_port()
                server = await self._build()
                async with server:
                    log.info("opcua.listens", url=self._endpoint.url, security=self._endpoint.security)
                    self.listening.set()
                    await self._serve(server, loop)
            except Exception as error:
                self.listening.clear()
                self._tell(connected=False, said=f"can't listen at {self._endpoint.url}: {_why(error)}")
                log.error("opcua.not_listening", url=self._endpoint.url, error=str(error), kind=type(error).__name__)
                await loop.sleep(AGAIN_S)

    def _look_for_port(self) -> None:
        """Raises OSError where it is taken: then the seconds for an address space are spared."""
        where = socket.getaddrinfo(self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(where[0]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where[4])

    async def _build(self) -> Server:
        """With its whole address space, before anybody is let in."""
        endpoint = self._endpoint
        server = Server(user_manager=Guard(endpoint.certificates, endpoint.user, endpoint.password))
        await fill(server)
        server.limits = MESSAGE
        server.set_endpoint(endpoint.url)
        server.set_server_name("Linegate")
        server.application_type = ua.ApplicationType.Server
        await server.set_build_info("urn:linegate", "Linegate", "Linegate", __version__, "0", datetime.now(UTC))
        if endpoint.certificates is not None:
            endpoint.certificates.ensure(endpoint.host)
            await server.set_application_uri(endpoint.certificates.uri())
            await server.load_certificate(endpoint.certificates.certificate)
            await server.load_private_key(endpoint.certificates.key)
        else:
            await server.set_application_uri(trust.application_uri())
        server.set_security_policy([MODES[endpoint.security]])
        server.set_identity_tokens([ua.UserNameIdentityToken if endpoint.user else ua.AnonymousIdentityToken])
        types = await vision.add_types(server)
        own = await server.register_namespace(NAMESPACE)
        self._lines = {
            name: _Line(LineNodes(server, types, own, name), conversation, self._contents, self._pool, self._loop)
            for name, conversation in self._conversations.items()
        }
        for line in self._lines.values():
            await line.add()
        return server

    async def _serve(self, server: Server, loop: Loop) -> None:
        looked = 0.0
        while not loop.stopping:
            everybody = monotonic() - looked >= LOOK_S
            looked = monotonic() if everybody else looked
            for name, line in self._lines.items():
                if everybody or name in self._changed:
                    self._changed.discard(name)  # before the look: what changes meanwhile is looked at again
                    await line.turn()
            clients = len(server.bserver.clients) if server.bserver else 0
            self._tell(connected=clients > 0, said=f"listens at {self._endpoint.url}, {clients} connected")
            await loop.sleep(LOOK_S)
        for line in self._lines.values():
            await line.halt()

    def _tell(self, *, connected: bool, said: str) -> None:
        if self._said != (connected, said):
            self._said = (connected, said)
            self._link(connected, said)


class _Line:
    """The handshake of one line, told by its nodes. What may wait for the store runs on the one thread of the pool."""

    def __init__(
        self,
        nodes: LineNodes,
        conversation: Conversation,
        contents: results.Contents,
        pool: ThreadPoolExecutor,
        loop: Loop,
    ) -> None:
        self._nodes = nodes
        self._conversation = conversation
        self._contents = contents
        self._pool = pool
        self._loop = loop
        self._lock = asyncio.Lock()
        self._able = False  # it was, once
        self._failed = False  # the store did, at the last turn
        self._told = 0  # the counter of the last result that was told as an event
        self._measurements: OrderedDict[int, str] = OrderedDict()  # job ▶ measId
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()  # result id ▶ result

    async def add(self) -> None:
        await self._nodes.add(self._start, self._get_result, self._acknowledge)
        await self._nodes.enter("Preoperational")

    async def turn(self) -> None:
        """Hear what the line shows, and show what stands: one after the other, so that nothing older is shown last."""
        async with self._lock:
            await self._turn()

    async def _turn(self) -> None:
        said = self._nodes.said()
        try:
            shown = await self._aside(self._exchange, said)
        except TransientError as error:  # nothing new is shown, and the heartbeat stands
            if not self._failed:
                self._failed = True
                log.warning("opcua.store", line=self._nodes.line, error=str(error))
            await self._nodes.enter("Error")
            return
        self._failed = False
        await self._nodes.show(values(shown))
        await self._nodes.enter(*self._states(shown))
        if shown.result is not None and shown.result.counter != self._told:
            await self._fire(shown)

    async def halt(self) -> None:
        await self._nodes.enter("Halted")

    def _exchange(self, said: Said) -> Signals:
        if said.job and self._conversation.rules.triggered:
            self._conversation.trigger(said.job, said.part)
        if said.acknowledged:
            self._conversation.acknowledge(said.acknowledged)
        return self._conversation.signals()

    def _states(self, shown: Signals) -> tuple[str, str]:
        if shown.code is Code.CAN_NOT_DECIDE:
            return ("Error" if self._able else "Preoperational"), ""
        self._able = True
        return "Operational", "Ready" if shown.ready else "SingleExecution"

    async def _fire(self, shown: Signals) -> None:
        result = shown.result
        assert result is not None
        fields = results.told(
            self._nodes.line,
            result,
            self._contents.of(result.picture),
            self._measurements.get(result.job, ""),
            datetime.now(UTC),
        )
        _remember(self._kept, fields["ResultId"].Id, fields)
        self._told = result.counter
        verdict = fields["ResultContent"][0].Value
        await self._nodes.fire(fields, f"{verdict} {result.part}")

    async def _start(self, _: ua.NodeId, *arguments: ua.Variant) -> object:
        """StartSingleJob. Several at once wait for each other: the numbers of jobs are given here."""
        meas, part, recipe, product, parameters = (each.Value for each in arguments)
        part_id = _id(part)
        if not self._conversation.rules.triggered:
            return _started("", NO_TRIGGERS)
        if not part_id:
            return _started("", NO_PART)
        if _id(recipe) or _id(product) or parameters:
            return _started("", NOT_ITS_CHOICE)
        try:
            job, error = await self._aside(self._trigger, part_id)
        except TransientError:
            return ua.StatusCode(ua.StatusCodes.BadResourceUnavailable)
        if error == 0:
            _remember(self._measurements, job, _id(meas))
        await self.turn()  # what was taken shows before it is answered
        return _started(results.job_id(self._nodes.line, job, 0) if job else "", error)

    def _trigger(self, part: str) -> tuple[int, int]:
        """The job and 0, or a code. Who was not told that its job was taken asks again, and is told it: the part is the same."""
        before = self._conversation.signals()
        if before.code is Code.CAN_NOT_DECIDE:
            return 0, -Code.CAN_NOT_DECIDE
        job = following(before.job)
        self._conversation.trigger(job, part)
        after = self._conversation.signals()
        if (after.job, after.part) == (job, part):
            return job, 0
        refused = after.not_taken
        code = refused.code if refused and refused.job == job else Code.FULL
        return (before.job if code is Code.PART_OPEN and before.part == part else 0), -code

    async def _acknowledge(self, _: ua.NodeId, counter: ua.Variant) -> object:
        try:
            await self._aside(self._conversation.acknowledge, int(counter.Value))
        except TransientError:
            return ua.StatusCode(ua.StatusCodes.BadResourceUnavailable)
        await self.turn()
        return [ua.Variant(0, ua.VariantType.Int32)]

    async def _get_result(self, _: ua.NodeId, result: ua.Variant, timeout: ua.Variant) -> object:
        found = self._kept.get(_id(result.Value))
        handle = ua.Variant(0, ua.VariantType.UInt32)
        told = ua.ResultDataType(**(found or {}))
        error = 0 if found else NO_SUCH_RESULT
        return [handle, ua.Variant(told, ua.VariantType.ExtensionObject), ua.Variant(error, ua.VariantType.Int32)]

    async def _aside(self, call: Callable[..., T], *arguments: object) -> T:
        return await self._loop.aside(self._pool, call, *arguments)


def _started(job_id: str, error: int) -> list[ua.Variant]:
    job = ua.JobIdDataType(Id=job_id)
    return [ua.Variant(job, ua.VariantType.ExtensionObject), ua.Variant(int(error), ua.VariantType.Int32)]


def _id(given: object) -> str:
    """The Id of a structure; empty where none was given."""
    return str(getattr(given, "Id", None) or "").strip()


def _remember(kept: OrderedDict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    while len(kept) > results.KEPT:
        kept.popitem(last=False)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__
