"""Fakes at the ports of the Twilio edge: a front desk that echoes, and a carrier that signs like Twilio."""

import asyncio
import base64
import json
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
import uvicorn
from fastapi import FastAPI, WebSocket
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection, connect

from agent.errors import ProtocolError, StoreError, TokenError
from telephony.media_stream import MAX_MESSAGE_BYTES, Audio, Digit, MediaStream, Started, Stopped
from telephony.twilio import (
    Admission,
    CallStatus,
    Connect,
    FrontDesk,
    HangUp,
    InboundCall,
    NextStep,
    Refuse,
    StreamStatus,
    TwilioEdge,
    twilio_router,
)

ACCOUNT = "AC" + "1" * 32
CALL = "CA" + "2" * 32
OTHER_CALL = "CA" + "3" * 32
STREAM = "MZ" + "6" * 32
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://voice.example.com"
CALLER = "+15550100123"
EDGE = TwilioEdge(account_sid=ACCOUNT, auth_token=AUTH_TOKEN, public_url=PUBLIC_URL, start_timeout_s=0.3)

Fields = Sequence[tuple[str, str]]


class EchoDesk:
    """Admits every call once, and plays its audio back until it stops.

    Key # makes `hold` return, key * makes it fail with words that nobody else may read.
    """

    def __init__(self) -> None:
        self.admission: Admission | None = None
        self.next_step: NextStep = HangUp()
        self.admitted: list[InboundCall] = []
        self.reports: list[CallStatus | StreamStatus] = []
        self.refusals: Counter[str] = Counter()
        self.held: list[str] = []
        self.issued: list[str] = []
        self.over = asyncio.Event()
        self.store_is_away = False
        self._seen: set[str] = set()
        self._tokens: dict[str, str] = {}
        self._claimed: set[str] = set()

    def issue(self, call_sid: str) -> str:
        """Gives out the call's only token."""
        token = secrets.token_urlsafe(16)
        self._tokens[call_sid] = token
        self.issued.append(token)
        return token

    async def admit(self, call: InboundCall) -> Admission:
        self.admitted.append(call)
        if self.admission is not None:
            return self.admission
        if call.call_sid in self._claimed:
            return Refuse(text="", reason="already_connected")
        return Connect(token=self.issue(call.call_sid))

    async def after_stream(self, call_sid: str) -> NextStep:
        return self.next_step

    async def call_status(self, update: CallStatus) -> None:
        self.reports.append(update)

    async def stream_status(self, update: StreamStatus) -> None:
        self.reports.append(update)

    async def claim(self, token: str, started: Started) -> str:
        if self.store_is_away:
            raise StoreError("Redis does not answer")
        if not token or self._tokens.get(started.call_sid) != token:
            raise TokenError(f"token {token} is not this call's")
        del self._tokens[started.call_sid]
        self._claimed.add(started.call_sid)
        return token

    async def hold(self, websocket: WebSocket, stream: MediaStream, started: Started, ticket: str) -> None:
        self.held.append(started.call_sid)
        try:
            while True:
                try:
                    event = stream.receive(await websocket.receive_text())
                except ProtocolError:
                    continue
                match event:
                    case Audio(ulaw=ulaw):
                        await websocket.send_text(stream.play(ulaw))
                    case Digit("*"):
                        raise RuntimeError(f"{CALLER} came with {ticket}")
                    case Digit("#") | Stopped():
                        return
        finally:
            self.over.set()

    async def first_time(self, key: str) -> bool:
        new = key not in self._seen
        self._seen.add(key)
        return new

    def refused(self, code: str) -> None:
        self.refusals[code] += 1


def sign(url: str, fields: Fields = (), *, auth_token: str = AUTH_TOKEN) -> str:
    """Twilio's signature as the official library computes it."""
    return str(RequestValidator(auth_token).compute_signature(url, ImmutableMultiDict(list(fields))))


def voice_fields(call_sid: str = CALL) -> list[tuple[str, str]]:
    """What Twilio posts when a call rings, empty fields included."""
    return [
        ("AccountSid", ACCOUNT),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", call_sid),
        ("CallStatus", "ringing"),
        ("Called", "+15550100999"),
        ("Caller", CALLER),
        ("CallerCity", ""),
        ("CallerName", "Zoë & Søn + 1"),
        ("Direction", "inbound"),
        ("From", CALLER),
        ("To", "+15550100999"),
    ]


