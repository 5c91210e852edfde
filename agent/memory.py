"""What a persona remembers of a call: how they feel, what they told, what was said as it was heard."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from agent.call import Speaker
from agent.errors import StoreError
from agent.scenario import Scenario
from agent.scenario_parts import Emotion, EntityKind

KEPT_TURNS = 40
"""Turns of dialogue that are kept word for word, so that a long call's state stays small."""

ObjectionStatus = Literal["due", "open", "resolved"]
"""due: raised by a move, its line not yet heard; open: heard; resolved: laid to rest by the trainee."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The trainee's turn as the recogniser has it.

    `confidence` is in 0..1, None if the recogniser has none. `interrupted_persona`: they began while the
    persona was audible. `at_ms` is when they ended, on the call's clock; None where nobody speaks aloud: it
    is then reckoned from the number of words.
    """

    text: str
    confidence: float | None = 1.0
    interrupted_persona: bool = False
    at_ms: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the dialogue as the other party heard it; `cut` if it ended before its end.

    `out_of_role`: the trainee spoke to a machine, and no model is shown the words.
    """

    speaker: Speaker
    text: str
    cut: bool = False
    out_of_role: bool = False


@dataclass(frozen=True, slots=True)
class Detail:
    """An entity in a trainee's turn: the words it was said with, and its normalised value.

    `confidence` (0 to 1) is the rule's times the recogniser's. `turn` counts the trainee's turns from 1.
    """

    kind: EntityKind
    text: str
    value: str
    confidence: float
    turn: int = 0


@with_config(ConfigDict(extra="forbid", strict=False))
@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaState:
    """Everything the next decision depends on besides the scenario; a value, never changed in place.

    `moves` counts each move the trainee made, `spoken` how often each set of authored lines was drawn from.
    `disclosed` facts are those the trainee heard. `cut_ending` is an ending whose line the trainee talked
    over, so that the call went on; `ended` the ending they heard, after which the call is over. `at_ms` is
    the time of the last turn. `happened` are the events the trainee heard of, `topics` the entries of the
    fact sheet. `directive` is the last one and `directive_times` how often it was said in a row.
    `interruptions` counts by id how often the persona cut in. `timeline` has every
    `agent.scenario_parts.Moment` with its time in ms. `dialogue` keeps the last turns word for word; what
    came before lives in `details`, `caller_name`, `promises`, `disclosed` and so on. `unanswered` is what a
    trainee had written when the persona cut in.
    """

    seed: int
    stage: str
    emotions: Mapping[str, Annotated[float, Field(ge=0, le=1)]]
    turns: int = 0
    last_move: str = ""
    moves: Mapping[str, int] = field(default_factory=dict)
    disclosed: tuple[str, ...] = ()
    objections: Mapping[str, ObjectionStatus] = field(default_factory=dict)
    pressed: tuple[str, ...] = ()
    spoken: Mapping[str, int] = field(default_factory=dict)
    dialogue: tuple[Said, ...] = ()
    at_ms: int = 0
    mood: str = ""
    signals: Mapping[str, int] = field(default_factory=dict)
    happened: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    interruptions: Mapping[str, int] = field(default_factory=dict)
    directive: str = ""
    directive_times: int = 0
    details: tuple[Detail, ...] = ()
    confirmed: tuple[str, ...] = ()
    caller_name: str = ""
    promises: tuple[str, ...] = ()
    timeline: tuple[tuple[int, str], ...] = ()
    unanswered: str = ""
    cut_ending: str = ""
    ended: str = ""

    @property
    def unresolved(self) -> tuple[str, ...]:
        """The objections that are due or open, in the order they came up."""
        return tuple(name for name, status in self.objections.items() if status != "resolved")

    def with_turn(
        self, speaker: Speaker, text: str, *, cut: bool = False, out_of_role: bool = False
    ) -> "PersonaState":
        """Returns the state with one more turn of dialogue; with nothing heard there was no turn."""
        if not text.strip():
            return self
        said = Said(speaker, text.strip(), cut, out_of_role)
        return replace(self, dialogue=(*self.dialogue, said)[-KEPT_TURNS:])

    def with_moments(self, *moments: str) -> "PersonaState":
        """Returns the state in which these moments happened now."""
        return replace(self, timeline=(*self.timeline, *((self.at_ms, moment) for moment in moments)))

    def to_json(self) -> str:
        """Returns the state as one JSON object; `from_json` reads it back as an equal value."""
        return _STATES.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "PersonaState":
        """Reads what `to_json` wrote.

        Raises:
            StoreError: it is not a persona's state.
        """
        try:
            return _STATES.validate_json(text)
        except ValidationError as error:
            raise StoreError(
                f"not a persona's state: {error.errors()[0]['msg']}",
                hint="Start the rehearsal afresh",
            ) from error


_STATES: TypeAdapter[PersonaState] = TypeAdapter(PersonaState)


def begin(scenario: Scenario, seed: int) -> PersonaState:
    """Returns the state before anybody has spoken; feelings start within their spread, as the seed has it."""
    return PersonaState(
        seed=seed,
        stage=scenario.stages[0].id,
        emotions={name: _start(emotion, f"{seed}/{name}") for name, emotion in scenario.emotions.items()},
    )


def _start(emotion: Emotion, key: str) -> float:
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) / 0xFFFFFFFF
    return round(min(1.0, max(0.0, emotion.start + emotion.spread * (2 * share - 1))), 6)
