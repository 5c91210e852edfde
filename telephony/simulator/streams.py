"""The media streams of one call: opening, naming, ending and telling of them."""

import asyncio
import itertools
import math
from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from telephony.simulator.callbacks import Callbacks
from telephony.simulator.calls import Call
from telephony.simulator.conditions import LineConditions
from telephony.simulator.leg import INBOUND, OUTBOUND, StreamLeg
from telephony.simulator.line import Line
from telephony.simulator.media import (
    BROKEN_PIPE,
    CLOSED_BY_SERVER,
    CONGESTION,
    MediaSession,
    StreamEnd,
    StreamRefused,
    open_socket,
)
from telephony.simulator.messages import BINARY_MESSAGE, INVALID_MESSAGE, StreamIdentity
from telephony.simulator.playout import BUFFER_OVERFLOW, PROTOCOL_ERROR
from telephony.simulator.routes import Routes
from telephony.simulator.sound import FRAME_MS
from telephony.simulator.twiml import SCHEMA_WARNING, Verb

_TRACKS: Final = {
    "inbound_track": (INBOUND,),
    "outbound_track": (OUTBOUND,),
    "both_tracks": (INBOUND, OUTBOUND),
}
_WARNINGS: Final = {
    BINARY_MESSAGE: "a binary message",
    INVALID_MESSAGE: "a message that is none of the documented ones, or for another stream",
    PROTOCOL_ERROR: "a malformed or unsupported message",
    CONGESTION: "the application reads too slowly; audio was not sent",
    BUFFER_OVERFLOW: "more than 10 minutes buffered; audio was discarded",
}
_STOP_LIMIT_S: Final = 5.0


class Streams:
    """Owns the sessions; their tasks belong to the call's group."""

    def __init__(
        self,
        call: Call,
        line: Line,
        callbacks: Callbacks,
        routes: Routes,
        *,
        auth_token: str,
        conditions: LineConditions,
        new_sid: Callable[[str], str],
    ) -> None:
        self._call = call
        self._line = line
        self._callbacks = callbacks
        self._routes = routes
        self._auth_token = auth_token
        self._conditions = conditions
        self._new_sid = new_sid
        self._sessions: dict[str, tuple[MediaSession, asyncio.Task[None]]] = {}
        self._numbering = itertools.count()
        self._connected_before = False

    async def open(
        self, noun: Verb, document_url: str, tasks: asyncio.TaskGroup, *, bidirectional: bool
    ) -> MediaSession | None:
        """Opens `<Stream>`; None if it was refused, which has been logged and called back by then."""
        identity = self._identify(noun, bidirectional=bidirectional)
        number = next(self._numbering)
        again = bidirectional and self._connected_before
        self._connected_before |= bidirectional
        wait_ms = self._conditions.reattach_ms if again else self._conditions.connect_ms
        await asyncio.sleep(wait_ms / 1_000)
        socket = await open_socket(stream_url(noun.get("url"), document_url), self._routes, self._auth_token)
        if isinstance(socket, StreamRefused):
            self._call.note("error", socket.message, socket.code)
            self._tell(noun, identity, "stream-error", f"{socket.code}: {socket.message}")
            return None
        first_tick = self._line.ticks + max(1, math.ceil(self._conditions.first_frame_ms / FRAME_MS))
        zero_tick = self._line.handset.media_start_tick
        if zero_tick is None:
            zero_tick = first_tick
        leg = StreamLeg(
            identity,
            bidirectional=bidirectional,
            start_ms=(first_tick - zero_tick) * FRAME_MS,
            log=self._line.handset.log,
        )
        zero_s = self._line.tick_time_s(zero_tick)
        session = MediaSession(
            leg,
            socket,
            self._line,
            self._conditions,
            zero_s=zero_s,
            name=f"{self._call.number}.{number}",
            warn=lambda code: self._call.note("warning", f"{identity.stream_sid}: {_WARNINGS[code]}", code),
        )
        self._sessions[identity.stream_sid] = session, tasks.create_task(self._attend(session, noun))
        self._line.at_tick(first_tick, session.plug_in)
        self._call.note("stream", f"{identity.stream_sid} started")
        self._tell(noun, identity, "stream-started")
        return session

    def press(self, digit: str) -> bool:
        """Passes a key to the bidirectional stream; False if there is none."""
        for session in self._all():
            if session.is_bidirectional and not session.is_stopping:
                session.press(digit)
                return True
        return False

    def stop_named(self, name: str) -> None:
        """Ends the fork called `name`."""
        for session in self._all():
            if name and name in (session.leg.identity.name, session.leg.identity.stream_sid):
                session.stop()

    def stop_bidirectional(self) -> None:
        """Begins to end what the handset hears; forks go on."""
        for session in self._all():
            if session.is_bidirectional:
                session.stop()

    async def stop_all(self) -> None:
        """Ends every stream, and breaks off those whose server does not let go."""
        for session in self._all():
            session.stop()
        running = [task for _, task in self._sessions.values()]
        if running:
            _, stuck = await asyncio.wait(running, timeout=_STOP_LIMIT_S)
            for task in stuck:
                task.cancel()

    def _all(self) -> list[MediaSession]:
        return [session for session, _ in self._sessions.values()]

    def _identify(self, noun: Verb, *, bidirectional: bool) -> StreamIdentity:
        track = noun.get("track", "inbound_track")
        if track not in _TRACKS or (bidirectional and track != "inbound_track"):
            self._call.note("warning", f"track {track!r} is not one of this stream's", SCHEMA_WARNING)
            track = "inbound_track"
        return StreamIdentity(
            account_sid=self._call.account_sid,
            call_sid=self._call.sid,
            stream_sid=self._new_sid("MZ"),
            tracks=_TRACKS[track],
            parameters={child.get("name"): child.get("value") for child in noun.children},
            name=noun.get("name"),
        )

    async def _attend(self, session: MediaSession, noun: Verb) -> None:
        identity = session.leg.identity
        try:
            end = await session.run()
        finally:
            del self._sessions[identity.stream_sid]
        self._note_end(identity.stream_sid, end)
        if end.was_lost:
            self._tell(noun, identity, "stream-error", f"{BROKEN_PIPE}: connection lost")
        self._tell(noun, identity, "stream-stopped")

    def _note_end(self, stream_sid: str, end: StreamEnd) -> None:
        if end.was_lost:
            self._call.note("error", f"{stream_sid} lost without a close frame", BROKEN_PIPE)
        elif not end.by_carrier:
            self._call.note("error", f"{stream_sid} closed by the server with {end.code}", CLOSED_BY_SERVER)
        self._call.note("stream", f"{stream_sid} stopped")

    def _tell(self, noun: Verb, identity: StreamIdentity, event: str, error: str = "") -> None:
        method = noun.get("statusCallbackMethod", "POST").upper()
        self._callbacks.stream(
            event, noun.get("statusCallback"), method, identity.stream_sid, identity.name, error
        )


def stream_url(url: str, document_url: str) -> str:
    """What is dialled: a relative URL made absolute, and never a query string or fragment."""
    if url and not urlsplit(url).scheme:
        url = urljoin(document_url, url).replace("https://", "wss://", 1)
    scheme, netloc, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, netloc, path, "", ""))
