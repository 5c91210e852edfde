"""How long a trainee waits for the persona, and where the time goes; beside a plain Pipecat pipeline.

Both servers hold the same scripted calls over the same simulated lines, with the same engines, one after the
other in each round: once with a recogniser that costs nothing, so that what differs is the pipeline, and once
with the embedded one. Every third line is said with a hesitation of 0.4 to 1.3 s in its middle; a persona who
begins to speak before a line is over has cut the trainee off. Gaps are measured on the sound at the handset;
the stages are rolecall's own record.

    uv run python benchmarks/response_gap.py [--quick] [--json]
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import SecretStr

from agent.call import Speaker, Stages
from agent.errors import RolecallError
from agent.scenario import load_scenario
from benchmarks import harness, scripted
from benchmarks.harness import Report, Target
from benchmarks.scripted import SCENARIO, ScriptedLine, script
from db.database import open_database
from pipelines.engines.espeak import open_espeak
from rolecall.local_server import LocalServer, open_local_server
from rolecall.settings import CHECKOUT, Settings, load_settings
from rolecall.simulate import SimulateOptions, for_trainees
from telephony.simulator import Call, HungUp, SimulatorSettings, open_simulator
from telephony.simulator.handset import Utterance
from telephony.simulator.measure import Segment, measure

RATIO: Final = 0.6
"""rolecall's median gap over plain Pipecat's, at most."""

ZERO_COST, EMBEDDED = "zero-cost", "embedded"
_ROUNDS, _CALLERS = 4, 5
_QUICK_ROUNDS, _QUICK_CALLERS, _QUICK_LINES = 1, 3, 6
_CALL_S: Final = 240.0
_APART_S: Final = 0.35
_PERSONA_DONE_MS: Final = 700
_PATIENCE_MS: Final = 12_000
_EDGE_MS: Final = 40.0


@dataclass(slots=True)
class Measured:
    """What the callers of one server went through."""

    gaps_ms: list[float] = field(default_factory=list)
    lines: int = 0
    cut_offs: int = 0
    sids: list[str] = field(default_factory=list)

    def add(self, sid: str, said: Sequence[Utterance], persona: Sequence[Segment]) -> None:
        """Takes one call: what the trainee said, and when the persona could be heard."""
        if not persona:
            raise RolecallError("nobody answered a call: the machine is too busy for this many callers")
        self.sids.append(sid)
        for number, line in enumerate(said):
            self.lines += 1
            next_ms = said[number + 1].start_ms if number + 1 < len(said) else float("inf")
            starts = [segment.start_ms for segment in persona]
            self.cut_offs += any(line.start_ms + _EDGE_MS < at < line.end_ms - _EDGE_MS for at in starts)
            answers = [at for at in starts if line.end_ms - _EDGE_MS <= at < next_ms]
            if answers:
                self.gaps_ms.append(max(0.0, answers[0] - line.end_ms))


async def _measure(quick: bool) -> Report:
    with open_espeak() as espeak:
        lines = script(load_scenario(CHECKOUT / "scenarios" / f"{SCENARIO}.yaml"), espeak)
    rounds, callers = (_QUICK_ROUNDS, _QUICK_CALLERS) if quick else (_ROUNDS, _CALLERS)
    if quick:
        lines = lines[:_QUICK_LINES]
    document: dict[str, Any] = {"rounds": rounds, "callers": callers}
    tables, targets = [], []
    for engines in (ZERO_COST, EMBEDDED):
        ours, plain, stages = await _compare(engines, lines, rounds, callers)
        found = _document(ours, plain, stages)
        document[engines] = found
        tables.append(_table(engines, found))
        targets += _targets(engines, found)
    return Report(document, targets, tables)


async def _compare(
    engines: str, lines: Sequence[ScriptedLine], rounds: int, callers: int
) -> tuple[Measured, Measured, list[Stages]]:
    ours, plain = Measured(), Measured()
    with tempfile.TemporaryDirectory() as home:
        settings = _settings(Path(home), engines, callers)
        recogniser = "scripted" if engines == ZERO_COST else "whisper"
        async with (
            open_local_server(settings, scripted.register) as server,
            harness.open_plain_server("--scenario", SCENARIO, "--recogniser", recogniser) as other,
        ):
            for number in range(rounds):
                await _hold(_carrier(server, number), lines, callers, ours)
                await _hold(_plain_carrier(other.url, number), lines, callers, plain)
        return ours, plain, _stages(settings, ours.sids)


def _settings(home: Path, engines: str, callers: int) -> Settings:
    url = SecretStr(f"sqlite:///{home}/rolecall.db")
    settings = for_trainees(
        load_settings().model_copy(update={"home": home, "database_url": url}),
        SimulateOptions(calls=callers, scenario=SCENARIO),
    )
    if engines == EMBEDDED:
        return settings
    hearing = settings.speech_to_text.model_copy(update={"engine": scripted.ENGINE, "model": ""})
    return settings.model_copy(update={"speech_to_text": hearing})


def _carrier(server: LocalServer, number: int) -> SimulatorSettings:
    return server.carrier(seed=number)


def _plain_carrier(url: str, number: int) -> SimulatorSettings:
    return SimulatorSettings(
        account_sid="AC" + "0" * 32,
        auth_token="nobody checks",
        public_url=harness.PUBLIC_URL,
        target=url,
        seed=number,
    )


async def _hold(
    settings: SimulatorSettings, lines: Sequence[ScriptedLine], callers: int, measured: Measured
) -> None:
    async with open_simulator(settings) as carrier, asyncio.timeout(_CALL_S), asyncio.TaskGroup() as tasks:

        async def one(number: int) -> None:
            await asyncio.sleep(number * _APART_S)
            call = await carrier.dial(f"+1555010{number:04}", "+15550100002")
            said = await _rehearse(call, lines)
            measured.add(call.sid, said, measure(call.handset).persona)

        for number in range(callers):
            tasks.create_task(one(number))


async def _rehearse(call: Call, lines: Sequence[ScriptedLine]) -> list[Utterance]:
    said: list[Utterance] = []
    with suppress(HungUp):
        for line in lines:
            with suppress(TimeoutError):
                await call.handset.quiet(_PERSONA_DONE_MS, within_ms=_PATIENCE_MS)
            said.append(await call.handset.say(line.samples))
        with suppress(TimeoutError):
            await call.handset.quiet(_PERSONA_DONE_MS, within_ms=_PATIENCE_MS)
    call.handset.hang_up()
    await call.ended
    return said


def _stages(settings: Settings, sids: Sequence[str]) -> list[Stages]:
    found: list[Stages] = []
    with open_database(settings.database_url.get_secret_value()) as database, database.calls() as calls:
        for sid in sids:
            record = calls.by_carrier_id(sid)
            if record is None:
                raise RolecallError("a call left no record")
            found += [t.stages for t in record.turns if t.speaker is Speaker.PERSONA and t.stages]
    return found


def _document(ours: Measured, plain: Measured, stages: Sequence[Stages]) -> dict[str, Any]:
    if not ours.gaps_ms or not plain.gaps_ms:
        raise RolecallError("a pipeline answered nothing")
    parts = [asdict(each) for each in stages]
    return {
        "rolecall": _figures(ours),
        "plain_pipecat": _figures(plain),
        "stages_ms": {name: harness.spread([part[name] for part in parts]) for name in asdict(stages[0])},
        "ratio_p50": round(float(np.median(ours.gaps_ms) / np.median(plain.gaps_ms)), 2),
    }


def _figures(measured: Measured) -> dict[str, Any]:
    return {
        "gap_ms": harness.spread(measured.gaps_ms),
        "lines": measured.lines,
        "cut_offs": measured.cut_offs,
        "cut_off_share": round(measured.cut_offs / max(1, measured.lines), 3),
    }


def _table(engines: str, found: dict[str, Any]) -> Any:
    table = harness.table(f"response gap on sound, {engines} engines (ms)", "count", "p50", "p95", "cut off")
    table.add_row("rolecall", *harness.cells(found["rolecall"]["gap_ms"]), _share(found["rolecall"]))
    for name, values in found["stages_ms"].items():
        table.add_row(f"  {name.removesuffix('_ms').replace('_', ' ')}", *harness.cells(values), "")
    table.add_row(
        "plain Pipecat", *harness.cells(found["plain_pipecat"]["gap_ms"]), _share(found["plain_pipecat"])
    )
    return table


def _share(figures: dict[str, Any]) -> str:
    return f"{figures['cut_offs']} of {figures['lines']}"


def _targets(engines: str, found: dict[str, Any]) -> list[Target]:
    plain_share = found["plain_pipecat"]["cut_off_share"]
    return [
        Target(f"{engines}: median gap over plain Pipecat's", found["ratio_p50"], RATIO),
        Target(f"{engines}: share of lines cut off", found["rolecall"]["cut_off_share"], plain_share),
    ]


if __name__ == "__main__":
    sys.exit(harness.run(__doc__ or "", _measure))
