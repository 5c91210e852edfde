"""A persona's behaviour as pure functions: the same trainee under the same seed meets the same persona."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from agent.call import Speaker
from agent.emotion import feel
from agent.memory import Heard, ObjectionStatus, PersonaState, Said, begin
from agent.perception import OTHER, STOP, UNCLEAR, Perception, perceive
from agent.scenario import Ending, Scenario
from agent.steering import STOP_ENDING, Brief, Decision, Line, draw_variant, steer
from agent.words import normalise, words

MOST = 0.6
"""Share of a line's words from which it counts as heard."""


class Cue(NamedTuple):
    """Something the persona says without being asked; `next_state` knows nothing yet of its being heard."""

    text: str
    next_state: PersonaState


def decide(scenario: Scenario, state: PersonaState, heard: Heard) -> Decision:
    """Answers the trainee's turn: `perceive`, `feel` and `steer` in a row."""
    perception = perceive(scenario, state, heard)
    felt = feel(scenario, state, perception, interrupted=heard.interrupted_persona)
    return steer(scenario, felt, perception, heard)


def opening(scenario: Scenario, state: PersonaState) -> Cue:
    """The words with which the persona picks up."""
    return _cue(state, "opening", scenario.opening)


def silence(scenario: Scenario, state: PersonaState, prompt: int = 1) -> Cue:
    """What the persona asks into a silence, for the `prompt`-th time (from 1) since the trainee spoke."""
    if prompt < 1:
        raise ValueError(f"prompt counts from 1, not {prompt}")
    return _cue(state, "silence", scenario.lines.silence)


def gone(scenario: Scenario, state: PersonaState) -> Cue:
    """The last words to a trainee who stays silent."""
    return _cue(state, "gone", scenario.lines.gone)


def time_up(scenario: Scenario, state: PersonaState) -> Cue:
    """The last words when the call has reached its longest allowed time."""
    return _cue(state, "time_up", scenario.lines.time_up)


def cut_off(scenario: Scenario, state: PersonaState) -> Cue:
    """What the persona says when the trainee broke in on them and then said nothing intelligible."""
    return _cue(state, "cut_off", scenario.lines.cut_off)


def remember(reply: Decision | Cue, heard_text: str, complete: bool) -> PersonaState:
    """Returns the state once `heard_text` is all that the trainee heard of the reply.

    `complete` says that the reply was heard to its end, in whatever words. What was not heard did not
    happen: a fact is disclosed only if its patterns are in what was heard (without patterns: if most of
    its line was), an objection is open, and the one chance to press it used, only if most of its line was
    heard. An ending of whose line the trainee heard less than that, because they talked over it, does not
    end the call: the persona stays, and `cut_ending` says so. `ended` says that the call is over. The stop
    word ends it whatever was heard.
    """
    state = reply.next_state.with_turn(Speaker.PERSONA, heard_text, cut=not complete)
    if isinstance(reply, Cue):
        return state
    arrived = _arrived(reply, heard_text, complete=complete)
    opened: dict[str, ObjectionStatus] = {line.subject: "open" for line in arrived if line.kind == "object"}
    state = replace(
        state,
        disclosed=_added(state.disclosed, arrived, "tell_fact"),
        pressed=_added(state.pressed, arrived, "press"),
        objections={**state.objections, **opened},
    )
    if reply.ending is None:
        return state
    if reply.ending.id == STOP_ENDING or any(line.kind == "end" for line in arrived):
        return replace(state, ended=reply.ending.id)
    return replace(state, cut_ending=reply.ending.id)


def conveyed(decision: Decision, said: str) -> bool:
    """Tells whether `said`, cut short where it is, gets across everything that the decision is to say."""
    return len(_arrived(decision, said, complete=False)) == len(decision.lines)


def _cue(state: PersonaState, key: str, variants: Sequence[str]) -> Cue:
    return Cue(*draw_variant(state, key, variants))


def _arrived(decision: Decision, heard_text: str, *, complete: bool) -> list[Line]:
    """The lines that got across.

    A model words the same lines in the same order at about the same length, so what was heard of a reply
    that was cut short is told by the number of words, whoever worded it.
    """
    heard = len(words(heard_text))
    text = normalise(heard_text).replace("\n", " ")
    arrived = []
    before = 0
    for line in decision.lines:
        length = len(words(line.text))
        got_across = heard > 0 and (complete or heard - before >= MOST * length)
        if line.told_by:
            got_across = any(re.search(pattern, text) for pattern in line.told_by)
        if got_across:
            arrived.append(line)
        before += length
    return arrived


def _added(known: tuple[str, ...], arrived: Sequence[Line], kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*known, *(line.subject for line in arrived if line.kind == kind)]))


__all__ = [
    "OTHER",
    "STOP",
    "STOP_ENDING",
    "UNCLEAR",
    "Brief",
    "Cue",
    "Decision",
    "Ending",
    "Heard",
    "Line",
    "Perception",
    "PersonaState",
    "Said",
    "begin",
    "conveyed",
    "cut_off",
    "decide",
    "feel",
    "gone",
    "opening",
    "perceive",
    "remember",
    "silence",
    "steer",
    "time_up",
]
