"""A persona worded by a model behind Ollama's native API, within the time a telephone call has."""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import ollama
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_ollama import ChatOllama

from agent.clauses import Clauses
from agent.ear import SpokenWords
from agent.errors import EngineFailed, EngineUnavailable
from agent.prompt import Message, prompt
from agent.scenario import Scenario
from agent.steering import Decision


class EngineUnreachable(EngineUnavailable):
    """Nothing answers at the engine's address."""

    code = "engine_unreachable"


class ModelMissing(EngineUnavailable):
    """The engine answers but does not have the model."""

    code = "model_missing"


class EngineBusy(EngineFailed):
    """The engine turned the request away because it has too many."""

    code = "engine_busy"


class EngineLate(EngineFailed):
    """The first word did not come in time."""

    code = "engine_late"


class EngineStalled(EngineFailed):
    """The engine fell silent in the middle of a reply, or words it more slowly than it is spoken."""

    code = "engine_stalled"


class EngineMute(EngineFailed):
    """The engine's reply had nothing in it that can be spoken."""

    code = "engine_mute"


_CLIENT_ERRORS = (
    ollama.ResponseError,
    httpx.HTTPError,
    httpx.StreamError,
    OSError,
    RuntimeError,
    ValueError,
    # The client takes each line apart unguarded: a line of valid JSON that is no object ends in one of these.
    AttributeError,
    LookupError,
    TypeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """How long a reply may take, in seconds.

    `first_word_s` counts from the request to the first word that can be spoken, loading of the model and
    any thinking included; `first_clause_s` from the request to the first clause, because nothing is spoken
    before; `pause_s` from when all clauses so far have been spoken to the next. What is said instead takes
    no time, so that these, and half a second until a turn is over, are the silences that the trainee hears.
    """

    connect_s: float = 1.0
    first_word_s: float = 1.3
    first_clause_s: float = 1.5
    pause_s: float = 1.5
    turn_s: float = 15.0


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that an Ollama server has, by the server's own name for it, and how it came to be chosen."""

    url: str
    model: str
    reason: str

    def wording(self) -> "OllamaWording":
        """Opens the wording; close it with `aclose`."""
        return OllamaWording(self.url, self.model)


class _Deadlines:
    """When the next words of a reply have to be there, on the clock `now_s`, which is at its beginning."""

    def __init__(self, budgets: Budgets, now_s: Callable[[], float]) -> None:
        self._budgets = budgets
        self._now_s = now_s
        self._start_s = now_s()
        self._clauses = Clauses()
        self._spoken_until_s: float | None = None
        self._worded_s = self._start_s + budgets.first_word_s

    @property
    def next_s(self) -> float:
        """When the next piece is due."""
        return min(self._worded_s, self._start_s + self._budgets.turn_s)

    def worded(self, piece: str) -> None:
        """The reply goes on with `piece`."""
        for clause in self._clauses.feed(piece):
            since_s = max(self._spoken_until_s or 0.0, self._now_s())
            self._spoken_until_s = since_s + len(clause) / _LETTERS_PER_S
        self._worded_s = (
            self._start_s + self._budgets.first_clause_s
            if self._spoken_until_s is None
            else self._spoken_until_s + self._budgets.pause_s
        )


class OllamaWording:
    """Words decisions by a model of an Ollama server; any number of calls share it.

    Proxies of the environment are not used: the server is on this machine or in this network. Sends `think:
    false`, without which a model that can think would do so for seconds, and `keep_alive: -1`, so that the
    model stays loaded between calls.
    """

    engine = "ollama"

    def __init__(
        self,
        host: str,
        model: str,
        *,
        budgets: Budgets | None = None,
        context_tokens: int = 4096,
        reply_tokens: int = 90,
        temperature: float = 0.7,
    ) -> None:
        self.model = model
        self._url = address_of(host)
        self._budgets = budgets or Budgets()
        self._options = {
            "num_ctx": context_tokens,
            "num_predict": reply_tokens,
            "temperature": temperature,
        }
        self._transport = httpx.AsyncHTTPTransport()
        self._chat = ChatOllama(
            model=model,
            base_url=self._url,
            reasoning=False,
            keep_alive=-1,
            client_kwargs={"timeout": httpx.Timeout(self._budgets.turn_s, connect=self._budgets.connect_s)},
            async_client_kwargs={"transport": self._transport},
        )

    async def aclose(self) -> None:
        """Closes the connections to the server."""
        await self._transport.aclose()

    async def load(self, timeout_s: float = 120.0) -> None:
        """Has the server load the model, so that the first call does not wait for it.

        Raises:
            EngineError: it could not, or not in `timeout_s`.
        """
        client = ollama.AsyncClient(self._url, timeout=timeout_s, transport=self._transport)
        try:
            # Other options than those of the replies would make the server load the model a second time.
            await client.chat(self.model, messages=[], options=self._options, keep_alive=-1)
        except _CLIENT_ERRORS as error:
            raise _failure(error, self._url, self.model) from error

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        """Yields the model's reply word by word; see `graphs.wording.Wording.words`."""
        spoken = SpokenWords(scenario.persona.name)
        deadlines = _Deadlines(self._budgets, asyncio.get_running_loop().time)
        finished = False
        async with aclosing(self._stream(scenario, decision)) as chunks:
            while not (finished or spoken.done):
                try:
                    async with asyncio.timeout_at(deadlines.next_s):
                        chunk = await anext(chunks, None)
                except TimeoutError as error:
                    raise self._too_slow(spoken) from error
                except _CLIENT_ERRORS as error:
                    raise _failure(error, self._url, self.model) from error
                if chunk is None:
                    raise EngineFailed(f"{self._url} broke off in the middle of a reply")
                finished = bool(chunk.response_metadata.get("done"))
                if piece := spoken.feed(chunk.text):
                    yield piece
                    deadlines.worded(piece)
        if rest := spoken.finish():
            yield rest
        if spoken.empty:
            raise EngineMute(f"{self.model} said nothing that can be spoken")

    def _stream(self, scenario: Scenario, decision: Decision) -> Any:
        state = decision.next_state
        seed = hashlib.sha256(f"{state.seed}/{state.turns}".encode()).digest()
        options = {**self._options, "seed": int.from_bytes(seed[:4]) >> 1}
        messages = [_to_langchain(message) for message in prompt(scenario, decision)]
        return self._chat.astream(messages, options=options)

    def _too_slow(self, spoken: SpokenWords) -> EngineFailed:
        if spoken.empty:
            return EngineLate(
                f"{self.model} took more than {self._budgets.first_word_s:g} s to its first word",
                hint="Load the model beforehand, or use a smaller one",
            )
        return EngineStalled(f"{self.model} words a reply more slowly than it is spoken")


async def find_model(host: str, model: str, timeout_s: float) -> FoundModel:
    """Asks the server for its models and picks `model`, or the first chat model where that is "".

    Raises:
        EngineUnavailable: the server does not answer properly within `timeout_s`, or lacks the model.
    """
    url = address_of(host)
    listed = [entry for entry in await _models(url, timeout_s) if entry.model]
    if not model:
        for entry in listed:
            if _can_chat(entry):
                reason = f"answers at {url}; no model is configured, so its first chat model"
                return FoundModel(url, str(entry.model), reason)
        raise ModelMissing(f"{url} has no chat model", hint="Fetch one with 'ollama pull llama3.2'")
    for entry in listed:
        if _full_name(str(entry.model)) == _full_name(model):
            return FoundModel(url, str(entry.model), f"answers at {url} and has the model")
    raise ModelMissing(f"{url} has no model '{model}'", hint=f"Fetch it with 'ollama pull {model}'")


def address_of(host: str) -> str:
    """Returns the URL that OLLAMA_HOST stands for: scheme, port or both may be left out, as Ollama has it.

    `0.0.0.0`, which tells the server to listen everywhere, means this machine.

    Raises:
        EngineUnreachable: it is not an address.
    """
    scheme, given, rest = host.strip().partition("://")
    scheme, rest, port = (scheme, rest, _PORTS.get(scheme)) if given else ("http", host.strip(), 11434)
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        name, port = parts.hostname or "127.0.0.1", parts.port or port
    except ValueError:
        port = None
    if port is None or parts.username is not None or not _HOST_NAME.fullmatch(name):
        raise EngineUnreachable(f"{host!r} is not an address", hint="Write it like http://127.0.0.1:11434")
    if name == "0.0.0.0":
        name = "127.0.0.1"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}{parts.path.rstrip('/')}"


