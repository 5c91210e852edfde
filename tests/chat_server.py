"""A model server on a real socket that misbehaves on demand; what it speaks is up to its kind."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

Request = dict[str, Any]


class End:
    """The model has ended its reply; `reason` is in the words of the server's kind."""

    def __init__(self, reason: str = "stop") -> None:
        self.reason = reason


END: Final = End()
Item = str | bytes | End
"""A token of the reply, something sent just as it is, or the end."""
Behaviour = Callable[[Request], AsyncIterator[Item]]
"""Takes the request's JSON; yields what is streamed, or raises `Refusal` or `HangUp`."""

_STATUS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_STATUS |= {429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Unavailable"}


class Refusal(Exception):
    """Answers with a status and the server's form of an error instead of a stream."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class HangUp(Exception):
    """Drops the connection in the middle of an answer."""


def says(text: str) -> Behaviour:
    """Answers with `text`, a token at a time."""
    return drips(text, 0.0)


def drips(text: str, every_s: float) -> Behaviour:
    """Answers with `text`, a token every so often."""

    async def behave(request: Request) -> AsyncIterator[Item]:
        for index, word in enumerate(text.split(" ")):
            if every_s > 0:
                await asyncio.sleep(every_s)
            yield word if index == 0 else f" {word}"
        yield END

    return behave


def sends(*items: Item, then: Exception | None = None, hangs: bool = False) -> Behaviour:
    """Answers with these; then stops, raises `then`, or stays silent with the connection open."""

    async def behave(request: Request) -> AsyncIterator[Item]:
        for item in items:
            yield item
        if then is not None:
            raise then
        if hangs:
            await asyncio.Event().wait()

    return behave


def refuses(status: int, error: str = "") -> Behaviour:
    """Answers with an error status."""
    return sends(then=Refusal(status, error))


def after(seconds: float, behaviour: Behaviour) -> Behaviour:
    """Behaves so, but keeps the client waiting first."""

    async def behave(request: Request) -> AsyncIterator[Item]:
        await asyncio.sleep(seconds)
        async for item in behaviour(request):
            yield item

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behaves differently with each request, and as the last one for ever."""
    left = list(behaviours)

    async def behave(request: Request) -> AsyncIterator[Item]:
        behaviour = left.pop(0) if len(left) > 1 else left[0]
        async for item in behaviour(request):
            yield item

    return behave


@dataclass(kw_only=True)
class ChatServer:
    """One server. `behaviour` may be changed between requests; `requests` are the chats it was sent."""

    behaviour: Behaviour = field(default_factory=lambda: says("Hello there. How can I help?"))
    silent: bool = False
    requests: list[Request] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    host: str = ""
    _open: dict[asyncio.Task[Any], asyncio.StreamWriter] = field(default_factory=dict)
    _abandoned: asyncio.Event = field(default_factory=asyncio.Event)

    async def route(self, route: str, body: Request, writer: asyncio.StreamWriter) -> None:
        """Answers one request, such as "POST /api/chat"; may raise `Refusal` or `HangUp`."""
        raise NotImplementedError

    def error(self, refusal: Refusal) -> dict[str, Any]:
        """The body of an answer that refuses."""
        raise NotImplementedError

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
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while (request := await _read_request(reader, ahead)) is not None and not writer.is_closing():
                route, headers, body = request
                self.headers.append(headers)
                ahead = await self._answer_while_connected(route, body, reader, writer)
        finally:
            writer.close()
            del self._open[task]

    async def hang_up(self) -> None:
        """Closes every connection."""
        for writer in self._open.values():
            writer.close()
        await asyncio.gather(*self._open, return_exceptions=True)

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
            await self.route(route, body, writer)
        except Refusal as refusal:
            await send_json(writer, self.error(refusal), refusal.status)
        except HangUp:
            writer.close()


S = TypeVar("S", bound=ChatServer)


@asynccontextmanager
async def open_chat_server(server: S) -> AsyncIterator[S]:
    """Runs it on a free loopback port; `host` says where."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.host = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.hang_up()


async def send_json(writer: asyncio.StreamWriter, body: Any, status: int = 200) -> None:
    """A whole answer."""
    await send(writer, json_bytes(body), status)


async def send(writer: asyncio.StreamWriter, body: bytes, status: int = 200) -> None:
    """A whole answer, just as it is."""
    head = f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def stream(writer: asyncio.StreamWriter, media_type: str, parts: AsyncIterator[bytes]) -> None:
    """An answer in chunks; its head is sent with the first, so that there may still be a refusal."""
    started = False
    async for part in parts:
        if not started:
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n".encode())
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            started = True
        writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        await writer.drain()
    if not started:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n".encode())
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def json_bytes(body: Any) -> bytes:
    """Without spaces, in UTF-8."""
    return json.dumps(body, separators=(",", ":")).encode()


async def _read_request(
    reader: asyncio.StreamReader, ahead: bytes
) -> tuple[str, dict[str, str], Request] | None:
    try:
        head = (ahead + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    method, path, _ = head[0].split(" ", 2)
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return f"{method} {path}", headers, json.loads(body) if body else {}
