"""Turns a call's signals into its record: who said what, when, and how long the other had to wait.

Every time is on the media clock. Where a turn's sound starts and ends is asked of the recording, not of
the detectors, which know it only roughly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.call import Speaker, Stages, Turn
from agent.events import BargedIn, Event, TurnTaken
from agent.playback import HeardReply
from agent.speech import Recognition

SoundBounds = Callable[[Speaker, float, float], tuple[int, int] | None]
"""(speaker, start_ms, end_ms) -> first and last sound between these times, or None."""

_LEAD_MS: Final = 700
_LONGEST_SEARCH_MS: Final = 55_000


@dataclass(slots=True)
class _Pause:
    """The way from the trainee's last sound to the persona's first, as far as it has come."""

    last_sound_ms: int
    judged_ms: int
    understood_ms: int
    clause_ms: int | None = None
    sent_ms: int | None = None

    def stages(self, first_sound_ms: int) -> Stages:
        """Detectors and carrier agree on the time to a block: a step that seems to go back takes none."""
        steps = [self.last_sound_ms]
        for step_ms in (self.judged_ms, self.understood_ms, self.clause_ms, self.sent_ms):
            steps.append(min(max(step_ms or 0, steps[-1]), first_sound_ms))
        steps.append(first_sound_ms)
        return Stages(*(later - sooner for sooner, later in zip(steps, steps[1:], strict=False)))


class Conversation:
    """Follows both parties of one call; `emit` receives the events in the order in which they are known.

    `confidence` is the recogniser's, for the trainee's turn as far as it has got.
    """

    def __init__(self, emit: Callable[[Event], None], sound_bounds: SoundBounds) -> None:
        self._emit = emit
        self._sound_bounds = sound_bounds
        self._turns = 0
        self._voice_ms: int | None = None
        self._quiet_ms = 0
        self._last_end_ms = 0
        self._judged_ms: int | None = None
        self._understood_ms: int | None = None
        self.confidence: float | None = None
        self._pause: _Pause | None = None
        self._cut_ms: int | None = None

    def speaking_ms(self, at_ms: int) -> int:
        """For how long the trainee's turn has been going on at `at_ms`; 0 while there is none."""
        return 0 if self._voice_ms is None else max(0, at_ms - self._voice_ms)

    def voice_started(self, at_ms: int) -> None:
        """The trainee is speaking, detected at `at_ms`."""
        if self._voice_ms is None:
            self._voice_ms = max(self._last_end_ms, at_ms - _LEAD_MS)
        self._judged_ms = None

    def barged_in(self, at_ms: int) -> None:
        """The persona's audible speech was cut at `at_ms`, because the trainee speaks."""
        self._cut_ms = at_ms

    def voice_stopped(self, at_ms: int) -> None:
        """The trainee has fallen silent, detected at `at_ms`."""
        self._quiet_ms = at_ms

    def turn_judged(self, at_ms: int) -> None:
        """The silence was long enough, at `at_ms`, to be the end of the trainee's turn, text or no text."""
        self._judged_ms = at_ms

    def understood(self, recognition: Recognition, at_ms: int) -> None:
        """The recogniser has understood the trainee's turn as far as it has got."""
        self._understood_ms = at_ms
        self.confidence = None if recognition.confidence is None else round(recognition.confidence, 3)

    def trainee_finished(self, text: str, at_ms: int) -> Turn | None:
        """The trainee's turn is over. Returns it, or None if nothing was understood."""
        voice_ms, self._voice_ms = self._voice_ms, None
        judged_ms, self._judged_ms = self._judged_ms, None
        confidence, self.confidence = self.confidence, None
        if voice_ms is None:
            voice_ms = max(self._last_end_ms, at_ms - _LEAD_MS)
        end_ms = max(self._quiet_ms, voice_ms)
        bounds = self._sound_bounds(Speaker.TRAINEE, max(voice_ms, end_ms - _LONGEST_SEARCH_MS), end_ms)
        first_ms, last_ms = bounds or (voice_ms, end_ms)
        self._last_end_ms = last_ms
        if not text:
            return None
        self._pause = _Pause(last_ms, judged_ms or at_ms, self._understood_ms or at_ms)
        turn = Turn(self._turns, Speaker.TRAINEE, text, first_ms, last_ms, confidence=confidence)
        self._take(turn, at_ms)
        return turn

    def first_clause(self, at_ms: int) -> None:
        """The first clause of the persona's answer is worded."""
        if self._pause is not None and self._pause.clause_ms is None:
            self._pause.clause_ms = at_ms

    def first_sent(self, at_ms: int) -> None:
        """The first audio of the persona's answer is handed to the carrier."""
        if self._pause is not None and self._pause.sent_ms is None:
            self._pause.sent_ms = at_ms

    def persona_heard(self, reply: HeardReply, at_ms: int) -> Turn | None:
        """A reply of the persona is over as heard. Returns the turn, or None if nothing of it was."""
        cut_ms, self._cut_ms = self._cut_ms, None
        pause, self._pause = self._pause, None
        if not reply.text or reply.start_ms is None or reply.end_ms is None:
            return None
        bounds = self._sound_bounds(Speaker.PERSONA, reply.start_ms, reply.end_ms)
        first_ms, last_ms = bounds or (reply.start_ms, reply.end_ms)
        if reply.interrupted and cut_ms is not None:
            since_ms = self._voice_ms if self._voice_ms is not None else max(0, cut_ms - _LEAD_MS)
            voice = self._sound_bounds(Speaker.TRAINEE, since_ms, cut_ms)
            self._emit(BargedIn(at_ms=voice[0] if voice else cut_ms, cleared_ms=last_ms))
        answered = pause is not None and first_ms >= pause.last_sound_ms
        turn = Turn(
            self._turns,
            Speaker.PERSONA,
            reply.text,
            first_ms,
            last_ms,
            interrupted=reply.interrupted,
            response_gap_ms=first_ms - pause.last_sound_ms if pause and answered else None,
            stages=pause.stages(first_ms) if pause and answered else None,
        )
        self._take(turn, at_ms)
        return turn

    def _take(self, turn: Turn, at_ms: int) -> None:
        self._turns += 1
        self._emit(TurnTaken(turn, at_ms))
