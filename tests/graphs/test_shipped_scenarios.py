"""The scenarios that are shipped: a good call succeeds and keeps to the protocol, under any seed."""

from pathlib import Path

import pytest

from agent.persona import begin
from agent.protocol import check_protocol
from agent.scenario import Scenario, load_scenario
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording
from graphs.written import WrittenRehearsal
from tests.agent.scenarios import COLD_CALL

SHIPPED = sorted(COLD_CALL.parent.glob("*.yaml"))


async def scripted(scenario: Scenario, seed: int) -> WrittenRehearsal:
    """The call of the scenario's simulated trainee."""
    graph = PersonaGraph(scenario, AuthoredWording())
    rehearsal = WrittenRehearsal(graph, begin(scenario, seed), lambda event: None)
    rehearsal.open()
    for line in scenario.simulation.lines:
        if rehearsal.over:
            break
        said = "".join([item async for item in rehearsal.answer(line.say) if isinstance(item, str)])
        rehearsal.heard(said, complete=True)
    return rehearsal


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
async def test_the_simulated_trainee_succeeds_and_breaks_no_rule(path: Path) -> None:
    scenario = load_scenario(path)
    for seed in range(3):
        rehearsal = await scripted(scenario, seed)
        verdicts = check_protocol(scenario, rehearsal.state.timeline)

        assert rehearsal.ending is not None and rehearsal.ending.outcome == "success"
        assert [verdict for verdict in verdicts if verdict.status == "broken"] == []


def test_there_are_three_packs_each_from_easy_to_hard() -> None:
    ladders: dict[str, set[str]] = {}
    for path in SHIPPED:
        scenario = load_scenario(path)
        ladders.setdefault(scenario.domain, set()).add(scenario.difficulty)

    assert len(SHIPPED) >= 9
    assert ladders == {domain: {"easy", "medium", "hard"} for domain in ("sales", "911", "real-estate")}
