"""A call's nouns: who speaks, what a turn is, how a call ends."""

from dataclasses import dataclass
from enum import StrEnum


class Speaker(StrEnum):
    """The two parties of a rehearsal."""

    TRAINEE = "trainee"
    PERSONA = "persona"


class EndReason(StrEnum):
    """Why a call is over; exactly one holds for each call."""

    PERSONA_ENDED = "persona_ended"
    TRAINEE_HUNG_UP = "trainee_hung_up"
    STOP_WORD = "stop_word"
    TRAINEE_SILENT = "trainee_silent"
    TIME_LIMIT = "time_limit"
    CONNECTION_LOST = "connection_lost"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stages:
    """Where one response gap went, in ms on the media clock; the parts add up to the gap.

    `turn_end_ms`: trainee's last sound to the decision that the turn is over.
    `recognition_ms`: that decision to the final text (0 when the text was there before it).
    `persona_ms`: text to the first clause. `speech_ms`: clause to its first audio being sent.
    `carrier_ms`: sent to audible.
    """

    turn_end_ms: int
    recognition_ms: int
    persona_ms: int
    speech_ms: int
    carrier_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One party's contribution as heard by the other, on the call's media clock.

    `start_ms` and `end_ms` bound the audible sound. `response_gap_ms` is set on a persona's turn that
    answers the trainee: trainee's last sound to persona's first. `confidence` (0 to 1) is the
    recogniser's and set on the trainee's turns only. `interrupted` means the other party cut it short,
    and `text` then ends where the hearing ended.
    """

    index: int
    speaker: Speaker
    text: str
    start_ms: int
    end_ms: int
    interrupted: bool = False
    confidence: float | None = None
    response_gap_ms: int | None = None
    stages: Stages | None = None