async def _models(url: str, timeout_s: float) -> list[ollama.ListResponse.Model]:
    transport = httpx.AsyncHTTPTransport()
    try:
        async with asyncio.timeout(timeout_s), transport:
            client = ollama.AsyncClient(url, timeout=timeout_s, transport=transport)
            return list((await client.list()).models)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise EngineUnreachable(f"{url} did not answer within {timeout_s:g} s", hint=_START_IT) from error
    except _CLIENT_ERRORS as error:
        failure = _failure(error, url, "")
        if isinstance(failure, EngineUnavailable):
            raise failure from error
        raise EngineUnavailable(failure.message, hint=f"Is it Ollama that runs at {url}?") from error


_LETTERS_PER_S = 16.0
"""Of a voice at 170 words a minute."""
_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[a-z0-9._:%-]+")
_START_IT = "Start it with 'ollama serve', or set OLLAMA_HOST to where it runs"
_EMBEDDING_FAMILIES = frozenset({"bert", "nomic-bert", "xlm-roberta"})


def _can_chat(entry: ollama.ListResponse.Model) -> bool:
    family = (entry.details.family if entry.details else None) or ""
    return "embed" not in (entry.model or "").casefold() and family.casefold() not in _EMBEDDING_FAMILIES


def _full_name(model: str) -> str:
    """Ollama's names do not tell capitals apart, and a name without a tag means `latest`."""
    name = model.casefold()
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def _failure(error: Exception, host: str, model: str) -> EngineFailed | EngineUnavailable:
    if isinstance(error, ollama.ResponseError):
        return _refusal(error, host, model)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | OSError):
        return EngineUnreachable(f"nothing answers at {host}", hint=_START_IT)
    if isinstance(error, httpx.TimeoutException):
        return EngineStalled(f"{host} fell silent")
    if isinstance(error, httpx.HTTPError):
        return EngineFailed(f"the connection to {host} broke: {type(error).__name__}")
    return EngineFailed(f"{host} does not speak Ollama's protocol: {type(error).__name__}")


def _refusal(error: ollama.ResponseError, host: str, model: str) -> EngineFailed | EngineUnavailable:
    said = " ".join(str(error.error).split())[:200]
    if error.status_code == 404 and model:
        return ModelMissing(f"{host} has no model '{model}'", hint=f"Fetch it with 'ollama pull {model}'")
    if error.status_code == 503:
        return EngineBusy(f"{host} has too many requests", hint="Raise OLLAMA_NUM_PARALLEL on the server")
    return EngineFailed(
        f"{host} refused with {error.status_code}: {said}"
        if error.status_code > 0
        else f"{host} failed in the middle of a reply: {said}"
    )


_ROLES: Mapping[str, type[BaseMessage]] = {
    "frame": SystemMessage,
    "direction": SystemMessage,
    "trainee": HumanMessage,
    "persona": AIMessage,
}


def _to_langchain(message: Message) -> BaseMessage:
    return _ROLES[message.role](content=message.text)
