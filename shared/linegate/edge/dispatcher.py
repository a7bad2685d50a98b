"""Serves the bus: leases messages, calls the functions, and does with each what its status code says."""

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from linegate.adapters.local.bus import Delivery, LocalBus
from linegate.edge.functions import Deliver
from linegate.errors import TransientError
from linegate.events import push_body
from linegate.logs import log
from linegate.sections import Retry
from linegate.settings import Settings
from linegate.stages import SERVING_ORDER, STAGES
from linegate.texts import printable

# The codes on which Pub/Sub takes a push as acknowledged.
ACKNOWLEDGED = frozenset({102, 200, 201, 202, 204})
DEFERRED = 429
# Another process may have published (`linegate replay`): look again after this long without a ring.
POLL_S = 0.5
# Whatever a service asks for: a product that waits longer has been given up by everybody.
LONGEST_WAIT_S = 3600.0
# A clock that moves against the machine's own by more than this was set.
STEP_S = 2.0
# What is under way may take this long when the gate is asked to stop.
GRACE_S = 30.0
# A message whose workers died goes to the dead letter from this attempt on: it would take one with it each time.
KILLS = 3


class Dispatcher:
    """One thread leases, a pool per stage works. `start`, then `stop`, which finishes what is under way."""

    def __init__(self, bus: LocalBus, settings: Settings, deliver: Deliver) -> None:
        self._bus = bus
        self._settings = settings.edge
        self._deliver = deliver
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._finished = threading.Condition(self._lock)
        self._in_work: Counter[str] = Counter()
        self._in_lane: Counter[str] = Counter()
        self._limits: Mapping[str, int] = settings.in_work
        self._pools = {
            stage: ThreadPoolExecutor(self._limits[stage], thread_name_prefix=f"linegate-{stage}")
            for stage in SERVING_ORDER
        }
        self._ahead = time.time() - time.monotonic()
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="linegate-dispatcher", daemon=True)

    def start(self) -> None:
        self._bus.release_leases(self._settings.retry.maximum_s)
        self._thread.start()

    def stop(self, grace_s: float = GRACE_S) -> bool:
        """Take nothing new, wait for what is under way; False if it takes longer. What was not begun stays on the bus."""
        until = time.monotonic() + grace_s
        self._stopping.set()
        self._bus.bell.ring()
        self._thread.join(grace_s)
        for pool in self._pools.values():
            pool.shutdown(wait=False)
        with self._lock:
            return self._finished.wait_for(lambda: not self._in_work.total(), max(0.0, until - time.monotonic()))

    @property
    def idle(self) -> bool:
        """Nothing in work and nothing due now."""
        with self._lock:
            if self._in_work.total():
                return False
        return not any(backlog.waiting or backlog.in_work for backlog in self._bus.backlog().values())

    @property
    def still_s(self) -> float:
        """For how long it has not moved: with nothing to do it moves every `POLL_S`."""
        return time.monotonic() - self._moved

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._moved = time.monotonic()
            try:
                self._follow_clock()
                self._lease_all()
                due = self._bus.next_due()
            except TransientError as error:
                log.error("bus.unreachable", error=str(error))
                due = None
            except Exception:  # without this thread nothing would ever be delivered again
                log.exception("dispatcher.crashed")
                due = None
            wait = POLL_S if due is None else min(POLL_S, max(0.001, due - time.time()))
            self._bus.bell.wait(wait)

    def _follow_clock(self) -> None:
        """Times on the bus are of the wall clock, so that they survive a restart; where it is set, they are set with it."""
        ahead = time.time() - time.monotonic()
        step, self._ahead = ahead - self._ahead, ahead
        if abs(step) > STEP_S:
            log.warning("clock.stepped", seconds=round(step))
            self._bus.move_times(step)

    def _lease_all(self) -> None:
        no_room_for_crops = False
        for stage in SERVING_ORDER:
            # No new product while its crops would have to wait, or a flood of uploads would outrun the deadlines.
            if stage == "detect" and no_room_for_crops:
                return
            while not self._stopping.is_set():
                self._moved = time.monotonic()
                with self._lock:
                    free = self._limits[stage] - self._in_work[stage]
                    in_lane = dict(self._in_lane)
                if free <= 0:
                    no_room_for_crops |= stage == "verify"
                    break
                deliveries = self._bus.lease(
                    STAGES[stage].topic,
                    free,
                    self._settings.lease_s,
                    in_lane,
                    self._settings.concurrency.notify_per_target,
                )
                if not deliveries:
                    break
                for delivery in deliveries:
                    with self._lock:
                        self._in_work[stage] += 1
                        self._in_lane[delivery.lane] += 1
                    self._pools[stage].submit(self._attempt, stage, delivery)

    def _attempt(self, stage: str, delivery: Delivery) -> None:
        try:
            self._serve(stage, delivery)
        except Exception as error:  # the bus itself failed; the lease ends and the message comes again
            log.error("bus.delivery_lost", stage=stage, error=str(error))
        finally:
            with self._lock:
                self._in_work[stage] -= 1
                self._in_lane[delivery.lane] -= 1
                if not self._in_lane[delivery.lane]:
                    del self._in_lane[delivery.lane]
                self._finished.notify_all()
            self._bus.bell.ring()

    def _serve(self, stage: str, delivery: Delivery) -> None:
        body = push_body(
            delivery.message,
            message_id=str(delivery.message_id),
            publish_time=datetime.fromtimestamp(delivery.published_at, UTC).isoformat(),
            subscription=f"projects/edge/subscriptions/{stage}",
            attempt=delivery.attempt,
        )
        response = self._deliver(stage, body)
        error = f"answered {response.status}: {printable(response.said, 500)}"
        if response.status in ACKNOWLEDGED:
            self._bus.acknowledge(delivery)
        elif response.status == DEFERRED:  # refused by ourselves: no attempt was made
            wait = max(self._settings.retry.minimum_s, min(response.retry_after_s, LONGEST_WAIT_S))
            self._bus.retry(delivery, wait, error, counted=False)
        elif delivery.attempt >= (KILLS if response.killed else self._settings.retry.attempts):
            log.error("message.dead", stage=stage, attempts=delivery.attempt, **_ids(delivery))
            self._bus.bury(delivery, error)
        else:
            wait = max(backoff(self._settings.retry, delivery.attempt), min(response.retry_after_s, LONGEST_WAIT_S))
            self._bus.retry(delivery, wait, error)


def backoff(retry: Retry, attempt: int) -> float:
    """Seconds to wait after failed attempt 1, 2, …: doubling from minimum to maximum, up to a quarter less at random."""
    longest = min(retry.maximum_s, retry.minimum_s * 2.0 ** (attempt - 1))
    return longest * random.uniform(0.75, 1.0)


def _ids(delivery: Delivery) -> dict[str, str]:
    keys = ("inspection_id", "line", "target")
    return {key: delivery.message.attributes[key] for key in keys if key in delivery.message.attributes}
