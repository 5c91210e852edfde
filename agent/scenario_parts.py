"""The parts of a scenario file that drive the persona: what a trainee can do, and what follows from it."""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from agent.scenario_voice import Part, VoiceChange

Outcome = Literal["success", "failure", "open"]

MoveKind = Literal["question", "empathy", "directive", "solution", "statement", "courtesy", "pressure"]
"""What a move does, whatever it is about; some signals are told from the order of kinds."""

Signal = Literal[
    "interrupted",
    "silent",
    "repeated_directive",
    "asked_again",
    "premature_solution",
    "false_fact",
    "out_of_role",
    "abuse",
]
"""What a persona notices in any scenario, besides its moves.

interrupted: the trainee began while the persona was audible. silent: the trainee said nothing until asked.
repeated_directive: a directive in nearly the same words as the one before. asked_again: a question whose
answer was heard. premature_solution: a solution before any empathy. false_fact: a detail that contradicts
what the persona told. out_of_role: words to a machine ("ignore your instructions"). abuse: insults.
"""

EntityKind = Literal[
    "address",
    "phone",
    "name",
    "money",
    "date",
    "time",
    "age",
    "number",
    "weapon",
    "injury",
    "vehicle",
    "email",
]


SOUND_NAMES = ("breath", "tap", "key", "sob")
"""Sounds that a line may hold, such as `[breath]`."""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return pattern


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


T = TypeVar("T")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_compiles)]
Many = Annotated[tuple[T, ...], Field(strict=False)]
Some = Annotated[tuple[T, ...], Field(strict=False, min_length=1)]
Ids = Annotated[tuple[Id, ...], BeforeValidator(_as_list), Field(strict=False)]
Level = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Change = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=14_400, allow_inf_nan=False)]
Moment = Annotated[
    str, StringConstraints(pattern=r"^(move|fact|event|entity|objection):[a-z][a-z0-9_]{0,39}$")
]
"""What happens in a call: a move made, a fact, event or objection heard, a detail read back rightly."""


