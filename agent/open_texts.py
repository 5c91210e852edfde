"""Every text that may be said, or be in a prompt, while a fact of the scenario is not told."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.scenario_parts import Condition, Fact

if TYPE_CHECKING:
    from agent.scenario import Scenario

_OF_PERSONA = ("role", "place", "manner", "background", "situation", "style")
_LISTS_OF_PERSONA = ("expressions", "goals", "worries", "opens_up", "shuts_down", "does_not_know")


def open_texts(scenario: "Scenario", fact: Fact) -> Iterator[tuple[str, str]]:
    """Yields (field path, text); what other facts tell is not among it, nor is how the call ends."""
    for path, lines in _groups(scenario, fact):
        for number, text in enumerate(lines):
            yield f"{path}[{number}]", text
    for field in _OF_PERSONA:
        yield f"persona.{field}", getattr(scenario.persona, field)
    for i, mood in enumerate(scenario.moods):
        yield f"moods[{i}].manner", mood.manner
    for i, entry in enumerate(scenario.knowledge):
        yield f"knowledge[{i}].truth", entry.truth


def follows(when: Condition | None, fact: Fact) -> bool:
    """Whether a condition holds only once the fact is told."""
    return when is not None and fact.id in when.told


def _groups(scenario: "Scenario", fact: Fact) -> Iterator[tuple[str, tuple[str, ...]]]:
    for field in _LISTS_OF_PERSONA:
        yield f"persona.{field}", getattr(scenario.persona, field)
    yield "opening", scenario.opening
    for i, mood in enumerate(scenario.moods):
        yield f"moods[{i}].openers", mood.openers
        yield f"moods[{i}].refuses", mood.refuses
    for i, move in enumerate(scenario.moves):
        if move.id not in fact.unlocked_by.move:
            yield f"moves[{i}].replies", move.replies
        for j, answer in enumerate(move.answers):
            if not follows(answer.when, fact):
                yield f"moves[{i}].answers[{j}].lines", answer.lines
    for i, other in enumerate(scenario.facts):
        yield f"facts[{i}].withheld", other.withheld
    for i, event in enumerate(scenario.events):
        if fact.id not in event.tells and not follows(event.when, fact):
            yield f"events[{i}].lines", event.lines
    for i, objection in enumerate(scenario.objections):
        if not follows(objection.raised_by, fact):
            yield f"objections[{i}].lines", objection.lines
            yield f"objections[{i}].pressed", objection.pressed
    for i, interruption in enumerate(scenario.interruptions):
        if not follows(interruption.when, fact):
            yield f"interruptions[{i}].lines", interruption.lines
    for i, entry in enumerate(scenario.knowledge):
        yield f"knowledge[{i}].lines", entry.lines
    for signal, reaction in scenario.reactions.items():
        yield f"reactions.{signal}.lines", reaction.lines
    for field, lines in scenario.lines:
        yield f"lines.{field}", lines
