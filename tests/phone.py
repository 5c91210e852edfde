"""A whole phone system for tests: the real server in this process, and a simulated carrier that calls it."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger as loguru_logger
from numpy.typing import NDArray
from pydantic import SecretStr

from agent.speech import Voice
from db.records import CallRecord
from pipelines.engines.espeak import open_espeak
from pipelines.engines.telephone import to_telephone
from rolecall.app import Services, create_server, open_services
from rolecall.settings import CHECKOUT, Settings, load_settings
from telephony.simulator import Call, LineConditions, Simulator, SimulatorSettings, open_simulator
from tests.agent.scenarios import COLD_CALL

ACCOUNT_SID = "AC" + "5" * 32
AUTH_TOKEN = "a token for tests"
PUBLIC_URL = "https://voice.example.test"
CALLER, CALLED = "+15550100001", "+15550100002"


def settings_for(home: Path, **sections: dict[str, Any]) -> Settings:
    """The shipped settings with the trainees' recogniser and one scenario, and `sections` on top."""
    settings = load_settings(CHECKOUT / "config.yaml")
    folder = home.parent / "scenarios-of-the-phone"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / COLD_CALL.name).write_text(COLD_CALL.read_text())
    offline: dict[str, dict[str, Any]] = {
        "speech_to_text": {"engine": "whisper", "model": "trainee-tiny"},
        "text_to_speech": {"engine": "espeak"},
        "wording": {"engine": "authored"},
        "scenarios": {"seed": 3, "folder": folder},
    }
    for name, changes in sections.items():
        offline[name] = offline.get(name, {}) | changes
    return settings.model_copy(
        update={
            "home": home,
            "database_url": SecretStr(f"sqlite:///{home / 'rolecall.db'}"),
            "redis_url": None,
            "public_url": PUBLIC_URL,
            "twilio_account_sid": ACCOUNT_SID,
            "twilio_auth_token": SecretStr(AUTH_TOKEN),
            **{name: getattr(settings, name).model_copy(update=changes) for name, changes in offline.items()},
        }
    )


@dataclass(frozen=True, slots=True)
class Phone:
    """A server that takes calls, and the carrier that places them."""

    services: Services
    carrier: Simulator
    url: str

    async def dial(self) -> Call:
        """A trainee dials the number."""
        return await self.carrier.dial(CALLER, CALLED)

    async def record(self, call: Call) -> CallRecord:
        """What is on record about a call that is over."""
        async with asyncio.timeout(10):
            while self.services.desk.active_calls:  # noqa: ASYNC110 the desk tells nobody
                await asyncio.sleep(0.02)
        await asyncio.to_thread(self.services.book.flush, 10.0)
        with self.services.database.calls() as calls:
            record = calls.by_carrier_id(call.sid)
        assert record is not None, "the call is on record"
        return record


@asynccontextmanager
async def open_phone(settings: Settings, conditions: LineConditions | None = None) -> AsyncIterator[Phone]:
    """The server on a free loopback port, and a carrier whose lines have `conditions`."""
    loguru_logger.disable("pipecat")
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        # asyncio turns Nagle's delay off only for sockets that say that they are TCP.
        listener = stack.enter_context(socket.socket(proto=socket.IPPROTO_TCP))
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = create_server(services)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        serving = tasks.create_task(server.serve(sockets=[listener]))
        simulated = SimulatorSettings(
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            public_url=PUBLIC_URL,
            target=url,
            conditions=conditions or LineConditions(),
            seed=1,
        )
        while not server.started:  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)
        # As a server does: the collector would halt a call to look at what every test before it left behind.
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        async with open_simulator(simulated) as carrier:
            yield Phone(services, carrier, url)
        server.should_exit = True
        await serving


def spoken(text: str) -> NDArray[np.int16]:
    """A trainee's voice at a usual level: int16 mono at 8 kHz."""
    with open_espeak() as espeak:
        speech = to_telephone(espeak.synthesise(text, Voice(espeak=("en-us",), rate_wpm=165, pitch=45)))
    return np.rint(speech.samples * 0.6).astype(np.int16)
