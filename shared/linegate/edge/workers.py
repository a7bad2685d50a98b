"""Worker processes: whatever opens, decodes or compares pictures runs in one of them, within limits of memory and time.

A picture that makes a decoder spin, crash or eat the machine takes its worker with it, and nothing else. The delivery counts as a
failed attempt, and a new worker takes the old one's place. It is also the way to all of a machine's cores: the threads of one
interpreter share one lock.

A worker is handed the body of a push and answers with a status, as a function on the platform does. It has connections of its own
to the database and sends its log lines to the process that started it.
"""

import os
import pickle
import resource
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, Final

from linegate import bootstrap, logs
from linegate.adapters.local.database import DATABASE, Database
from linegate.edge.functions import Response, in_process, load_all
from linegate.logs import log
from linegate.settings import Settings

# Loaded once, in the process that workers are forked from, so that a new one is there within a moment.
PRELOAD: Final = (
    "linegate.adapters.golden.verifier",
    "linegate.adapters.local.queries",
    "linegate.adapters.local.store",
    "linegate.annotate",
    "linegate.edge.workers",
)
# What a worker's last words may take, once it was asked to stop.
LAST_WORDS_S: Final = 1.0
# Of a thread. The system's own 8 MiB would count as memory that is taken.
STACK_BYTES: Final = 1 << 20
FAILED: Final = 500
# One that dies as soon as it begins is not begun again at once.
REVIVE_S: Final = 0.5
# How often a worker that has nothing to do looks again what it lacks.
LOOK_AGAIN_S: Final = 5.0

Body = dict[str, Any]


class WorkerPool:
    """Processes that serve the functions of `stages`. Safe to share between threads; `start` it, at last `stop` it."""

    def __init__(self, settings: Settings, stages: Collection[str]) -> None:
        self._settings = settings
        self._stages = tuple(stages)
        self._time_limit_s = settings.worker_time_limit_s
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._stopping = False

    def start(self) -> None:
        detectors = (detector for recipe in self._settings.recipes.values() for detector in recipe.detectors)
        context = forkserver(tuple(dict.fromkeys(module for detector in detectors for module in detector.preload)))
        self._workers = [self._begun(context) for _ in range(self._settings.workers)]

    def deliver(self, stage: str, body: Body) -> Response:
        """What the function of the stage answered. A worker that died or was killed over it makes it a failure."""
        with self._lock:
            if self._stopping:
                return Response(FAILED, "the gate is stopping")
            worker = min(self._workers, key=lambda one: one.busy)
            answer = worker.send(stage, body)
        try:
            return answer.result(self._time_limit_s)
        except Late:
            log.error("worker.killed", stage=stage, pid=worker.pid, time_limit_s=self._time_limit_s)
            worker.sentenced = True
            self._replace(worker)
            return Response(FAILED, f"it took longer than {self._time_limit_s:g} s; its worker was killed", killed=True)
        except _DiedError as error:
            if self._stopping:  # it was not the message's fault
                return Response(FAILED, "the gate was stopped over it")
            self._replace(worker)
            # Where it was ended for another message's slowness, this one is no suspect.
            return Response(FAILED, str(error), killed=not worker.sentenced)

    def why_not(self, recipe: str) -> str:
        """Why no worker could work on a product of this recipe now; "" where one could."""
        whys = [worker.why_not(recipe) for worker in tuple(self._workers)]
        return min(whys, key=bool, default="there is no worker")

    def stop(self, grace_s: float) -> None:
        """Ask the workers to finish what they have, and end those that have not within `grace_s` seconds."""
        with self._lock:
            self._stopping = True
        until = time.monotonic() + grace_s
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.end(until - time.monotonic())

    def _replace(self, worker: "_Worker") -> None:
        """Several deliveries may have gone down with one worker: the first of them to say so has it replaced."""
        with self._lock:
            if worker not in self._workers or self._stopping:
                return
            self._workers[self._workers.index(worker)] = self._begun(forkserver())
        worker.end(0)

    def _begun(self, context: ForkServerContext) -> "_Worker":
        return _Worker(context, self._settings, self._stages, self._revive)

    def _revive(self, worker: "_Worker") -> None:
        """It died with nothing to do: another one takes its place all the same, for a gate without workers decides nothing."""
        later = threading.Timer(REVIVE_S, self._replace, (worker,))
        later.daemon = True
        later.start()


class _DiedError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Lacks:
    """What a worker says of itself when it is ready, and whenever that changes: recipes that it can't work by, each with why."""

    recipes: dict[str, str]


