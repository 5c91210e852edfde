"""A small Twilio application for the simulator to call: it answers what a test scripted, and keeps records.

The official library judges every signature.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator

from telephony.simulator import LineConditions, Simulator, SimulatorSettings, open_simulator

ACCOUNT_SID = "AC" + "1" * 32
AUTH_TOKEN = "a token that both know"
PUBLIC_URL = "https://voice.example.test"
TRAINEE, NUMBER = "+15550001111", "+15550002222"

ON_THE_MODULES_LOOP = pytest.mark.asyncio(loop_scope="module")

Message = dict[str, Any]


@dataclass
class Received:
    """One webhook as the application saw it."""

    path: str
    method: str
    fields: dict[str, str]
    headers: dict[str, str]
    signed: bool


@dataclass
class Connection:
    """One media socket as the application saw it."""

    socket: WebSocket
    signed: bool
    messages: list[Message] = field(default_factory=list)
    close_code: int | None = None

    @property
    def start(self) -> Message:
        return next(m for m in self.messages if m["event"] == "start")

    @property
    def sid(self) -> str:
        return str(self.start["streamSid"])

    def of(self, event: str) -> list[Message]:
        return [m for m in self.messages if m["event"] == event]

    async def next(self) -> Message:
        """The next message; WebSocketDisconnect when the carrier is gone."""
        message: Message = json.loads(await self.socket.receive_text())
        self.messages.append(message)
        return message

    async def until(self, event: str) -> Message:
        while True:
            message = await self.next()
            if message["event"] == event:
                return message

    async def send(self, event: str, **body: object) -> None:
        await self.socket.send_text(json.dumps({"event": event, "streamSid": self.sid, **body}))

    async def listen(self) -> None:
        """Reads until the carrier is gone."""
        while True:
            await self.next()


Media = Callable[[Connection], Awaitable[None]]


class Application:
    """`twiml` by path; `media` drives every media socket, `admit` decides whether it is accepted."""

    def __init__(self) -> None:
        self.url = ""
        self._validator = RequestValidator(AUTH_TOKEN)
        self.reset()

    def reset(self) -> None:
        """Forgets what was scripted and what happened."""
        self.twiml: dict[str, str | Response] = {}
        self.received: list[Received] = []
        self.connections: list[Connection] = []
        self.media: Media = Connection.listen
        self.admit = True

    def at(self, path: str) -> list[Received]:
        return [r for r in self.received if r.path == path]

    async def webhook(self, request: Request) -> Response:
        body = (await request.body()).decode()
        fields = dict(parse_qsl(body, keep_blank_values=True))
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{PUBLIC_URL}{request.url.path}{query}"
        signature = request.headers["x-twilio-signature"]
        signed = self._validator.validate(url, fields, signature)
        shown = fields or dict(request.query_params)
        self.received.append(Received(request.url.path, request.method, shown, dict(request.headers), signed))
        answer = self.twiml.get(request.url.path, "<Response/>")
        return answer if isinstance(answer, Response) else Response(answer, media_type="text/xml")

    async def stream(self, websocket: WebSocket) -> None:
        url = f"{PUBLIC_URL.replace('https', 'wss')}{websocket.url.path}"
        signed = self._validator.validate(url, {}, websocket.headers["x-twilio-signature"])
        connection = Connection(websocket, signed)
        self.connections.append(connection)
        if not self.admit:
            await websocket.close()
            return
        await websocket.accept()
        try:
            await self.media(connection)
            await websocket.close()
        except WebSocketDisconnect as disconnect:
            connection.close_code = disconnect.code

    def asgi(self) -> Starlette:
        return Starlette(
            routes=[
                WebSocketRoute("/{path:path}", self.stream),
                Route("/{path:path}", self.webhook, methods=["GET", "POST"]),
            ]
        )


class _Server(uvicorn.Server):
    stop: asyncio.Event

    async def main_loop(self) -> None:
        await self.stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def open_application() -> AsyncIterator[Application]:
    """Serves on a free loopback port."""
    application = Application()
    # asyncio switches Nagle's algorithm off only on sockets that name their protocol.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        application.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            application.asgi(),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        server.stop = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(server.serve(sockets=[listener]))
                try:
                    yield application
                finally:
                    server.stop.set()
                    await asyncio.wait({serving})
        except ExceptionGroup as group:
            raise group.exceptions[0] from None


@contextlib.asynccontextmanager
async def open_carrier(application: Application, **settings: Any) -> AsyncIterator[Simulator]:
    """A simulator that calls `application`; calls are placed as fast as they come."""
    defaults: dict[str, Any] = {"conditions": LineConditions(), "cps": 1_000.0, "seed": 7}
    chosen = SimulatorSettings(ACCOUNT_SID, AUTH_TOKEN, PUBLIC_URL, application.url, **(defaults | settings))
    async with open_simulator(chosen) as carrier:
        yield carrier


def connect_stream(after: str = "", **attributes: str) -> str:
    """TwiML that connects a call to /media."""
    extra = "".join(f' {name}="{value}"' for name, value in attributes.items())
    stream = f'<Stream url="wss://voice.example.test/media"{extra}>'
    token = '<Parameter name="token" value="t1"/>'
    return f"<Response><Connect>{stream}{token}</Stream></Connect>{after}</Response>"
