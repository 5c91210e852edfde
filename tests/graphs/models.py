"""Both kinds of model servers, opened with a behaviour; and a listener who is told when words come."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass

import pytest

from agent.clauses import Clauses
from agent.scenario import Scenario
from agent.steering import Decision
from graphs.model import ChatModel, ModelWording
from graphs.ollama import OllamaChat
from graphs.server import ServerChat
from graphs.wording import Wording
from tests import fake_ollama, fake_openai
from tests.chat_server import Behaviour, ChatServer, open_chat_server, says
from tests.fake_ollama import FakeOllama
from tests.fake_openai import FakeOpenAI

LETTERS_PER_S = 16.0
LONGEST_SILENCE_S = 2.0


@dataclass(frozen=True)
class Kind:
    """A kind of server, and what only it says."""

    engine: str
    model: str
    server: Callable[..., ChatServer]
    chat: Callable[[str, str], ChatModel]
    failure: bytes
    garbage: Sequence[bytes]

    def open_chat(self, host: str) -> ChatModel:
        """A model of the server at `host`."""
        return self.chat(host, self.model)


OLLAMA = Kind(
    engine="ollama",
    model="llama3.2:3b",
    server=FakeOllama,
    chat=OllamaChat,
    failure=fake_ollama.failure(),
    garbage=(
        b"<html>\n",
        b"[1, 2]\n",
        b"null\n",
        b"{}\n",
        b'{"message": 3}\n',
        b'{"message": {"role": "x", "content": null}}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\x00\n",
    ),
)
SERVER = Kind(
    engine="server",
    model=fake_openai.MODEL,
    server=FakeOpenAI,
    chat=lambda host, model: ServerChat(f"{host}/v1", model),
    failure=fake_openai.failure(),
    garbage=(
        b"<html>\n\n",
        b"data: <html>\n\n",
        b"data: [1, 2]\n\n",
        b"data: null\n\n",
        b"data: {}\n\n",
        b'data: {"choices": null}\n\n',
        b'data: {"choices": [{"delta": null}]}\n\n',
        b'data: {"choices": [{"delta": {"content": null}}]}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"data: \xff\xfe\x00\n\n",
    ),
)
of_each_kind = pytest.mark.parametrize("kind", [OLLAMA, SERVER], ids=lambda kind: kind.engine)


@asynccontextmanager
async def open_model(
    kind: Kind, behaviour: Behaviour | None = None, **server: object
) -> AsyncIterator[tuple[ChatServer, ModelWording]]:
    """A server that behaves so, and the wording by its model."""
    async with open_chat_server(kind.server(behaviour=behaviour or says("Delmar."), **server)) as fake:
        chat = kind.open_chat(fake.host)
        try:
            yield fake, ModelWording(chat)
        finally:
            await chat.aclose()


@asynccontextmanager
async def open_no_model(kind: Kind) -> AsyncIterator[ModelWording]:
    """A model at an address where nothing listens."""
    chat = kind.open_chat(f"http://127.0.0.1:{unused_port()}")
    try:
        yield ModelWording(chat)
    finally:
        await chat.aclose()


def unused_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def reply_of(wording: Wording, scenario: Scenario, decision: Decision) -> str:
    return "".join([piece async for piece in wording.words(scenario, decision)])


class Listener:
    """Hears a reply clause by clause, as the voice speaks it; `silences_s` are what was not filled."""

    def __init__(self) -> None:
        self.text = ""
        self.pieces: list[str] = []
        self.silences_s: list[float] = []
        self._clauses = Clauses()
        self._spoken_until_s = 0.0

    async def listen(self, words: AsyncGenerator[str, None]) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        async with aclosing(words) as pieces:
            async for piece in pieces:
                self.hear(piece, clock() - began_s)
        self.over(clock() - began_s)

    def hear(self, piece: str, at_s: float) -> None:
        self.text += piece
        self.pieces.append(piece)
        self._speak(self._clauses.feed(piece), at_s)

    def over(self, at_s: float) -> None:
        self._speak(self._clauses.rest(), at_s)

    def _speak(self, clauses: Sequence[str], at_s: float) -> None:
        for clause in clauses:
            starts_s = max(at_s, self._spoken_until_s)
            self.silences_s.append(starts_s - self._spoken_until_s)
            self._spoken_until_s = starts_s + len(clause) / LETTERS_PER_S


async def heard(wording: Wording, scenario: Scenario, decision: Decision) -> Listener:
    listener = Listener()
    await listener.listen(wording.words(scenario, decision))
    return listener
