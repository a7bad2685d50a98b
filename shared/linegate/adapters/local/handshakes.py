"""What a gate beside a line keeps of its handshakes, in SQLite: a row for each target and line, and one for each connection."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from linegate.adapters.local.database import Database, Rows
from linegate.adapters.local.lock import holder
from linegate.line.controllers import Controller, Link
from linegate.line.handshake import State
from linegate.stored import dump_json, load_json


class SqliteHandshake:
    """The HandshakeStore of one target and line."""

    def __init__(self, database: Database, target: str, line: str) -> None:
        self._database = database
        self._key = (target, line)

    def read(self) -> State | None:
        rows = self._database.read("SELECT document FROM handshakes WHERE target = ? AND line = ?", self._key)
        return load_json(State, rows[0][0]) if rows else None

    def write(self, state: State) -> None:
        row = (*self._key, state.acknowledged, len(state.queue), dump_json(state), time.time())
        self._database.write(
            lambda connection: connection.execute(
                """INSERT INTO handshakes (target, line, acknowledged, waiting, document) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT DO UPDATE SET waiting = ?4, document = ?5, acknowledged = ?3,
                acknowledged_at = CASE WHEN acknowledged = ?3 THEN acknowledged_at ELSE ?6 END""",
                row,
            )
        )


def link_keeper(database: Database, target: str) -> Callable[[bool, str], None]:
    """What keeps the latest that a target said of its connection. It waits for no disk, and nothing depends on it."""
    latest: list[tuple[bool, str]] = []

    def said(connected: bool, text: str) -> None:
        if latest[-1:] == [(connected, text)]:
            return
        latest[:] = [(connected, text)]
        row = (target, connected, text, time.time())
        database.write_soon(lambda connection: connection.execute("REPLACE INTO links VALUES (?, ?, ?, ?)", row))

    return said


def forget_links(database: Database) -> None:
    """Nobody is connected to a gate that starts."""
    database.write(lambda connection: connection.execute("DELETE FROM links"))


def controllers(rows: Rows, data: Path | None = None) -> list[Controller]:
    """All handshakes, by target and line; with their links, where a gate serves the folder `data`. Raises TransientError."""
    known = {link.target: link for link in links(rows)} if data is not None and holder(data)[0] is not None else {}
    query = "SELECT target, line, acknowledged, acknowledged_at, waiting FROM handshakes ORDER BY target, line"
    return [
        Controller(target, line, acknowledged, _time(at) if at else None, waiting, known.get(target))
        for target, line, acknowledged, at, waiting in rows.read(query)
    ]


def links(rows: Rows) -> list[Link]:
    """Of all targets that told of their connection, by name. Raises TransientError."""
    found = rows.read("SELECT target, connected, said, since FROM links ORDER BY target")
    return [Link(target, bool(connected), said, _time(since)) for target, connected, said, since in found]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
