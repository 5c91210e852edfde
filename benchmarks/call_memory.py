"""What simultaneous calls add to the memory of the server that holds them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil
from pydantic import SecretStr
from rich.table import Table

from agent.errors import RolecallError
from agent.scenario import load_scenario
from benchmarks import harness
from benchmarks.scripted import SCENARIO
from pipelines.engines.espeak import open_espeak
from rolecall.local_server import open_local_server
from rolecall.settings import CHECKOUT, Settings, load_settings
from rolecall.simulate import SimulateOptions, for_trainees
from rolecall.trainee import Line, rehearse, scripted
from telephony.simulator import Call, Simulator, SimulatorSettings, open_simulator

CALLS: Final = (1, 5, 10, 20)
ROLECALL, PLAIN = "rolecall", "plain Pipecat"
_APART_S: Final = 0.35
_SAMPLE_S: Final = 0.5
_SETTLE_S: Final = 3.0
_POLL_S: Final = 0.1
_PATIENCE_S: Final = 60.0
_CALLED: Final = "+15550100002"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long so many calls are held before more are added, and how long all of them, in seconds.

    What a call keeps of its sound grows for a minute.
    """

    each_level_s: float
    last_level_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """A server while so many calls were on: its most private memory, its threads, and its share of a core."""

    calls: int
    memory_mb: float
    threads: int
    cpu_percent: float = 0.0


async def measure(plan: Plan) -> dict[str, Any]:
    """Both servers' figures, one after the other, with the same engines and the same callers."""
    scenario = load_scenario(CHECKOUT / "scenarios" / f"{SCENARIO}.yaml")
    with open_espeak() as espeak:
        lines = scripted(scenario, espeak)
    found = {}
    for name, server in ((ROLECALL, _rolecall), (PLAIN, _plain)):
        async with server() as (carrier, pid):
            found[name] = _figures(await _ramp(carrier, psutil.Process(pid), lines, plan))
    return found


def table(found: dict[str, Any]) -> Table:
    """Figures of `measure`, for people."""
    empty = harness.table(
        "memory of a server at so many calls (MB that it shares with nobody)",
        "ready",
        *(str(calls) for calls in CALLS),
        "all over",
        "per extra call",
        "threads",
        "CPU",
    )
    for name, figures in found.items():
        empty.add_row(
            name,
            f"{figures['ready_mb']:.0f}",
            *(f"{figures['calls'][str(calls)]['memory_mb']:.0f}" for calls in CALLS),
            f"{figures['over_mb']:.0f}",
            f"{figures['per_extra_call_mb']:.1f}",
            f"{figures['calls'][str(CALLS[-1])]['threads']}",
            f"{figures['calls'][str(CALLS[-1])]['cpu_percent']:.0f} %",
        )
    return empty


async def _ramp(
    settings: SimulatorSettings, server: psutil.Process, lines: Sequence[Line], plan: Plan
) -> list[Load]:
    """The server before any call, at each number of calls, and when all are over."""
    loads = [_look(server)]
    async with open_simulator(settings) as carrier, asyncio.TaskGroup() as tasks:
        callers = _Callers(carrier, lines)
        talking: list[asyncio.Task[None]] = []
        for calls in CALLS:
            while len(talking) < calls:
                talking.append(tasks.create_task(callers.talk(len(talking))))
                await asyncio.sleep(_APART_S)
            last = calls == CALLS[-1]
            loads.append(
                await _watch(server, callers, calls, plan.last_level_s if last else plan.each_level_s)
            )
        for task in talking:
            task.cancel()
    await asyncio.sleep(_SETTLE_S)
    return [*loads, _look(server)]


class _Callers:
    """Trainees who speak whenever it is their turn, and call again when the persona has hung up."""

    def __init__(self, carrier: Simulator, lines: Sequence[Line]) -> None:
        self._carrier = carrier
        self._lines = lines
        self.on_the_line = 0
        self.refused = 0

    async def talk(self, number: int) -> None:
        """Calls again and again until cancelled."""
        while True:
            call = await self._carrier.dial(f"+1555011{number:04}", _CALLED)
            try:
                if await self._connected(call):
                    await self._hold(call)
                else:
                    self.refused += 1
                    await call.ended
            finally:
                call.handset.hang_up()

    async def _connected(self, call: Call) -> bool:
        """Waits until the call has its media stream; False if it ends without one."""
        while not any(entry.kind == "stream" for entry in call.log):
            if call.is_over:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def _hold(self, call: Call) -> None:
        self.on_the_line += 1
        try:
            await rehearse(call.handset, self._lines)
            await call.ended
        finally:
            self.on_the_line -= 1


async def _watch(server: psutil.Process, callers: _Callers, calls: int, for_s: float) -> Load:
    """The most that the server used in this time, while all calls were on.

    Raises RolecallError if that was never the case: the server, or this machine, cannot hold so many.
    """
    loop = asyncio.get_running_loop()
    began_s, used = loop.time(), server.cpu_times()
    seen: list[Load] = []
    while loop.time() - began_s < for_s or (not seen and loop.time() - began_s < _PATIENCE_S):
        await asyncio.sleep(_SAMPLE_S)
        if callers.on_the_line == calls:
            seen.append(_look(server, calls))
    if not seen:
        raise RolecallError(
            f"{calls} calls were never on at once, {callers.refused} were refused",
            hint="Try again when this machine is less busy",
        )
    now = server.cpu_times()
    used_s = now.user + now.system - used.user - used.system
    most = max(seen, key=lambda load: load.memory_mb)
    return replace(most, cpu_percent=100 * used_s / (loop.time() - began_s))


def _look(server: psutil.Process, calls: int = 0) -> Load:
    return Load(calls, _private_mb(server), server.num_threads())


def _private_mb(process: psutil.Process) -> float:
    """Memory that is the process's own.

    Linux: resident less shared pages, because pages of libraries are nobody's alone, and whether psutil's
    `uss` counts them depends on who else runs. Elsewhere `uss` is all there is.
    """
    memory = process.memory_info()
    own = memory.rss - memory.shared if hasattr(memory, "shared") else process.memory_full_info().uss
    return float(own) / 1e6


def _figures(loads: Sequence[Load]) -> dict[str, Any]:
    ready, *held, over = loads
    extra = held[-1].calls - held[0].calls
    return {
        "ready_mb": round(ready.memory_mb, 1),
        "calls": {
            str(load.calls): {
                "memory_mb": round(load.memory_mb, 1),
                "threads": load.threads,
                "cpu_percent": round(load.cpu_percent),
            }
            for load in held
        },
        "over_mb": round(over.memory_mb, 1),
        "per_extra_call_mb": round((held[-1].memory_mb - held[0].memory_mb) / extra, 2),
    }


@asynccontextmanager
async def _rolecall() -> AsyncIterator[tuple[SimulatorSettings, int]]:
    with tempfile.TemporaryDirectory() as home:
        url = SecretStr(f"sqlite:///{home}/rolecall.db")
        settings: Settings = load_settings().model_copy(update={"home": Path(home), "database_url": url})
        options = SimulateOptions(calls=CALLS[-1] + 1, scenario=SCENARIO)
        async with open_local_server(for_trainees(settings, options)) as server:
            yield server.carrier(), server.pid


@asynccontextmanager
async def _plain() -> AsyncIterator[tuple[SimulatorSettings, int]]:
    async with harness.open_plain_server("--scenario", SCENARIO) as server:
        carrier = SimulatorSettings(
            account_sid="AC" + "0" * 32,
            auth_token="nobody checks",
            public_url=harness.PUBLIC_URL,
            target=server.url,
        )
        yield carrier, server.pid
