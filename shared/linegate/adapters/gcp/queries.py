"""The port Queries in Firestore. What is asked for of inspections are fields of their documents, each with an index by time;
Firestore merges these where several are asked for. A page reads as many documents as it holds and one more, whatever the
history; counts read a few documents for each line, recipe and day.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, TypeVar

from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from linegate.adapters.gcp.errors import BUDGET_S, RETRY, mapped
from linegate.adapters.gcp.firestore import SERVICE, Firestore, value
from linegate.answers import Refusal
from linegate.errors import TransientError
from linegate.inspection import Inspection, OutboxEntry, OutboxState, Revision
from linegate.ports import Undelivered, begins_an_id
from linegate.rollups import Counts, Slot, days, ordered
from linegate.search import MOST_COUNTED, Page, Position, Wanted, cursor_at, position
from linegate.stored import readable
from linegate.texts import brief

T = TypeVar("T")


class FirestoreQueries:
    def __init__(self, store: Firestore) -> None:
        self._store = store

    def undecided(self, now: datetime) -> tuple[int, int]:
        waiting: Any = self._inspections.where(filter=FieldFilter("decided", "==", False))
        overdue = waiting.where(filter=FieldFilter("deadline", "<=", now))
        return self._count(waiting), self._count(overdue)

    def decided(self) -> list[str]:
        query = self._inspections.where(filter=FieldFilter("decided", "==", True)).select([])
        return [snapshot.id for snapshot in self._store.stream(query)]

    def newest(self) -> datetime | None:
        query = self._inspections.order_by("received_at", direction="DESCENDING").limit(1).select(["received_at"])
        times = [snapshot.get("received_at") for snapshot in self._store.stream(query)]
        return times[0] if times else None

    def search(self, wanted: Wanted, cursor: str = "", limit: int = 50) -> Page[Inspection]:
        equal = {
            "place.line": wanted.line,
            "recipe": wanted.recipe,
            "place.serial": wanted.serial,
            "revision.decision.verdict": wanted.verdict and wanted.verdict.value,
            "by": wanted.decided_by and wanted.decided_by.value,
        }
        query: Any = self._inspections
        for field, value_ in equal.items():
            if value_ is not None:
                query = query.where(filter=FieldFilter(field, "==", value_))
        if wanted.mark is not None:
            query = query.where(filter=FieldFilter("marks", "array_contains", wanted.mark))
        if wanted.since is not None:
            query = query.where(filter=FieldFilter("received_at", ">=", wanted.since))
        if wanted.until is not None:
            query = query.where(filter=FieldFilter("received_at", "<", wanted.until))
        return self._page(query, wanted, position(cursor, wanted), limit, oldest_first=wanted.oldest_first)

    def waiting(self, lines: Collection[str] = (), cursor: str = "", limit: int = 50) -> Page[Inspection]:
        asked = ("waiting", *sorted(set(lines)))
        query: Any = self._inspections.where(filter=FieldFilter("waiting", "==", True))
        if lines:
            query = query.where(filter=FieldFilter("place.line", "in", list(asked[1:])))
        page = self._page(query, asked, position(cursor, asked), limit, oldest_first=True)
        return replace(page, count=self._count(query.limit(MOST_COUNTED)))

    def _page(
        self, query: Any, asked: object, begin: Position | None, limit: int, *, oldest_first: bool
    ) -> Page[Inspection]:
        direction = "ASCENDING" if oldest_first else "DESCENDING"
        query = query.order_by("received_at", direction=direction).order_by("__name__", direction=direction)
        if begin is not None:
            query = query.start_after({"received_at": begin.received_at, "__name__": self._store.board(begin.key)})
        snapshots = self._store.stream(query.limit(limit + 1))
        more, snapshots = len(snapshots) > limit, snapshots[:limit]
        items = readable(lambda one: value(Inspection, one), ((one.id, one) for one in snapshots))
        known = {item.inspection_id for item in items}
        end = Position(snapshots[-1].get("received_at"), snapshots[-1].id) if more else None
        unreadable = tuple(one.id for one in snapshots if one.id not in known)
        return Page(tuple(items), cursor_at(end, asked) if end else "", unreadable)

    def counts(
        self,
        line: str | None,
        recipe: str | None,
        since: datetime,
        until: datetime,
        by: Literal["hour", "day"] = "hour",
        zone: tzinfo = UTC,
    ) -> list[Slot]:
        query: Any = self._store.client.collection("rollups")
        for field, wanted in (("line", line), ("recipe", recipe)):
            if wanted is not None:
                query = query.where(filter=FieldFilter(field, "==", wanted))
        for comparison, moment in ((">=", since), ("<=", until)):
            query = query.where(filter=FieldFilter("day", comparison, f"{moment.astimezone(UTC):%Y-%m-%d}"))
        sums: dict[tuple[datetime, str, str], Counts] = {}
        for part in (snapshot.to_dict() for snapshot in self._store.stream(query)):
            for hour, counters in part["hours"].items():
                start = datetime.fromisoformat(f"{part['day']}T{hour}:00:00+00:00")
                if since <= start < until:
                    key = (start, part["line"], part["recipe"])
                    sums[key] = sums.get(key, Counts()) + Counts(counters)
        hours = [Slot(*key, counts) for key, counts in sums.items() if counts.counters]
        return days(hours, zone) if by == "day" else ordered(hours)

    def find(self, wanted: str, limit: int) -> list[Inspection]:
        by_serial = self._inspections.where(filter=FieldFilter("place.serial", "==", wanted))
        queries: list[Any] = [by_serial.order_by("received_at", direction="DESCENDING")]
        if begins_an_id(wanted):
            by_id = self._inspections.order_by("__name__")
            first, behind = self._store.board(wanted), self._store.board(f"{wanted}g")
            queries.append(by_id.start_at({"__name__": first}).end_before({"__name__": behind}))
        snapshots = {one.id: one for query in queries for one in self._store.stream(query.limit(limit))}
        found = {one.inspection_id: one for one in readable(lambda one: value(Inspection, one), snapshots.items())}
        return sorted(found.values(), key=lambda one: one.received_at, reverse=True)[:limit]

    def revisions(self, inspection_id: str) -> list[Revision]:
        found = self._all(Revision, self._store.board(inspection_id).collection("revisions"))
        return sorted(found, key=lambda revision: revision.number)

    def refusals(self, inspection_id: str) -> list[Refusal]:
        found = self._all(Refusal, self._store.board(inspection_id).collection("refusals"))
        return sorted(found, key=lambda refusal: refusal.refused_at)

    def notifications(self, inspection_id: str) -> list[OutboxEntry]:
        query = self._store.client.collection("outbox").where(filter=FieldFilter("inspection_id", "==", inspection_id))
        return sorted(self._all(OutboxEntry, query), key=lambda entry: (entry.revision, entry.target))

    def undelivered(self) -> list[Undelivered]:
        states = [OutboxState.PENDING.value, OutboxState.DEAD.value, OutboxState.HELD.value]
        query = self._store.client.collection("outbox").where(filter=FieldFilter("state", "in", states))
        groups: dict[tuple[str, OutboxState], list[OutboxEntry]] = {}
        for entry in self._all(OutboxEntry, query):
            groups.setdefault((entry.target, entry.state), []).append(entry)
        return [
            Undelivered(
                target,
                state,
                count=len(entries),
                attempts=max(entry.attempts for entry in entries),
                oldest=min(entry.created_at for entry in entries),
                last_error=max(entry.last_error for entry in entries),
            )
            for (target, state), entries in sorted(groups.items())
        ]

    @staticmethod
    def _count(query: Any) -> int:
        with mapped(SERVICE):
            ((count,),) = query.count().get(retry=RETRY, timeout=BUDGET_S)
        return int(count.value)

    @property
    def _inspections(self) -> firestore.CollectionReference:
        return self._store.client.collection("inspections")

    def _all(self, cls: type[T], query: Any) -> list[T]:
        snapshots = self._store.stream(query)
        try:
            return [value(cls, snapshot) for snapshot in snapshots]
        except ValueError as error:
            raise TransientError(f"a record in Firestore can't be read: {brief(str(error))}") from error
