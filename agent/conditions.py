"""Whether a scenario's condition holds."""

from agent.memory import PersonaState
from agent.perception import Perception
from agent.scenario import Scenario
from agent.scenario_parts import Condition


def holds(scenario: Scenario, when: Condition, state: PersonaState, perception: Perception | None) -> bool:
    """Tells whether all that `when` sets holds; `state` has the turn's effect, `perception` is the turn.

    Between turns there is no `perception`, and what is asked of the turn does not hold.
    """
    moves = perception.moves if perception else ()
    signals = perception.signals if perception else ()
    return (
        (not when.move or any(move in moves for move in when.move))
        and all(state.moves.get(move) for move in when.made)
        and not any(state.moves.get(move) for move in when.not_made)
        and (when.signal is None or when.signal in signals)
        and (when.stage is None or scenario.stage_index(state.stage) >= scenario.stage_index(when.stage))
        and all(state.emotions[name] >= level for name, level in when.at_least.items())
        and all(state.emotions[name] < level for name, level in when.below.items())
        and all(fact in state.disclosed for fact in when.told)
        and not any(fact in state.disclosed for fact in when.not_told)
        and (when.facts_at_least is None or len(state.disclosed) >= when.facts_at_least)
        and (when.open_objections_at_most is None or len(state.unresolved) <= when.open_objections_at_most)
        and all(event in state.happened for event in when.happened)
        and not any(event in state.happened for event in when.not_happened)
        and (when.turns_at_least is None or state.turns >= when.turns_at_least)
        and (when.after_s is None or state.at_ms >= when.after_s * 1_000)
    )
