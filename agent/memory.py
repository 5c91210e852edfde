"""What a persona remembers of a call: how they feel, what they told, what was said as it was heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config

from agent.call import Speaker
from agent.errors import StoreError
from agent.scenario import Scenario

ObjectionStatus = Literal["due", "open", "resolved"]
"""due: raised by a move, its line not yet heard; open: heard; resolved: laid to rest by the trainee."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The trainee's turn as the recogniser has it.

    `confidence` is in 0..1, None if the recogniser has none. `interrupted_persona`: they began while the
    persona was audible.
    """

    text: str
    confidence: float | None = 1.0
    interrupted_persona: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the dialogue as the other party heard it; `cut` if it ended before its end."""

    speaker: Speaker
    text: str
    cut: bool = False


@with_config(ConfigDict(extra="forbid", strict=False))
@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaState:
    """Everything the next decision depends on besides the scenario; a value, never changed in place.

    `moves` counts each move the trainee made, `spoken` how often each set of authored lines was drawn from.
    `disclosed` facts are those the trainee heard. `cut_ending` is an ending whose line the trainee
    talked over, so that the call went on; `ended` the ending they heard, after which the call is over.
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
    cut_ending: str = ""
    ended: str = ""

    @property
    def unresolved(self) -> tuple[str, ...]:
        """The objections that are due or open, in the order they came up."""
        return tuple(name for name, status in self.objections.items() if status != "resolved")

    def with_turn(self, speaker: Speaker, text: str, *, cut: bool = False) -> "PersonaState":
        """Returns the state with one more turn of dialogue; with nothing heard there was no turn."""
        if not text.strip():
            return self
        return replace(self, dialogue=(*self.dialogue, Said(speaker, text.strip(), cut)))

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
    """Returns the state before anybody has spoken."""
    return PersonaState(
        seed=seed,
        stage=scenario.stages[0].id,
        emotions={name: emotion.start for name, emotion in scenario.emotions.items()},
    )
