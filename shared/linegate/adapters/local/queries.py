"""The port Queries in SQLite, of a database that may belong to a gate which is running: see `catalogue`."""

import heapq
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from typing import Any, Final, Literal, TypeVar

from linegate import rollups
from linegate.adapters.local.database import MEND, Rows
from linegate.answers import Refusal
from linegate.errors import CursorError, TransientError
from linegate.inspection import Inspection, OutboxEntry, OutboxState, Revision
from linegate.ports import Undelivered, begins_an_id
from linegate.rollups import Counts, Slot, ordered
from linegate.search import MOST_COUNTED, Page, Position, Wanted, cursor_at, position
from linegate.stored import load_json, readable

T = TypeVar("T")

# So many entries of an index are looked at for a page, in 10 … 20 ms.
SCAN: Final = 10_000
MARK: Final = "mark = :mark"
MARKED: Final = "EXISTS (SELECT 1 FROM marks WHERE mark = :mark AND received_at = c.received_at AND number = c.number)"
# What a page is found by: the first index of those whose conditions are all asked for. Beside equality, a condition may be
# that of a partial index.
INDEXES: Final = (
    ("catalogue_by_serial", {"serial = :serial"}),
    ("marks", {MARK}),
    ("catalogue_by_person", {"decided_by = 'person'"}),
    ("catalogue_by_line_and_verdict", {"line = :line", "verdict = :verdict"}),
    ("catalogue_by_recipe", {"recipe = :recipe"}),
    ("catalogue_by_line", {"line = :line"}),
    ("catalogue_by_verdict", {"verdict = :verdict"}),
    ("catalogue_by_time", set[str]()),
)
Found = tuple[float, int, str, str]  # received_at, number, id, document


@dataclass(frozen=True, slots=True)
class _Walk:
    """Through an index, in the order of time, from a position on. `rest` is asked of each entry by itself."""

    index: str
    conditions: Collection[str]
    rest: Collection[str]
    values: Mapping[str, Any]
    oldest_first: bool = False

    def after(self, position: Position | None) -> tuple[str, dict[str, Any]]:
        """The entries to look at, SCAN at most, and the values of the query."""
        conditions = list(self.conditions)
        values = dict(self.values)
        order, beyond = ("ASC", ">") if self.oldest_first else ("DESC", "<")
        if position is not None:
            values |= {"at": position.received_at.timestamp(), "number": int(position.key)}
            conditions += [f"received_at {beyond}= :at", f"(received_at, number) {beyond} (:at, :number)"]
        where = " AND ".join(conditions or ["1"])
        entries = f"WHERE {where} ORDER BY received_at {order}, number {order} LIMIT {SCAN}"
        columns = "id, line, recipe, verdict, decided_by"
        if self.index == "marks":
            return (
                f"""SELECT m.received_at, m.number, {columns}
                FROM (SELECT received_at, number FROM marks {entries}) m CROSS JOIN catalogue c ON c.number = m.number""",
                values,
            )
        return f"SELECT received_at, number, {columns} FROM catalogue INDEXED BY {self.index} {entries}", values


