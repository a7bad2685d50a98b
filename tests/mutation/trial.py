"""Tries mutants on the tests that run them.

One process collects the tests and forks: first to learn which test runs which lines and how long it takes, then for each
mutant, whose code takes the place of the functions' there. So nothing is imported twice, and a trial takes as long as its tests
until the first that fails. What runs at import only (a default, a constant) is tried in a fork of the process before anything
of Linegate was imported.
"""

import ast
import gc
import importlib
import importlib.machinery
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

import pytest

from tests.mutation.swapping import Key, compiled, functions, swap

MOST_S: Final = 40.0  # of tests, for one mutant; what is beyond that is not run, and said
NEAR: Final = 12  # lines
OFTEN: Final = 100  # calls of a function in one test after which it is taken for known which lines of it the test runs
GRACE_S: Final = 10.0  # for what is being tried when the time is over
OPTIONS: Final = ("-s", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore")


@dataclass(frozen=True)
class Change:
    """One mutant of a module: `tree` makes its source anew, changed. `lines` are those that a test of it runs."""

    path: str
    line: int
    lines: range
    what: str
    tree: Callable[[], ast.Module | str]


@dataclass
class Outcome:
    """What became of a mutant. `killed_by` names the test that failed; `cut` says that not all tests were run."""

    killed_by: str = ""
    tests: int = 0
    cut: bool = False
    at_import: bool = field(default=False, repr=False)


@dataclass
class Known:
    """What a test does when nothing is changed."""

    takes_s: float
    lines: set[tuple[str, int]]
    passes: bool


@dataclass
class Bench:
    """How trials run: how many at a time, until when, and the environment that each of them has for itself."""

    jobs: int
    until: float
    scratch: Path
    places: Sequence[Mapping[str, str]]  # of environment variables, one for each job
    told: Callable[[int, Outcome], None]


class Runner:
    """The plugin that tries mutants in the place of running the tests."""

    def __init__(self, changes: Sequence[Change], bench: Bench) -> None:
        self.changes, self.bench = changes, bench
        self.known: list[Known] = []
        self.ids: list[str] = []
        self.hurried = False  # there was no time to learn of all tests
        self.killers: dict[str, list[tuple[int, str]]] = {}  # in each module, by line

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        paths = {change.path for change in self.changes}
        for path in sorted(paths):
            _import(path)
        live = functions(paths)
        plain = {path: compiled(ast.parse(Path(path).read_bytes()), path) for path in paths}
        self.ids = [item.nodeid for item in session.items]
        self.known = list(self._baseline(session, paths))
        self.hurried = any(not known.lines and not known.passes for known in self.known)
        gc.freeze()  # what is shared with the forks stays shared
        bench = replace(self.bench, told=self._told)
        forked(self.changes, bench, lambda index, place: self._trial(session, index, live, plain), self._limit)
        return True

    def _limit(self, change: Change) -> float:
        chosen, _ = self._chosen(change)
        return 20 + 6 * sum(self.known[index].takes_s for index in chosen)

    def _chosen(self, change: Change) -> tuple[list[int], bool]:
        """The tests that run the lines of a change, the quickest first, and whether there are too many."""
        lines = {(change.path, line) for line in change.lines}
        chosen = [index for index, known in enumerate(self.known) if known.passes and not lines.isdisjoint(known.lines)]
        kept, cut = at_most(chosen, [known.takes_s for known in self.known])
        near = {name for line, name in self.killers.get(change.path, ()) if abs(line - change.line) < NEAR}
        return sorted(kept, key=lambda index: self.ids[index] not in near), cut  # who killed the neighbour comes first

    def _told(self, index: int, outcome: Outcome) -> None:
        change = self.changes[index]
        self.killers.setdefault(change.path, []).append((change.line, outcome.killed_by))
        self.bench.told(index, outcome)

    def _baseline(self, session: pytest.Session, paths: set[str]) -> Iterator[Known]:
        """What each test does now, learned in processes of their own, so that it leaves nothing behind."""
        items, jobs = session.items, self.bench.jobs
        files: list[str] = list(dict.fromkeys(item.nodeid.partition("::")[0] for item in items))
        part = {file: index % jobs for index, file in enumerate(files)}
        parts = [
            [i for i, item in enumerate(items) if part[item.nodeid.partition("::")[0]] == job] for job in range(jobs)
        ]
        pids = []
        for job, mine in enumerate(parts):
            if pid := os.fork():
                pids.append(pid)
                continue
            with _alone(self.bench, f"b{job}", job):
                half = time.monotonic() + (self.bench.until - time.monotonic()) / 2
                found = [
                    _traced(session, mine, at, paths) if time.monotonic() < half else (0.0, [], False)
                    for at in range(len(mine))
                ]
                (self.bench.scratch / f"known-{job}").write_text(json.dumps(found))
                os._exit(0)
        for pid in pids:
            os.waitpid(pid, 0)
        learned: dict[int, Known] = {}
        for job, mine in enumerate(parts):
            for index, (takes_s, lines, passes) in zip(
                mine, json.loads((self.bench.scratch / f"known-{job}").read_text()), strict=True
            ):
                learned[index] = Known(takes_s, {(path, line) for path, line in lines}, passes)
        return (learned[index] for index in range(len(items)))

    def _trial(
        self,
        session: pytest.Session,
        index: int,
        live: dict[Key, list[FunctionType]],
        plain: dict[str, CodeType],
    ) -> Outcome:
        change = self.changes[index]
        if not swap(live, plain[change.path], compiled(change.tree(), change.path)):
            return Outcome(at_import=True)
        chosen, cut = self._chosen(change)
        for at, item in enumerate(chosen):
            _run(session, chosen, at)
            if session.testsfailed:
                return Outcome(session.items[item].nodeid, at + 1)
        return Outcome(tests=len(chosen), cut=cut or self.hurried)


def at_most(chosen: Iterable[int], takes_s: Sequence[float]) -> tuple[list[int], bool]:
    """The quickest of these tests, as long as their sum stays below `MOST_S`, and whether some were left out."""
    kept: list[int] = []
    total = 0.0
    waiting = sorted(chosen, key=lambda index: takes_s[index])
    for index in waiting:
        total += takes_s[index]
        if kept and total > MOST_S:
            return kept, True
        kept.append(index)
    return kept, False


def forked(
    changes: Sequence[Change],
    bench: Bench,
    trial: Callable[[int, int], Outcome],
    limit: Callable[[Change], float],
    only: Sequence[int] | None = None,
) -> None:
    """Have each change tried by a process of its own, and tell what became of it."""
    waiting = list(reversed(range(len(changes)) if only is None else only))
    running: dict[int, tuple[int, int, float]] = {}
    while waiting or running:
        while waiting and len(running) < bench.jobs and time.monotonic() < bench.until:
            index = waiting.pop()
            place = next(p for p in range(bench.jobs) if all(p != taken for _, taken, _ in running.values()))
            if pid := os.fork():
                running[pid] = (index, place, time.monotonic() + limit(changes[index]))
                continue
            with _alone(bench, f"m{index}", place):
                (bench.scratch / f"outcome-{index}").write_text(json.dumps(vars(trial(index, place))))
                os._exit(0)
        if waiting and not running:
            return  # the time is over
        time.sleep(0.01)
        for pid, (index, _, end) in list(running.items()):
            late, over = time.monotonic() > end, time.monotonic() > bench.until + GRACE_S
            if not (late or over) and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _end(pid)
            del running[pid]
            said = bench.scratch / f"outcome-{index}"
            if os.environ.get("MUTATION_LOUD"):
                print(
                    index,
                    late,
                    changes[index].line,
                    changes[index].what,
                    said.exists() and said.read_text(),
                    time.monotonic(),
                    file=sys.stderr,
                )
            if said.exists():
                bench.told(index, Outcome(**json.loads(said.read_text())))
            elif not over:
                bench.told(index, Outcome("time" if late else "end of the process", 1))
            shutil.rmtree(bench.scratch / f"m{index}", ignore_errors=True)


def _end(pid: int) -> None:
    """With all that it started."""
    for stop in (os.killpg, os.kill):
        try:
            stop(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.waitpid(pid, 0)


class _alone:  # noqa: N801
    """A forked process: in a group of its own, silent, with its environment and folder; whatever happens, it ends here."""

    def __init__(self, bench: Bench, name: str, place: int) -> None:
        self.bench, self.name, self.place = bench, name, place

    def __enter__(self) -> None:
        os.setpgid(0, 0)
        os.environ.update(self.bench.places[self.place])
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        if not os.environ.get("MUTATION_LOUD"):
            os.dup2(null, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        folder = self.bench.scratch / self.name
        folder.mkdir()
        tempfile.tempdir = str(folder)
        os.environ["TMPDIR"] = str(folder)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if os.environ.get("MUTATION_LOUD"):
            sys.excepthook(kind, error, trace)  # type: ignore[arg-type]
        os._exit(1)


def _run(session: pytest.Session, chosen: Sequence[int], at: int) -> None:
    factory: Any = session.config._tmp_path_factory  # type: ignore[attr-defined]
    if factory._basetemp is None:
        factory._basetemp = Path(tempfile.mkdtemp())
    items = session.items
    following = items[chosen[at + 1]] if at + 1 < len(chosen) else None
    items[chosen[at]].config.hook.pytest_runtest_protocol(item=items[chosen[at]], nextitem=following)


def _traced(session: pytest.Session, chosen: Sequence[int], at: int, paths: set[str]) -> tuple[float, list[Any], bool]:
    lines: set[tuple[str, int]] = set()
    called: Counter[CodeType] = Counter()

    def in_function(frame: FrameType, event: str, arg: object) -> Any:
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return in_function

    def calls(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename not in paths or called[frame.f_code] > OFTEN:
            return None
        called[frame.f_code] += 1
        return in_function(frame, event, arg)

    failed, began = session.testsfailed, time.monotonic()
    threading.settrace(calls)
    sys.settrace(calls)
    try:
        _run(session, chosen, at)
    finally:
        sys.settrace(None)
        threading.settrace(None)
    return time.monotonic() - began, list(lines), session.testsfailed == failed


def _import(path: str) -> None:
    parts = Path(path).with_suffix("").parts
    importlib.import_module(".".join(parts[len(parts) - 1 - parts[::-1].index("linegate") :]))


def imported(changes: Sequence[Change], bench: Bench, only: Sequence[int], runner: Runner) -> None:
    """Try what runs at import on the tests that run the module, in processes that have imported nothing of Linegate yet."""
    takes_s = [known.takes_s for known in runner.known]

    def trial(index: int, place: int) -> Outcome:
        change = changes[index]
        code, loader = compiled(change.tree(), change.path), importlib.machinery.SourceFileLoader
        plain = loader.get_code

        def get_code(self: Any, name: str) -> CodeType | None:
            return code if self.path == change.path else plain(self, name)

        setattr(loader, "get_code", get_code)  # noqa: B010
        chosen, cut = of_module(change)
        first = First()
        broken = pytest.main([*OPTIONS, "-x", *(runner.ids[at] for at in chosen)], plugins=[first])
        return Outcome(first.failed or ("the import" if broken else ""), len(chosen), cut)

    def of_module(change: Change) -> tuple[list[int], bool]:
        near = [
            at
            for at, known in enumerate(runner.known)
            if known.passes and any(p == change.path for p, _ in known.lines)
        ]
        return at_most(near, takes_s)

    def limit(change: Change) -> float:
        return 60 + 6 * sum(takes_s[at] for at in of_module(change)[0])

    forked(changes, bench, trial, limit, only)


class First:
    """The plugin that knows the first test that failed."""

    failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid
