"""Who puts a decision into words: models, the scenario's authored lines, and the ladder between them."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from agent.breaker import CIRCUIT_OPEN, Breaker
from agent.errors import EngineError
from agent.persona import conveyed
from agent.scenario import Scenario
from agent.steering import Decision
from graphs.deadlines import Budgets, Deadlines
from graphs.model import EngineLate, EngineStalled

OnBroke = Callable[[str, str, str], None]
"""Called with (engine, error code, the rung that takes over) when an engine breaks in mid-call."""

_SENTENCE_END = re.compile(r"[.?!\u2026]['\u2019]?\s*$")


class Wording(Protocol):
    """Puts a decision into spoken words, as they come."""

    @property
    def engine(self) -> str:
        """The name of the engine, as on the ladder."""

    @property
    def model(self) -> str:
        """Its model, "" if it has none."""

    def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        """Yields pieces of text that add up to the reply, spaces included; never none at all.

        Closing the generator, or cancelling the task that reads it, stops the engine.

        Raises:
            EngineError: while it is being read; what was yielded before stands.
        """


class AuthoredWording:
    """The scenario's own lines, word by word; never fails."""

    engine = "authored"
    model = ""

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        """Yields the authored reply; see `Wording.words`."""
        for piece in re.findall(r"\s*\S+", decision.authored):
            yield piece


class FallbackWording:
    """One call's wording: `first` as long as it works in time, `then` for whatever `first` fails to say.

    Where `first` breaks after it began to speak, the sentence is left hanging and `then` says the line
    afresh, as people do, unless what was said got everything across already. While the first word is late,
    the decision's filler is said. `breaker` is what all calls know of `first`: while it is open, `first` is
    not asked and nobody waits for it. `on_broke` is told of each failure, and once that `first` is not asked.

    `then` may be another one: it words what is missing within what is left of the same deadlines, and is
    passed over where that is too little.
    """

    def __init__(
        self,
        first: Wording,
        then: Wording,
        on_broke: OnBroke,
        breaker: Breaker,
        budgets: Budgets | None = None,
    ) -> None:
        self._first = first
        self._then = then
        self._on_broke = on_broke
        self._breaker = breaker
        self._budgets = budgets or Budgets()
        self._told_of_circuit = False

    @property
    def engine(self) -> str:
        """The engine that the next reply is asked of."""
        return self._current.engine

    @property
    def model(self) -> str:
        """The model of that engine."""
        return self._current.model

    @property
    def _current(self) -> Wording:
        return self._then if self._breaker.is_open(_now_s()) else self._first

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        """Yields the reply of whichever rung can give it in time; see `Wording.words`."""
        deadlines = Deadlines(self._budgets, _now_s, decision.filler)
        async with aclosing(self._within(deadlines, scenario, decision)) as pieces:
            first = asyncio.get_running_loop().create_task(_next(pieces))
            try:
                filler_in_s = deadlines.filler_in_s
                if filler_in_s is not None:
                    await asyncio.wait({first}, timeout=filler_in_s)
                    if not first.done():
                        yield deadlines.fill()
                if (piece := await first) is not None:
                    yield piece
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
            async for piece in pieces:
                yield piece

    async def _within(
        self, deadlines: Deadlines, scenario: Scenario, decision: Decision
    ) -> AsyncGenerator[str, None]:
        said = ""
        if self._may_ask_first(deadlines):
            try:
                async with aclosing(self._first.words(scenario, decision)) as pieces:
                    while (piece := await self._in_time(pieces, deadlines, silent=not said)) is not None:
                        said += piece
                        deadlines.worded(piece)
                        yield piece
            except EngineError as error:
                self._breaker.failed(_now_s())
                complete = bool(said) and conveyed(decision, said)
                bridge = _bridge(said, complete=complete)
                if bridge:
                    deadlines.worded(bridge)
                self._on_broke(self._first.engine, error.code, self._asked_within(deadlines))
                if bridge:
                    yield bridge
                if complete:
                    return
            else:
                self._breaker.worked()
                return
        async with aclosing(self._rest(deadlines, scenario, decision)) as pieces:
            async for piece in pieces:
                yield piece

    async def _in_time(
        self, pieces: AsyncGenerator[str, None], deadlines: Deadlines, *, silent: bool
    ) -> str | None:
        """The next piece of the first rung, None after the last."""
        try:
            async with asyncio.timeout_at(deadlines.due_s(shared=self._shares)):
                return await _next(pieces)
        except TimeoutError as error:
            name = self._first.model or self._first.engine
            if silent:
                hint = "Load the model beforehand, or use a smaller one"
                raise EngineLate(f"{name} took too long to its first word", hint=hint) from error
            raise EngineStalled(f"{name} words a reply more slowly than it is spoken") from error

    def _rest(
        self, deadlines: Deadlines, scenario: Scenario, decision: Decision
    ) -> AsyncGenerator[str, None]:
        if isinstance(self._then, FallbackWording):
            return self._then._within(deadlines, scenario, decision)
        return self._then.words(scenario, decision)

    @property
    def _shares(self) -> bool:
        """Whether another model stands below the first, and is not resting."""
        then = self._then
        return isinstance(then, FallbackWording) and (not then._breaker.is_open(_now_s()) or then._shares)

    def _asked_within(self, deadlines: Deadlines) -> str:
        """The engine below the first that goes on."""
        then = self._then
        if not isinstance(then, FallbackWording):
            return then.engine
        if deadlines.leave_time(shared=then._shares) and not then._breaker.is_open(_now_s()):
            return then._first.engine
        return then._asked_within(deadlines)

    def _may_ask_first(self, deadlines: Deadlines) -> bool:
        if not deadlines.leave_time(shared=self._shares):
            return False
        if self._breaker.admits(_now_s()):
            return True
        if not self._told_of_circuit:
            self._told_of_circuit = True
            self._on_broke(self._first.engine, CIRCUIT_OPEN, self._asked_within(deadlines))
        return False


def _bridge(said: str, *, complete: bool) -> str:
    """What ends the words that were said before an engine broke: for good, or for others to come."""
    if not said or _SENTENCE_END.search(said):
        return "" if complete or not said else " "
    return "." if complete else "... "


async def _next(pieces: AsyncGenerator[str, None]) -> str | None:
    return await anext(pieces, None)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
