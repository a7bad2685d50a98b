"""Dead letters of Pub/Sub, put back to the topic that they could not be served from."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import ReceivedMessage

from linegate.adapters.gcp.errors import mapped
from linegate.adapters.gcp.pubsub import CloudPublisher
from linegate.ports import Message
from linegate.stages import REASON

AT_ONCE: Final = 100
PATIENCE_S: Final = 5.0  # an empty subscription answers by silence
# What Pub/Sub and the functions wrote on the letter; the message that is sent again never had it.
MARKS: Final = ("CloudPubSubDeadLetterSource", REASON, "googclient_")


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many letters were put back, and how many were left because no function could read them."""

    again: int
    left: int


def replay(project: str, prefix: str, stage: str, topic: str, emulator: str | None = None, *, force: bool) -> Replayed:
    """Publish the dead letters of a stage to its topic again, each acknowledged only then.

    Each that lay there at the start is looked at once: what fails again while this runs does not keep it running. Those that
    could not be read stay, since they would be back at once; with `force` they are published too.
    """
    subscription = f"projects/{project}/subscriptions/{prefix}-{stage}-dead"
    publisher = CloudPublisher(project, f"{prefix}-", emulator)
    again, held = 0, list[ReceivedMessage]()
    with ExitStack() as stack:
        if emulator:
            channel = stack.enter_context(grpc.insecure_channel(emulator))
            subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        else:
            subscriber = stack.enter_context(SubscriberClient())
        stack.enter_context(mapped(f"Pub/Sub subscription {subscription}"))
        for letters, newer in _batches(subscriber, subscription, datetime.now(UTC)):
            kept = [letter for letter in letters if REASON in letter.message.attributes and not force]
            going = [letter for letter in letters if letter not in kept]
            publisher.publish(topic, [_as_sent(letter) for letter in going])
            if going:
                subscriber.acknowledge(subscription=subscription, ack_ids=[letter.ack_id for letter in going])
            again += len(going)
            held += [*kept, *newer]
        for first in range(0, len(held), AT_ONCE):  # whoever looks next need not wait until their leases end
            ids = [letter.ack_id for letter in held[first : first + AT_ONCE]]
            subscriber.modify_ack_deadline(subscription=subscription, ack_ids=ids, ack_deadline_seconds=0)
    return Replayed(again, sum(REASON in letter.message.attributes for letter in held))


def _batches(
    subscriber: SubscriberClient, subscription: str, started: datetime
) -> Iterator[tuple[Sequence[ReceivedMessage], Sequence[ReceivedMessage]]]:
    """What is pulled, each letter once: those that lay there when it `started`, and the newer ones.

    Ends where nothing comes that lay there. What was pulled is leased, so that it does not come again meanwhile.
    """
    seen = set[str]()
    while True:
        try:
            answer = subscriber.pull(subscription=subscription, max_messages=AT_ONCE, timeout=PATIENCE_S, retry=None)
        except exceptions.DeadlineExceeded:
            return
        unseen = {each.message.message_id: each for each in answer.received_messages}
        letters = [letter for identity, letter in unseen.items() if identity not in seen]
        seen |= unseen.keys()
        # proto-plus makes a datetime of what is declared as a Timestamp
        old = [letter for letter in letters if letter.message.publish_time <= started]  # type: ignore[operator]
        yield old, [letter for letter in letters if letter not in old]
        if not old:
            return


def _as_sent(letter: ReceivedMessage) -> Message:
    attributes = {key: value for key, value in letter.message.attributes.items() if not key.startswith(MARKS)}
    return Message(letter.message.data, attributes)
