"""How long a trainee waits for the persona, and where the time goes; beside a plain Pipecat pipeline.

Both servers hold the same scripted call over the same simulated line, with the same engines, one after the
other in each round. Gaps are measured on the sound at the handset; the stages are rolecall's own record.

    uv run python benchmarks/response_gap.py [--quick] [--json]
"""

import argparse
import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from agent.call import Speaker, Stages
from agent.errors import RolecallError
from agent.scenario import load_scenario
from db.database import open_database
from pipelines.engines.espeak import open_espeak
from rolecall.local_server import open_local_server
from rolecall.settings import CHECKOUT, Settings, load_settings
from rolecall.simulate import SimulateOptions, for_trainees
from rolecall.trainee import Line, scripted
from telephony.simulator import Call, HungUp, SimulatorSettings, open_simulator
from telephony.simulator.measure import CallMeasures, measure, percentiles

TARGET: Final = 0.6
"""rolecall's median gap over plain Pipecat's, at most."""

SCENARIO: Final = "cold-call"
_ROUNDS: Final = 4
_ROUNDS_QUICK: Final = 1
_CALL_S: Final = 240.0
_START_S: Final = 60.0
_PERSONA_DONE_MS: Final = 700
_PATIENCE_MS: Final = 12_000
_PUBLIC_URL: Final = "https://rolecall.test"
_HOLDS, _MISSED, _COULD_NOT_RUN = 0, 1, 2


def main() -> int:
    """Runs the rounds; 0 if the target holds, 1 if not, 2 if it could not be run."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="one round instead of four")
    arguments.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = arguments.parse_args()
    try:
        document = asyncio.run(_measure(_ROUNDS_QUICK if given.quick else _ROUNDS))
    except (RolecallError, OSError, TimeoutError) as error:
        print(f"could not run: {error}", file=sys.stderr)
        return _COULD_NOT_RUN
    if given.json:
        print(json.dumps(document))
    else:
        _show(document)
    return _HOLDS if document["holds"] else _MISSED


async def _measure(rounds: int) -> dict[str, Any]:
    scenario = load_scenario(CHECKOUT / "scenarios" / f"{SCENARIO}.yaml")
    with open_espeak() as espeak:
        lines = [Line(line.samples, line.text) for line in scripted(scenario, espeak)]
    ours: list[CallMeasures] = []
    plain: list[CallMeasures] = []
    stages: list[Stages] = []
    with tempfile.TemporaryDirectory() as home:
        url = SecretStr(f"sqlite:///{home}/rolecall.db")
        settings = for_trainees(
            load_settings().model_copy(update={"home": Path(home), "database_url": url}),
            SimulateOptions(calls=1, scenario=SCENARIO),
        )
        for number in range(rounds):
            call = await _rolecall(settings, lines, number)
            ours.append(measure(call.handset))
            stages += _stages(settings, call)
            plain.append(measure((await _plain(lines, number)).handset))
    return _document(ours, plain, stages)


async def _rolecall(settings: Settings, lines: Sequence[Line], number: int) -> Call:
    async with open_local_server(settings) as server:
        return await _hold(server.carrier(seed=number), lines)


async def _plain(lines: Sequence[Line], number: int) -> Call:
    async with _plain_server() as url:
        carrier = SimulatorSettings(
            account_sid="AC" + "0" * 32,
            auth_token="nobody checks",
            public_url=_PUBLIC_URL,
            target=url,
            seed=number,
        )
        return await _hold(carrier, lines)


async def _hold(settings: SimulatorSettings, lines: Sequence[Line]) -> Call:
    async with open_simulator(settings) as carrier, asyncio.timeout(_CALL_S):
        call = await carrier.dial("+15550100001", "+15550100002")
        with suppress(HungUp, TimeoutError):
            for line in lines:
                await call.handset.quiet(_PERSONA_DONE_MS, within_ms=_PATIENCE_MS)
                await call.handset.say(line.samples)
            await call.handset.quiet(_PERSONA_DONE_MS, within_ms=_PATIENCE_MS)
        call.handset.hang_up()
        await call.ended
        return call


@asynccontextmanager
async def _plain_server() -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    script = Path(__file__).with_name("plain_pipecat.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        "--port",
        str(port),
        "--scenario",
        SCENARIO,
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await _until_ready(process, url)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_ready(process: asyncio.subprocess.Process, url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(_START_S):
        while process.returncode is None:
            with suppress(httpx.TransportError):
                if (await client.get(f"{url}/ready")).is_success:
                    return
            await asyncio.sleep(0.1)
    raise RolecallError("the plain pipeline did not start")


def _stages(settings: Settings, call: Call) -> list[Stages]:
    with open_database(settings.database_url.get_secret_value()) as database, database.calls() as calls:
        record = calls.by_carrier_id(call.sid)
    if record is None:
        raise RolecallError("a call left no record")
    return [turn.stages for turn in record.turns if turn.speaker is Speaker.PERSONA and turn.stages]


def _document(
    ours: Sequence[CallMeasures], plain: Sequence[CallMeasures], stages: Sequence[Stages]
) -> dict[str, Any]:
    rolecall_gaps, plain_gaps = _gaps(ours), _gaps(plain)
    if not rolecall_gaps or not plain_gaps:
        raise RolecallError("a pipeline answered nothing")
    ratio = float(np.median(rolecall_gaps) / np.median(plain_gaps))
    parts = [asdict(each) for each in stages]
    return {
        "rounds": len(ours),
        "rolecall_ms": _spread(rolecall_gaps),
        "plain_pipecat_ms": _spread(plain_gaps),
        "stages_ms": {name: _spread([part[name] for part in parts]) for name in parts[0]},
        "cut_in_on_the_trainee": {"rolecall": _cut_ins(ours), "plain_pipecat": _cut_ins(plain)},
        "ratio_p50": round(ratio, 2),
        "target_ratio_p50": TARGET,
        "holds": ratio <= TARGET,
    }


def _gaps(calls: Sequence[CallMeasures]) -> list[float]:
    return [gap.gap_ms for call in calls for gap in call.response_gaps if gap.gap_ms > 0]


def _cut_ins(calls: Sequence[CallMeasures]) -> int:
    """How often the persona began while the trainee was still at it, or between two of their sentences."""
    return sum(
        any(segment.start_ms < barge_in.at_ms < segment.end_ms for segment in call.persona)
        for call in calls
        for barge_in in call.barge_ins
    )


def _spread(values: Sequence[float]) -> dict[str, int]:
    spread = percentiles(values)
    assert spread is not None, "there are values"
    return {"count": spread.count, "p50": round(spread.p50), "p95": round(spread.p95)}


def _show(document: dict[str, Any]) -> None:
    table = Table("response gap on sound (ms)", "count", "p50", "p95", box=None)
    rows = {"rolecall": document["rolecall_ms"], "plain Pipecat": document["plain_pipecat_ms"]}
    rows |= {f"  {name.removesuffix('_ms')}": spread for name, spread in document["stages_ms"].items()}
    for name in ("rolecall", *(name for name in rows if name.startswith("  ")), "plain Pipecat"):
        spread = rows[name]
        table.add_row(name, str(spread["count"]), str(spread["p50"]), str(spread["p95"]))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"persona cut in on the trainee: {document['cut_in_on_the_trainee']}")
    verdict = "holds" if document["holds"] else "is missed"
    console.print(f"target: p50 at most {TARGET} of plain Pipecat's; {document['ratio_p50']}: {verdict}")


if __name__ == "__main__":
    sys.exit(main())
