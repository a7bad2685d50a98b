"""The port Publisher: what is published can be taken, whole and with its attributes, or an error is raised."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from linegate.adapters.gcp.pubsub import CloudPublisher
from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import Database
from linegate.errors import TransientError
from linegate.ports import Message, Publisher
from linegate.stages import CROPS
from tests.emulators import PROJECT

# A publisher, and what takes the messages of the topic `crops`
Pair = tuple[Publisher, Callable[[int], list[Message]]]


@pytest.fixture(params=["local", "Pub/Sub"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    if request.param == "local":
        with closing(Database(tmp_path / "linegate.db")) as database:
            bus = LocalBus(database)
            yield bus, lambda count: [delivery.message for delivery in bus.lease(CROPS, count, 60, {}, 1)]
        return
    host = request.getfixturevalue("pubsub_host")
    with grpc.insecure_channel(host) as channel:
        topic, subscription = f"projects/{PROJECT}/topics/gate-crops", f"projects/{PROJECT}/subscriptions/gate-crops"
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        publisher.create_topic(name=topic)
        subscriber.create_subscription(name=subscription, topic=topic)

        def take(count: int) -> list[Message]:
            taken: list[Message] = []
            while len(taken) < count:
                for received in subscriber.pull(
                    subscription=subscription, max_messages=min(count, 8), timeout=10
                ).received_messages:
                    taken.append(Message(received.message.data, dict(received.message.attributes)))
                    subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
            return taken

        yield CloudPublisher(PROJECT, "gate-", host), take
        subscriber.delete_subscription(subscription=subscription)
        publisher.delete_topic(topic=topic)


def test_all_messages_of_a_board_arrive_as_they_were_sent(pair: Pair) -> None:
    publisher, take = pair
    sent = [
        Message(bytes([number]) * 1000, {"type": "crop.ready", "line": "ü", "n": str(number)}) for number in range(40)
    ]
    publisher.publish(CROPS, sent)
    assert sorted(take(40), key=lambda message: int(message.attributes["n"])) == sent


def test_a_board_whose_crops_do_not_fit_into_one_request_arrives_too(pair: Pair) -> None:
    publisher, take = pair
    sent = [Message(bytes([number]) * 350_000, {"n": str(number)}) for number in range(40)]
    publisher.publish(CROPS, sent)
    assert {message.data[0] for message in take(40)} == set(range(40))


def test_nothing_to_publish_is_nothing(pair: Pair) -> None:
    pair[0].publish(CROPS, [])


def test_a_topic_that_is_not_there_is_an_error_that_names_it(pubsub_host: str) -> None:
    with pytest.raises(TransientError, match="topics/gate-nowhere"):
        CloudPublisher(PROJECT, "gate-", pubsub_host).publish("nowhere", [Message(b"x")])
