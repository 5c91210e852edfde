"""One application and one carrier for each module that asks for `application` and `carrier`.

Such a module runs its tests on the module's event loop: `pytestmark = ON_THE_MODULES_LOOP`.
"""

from collections.abc import AsyncIterator

import pytest_asyncio

from telephony.simulator import Destination, Simulator
from tests.telephony.simulator.application import (
    PUBLIC_URL,
    TRAINEE,
    Application,
    open_application,
    open_carrier,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_application() -> AsyncIterator[Application]:
    async with open_application() as application:
        yield application


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_carrier(shared_application: Application) -> AsyncIterator[Simulator]:
    settings = {"status_callback": f"{PUBLIC_URL}/status", "fallback_url": f"{PUBLIC_URL}/fallback"}
    async with open_carrier(shared_application, **settings) as carrier:
        yield carrier


@pytest_asyncio.fixture(loop_scope="module")
async def application(shared_application: Application) -> Application:
    shared_application.reset()
    return shared_application


@pytest_asyncio.fixture(loop_scope="module")
async def carrier(shared_carrier: Simulator) -> AsyncIterator[Simulator]:
    yield shared_carrier
    calls = list(shared_carrier.calls.values())
    for call in calls:
        call.end("the test is over")
    for call in calls:
        await call.ended
    shared_carrier.calls.clear()
    shared_carrier.expect(TRAINEE, Destination())
