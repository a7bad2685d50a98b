"""The port Publisher in Pub/Sub."""

from collections.abc import Iterator, Sequence
from typing import Final

import grpc
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from linegate.adapters.gcp.errors import BUDGET_S, RETRY, mapped
from linegate.ports import Message

SERVICE: Final = "Pub/Sub"
# A request holds 1000 messages and 10 MB at most.
MOST, LARGEST = 1000, 9_000_000


class CloudPublisher:
    """Publishes in the calling thread: all messages of a product in one request, which succeeds or fails as a whole.

    The library's batching publisher would wait for more messages and answer by futures. `emulator` is the host and port
    of an emulator, if there is one; a topic's id is `prefix` and its name.
    """

    def __init__(self, project: str, prefix: str, emulator: str | None = None) -> None:
        self._path = f"projects/{project}/topics/{prefix}"
        with mapped(SERVICE):
            if emulator:
                channel = grpc.insecure_channel(emulator)
                self._client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            else:
                self._client = PublisherClient()

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        for batch in _batches(messages):
            with mapped(f"{SERVICE} topic {self._path}{topic}"):
                self._client.publish(topic=f"{self._path}{topic}", messages=batch, retry=RETRY, timeout=BUDGET_S)


def _batches(messages: Sequence[Message]) -> Iterator[list[PubsubMessage]]:
    batch: list[PubsubMessage] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MOST or size + len(message.data) > LARGEST):
            yield batch
            batch, size = [], 0
        batch.append(PubsubMessage(data=message.data, attributes=dict(message.attributes)))
        size += len(message.data) + 1000  # attributes and framing
    if batch:
        yield batch
