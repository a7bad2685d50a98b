"""The part of OPC 40100-1 (OPC UA for Machine Vision, Part 1: release 1.0) that the server has.

Names and numbers of types are the specification's, so that a client that knows them finds what it looks for. What is not here the
server does not have; shared/docs/opcua.md tells. Nothing of the companion specification's own files is used.
"""

from dataclasses import dataclass
from typing import Final

from asyncua import Server, ua
from asyncua.common.manage_nodes import create_data_type, create_encoding
from asyncua.common.structures104 import load_data_type_definitions, new_struct_field

NAMESPACE: Final = "http://opcfoundation.org/UA/MachineVision"

# Base types of OPC UA ▶ their numbers. The specification's simple subtypes (TrimmedString, Handle, ResultStateDataType) stand as
# what they are encoded as: asyncua's clients can't read structures of a TrimmedString that is not that of OPC UA itself.
_BASE: Final = {
    "Boolean": 1,
    "Int32": 6,
    "UInt32": 7,
    "String": 12,
    "ByteString": 15,
    "LocalizedText": 21,
    "BaseDataType": 24,
    "Duration": 290,
    "UtcTime": 294,
}
_BINARY_ID: Final = ("Id String", "Version? String", "Hash? ByteString", "HashAlgorithm? String")
_WITH_DESCRIPTION: Final = ("Id String", "Description? LocalizedText")
# Structures ▶ number, number of the binary encoding, fields; `?` marks an optional one, `[]` an array
STRUCTURES: Final = {
    "JobIdDataType": (3016, 5008, ("Id String",)),
    "MeasIdDataType": (3015, 5006, _WITH_DESCRIPTION),
    "PartIdDataType": (3004, 5013, _WITH_DESCRIPTION),
    "ProductIdDataType": (3003, 5224, _WITH_DESCRIPTION),
    "ResultIdDataType": (3021, 5274, ("Id String",)),
    "RecipeIdExternalDataType": (3002, 5002, (*_BINARY_ID, "Description? LocalizedText")),
    "RecipeIdInternalDataType": (3013, 5268, (*_BINARY_ID, "Description? LocalizedText")),
    "ConfigurationIdDataType": (3008, 5090, (*_BINARY_ID, "Description? LocalizedText")),
    "ProcessingTimesDataType": (
        3005,
        5016,
        ("StartTime UtcTime", "EndTime UtcTime", "AcquisitionDuration? Duration", "ProcessingDuration? Duration"),
    ),
    "ResultDataType": (
        3006,
        5018,
        (
            "ResultId ResultIdDataType",
            "HasTransferableDataOnFile? Boolean",
            "IsPartial Boolean",
            "IsSimulated? Boolean",
            "ResultState Int32",
            "MeasId? MeasIdDataType",
            "PartId? PartIdDataType",
            "ExternalRecipeId? RecipeIdExternalDataType",
            "InternalRecipeId RecipeIdInternalDataType",
            "ProductId? ProductIdDataType",
            "ExternalConfigurationId? ConfigurationIdDataType",
            "InternalConfigurationId ConfigurationIdDataType",
            "JobId JobIdDataType",
            "CreationTime UtcTime",
            "ProcessingTimes? ProcessingTimesDataType",
            "ResultContent? BaseDataType[]",
        ),
    ),
}
# Object types ▶ number, number of their base type
OBJECTS: Final = {
    "VisionSystemType": (1003, ua.ObjectIds.BaseObjectType),
    "ResultManagementType": (1007, ua.ObjectIds.BaseObjectType),
    "VisionStateMachineType": (1017, ua.ObjectIds.FiniteStateMachineType),
    "VisionAutomaticModeStateMachineType": (1021, ua.ObjectIds.FiniteStateMachineType),
    "ResultReadyEventType": (1024, ua.ObjectIds.BaseEventType),
}
# States ▶ number, by machine. ContinuousExecution and Initialized are not entered, and so not here.
STATES: Final = {
    "VisionStateMachineType": {"Preoperational": 5028, "Halted": 5029, "Error": 5030, "Operational": 5031},
    "VisionAutomaticModeStateMachineType": {"Ready": 5057, "SingleExecution": 5058},
}
# Methods of types ▶ arguments in, arguments out
START_SINGLE_JOB: Final = (
    (
        "measId MeasIdDataType",
        "partId PartIdDataType",
        "recipeId RecipeIdExternalDataType",
        "productId ProductIdDataType",
        "parameters BaseDataType[]",
    ),
    ("jobId JobIdDataType", "error Int32"),
)
GET_RESULT_BY_ID: Final = (
    ("resultId ResultIdDataType", "timeout Int32"),
    ("resultHandle UInt32", "result ResultDataType", "error Int32"),
)
# What the event carries: name ▶ type. It is what a result has, but for files.
EVENT_FIELDS: Final = {
    name.rstrip("?"): kind
    for name, kind in (field.split() for field in STRUCTURES["ResultDataType"][2])
    if name != "HasTransferableDataOnFile?"
}


