"""Which kinds there are. To add one, write its module and name its section here; see CONTRIBUTING.md."""

from typing import Final

from linegate.adapters.anomaly.kind import AnomalyDetection
from linegate.adapters.assembly.kind import AssemblyDetection
from linegate.adapters.gemini.kind import GeminiVerification
from linegate.adapters.golden.kind import GoldenDetection, GoldenVerification
from linegate.adapters.measure.kind import MeasureDetection
from linegate.adapters.rfdetr.kind import RfdetrDetection
from linegate.adapters.roboflow.kind import RoboflowDetection, WorkflowVerification
from linegate.adapters.targets.modbus.kind import Modbus
from linegate.adapters.targets.mqtt.handshake import MqttHandshake
from linegate.adapters.targets.mqtt.kind import Mqtt
from linegate.adapters.targets.mqtt.sparkplug import Sparkplug
from linegate.adapters.targets.opcua.kind import OpcUa, OpcUaClient
from linegate.adapters.targets.slack import Slack
from linegate.adapters.targets.webhook import Webhook
from linegate.adapters.unverified import NoVerification
from linegate.kind import DetectorKind, TargetKind, VerifierKind

# The first of each is what holds where the file names none.
DETECTORS: Final[tuple[type[DetectorKind], ...]] = (
    GoldenDetection,
    RoboflowDetection,
    RfdetrDetection,
    AssemblyDetection,
    AnomalyDetection,
    MeasureDetection,
)
VERIFIERS: Final[tuple[type[VerifierKind], ...]] = (
    GoldenVerification,
    GeminiVerification,
    WorkflowVerification,
    NoVerification,
)
TARGETS: Final[tuple[type[TargetKind], ...]] = (
    Webhook,
    Slack,
    Mqtt,
    Sparkplug,
    MqttHandshake,
    Modbus,
    OpcUa,
    OpcUaClient,
)
