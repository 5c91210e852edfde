"""The carrier's playout buffer: what the application sent, played to the handset 20 ms at a time. Sans-IO."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from telephony.simulator.messages import (
    ClearBuffer,
    PlayMedia,
    Refusal,
    SetMark,
    audio_file_header,
    read_message,
)
from telephony.simulator.sound import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENCE

CAPACITY_BYTES: Final = 10 * 60 * 1_000 * BYTES_PER_MS
SAME_UTTERANCE_MS: Final = 1_000
BUFFER_OVERFLOW: Final = 31931
PROTOCOL_ERROR: Final = 31924
_MOST_EVENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class CarrierEvent:
    """Something the carrier noticed, on the media clock.

    `kind`: clear, underrun, overflow, refused, wrong_stream, file_header, late, stream_started,
    stream_stopped, stream_lost, congestion. `ms` is the length of the thing where it has one: audio
    dropped by a clear, silence of an underrun, the carrier's own lateness. `code` is Twilio's, if any.
    """

    at_ms: float
    kind: str
    detail: str = ""
    ms: float = 0.0
    code: int | None = None


@dataclass(frozen=True, slots=True)
class MarkEcho:
    """A mark that came and went back. `why`: played, empty (nothing was buffered), cleared."""

    name: str
    received_ms: float
    echoed_ms: float
    why: str


@dataclass(frozen=True, slots=True)
class Underrun:
    """Silence because audio came late: from `at_ms` for `ms`, more audio following within a second.

    `after_mark`: the application had marked the end of what it sent before, so this may be a pause
    between two things it said.
    """

    at_ms: float
    ms: float
    after_mark: bool


@dataclass(slots=True)
class PlayoutLog:
    """What happened in the playout buffers of a call, in order."""

    events: list[CarrierEvent] = field(default_factory=list)
    marks: list[MarkEcho] = field(default_factory=list)
    underruns: list[Underrun] = field(default_factory=list)

    def note(
        self, at_ms: float, kind: str, detail: str = "", *, ms: float = 0.0, code: int | None = None
    ) -> None:
        """Adds an event; what comes after the first 10,000 of a call is not kept."""
        if len(self.events) < _MOST_EVENTS:
            self.events.append(CarrierEvent(at_ms, kind, detail, ms, code))


class Played(NamedTuple):
    """One tick: the 20 ms that start playing now, and the marks that everything before them has reached."""

    ulaw: bytes
    marks: list[str]


@dataclass(slots=True)
class _PendingMark:
    name: str
    at_byte: int
    received_ms: float


class PlayoutBuffer:
    """Queues audio and marks of one bidirectional stream; `tick()` is called every 20 ms.

    Time is on the media clock and is an argument; the n-th tick starts at `start_ms + 20 n`.
    Received = played + cleared + discarded + still buffered, in bytes.
    """

    def __init__(self, stream_sid: str, *, start_ms: float = 0.0, log: PlayoutLog | None = None) -> None:
        self.log = log if log is not None else PlayoutLog()
        self.received_bytes = 0
        self.played_bytes = 0
        self.cleared_bytes = 0
        self.discarded_bytes = 0
        self.warnings: set[int] = set()
        self._stream_sid = stream_sid
        self._audio = bytearray()
        self._marks: deque[_PendingMark] = deque()
        self._taken_bytes = 0
        self._next_tick_ms = start_ms
        self._sounding_until_ms = start_ms
        self._dry_since_ms: float | None = None
        self._dry_after_mark = False

    @property
    def buffered_bytes(self) -> int:
        """Audio received and neither played nor dropped."""
        return len(self._audio)

    @property
    def buffered_ms(self) -> float:
        """The same as time."""
        return len(self._audio) / BYTES_PER_MS

    def receive(self, message: str | bytes, at_ms: float) -> list[str]:
        """Takes one message of the application; returns the marks to echo at once."""
        match read_message(message, self._stream_sid):
            case PlayMedia(ulaw):
                self._take(ulaw, at_ms)
            case SetMark(name):
                return self._mark(name, at_ms)
            case ClearBuffer():
                return self._clear(at_ms)
            case Refusal(reason, code, wrong_stream):
                self.warnings |= {code} if wrong_stream else {code, PROTOCOL_ERROR}
                kind = "wrong_stream" if wrong_stream else "refused"
                self.log.note(at_ms, kind, reason, code=code if wrong_stream else PROTOCOL_ERROR)
        return []

    def tick(self) -> Played:
        """Starts the next 20 ms."""
        now_ms = self._next_tick_ms
        self._next_tick_ms += FRAME_MS
        reached = self._reached(now_ms)
        if not self._audio:
            return Played(SILENCE * FRAME_BYTES, reached)
        self._close_underrun(now_ms)
        frame = bytes(self._audio[:FRAME_BYTES])
        del self._audio[:FRAME_BYTES]
        self._taken_bytes += len(frame)
        self.played_bytes += len(frame)
        self._sounding_until_ms = now_ms + len(frame) / BYTES_PER_MS
        if not self._audio:
            self._dry_since_ms = self._sounding_until_ms
            self._dry_after_mark = bool(self._marks)
        return Played(frame.ljust(FRAME_BYTES, SILENCE), reached)

    def _take(self, ulaw: bytes, at_ms: float) -> None:
        self.received_bytes += len(ulaw)
        if header := audio_file_header(ulaw):
            self.log.note(at_ms, "file_header", f"a payload starts with {header}")
        if len(self._audio) + len(ulaw) > CAPACITY_BYTES:
            self.discarded_bytes += len(ulaw)
            if BUFFER_OVERFLOW not in self.warnings:
                self.warnings.add(BUFFER_OVERFLOW)
                self.log.note(at_ms, "overflow", "10 minutes are buffered", code=BUFFER_OVERFLOW)
            return
        self._audio += ulaw

    def _mark(self, name: str, at_ms: float) -> list[str]:
        if not self._audio:
            self._dry_after_mark = True
            if at_ms >= self._sounding_until_ms:
                earlier = self._reached(at_ms)
                self.log.marks.append(MarkEcho(name, at_ms, at_ms, "empty"))
                return [*earlier, name]
        self._marks.append(_PendingMark(name, self._taken_bytes + len(self._audio), at_ms))
        return []

    def _clear(self, at_ms: float) -> list[str]:
        self.cleared_bytes += len(self._audio)
        self.log.note(at_ms, "clear", ms=self.buffered_ms)
        self._audio.clear()
        self._dry_since_ms = None
        names = [mark.name for mark in self._marks]
        self.log.marks += [MarkEcho(mark.name, mark.received_ms, at_ms, "cleared") for mark in self._marks]
        self._marks.clear()
        return names

    def _reached(self, now_ms: float) -> list[str]:
        names: list[str] = []
        while self._marks and self._marks[0].at_byte <= self._taken_bytes:
            mark = self._marks.popleft()
            names.append(mark.name)
            self.log.marks.append(MarkEcho(mark.name, mark.received_ms, now_ms, "played"))
        return names

    def _close_underrun(self, now_ms: float) -> None:
        dry_since_ms, self._dry_since_ms = self._dry_since_ms, None
        if dry_since_ms is None or not 0 < now_ms - dry_since_ms <= SAME_UTTERANCE_MS:
            return
        underrun = Underrun(dry_since_ms, now_ms - dry_since_ms, self._dry_after_mark)
        self.log.underruns.append(underrun)
        if not underrun.after_mark:
            self.log.note(dry_since_ms, "underrun", ms=underrun.ms)
