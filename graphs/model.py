"""Chat models behind one port: streams of text for the persona's words, documents for everything else."""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, ValidationError

from agent.ear import SpokenWords
from agent.errors import EngineError, EngineFailed, EngineTimedOut, EngineUnavailable
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


class EngineStumbled(EngineFailed):
    """The engine failed in a way that often passes: with 500, 502 or 504, or by dropping the connection."""


class ChatModel(Protocol):
    """A model on a server; any number of calls share it, within one event loop."""

    @property
    def engine(self) -> str:
        """The kind of server, as on the ladder."""

    @property
    def model(self) -> str:
        """The server's own name for the model."""

    def stream(self, messages: Sequence[Message], seed: int) -> AsyncGenerator[str, None]:
        """Yields the text of the reply in pieces of any size, until the model has ended it.

        Closing the generator, or cancelling the task that reads it, stops the model.

        Raises:
            EngineError: while it is being read, also where the reply breaks off.
        """

    async def answer(
        self, messages: Sequence[Message], schema: type[BaseModel], *, seed: int, tokens: int
    ) -> str:
        """Returns a whole answer of at most `tokens`, which the server was told to give as JSON.

        The temperature is 0.

        Raises:
            EngineError: there is none.
        """

    async def load(self) -> None:
        """Has the model answer once, or be loaded, so that no caller waits for that.

        Raises:
            EngineError: it could not.
        """

    async def aclose(self) -> None:
        """Closes the connections to the server."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that a server has, by the server's own name for it, and how it came to be chosen."""

    url: str
    model: str
    reason: str


class ModelWording:
    """Words decisions by a chat model; any number of calls share it.

    It takes as long as the model takes. A request that fails in a way that often passes is made once more,
    if no text has come and the failure came quickly enough.
    """

    def __init__(self, chat: ChatModel) -> None:
        self.chat = chat

    @property
    def engine(self) -> str:
        """The model's engine."""
        return self.chat.engine

    @property
    def model(self) -> str:
        """The model's name."""
        return self.chat.model

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        """Yields the model's reply word by word; see `graphs.wording.Wording.words`."""
        spoken = SpokenWords(scenario.persona.name)
        async with aclosing(self._text(prompt(scenario, decision), _seed_of(decision))) as pieces:
            async for text in pieces:
                if piece := spoken.feed(text):
                    yield piece
                if spoken.done:
                    break
        if rest := spoken.finish():
            yield rest
        if spoken.empty:
            raise EngineMute(f"{self.model} said nothing that can be spoken")

    async def _text(self, messages: Sequence[Message], seed: int) -> AsyncGenerator[str, None]:
        try_again_until_s = _now_s() + _TRY_AGAIN_WITHIN_S
        silent = True
        try:
            async with aclosing(self.chat.stream(messages, seed)) as pieces:
                async for text in pieces:
                    silent = False
                    yield text
            return
        except (EngineUnreachable, EngineBusy, EngineStumbled):
            if not silent or _now_s() > try_again_until_s:
                raise
        await asyncio.sleep(_PAUSE_S)
        async with aclosing(self.chat.stream(messages, seed)) as pieces:
            async for text in pieces:
                yield text


S = TypeVar("S", bound=BaseModel)


async def structured(
    model: ChatModel,
    messages: Sequence[Message],
    schema: type[S],
    timeout_s: float,
    *,
    seed: int = 0,
    tokens: int = 1024,
) -> S:
    """Returns a document of `schema` that the model makes of `messages`, at temperature 0; tried once.

    The server is told the schema, which has no defaults if OpenAI is to take it.

    Raises:
        EngineError: there is no answer in time (EngineTimedOut), or none that fits the schema.
    """
    try:
        async with asyncio.timeout(timeout_s):
            text = await model.answer(messages, schema, seed=seed, tokens=tokens)
    except TimeoutError as error:
        raise EngineTimedOut(f"{model.model} did not answer within {timeout_s:g} s") from error
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]["type"]
        raise EngineFailed(f"{model.model} answered with no proper {schema.__name__} ({fault})") from error


