"""An event loop on a thread of its own: asyncua is asynchronous, the gate's threads are not."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

T = TypeVar("T")

STOP_S: Final = 5.0


class Loop:
    """Runs one coroutine until it is stopped. `wake` may be called from any thread."""

    def __init__(self, name: str, run: Callable[["Loop"], Coroutine[Any, Any, None]]) -> None:
        self._run = run
        self._loop = asyncio.new_event_loop()
        self._woken = asyncio.Event()
        self.stopping = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something to do now."""
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:  # it has stopped
            return

    async def sleep(self, seconds: float) -> None:
        """Until there is something to do, so long at most."""
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    async def aside(self, pool: Executor, call: Callable[..., T], *arguments: object) -> T:
        """What may wait for something else, on another thread."""
        return await self._loop.run_in_executor(pool, call, *arguments)

    def ask(self, call: Coroutine[Any, Any, T], seconds: float) -> T:
        """What a coroutine on this loop answers; from another thread. Raises TimeoutError."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result(seconds)
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        self.stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run(self))
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
