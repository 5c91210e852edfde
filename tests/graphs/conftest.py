from dataclasses import replace

import pytest

from agent.persona import Decision, Heard, begin, decide
from agent.scenario import Scenario
from tests.agent.scenarios import cold_call

ASKS_SUPPLIER = Heard("Who do you order from today?")


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return cold_call()


@pytest.fixture
def decision(scenario: Scenario) -> Decision:
    """An answer of a persona who has no filler."""
    return replace(decide(scenario, begin(scenario, seed=1), ASKS_SUPPLIER), filler="")