class SqliteQueries:
    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def undecided(self, now: datetime) -> tuple[int, int]:
        query = "SELECT count(*), coalesce(sum(deadline <= ?), 0) FROM inspections WHERE revision = 0"
        ((waiting, overdue),) = self._rows.read(query, (now.timestamp(),))
        return waiting, overdue

    def decided(self) -> list[str]:
        return [identity for (identity,) in self._rows.read("SELECT id FROM inspections WHERE revision > 0")]

    def newest(self) -> datetime | None:
        ((received_at,),) = self._rows.read("SELECT max(received_at) FROM inspections")
        return None if received_at is None else _time(received_at)

    def search(self, wanted: Wanted, cursor: str = "", limit: int = 50) -> Page[Inspection]:
        values: dict[str, Any] = {
            "serial": wanted.serial,
            "mark": wanted.mark,
            "line": wanted.line,
            "verdict": wanted.verdict and wanted.verdict.value,
            "recipe": wanted.recipe,
        }
        equal = {f"{name} = :{name}" for name, value in values.items() if value is not None}
        if wanted.decided_by is not None:
            equal.add(f"decided_by = '{wanted.decided_by.value}'")
        index, by = next((index, by) for index, by in INDEXES if by <= equal)
        spans = {
            "received_at >= :since": wanted.since and wanted.since.timestamp(),
            "received_at < :until": wanted.until and wanted.until.timestamp(),
        }
        values |= {"since": spans["received_at >= :since"], "until": spans["received_at < :until"]}
        within = {condition for condition, value in spans.items() if value is not None}
        walk = _Walk(index, by | within, equal - by, values, wanted.oldest_first)
        begin = _begin(cursor, wanted)
        found = self._walk(walk, begin, limit + 1)
        end = None
        if len(found) <= limit and walk.rest:
            end = self._end(walk, begin)
        return _page(found, limit, wanted, end)

    def waiting(self, lines: Collection[str] = (), cursor: str = "", limit: int = 50) -> Page[Inspection]:
        asked = ("waiting", *sorted(set(lines)))
        begin = _begin(cursor, asked)
        walks = [
            _Walk("catalogue_waiting_by_line", ("waiting = 1", "line = :line"), (), {"line": line}, oldest_first=True)
            for line in asked[1:]
        ] or [_Walk("catalogue_waiting", ("waiting = 1",), (), {}, oldest_first=True)]
        found = list(heapq.merge(*(self._walk(walk, begin, limit + 1) for walk in walks)))[: limit + 1]
        count = 0
        for walk in walks:
            where = " AND ".join(walk.conditions)
            query = f"SELECT count(*) FROM (SELECT 1 FROM catalogue INDEXED BY {walk.index} WHERE {where} LIMIT {MOST_COUNTED})"
            count += self._rows.read(query, walk.values)[0][0]
        return _page(found, limit, asked, count=min(count, MOST_COUNTED))

    def counts(
        self,
        line: str | None,
        recipe: str | None,
        since: datetime,
        until: datetime,
        by: Literal["hour", "day"] = "hour",
        zone: tzinfo = UTC,
    ) -> list[Slot]:
        if since >= until:
            return []
        spans = rollups.spans(since, until, zone if by == "day" else None)
        lines = """WITH RECURSIVE lines (line) AS (SELECT min(line) FROM rollups UNION ALL
            SELECT (SELECT min(line) FROM rollups WHERE line > lines.line) FROM lines WHERE line IS NOT NULL)"""
        rows = self._rows.read(
            f"""{lines}, spans AS (SELECT key AS span, json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS behind
                FROM json_each(:spans))
            SELECT r.line, {"span" if by == "day" else "r.hour"}, r.recipe, r.counter, sum(r.value)
            FROM lines CROSS JOIN spans CROSS JOIN rollups r ON r.line = lines.line AND r.hour >= first AND r.hour < behind
            WHERE (:line IS NULL OR lines.line = :line) AND (:recipe IS NULL OR r.recipe = :recipe)
            GROUP BY 1, 2, 3, 4""",
            {
                "line": line,
                "recipe": recipe,
                "spans": json.dumps([[first.timestamp(), behind.timestamp()] for _, first, behind in spans]),
            },
        )
        slots = []
        for (of_line, begin, of_recipe), counters in groupby(rows, lambda row: row[:3]):
            start = spans[begin][0] if by == "day" else _time(begin)
            counts = Counts({counter: value for *_, counter, value in counters if value})
            slots.append(Slot(start, of_line, of_recipe, counts))
        return ordered(slot for slot in slots if slot.counts.counters)

    def find(self, wanted: str, limit: int) -> list[Inspection]:
        by_id = begins_an_id(wanted)
        query = """SELECT i.id, i.document FROM (
                SELECT id, received_at FROM catalogue WHERE serial = :wanted
                UNION SELECT id, received_at FROM catalogue WHERE :by_id AND id >= :wanted AND id < :wanted || 'g'
                ORDER BY received_at DESC LIMIT :limit) c
            CROSS JOIN inspections i ON i.id = c.id ORDER BY c.received_at DESC"""
        rows = self._rows.read(query, {"wanted": wanted, "by_id": by_id, "limit": limit})
        return readable(lambda text: load_json(Inspection, text), rows)

    def revisions(self, inspection_id: str) -> list[Revision]:
        query = "SELECT document FROM revisions WHERE inspection_id = ? ORDER BY number"
        return self._all(Revision, query, inspection_id)

    def refusals(self, inspection_id: str) -> list[Refusal]:
        query = "SELECT document FROM refusals WHERE inspection_id = ? ORDER BY refused_at"
        return self._all(Refusal, query, inspection_id)

    def notifications(self, inspection_id: str) -> list[OutboxEntry]:
        query = "SELECT document FROM outbox WHERE inspection_id = ? ORDER BY revision, target"
        return self._all(OutboxEntry, query, inspection_id)

    def undelivered(self) -> list[Undelivered]:
        rows = self._rows.read(
            """SELECT target, state, count(*), max(json_extract(document, '$.attempts')), min(created_at),
            max(json_extract(document, '$.last_error')) FROM outbox
            WHERE state IN ('PENDING', 'DEAD', 'HELD') GROUP BY target, state"""
        )
        return [
            Undelivered(target, OutboxState(state), count, attempts, _time(oldest), last_error)
            for target, state, count, attempts, oldest, last_error in rows
        ]

    def _walk(self, walk: _Walk, begin: Position | None, limit: int) -> list[Found]:
        """What is found on a walk, in its order."""
        entries, values = walk.after(begin)
        rest = " AND ".join(MARKED if condition == MARK else condition for condition in walk.rest) or "1"
        query = f"""SELECT c.received_at, c.number, c.id, i.document FROM ({entries}) c
            CROSS JOIN inspections i ON i.id = c.id WHERE {rest} LIMIT :limit"""
        return self._rows.read(query, values | {"limit": limit})

    def _end(self, walk: _Walk, begin: Position | None) -> Position | None:
        """The last entry that was looked at, where there may be more behind it."""
        entries, values = walk.after(begin)
        last = self._rows.read(f"SELECT received_at, number FROM ({entries}) LIMIT 1 OFFSET {SCAN - 1}", values)
        return Position(_time(last[0][0]), str(last[0][1])) if last else None

    def _all(self, cls: type[T], query: str, *values: object) -> list[T]:
        try:
            return [load_json(cls, text) for (text,) in self._rows.read(query, values)]
        except ValueError as error:
            raise TransientError(f"a record in the database is damaged{MEND}") from error


def _begin(cursor: str, asked: object) -> Position | None:
    found = position(cursor, asked)
    if found is not None and not found.key.isdecimal():
        raise CursorError("this cursor was made by another store; begin with the first page")
    return found


def _page(
    found: list[Found], limit: int, asked: object, end: Position | None = None, count: int | None = None
) -> Page[Inspection]:
    """The first `limit` of what was found; `end` is where the walk ended early."""
    rows = found[:limit]
    if len(found) > limit:
        end = Position(_time(rows[-1][0]), str(rows[-1][1]))
    records = [(identity, document) for _, _, identity, document in rows]
    items = readable(lambda text: load_json(Inspection, text), records)
    known = {item.inspection_id for item in items}
    unreadable = tuple(identity for identity, _ in records if identity not in known)
    return Page(tuple(items), cursor_at(end, asked) if end else "", unreadable, count)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
