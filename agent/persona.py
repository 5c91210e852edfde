"""A persona's behaviour as pure functions: the same trainee under the same seed meets the same persona."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from agent.call import Speaker
from agent.conditions import holds
from agent.emotion import WORD_MS, advanced, feel, moved
from agent.lines import Draw, Line, draw_variant
from agent.memory import Heard, ObjectionStatus, PersonaState, Said, begin
from agent.perception import OTHER, OUT_OF_ROLE, STOP, UNCLEAR, Perception, perceive
from agent.scenario import Ending, Scenario
from agent.scenario_parts import Happening, Interruption
from agent.steering import STOP_ENDING, Brief, Decision, steer
from agent.words import normalise, words

MOST = 0.6
"""Share of a line's words from which it counts as heard."""


class Cue(NamedTuple):
    """Something the persona says without being asked; `next_state` knows nothing yet of its being heard."""

    text: str
    next_state: PersonaState
    lines: tuple[Line, ...] = ()


def decide(scenario: Scenario, state: PersonaState, heard: Heard, *, taken_for: str = "") -> Decision:
    """Answers the trainee's turn: `perceive`, `feel` and `steer` in a row."""
    perception = perceive(scenario, state, heard, taken_for=taken_for)
    felt = feel(scenario, state, perception, heard)
    return steer(scenario, felt, perception, heard)


def opening(scenario: Scenario, state: PersonaState) -> Cue:
    """The words with which the persona picks up."""
    return _cue(state, "opening", scenario.opening)


def silence(scenario: Scenario, state: PersonaState, prompt: int = 1) -> Cue:
    """What the persona asks into a silence, for the `prompt`-th time (from 1) since the trainee spoke."""
    if prompt < 1:
        raise ValueError(f"prompt counts from 1, not {prompt}")
    state = replace(state, signals={**state.signals, "silent": state.signals.get("silent", 0) + 1})
    reaction = scenario.reactions.get("silent")
    if reaction is None:
        return _cue(state, "silence", scenario.lines.silence)
    state = moved(scenario, state, reaction.feel)
    return _cue(state, "silence", reaction.lines or scenario.lines.silence)


def gone(scenario: Scenario, state: PersonaState) -> Cue:
    """The last words to a trainee who stays silent."""
    return _cue(state, "gone", scenario.lines.gone)


def time_up(scenario: Scenario, state: PersonaState) -> Cue:
    """The last words when the call has reached its longest allowed time."""
    return _cue(state, "time_up", scenario.lines.time_up)


def cut_off(scenario: Scenario, state: PersonaState) -> Cue:
    """What the persona says when the trainee broke in on them and then said nothing intelligible."""
    return _cue(state, "cut_off", scenario.lines.cut_off)


def due_event(scenario: Scenario, state: PersonaState, at_ms: int) -> Happening | None:
    """The event that happens by itself at `at_ms` of the call, between two turns; None if none does."""
    late = [
        (event, event.when)
        for event in scenario.events
        if event.when is not None
        and event.when.after_s is not None
        and at_ms >= event.when.after_s * 1_000
        and event.id not in state.happened
    ]
    if not late:  # asked ten times a second
        return None
    later = advanced(scenario, state, at_ms)
    return next((event for event, when in late if holds(scenario, when, later, None)), None)


def happen(scenario: Scenario, state: PersonaState, event: Happening, at_ms: int | None = None) -> Cue:
    """What the persona says as `event` happens: in its time, or because a supervisor wants it."""
    if at_ms is not None:
        state = advanced(scenario, state, at_ms)
    draw = Draw(state)
    line = draw.event(scenario, event)
    return Cue(line.text, draw.state, (line,))


def interruption(
    scenario: Scenario, state: PersonaState, speaking_ms: int, at_ms: int
) -> Interruption | None:
    """How the persona cuts in on a trainee who has been speaking for `speaking_ms`; None: they listen on."""
    possible = [
        each
        for each in scenario.interruptions
        if speaking_ms >= each.after_s * 1_000 and state.interruptions.get(each.id, 0) < each.at_most
    ]
    if not possible:  # asked ten times a second
        return None
    later = advanced(scenario, state, at_ms)
    return next((each for each in possible if holds(scenario, each.when, later, None)), None)


def cut_in(scenario: Scenario, state: PersonaState, interruption: Interruption) -> Cue:
    """The words with which the persona cuts in."""
    times = {**state.interruptions, interruption.id: state.interruptions.get(interruption.id, 0) + 1}
    state = moved(scenario, replace(state, interruptions=times), interruption.feel)
    draw = Draw(state)
    line = draw.line("cut_in", interruption.id, interruption.lines)
    return Cue(line.text, draw.state, (line,))


