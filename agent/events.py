"""The domain events of a call: the only thing that leaves it. Journalled, stored, shown live.

`at_ms` is always the call's media clock: milliseconds of audio since the stream started.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from agent.call import EndReason, Turn
from agent.memory import Detail

Part = Literal["speech_to_text", "wording", "text_to_speech", "echo_cancellation", "noise_reduction"]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A caller and a persona are connected. `started_at` is UTC, ISO 8601.

    `user_id` is the trainee's account, "" where nobody knows who is calling.
    """

    scenario_id: str
    scenario_version: str
    carrier: str
    carrier_call_id: str
    seed: int
    started_at: str
    user_id: str = ""
    at_ms: int = 0
    kind: Literal["call_started"] = "call_started"


@dataclass(frozen=True, slots=True)
class EngineChosen:
    """Which rung of a ladder serves this call, and why the rungs above it do not.

    `passed_over` holds (engine, reason) pairs in ladder order.
    """

    part: Part
    engine: str
    model: str
    reason: str
    passed_over: tuple[tuple[str, str], ...] = ()
    at_ms: int = 0
    kind: Literal["engine_chosen"] = "engine_chosen"


@dataclass(frozen=True, slots=True)
class EngineBroke:
    """An engine failed in mid-call; `fallback` is the rung that took over ("" if none)."""

    part: Part
    engine: str
    code: str
    fallback: str
    at_ms: int
    kind: Literal["engine_broke"] = "engine_broke"


@dataclass(frozen=True, slots=True)
class FilterBypassed:
    """A filter of the front end broke and is left out for the rest of the call; the sound goes on."""

    filter: str
    reason: str
    at_ms: int
    kind: Literal["filter_bypassed"] = "filter_bypassed"


@dataclass(frozen=True, slots=True)
class LineJudged:
    """What the trainee's line was like, once the call is over.

    `faults` are stable codes (docs/audio.md lists them), none for a good line. `figures` have their unit in
    their name; None is what could not be measured.
    """

    faults: tuple[str, ...]
    figures: dict[str, float | None]
    at_ms: int
    kind: Literal["line_judged"] = "line_judged"


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """A turn is over, as heard."""

    turn: Turn
    at_ms: int
    kind: Literal["turn_taken"] = "turn_taken"


@dataclass(frozen=True, slots=True)
class PersonaDecided:
    """What the persona makes of the trainee's turn: the move it saw and what it will do.

    `signals` and `details` are what it noticed in the turn, `confirmed` the wanted details that the turn
    reads back correctly; `mood` is the one it is in from now on.
    """

    move: str
    intent: str
    stage: str
    emotions: dict[str, float]
    disclosed: tuple[str, ...]
    open_objections: tuple[str, ...]
    at_ms: int
    moves: tuple[str, ...] = ()
    mood: str = ""
    signals: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    confirmed: tuple[str, ...] = ()
    kind: Literal["persona_decided"] = "persona_decided"


@dataclass(frozen=True, slots=True)
class EventHappened:
    """An event of the scenario has come to pass: the trainee heard of it."""

    event: str
    at_ms: int
    kind: Literal["event_happened"] = "event_happened"


@dataclass(frozen=True, slots=True)
class PersonaCutIn:
    """The persona began to speak while the trainee did; `reason` is the scenario's interruption or event."""

    reason: str
    at_ms: int
    kind: Literal["persona_cut_in"] = "persona_cut_in"


@dataclass(frozen=True, slots=True)
class ReplyGuarded:
    """A model worded what must not be said: nobody heard it, and authored words took its place.

    `code` is that of `agent.guard.Breach`, `subject` what it was about, such as a fact.
    """

    code: str
    subject: str
    at_ms: int
    kind: Literal["reply_guarded"] = "reply_guarded"


@dataclass(frozen=True, slots=True)
class TraineeSaying:
    """What the trainee has said of a turn that is not over, as understood so far. For the live view only."""

    text: str
    at_ms: int
    kind: Literal["trainee_saying"] = "trainee_saying"


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The trainee started while the persona was audible; unplayed audio was cleared at `cleared_ms`."""

    at_ms: int
    cleared_ms: int
    kind: Literal["barged_in"] = "barged_in"


@dataclass(frozen=True, slots=True)
class PersonaResumed:
    """The persona takes up what it was saying: the trainee spoke over it without wanting the floor."""

    at_ms: int
    kind: Literal["persona_resumed"] = "persona_resumed"


@dataclass(frozen=True, slots=True)
class TraineeSilent:
    """Nobody spoke for a while; the persona asks (`prompt` counts from 1)."""

    prompt: int
    at_ms: int
    kind: Literal["trainee_silent"] = "trainee_silent"


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A DTMF key: 0-9, *, #, A-D."""

    digit: str
    at_ms: int
    kind: Literal["key_pressed"] = "key_pressed"


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """The carrier's socket delivered something malformed; it was dropped. `total` counts this call's."""

    code: str
    reason: str
    total: int
    at_ms: int
    kind: Literal["message_refused"] = "message_refused"


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over. `outcome` is the scenario ending's (success, failure, open) or ""."""

    reason: EndReason
    ending: str
    outcome: str
    ended_at: str
    at_ms: int
    counters: dict[str, int] = field(default_factory=dict)
    kind: Literal["call_ended"] = "call_ended"


Event = (
    CallStarted
    | EngineChosen
    | EngineBroke
    | FilterBypassed
    | LineJudged
    | TurnTaken
    | PersonaDecided
    | EventHappened
    | PersonaCutIn
    | ReplyGuarded
    | TraineeSaying
    | BargedIn
    | PersonaResumed
    | TraineeSilent
    | KeyPressed
    | MessageRefused
    | CallEnded
)

EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
"""Reads and writes events as JSON: `EVENTS.dump_python(event, mode="json")`, `EVENTS.validate_python`."""
