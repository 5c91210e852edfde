"""The threads on which engines work: a bounded pool of our own, so that nothing else can starve it."""

import asyncio
import contextvars
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, Final, Generic, TypeVar, TypeVarTuple

import structlog

from agent.errors import EngineFailed, EngineTimedOut

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BEHIND_AFTER_S: Final = 0.5
_RECENT_S: Final = 10.0
_RECENT_WAITS: Final = 32
_WAITS_THAT_TELL: Final = 3

log = structlog.get_logger(__name__)


class EnginesBusy(EngineTimedOut):
    """A piece of work was not begun: too much of other calls' was before it. No engine is to blame."""

    code = "engines_busy"


class Piece(Generic[T]):
    """A piece of work that a pool has taken. `result` is its outcome, on the event loop, and never cut short.

    `late` turns true when it has worked for longer than it may and not come back.
    """

    def __init__(
        self, pool: "Workers", work: Callable[[], T], caller: object, within_s: float | None, now_s: float
    ) -> None:
        self.result: asyncio.Future[T] = pool._loop.create_future()
        self.late = False
        self.on_late: Callable[[], None] | None = None
        self._pool = pool
        self._run: Callable[[], T] | None = work
        self._caller = caller
        self._within_s = within_s
        self._context = contextvars.copy_context()
        self._queued_s = now_s
        self._waited_s: float | None = None
        self._limit: asyncio.TimerHandle | None = None

    @property
    def begun(self) -> bool:
        """A thread has taken it up."""
        return self._waited_s is not None

    def drop(self) -> None:
        """Forgets it, if no thread has taken it up yet; otherwise it runs to its end."""
        self._pool._drop(self)


