"""What in a valid scenario file leads nowhere: names of nothing, what is never reached, what is missing."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, get_args

from agent.open_texts import follows, open_texts
from agent.scenario_assessment import Criterion, Measure
from agent.scenario_parts import SOUND_NAMES, Condition, Fact, Signal
from agent.words import normalise

if TYPE_CHECKING:
    from agent.scenario import Scenario

Finding = tuple[str, str]

_FIXED: Final[Mapping[str, tuple[str, ...]]] = {"signal": get_args(Signal), "measure": get_args(Measure)}

MOST_WEIGHT = 100.0
_RESERVED_TOPICS = ("caller_name", "promise")
_PLACEHOLDERS = ("caller_name", "promise")
_VARIANTS_AT_LEAST = 2
_CALM_FIRST = ("fear", "panic", "anxiety", "stress", "distress")
_CALM_AT_MOST = 0.6


def loose_ends(scenario: "Scenario") -> Iterator[Finding]:
    """Yields (field path, reason) for everything that cannot work, though each field by itself is right."""
    for find in (
        _names_exist,
        _happens_at_some_time,
        _facts_can_be_unlocked,
        _facts_stay_hidden,
        _stages_can_be_left_for,
        _lines_vary,
        _fillers_can_be_said,
        _moods_are_of_feelings,
        _topics_are_free,
        _details_are_told,
        _protocol_can_be_kept,
        _rubric_has_evidence,
        _calm_comes_first,
    ):
        yield from find(scenario)


def _conditions(scenario: "Scenario") -> Iterator[tuple[str, Condition]]:
    for i, mood in enumerate(scenario.moods):
        yield f"moods[{i}].when", mood.when
    for i, move in enumerate(scenario.moves):
        for j, answer in enumerate(move.answers):
            yield f"moves[{i}].answers[{j}].when", answer.when
    for i, fact in enumerate(scenario.facts):
        yield f"facts[{i}].unlocked_by", fact.unlocked_by
        if fact.volunteered_when is not None:
            yield f"facts[{i}].volunteered_when", fact.volunteered_when
    for i, objection in enumerate(scenario.objections):
        yield f"objections[{i}].raised_by", objection.raised_by
    for i, event in enumerate(scenario.events):
        if event.when is not None:
            yield f"events[{i}].when", event.when
    for i, interruption in enumerate(scenario.interruptions):
        yield f"interruptions[{i}].when", interruption.when
    for i, ending in enumerate(scenario.endings):
        yield f"endings[{i}].when", ending.when


def _names_exist(scenario: "Scenario") -> Iterator[Finding]:
    moves, facts = {move.id for move in scenario.moves}, {fact.id for fact in scenario.facts}
    events, stages = {event.id for event in scenario.events}, {stage.id for stage in scenario.stages}
    for path, when in _conditions(scenario):
        if when.signal == "silent":
            yield f"{path}.signal", "never holds: a silence is no turn; reactions.silent says what it does"
        for field, names, known, kind in (
            ("made", when.made, moves, "move"),
            ("not_made", when.not_made, moves, "move"),
            ("told", when.told, facts, "fact"),
            ("not_told", when.not_told, facts, "fact"),
            ("happened", when.happened, events, "event"),
            ("not_happened", when.not_happened, events, "event"),
            ("stage", (when.stage,) if when.stage else (), stages, "stage"),
            ("at_least", tuple(when.at_least), set(scenario.emotions), "emotion"),
            ("below", tuple(when.below), set(scenario.emotions), "emotion"),
        ):
            for name in names:
                if name not in known:
                    yield f"{path}.{field}", f"there is no {kind} '{name}'"
    for i, event in enumerate(scenario.events):
        for name in event.tells:
            if name not in facts:
                yield f"events[{i}].tells", f"there is no fact '{name}'"
        if event.stage is not None and event.stage not in stages:
            yield f"events[{i}].stage", f"there is no stage '{event.stage}'"
        yield from _unknown_feelings(scenario, f"events[{i}].feel", event.feel)
    for i, interruption in enumerate(scenario.interruptions):
        yield from _unknown_feelings(scenario, f"interruptions[{i}].feel", interruption.feel)
    for signal, reaction in scenario.reactions.items():
        yield from _unknown_feelings(scenario, f"reactions.{signal}.feel", reaction.feel)


def _unknown_feelings(scenario: "Scenario", path: str, feel: dict[str, float]) -> Iterator[Finding]:
    for name in feel:
        if name not in scenario.emotions:
            yield f"{path}.{name}", f"there is no emotion '{name}'"


def _happens_at_some_time(scenario: "Scenario") -> Iterator[Finding]:
    seen: set[str] = set()
    for i, event in enumerate(scenario.events):
        if event.id in seen:
            yield f"events[{i}].id", f"'{event.id}' is used twice in events"
        seen.add(event.id)
        if event.when is not None and event.when.is_empty:
            yield f"events[{i}].when", "holds at once; leave it out for an event that is only injected"
        if event.when is not None and event.id in event.when.happened:
            yield f"events[{i}].when.happened", "waits for itself"


def _facts_can_be_unlocked(scenario: "Scenario") -> Iterator[Finding]:
    """Goes from the facts that wait for no other to those that wait for them, until nothing is added."""
    by_event = {fact for event in scenario.events for fact in event.tells}
    reached = set(by_event)
    while True:
        more = {
            fact.id
            for fact in scenario.facts
            if fact.id not in reached
            and (
                set(fact.unlocked_by.told) <= reached
                or (fact.volunteered_when is not None and set(fact.volunteered_when.told) <= reached)
            )
        }
        if not more:
            break
        reached |= more
    for i, fact in enumerate(scenario.facts):
        if fact.id not in reached:
            waits = ", ".join(sorted(set(fact.unlocked_by.told) - reached))
            yield f"facts[{i}].unlocked_by.told", f"nothing ever unlocks '{fact.id}': it waits for {waits}"
        conditional = fact.unlocked_by.model_fields_set - {"move"}
        if conditional and not fact.withheld:
            yield f"facts[{i}].withheld", "is missing: what is said when it is asked for too early?"


def _facts_stay_hidden(scenario: "Scenario") -> Iterator[Finding]:
    """What can be said before a fact is told does not tell it; other facts are said, too."""
    for fact in scenario.facts:
        patterns = [re.compile(pattern) for pattern in fact.told_by]
        texts = [*open_texts(scenario, fact), *_told_by_others(scenario, fact)] if patterns else []
        for path, text in texts:
            plain = normalise(text).replace("\n", " ")
            if any(pattern.search(plain) for pattern in patterns):
                yield path, f"gives away the fact '{fact.id}'"


def _told_by_others(scenario: "Scenario", fact: Fact) -> Iterator[Finding]:
    for i, other in enumerate(scenario.facts):
        if other.id != fact.id and not follows(other.unlocked_by, fact):
            yield f"facts[{i}].truth", other.truth
            for j, line in enumerate(other.lines):
                yield f"facts[{i}].lines[{j}]", line


def _stages_can_be_left_for(scenario: "Scenario") -> Iterator[Finding]:
    moves, by_event = {move.id for move in scenario.moves}, {event.stage for event in scenario.events}
    for i, stage in enumerate(scenario.stages[1:], 1):
        if not set(stage.entered_by) & moves and stage.id not in by_event:
            yield f"stages[{i}]", f"nothing ever leads to the stage '{stage.id}'"


def _lines_vary(scenario: "Scenario") -> Iterator[Finding]:
    groups: list[tuple[str, tuple[str, ...]]] = []
    groups += [(f"moves[{i}].replies", move.replies) for i, move in enumerate(scenario.moves)]
    groups += [(f"facts[{i}].lines", fact.lines) for i, fact in enumerate(scenario.facts)]
    groups += [(f"objections[{i}].lines", each.lines) for i, each in enumerate(scenario.objections)]
    groups += [(f"endings[{i}].lines", each.lines) for i, each in enumerate(scenario.endings)]
    groups += [(f"events[{i}].lines", each.lines) for i, each in enumerate(scenario.events)]
    for field in ("unclear", "other", "silence", "dont_know", "told_already", "thinking", "out_of_role"):
        groups.append((f"lines.{field}", getattr(scenario.lines, field)))
    for path, lines in groups:
        if len(set(lines)) < _VARIANTS_AT_LEAST:
            yield path, "has one line only: write another, or every call sounds the same"
    groups += [("opening", scenario.opening), ("lines.silence", scenario.lines.silence)]
    for path, lines in groups:
        for i, line in enumerate(lines):
            for name in re.findall(r"\{(\w*)\}", line):
                if name not in _PLACEHOLDERS:
                    yield f"{path}[{i}]", f"{{{name}}} stands for nothing: there are caller_name and promise"
            for name in re.findall(r"\[(.*?)\]", line):
                if name not in SOUND_NAMES:
                    yield f"{path}[{i}]", f"there is no sound [{name}]: choose {', '.join(SOUND_NAMES)}"


def _fillers_can_be_said(scenario: "Scenario") -> Iterator[Finding]:
    """A filler is spoken by itself, before anybody knows what follows."""
    for i, line in enumerate(scenario.lines.thinking):
        if not re.search(r"[.?!\u2026\]]$", line):
            yield f"lines.thinking[{i}]", "has to end as a sentence does, or it would wait for what follows"


def _moods_are_of_feelings(scenario: "Scenario") -> Iterator[Finding]:
    for i, mood in enumerate(scenario.moods):
        extra = mood.when.model_fields_set - {"at_least", "below"}
        if extra:
            yield f"moods[{i}].when.{sorted(extra)[0]}", "is not for moods: they depend on feelings alone"
        if mood.when.is_empty and i < len(scenario.moods) - 1:
            yield f"moods[{i}].when", "always holds, so that the moods after it never do"


def _topics_are_free(scenario: "Scenario") -> Iterator[Finding]:
    seen: set[str] = set()
    for i, entry in enumerate(scenario.knowledge):
        if entry.id in _RESERVED_TOPICS:
            yield f"knowledge[{i}].id", f"'{entry.id}' is a name the persona needs itself"
        if entry.id in seen:
            yield f"knowledge[{i}].id", f"'{entry.id}' is used twice in knowledge"
        seen.add(entry.id)


def _details_are_told(scenario: "Scenario") -> Iterator[Finding]:
    facts = {fact.id for fact in scenario.facts}
    for i, wanted in enumerate(scenario.entities):
        if wanted.fact not in facts:
            yield f"entities[{i}].fact", f"there is no fact '{wanted.fact}', so nobody can obtain this"


def _protocol_can_be_kept(scenario: "Scenario") -> Iterator[Finding]:
    for i, rule in enumerate(scenario.protocol):
        moments = [*rule.do, *rule.before, *rule.after, *((rule.since,) if rule.since else ())]
        for moment in moments:
            kind, _, name = moment.partition(":")
            if name not in _ids(scenario, kind):
                yield f"protocol[{i}]", f"there is no {kind} '{name}'"
        if rule.never and (rule.within_s is not None or rule.before or rule.after):
            yield f"protocol[{i}].never", "says that it must not happen, so it has no time and no order"
        if set(rule.do) & set(rule.before):
            yield f"protocol[{i}].before", "has it come before itself"


def _rubric_has_evidence(scenario: "Scenario") -> Iterator[Finding]:
    for i, criterion in enumerate(scenario.rubric):
        for found in criterion.evidence:
            kind, _, name = found.partition(":")
            if name not in _ids(scenario, kind):
                yield f"rubric[{i}].evidence", f"there is no {kind} '{name}'"
        yield from _incomplete(f"rubric[{i}]", criterion)
    total = sum(criterion.weight for criterion in scenario.rubric)
    if scenario.rubric and abs(total - MOST_WEIGHT) > 1e-6:
        yield "rubric", f"has weights that add up to {total:g}, not {MOST_WEIGHT:g}"


def _incomplete(path: str, criterion: Criterion) -> Iterator[Finding]:
    measures = [found for found in criterion.evidence if found.startswith("measure:")]
    if criterion.by == "judge":
        if criterion.question is None:
            yield f"{path}.question", "is missing: what is the judge to answer?"
        if len(criterion.levels) < 2:
            yield f"{path}.levels", "has fewer than two levels, so there is nothing to judge"
    elif criterion.by == "measure":
        if len(measures) != 1:
            yield f"{path}.evidence", "has to name exactly one measure"
        if criterion.band is None or criterion.band.model_fields_set == set():
            yield f"{path}.band", "is missing: where should the measure lie?"
    elif measures:
        yield f"{path}.evidence", "names a measure: that is for criteria by measure"


def _ids(scenario: "Scenario", kind: str) -> set[str]:
    if kind in _FIXED:
        return set(_FIXED[kind])
    rows: dict[str, Iterable[Any]] = {
        "move": scenario.moves,
        "fact": scenario.facts,
        "event": scenario.events,
        "entity": scenario.entities,
        "rule": scenario.protocol,
        "objection": scenario.objections,
        "ending": scenario.endings,
    }
    return {row.id for row in rows[kind]}


def _calm_comes_first(scenario: "Scenario") -> Iterator[Finding]:
    if scenario.domain != "911" or scenario.difficulty == "hard":
        return
    for name in _CALM_FIRST:
        emotion = scenario.emotions.get(name)
        if emotion is not None and emotion.start > _CALM_AT_MOST:
            yield (
                f"emotions.{name}.start",
                f"is above {_CALM_AT_MOST:g}: most emergency callers are calm; make it hard, or start lower",
            )
