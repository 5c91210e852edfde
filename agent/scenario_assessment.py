"""The parts of a scenario file by which a call is judged: details to obtain, protocol, rubric."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent.scenario_parts import EntityKind, Id, Ids, Many, Moment, Seconds, Some, Text
from agent.scenario_voice import Part

Measure = Literal[
    "talk_share",
    "questions",
    "questions_first_third",
    "longest_monologue_s",
    "interruptions",
    "response_gap_ms",
    "words_per_minute",
    "fillers_per_minute",
    "compressions_per_minute",
]
"""What is measured on a call's two tracks and transcript, of the trainee.

talk_share and questions_first_third are shares, 0 to 1: of both parties' speech, and of all questions.
questions and interruptions are counts.
"""

Evidence = Annotated[
    str,
    StringConstraints(
        pattern=r"^(move|fact|event|entity|rule|signal|objection|ending|measure):[a-z][a-z0-9_]{0,39}$"
    ),
]
"""What a criterion is judged by: `rule:` is a rule of the protocol, the others are as in `Moment`."""


class WantedEntity(Part):
    """A detail the trainee has to obtain: `fact` tells it, `truth` is what it really is.

    `verify`: it counts only once the trainee has read it back correctly.
    """

    id: Id
    kind: EntityKind
    title: Text
    truth: Text
    also: Many[Text] = ()
    fact: Id
    verify: bool = False


class Rule(Part):
    """A rule of the protocol, in order or in time.

    `do`: one of these has to happen. `within_s`: at the latest so long after `since` (the start of the
    call, if not given); nothing is due while `since` has not happened. `before`: none of these comes
    earlier. `after`: all of these come earlier. `at_least`: so often. `never`: must not happen at all.
    `source`: where the rule is from.
    """

    id: Id
    title: Text
    do: Some[Moment]
    within_s: Seconds | None = None
    since: Moment | None = None
    before: Many[Moment] = ()
    after: Many[Moment] = ()
    at_least: Annotated[int, Field(ge=1, le=100)] = 1
    never: bool = False
    source: Text


class Band(Part):
    """Where a measure should lie."""

    at_least: float | None = None
    at_most: float | None = None


class Criterion(Part):
    """One criterion of the scorecard.

    `by` rule: all of `evidence` has to be there. `by` measure: the one measure has to lie within `band`.
    `by` judge: a person or a model answers `question` on the scale of `levels`, worst first, citing turns;
    `evidence` says where to look. `better` is a sentence that would have met it.
    """

    id: Id
    title: Text
    weight: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    by: Literal["rule", "measure", "judge"]
    evidence: Some[Evidence]
    band: Band | None = None
    question: Text | None = None
    levels: Many[Text] = ()
    better: Text | None = None
    source: Text | None = None


__all__ = ["Band", "Criterion", "Evidence", "Ids", "Measure", "Rule", "WantedEntity"]
