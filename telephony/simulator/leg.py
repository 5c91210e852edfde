"""One media stream without its socket: line ticks and the application's messages in, the carrier's out."""

from typing import Final

from telephony.simulator.messages import Announcer, StreamIdentity
from telephony.simulator.playout import PROTOCOL_ERROR, PlayoutBuffer, PlayoutLog
from telephony.simulator.sound import FRAME_MS, SILENT_FRAME

INBOUND: Final = "inbound"
OUTBOUND: Final = "outbound"


class StreamLeg:
    """A bidirectional stream, or a fork where `bidirectional` is false.

    A frame leaves when it has been completely said or heard, so the one of tick n leaves at tick n + 1.
    The first tick of `tick()` is 0 ms of the stream; `start_ms` is that instant on the call's media clock.
    """

    def __init__(
        self, identity: StreamIdentity, *, bidirectional: bool, start_ms: float, log: PlayoutLog
    ) -> None:
        self.identity = identity
        self.playout: PlayoutBuffer | None = None
        if bidirectional:
            self.playout = PlayoutBuffer(identity.stream_sid, start_ms=start_ms, log=log)
        self._warnings: set[int] = set()
        self._log = log
        self._announcer = Announcer(identity)
        self._frame_index = -1
        self._previous: tuple[bytes, bytes] | None = None

    @property
    def warnings(self) -> set[int]:
        """Codes of what the carrier warns of once a stream."""
        return self.playout.warnings if self.playout is not None else self._warnings

    def opening(self) -> list[str]:
        """What the carrier says as soon as the socket is open."""
        return [self._announcer.connected(), self._announcer.start()]

    def play(self) -> tuple[bytes, list[str]]:
        """What the handset hears for the next 20 ms, and mark receipts to send now. Silence from a fork."""
        if self.playout is None:
            return SILENT_FRAME, []
        ulaw, names = self.playout.tick()
        return ulaw, [self._announcer.mark(name) for name in names]

    def tick(self, said: bytes, heard: bytes) -> list[str]:
        """Takes 20 ms of both directions of the line; returns the media messages of the 20 ms before."""
        messages: list[str] = []
        if self._previous is not None:
            for track, ulaw in zip((INBOUND, OUTBOUND), self._previous, strict=True):
                if track in self.identity.tracks:
                    messages.append(self._announcer.media(track, self._frame_index, ulaw))
        self._previous = (said, heard)
        self._frame_index += 1
        return messages

    def receive(self, message: str | bytes, at_ms: float) -> list[str]:
        """Takes one message of the application; returns mark receipts to send at once."""
        if self.playout is not None:
            return [self._announcer.mark(name) for name in self.playout.receive(message, at_ms)]
        self._warnings.add(PROTOCOL_ERROR)
        self._log.note(at_ms, "refused", "a message on a fork", code=PROTOCOL_ERROR)
        return []

    def dtmf(self, digit: str) -> list[str]:
        """A key was pressed; forks are not told."""
        return [self._announcer.dtmf(digit)] if self.playout is not None else []

    def stop(self) -> str:
        """The last message, when the carrier ends the stream."""
        return self._announcer.stop()

    @property
    def duration_ms(self) -> int:
        """How much media has been sent on each track."""
        return max(0, self._frame_index) * FRAME_MS
