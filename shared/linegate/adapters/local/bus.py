"""The durable bus of one machine: Pub/Sub's ways (leases, attempts, backoff, dead letter, replay) in SQLite."""

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linegate.adapters.local.database import Database
from linegate.events import TOPICS, dead_letter
from linegate.ports import Message

DEAD_SUFFIX = dead_letter("")
# SQL: messages that are not in a dead letter
LIVE = f"topic NOT LIKE '%{DEAD_SUFFIX}'"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is leased for one attempt."""

    message_id: int
    topic: str
    message: Message
    lane: str
    attempt: int
    published_at: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many messages of one topic wait, are in work, or wait after a failure."""

    waiting: int = 0
    in_work: int = 0
    retrying: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    message_id: int
    topic: str
    attributes: Mapping[str, str]
    attempts: int
    reason: str
    died_at: float


class Bell:
    """Wakes the dispatcher. Rings while nobody waits are not lost."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)
        self._event.clear()


class LocalBus:
    """The port Publisher, and the queue that the one-machine runtime serves.

    `bell` rings after each publication in this process, so that nobody has to poll.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.bell = Bell()

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self._database.write(lambda connection: insert(connection, topic, messages))
        self.bell.ring()

    def lease(
        self, topic: str, limit: int, seconds: float, in_lane: Mapping[str, int], per_lane: int
    ) -> list[Delivery]:
        """Up to `limit` due messages, oldest first, each counted as attempted and hidden for `seconds`.

        Messages of the same lane (the target of a notification) must not crowd out the others: of each named lane at
        most `per_lane` are in work at the same time, where `in_lane` counts those that are.
        """
        now = time.time()
        full = [lane for lane, count in in_lane.items() if lane and count >= per_lane]
        # By id, so that a long backlog is not sorted each time.
        where = f"""FROM messages INDEXED BY messages_by_topic WHERE topic = ? AND due_at <= ? AND leased_until <= ?
            AND lane NOT IN ({",".join("?" * len(full))}) ORDER BY id LIMIT ?"""
        parameters = (topic, now, now, *full, limit)
        if not self._database.read(f"SELECT 1 {where}", parameters):
            return []  # the common case, without a write

        def work(connection: sqlite3.Connection) -> list[Delivery]:
            taken: list[Delivery] = []
            busy = Counter(in_lane)
            for identity, data, attributes, lane, attempts, published_at in connection.execute(
                f"SELECT id, data, attributes, lane, attempts, published_at {where}",
                parameters,
            ):
                if lane and busy[lane] >= per_lane:
                    continue
                busy[lane] += 1
                message = Message(data, json.loads(attributes))
                taken.append(Delivery(identity, topic, message, lane, attempts + 1, published_at))
            connection.executemany(
                "UPDATE messages SET attempts = attempts + 1, leased_until = ? WHERE id = ?",
                [(now + seconds, delivery.message_id) for delivery in taken],
            )
            return taken

        return self._database.write(work)

    def acknowledge(self, delivery: Delivery) -> None:
        """The message is done. Need not wait for the disk: at worst it is delivered once more."""
        self._database.write_soon(
            lambda connection: connection.execute("DELETE FROM messages WHERE id = ?", (delivery.message_id,))
        )

    def retry(self, delivery: Delivery, delay: float, error: str) -> None:
        """The attempt failed: deliver again after `delay` seconds."""
        self._database.write_soon(
            lambda connection: connection.execute(
                "UPDATE messages SET leased_until = 0, due_at = ?, last_error = ? WHERE id = ?",
                (time.time() + delay, error, delivery.message_id),
            )
        )

    def bury(self, delivery: Delivery, error: str) -> None:
        """Every attempt failed: move the message to the dead letter of its topic."""
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE messages SET topic = ?, leased_until = 0, due_at = ?, last_error = ? WHERE id = ?",
                (dead_letter(delivery.topic), time.time(), error, delivery.message_id),
            )
        )

    def release_leases(self) -> None:
        """Make every leased message due again: for a runtime that starts after one that died."""
        self._database.write(lambda connection: connection.execute("UPDATE messages SET leased_until = 0"))

    def next_due(self) -> float | None:
        """When (seconds since 1970) the next of the messages is due that wait after a failure; None if none does."""
        now = time.time()
        query = "SELECT min(due_at) FROM messages INDEXED BY messages_by_due WHERE topic = ? AND due_at > ?"
        times = [self._database.read(query, (topic, now))[0][0] for topic in TOPICS]
        return min((due for due in times if due is not None), default=None)

    def backlog(self) -> dict[str, Backlog]:
        """What waits, by topic; dead letters not included."""
        now = time.time()
        rows = self._database.read(
            f"""SELECT topic, sum(leased_until <= ? AND due_at <= ?), sum(leased_until > ?), sum(leased_until <= ? AND due_at > ?)
            FROM messages WHERE {LIVE} GROUP BY topic""",
            (now, now, now, now, now),
        )
        return {topic: Backlog(waiting, in_work, retrying) for topic, waiting, in_work, retrying in rows}

    def dead_letters(self) -> list[DeadLetter]:
        """All of them, oldest first."""
        rows = self._database.read(
            "SELECT id, topic, attributes, attempts, last_error, due_at FROM messages WHERE topic LIKE ? ORDER BY id",
            (f"%{DEAD_SUFFIX}",),
        )
        letters = []
        for identity, topic, text, attempts, error, died_at in rows:
            attributes = json.loads(text)
            reason = error or attributes.get("reason", "")
            letters.append(DeadLetter(identity, topic.removesuffix(DEAD_SUFFIX), attributes, attempts, reason, died_at))
        return letters

    def replay(self, topic: str | None = None) -> int:
        """Put the dead letters (of one topic) back where they came from; returns how many there were."""

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute(
                """UPDATE messages SET topic = substr(topic, 1, length(topic) - ?), attempts = 0, due_at = 0, leased_until = 0
                WHERE topic LIKE ?""",
                (len(DEAD_SUFFIX), f"{topic or '%'}{DEAD_SUFFIX}"),
            ).rowcount

        count = self._database.write(work)
        self.bell.ring()
        return count


def insert(connection: sqlite3.Connection, topic: str, messages: Sequence[Message]) -> None:
    """Publish inside a transaction of the caller's."""
    now = time.time()
    connection.executemany(
        "INSERT INTO messages (topic, data, attributes, lane, published_at, due_at) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (topic, message.data, json.dumps(dict(message.attributes)), message.attributes.get("target", ""), now, now)
            for message in messages
        ],
    )
