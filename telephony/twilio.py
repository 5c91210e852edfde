"""The Twilio edge: signed webhooks and the media websocket in, TwiML out. Decides nothing about calls."""

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketState

from agent.errors import ConfigError, ProtocolError, RolecallError, SignatureError, TokenError
from telephony import twiml
from telephony.form import Form
from telephony.front_desk import (
    Admission,
    Apologise,
    CallStatus,
    Connect,
    FrontDesk,
    HangUp,
    InboundCall,
    NextStep,
    Reconnect,
    Refusal,
    Refuse,
    StreamStatus,
)
from telephony.media_stream import MAX_MESSAGE_BYTES, MediaStream, Started
from telephony.signature import Signatures, origin_of, replay_key, stream_origin

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_MESSAGE_BYTES",
    "Admission",
    "Apologise",
    "CallStatus",
    "Connect",
    "FrontDesk",
    "HangUp",
    "InboundCall",
    "NextStep",
    "Reconnect",
    "Refusal",
    "Refuse",
    "StreamStatus",
    "TwilioEdge",
    "twilio_router",
]

MAX_BODY_BYTES = 65_536
"""Longest webhook body that is read; Twilio's are a few kilobytes."""

_MEDIA_PATH = "/twilio/media"
_FORM = "application/x-www-form-urlencoded"