def remember(
    scenario: Scenario, reply: Decision | Cue, heard_text: str, complete: bool, at_ms: int | None = None
) -> PersonaState:
    """Returns the state once `heard_text` is all that the trainee heard of the reply.

    `complete` says that the reply was heard to its end, in whatever words; `at_ms` when, on the call's clock
    (None: reckoned from the number of words). What was not heard did not happen: a fact is disclosed only if
    its patterns are in what was heard (without patterns: if most of its line was); an objection is open, the
    one chance to press it used, a topic told, an event come to pass with what it does to feelings and stage,
    only if most of its line was heard. An ending of whose line the trainee heard less than that, because they
    talked over it, does not end the call: the persona stays, and `cut_ending` says so. `ended` says that the
    call is over. The stop word ends it whatever was heard.
    """
    state = reply.next_state.with_turn(Speaker.PERSONA, heard_text, cut=not complete)
    end_ms = state.at_ms + WORD_MS * len(words(heard_text)) if at_ms is None else at_ms
    state = advanced(scenario, state, end_ms)
    arrived = _arrived(reply, heard_text, complete=complete)
    if not arrived and isinstance(reply, Cue):
        return state
    told = _told(arrived, heard_text)
    opened: dict[str, ObjectionStatus] = {line.subject: "open" for line in arrived if line.kind == "object"}
    new = [f"fact:{fact}" for fact in told if fact not in state.disclosed]
    new += [f"event:{line.subject}" for line in arrived if line.kind == "event"]
    new += [f"objection:{line.subject}" for line in arrived if line.kind == "object"]
    state = replace(
        state,
        disclosed=tuple(dict.fromkeys([*state.disclosed, *told])),
        pressed=_added(state.pressed, arrived, "press"),
        topics=_added(state.topics, arrived, "know"),
        happened=_added(state.happened, arrived, "event"),
        objections={**state.objections, **opened},
    ).with_moments(*new)
    state = _after_events(scenario, state, arrived)
    if not isinstance(reply, Decision) or reply.ending is None:
        return state
    if reply.ending.id == STOP_ENDING or any(line.kind == "end" for line in arrived):
        return replace(state, ended=reply.ending.id)
    return replace(state, cut_ending=reply.ending.id)


def _after_events(scenario: Scenario, state: PersonaState, arrived: Sequence[Line]) -> PersonaState:
    for line in arrived:
        event = scenario.event(line.subject) if line.kind == "event" else None
        if event is not None:
            stage = max(state.stage, event.stage or state.stage, key=scenario.stage_index)
            state = moved(scenario, replace(state, stage=stage), event.feel)
    return state


def _told(arrived: Sequence[Line], heard_text: str) -> list[str]:
    text = normalise(heard_text).replace("\n", " ")
    return [
        telling.fact
        for line in arrived
        for telling in line.tells
        if not telling.told_by or any(re.search(pattern, text) for pattern in telling.told_by)
    ]


def conveyed(decision: Decision, said: str) -> bool:
    """Tells whether `said`, cut short where it is, gets across everything that the decision is to say."""
    return len(_arrived(decision, said, complete=False)) == len(decision.lines)


def _cue(state: PersonaState, key: str, variants: Sequence[str]) -> Cue:
    return Cue(*draw_variant(state, key, variants))


def _arrived(reply: Decision | Cue, heard_text: str, *, complete: bool) -> list[Line]:
    """The lines that got across.

    A model words the same lines in the same order at about the same length, so what was heard of a reply
    that was cut short is told by the number of words, whoever worded it. A fact's line got across if one of
    the fact's patterns is in what was heard.
    """
    if isinstance(reply, Decision):
        heard_text = heard_text.removeprefix(reply.filler)
    heard = len(words(heard_text))
    sounds = bool(heard_text.strip())
    text = normalise(heard_text).replace("\n", " ")
    arrived = []
    before = 0
    for line in reply.lines:
        length = len(words(line.text))
        got_across = sounds and (complete or (heard > 0 and heard - before >= MOST * length))
        patterns = [pattern for telling in line.tells for pattern in telling.told_by]
        if line.kind == "tell_fact" and patterns:
            got_across = any(re.search(pattern, text) for pattern in patterns)
        if got_across:
            arrived.append(line)
        before += length
    return arrived


def _added(known: tuple[str, ...], arrived: Sequence[Line], kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*known, *(line.subject for line in arrived if line.kind == kind)]))


__all__ = [
    "OTHER",
    "OUT_OF_ROLE",
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
    "cut_in",
    "due_event",
    "happen",
    "interruption",
    "steer",
    "time_up",
]