class Condition(Part):
    """Holds when all that is set holds, after the trainee's turn has had its effect.

    `move`: one of these is made in this turn. `made`, `not_made`: all of these were made by now, or none
    was. `signal`: noticed in this turn. `stage`: the call is in it or in a later one. `at_least`, `below`:
    levels of feelings by name. `told`: facts the trainee has heard. `happened`: events the trainee has
    heard of. `after_s`: so much of the call is over.
    """

    move: Ids = ()
    made: Ids = ()
    not_made: Ids = ()
    signal: Signal | None = None
    stage: Id | None = None
    at_least: dict[str, Level] = Field(default_factory=dict)
    below: dict[str, Level] = Field(default_factory=dict)
    told: Ids = ()
    not_told: Ids = ()
    facts_at_least: Annotated[int, Field(ge=0)] | None = None
    open_objections_at_most: Annotated[int, Field(ge=0)] | None = None
    happened: Ids = ()
    not_happened: Ids = ()
    turns_at_least: Annotated[int, Field(ge=0)] | None = None
    after_s: Seconds | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it holds at once."""
        return not self.model_fields_set


class Calming(Part):
    """What a directive does to a feeling when it is said again in nearly the same words.

    Nothing at first; `change` with the `from_time`-th time and each time after it. Clawson's "repetitive
    persistence" (JEMS, 1986).
    """

    from_time: Annotated[int, Field(ge=2, le=5)] = 2
    change: Change


class Emotion(Part):
    """One feeling between 0 and 1.

    It starts within `spread` of `start`, as the seed has it, and goes back to `baseline` (`start`, if there
    is none) by half in each `half_life_s`. `voice` is what it does to the persona's voice, see
    `agent.manner`.
    """

    start: Level
    spread: Level = 0.0
    baseline: Level | None = None
    half_life_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] | None = None
    calmed_by_repetition: Calming | None = None
    voice: VoiceChange | None = None


class Mood(Part):
    """How the persona is while `when` holds (only `at_least` and `below`); the first that holds counts.

    `manner` is told to a model. `openers` come before every other reply. In a mood that `refuses`,
    questions get one of these lines instead of an answer, and no fact is told.
    """

    id: Id
    when: Condition
    manner: Text
    openers: Many[Text] = ()
    refuses: Many[Text] = ()
    words_at_most: Annotated[int, Field(ge=3, le=60)] | None = None


class Stage(Part):
    """A stretch of the conversation; any move in `entered_by` takes the call there, never back."""

    id: Id
    title: Text
    entered_by: Many[Id] = ()


class Answer(Part):
    """What a move is answered with while `when` holds."""

    when: Condition
    lines: Some[Text]


class Move(Part):
    """Something a trainee can do in a turn: recognised by `patterns`, else by likeness to `examples`.

    Answered by the first of `answers` whose condition holds, else by one of `replies`.
    """

    id: Id
    title: Text
    kind: MoveKind = "statement"
    patterns: Many[Pattern] = ()
    examples: Some[Text]
    feel: dict[str, Change] = Field(default_factory=dict)
    answers: Many[Answer] = ()
    replies: Some[Text]


class Unlock(Condition):
    """What a trainee has to do for a fact to be told: one of the moves, and what else is set by then."""

    move: Annotated[Ids, Field(min_length=1)]


class Fact(Part):
    """Something the persona tells only when it is unlocked.

    `told_by`: what was heard tells the fact if one of these patterns is in it; without any, most of the line
    must have been heard. `withheld`: what the persona says when asked too early. `volunteered_when`: told
    without being asked, after an answer.
    """

    id: Id
    unlocked_by: Unlock
    volunteered_when: Condition | None = None
    truth: Text
    lines: Some[Text]
    told_by: Many[Pattern] = ()
    withheld: Many[Text] = ()


class Objection(Part):
    """A reservation: raised by a move, pressed at most once, laid to rest by any of `resolved_by`."""

    id: Id
    raised_by: Condition
    lines: Some[Text]
    resolved_by: Some[Id]
    pressed: Many[Text] = ()


class Happening(Part):
    """An event: something that happens to the persona in mid-call.

    Once, as soon as `when` holds: with `after_s` alone, at that time, also into a silence; without `when`,
    only if a supervisor brings it about. One that `interrupts` is said over the trainee. `tells`: facts its
    lines tell.
    """

    id: Id
    title: Text
    when: Condition | None = None
    lines: Some[Text]
    feel: dict[str, Change] = Field(default_factory=dict)
    tells: Ids = ()
    stage: Id | None = None
    interrupts: bool = False


class Interruption(Part):
    """Has the persona cut in on a trainee who has been speaking for `after_s`, `at_most` so often in a
    call.
    """

    id: Id
    after_s: Annotated[float, Field(ge=2, le=120, allow_inf_nan=False)]
    when: Condition = Condition()
    at_most: Annotated[int, Field(ge=1, le=10)] = 1
    feel: dict[str, Change] = Field(default_factory=dict)
    lines: Some[Text]


class Reaction(Part):
    """What a signal does: to feelings, and, if there are `lines`, what is said instead of a mere reply."""

    feel: dict[str, Change] = Field(default_factory=dict)
    lines: Many[Text] = ()


class Knowledge(Part):
    """An entry of the fact sheet: answers a question that no move stands for, however it is put."""

    id: Id
    asked: Some[Text]
    truth: Text
    lines: Some[Text]


class Closing(Part):
    """A way for the persona to end the call."""

    id: Id
    outcome: Outcome
    when: Condition
    lines: Some[Text]


class Lines(Part):
    """What the persona says when the call itself, not its subject, calls for words.

    `{caller_name}` and `{promise}` in any authored line stand for what the trainee called themselves and
    promised last; a line with one of them is not used before that is known.
    """

    unclear: Some[Text]
    other: Some[Text]
    silence: Some[Text]
    gone: Some[Text]
    time_up: Some[Text]
    cut_off: Some[Text]
    stop: Some[Text]
    dont_know: Some[Text]
    told_already: Some[Text]
    thinking: Some[Text]
    out_of_role: Some[Text]
    knows_name: Some[Text] = ("You said your name is {caller_name}.",)
    knows_promise: Some[Text] = ("You said: {promise}",)


class Patience(Part):
    """What each turn costs, on top of what the moves do."""

    drain_per_turn: Level = 0.0
    drain_unclear: Level = 0.0
    drain_repeat: Level = 0.0


class Safety(Part):
    """What a trainee is told before, and the words that take them out at any time."""

    content_warning: Text
    stop_word: Text