Ticket = TypeVar("Ticket")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TwilioEdge:
    """Our account, and the origin that Twilio reaches us by. Raises ConfigError.

    `public_url` is an origin such as `https://voice.example.com`; signatures are judged against it.
    `start_timeout_s` is how long a peer may take to send a body, or `connected` and `start`.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    public_url: str
    start_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if not re.fullmatch("AC[0-9a-fA-F]{32}", self.account_sid):
            raise ConfigError(
                "the Twilio account is not AC and 32 hexadecimal digits", hint="see TWILIO_ACCOUNT_SID"
            )
        object.__setattr__(self, "public_url", origin_of(self.public_url))


def twilio_router(desk: FrontDesk[Ticket], settings: TwilioEdge) -> APIRouter:
    """The routes below `/twilio`; mount it at the root, with a websocket limit of `MAX_MESSAGE_BYTES`."""
    webhooks, media = _Webhooks(desk, settings), _Media(desk, settings)
    router = APIRouter(include_in_schema=False)
    for path, answer in webhooks.answers().items():
        router.add_api_route(path, webhooks.guarded(answer), methods=["POST"], response_model=None)
    for path in (_MEDIA_PATH, f"{_MEDIA_PATH}/"):
        router.add_api_websocket_route(path, media.serve)
    return router


class _Refused(Exception):
    def __init__(self, code: Refusal, status: int = 403, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.reason = reason


Answer = Callable[[Request, Form], Awaitable[Response]]


class _Webhooks:
    def __init__(self, desk: FrontDesk[Any], edge: TwilioEdge) -> None:
        self._desk = desk
        self._edge = edge
        self._signatures = Signatures(edge.auth_token, edge.public_url)

    def answers(self) -> dict[str, Answer]:
        return {
            "/twilio/voice": self._voice,
            "/twilio/after-stream": self._after_stream,
            "/twilio/status": self._status,
            "/twilio/stream-status": self._stream_status,
        }

    def guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Lets only requests through that Twilio signed for our account; no route is without it."""

        async def guarded(request: Request) -> Response:
            try:
                return await answer(request, await self._signed_form(request))
            except ProtocolError as error:
                return self._refuse(request, _Refused(Refusal.MALFORMED, 400, error.message))
            except _Refused as refused:
                return self._refuse(request, refused)

        return guarded

    def _refuse(self, request: Request, refused: _Refused) -> Response:
        self._desk.refused(refused.code)
        log.warning("webhook_refused", code=refused.code, path=request.scope["path"], reason=refused.reason)
        return PlainTextResponse(refused.code, refused.status)

    async def _voice(self, request: Request, form: Form) -> Response:
        call = InboundCall(
            call_sid=form.text("CallSid"),
            caller=form.text("From"),
            called=form.text("To"),
            direction=form.text("Direction"),
            status=form.text("CallStatus"),
            repeated=not await self._first_time(request),
        )
        match await self._desk.admit(call):
            case Connect(token, parameters, announcement):
                return self._connect({**parameters, "token": token}, announcement)
            case Refuse(text, reason):
                if call.repeated:
                    self._desk.refused(Refusal.REPLAYED)
                log.info("call_refused", call_sid=call.call_sid, reason=reason, repeated=call.repeated)
                return _xml(twiml.hang_up(saying=text))

    async def _after_stream(self, request: Request, form: Form) -> Response:
        match await self._desk.after_stream(form.text("CallSid")):
            case Reconnect(token, attempt):
                return self._connect({"attempt": str(attempt), "token": token}, "")
            case Apologise(text):
                return _xml(twiml.hang_up(saying=text))
            case HangUp():
                return _xml(twiml.hang_up())

    async def _status(self, request: Request, form: Form) -> Response:
        update = CallStatus(
            call_sid=form.text("CallSid"),
            status=form.text("CallStatus"),
            sequence=form.count("SequenceNumber"),
            duration_s=form.count("CallDuration"),
            sip_response_code=form.count("SipResponseCode"),
            error_code=form.count("ErrorCode"),
        )
        return await self._report(request, lambda: self._desk.call_status(update))

    async def _stream_status(self, request: Request, form: Form) -> Response:
        update = StreamStatus(
            stream_sid=form.text("StreamSid"),
            call_sid=form.text("CallSid"),
            event=form.text("StreamEvent"),
            error=form.text("StreamError"),
        )
        return await self._report(request, lambda: self._desk.stream_status(update))

    async def _report(self, request: Request, deliver: Callable[[], Awaitable[None]]) -> Response:
        if await self._first_time(request):
            await deliver()
        else:
            self._desk.refused(Refusal.REPLAYED)
        return Response(status_code=204)

    def _connect(self, parameters: dict[str, str], announcement: str) -> Response:
        origin = self._edge.public_url
        return _xml(
            twiml.connect_stream(
                media_url=f"{stream_origin(origin)}{_MEDIA_PATH}",
                status_url=f"{origin}/twilio/stream-status",
                after_url=f"{origin}/twilio/after-stream",
                parameters=parameters,
                announcement=announcement,
            )
        )

    async def _first_time(self, request: Request) -> bool:
        """Whether neither this signed content nor Twilio's name for this delivery was seen before.

        The name is not signed, so it can only add to what counts as a repetition.
        """
        path, headers = request.scope["path"], request.headers
        new = await self._desk.first_time(replay_key(path, "signature", headers["x-twilio-signature"]))
        if delivery := headers.get("i-twilio-idempotency-token"):
            new &= await self._desk.first_time(replay_key(path, "delivery", delivery))
        return new

    async def _signed_form(self, request: Request) -> Form:
        signature = request.headers.get("x-twilio-signature")
        if not signature:
            raise _Refused(Refusal.UNSIGNED)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise _Refused(Refusal.CONTENT_TYPE, 415)
        path = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        try:
            form = Form.parse(await self._body(request))
            self._signatures.require_request(path, query, form, signature)
        except SignatureError:
            raise _Refused(Refusal.WRONG_SIGNATURE) from None
        if form.get("AccountSid") != [self._edge.account_sid]:
            raise _Refused(Refusal.WRONG_ACCOUNT)
        return form

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._edge.start_timeout_s), aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise _Refused(Refusal.OVERSIZED, 413)
        except TimeoutError:
            raise _Refused(Refusal.SILENT, 408) from None
        except ClientDisconnect:
            raise _Refused(Refusal.DISCONNECTED, 400) from None
        return bytes(body)


