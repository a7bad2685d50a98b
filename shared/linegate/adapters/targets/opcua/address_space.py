"""One line in the server's address space: simple variables for any PLC, and a VisionSystem after OPC 40100-1."""

import gc
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from asyncua import Server, ua
from asyncua.server.event_generator import EventGenerator

from linegate.adapters.targets.opcua import vision
from linegate.adapters.targets.opcua.tags import GATE, LINE, Said, Value, as_json
from linegate.adapters.targets.opcua.vision import Types

NAMESPACE: Final = "urn:linegate:line"
EMPTY: Final[Mapping[str, Value]] = {"Boolean": False, "Int32": 0, "String": ""}
# The JSON of all signals
ALL: Final = "Json"
SEVERITY: Final = 500  # of 1000
MACHINE, AUTOMATIC = "VisionStateMachineType", "VisionAutomaticModeStateMachineType"

Method = Callable[..., Coroutine[Any, Any, Any]]


async def fill(server: Server) -> None:
    """Give the server what every server of OPC UA has: 7000 nodes, all of which stay.

    Looking among them for garbage, time and again while they become more, would take nearly as long as making them.
    """
    gc.disable()
    try:
        await server.init()
    finally:
        gc.enable()


class LineNodes:
    """What the server shows of one line. Only its event loop may use it."""

    def __init__(self, server: Server, types: Types, own: int, line: str) -> None:
        self._server = server
        self._types = types
        self._own = own
        self.line = line
        self._shown: dict[ua.NodeId, object] = {}
        self._events: list[EventGenerator] = []

    def node(self, path: str) -> ua.NodeId:
        """Node ids are texts that stay: `smt-1.Gate.Verdict`."""
        return ua.NodeId(f"{self.line}.{path}" if path else self.line, self._own)

    async def add(self, start: Method, get_result: Method, acknowledge: Method) -> None:
        types, objects = self._types, self._server.nodes.objects.nodeid
        system = await self._object(objects, "", types.object_type("VisionSystemType"), name=self._name(self.line))
        for emitter in (system, ua.NodeId(ua.ObjectIds.Server)):
            generator = await self._server.get_event_generator(types.object_type("ResultReadyEventType"), emitter)
            generator.event.SourceNode, generator.event.SourceName = system, self.line
            generator.event.Severity = SEVERITY
            self._events.append(generator)
        gate = await self._object(system, "Gate")
        for tag in GATE:
            await self._variable(gate, f"Gate.{tag.name}", tag.kind)
        await self._variable(gate, f"Gate.{ALL}", "String")
        line = await self._object(system, "Line")
        for name, (kind, _) in LINE.items():
            await self._variable(line, f"Line.{name}", kind, writable=True)
        await self._method(line, "Line.Acknowledge", acknowledge, (("counter Int32",), ("error Int32",)), self._own)
        machine = await self._machine(system, "VisionStateMachine", MACHINE)
        automatic = await self._machine(machine, "VisionStateMachine.AutomaticModeStateMachine", AUTOMATIC)
        path = "VisionStateMachine.AutomaticModeStateMachine.StartSingleJob"
        await self._method(automatic, path, start, vision.START_SINGLE_JOB, types.index)
        results = await self._object(system, "ResultManagement", types.object_type("ResultManagementType"))
        path = "ResultManagement.GetResultById"
        await self._method(results, path, get_result, vision.GET_RESULT_BY_ID, types.index)

    def said(self) -> Said:
        """What the line shows, all of one moment."""
        job, part, acknowledged = (self._read(f"Line.{name}") for name in LINE)
        return Said(int(job or 0), str(part or "").strip(), int(acknowledged or 0))

    async def show(self, shown: Mapping[str, Value]) -> None:
        """All variables at once: nobody reads half of it, for nothing else runs on this loop meanwhile."""
        kinds = {tag.name: tag.kind for tag in GATE} | {ALL: "String"}
        values = {**shown, ALL: as_json(shown)}
        await self._write({self.node(f"Gate.{name}"): (value, kinds[name]) for name, value in values.items()})

    async def enter(self, state: str, automatic: str = "") -> None:
        """The state of both machines; the second one is inside Operational only."""
        write: dict[ua.NodeId, tuple[object, str]] = {}
        for path, machine, name in (
            ("VisionStateMachine", MACHINE, state),
            ("VisionStateMachine.AutomaticModeStateMachine", AUTOMATIC, automatic),
        ):
            number = self._types.state(machine, name) if name else ua.NodeId()
            write[self.node(f"{path}.CurrentState")] = (ua.LocalizedText(name), "LocalizedText")
            write[self.node(f"{path}.CurrentState.Id")] = (number, "NodeId")
        await self._write(write)

    async def fire(self, result: Mapping[str, Any], message: str) -> None:
        """The event ResultReady, of the line's VisionSystem and, as it must be, of the Server object."""
        for generator in self._events:
            for name, value in result.items():
                generator.event.add_property(name, value, vision.variant_type(vision.EVENT_FIELDS[name]))
            await generator.trigger(message=message)

    def _read(self, path: str) -> Any:
        value = self._server.iserver.aspace.read_attribute_value(self.node(path), ua.AttributeIds.Value).Value
        return value.Value if value is not None else None

    async def _write(self, values: Mapping[ua.NodeId, tuple[object, str]]) -> None:
        """Only what is new is written, so that subscriptions are not told of the rest."""
        now, parameters = datetime.now(UTC), ua.WriteParameters()
        for node, (value, kind) in values.items():
            if self._shown.get(node) == value:
                continue
            data = ua.DataValue(ua.Variant(value, ua.VariantType[kind]), SourceTimestamp=now, ServerTimestamp=now)
            parameters.NodesToWrite.append(ua.WriteValue(node, ua.AttributeIds.Value, Value=data))
            self._shown[node] = value
        if parameters.NodesToWrite:
            await self._server.iserver.isession.write(parameters)

    def _name(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self._own)

    async def _object(
        self, parent: ua.NodeId, path: str, kind: ua.NodeId | None = None, name: ua.QualifiedName | None = None
    ) -> ua.NodeId:
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = self.node(path)
        item.BrowseName = name or ua.QualifiedName(path.rpartition(".")[2], self._types.index if kind else self._own)
        item.NodeClass = ua.NodeClass.Object
        item.ParentNodeId = parent
        inside = self._server.nodes.objects.nodeid == parent
        item.ReferenceTypeId = ua.NodeId(ua.ObjectIds.Organizes if inside else ua.ObjectIds.HasComponent)
        item.TypeDefinition = kind or ua.NodeId(ua.ObjectIds.BaseObjectType)
        attributes = ua.ObjectAttributes()
        attributes.DisplayName = ua.LocalizedText(item.BrowseName.Name)
        item.NodeAttributes = attributes
        [added] = await self._server.iserver.isession.add_nodes([item])
        added.StatusCode.check()
        return self.node(path)

    async def _variable(self, parent: ua.NodeId, path: str, kind: str, *, writable: bool = False) -> None:
        node = await self._server.get_node(parent).add_variable(
            self.node(path), self._name(path.rpartition(".")[2]), EMPTY[kind], ua.VariantType[kind]
        )
        if writable:
            await node.set_writable()

    async def _method(
        self,
        parent: ua.NodeId,
        path: str,
        call: Method,
        arguments: tuple[tuple[str, ...], tuple[str, ...]],
        index: int,
    ) -> None:
        taken, given = (self._types.arguments(each) for each in arguments)
        name = ua.QualifiedName(path.rpartition(".")[2], index)
        await self._server.get_node(parent).add_method(self.node(path), name, call, taken, given)

    async def _machine(self, parent: ua.NodeId, path: str, kind: str) -> ua.NodeId:
        machine = await self._object(parent, path, self._types.object_type(kind))
        state = await self._server.get_node(machine).add_variable(
            self.node(f"{path}.CurrentState"),
            ua.QualifiedName("CurrentState"),
            ua.LocalizedText(""),
            ua.VariantType.LocalizedText,
        )
        await state.delete_reference(
            ua.NodeId(ua.ObjectIds.BaseDataVariableType), ua.NodeId(ua.ObjectIds.HasTypeDefinition)
        )
        await state.add_reference(
            ua.NodeId(ua.ObjectIds.FiniteStateVariableType), ua.NodeId(ua.ObjectIds.HasTypeDefinition)
        )
        await state.add_property(
            self.node(f"{path}.CurrentState.Id"), ua.QualifiedName("Id"), ua.NodeId(), ua.VariantType.NodeId
        )
        return machine
