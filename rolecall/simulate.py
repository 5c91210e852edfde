"""Many simulated calls at once: what callers would hear, measured at their handsets."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil
import typer
from rich.console import Console
from rich.table import Table

from agent.errors import ConfigError, ScenarioError
from agent.scenario import load_scenarios
from pipelines.engines.espeak import open_espeak
from rolecall.demo import TRAINEE_MODEL
from rolecall.local_server import open_local_server
from rolecall.settings import Settings
from rolecall.trainee import Line, rehearse, scripted
from telephony.simulator import Call, LineConditions, Simulator, SimulatorSettings, open_simulator
from telephony.simulator.measure import CallMeasures, Percentiles, measure, percentiles

_CALLED: Final = "+15550100002"
_FIRST_CALLER: Final = 15_550_110_000
_APART_S: Final = 0.35
_LONGEST_CALL_S: Final = 400.0
_SAMPLE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What was asked for on the command line. Without a `url`, a server is started for the occasion."""

    calls: int
    scenario: str
    json: bool = False
    impair: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class CallReport:
    """One simulated call; `fault` is "" if it was held as it should be."""

    sid: str
    fault: str
    measures: CallMeasures
    greeting_ms: float | None


@dataclass(slots=True)
class Load:
    """What the server's process used while the calls were on; None where it is not ours to look at."""

    cpu_percent: float | None = None
    memory_mb_before: float | None = None
    memory_mb_peak: float | None = None


def run_simulate(settings: Settings, options: SimulateOptions) -> int:
    """Places the calls; 0 only if each was held to its end."""
    scenarios = load_scenarios(settings.scenarios.folder)
    if options.scenario not in scenarios:
        raise ScenarioError(f"no scenario '{options.scenario}'", hint=f"There are: {', '.join(scenarios)}")
    conditions = LineConditions.parse(options.impair)
    with open_espeak() as espeak:
        lines = scripted(scenarios[options.scenario], espeak)
    reports, load = asyncio.run(_simulate(settings, options, conditions, lines))
    document = _document(options, reports, load)
    if options.json:
        typer.echo(json.dumps(document))
    else:
        _show(document)
    return 0 if not document["failures"] else 1


async def _simulate(
    settings: Settings, options: SimulateOptions, conditions: LineConditions, lines: Sequence[Line]
) -> tuple[list[CallReport], Load]:
    async with _server(settings, options, conditions) as (simulated, pid), asyncio.TaskGroup() as tasks:
        load = Load()
        watching = tasks.create_task(_watch_load(pid, load)) if pid is not None else None
        async with open_simulator(simulated) as carrier:
            calls = [
                tasks.create_task(_call(carrier, number, lines), name=f"caller {number}")
                for number in range(options.calls)
            ]
            reports = [await call for call in calls]
        if watching is not None:
            watching.cancel()
    return reports, load


@asynccontextmanager
async def _server(
    settings: Settings, options: SimulateOptions, conditions: LineConditions
) -> AsyncIterator[tuple[SimulatorSettings, int | None]]:
    if options.url is not None:
        yield _configured(settings, options.url, conditions), None
        return
    async with open_local_server(for_trainees(settings, options)) as server:
        yield server.carrier(conditions), server.pid


def _configured(settings: Settings, url: str, conditions: LineConditions) -> SimulatorSettings:
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        raise ConfigError(
            f"calls to {url} cannot be signed",
            hint="Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN as the server has them, or leave out --url",
        )
    return SimulatorSettings(
        account_sid=settings.twilio_account_sid,
        auth_token=settings.twilio_auth_token.get_secret_value(),
        public_url=settings.public_url or url,
        target=url,
        conditions=conditions,
    )


def for_trainees(settings: Settings, options: SimulateOptions) -> Settings:
    """The settings for simulated trainees: understood, with lines enough for all, waiting for no download."""
    most = max(options.calls, settings.server.max_calls)
    return settings.model_copy(
        update={
            "server": settings.server.model_copy(update={"max_calls": most}),
            "models": settings.models.model_copy(update={"allow_download": False}),
            "scenarios": settings.scenarios.model_copy(update={"default": options.scenario}),
            "speech_to_text": settings.speech_to_text.model_copy(
                update={"engine": "whisper", "model": str(TRAINEE_MODEL)}
            ),
        }
    )


