"""How one call's engines, best first, stand in for each other within a piece of work."""

import asyncio
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Final, Generic, Protocol, TypeVar

import structlog

from agent.breaker import CIRCUIT_OPEN, Breaker, Breakers
from agent.errors import EngineError, EngineFailed, EngineTimedOut
from pipelines.engines.budget import BudgetSpent
from pipelines.engines.workers import EnginesBusy, Piece, Workers

OnBroke = Callable[[str, str, str], None]
"""Called with the engine that broke, the error's code, and the engine that takes over ("" if none)."""

CRASHED: Final = "engine_crashed"
_STRIKES: Final = 3

log = structlog.get_logger(__name__)


class Engine(Protocol):
    """What the engines of all parts have in common."""

    engine: str
    model: str
    remote: bool


E = TypeVar("E", bound=Engine)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pools:
    """Where engines of a process work: those in it, and those that wait for another one."""

    local: Workers
    remote: Workers

    def of(self, engine: Engine) -> Workers:
        """The pool for the work of `engine`."""
        return self.remote if engine.remote else self.local


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a piece of work may take, in seconds from its beginning.

    After `hedge_s` the next engine is asked, too, and its answer waits for the better engine's until
    `within_s`: an engine that is slow but works serves, one that hangs costs no more than `within_s`. Beyond
    that it is late. A limit measured at warm-up would give a slow engine more, and the trainee more silence.
    `last_s` is for the last engine, behind which there is nobody.
    """

    hedge_s: float
    within_s: float
    last_s: float


@dataclass(slots=True, eq=False)
class CallRung(Generic[E]):
    """An engine as this call knows it. `strikes`: pieces of work in a row that it failed or was late with."""

    engine: E
    pool: Workers
    breaker: Breaker
    last: bool
    strikes: int = 0
    overdue: int = 0
    given_up: bool = False
    reported: set[bool] = field(default_factory=set)
    """Whether it was busy: a report that it was does not stand for one that it broke."""


@dataclass(slots=True, eq=False)
class Attempt(Generic[E, T]):
    """A piece of work as one rung does it. `quiet`: nobody waits for it, so its failure is no news."""

    rung: CallRung[E]
    piece: Piece[T]
    quiet: bool = False

    @property
    def done(self) -> bool:
        """It is over, one way or another."""
        return self.piece.result.done()

    @property
    def error(self) -> BaseException | None:
        """Why there is no answer; None as long as there may be one."""
        result = self.piece.result
        if not result.done() or result.cancelled():
            return None
        return result.exception()

    @property
    def answered(self) -> bool:
        """The rung has done it."""
        result = self.piece.result
        return result.done() and not result.cancelled() and result.exception() is None


class Handover(Generic[E]):
    """Hands work to the best engine that can do it; `engine` and `model` are those of the last that served.

    An engine is foreign code behind a port: whatever `Exception` it raises is its failure, with the code
    "engine_crashed" if it is no EngineError. A failure, garbage or lateness is a strike; after three in a row
    an engine is not asked again in this call. While it is late it is not asked either. The last rung is
    always asked, unless it hangs. `on_broke` is called on the event loop, once for each engine.
    """

    _returns: ClassVar[bool]
    """Whether an engine whose circuit was open is asked again in the same call, once it is closed."""
    _usual: ClassVar[Patience]

    def __init__(
        self,
        engines: Sequence[E],
        *,
        pools: Pools,
        breakers: Breakers,
        on_broke: OnBroke,
        patience: Patience | None = None,
        caller: object = None,
    ) -> None:
        """`breakers` are those of this part of a call, shared by all calls of the process.

        `caller` is whom the pools' threads serve in turn: the call; without one, this object.
        """
        assert engines, "somebody has to do the work"
        self._rungs = [
            CallRung(engine, pools.of(engine), breakers.of(engine.engine), engine is engines[-1])
            for engine in engines
        ]
        self._on_broke = on_broke
        self._patience = patience or self._usual
        self._caller = self if caller is None else caller
        self.engine, self.model = engines[0].engine, engines[0].model

    def close(self) -> None:
        """The call is over: what engines still do for it is not reported any more."""
        self._on_broke = _nobody_is_told

    async def first_good(
        self, begin: Callable[[CallRung[E], float], Attempt[E, T]], covered_s: float = 0.0
    ) -> T:
        """Returns the answer of the best engine that has one in time. Raises EngineFailed if none has.

        `covered_s`: how much longer than usual it may take, because nobody waits in silence.
        """
        within_s = now_s() + self._patience.within_s + covered_s
        tries: list[Attempt[E, T]] = []
        failure: BaseException = EngineFailed("no engine is left")
        try:
            for rung in self._to_ask():
                patience_s = (self._patience.last_s if rung.last else self._patience.hedge_s) + covered_s
                limit_s = (self._patience.last_s if rung.last else self._patience.within_s) + covered_s
                try:
                    tries.append(begin(rung, limit_s))
                except EngineFailed as error:
                    failure = error
                    self._report(rung, error.code)
                    continue
                await _settled(tries, now_s() + patience_s)
                if any(each.answered for each in tries):
                    break
                failure = self._let_go(tries[-1]) or failure
            await _better(tries, within_s)
            for each in tries:
                if each.answered:
                    return self._served(each)
        finally:
            for each in tries:
                each.piece.drop()
        if isinstance(failure, EngineFailed):
            raise failure
        raise _as_failure(failure) from failure

    def begin(
        self, work: Callable[[E], T], rung: CallRung[E], within_s: float, *, quiet: bool = False
    ) -> Attempt[E, T]:
        """Has a rung do a piece of work. Raises EngineFailed if its pool does not take it."""
        piece = rung.pool.submit(work, rung.engine, caller=self._caller, within_s=within_s)
        attempt = Attempt(rung, piece, quiet)
        piece.on_late = partial(self._late, attempt)
        piece.result.add_done_callback(lambda _: self._done(attempt))
        return attempt

    def _to_ask(self) -> Iterator[CallRung[E]]:
        for rung in self._rungs:
            if rung.last:
                if rung.breaker.hangs:
                    self._report(rung, CIRCUIT_OPEN)
                    return
            elif rung.given_up:
                continue
            elif rung.overdue:
                self._report(rung, EngineTimedOut.code)
                continue
            elif not rung.breaker.admits(now_s()):
                rung.given_up = not self._returns
                self._report(rung, CIRCUIT_OPEN)
                continue
            yield rung

    def next_to_ask(self) -> CallRung[E]:
        """The rung that would be asked first; takes no trial."""
        for rung in self._rungs:
            if not (rung.given_up or rung.overdue or rung.breaker.is_open(now_s())):
                return rung
        return self._rungs[-1]

    def _let_go(self, attempt: Attempt[E, T]) -> BaseException | None:
        """Why an engine is not waited for alone any longer. Work that was not begun is dropped."""
        if attempt.error is not None:
            return attempt.error
        if attempt.piece.begun:
            return EngineTimedOut(f"{attempt.rung.engine.engine} took too long")
        attempt.piece.drop()
        self._report(attempt.rung, EnginesBusy.code)
        return EnginesBusy(f"{attempt.rung.engine.engine} did not get its turn")

    def _served(self, attempt: Attempt[E, T]) -> T:
        self.engine, self.model = attempt.rung.engine.engine, attempt.rung.engine.model
        return attempt.piece.result.result()

    def _late(self, attempt: Attempt[E, T]) -> None:
        rung = attempt.rung
        rung.overdue += 1
        rung.breaker.overdue(now_s())
        if not attempt.quiet:
            self._strike(rung, EngineTimedOut.code)

    def _done(self, attempt: Attempt[E, T]) -> None:
        """Also when nobody waits any more: other calls learn from it, and what was late has come back."""
        rung = attempt.rung
        if attempt.piece.late:
            rung.overdue -= 1
            rung.breaker.came_back()
        if attempt.answered:
            rung.breaker.worked()
            if not attempt.piece.late:
                rung.strikes = 0
        elif attempt.error is not None:
            self._failed(attempt, attempt.error)

    def _failed(self, attempt: Attempt[E, T], error: BaseException) -> None:
        rung = attempt.rung
        code = error.code if isinstance(error, EngineError) else CRASHED
        if isinstance(error, EnginesBusy):
            self._report(rung, code)
            return
        if isinstance(error, BudgetSpent):
            # Of this call: to others the engine is as good as ever.
            rung.given_up = not rung.last
        else:
            rung.breaker.failed(now_s())
        if code == CRASHED:
            log.error(
                "engine_crashed",
                engine=rung.engine.engine,
                error=type(error).__name__,
                pii_error=str(error),
                where=traceback.format_tb(error.__traceback__),
            )
        if not attempt.quiet:
            self._strike(rung, code)

    def _strike(self, rung: CallRung[E], code: str) -> None:
        rung.strikes += 1
        if rung.strikes >= _STRIKES and not rung.last:
            rung.given_up = True
        self._report(rung, code)

    def _report(self, rung: CallRung[E], code: str) -> None:
        busy = code == EnginesBusy.code
        if busy in rung.reported:
            return
        rung.reported.add(busy)
        below = self._rungs[self._rungs.index(rung) + 1 :]
        taking_over = (other.engine.engine for other in below if not (other.given_up or other.overdue))
        self._on_broke(rung.engine.engine, code, next(taking_over, ""))


async def _settled(tries: Sequence[Attempt[E, T]], until_s: float) -> None:
    """Waits until the newest try is done or any other has answered, but not beyond `until_s`."""
    while not (tries[-1].done or any(each.answered for each in tries)) and now_s() < until_s:
        await _any_done(tries, until_s)


async def _better(tries: Sequence[Attempt[E, T]], until_s: float) -> None:
    """Waits, not beyond `until_s`, until no engine is left that is better than the best that has answered."""
    while now_s() < until_s:
        best = next((index for index, each in enumerate(tries) if each.answered), len(tries))
        if all(each.done for each in tries[:best]):
            return
        await _any_done(tries[:best], until_s)


async def _any_done(tries: Sequence[Attempt[E, T]], until_s: float) -> None:
    running = [each.piece.result for each in tries if not each.done]
    await asyncio.wait(running, timeout=max(0.0, until_s - now_s()), return_when=asyncio.FIRST_COMPLETED)


def now_s() -> float:
    """The clock of breakers and waiting: the event loop's, in seconds."""
    return asyncio.get_running_loop().time()


def _nobody_is_told(engine: str, code: str, taking_over: str) -> None:
    """The call is over."""


def _as_failure(error: BaseException) -> EngineFailed:
    if isinstance(error, EngineError):
        return EngineFailed(error.message, hint=error.hint)
    return EngineFailed(f"an engine broke with {type(error).__name__}")
