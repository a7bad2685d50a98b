"""Dead letters of Pub/Sub, put back to the topic that they could not be served from."""

from typing import Final

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from linegate.adapters.gcp.errors import mapped
from linegate.adapters.gcp.pubsub import CloudPublisher
from linegate.ports import Message

AT_ONCE: Final = 100
PATIENCE_S: Final = 5.0  # an empty subscription answers by silence
# What Pub/Sub and the functions wrote on the letter; the message that is sent again never had it.
MARKS: Final = ("CloudPubSubDeadLetterSource", "reason", "googclient_")


def replay(project: str, prefix: str, stage: str, topic: str, emulator: str | None = None) -> int:
    """Publish the dead letters of a stage to its topic again, each acknowledged only then; how many there were."""
    if emulator:
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=grpc.insecure_channel(emulator)))
    else:
        subscriber = SubscriberClient()
    publisher = CloudPublisher(project, f"{prefix}-", emulator)
    subscription = f"projects/{project}/subscriptions/{prefix}-{stage}-dead"
    count = 0
    with subscriber, mapped(f"Pub/Sub subscription {subscription}"):
        while True:
            try:
                answer = subscriber.pull(
                    subscription=subscription, max_messages=AT_ONCE, timeout=PATIENCE_S, retry=None
                )
            except exceptions.DeadlineExceeded:
                return count
            letters = answer.received_messages
            if not letters:
                return count
            publisher.publish(
                topic, [_as_sent(letter.message.data, dict(letter.message.attributes)) for letter in letters]
            )
            subscriber.acknowledge(subscription=subscription, ack_ids=[letter.ack_id for letter in letters])
            count += len(letters)


def _as_sent(data: bytes, attributes: dict[str, str]) -> Message:
    return Message(data, {key: value for key, value in attributes.items() if not key.startswith(MARKS)})
