"""The durable bus of one machine: Pub/Sub's ways (leases, attempts, backoff, dead letter, replay) in SQLite."""

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from linegate.adapters.local.database import Database
from linegate.inspection import place_of
from linegate.ports import Message
from linegate.stages import REASON, TOPICS, dead_letter

DEAD_SUFFIX = dead_letter("")
# How the lane of a line begins, so that a target of the same name has another.
LINE_LANE = "/"
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

    `bell` rings after each publication in this process, so that nobody has to poll. Targets that are `in_order` hear of the
    products of a line one after the other: while one waits for its next attempt, so do those behind it.
    """

    def __init__(self, database: Database, in_order: Collection[str] = ()) -> None:
        self._database = database
        self._in_order = frozenset(in_order)
        self._last_lane: dict[str, str] = {}
        self.bell = Bell()

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self._database.write(lambda connection: insert(connection, topic, messages))
        self.bell.ring()

    def lease(
        self, topic: str, limit: int, seconds: float, in_lane: Mapping[str, int], per_target: int
    ) -> list[Delivery]:
        """Up to `limit` due messages, each counted as attempted and hidden for `seconds`.

        The lanes of a topic (a target's lines for notifications, the lines of uploads) take turns, each with its oldest message,
        so that none crowds out the others. For one target at most `per_target` are in work at the same time, where `in_lane`
        counts those that are.
        """
        now = time.time()
        any_due = """SELECT 1 FROM messages INDEXED BY messages_by_topic WHERE topic = ? AND due_at <= ? AND leased_until <= ?
            LIMIT 1"""
        if not self._database.read(any_due, (topic, now, now)):
            return []  # the common case, without a write

        def work(connection: sqlite3.Connection) -> list[Delivery]:
            taken: list[Delivery] = []
            busy = Counter[str]()
            for lane, count in in_lane.items():
                busy[_target(lane)] += count
            lanes = self._in_turn(connection, topic)
            # Twice round: once for each lane's share, once for what the others have left.
            for share in (max(1, limit // max(1, len(lanes))), limit):
                for lane in lanes:
                    most = min(share, limit - len(taken))
                    target = _target(lane)
                    if target:
                        most = min(most, per_target - busy[target])
                    if most <= 0:
                        continue
                    # The first one that is in work, or waits for its next attempt, is still the first.
                    first_only = target in self._in_order
                    found = _oldest(connection, topic, lane, now, now + seconds, most, first_only=first_only)
                    taken += found
                    busy[target] += len(found)
                    if found:
                        self._last_lane[topic] = lane
            return taken

        return self._database.write(work)

    def _in_turn(self, connection: sqlite3.Connection, topic: str) -> list[str]:
        """The lanes of a topic, beginning behind the one that was served last."""
        # From lane to lane by index, however many messages lie in each.
        rows = connection.execute(
            """WITH RECURSIVE lanes (lane) AS (SELECT min(lane) FROM messages WHERE topic = ?1 UNION ALL
            SELECT (SELECT min(lane) FROM messages WHERE topic = ?1 AND lane > lanes.lane) FROM lanes WHERE lane IS NOT NULL)
            SELECT lane FROM lanes WHERE lane IS NOT NULL""",
            (topic,),
        )
        lanes, last = [lane for (lane,) in rows], self._last_lane.get(topic, "")
        return [lane for lane in lanes if lane > last] + [lane for lane in lanes if lane <= last]

    def acknowledge(self, delivery: Delivery) -> None:
        """The message is done. Need not wait for the disk: at worst it is delivered once more."""
        self._database.write_soon(
            lambda connection: connection.execute("DELETE FROM messages WHERE id = ?", (delivery.message_id,))
        )

    def retry(self, delivery: Delivery, delay: float, error: str, *, counted: bool = True) -> None:
        """The attempt failed, or was none where it is not `counted`: deliver again after `delay` seconds."""
        self._database.write_soon(
            lambda connection: connection.execute(
                "UPDATE messages SET leased_until = 0, due_at = ?, last_error = ?, attempts = attempts - ? WHERE id = ?",
                (time.time() + delay, error, 0 if counted else 1, delivery.message_id),
            )
        )

    def move_times(self, seconds: float) -> None:
        """The clock was set by so many seconds: what waits, is leased, or has a deadline goes on as if it had not been."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                """UPDATE messages SET due_at = due_at + ?1,
                leased_until = CASE WHEN leased_until > 0 THEN leased_until + ?1 ELSE 0 END""",
                (seconds,),
            )
            connection.execute("UPDATE inspections SET deadline = deadline + ? WHERE revision = 0", (seconds,))

        self._database.write(work)

    def bury(self, delivery: Delivery, error: str) -> None:
        """Every attempt failed: move the message to the dead letter of its topic."""
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE messages SET topic = ?, leased_until = 0, due_at = ?, last_error = ? WHERE id = ?",
                (dead_letter(delivery.topic), time.time(), error, delivery.message_id),
            )
        )

    def release_leases(self, longest_s: float = 3600.0) -> None:
        """Make every message due that is leased or was never tried, and the others in `longest_s` seconds at the latest, whatever
        the clock was set to: for a runtime that starts after one that died.
        """
        now = time.time()
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE messages SET leased_until = 0, due_at = min(due_at, CASE attempts WHEN 0 THEN ?1 ELSE ?1 + ?2 END)",
                (now, longest_s),
            )
        )

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
            reason = error or attributes.get(REASON, "")
            letters.append(DeadLetter(identity, topic.removesuffix(DEAD_SUFFIX), attributes, attempts, reason, died_at))
        return letters

    def replay(self, topic: str | None = None, *, force: bool = False) -> tuple[int, int]:
        """Put the dead letters (of one topic) back where they came from; returns how many, and how many were left.

        Those that no function could read stay, unless by `force`: they would be back at once.
        """

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            letters = (f"{topic or '%'}{DEAD_SUFFIX}", f"$.{REASON}")
            unread = "topic LIKE ?1 AND json_extract(attributes, ?2) IS NOT NULL"
            if force:
                update = f"UPDATE messages SET attributes = json_remove(attributes, ?2) WHERE {unread}"
                connection.execute(update, letters)
            going = connection.execute(
                """UPDATE messages SET topic = substr(topic, 1, length(topic) - ?3), attempts = 0, due_at = 0, leased_until = 0
                WHERE topic LIKE ?1 AND json_extract(attributes, ?2) IS NULL""",
                (*letters, len(DEAD_SUFFIX)),
            ).rowcount
            ((left,),) = connection.execute(f"SELECT count(*) FROM messages WHERE {unread}", letters)
            return going, left

        counts = self._database.write(work)
        self.bell.ring()
        return counts


def _oldest(
    connection: sqlite3.Connection, topic: str, lane: str, now: float, until: float, most: int, *, first_only: bool
) -> list[Delivery]:
    """Lease the oldest due messages of one lane; by `first_only` its very first message, or none while that is not due."""
    due, of_lane = (
        "due_at <= ?1 AND leased_until <= ?1",
        "FROM messages INDEXED BY messages_by_lane WHERE topic = ?2 AND lane = ?3",
    )
    some = f"id = (SELECT min(id) {of_lane})" if first_only else "TRUE"
    rows = connection.execute(
        f"SELECT id, data, attributes, attempts, published_at {of_lane} AND {due} AND {some} ORDER BY id LIMIT ?4",
        (now, topic, lane, most),
    ).fetchall()
    connection.executemany(
        "UPDATE messages SET attempts = attempts + 1, leased_until = ? WHERE id = ?", [(until, row[0]) for row in rows]
    )
    return [
        Delivery(identity, topic, Message(data, json.loads(attributes)), lane, attempts + 1, published_at)
        for identity, data, attributes, attempts, published_at in rows
    ]


def insert(connection: sqlite3.Connection, topic: str, messages: Sequence[Message]) -> None:
    """Publish inside a transaction of the caller's. A message with a key takes the place of the one that has it.

    While that one waits, its place in the lane as well; one in work leaves the lane with its delivery, so the new one is another.
    """
    now = time.time()
    for message in messages:
        written = (message.data, json.dumps(dict(message.attributes)), _lane(message), now)
        if message.key:
            replaced = connection.execute(
                """UPDATE messages SET data = ?1, attributes = ?2, lane = ?3, published_at = ?4, due_at = ?4, attempts = 0,
                leased_until = 0, last_error = '' WHERE topic = ?5 AND key = ?6 AND key <> '' AND leased_until <= ?4""",
                (*written, topic, message.key),
            ).rowcount
            if replaced:
                continue
            connection.execute("DELETE FROM messages WHERE topic = ? AND key = ? AND key <> ''", (topic, message.key))
        connection.execute(
            """INSERT INTO messages (data, attributes, lane, published_at, due_at, topic, key)
            VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)""",
            (*written, topic, message.key),
        )


def _lane(message: Message) -> str:
    """Target and line of a notification, or the line of an upload; empty for what needs no turn of its own."""
    name, target, line = (message.attributes.get(key, "") for key in ("objectId", "target", "line"))
    if target:
        return f"{target}/{line}" if line else target
    return LINE_LANE + place_of(name, {}).line if "objectId" in message.attributes else ""


def _target(lane: str) -> str:
    """Whose notifications are in it; empty for any other lane."""
    return lane.partition("/")[0]
