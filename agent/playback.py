"""What the trainee has really heard of the persona, by the carrier's receipts.

The carrier buffers what we send and returns each mark when the audio before it has been played, in order
with the trainee's audio on one connection. A receipt that arrives when the trainee's audio has reached
`at_ms` therefore says: played by `at_ms`, whatever the network did in between. After a `clear` some carriers
return the flushed marks at once and others drop them; neither is relied on, and nothing waits without limit.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.speech import SpokenWord

_SAME_MOMENT_MS: Final = 30.0
_RECEIPT_LIMIT_MS: Final = 2_000.0
_FLUSHED_LIMIT_MS: Final = 500.0


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the message sent under `mark`: `heard_samples` of it were played, from `start_ms` on."""

    mark: str
    start_ms: float
    heard_samples: int


@dataclass(frozen=True, slots=True)
class HeardReply:
    """A reply of the persona as heard. `complete` means all of it was; times are None if nothing was."""

    reply: int
    text: str
    start_ms: int | None
    end_ms: int | None
    complete: bool
    interrupted: bool


@dataclass(slots=True)
class _Message:
    mark: str
    reply: int
    samples: int
    sent_ms: float


class Playback:
    """Follows one reply at a time from synthesis (`script`) over sending (`send`) to the receipts.

    Times are ms on the media clock, amounts are samples at `rate_hz`.
    """

    def __init__(self, *, rate_hz: int = 8_000) -> None:
        self._per_ms = rate_hz / 1_000
        self._reply = 0
        self._words: list[tuple[str, float]] = []
        self._scripted = 0
        self._sent = 0
        self._heard = 0
        self._start_ms: float | None = None
        self._end_ms: float | None = None
        self._finished = False
        self._cut_ms: float | None = None
        self._open = False
        self._unacknowledged: deque[_Message] = deque()
        self._marks = 0

    @property
    def speaking(self) -> bool:
        """Whether a reply is under way: begun, and not yet closed."""
        return self._open

    @property
    def unheard_ms(self) -> float:
        """How much of the reply is spoken but, by the receipts, not yet heard; 0 for a reply that was cut."""
        if not self._open or self._cut_ms is not None:
            return 0.0
        return (self._scripted - self._heard) / self._per_ms

    def begin(self) -> int:
        """A new reply begins. Returns its number. The one before it must have been closed."""
        assert not self._open, "the reply before this one was not closed"
        self._reply += 1
        self._words, self._scripted, self._sent, self._heard = [], 0, 0, 0
        self._start_ms = self._end_ms = self._cut_ms = None
        self._finished, self._open = False, True
        self._unacknowledged.clear()
        return self._reply

    def script(self, words: Sequence[SpokenWord], samples: int) -> None:
        """The next `samples` of the reply have been synthesised, and say `words`."""
        if not self._open or self._cut_ms is not None:
            return
        for word in words:
            middle_ms = (word.start_ms + word.end_ms) / 2
            self._words.append((word.text, self._scripted + middle_ms * self._per_ms))
        self._scripted += samples

    def finish(self) -> None:
        """The reply has been scripted to its end; means nothing once it is cut."""
        self._finished = self._cut_ms is None

    def send(self, samples: int, at_ms: float) -> str | None:
        """The next `samples` of the script are being sent: returns the mark to send after them.

        None means that they belong to a reply that was cut, and must not be sent.
        """
        if not self._open or self._cut_ms is not None or self._sent >= self._scripted:
            return None
        self._marks += 1
        mark = f"{self._reply}:{self._marks}"
        self._unacknowledged.append(_Message(mark, self._reply, samples, at_ms))
        self._sent += samples
        return mark

    def interrupt(self, at_ms: float) -> bool:
        """The reply is cut at `at_ms`; returns whether the carrier may hold audio that must be cleared."""
        if not self._open or self._cut_ms is not None:
            return False
        self._cut_ms = at_ms
        return bool(self._unacknowledged)

    def receipt(self, mark: str, at_ms: float) -> Played | None:
        """The carrier returned `mark`; None if it is unknown or belongs to an older reply."""
        if not any(message.mark == mark for message in self._unacknowledged):
            return None
        while True:
            message = self._unacknowledged.popleft()
            played = self._settle(message, at_ms)
            if message.mark == mark:
                return played

    def expire(self, now_ms: float) -> list[Played]:
        """Settles messages whose receipts are overdue, by the clock instead."""
        overdue = []
        while self._unacknowledged:
            message = self._unacknowledged[0]
            start_ms = max(message.sent_ms, self._end_ms or 0.0)
            end_ms, limit_ms = start_ms + message.samples / self._per_ms, _RECEIPT_LIMIT_MS
            if self._cut_ms is not None:
                end_ms, limit_ms = min(end_ms, self._cut_ms), _FLUSHED_LIMIT_MS
            if now_ms < end_ms + limit_ms:
                break
            overdue.append(self._settle(self._unacknowledged.popleft(), end_ms))
        return overdue

    def close(self) -> HeardReply | None:
        """The reply as heard, once: when it is complete, or cut and accounted for. None before that."""
        complete = self._finished and self._sent >= self._scripted and self._cut_ms is None
        if not self._open or self._unacknowledged or not (complete or self._cut_ms is not None):
            return None
        self._open = False
        heard = [text for text, middle in self._words if middle <= self._heard]
        whole = self._finished and len(heard) == len(self._words) and self._heard > 0
        started = self._start_ms is not None
        return HeardReply(
            reply=self._reply,
            text=" ".join(heard),
            start_ms=round(self._start_ms) if self._start_ms is not None else None,
            end_ms=round(self._end_ms) if started and self._end_ms is not None else None,
            complete=whole,
            interrupted=self._cut_ms is not None and not whole,
        )

    def _settle(self, message: _Message, at_ms: float) -> Played:
        start_ms = at_ms - message.samples / self._per_ms
        if self._end_ms is not None and start_ms < self._end_ms + _SAME_MOMENT_MS:
            start_ms = self._end_ms
        elif self._cut_ms is not None:
            start_ms = max(message.sent_ms, self._end_ms or 0.0)
        heard = message.samples
        if self._cut_ms is not None:
            heard = max(0, min(heard, round((at_ms - start_ms) * self._per_ms)))
        if heard:
            self._start_ms = start_ms if self._start_ms is None else self._start_ms
            self._end_ms = start_ms + heard / self._per_ms
        self._heard += heard
        return Played(message.mark, start_ms, heard)
