"""Who puts a decision into words: a model, the scenario's authored lines, and the ladder between them."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Protocol

from agent.breaker import CIRCUIT_OPEN, Breaker
from agent.errors import ConfigError, EngineError, EngineUnavailable
from agent.ladder import Chosen
from agent.persona import conveyed
from agent.scenario import Scenario
from agent.steering import Decision

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
    """One call's wording: `first` as long as it works, `then` for whatever `first` fails to say.

    Where `first` breaks after it began to speak, the sentence is left hanging and `then` says the line
    afresh, as people do, unless what was said got everything across already. `breaker` is what all calls
    know of `first`: while it is open, `first` is not asked and nobody waits for it. `on_broke` is told of
    each failure, and once that `first` is not asked.
    """

    def __init__(self, first: Wording, then: Wording, on_broke: OnBroke, breaker: Breaker) -> None:
        self._first = first
        self._then = then
        self._on_broke = on_broke
        self._breaker = breaker
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
        """Yields the reply of whichever rung can give it; see `Wording.words`."""
        said = ""
        if self._may_ask_first():
            try:
                async with aclosing(self._first.words(scenario, decision)) as pieces:
                    async for piece in pieces:
                        said += piece
                        yield piece
            except EngineError as error:
                self._breaker.failed(_now_s())
                self._on_broke(self._first.engine, error.code, self._then.engine)
            else:
                self._breaker.worked()
                return
        if said and conveyed(decision, said):
            if not _SENTENCE_END.search(said):
                yield "."
            return
        if said:
            yield " " if _SENTENCE_END.search(said) else "... "
        async with aclosing(self._then.words(scenario, decision)) as pieces:
            async for piece in pieces:
                yield piece

    def _may_ask_first(self) -> bool:
        if self._breaker.admits(_now_s()):
            return True
        if not self._told_of_circuit:
            self._told_of_circuit = True
            self._on_broke(self._first.engine, CIRCUIT_OPEN, self._then.engine)
        return False


def for_call(wording: Wording, on_broke: OnBroke, breaker: Breaker | None = None) -> Wording:
    """Returns the wording of one call: with authored lines to fall back on, if it can fail at all.

    `breaker` is the one that all calls share for this wording; without one the call has its own.
    """
    if isinstance(wording, AuthoredWording):
        return wording
    return FallbackWording(wording, AuthoredWording(), on_broke, breaker or Breaker())


async def choose_wording(engine: str, host: str, model: str, timeout_s: float = 3.0) -> Chosen[Wording]:
    """Goes down the ladder: Ollama if it answers within `timeout_s` and has the model, else authored lines.

    `engine` is "auto", "ollama" or "authored". With `model` "" the first chat model that Ollama lists is
    taken. The chosen Ollama holds connections: `open_wording` closes them.

    Raises:
        EngineUnavailable: `engine` is "ollama" and it cannot be used; says the way out.
        ConfigError: `engine` is none of the three.
    """
    if engine not in ("auto", "ollama", "authored"):
        raise ConfigError(f"wording engine '{engine}'", hint="Use auto, ollama or authored")
    if engine == "authored":
        return Chosen("wording", AuthoredWording(), "authored", "", "configured")
    from graphs.ollama import find_model  # its client takes half a second to import

    try:
        found = await find_model(host, model, timeout_s)
    except EngineUnavailable as error:
        if engine == "ollama":
            raise
        return _authored((("ollama", str(error)),))
    return Chosen("wording", found.wording(), "ollama", found.model, found.reason)


@asynccontextmanager
async def open_wording(
    engine: str, host: str, model: str, timeout_s: float = 3.0
) -> AsyncIterator[Chosen[Wording]]:
    """`choose_wording` for as long as the block lasts: the model loaded, connections closed at the end.

    Raises what `choose_wording` raises, and EngineUnavailable for a named Ollama that cannot load the model.
    """
    from graphs.ollama import OllamaWording  # its client takes half a second to import

    async with AsyncExitStack() as stack:
        chosen = await choose_wording(engine, host, model, timeout_s)
        if isinstance(chosen.engine, OllamaWording):
            stack.push_async_callback(chosen.engine.aclose)
            try:
                await chosen.engine.load()
            except EngineError as error:
                if engine == "ollama":
                    raise EngineUnavailable(error.message, hint=error.hint) from error
                chosen = _authored((("ollama", str(error)),))
        yield chosen


def _authored(passed_over: tuple[tuple[str, str], ...]) -> Chosen[Wording]:
    reason = "every line is in the scenario"
    return Chosen("wording", AuthoredWording(), "authored", "", reason, passed_over)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
