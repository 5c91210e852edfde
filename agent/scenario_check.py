"""The whole check of a scenario file: shape, loose ends, unsafe content, and what is misunderstood."""

from collections.abc import Iterator
from pathlib import Path

from agent.memory import Heard, begin
from agent.perception import STOP, perceive
from agent.scenario import Scenario, examine
from agent.scenario_file import Fault

Finding = tuple[str, str]


def check_scenario(path: Path) -> list[Fault]:
    """Names every fault of a scenario file; empty if it can be used. Never raises for what is in the file.

    Beyond what `agent.scenario.load_scenario` refuses, each example has to be taken for the move that it is
    an example of, and each line of the simulated trainee for some move.
    """
    scenario, faults = examine(path)
    if scenario is None:
        return faults
    return [*faults, *(Fault(str(path), *finding) for finding in _misunderstood(scenario))]


def _misunderstood(scenario: Scenario) -> Iterator[Finding]:
    state = begin(scenario, seed=0)
    for i, move in enumerate(scenario.moves):
        for j, example in enumerate(move.examples):
            seen = perceive(scenario, state, Heard(example))
            if move.id not in seen.moves:
                yield f"moves[{i}].examples[{j}]", f"is taken for '{seen.move}', not for '{move.id}'"
    for i, line in enumerate(scenario.simulation.lines):
        seen = perceive(scenario, state, Heard(line.say))
        if not seen.moves and seen.move != STOP:
            yield f"simulation.lines[{i}].say", f"is taken for no move ({seen.move})"
