"""A scenario: who the persona is, what they know, what moves them, and how the call can end."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from agent.errors import ScenarioError
from agent.scenario_assessment import Criterion, Rule, WantedEntity
from agent.scenario_file import Fault, kind_of, read_document
from agent.scenario_line import LineSetting
from agent.scenario_parts import (
    Closing,
    Condition,
    Emotion,
    Fact,
    Happening,
    Interruption,
    Knowledge,
    Lines,
    Many,
    Mood,
    Move,
    Objection,
    Outcome,
    Patience,
    Reaction,
    Safety,
    Signal,
    Some,
    Stage,
    Text,
)
from agent.scenario_reach import loose_ends
from agent.scenario_rules import broken_rules
from agent.scenario_safety import unsafe_content
from agent.scenario_voice import Part, Speaking


def _each_once(languages: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(languages)) < len(languages):
        raise ValueError("names a language twice")
    return languages


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


class Persona(Speaking):
    """Who answers the phone. Nothing here may let out a fact: all of it is in every prompt.

    `role` and `place`: what they are and where they are now. `situation`: what is going on as the phone
    rings. `manner`, `style`, `expressions`: how they behave, how they speak, and words they tend to use.
    `opens_up`, `shuts_down`: what makes them talk more, and less. `does_not_know`: what they could not tell
    if they wanted.
    """

    name: Text
    age: Annotated[int, Field(ge=4, le=110)]
    pronouns: Text
    role: Text
    place: Text
    manner: Text
    background: Text
    situation: Text
    style: Text
    expressions: Some[Text]
    goals: Some[Text]
    worries: Some[Text]
    opens_up: Some[Text]
    shuts_down: Some[Text]
    does_not_know: Some[Text]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the persona ended a call: a `Closing` of the scenario, or `stop_word` with outcome "open"."""

    id: str
    outcome: Outcome


class ScriptedLine(Part):
    """A line of the simulated trainee; `interrupt_after_ms` into the persona's speech, if set."""

    say: Text
    interrupt_after_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None


class Simulation(Speaking):
    """The simulated trainee of demo and tests."""

    lines: Many[ScriptedLine] = ()


class Scenario(Part):
    """One scenario file. `id` is the file's name without `.yaml`."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    title: Text
    domain: Text
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]
    languages: Annotated[Many[Language], AfterValidator(_each_once)] = ()
    difficulty: Literal["easy", "medium", "hard"]
    briefing: Text
    persona: Persona
    opening: Some[Text]
    emotions: dict[str, Emotion]
    moods: Many[Mood] = ()
    stages: Some[Stage]
    moves: Some[Move]
    facts: Many[Fact] = ()
    objections: Many[Objection] = ()
    events: Many[Happening] = ()
    interruptions: Many[Interruption] = ()
    reactions: dict[Signal, Reaction] = Field(default_factory=dict)
    knowledge: Many[Knowledge] = ()
    endings: Some[Closing]
    lines: Lines
    line: LineSetting = LineSetting()
    entities: Many[WantedEntity] = ()
    protocol: Many[Rule] = ()
    rubric: Many[Criterion] = ()
    patience: Patience = Patience()
    safety: Safety
    simulation: Simulation = Field(default_factory=Simulation)

    def model_post_init(self, context: Any, /) -> None:
        """The parts that speak are told in which language."""
        for speaking in (self.persona, self.simulation):
            speaking.speaks(self.language.partition("-")[0])

    def __hash__(self) -> int:
        return hash(self.version)

    @cached_property
    def version(self) -> str:
        """`sha256:` and 12 hex digits of the content; comments, order of fields and layout do not count."""
        content = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def spoken_languages(self) -> tuple[str, ...]:
        """What a trainee may speak, ISO 639: `languages`, or else the persona's own alone."""
        return self.languages or (self.language.partition("-")[0],)

    def move(self, move_id: str) -> Move | None:
        """Returns the move of that id, None for those that are not the scenario's (unclear, other, stop)."""
        return self._moves.get(move_id)

    def mood(self, mood_id: str) -> Mood | None:
        """Returns the mood of that id, None for "" (no mood)."""
        return self._moods.get(mood_id)

    def event(self, event_id: str) -> Happening | None:
        """Returns the event of that id, None if there is none."""
        return next((event for event in self.events if event.id == event_id), None)

    def stage_index(self, stage_id: str) -> int:
        """Where a stage stands in the call's order."""
        return self._stages[stage_id]

    def expected_lines(self) -> list[str]:
        """Returns everything a trainee is expected to say, each line once, in the file's order."""
        examples = [line for move in self.moves for line in move.examples]
        scripted = [line.say for line in self.simulation.lines]
        return list(dict.fromkeys([*examples, *scripted, self.safety.stop_word]))

    @cached_property
    def _stages(self) -> dict[str, int]:
        return {stage.id: index for index, stage in enumerate(self.stages)}

    @cached_property
    def _moods(self) -> dict[str, Mood]:
        return {mood.id: mood for mood in self.moods}

    @cached_property
    def _moves(self) -> dict[str, Move]:
        return {move.id: move for move in self.moves}


