"""The threads on which engines work: a bounded pool of our own, so that nothing else can starve it."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from agent.errors import EngineFailed

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Runs blocking work of all calls in the order of its arrival; to be used from one event loop."""

    def __init__(self, threads: int, waiting_at_most: int) -> None:
        self.threads = threads
        self.waiting_at_most = waiting_at_most
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._unfinished: set[Future[Any]] = set()

    @property
    def depth(self) -> int:
        """How many pieces of work wait for a thread."""
        return max(0, len(self._unfinished) - self.threads)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `work(*args, **kwargs)` returns, raises what it raises; context variables go along.

        When the waiter is cancelled, work that has not begun is dropped; work that has begun runs to its
        end, and its result or error is ignored. Raises EngineFailed if too much is waiting already.
        """
        if self.depth >= self.waiting_at_most:
            raise EngineFailed(
                f"{self.depth} pieces of work wait for {self.threads} engine threads",
                hint="This machine holds too many calls for its engines",
            )
        future = self._executor.submit(contextvars.copy_context().run, lambda: work(*args, **kwargs))
        self._unfinished.add(future)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._unfinished.discard, done))
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Drops what has not begun and waits for what has."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._unfinished:
            running = (asyncio.wrap_future(future) for future in self._unfinished)
            await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def open_workers(threads: int, waiting_at_most: int = 64) -> AsyncIterator[Workers]:
    """Opens `threads` threads; beyond `waiting_at_most` waiting pieces of work, more is refused."""
    workers = Workers(threads, waiting_at_most)
    try:
        yield workers
    finally:
        await workers.close()
