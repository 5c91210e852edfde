"""The API put together."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends

from agent.scenario import Scenario
from console.api.calls import BringAbout, calls_router
from console.api.errors import API, RESPONSES
from console.api.gate import Gate
from console.api.views import ScenarioList, ScenarioView
from console.roles import EVERYBODY
from console.text_calls import TextCalls
from db.database import Database
from db.users import Account


def api_router(
    database: Database, text_calls: TextCalls, scenarios: Mapping[str, Scenario], by_telephone: BringAbout
) -> APIRouter:
    """Every route below `/api/v1`; each has a rule of `Gate`."""
    gate = Gate(database)
    router = APIRouter(prefix=f"{API}/v1", responses=RESPONSES)
    router.include_router(calls_router(gate, database, text_calls, scenarios, by_telephone))

    @router.get("/scenarios", tags=["scenarios"])
    def list_scenarios(_: Annotated[Account, Depends(gate.admits(EVERYBODY))]) -> ScenarioList:
        """What can be rehearsed here."""
        return ScenarioList(scenarios=[ScenarioView.of(scenario) for scenario in scenarios.values()])

    return router