def report_fields(**changes: str) -> list[tuple[str, str]]:
    """What Twilio posts when a call is over."""
    fields = {
        "AccountSid": ACCOUNT,
        "CallDuration": "71",
        "CallSid": CALL,
        "CallStatus": "completed",
        "SequenceNumber": "3",
        "SipResponseCode": "200",
    }
    return list((fields | changes).items())


@dataclass
class Carrier:
    """Twilio's HTTP client and websocket client, aimed at an app on this machine."""

    http: httpx.AsyncClient
    ws_url: str = ""

    async def post(
        self,
        path: str,
        fields: Fields,
        *,
        signature: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Posts a form; signed properly unless `signature` says otherwise ("" for none)."""
        signature = sign(PUBLIC_URL + path, fields) if signature is None else signature
        signed = {"X-Twilio-Signature": signature} if signature else {}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.http.post(
            path, content=urlencode(list(fields)), headers={**form, **signed, **(headers or {})}
        )

    def dial(
        self,
        *,
        signature: str | None = None,
        path: str = "/twilio/media",
    ) -> connect:
        """The handshake; signed properly unless `signature` says otherwise ("" for none)."""
        signature = sign("wss://voice.example.com/twilio/media") if signature is None else signature
        signed = {"X-Twilio-Signature": signature} if signature else {}
        return connect(self.ws_url + path, additional_headers=signed, compression=None, proxy=None)


def app_with(desk: FrontDesk[str], edge: TwilioEdge = EDGE) -> FastAPI:
    app = FastAPI()
    app.include_router(twilio_router(desk, edge))
    return app


@asynccontextmanager
async def in_process(desk: FrontDesk[str]) -> AsyncIterator[Carrier]:
    """The app without a network."""
    transport = httpx.ASGITransport(app_with(desk))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield Carrier(http)


@asynccontextmanager
async def on_loopback(desk: FrontDesk[str], edge: TwilioEdge = EDGE) -> AsyncIterator[Carrier]:
    """The app under uvicorn on a port of this machine, as `serve` runs it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            app_with(desk, edge), lifespan="off", log_level="error", ws_max_size=MAX_MESSAGE_BYTES
        )
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(base_url=f"http://{host}") as http:
            tasks.create_task(server.serve(sockets=[listening]))
            try:
                yield Carrier(http, f"ws://{host}")
            finally:
                server.should_exit = True


CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


def start(
    token: str,
    *,
    call_sid: str = CALL,
    account_sid: str = ACCOUNT,
    encoding: str = "audio/x-mulaw",
) -> str:
    """Twilio's second message."""
    return json.dumps(
        {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": STREAM,
            "start": {
                "accountSid": account_sid,
                "callSid": call_sid,
                "streamSid": STREAM,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": encoding, "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": token},
            },
        }
    )


@dataclass
class Conversation:
    """A caller on a stream that has started."""

    socket: ClientConnection
    call_sid: str = CALL
    _chunk: int = field(default=0, init=False)

    async def hears_itself(self) -> bool:
        """Speaks 20 ms and waits for them to come back."""
        self._chunk += 1
        spoken = bytes([self._chunk % 128]) * 160
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(20 * (self._chunk - 1)),
            "payload": base64.b64encode(spoken).decode(),
        }
        await self._say({"event": "media", "media": media})
        heard = json.loads(await self.socket.recv())
        return heard["streamSid"] == STREAM and base64.b64decode(heard["media"]["payload"]) == spoken

    async def press(self, digit: str) -> None:
        await self._say({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}})

    async def hang_up(self) -> None:
        await self._say({"event": "stop", "stop": {"accountSid": ACCOUNT, "callSid": self.call_sid}})

    async def _say(self, message: dict[str, object]) -> None:
        await self.socket.send(
            json.dumps({"sequenceNumber": str(self._chunk + 1), "streamSid": STREAM, **message})
        )


@asynccontextmanager
async def started(carrier: Carrier, token: str, call_sid: str = CALL) -> AsyncIterator[Conversation]:
    """A stream that brings `token`, up to and including `start`."""
    async with carrier.dial() as wire:
        await wire.send(CONNECTED)
        await wire.send(start(token, call_sid=call_sid))
        yield Conversation(wire, call_sid)


@asynccontextmanager
async def conversation(carrier: Carrier, desk: EchoDesk, call_sid: str = CALL) -> AsyncIterator[Conversation]:
    """A call that is connected and well."""
    async with started(carrier, desk.issue(call_sid), call_sid) as caller:
        yield caller
