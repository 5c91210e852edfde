"""A server that speaks Ollama's native HTTP protocol on a real socket, and misbehaves on demand.

Faithful to Ollama's docs/api.md, docs/api/streaming.mdx, docs/api/errors.mdx and server/routes.go where the
persona's wording depends on it: NDJSON in chunks, thinking unless told not to, errors in mid-stream with
status 200, a request that ends when its connection does.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Request = dict[str, Any]
Behaviour = Callable[[Request], AsyncIterator[bytes]]
"""Takes the request's JSON; yields the lines of the streamed answer, or raises `Refusal`."""

_NOW = "2026-08-21T08:32:57.861552Z"
_STATUS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Unavailable"}


class Refusal(Exception):
    """Answers with a status and Ollama's JSON error instead of a stream."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class HangUp(Exception):
    """Drops the connection in the middle of an answer."""


def content(text: str, model: str = "llama3.2:3b") -> bytes:
    """One token of the reply."""
    return _line({"model": model, "created_at": _NOW, "message": _message(text), "done": False})


def thought(text: str) -> bytes:
    """One token of thinking."""
    message = {**_message(""), "thinking": text}
    return _line({"model": "qwen3:4b", "created_at": _NOW, "message": message, "done": False})


def done(reason: str = "stop") -> bytes:
    """The last line of a stream, with its metrics in nanoseconds."""
    metrics = {"total_duration": 175644650, "load_duration": 50226844, "prompt_eval_count": 26}
    metrics |= {"prompt_eval_duration": 2000000, "eval_count": 7, "eval_duration": 123222611}
    body = {"model": "llama3.2:3b", "created_at": _NOW, "message": _message("")}
    return _line({**body, "done": True, "done_reason": reason, **metrics})


def failure(error: str = "an error was encountered while running the model") -> bytes:
    """What ends a stream that fails after its status was sent."""
    return _line({"error": error})


def says(text: str) -> Behaviour:
    """Answers with `text`, a token at a time."""

    async def behave(request: Request) -> AsyncIterator[bytes]:
        for index, word in enumerate(text.split(" ")):
            yield content(word if index == 0 else f" {word}")
        yield done()

    return behave


def sends(*lines: bytes, then: Exception | None = None, hangs: bool = False) -> Behaviour:
    """Answers with these lines; then ends, raises `then`, or stays silent with the connection open."""

    async def behave(request: Request) -> AsyncIterator[bytes]:
        for line in lines:
            yield line
        if then is not None:
            raise then
        if hangs:
            await asyncio.Event().wait()

    return behave


def drips(text: str, every_s: float) -> Behaviour:
    """Answers with `text`, a token every so often."""

    async def behave(request: Request) -> AsyncIterator[bytes]:
        for index, word in enumerate(text.split(" ")):
            await asyncio.sleep(every_s)
            yield content(word if index == 0 else f" {word}")
        yield done()

    return behave


def refuses(status: int, error: str) -> Behaviour:
    """Answers with an error status."""
    return sends(then=Refusal(status, error))


@dataclass
class FakeOllama:
    """One server. `behaviour` may be changed between requests; `requests` are the chats it was sent."""

    models: Sequence[str] = ("llama3.2:3b",)
    thinking: Sequence[str] = ()
    behaviour: Behaviour = field(default_factory=lambda: says("Hello there. How can I help?"))
    listing: bytes | None = None
    silent: bool = False
    requests: list[Request] = field(default_factory=list)
    host: str = ""
    _connections: list[asyncio.StreamWriter] = field(default_factory=list)
    _abandoned: asyncio.Event = field(default_factory=asyncio.Event)

    async def abandoned(self) -> None:
        """Returns once a client has closed its connection in the middle of an answer."""
        await asyncio.wait_for(self._abandoned.wait(), 5)

    @property
    def was_abandoned(self) -> bool:
        """A client has closed its connection in the middle of an answer."""
        return self._abandoned.is_set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until either side closes it."""
        ahead = b""
        self._connections.append(writer)
        try:
            while (request := await _read_request(reader, ahead)) is not None and not writer.is_closing():
                ahead = await self._answer_while_connected(*request, reader, writer)
        finally:
            writer.close()

    def hang_up(self) -> None:
        """Closes every connection."""
        for writer in self._connections:
            writer.close()

    async def _answer_while_connected(
        self, route: str, body: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Stops answering when the client closes; returns what it sent ahead of its next request."""
        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(self._answer(route, body, writer))
            more = tasks.create_task(reader.read(1))
            await asyncio.wait({answer, more}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._abandoned.set()
            answer.cancel()
            more.cancel()
        return b"" if more.cancelled() else more.result()

    async def _answer(self, route: str, body: Request, writer: asyncio.StreamWriter) -> None:
        if self.silent:
            await asyncio.Event().wait()
        try:
            await self._route(route, body, writer)
        except Refusal as refusal:
            await _send(writer, refusal.status, _line({"error": refusal.error}))
        except HangUp:
            writer.close()

    async def _route(self, route: str, body: Request, writer: asyncio.StreamWriter) -> None:
        if route == "GET /api/tags":
            listing = self.listing if self.listing is not None else _line(self._tags())
            await _send(writer, 200, listing)
        elif route == "GET /api/version":
            await _send(writer, 200, _line({"version": "0.12.6"}))
        elif route == "POST /api/chat":
            self.requests.append(body)
            await _stream(writer, self._chat(body))
        else:
            raise Refusal(404, "404 page not found")

    def _tags(self) -> dict[str, Any]:
        return {
            "models": [
                {
                    "name": model,
                    "model": model,
                    "modified_at": _NOW,
                    "size": 2019393189,
                    "digest": "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
                    "details": {"format": "gguf", "family": "bert" if "minilm" in model else "llama"},
                }
                for model in self.models
            ]
        }

    async def _chat(self, body: Request) -> AsyncIterator[bytes]:
        model = str(body.get("model", ""))
        if not model:
            raise Refusal(400, "model is required")
        if (model if ":" in model else f"{model}:latest") not in self.models:
            raise Refusal(404, f"model '{model}' not found")
        if body.get("think") and model not in self.thinking:
            raise Refusal(400, f'"{model}" does not support thinking')
        if not body.get("messages"):
            yield done("load")
            return
        if model in self.thinking and body.get("think") is not False:
            for word in ("The", " caller", " is", " greeting"):
                yield thought(word)
        async for line in self.behaviour(body):
            yield line


@asynccontextmanager
async def open_fake_ollama(server: FakeOllama | None = None) -> AsyncIterator[FakeOllama]:
    """Runs a fake on a free loopback port; `host` says where."""
    fake = server or FakeOllama()
    listener = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.host = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        listener.close()
        fake.hang_up()


async def _read_request(reader: asyncio.StreamReader, ahead: bytes) -> tuple[str, Request] | None:
    try:
        head = (ahead + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    method, path, _ = head[0].split(" ", 2)
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return f"{method} {path}", json.loads(body) if body else {}


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, lines: AsyncIterator[bytes]) -> None:
    started = False
    async for line in lines:
        if not started:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            started = True
        writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _message(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"