class LangChainModel(ABC):
    """A `ChatModel` made of LangChain's client for a kind of server. What is behind it is not trusted."""

    engine: str
    model: str
    errors: tuple[type[Exception], ...]
    """What the client raises."""

    _chat: BaseChatModel
    _url: str

    async def stream(self, messages: Sequence[Message], seed: int) -> AsyncGenerator[str, None]:
        """Yields the text of the reply; see `ChatModel.stream`."""
        async with aclosing(self._chunks(messages, seed)) as chunks:
            try:
                async for chunk in chunks:
                    if chunk.text:
                        yield chunk.text
                    if self._ended(chunk.response_metadata):
                        await _drain(chunks, self.errors)
                        return
            except self.errors as error:
                raise self._failure(error) from error
        raise EngineFailed(f"{self._url} broke off in the middle of a reply")

    async def answer(
        self, messages: Sequence[Message], schema: type[BaseModel], *, seed: int, tokens: int
    ) -> str:
        """Returns a whole answer; see `ChatModel.answer`."""
        document = convert_to_json_schema(schema, strict=True)
        options = self._answer_options(document, seed=seed, tokens=tokens)
        try:
            return (await self._chat.ainvoke(self._messages(messages), **options)).text
        except self.errors as error:
            raise self._failure(error) from error

    def _chunks(self, messages: Sequence[Message], seed: int) -> Any:
        return self._chat.astream(self._messages(messages), **self._stream_options(seed))

    @abstractmethod
    def _messages(self, messages: Sequence[Message]) -> list[BaseMessage]:
        """In the form and order that the server takes."""

    @abstractmethod
    def _stream_options(self, seed: int) -> dict[str, Any]:
        """What a request for a reply says."""

    @abstractmethod
    def _answer_options(self, schema: dict[str, Any], *, seed: int, tokens: int) -> dict[str, Any]:
        """What a request for a document says."""

    @abstractmethod
    def _ended(self, metadata: dict[str, Any]) -> bool:
        """Whether that is the chunk with which the model ends its reply. Raises EngineError."""

    @abstractmethod
    def _failure(self, error: Exception) -> EngineError:
        """What the client's error means."""


def refused(place: str, status: int, said: object, *, when_busy: str = "") -> EngineFailed:
    """What a status that is no success means, and an error with that code in the middle of a stream."""
    reason = " ".join(str(said).split())[:200]
    if status in (429, 503):
        return EngineBusy(f"{place} has too many requests", hint=when_busy)
    kind = EngineStumbled if status in (500, 502, 504) else EngineFailed
    if status > 0:
        return kind(f"{place} refused with {status}: {reason}")
    return kind(f"{place} failed in the middle of a reply: {reason}")


async def _drain(chunks: AsyncIterator[object], errors: tuple[type[Exception], ...]) -> None:
    """Reads what follows the last chunk, so that the connection can be used again; nobody waits for it."""
    with suppress(TimeoutError, *errors):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass


def _seed_of(decision: Decision) -> int:
    """The same for the same turn of a call with the same seed; 31 bits, as servers take it."""
    state = decision.next_state
    digest = hashlib.sha256(f"{state.seed}/{state.turns}".encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


def _now_s() -> float:
    return asyncio.get_running_loop().time()


CONNECT_S = 1.0
SILENT_S = 15.0
"""How long a server may keep silent in the middle of an answer before the connection is given up."""
KEPT_FOR_S = 60.0
"""Connections are kept from one turn to the next: a new one may cost several round trips."""
_TRY_AGAIN_WITHIN_S = 0.6
_PAUSE_S = 0.15
_DRAIN_S = 0.1
ON_GARBAGE: tuple[type[Exception], ...] = (
    OSError,
    RuntimeError,
    ValueError,
    # Clients take each line apart unguarded: valid JSON that is no object ends in one of these.
    AttributeError,
    LookupError,
    TypeError,
)
"""What any client raises where the server does not keep to the protocol, or to any."""