def variant_type(kind: str) -> ua.VariantType:
    """How a value of a type is encoded."""
    if kind in STRUCTURES:
        return ua.VariantType.ExtensionObject
    built_in = kind.removesuffix("[]")
    return ua.VariantType[
        {"BaseDataType": "Variant", "UtcTime": "DateTime", "Duration": "Double"}.get(built_in, built_in)
    ]


@dataclass(frozen=True, slots=True)
class Types:
    """Where they are in one server's address space."""

    index: int  # of the namespace

    def node(self, number: int) -> ua.NodeId:
        return ua.NodeId(number, self.index)

    def name(self, name: str) -> ua.QualifiedName:
        return ua.QualifiedName(name, self.index)

    def object_type(self, name: str) -> ua.NodeId:
        return self.node(OBJECTS[name][0])

    def state(self, machine: str, name: str) -> ua.NodeId:
        return self.node(STATES[machine][name])

    def data_type(self, name: str) -> ua.NodeId:
        return ua.NodeId(_BASE[name]) if name in _BASE else self.node(STRUCTURES[name][0])

    def arguments(self, written: tuple[str, ...]) -> list[ua.Argument]:
        """Of a method, as `name Type` or `name Type[]`."""
        return [
            ua.Argument(
                Name=name,
                DataType=self.data_type(kind.removesuffix("[]")),
                ValueRank=1 if kind.endswith("[]") else -1,
                ArrayDimensions=[0] if kind.endswith("[]") else [],
                Description=ua.LocalizedText(""),
            )
            for name, kind in (each.split() for each in written)
        ]


async def add_types(server: Server) -> Types:
    """Add the types to a server that does not listen yet."""
    types = Types(await server.register_namespace(NAMESPACE))
    for name, (number, encoding, fields) in STRUCTURES.items():
        await _add_structure(server, types, name, number, encoding, fields)
    await load_data_type_definitions(server)
    for name, (number, base) in OBJECTS.items():
        await server.get_node(ua.NodeId(base)).add_object_type(types.node(number), types.name(name))
    for machine, states in STATES.items():
        parent = server.get_node(types.object_type(machine))
        for at, (name, number) in enumerate(states.items(), 1):
            state = await parent.add_object(types.node(number), types.name(name))
            await state.delete_reference(
                ua.NodeId(ua.ObjectIds.BaseObjectType), ua.NodeId(ua.ObjectIds.HasTypeDefinition)
            )
            await state.add_reference(ua.NodeId(ua.ObjectIds.StateType), ua.NodeId(ua.ObjectIds.HasTypeDefinition))
            await state.add_property(
                ua.NodeId(0, types.index), ua.QualifiedName("StateNumber"), at, ua.VariantType.UInt32
            )
    event = server.get_node(types.object_type("ResultReadyEventType"))
    for name, kind in EVENT_FIELDS.items():
        await event.add_property(
            ua.NodeId(0, types.index),
            types.name(name),
            None,
            ua.VariantType.Null,
            types.data_type(kind.removesuffix("[]")),
        )
    return types


async def _add_structure(
    server: Server, types: Types, name: str, number: int, encoding: int, fields: tuple[str, ...]
) -> None:
    kind = await create_data_type(server.nodes.base_structure_type, types.node(number), types.name(name))
    encoded = await create_encoding(kind, types.node(encoding), ua.QualifiedName("Default Binary"))
    definition = ua.StructureDefinition()
    definition.BaseDataType = server.nodes.base_structure_type.nodeid
    definition.DefaultEncodingId = encoded.nodeid
    optional = any("?" in field for field in fields)
    definition.StructureType = ua.StructureType.StructureWithOptionalFields if optional else ua.StructureType.Structure
    definition.Fields = [
        new_struct_field(
            field.split()[0].rstrip("?"),
            types.data_type(field.split()[1].removesuffix("[]")),
            array=field.endswith("[]"),
            optional="?" in field,
        )
        for field in fields
    ]
    await kind.write_data_type_definition(definition)