async def _call(carrier: Simulator, number: int, lines: Sequence[Line]) -> CallReport:
    await asyncio.sleep(number * _APART_S)
    call = await carrier.dial(f"+{_FIRST_CALLER + number}", _CALLED)
    try:
        async with asyncio.timeout(_LONGEST_CALL_S):
            await rehearse(call.handset, lines)
            await call.ended
    except TimeoutError:
        call.handset.hang_up()
    measures = await asyncio.to_thread(measure, call.handset)
    greeting_ms = measures.persona[0].start_ms if measures.persona else None
    return CallReport(call.sid, _fault(call, measures), measures, greeting_ms)


def _fault(call: Call, measures: CallMeasures) -> str:
    errors = [str(code) for code in call.errors if code != _CLOSED_BY_SERVER]
    if errors:
        return f"the carrier reports {', '.join(errors)}"
    if not measures.response_gaps:
        return "the persona answered nothing"
    return "" if call.status == "completed" else f"the call is {call.status}"


_CLOSED_BY_SERVER: Final = 31921
"""How every call ends that the persona ends."""


async def _watch_load(pid: int, load: Load) -> None:
    """Notes what the process uses, until it is gone or the caller has had enough."""
    with suppress(psutil.NoSuchProcess):
        await _sample_load(psutil.Process(pid), load)


async def _sample_load(process: psutil.Process, load: Load) -> None:
    load.memory_mb_before = load.memory_mb_peak = process.memory_info().rss / 1e6
    process.cpu_percent()
    began_s, cpu = asyncio.get_running_loop().time(), process.cpu_times()
    while True:
        await asyncio.sleep(_SAMPLE_S)
        load.memory_mb_peak = max(load.memory_mb_peak, process.memory_info().rss / 1e6)
        used = process.cpu_times()
        used_s = used.user + used.system - cpu.user - cpu.system
        load.cpu_percent = 100 * used_s / (asyncio.get_running_loop().time() - began_s)


def _document(options: SimulateOptions, reports: Sequence[CallReport], load: Load) -> dict[str, Any]:
    chopped = [report.measures.choppiness for report in reports]
    return {
        "calls": options.calls,
        "scenario": options.scenario,
        "impair": options.impair,
        "response_gap_ms": _spread([gap.gap_ms for r in reports for gap in r.measures.response_gaps]),
        "barge_in_ms": _spread([cut.silent_after_ms for r in reports for cut in r.measures.barge_ins]),
        "greeting_ms": _spread([r.greeting_ms for r in reports if r.greeting_ms is not None]),
        "choppiness": {
            "underruns": sum(chop.underruns for chop in chopped),
            "underrun_ms": round(sum(chop.underrun_ms for chop in chopped)),
            "dropouts": sum(chop.dropouts for chop in chopped),
            "dropout_ms": round(sum(chop.dropout_ms for chop in chopped)),
        },
        "failures": [{"call": r.sid, "fault": r.fault} for r in reports if r.fault],
        "server": {
            name: round(value, 1) if value is not None else None for name, value in asdict(load).items()
        },
    }


def _spread(values: Sequence[float]) -> dict[str, int] | None:
    spread: Percentiles | None = percentiles(values)
    if spread is None:
        return None
    return {
        "count": spread.count,
        "p50": round(spread.p50),
        "p95": round(spread.p95),
        "p99": round(spread.p99),
    }


def _show(document: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "count", "p50", "p95", "p99"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in ("response_gap_ms", "barge_in_ms", "greeting_ms"):
        spread = document[name] or {}
        table.add_row(
            name.replace("_ms", " (ms)").replace("_", " "),
            *(str(spread.get(key, "-")) for key in ("count", "p50", "p95", "p99")),
        )
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    console.print(f"choppiness: {document['choppiness']}", soft_wrap=True)
    console.print(f"server: {document['server']}", soft_wrap=True)
    for failure in document["failures"]:
        console.print(f"{failure['call']}: {failure['fault']}", style="red", soft_wrap=True)