class _Media(Generic[Ticket]):
    def __init__(self, desk: FrontDesk[Ticket], edge: TwilioEdge) -> None:
        self._desk = desk
        self._edge = edge
        self._signatures = Signatures(edge.auth_token, edge.public_url)

    async def serve(self, websocket: WebSocket) -> None:
        """One stream from handshake to close: 1000 after a call, 1008 if refused, 1011 if we failed."""
        stream = MediaStream()
        try:
            self._require_signature(websocket)
            started = await self._start(websocket, stream)
        except _Refused as refused:
            await self._refuse(websocket, refused)
            return
        with structlog.contextvars.bound_contextvars(call_sid=started.call_sid):
            await self._hold(websocket, stream, started)

    def _require_signature(self, websocket: WebSocket) -> None:
        signature = websocket.headers.get("x-twilio-signature")
        if not signature:
            raise _Refused(Refusal.UNSIGNED)
        try:
            self._signatures.require_handshake(_MEDIA_PATH, signature)
        except SignatureError:
            raise _Refused(Refusal.WRONG_SIGNATURE) from None

    async def _start(self, websocket: WebSocket, stream: MediaStream) -> Started:
        try:
            async with asyncio.timeout(self._edge.start_timeout_s):
                await websocket.accept()
                while (started := stream.started) is None:
                    stream.receive(await _message(websocket))
        except TimeoutError:
            raise _Refused(Refusal.SILENT) from None
        except ProtocolError as error:
            raise _Refused(Refusal.MALFORMED, reason=error.message) from None
        except WebSocketDisconnect as gone:
            raise _Refused(Refusal.OVERSIZED if gone.code == 1009 else Refusal.DISCONNECTED) from None
        except OSError:
            raise _Refused(Refusal.DISCONNECTED) from None
        if started.account_sid != self._edge.account_sid:
            raise _Refused(Refusal.WRONG_ACCOUNT)
        return started

    async def _hold(self, websocket: WebSocket, stream: MediaStream, started: Started) -> None:
        try:
            ticket = await self._claim(started)
            await self._desk.hold(websocket, stream, started, ticket)
        except _Refused as refused:
            await self._refuse(websocket, refused)
        except WebSocketDisconnect:
            log.info("caller_gone")
        except Exception as error:  # noqa: BLE001 - one call's process boundary: the others go on
            code = error.code if isinstance(error, RolecallError) else RolecallError.code
            log.error("call_failed", code=code, traceback=_traceback_of(error), pii_error=str(error))
            await _close(websocket, 1011)
        else:
            await _close(websocket, 1000)

    async def _claim(self, started: Started) -> Ticket:
        try:
            return await self._desk.claim(started.parameters.get("token", ""), started)
        except TokenError:
            raise _Refused(Refusal.TOKEN) from None

    async def _refuse(self, websocket: WebSocket, refused: _Refused) -> None:
        self._desk.refused(refused.code)
        log.warning("stream_refused", code=refused.code, reason=refused.reason)
        await _close(websocket, 1008)


async def _message(websocket: WebSocket) -> str | bytes:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text: str | None = message.get("text")
    return text if text is not None else bytes(message["bytes"])


async def _close(websocket: WebSocket, code: int) -> None:
    """Closes what is still open; before `accept` the peer gets HTTP 403 instead of the code."""
    if WebSocketState.DISCONNECTED not in (websocket.client_state, websocket.application_state):
        # The peer, or a keepalive that failed, may be quicker: each server says so in its own way.
        with suppress(WebSocketDisconnect, OSError, RuntimeError):
            await websocket.close(code)


def _xml(document: str) -> Response:
    return Response(document, media_type="text/xml")


def _traceback_of(error: BaseException) -> str:
    """Where an error and those behind it came from, without their messages: these may quote the trainee."""
    lines: list[str] = []
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        lines += [f"{type(current).__qualname__}\n", *traceback.format_tb(current.__traceback__)]
        behind = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        inside = current.exceptions if isinstance(current, BaseExceptionGroup) else ()
        pending += [*([behind] if behind else []), *inside]
    return "".join(lines)