def load_scenario(path: Path) -> Scenario:
    """Reads one scenario file.

    Raises:
        ScenarioError: naming every fault with its file, field and reason.
    """
    scenario, faults = examine(path)
    if scenario is None or faults:
        listed = "; ".join(str(fault).removeprefix(f"{path}: ") for fault in faults)
        raise ScenarioError(
            f"{path}: {listed}", hint=f"See each by itself with 'rolecall scenarios check {path}'"
        )
    return scenario


def load_scenarios(folder: Path) -> dict[str, Scenario]:
    """Reads every `*.yaml` of a folder, in order of name.

    Raises:
        ScenarioError: if the folder has no scenario, or any of them has a fault.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ScenarioError(f"no scenario in {folder}", hint="One scenario is one file, ID.yaml")
    return {path.stem: load_scenario(path) for path in paths}


def examine(path: Path) -> tuple[Scenario | None, list[Fault]]:
    """Returns the scenario, None if it has no valid shape, and the faults that keep it from being loaded."""
    document = read_document(path)
    if isinstance(document, Fault):
        return None, [document]
    scenario, faults = None, []
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        faults = [Fault(str(path), *found) for found in _broken_fields(error)]
    named = {fault.field for fault in faults}
    findings = list(broken_rules(document, path.stem))
    if scenario is not None:
        findings += loose_ends(scenario)
        findings += unsafe_content(document, scenario.safety.content_warning)
    faults += [Fault(str(path), field, reason) for field, reason in findings if field not in named]
    return scenario, list(dict.fromkeys(faults))


def _broken_fields(error: ValidationError) -> Iterator[tuple[str, str]]:
    for detail in error.errors(include_url=False):
        yield _field_path(detail["loc"]), _reason(detail["type"], detail["msg"], detail["input"])


def _field_path(loc: tuple[int | str, ...]) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return path.removeprefix(".").removesuffix(".[key]")


_REASONS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of the scenario format",
    "too_short": "is empty: at least one is needed",
    "string_too_short": "is empty",
    "invalid_key": "is not a field name",
}
_KINDS = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
}


def _reason(kind: str, message: str, value: Any) -> str:
    if kind in _KINDS:
        return f"should be {_KINDS[kind]}, not {kind_of(value)}"
    return _REASONS.get(kind) or re.sub(r"^(Value error, |Input |String |Tuple )", "", message)


__all__ = [
    "Closing",
    "Condition",
    "Ending",
    "Fact",
    "Fault",
    "Lines",
    "Move",
    "Objection",
    "Persona",
    "Scenario",
    "ScriptedLine",
    "Simulation",
    "examine",
    "load_scenario",
    "load_scenarios",
]