@dataclass(slots=True)
class _Worker:
    """One process as the gate sees it."""

    context: ForkServerContext
    settings: Settings
    stages: tuple[str, ...]
    died_idle: Callable[["_Worker"], None]
    _connection: Connection = field(init=False)
    _process: ForkServerProcess = field(init=False)
    _answers: dict[int, "Future[Response]"] = field(default_factory=dict)
    sentenced: bool = False  # it is being ended because it took too long
    _lacks: _Lacks | None = None  # until it is ready
    _sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._connection, theirs = self.context.Pipe()
        # Its share of all that may be in work: a message that waits behind others' slow services here would be late.
        threads = max(1, -(-sum(self.settings.in_work[stage] for stage in self.stages) // self.settings.workers))
        arguments = (theirs, self.settings, self.stages, threads)
        self._process = self.context.Process(target=_work, args=arguments, name="linegate-worker", daemon=True)
        self._process.start()
        theirs.close()
        self._reader = threading.Thread(target=self._read, name="linegate-worker-answers", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def busy(self) -> int:
        return len(self._answers)

    def why_not(self, recipe: str) -> str:
        if not self._process.is_alive():
            return "its worker process has ended"
        return "its worker process starts" if self._lacks is None else self._lacks.recipes.get(recipe, "")

    def send(self, stage: str, body: Body) -> "Future[Response]":
        answer: Future[Response] = Future()
        with self._lock:
            self._sent += 1
            number = self._sent
            self._answers[number] = answer
            try:
                self._connection.send((number, stage, body))
            except OSError:
                self._answers.pop(number, None)
                answer.set_exception(_DiedError(self._last_words()))
        return answer

    def dismiss(self) -> None:
        with self._lock, suppress(OSError):
            self._connection.send(None)

    def end(self, seconds: float) -> None:
        self._process.join(max(0.0, seconds))
        if self._process.is_alive():
            self._process.kill()
            self._process.join(LAST_WORDS_S)
        self._reader.join(LAST_WORDS_S)
        self._connection.close()

    def _read(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError, pickle.UnpicklingError):
                break
            match message:
                case (int(number), Response() as response):
                    with self._lock:
                        answer = self._answers.pop(number, None)
                    if answer is not None:
                        answer.set_result(response)
                case _Lacks():
                    self._lacks = message
                case (str(level), dict(fields)):
                    getattr(log, level, log.info)(fields.pop("event", ""), **fields)
        self._process.join(LAST_WORDS_S)
        with self._lock:
            left, self._answers = self._answers, {}
        for answer in left.values():
            answer.set_exception(_DiedError(self._last_words()))
        if left:
            log.error("worker.died", pid=self.pid, exit_code=self._process.exitcode, deliveries=len(left))
        else:
            self.died_idle(self)

    def _last_words(self) -> str:
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"its worker process was ended by {signal.Signals(-code).name}"
        return f"its worker process ended (exit code {code})"


def forkserver(modules: Sequence[str] = ()) -> ForkServerContext:
    """Where workers are forked from: a process without threads, which has imported what they need, and these modules.

    There is one for each process of the gate; it imports what it is told when it is first used.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, *modules])
    return context


# --- inside a worker


def _work(connection: Connection, settings: Settings, stages: tuple[str, ...], threads: int) -> None:
    """Serve what comes until the gate dismisses this worker, or is gone itself."""
    # Ctrl-C and `systemctl stop` reach every process of the group: when to stop is the gate's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(settings.umask)
    threading.stack_size(STACK_BYTES)
    sending = threading.Lock()

    def send(message: object) -> None:
        with sending, suppress(OSError):
            connection.send(message)

    logs.forward(lambda level, fields: send((level, fields)))
    database = Database(settings.data / DATABASE)
    app = bootstrap.local(settings, database)
    deliver = in_process(app)
    load_all(stages)
    lacks = _Lacks(app.lacking(stages))  # each board that needs what can't be built says so
    send(lacks)
    _limit_memory(settings.worker_memory_bytes)

    def answer(number: int, stage: str, body: Body) -> None:
        try:
            response = deliver(stage, body)
        except Exception as error:  # the framework itself: the message must come again
            log.exception("worker.failed", stage=stage)
            response = Response(FAILED, f"{type(error).__name__}: {error}")
        send((number, response))

    with ThreadPoolExecutor(threads, thread_name_prefix="linegate-worker") as pool:
        while True:
            try:
                while not connection.poll(LOOK_AGAIN_S):
                    lacks = _told_anew(lacks, _Lacks(app.lacking(stages)), send)
                message = connection.recv()
            except (EOFError, OSError):
                os._exit(1)  # the gate is gone; whoever comes after it finds everything in the database
            if message is None:
                break
            pool.submit(answer, *message)
    database.close()


def _told_anew(before: _Lacks, now: _Lacks, send: Callable[[object], None]) -> _Lacks:
    if now != before:
        send(now)
    return now


def _limit_memory(allowance: int) -> None:
    """What the process may take beside what it has taken by now, in bytes; beyond it Python raises MemoryError."""
    with suppress(OSError, ValueError, StopIteration):  # another system, or a stricter limit that stands already
        status = Path("/proc/self/status").read_text("ascii")
        taken = next(line for line in status.splitlines() if line.startswith("VmData:"))
        limit = (int(taken.split()[1]) << 10) + allowance
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
