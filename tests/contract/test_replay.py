"""`linegate replay --cloud` on Google's emulator: what lay there at its start, once, and then it ends."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from linegate.adapters.gcp.replay import Replayed, replay
from tests.emulators import PROJECT

FEED, DEAD = (f"projects/{PROJECT}/topics/mend-{name}" for name in ("crops", "crops-dead"))
FED, BURIED = (f"projects/{PROJECT}/subscriptions/mend-{name}" for name in ("verify", "verify-dead"))
PULLED_AT_ONCE = 100


@dataclass
class Stage:
    host: str
    publisher: PublisherClient
    subscriber: SubscriberClient

    def bury(self, *letters: tuple[bytes, dict[str, str]]) -> None:
        sent = [PubsubMessage(data=data, attributes=attributes) for data, attributes in letters]
        self.publisher.publish(topic=DEAD, messages=sent)

    def replay(self, *, force: bool = False) -> Replayed:
        return replay(PROJECT, "mend", "verify", "crops", self.host, force=force)

    def lying(self, subscription: str) -> list[PubsubMessage]:
        """What lies there, taken away."""
        taken: list[PubsubMessage] = []
        while True:
            try:
                answer = self.subscriber.pull(subscription=subscription, max_messages=100, timeout=1, retry=None)
            except exceptions.DeadlineExceeded:
                return taken
            if not answer.received_messages:
                return taken
            taken += [each.message for each in answer.received_messages]
            self.subscriber.acknowledge(
                subscription=subscription, ack_ids=[each.ack_id for each in answer.received_messages]
            )


@pytest.fixture
def stage(pubsub_host: str) -> Iterator[Stage]:
    with grpc.insecure_channel(pubsub_host) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for topic, subscription in ((FEED, FED), (DEAD, BURIED)):
            publisher.create_topic(name=topic)
            subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=60)
        yield Stage(pubsub_host, publisher, subscriber)
        for topic, subscription in ((FEED, FED), (DEAD, BURIED)):
            subscriber.delete_subscription(subscription=subscription)
            publisher.delete_topic(topic=topic)


MARKED = {"type": "crop.ready", "CloudPubSubDeadLetterSourceDeliveryCount": "30"}
UNREAD = {"type": "crop.ready", "reason": "the message's data is not base64 of JSON"}


def test_every_letter_that_lay_there_goes_back_as_it_was_sent(stage: Stage) -> None:
    count = 2 * PULLED_AT_ONCE + 7
    stage.bury(*((str(number).encode(), MARKED) for number in range(count)))
    assert stage.replay() == Replayed(count, 0)
    back = stage.lying(FED)
    assert sorted(int(message.data) for message in back) == list(range(count))
    assert all(dict(message.attributes) == {"type": "crop.ready"} for message in back)
    assert stage.lying(BURIED) == []


def test_what_no_function_could_read_stays_and_can_be_looked_at_at_once(stage: Stage) -> None:
    stage.bury((b"one", MARKED), (b"%%%", UNREAD))
    assert stage.replay() == Replayed(1, 1)
    assert stage.replay() == Replayed(0, 1)
    assert [message.data for message in stage.lying(FED)] == [b"one"]
    assert [dict(message.attributes) for message in stage.lying(BURIED)] == [UNREAD]


def test_by_force_it_goes_too(stage: Stage) -> None:
    stage.bury((b"%%%", UNREAD))
    assert stage.replay(force=True) == Replayed(1, 0)
    assert [(message.data, dict(message.attributes)) for message in stage.lying(FED)] == [
        (b"%%%", {"type": "crop.ready"})
    ]


def test_it_ends_although_what_it_puts_back_is_buried_again_at_once(stage: Stage) -> None:
    """As a function does that still can't read it."""
    stopped = threading.Event()

    def bury_again() -> None:
        while not stopped.is_set():
            if unread := stage.lying(FED):
                stage.bury(*((message.data, UNREAD) for message in unread))

    stage.bury(*((str(number).encode(), UNREAD) for number in range(5)))
    function = threading.Thread(target=bury_again)
    function.start()
    try:
        began = time.monotonic()
        assert stage.replay(force=True).again == 5
        assert time.monotonic() < began + 15
    finally:
        stopped.set()
        function.join()