class Workers:
    """Runs blocking work of all calls on a few threads, which serve the callers in turn.

    Each caller has a first-in-first-out queue of its own, so that one with much to do delays another by one
    piece of work at most. A thread that an engine does not give back in time is replaced, up to a bound; it
    ends when its engine lets go of it. To be used from one event loop.
    """

    def __init__(
        self,
        threads: int,
        waiting_at_most: int = 64,
        *,
        replacements: int = 8,
        behind_after_s: float = BEHIND_AFTER_S,
        name: str = "engine",
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`replacements`: threads that may hang at the same time before none is started for them any more.

        `behind_after_s`: a wait that says that engines can't keep up, see `behind`.
        """
        assert threads > 0 and waiting_at_most > 0, "somebody has to do the work"
        self.threads = threads
        self.waiting_at_most = waiting_at_most
        self.on_wait: Callable[[float], None] = _ignore
        """Called on the event loop with the seconds that each piece of work waited for a thread."""
        self._replacements = replacements
        self._behind_after_s = behind_after_s
        self._name = name
        self._now_s = now_s
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        # What follows belongs to whoever holds the condition.
        self._queues: OrderedDict[object, deque[Piece[Any]]] = OrderedDict()
        self._waiting = 0
        self._closed = False
        self._serving: dict[threading.Thread, Piece[Any] | None] = {}
        # What follows belongs to the event loop.
        self._hanging = 0
        self._waits: deque[tuple[float, float]] = deque(maxlen=_RECENT_WAITS)
        self._idle = asyncio.Event()
        for _ in range(threads):
            self._start_thread()

    @property
    def depth(self) -> int:
        """How many pieces of work wait for a thread."""
        return self._waiting

    @property
    def hanging(self) -> int:
        """How many threads their engines have not given back in time."""
        return self._hanging

    @property
    def behind(self) -> bool:
        """Engines can't keep up: work waits for too long, or did so in the last ten seconds, or all hang."""
        now_s = self._now_s()
        with self._changed:
            exhausted = not self._serving and not self._closed
            oldest_s = min((queue[0]._queued_s for queue in self._queues.values()), default=now_s)
        recent = [waited_s for at_s, waited_s in self._waits if now_s - at_s <= _RECENT_S]
        slow = len(recent) >= _WAITS_THAT_TELL and median(recent) > self._behind_after_s
        return exhausted or slow or now_s - oldest_s > self._behind_after_s

    async def run(
        self, work: Callable[[*Ts], T], *args: *Ts, caller: object = None, within_s: float | None = None
    ) -> T:
        """Returns what `work(*args)` returns, raises what it raises; context variables go along.

        When the waiter is cancelled, work that has not begun is dropped; work that has begun runs to its
        end, and its result or error is ignored.

        Raises:
            EngineTimedOut: it was not done in `within_s`, waiting included; EnginesBusy if not even begun.
            EngineFailed: it was refused, see `submit`, or raised an exception that is no `Exception`.
        """
        piece = self.submit(work, *args, caller=caller, within_s=within_s)
        try:
            done, _ = await asyncio.wait((piece.result,), timeout=within_s)
        finally:
            piece.drop()
        if done:
            return piece.result.result()
        raise EngineTimedOut(f"an engine took more than {within_s} s") if piece.begun else self._busy()

    def submit(
        self, work: Callable[[*Ts], T], *args: *Ts, caller: object = None, within_s: float | None = None
    ) -> Piece[T]:
        """Queues `work(*args)` and returns at once. `within_s` is how long it may work, once it has begun.

        Raises EngineFailed: too much is waiting, all threads hang, or the pool is closed.
        """
        context = contextvars.copy_context()
        piece = Piece(self, lambda: context.run(work, *args), caller, within_s, self._now_s())
        with self._changed:
            if self._closed:
                raise EngineFailed(f"the {self._name} threads are closed")
            if not self._serving:
                raise self._exhausted()
            if self._waiting >= self.waiting_at_most:
                raise self._busy()
            self._queues.setdefault(caller, deque()).append(piece)
            self._waiting += 1
            self._changed.notify()
        return piece

    async def close(self, within_s: float = 5.0) -> None:
        """Drops what has not begun and waits for what has, `within_s` at most; what hangs is abandoned."""
        with self._changed:
            self._closed = True
            dropped = [piece for queue in self._queues.values() for piece in queue]
            self._queues.clear()
            self._waiting = 0
            self._changed.notify_all()
            if not self._serving:
                self._idle.set()
        for piece in dropped:
            piece.result.cancel()
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("engine_threads_abandoned", threads=len(self._serving))

    def _drop(self, piece: Piece[Any]) -> None:
        with self._changed:
            queue = self._queues.get(piece._caller)
            if queue is None or piece not in queue:
                return
            queue.remove(piece)
            self._waiting -= 1
            if not queue:
                del self._queues[piece._caller]
        piece._run = None
        piece.result.cancel()
        self._note_wait(self._now_s() - piece._queued_s)

    def _note_wait(self, waited_s: float) -> None:
        self._waits.append((self._now_s(), waited_s))
        self.on_wait(waited_s)

    def _start_thread(self) -> None:
        # A daemon: an engine that hangs must not keep the process from ending.
        thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
        with self._changed:
            self._serving[thread] = None
        thread.start()

    def _serve(self) -> None:
        thread = threading.current_thread()
        while (piece := self._next(thread)) is not None:
            self._work(piece)
            # An idle thread keeps nobody's sound or text alive.
            del piece
        self._tell(self._ended)

    def _next(self, thread: threading.Thread) -> Piece[Any] | None:
        """Takes the next caller's piece of work; None when the thread is to end."""
        with self._changed:
            if thread not in self._serving:
                return None
            self._serving[thread] = None
            while not self._queues and not self._closed:
                self._changed.wait()
            if self._closed:
                del self._serving[thread]
                return None
            caller, queue = self._queues.popitem(last=False)
            piece = queue.popleft()
            if queue:
                self._queues[caller] = queue
            self._waiting -= 1
            piece._waited_s = self._now_s() - piece._queued_s
            self._serving[thread] = piece
        return piece

    def _work(self, piece: Piece[Any]) -> None:
        run, piece._run = piece._run, None
        assert run is not None, "a piece of work is taken up once"
        self._tell(self._begun, piece, threading.current_thread())
        try:
            result = run()
        except BaseException as error:  # noqa: BLE001 the thread's boundary: the waiter gets it
            self._tell(_settle, piece, None, _as_exception(error))
        else:
            self._tell(_settle, piece, result, None)

    def _tell(self, news: Callable[[*Ts], None], *args: *Ts) -> None:
        try:
            self._loop.call_soon_threadsafe(news, *args)
        except RuntimeError:
            # The loop is closed: this thread was abandoned, and nobody is left to be told.
            return

    def _begun(self, piece: Piece[Any], thread: threading.Thread) -> None:
        self._note_wait(piece._waited_s or 0.0)
        if piece._within_s is not None:
            piece._limit = self._loop.call_later(
                piece._within_s, self._overdue, piece, thread, context=piece._context
            )

    def _overdue(self, piece: Piece[Any], thread: threading.Thread) -> None:
        """The thread may never come back: another one takes its place, and it ends if it does."""
        with self._changed:
            if self._serving.get(thread) is not piece:
                return
            del self._serving[thread]
            replace = self._hanging < self._replacements and not self._closed
            stranded = [] if self._serving or replace else [p for q in self._queues.values() for p in q]
            if stranded:
                self._queues.clear()
                self._waiting = 0
            if self._closed and not self._serving:
                self._idle.set()
        self._hanging += 1
        log.warning("engine_thread_hangs", pool=self._name, hanging=self._hanging, replaced=replace)
        if replace:
            self._start_thread()
        for left in stranded:
            left.result.set_exception(self._exhausted())
        piece.late = True
        if piece.on_late is not None:
            piece.on_late()

    def _ended(self) -> None:
        """A thread has ended: the pool is closed, or its engine gave it back after all."""
        if not self._closed:
            self._hanging -= 1
            if len(self._serving) < self.threads:
                self._start_thread()
        elif not self._serving:
            self._idle.set()

    def _busy(self) -> EnginesBusy:
        return EnginesBusy(
            f"{self._waiting} pieces of work wait for {self.threads} {self._name} threads",
            hint="This machine holds too many calls for its engines",
        )

    def _exhausted(self) -> EnginesBusy:
        return EnginesBusy(
            f"all {self._name} threads hang in their engines, and so do {self._replacements} replacements",
            hint="Restart this process, and look for engine_broke in its log for the engine that hangs",
        )


@asynccontextmanager
async def open_workers(
    threads: int, waiting_at_most: int = 64, *, name: str = "engine"
) -> AsyncIterator[Workers]:
    """Opens `threads` threads; beyond `waiting_at_most` waiting pieces of work, more is refused."""
    workers = Workers(threads, waiting_at_most, name=name)
    try:
        yield workers
    finally:
        await workers.close()


def _settle(piece: Piece[Any], result: Any, error: Exception | None) -> None:
    if piece._limit is not None:
        piece._limit.cancel()
    if error is None:
        piece.result.set_result(result)
    else:
        piece.result.set_exception(error)
        # Read here, so that asyncio does not complain of an error that nobody waits for any more.
        piece.result.exception()


def _as_exception(error: BaseException) -> Exception:
    """An error that a future can carry: SystemExit or a panic of native code must not end the event loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    failure = EngineFailed(f"an engine broke with {type(error).__name__}")
    failure.__cause__ = error
    return failure


def _ignore(waited_s: float) -> None:
    """Nobody wants to know."""
