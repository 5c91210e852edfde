"""What the trainee's turn does to the persona: feelings, stage, and which objections rise or are settled."""

from collections.abc import Mapping
from dataclasses import replace

from agent.conditions import holds
from agent.memory import ObjectionStatus, PersonaState
from agent.perception import OTHER, STOP, UNCLEAR, Perception
from agent.scenario import Scenario

PATIENCE, TRUST = "patience", "trust"


def feel(
    scenario: Scenario, state: PersonaState, perception: Perception, *, interrupted: bool = False
) -> PersonaState:
    """Returns the state after the turn has had its effect, each feeling kept within 0 and 1.

    A move that does good does half as much each time it is made again ("I understand" ten times over is not
    ten times as kind); one that does harm keeps its full weight. A turn that was not understood costs
    nothing extra where the trainee had cut the persona short: the persona then simply yields the floor.
    """
    if perception.move == STOP:
        return state
    changes = _changes(scenario, state, perception, interrupted=interrupted)
    emotions = {
        name: round(min(1.0, max(0.0, level + changes.get(name, 0.0))), 6)
        for name, level in state.emotions.items()
    }
    felt = replace(
        state,
        emotions=emotions,
        turns=state.turns + 1,
        last_move=perception.move,
        moves=_counted(state.moves, perception.moves or (perception.move,)),
        stage=_stage(scenario, state.stage, perception.moves),
    )
    return replace(felt, objections=_objections(scenario, felt, perception))


def _changes(
    scenario: Scenario, state: PersonaState, perception: Perception, *, interrupted: bool
) -> dict[str, float]:
    costs = scenario.patience
    drain = costs.drain_per_turn
    if perception.move == UNCLEAR and not interrupted:
        drain += costs.drain_unclear
    if perception.repeated and perception.move not in (UNCLEAR, OTHER):
        drain += costs.drain_repeat
    changes = {PATIENCE: -drain}
    for name in perception.moves:
        move = scenario.move(name)
        for emotion, change in (move.feel if move else {}).items():
            weight = 0.5 ** state.moves.get(name, 0) if change > 0 else 1.0
            changes[emotion] = changes.get(emotion, 0.0) + change * weight
    return changes


def _counted(counts: Mapping[str, int], moves: tuple[str, ...]) -> dict[str, int]:
    counted = dict(counts)
    for move in moves:
        counted[move] = counted.get(move, 0) + 1
    return counted


def _stage(scenario: Scenario, current: str, moves: tuple[str, ...]) -> str:
    order = [stage.id for stage in scenario.stages]
    entered = [stage.id for stage in scenario.stages if set(stage.entered_by) & set(moves)]
    return max([current, *entered], key=order.index)


def _objections(
    scenario: Scenario, state: PersonaState, perception: Perception
) -> dict[str, ObjectionStatus]:
    """An objection is raised once a call; what settles it may come before its line, or in the same breath."""
    objections = dict(state.objections)
    moves = perception.moves
    for objection in scenario.objections:
        raised = objection.id in objections or holds(scenario, objection.raised_by, state, perception)
        if raised and set(moves) & set(objection.resolved_by):
            objections[objection.id] = "resolved"
        elif raised:
            objections.setdefault(objection.id, "due")
    return objections
