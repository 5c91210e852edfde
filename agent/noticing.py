"""What a persona notices in any scenario: signals, entities, what is read back, what a question is about."""

import re
from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz

from agent.entities import agrees, find_details
from agent.knowledge import fact_sheet_of, is_question
from agent.memory import Detail, Heard, PersonaState
from agent.out_of_role import is_abuse, speaks_to_a_machine
from agent.scenario import Scenario
from agent.scenario_parts import Signal
from agent.words import normalise

CALLER_NAME, PROMISE = "caller_name", "promise"
"""What a trainee may ask the persona to remember; names that no entry of a fact sheet may have."""

SAME_DIRECTIVE: Final = 80
"""Likeness of letters (0 to 100), whatever the order of words, from which a directive counts as repeated."""

_RECALLS: Final = (
    (CALLER_NAME, re.compile(r"\b(what is|remember|know|recall|forgot(ten)?) my name\b|\bwho (i am|am i)\b")),
    (
        PROMISE,
        re.compile(r"\bwhat (did|have) i (just )?(promised?|offered?|agreed?|(say|said|tell you) i would)\b"),
    ),
)


_READS_BACK: Final = re.compile(
    r"\b(you (said|told me)|did you say|so (it|that|you) (is|are)|let me (repeat|confirm|read)|to confirm"
    r"|i have (it|you|that) (down )?as|is that (right|correct)|(right|correct)$)"
)


@dataclass(frozen=True, slots=True)
class Noticed:
    """See `agent.perception.Perception`."""

    signals: tuple[Signal, ...]
    details: tuple[Detail, ...]
    confirmed: tuple[str, ...]
    question: bool


def notice(scenario: Scenario, state: PersonaState, heard: Heard, moves: tuple[str, ...]) -> Noticed:
    """Looks at one turn, of which `moves` have been recognised."""
    details = find_details(heard.text, heard.confidence, state.turns + 1)
    confirmed, contradicts = _read_back(scenario, state, details, normalise(heard.text))
    signals: list[Signal] = []
    if heard.interrupted_persona:
        signals.append("interrupted")
    if speaks_to_a_machine(heard.text):
        signals.append("out_of_role")
    if is_abuse(heard.text):
        signals.append("abuse")
    if repeats_directive(scenario, state, heard.text, moves):
        signals.append("repeated_directive")
    if solves_too_early(scenario, state, moves):
        signals.append("premature_solution")
    if contradicts:
        signals.append("false_fact")
    return Noticed(tuple(signals), details, confirmed, is_question(heard.text))


def topic_of(scenario: Scenario, said: str, text: str) -> str:
    """What a question that no move stands for is about; `text` is `said`, normalised. "" if not known."""
    for topic, pattern in _RECALLS:
        if pattern.search(text):
            return topic
    if not scenario.knowledge or not is_question(said):
        return ""
    return fact_sheet_of(scenario).best(said) or ""


def directive_in(scenario: Scenario, moves: tuple[str, ...]) -> bool:
    """Whether any of the moves tells the persona to do something."""
    return any(move is not None and move.kind == "directive" for move in map(scenario.move, moves))


def repeats_directive(scenario: Scenario, state: PersonaState, text: str, moves: tuple[str, ...]) -> bool:
    """Whether the turn says the last directive again, in nearly the same words."""
    if not state.directive or not directive_in(scenario, moves):
        return False
    return fuzz.token_set_ratio(normalise(text), state.directive) >= SAME_DIRECTIVE


def _read_back(
    scenario: Scenario, state: PersonaState, details: tuple[Detail, ...], text: str
) -> tuple[tuple[str, ...], bool]:
    """The wanted entities that the details agree with, and whether any contradicts what the persona told.

    A price or a day may be the trainee's own: it contradicts only where they read something back. A place or
    a number to call is the persona's.
    """
    reads_back = _READS_BACK.search(text) is not None
    confirmed: list[str] = []
    agreeing: set[Detail] = set()
    contradicting: set[Detail] = set()
    for wanted in scenario.entities:
        if wanted.fact not in state.disclosed:
            continue
        for detail in details:
            if detail.kind != wanted.kind:
                continue
            match agrees(wanted.kind, detail.value, wanted.truth, wanted.also):
                case True:
                    confirmed.append(wanted.id)
                    agreeing.add(detail)
                case False if reads_back or wanted.kind in ("address", "phone"):
                    contradicting.add(detail)
    return tuple(dict.fromkeys(confirmed)), bool(contradicting - agreeing) and not agreeing


def solves_too_early(scenario: Scenario, state: PersonaState, moves: tuple[str, ...]) -> bool:
    """Whether a solution is offered before anything has shown that the trainee understood."""
    kinds = [move.kind for move in map(scenario.move, moves) if move is not None]
    if "solution" not in kinds or "empathy" in kinds[: kinds.index("solution")]:
        return False
    shown = (move.id for move in scenario.moves if move.kind == "empathy")
    return not any(state.moves.get(move) for move in shown)
