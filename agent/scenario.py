"""A scenario: who the persona is, what they know, what moves them, and how the call can end."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from agent.errors import ScenarioError
from agent.scenario_file import Fault, kind_of, read_document
from agent.scenario_line import LineSetting
from agent.scenario_rules import broken_rules
from agent.scenario_voice import Part, Speaking, VoiceChange

Outcome = Literal["success", "failure", "open"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return pattern


def _each_once(languages: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(languages)) < len(languages):
        raise ValueError("names a language twice")
    return languages


T = TypeVar("T")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_compiles)]
Many = Annotated[tuple[T, ...], Field(strict=False)]
Some = Annotated[tuple[T, ...], Field(strict=False, min_length=1)]
Level = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Change = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


class Persona(Speaking):
    """Who answers the phone. Nothing here may let out a fact: all of it is in every prompt."""

    name: Text
    role: Text
    manner: Text
    background: Text
    style: Text
    goals: Some[Text]


class Emotion(Part):
    """One feeling between 0 and 1; `voice` is what it does to the persona's voice, see `agent.manner`."""

    start: Level
    voice: VoiceChange | None = None


class Stage(Part):
    """A stretch of the conversation; any move in `entered_by` takes the call there, never back."""

    id: Id
    title: Text
    entered_by: Many[Id] = ()


class Condition(Part):
    """Holds when all that is set holds, after the trainee's turn has had its effect."""

    move: Id | None = None
    trust_at_least: Level | None = None
    patience_below: Level | None = None
    facts_at_least: Annotated[int, Field(ge=0)] | None = None
    open_objections_at_most: Annotated[int, Field(ge=0)] | None = None


class MoveMade(Part):
    """The trainee makes a move, and the persona trusts them that far by then."""

    move: Id
    trust_at_least: Level = 0.0


class Move(Part):
    """Something a trainee can do in a turn: recognised by `patterns`, else by likeness to `examples`."""

    id: Id
    title: Text
    patterns: Many[Pattern] = ()
    examples: Some[Text]
    feel: dict[str, Change] = Field(default_factory=dict)
    replies: Some[Text]


class Fact(Part):
    """Something the persona tells only when the right move is made.

    `told_by`: what was heard tells the fact if one of these patterns is in it; without any, most of the
    line must have been heard. `withheld`: what the persona says while the trust asked for is missing.
    """

    id: Id
    unlocked_by: MoveMade
    truth: Text
    lines: Some[Text]
    told_by: Many[Pattern] = ()
    withheld: Many[Text] = ()


class Objection(Part):
    """A reservation: raised by a move, pressed at most once, laid to rest by any of `resolved_by`."""

    id: Id
    raised_by: MoveMade
    lines: Some[Text]
    resolved_by: Some[Id]
    pressed: Many[Text] = ()


class Closing(Part):
    """A way for the persona to end the call."""

    id: Id
    outcome: Outcome
    when: Condition
    lines: Some[Text]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the persona ended a call: a `Closing` of the scenario, or `stop_word` with outcome "open"."""

    id: str
    outcome: Outcome


class Lines(Part):
    """What the persona says when the call itself, not its subject, calls for words."""

    unclear: Some[Text]
    other: Some[Text]
    silence: Some[Text]
    gone: Some[Text]
    time_up: Some[Text]
    cut_off: Some[Text]
    stop: Some[Text]


class Patience(Part):
    """What each turn costs, on top of what the moves do."""

    drain_per_turn: Level = 0.0
    drain_unclear: Level = 0.0
    drain_repeat: Level = 0.0


class Safety(Part):
    """What a trainee is told before, and the words that take them out at any time."""

    content_warning: Text
    stop_word: Text


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
    stages: Some[Stage]
    moves: Some[Move]
    facts: Many[Fact] = ()
    objections: Many[Objection] = ()
    endings: Some[Closing]
    lines: Lines
    line: LineSetting = LineSetting()
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

    def expected_lines(self) -> list[str]:
        """Returns everything a trainee is expected to say, each line once, in the file's order."""
        examples = [line for move in self.moves for line in move.examples]
        scripted = [line.say for line in self.simulation.lines]
        return list(dict.fromkeys([*examples, *scripted, self.safety.stop_word]))

    @cached_property
    def _moves(self) -> dict[str, Move]:
        return {move.id: move for move in self.moves}


def load_scenario(path: Path) -> Scenario:
    """Reads one scenario file.

    Raises:
        ScenarioError: naming every fault with its file, field and reason.
    """
    scenario, faults = _examine(path)
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


def check_scenario(path: Path) -> list[Fault]:
    """Names every fault of a scenario file; empty if it can be used. Never raises for what is in the file."""
    return _examine(path)[1]


def _examine(path: Path) -> tuple[Scenario | None, list[Fault]]:
    document = read_document(path)
    if isinstance(document, Fault):
        return None, [document]
    scenario, faults = None, []
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        faults = [Fault(str(path), *found) for found in _broken_fields(error)]
    named = {fault.field for fault in faults}
    faults += [
        Fault(str(path), field, reason)
        for field, reason in broken_rules(document, path.stem)
        if field not in named
    ]
    return scenario, faults


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
    "check_scenario",
    "load_scenario",
    "load_scenarios",
]
