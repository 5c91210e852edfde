"""A media stream's websocket: opening it as Twilio does, and carrying one leg's messages over it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from telephony.simulator.conditions import DelayLine, Direction, LineConditions, Losses
from telephony.simulator.leg import StreamLeg
from telephony.simulator.line import Line
from telephony.simulator.pipe import Pipe
from telephony.simulator.routes import Routes
from telephony.simulator.signature import sign

CONNECT_TIMEOUT: Final = 31901
BROKEN_PIPE: Final = 31903
HANDSHAKE_REFUSED: Final = 31920
CLOSED_BY_SERVER: Final = 31921
NOT_WSS: Final = 31922
CONGESTION: Final = 31930

_OPEN_LIMIT_S: Final = 5.0
_CLOSE_LIMIT_S: Final = 2.0
_MOST_WAITING_UP: Final = 500
_MOST_WAITING_DOWN: Final = 5_000
_MOST_UNREAD: Final = 256
_LARGEST_MESSAGE: Final = 16 * 1_024 * 1_024
_ABNORMAL: Final = 1006


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """Why no socket could be opened."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a socket ended: `code` is the close code, 1006 if there was no close frame."""

    code: int
    by_carrier: bool = False

    @property
    def was_lost(self) -> bool:
        """Whether it broke rather than closed."""
        return self.code == _ABNORMAL and not self.by_carrier


async def open_socket(url: str, routes: Routes, auth_token: str) -> ClientConnection | StreamRefused:
    """Dials a wss URL: signed, with no Origin, no subprotocol and no compression."""
    if not url.lower().startswith("wss://"):
        return StreamRefused(NOT_WSS, f"{url} is not a wss URL")
    route = routes.locate(url)
    if route is None:
        return StreamRefused(CONNECT_TIMEOUT, f"no route to {url}")
    headers = {
        "X-Twilio-Signature": sign(url, (), auth_token),
        "Accept-Encoding": "gzip",
        **route.forwarding_headers,
    }
    try:
        return await connect(
            f"ws://{route.authority}{route.path}",
            host=route.host,
            port=route.port,
            additional_headers=headers,
            user_agent_header="Twilio.TmeWs/1.0",
            compression=None,
            proxy=None,
            open_timeout=_OPEN_LIMIT_S,
            close_timeout=_CLOSE_LIMIT_S,
            ping_interval=None,
            max_size=_LARGEST_MESSAGE,
            max_queue=_MOST_UNREAD,
        )
    except InvalidHandshake as error:
        return StreamRefused(HANDSHAKE_REFUSED, f"handshake with {url}: {error}")
    except (OSError, TimeoutError) as error:
        return StreamRefused(CONNECT_TIMEOUT, f"connecting to {url}: {error or 'time-out'}")


class MediaSession:
    """One open stream: plugged into the line as what is heard and/or listened to."""

    def __init__(
        self,
        leg: StreamLeg,
        socket: ClientConnection,
        line: Line,
        conditions: LineConditions,
        *,
        zero_s: float,
        name: str,
        warn: Callable[[int], None],
    ) -> None:
        self.leg = leg
        self.ended = asyncio.Event()
        self._socket = socket
        self._line = line
        self._disconnect_at_ms = conditions.disconnect_at_ms
        self._up: Pipe[str | None] = Pipe(DelayLine(conditions, Direction.UP, name=name), zero_s)
        self._down: Pipe[str | bytes | StreamEnd] = Pipe(
            DelayLine(conditions, Direction.DOWN, name=name), zero_s
        )
        self._losses = Losses(conditions, name=name)
        self._end: asyncio.Future[StreamEnd] = asyncio.get_running_loop().create_future()
        self._stopping = False
        self._warn = warn
        self._warned: set[int] = set()
        for message in leg.opening():
            self._up.put(message)

    @property
    def is_bidirectional(self) -> bool:
        """Whether the handset hears this stream."""
        return self.leg.playout is not None

    @property
    def is_stopping(self) -> bool:
        """Whether the carrier has begun to end it."""
        return self._stopping

    def plug_in(self) -> None:
        """Begins the media: the next tick of the line is 0 ms of this stream."""
        if self._stopping or self._end.done():
            return
        if self.is_bidirectional:
            self._line.handset.start_media_clock(self._line.ticks)
            self._line.source = self
        self._line.attach(self)
        self._line.handset.log.note(self._line.handset.now_ms, "stream_started", self.leg.identity.stream_sid)

    def play(self) -> bytes:
        """What the handset hears for the next 20 ms."""
        heard, receipts = self.leg.play()
        for receipt in receipts:
            self._up.put(receipt)
        return heard

    def frame(self, said: bytes, heard: bytes) -> None:
        """Takes 20 ms of the line. An application that does not read loses the newest audio: 31930."""
        for message in self.leg.tick(said, heard):
            if self._losses.next():
                continue
            if len(self._up) < _MOST_WAITING_UP:
                self._up.put(message)
            elif CONGESTION not in self._warned:
                self._line.handset.log.note(self._up.now_ms(), "congestion", code=CONGESTION)
                self._warn_once({CONGESTION})

    def press(self, digit: str) -> None:
        """Tells the application of a key."""
        for message in self.leg.dtmf(digit):
            self._up.put(message)

    def stop(self) -> None:
        """Begins to end the stream from the carrier's side: `stop`, then the closing handshake."""
        if self._stopping or self._end.done():
            return
        self._stopping = True
        self._unplug()
        self._up.put(self.leg.stop())
        self._up.put(None)

    async def run(self) -> StreamEnd:
        """Carries messages both ways until the socket is gone."""
        try:
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(work)
                    for work in (self._read(), self._apply(), self._send(), self._break_off())
                ]
                end = await self._end
                for worker in workers:
                    worker.cancel()
            return end
        finally:
            self._unplug()
            self._socket.transport.abort()
            self.ended.set()

    def _unplug(self) -> None:
        self._line.detach(self)
        if self._line.source is self:
            self._line.source = None

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._down.put(message)
                await self._down.room(_MOST_WAITING_DOWN)
        except ConnectionClosed:
            pass
        code = self._socket.close_code
        self._down.put(StreamEnd(_ABNORMAL if code is None else code, by_carrier=self._stopping))

    async def _apply(self) -> None:
        while True:
            for item in await self._down.get():
                if isinstance(item, StreamEnd):
                    self._finish(item)
                    return
                for receipt in self.leg.receive(item, self._down.now_ms()):
                    self._up.put(receipt)
                self._warn_once(self.leg.warnings)

    async def _send(self) -> None:
        try:
            while True:
                for message in await self._up.get():
                    if message is None:
                        await self._socket.close()
                        self._finish(StreamEnd(1000, by_carrier=True))
                        return
                    await self._socket.send(message)
        except ConnectionClosed:
            return  # _read tells how it closed

    async def _break_off(self) -> None:
        if self._disconnect_at_ms is None:
            return
        ahead_ms = self._disconnect_at_ms - self._up.now_ms()
        if ahead_ms > 0:
            await asyncio.sleep(ahead_ms / 1_000)
            self._socket.transport.abort()

    def _warn_once(self, codes: set[int]) -> None:
        for code in sorted(codes - self._warned):
            self._warned.add(code)
            self._warn(code)

    def _finish(self, end: StreamEnd) -> None:
        if not self._end.done():
            self._end.set_result(end)
            kind = "stream_lost" if end.was_lost else "stream_stopped"
            self._line.handset.log.note(self._up.now_ms(), kind, self.leg.identity.stream_sid)
