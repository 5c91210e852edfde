"""What the trainee's turn does to the persona: feelings, stage, and which objections rise or are settled."""

from collections.abc import Mapping
from dataclasses import replace

from agent.conditions import holds
from agent.memory import Heard, ObjectionStatus, PersonaState
from agent.noticing import directive_in
from agent.perception import OTHER, OUT_OF_ROLE, STOP, UNCLEAR, Perception
from agent.promises import caller_name, promises
from agent.scenario import Scenario
from agent.scenario_parts import Emotion
from agent.words import normalise, words

PATIENCE, TRUST = "patience", "trust"

HARD_FEELINGS = frozenset(
    {
        "anger",
        "anxiety",
        "boredom",
        "confusion",
        "distress",
        "fear",
        "frustration",
        "grief",
        "guilt",
        "irritation",
        "panic",
        "pressure",
        "sadness",
        "shame",
        "stress",
        "suspicion",
        "tiredness",
        "worry",
    }
)
"""Feelings that are worse the stronger they are; of all others, more is better."""

WORD_MS = 400
"""How long a word takes to say, where nobody speaks aloud: 150 words a minute."""
_KEPT_DETAILS = 60
_KEPT_PROMISES = 12
_KEPT_MOMENTS = 600


def feel(scenario: Scenario, state: PersonaState, perception: Perception, heard: Heard) -> PersonaState:
    """Returns the state after the turn has had its effect, each feeling kept within 0 and 1.

    Feelings first go back towards their baseline for the time since the last turn. A move that does good
    does half as much each time it is made again ("I understand" ten times over is not ten times as kind);
    one that does harm keeps its full weight. A directive calms only when it is repeated, see `Calming`. A
    turn that was not understood costs nothing extra where the trainee had cut the persona short: the
    persona then simply yields the floor.
    """
    if perception.move == STOP:
        return state
    state = advanced(scenario, state, turn_end_ms(state, heard))
    state = _with_directive(scenario, state, perception, heard)
    felt = replace(
        state,
        turns=state.turns + 1,
        last_move=perception.move,
        moves=_counted(state.moves, perception.moves or (perception.move,)),
        signals=_counted(state.signals, perception.signals),
        stage=_stage(scenario, state.stage, perception.moves),
        details=(*state.details, *perception.details)[-_KEPT_DETAILS:],
        confirmed=tuple(dict.fromkeys([*state.confirmed, *perception.confirmed])),
    )
    if perception.move not in (UNCLEAR, OUT_OF_ROLE):
        felt = _with_what_was_said(felt, perception, heard)
    moments = [f"move:{move}" for move in perception.moves]
    moments += [f"entity:{entity}" for entity in perception.confirmed if entity not in state.confirmed]
    felt = moved(scenario, felt.with_moments(*moments), _changes(scenario, state, perception))
    return replace(felt, objections=_objections(scenario, felt, perception))


def turn_end_ms(state: PersonaState, heard: Heard) -> int:
    """When the trainee's turn was over, on the call's clock."""
    if heard.at_ms is not None:
        return max(state.at_ms, heard.at_ms)
    return state.at_ms + WORD_MS * len(words(heard.text))


def advanced(scenario: Scenario, state: PersonaState, at_ms: int) -> PersonaState:
    """Returns the state at a later time: feelings have gone some way back to their baselines."""
    passed_s = max(0, at_ms - state.at_ms) / 1_000
    emotions = {
        name: round(_relaxed(scenario.emotions[name], level, passed_s), 6)
        for name, level in state.emotions.items()
    }
    return replace(state, emotions=emotions, at_ms=max(state.at_ms, at_ms))


def moved(scenario: Scenario, state: PersonaState, changes: Mapping[str, float]) -> PersonaState:
    """Returns the state with its feelings changed, and the mood that they put the persona in."""
    emotions = {
        name: round(min(1.0, max(0.0, level + changes.get(name, 0.0))), 6)
        for name, level in state.emotions.items()
    }
    state = replace(state, emotions=emotions, timeline=state.timeline[-_KEPT_MOMENTS:])
    mood = next((mood.id for mood in scenario.moods if holds(scenario, mood.when, state, None)), "")
    return replace(state, mood=mood)


def _relaxed(emotion: Emotion, level: float, passed_s: float) -> float:
    if emotion.half_life_s is None:
        return level
    baseline = emotion.start if emotion.baseline is None else emotion.baseline
    kept: float = 0.5 ** (passed_s / emotion.half_life_s)
    return baseline + (level - baseline) * kept


def _with_directive(
    scenario: Scenario, state: PersonaState, perception: Perception, heard: Heard
) -> PersonaState:
    if not directive_in(scenario, perception.moves):
        return state
    again = "repeated_directive" in perception.signals
    times = state.directive_times + 1 if again else 1
    return replace(state, directive=normalise(heard.text), directive_times=times)


def _with_what_was_said(state: PersonaState, perception: Perception, heard: Heard) -> PersonaState:
    made = [*state.promises, *promises(heard.text)]
    return replace(
        state,
        caller_name=caller_name(heard.text, perception.details) or state.caller_name,
        promises=tuple(dict.fromkeys(made))[-_KEPT_PROMISES:],
    )


def _changes(scenario: Scenario, state: PersonaState, perception: Perception) -> dict[str, float]:
    """`state` is that before the turn, but for the directive."""
    costs = scenario.patience
    drain = costs.drain_per_turn
    if perception.move == UNCLEAR and "interrupted" not in perception.signals:
        drain += costs.drain_unclear
    if perception.repeated and perception.move not in (UNCLEAR, OTHER, OUT_OF_ROLE):
        drain += costs.drain_repeat
    changes = {PATIENCE: -drain}

    def add(feel: Mapping[str, float], made_before: int = 0) -> None:
        for emotion, change in feel.items():
            does_good = (change > 0) is not (emotion in HARD_FEELINGS)
            weight = 0.5**made_before if does_good else 1.0
            changes[emotion] = changes.get(emotion, 0.0) + change * weight

    for name in perception.moves:
        move = scenario.move(name)
        if move is not None:
            add(move.feel, state.moves.get(name, 0))
    for signal in perception.signals:
        if signal in scenario.reactions:
            add(scenario.reactions[signal].feel)
    if "repeated_directive" in perception.signals:
        add(_calming(scenario, state.directive_times))
    return changes


def _calming(scenario: Scenario, times: int) -> dict[str, float]:
    calming = ((name, emotion.calmed_by_repetition) for name, emotion in scenario.emotions.items())
    return {name: calms.change for name, calms in calming if calms is not None and times >= calms.from_time}


def _counted(counts: Mapping[str, int], seen: tuple[str, ...]) -> dict[str, int]:
    counted = dict(counts)
    for each in seen:
        counted[each] = counted.get(each, 0) + 1
    return counted


def _stage(scenario: Scenario, current: str, moves: tuple[str, ...]) -> str:
    entered = [stage.id for stage in scenario.stages if set(stage.entered_by) & set(moves)]
    return max([current, *entered], key=scenario.stage_index)


def _objections(
    scenario: Scenario, state: PersonaState, perception: Perception
) -> dict[str, ObjectionStatus]:
    """An objection is raised once a call; what settles it may come before its line, or in the same breath."""
    objections = dict(state.objections)
    for objection in scenario.objections:
        raised = objection.id in objections or holds(scenario, objection.raised_by, state, perception)
        if raised and set(perception.moves) & set(objection.resolved_by):
            objections[objection.id] = "resolved"
        elif raised:
            objections.setdefault(objection.id, "due")
    return objections
