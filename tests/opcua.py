"""A gate's side and a controller's side for tests of OPC UA: conversations in memory, a server that is a PLC."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from asyncua import Client, Node, Server, ua

from linegate.adapters.targets.opcua import address_space, vision
from linegate.adapters.targets.opcua.server import Endpoint, OpcUaServer
from linegate.adapters.targets.opcua.tags import Value
from linegate.errors import TransientError
from linegate.line.conversation import KeptConversation
from linegate.line.handshake import Rules, State
from linegate.line.keeper import Keeper

LOOK_S = 0.2  # as the runtime does
# Of `opcua_client`: a controller that shows no echoes of its triggers would have fewer
READS = ("job", "part", "acknowledged")
WRITES = (
    "heartbeat",
    "ready",
    "available",
    "job",
    "part",
    "counter",
    "result_job",
    "result_part",
    "verdict",
    "result_code",
)


@dataclass
class Store:
    """Keeps a handshake in memory; it can be out of reach."""

    state: State | None = None
    broken: bool = False

    def read(self) -> State | None:
        return self.state

    def write(self, state: State) -> None:
        if self.broken:
            raise TransientError("the disk is full")
        self.state = state


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Gate:
    """What stands behind conversations: whether it can decide, and verdicts."""

    able: bool = True
    stores: dict[str, Store] = field(default_factory=dict)
    conversations: dict[str, KeptConversation] = field(default_factory=dict)
    linked: list[tuple[bool, str]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _numbers: int = 0

    def add(self, line: str, rules: Rules = Rules()) -> KeptConversation:
        store = self.stores.setdefault(line, Store())
        self.conversations[line] = KeptConversation(line, Keeper(rules, store), now)
        return self.conversations[line]

    def look(self) -> None:
        while not self._stopping.wait(LOOK_S):
            for conversation in self.conversations.values():
                conversation.look(able=self.able)

    def stop(self) -> None:
        self._stopping.set()

    def link(self, connected: bool, said: str) -> None:
        self.linked.append((connected, said))

    def notification(self, part: str, verdict: str = "PASS", line: str = "smt-1") -> str:
        """As the outbox sends it."""
        self._numbers += 1
        data = {
            "inspection_id": f"inspection-{self._numbers}",
            "serial": part,
            "line": line,
            "recipe": "pcb",
            "verdict": verdict,
            "received_at": now().isoformat(),
            "defects": [{"class": "short"}] if verdict == "FAIL" else [],
        }
        return json.dumps({"type": "inspection.decided", "data": data})


@contextmanager
def looked_after(gate: Gate) -> Iterator[Gate]:
    thread = threading.Thread(target=gate.look, daemon=True)
    thread.start()
    try:
        yield gate
    finally:
        gate.stop()
        thread.join()


@contextmanager
def serving(gate: Gate, endpoint: Endpoint) -> Iterator[OpcUaServer]:
    server = OpcUaServer(endpoint, gate.conversations, gate.link)
    server.start()
    try:
        assert server.listening.wait(60), gate.linked
        yield server
    finally:
        server.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Line:
    """One line as a client of the gate's server sees it."""

    def __init__(self, client: Client, name: str, own: int, machine_vision: int) -> None:
        self.client = client
        self.name = name
        self._own = own
        self.vision = vision.Types(machine_vision)
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    @classmethod
    async def at(cls, client: Client, name: str) -> "Line":
        own = await client.get_namespace_index(address_space.NAMESPACE)
        machine_vision = await client.get_namespace_index(vision.NAMESPACE)
        await client.load_data_type_definitions()
        return cls(client, name, own, machine_vision)

    def node(self, path: str = "") -> Node:
        return self.client.get_node(ua.NodeId(f"{self.name}.{path}" if path else self.name, self._own))

    async def read(self, *names: str) -> list[Any]:
        return list(await self.client.read_values([self.node(f"Gate.{name}") for name in names]))

    async def write(self, **values: Value) -> None:
        """In one request, in this order."""
        kinds = {str: ua.VariantType.String, int: ua.VariantType.Int32}
        new = [ua.DataValue(ua.Variant(value, kinds[type(value)])) for value in values.values()]
        await self.client.write_values([self.node(f"Line.{name}") for name in values], new)

    async def start(self, part: str, meas: str = "", recipe: str = "") -> tuple[str, int]:
        """StartSingleJob ▶ the job's id, the error."""
        path = "VisionStateMachine.AutomaticModeStateMachine"
        job, error = await self.node(path).call_method(
            self.node(f"{path}.StartSingleJob"),
            ua.MeasIdDataType(Id=meas),
            ua.PartIdDataType(Id=part),
            ua.RecipeIdExternalDataType(Id=recipe),
            ua.ProductIdDataType(),
            ua.Variant([], ua.VariantType.Variant, is_array=True),
        )
        return job.Id, error

    async def acknowledge(self, counter: int) -> int:
        line = self.node("Line")
        return int(await line.call_method(self.node("Line.Acknowledge"), ua.Variant(counter, ua.VariantType.Int32)))

    async def states(self) -> tuple[str, str]:
        outer, inner = await self.client.read_values(
            [
                self.node("VisionStateMachine.CurrentState"),
                self.node("VisionStateMachine.AutomaticModeStateMachine.CurrentState"),
            ]
        )
        return outer.Text, inner.Text

    async def subscribe(self, node: Node | None = None, interval_ms: float = 10) -> None:
        subscription = await self.client.create_subscription(interval_ms, self)
        kind = self.vision.object_type("ResultReadyEventType")
        await subscription.subscribe_events(node or self.node(), kind)

    def event_notification(self, event: Any) -> None:
        self.events.put_nowait(event)

    async def event(self, seconds: float = 10) -> Any:
        return await asyncio.wait_for(self.events.get(), seconds)


async def until(condition: Callable[[], Coroutine[Any, Any, bool]], seconds: float = 15) -> None:
    """Fails the test if the condition does not come true in time."""
    end = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.01)


class Controller:
    """A PLC's own OPC UA server, with the handshake's variables below `ns=2;s=`."""

    def __init__(self, port: int, kinds: dict[str, ua.VariantType]) -> None:
        self.url = f"opc.tcp://127.0.0.1:{port}/plc"
        self._kinds = kinds
        self.server = Server()

    async def start(self) -> None:
        await address_space.fill(self.server)
        self.server.set_endpoint(self.url)
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await self.server.register_namespace("urn:plc")
        for name, kind in self._kinds.items():
            empty: dict[ua.VariantType, Value] = {ua.VariantType.String: "", ua.VariantType.Boolean: False}
            node = await self.server.nodes.objects.add_variable(
                ua.NodeId(name, index), ua.QualifiedName(name, index), empty.get(kind, 0), kind
            )
            await node.set_writable()
        await self.server.start()

    def node(self, name: str) -> Node:
        return self.server.get_node(ua.NodeId(name, 2))

    async def read(self, *names: str) -> list[Any]:
        return [await self.node(name).read_value() for name in names]

    async def write(self, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            await self.node(name).write_value(ua.Variant(value, self._kinds[name]))
