"""The ladder of those who word the persona's lines: a server, Ollama, the scenario's own lines."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import langsmith

from agent.breaker import Breakers
from agent.errors import ConfigError, EngineError, EngineUnavailable
from agent.ladder import Chosen
from agent.scenario import Scenario
from agent.steering import Decision
from graphs.deadlines import Budgets
from graphs.model import ChatModel, FoundModel, ModelWording
from graphs.wording import AuthoredWording, FallbackWording, OnBroke, Wording

_BELOW: Final = {"auto": ("server", "ollama"), "server": ("server", "ollama"), "ollama": ("ollama",)}
"""The models that may serve, best first, by what is configured; authored lines stand below all of them."""
_WAY_OUT: Final = {
    "server": "Check wording.server_url and wording.server_model",
    "ollama": "See what Ollama's log says",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordingSettings:
    """`engine` is auto, server, ollama or authored. `server_url` has its `/v1`, "" is no server.

    Without a `server_model` the only one that the server has is taken, without an `ollama_model` the first
    chat model that Ollama lists. `answer_timeout_s`: how long either may take to say which models it has.
    """

    engine: str = "auto"
    server_url: str = ""
    server_model: str = ""
    server_key: str = field(default="", repr=False)
    ollama_host: str = ""
    ollama_model: str = ""
    answer_timeout_s: float = 3.0


class ModelsWording:
    """The models that are open, best first; as a wording it is the first of them."""

    def __init__(self, rungs: tuple[ModelWording, ...]) -> None:
        assert rungs, "without a model there are authored lines"
        self.rungs = rungs
        self.engine = rungs[0].engine
        self.model = rungs[0].model

    def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        """Yields the first model's reply; see `Wording.words`."""
        return self.rungs[0].words(scenario, decision)


def for_call(
    wording: Wording, on_broke: OnBroke, breakers: Breakers | None = None, budgets: Budgets | None = None
) -> Wording:
    """Returns the wording of one call: each model falls back on the next, the last on authored lines.

    `breakers` are those that all calls share, by engine; without any the call has its own.
    """
    breakers = breakers or Breakers()
    rungs = wording.rungs if isinstance(wording, ModelsWording) else (wording,)
    chain: Wording = AuthoredWording()
    for rung in reversed(rungs):
        if not isinstance(rung, AuthoredWording):
            chain = FallbackWording(rung, chain, on_broke, breakers.of(rung.engine), budgets)
    return chain


def chat_models(wording: Wording) -> tuple[ChatModel, ...]:
    """The models behind what `open_wording` chose, best first, for other work than wording; may be none."""
    return tuple(rung.chat for rung in wording.rungs) if isinstance(wording, ModelsWording) else ()


@asynccontextmanager
async def open_wording(settings: WordingSettings) -> AsyncIterator[Chosen[Wording]]:
    """Climbs the ladder for as long as the block lasts: models loaded, connections closed at the end.

    A model below the chosen one is opened, too, if it can be used: calls fall back on it. LangSmith, which
    LangChain would send the prompts to if the environment says so, is switched off for the process.

    Raises:
        EngineUnavailable: the engine named cannot be used; says the way out.
        ConfigError: `engine` is none of the four.
    """
    if settings.engine not in (*_BELOW, "authored"):
        raise ConfigError(f"wording engine '{settings.engine}'", hint="Use auto, server, ollama or authored")
    langsmith.configure(enabled=False)
    async with AsyncExitStack() as stack:
        names = [
            name
            for name in _BELOW.get(settings.engine, ())
            if name != "server" or settings.server_url or settings.engine == "server"
        ]
        async with asyncio.TaskGroup() as group:
            opening = {name: group.create_task(_opened(name, settings, stack)) for name in names}
        yield _chosen(settings.engine, {name: task.result() for name, task in opening.items()})


async def find_server(settings: WordingSettings) -> FoundModel:
    """Asks the server for its models. Raises EngineUnavailable, also if no server is configured."""
    if not settings.server_url:
        hint = "Set wording.server_url, or use another engine"
        raise EngineUnavailable("no server for the persona's words is set", hint=hint)
    from graphs.server import find_model  # its client takes a second to import

    return await find_model(
        settings.server_url, settings.server_model, settings.server_key, settings.answer_timeout_s
    )


@dataclass(frozen=True, slots=True)
class _Open:
    found: FoundModel
    wording: ModelWording


def _chosen(engine: str, rungs: dict[str, _Open | EngineUnavailable]) -> Chosen[Wording]:
    named = rungs.get(engine)
    if isinstance(named, EngineUnavailable):
        raise named
    usable = [rung for rung in rungs.values() if isinstance(rung, _Open)]
    passed_over = []
    for name, rung in rungs.items():
        if isinstance(rung, _Open):
            break
        passed_over.append((name, str(rung)))
    if not usable:
        reason = "configured" if engine == "authored" else "every line is in the scenario"
        return Chosen("wording", AuthoredWording(), "authored", "", reason, tuple(passed_over))
    first, *others = usable
    reason = first.found.reason
    for other in others:
        reason += f"; {other.wording.engine} ({other.wording.model}) stands by"
    wording = ModelsWording(tuple(rung.wording for rung in usable))
    return Chosen("wording", wording, wording.engine, wording.model, reason, tuple(passed_over))


async def _opened(name: str, settings: WordingSettings, stack: AsyncExitStack) -> _Open | EngineUnavailable:
    """Finds the model and has it loaded; `stack` closes it."""
    try:
        found, chat = await (_server(settings) if name == "server" else _ollama(settings))
        stack.push_async_callback(chat.aclose)
        await chat.load()
    except EngineError as error:
        if isinstance(error, EngineUnavailable) and error.hint:
            return error
        unavailable = EngineUnavailable(error.message, hint=error.hint or _WAY_OUT[name])
        unavailable.__cause__ = error
        return unavailable
    return _Open(found, ModelWording(chat))


async def _server(settings: WordingSettings) -> tuple[FoundModel, ChatModel]:
    found = await find_server(settings)
    from graphs.server import ServerChat

    return found, ServerChat(found.url, found.model, settings.server_key)


async def _ollama(settings: WordingSettings) -> tuple[FoundModel, ChatModel]:
    from graphs.ollama import OllamaChat, find_model  # its client takes half a second to import

    found = await find_model(settings.ollama_host, settings.ollama_model, settings.answer_timeout_s)
    return found, OllamaChat(found.url, found.model)
