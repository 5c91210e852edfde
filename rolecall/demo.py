"""One complete phone call on this machine: a server, a simulated carrier, and a trainee who is not there."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import typer

from agent.call import EndReason, Speaker, Turn
from agent.errors import RolecallError, ScenarioError
from agent.events import Event
from agent.scenario import Scenario, load_scenarios
from db.database import Database, open_database
from db.records import CallRecord
from pipelines.engines.espeak import open_espeak
from rolecall.local_server import LocalServer, open_local_server
from rolecall.settings import CHECKOUT, Settings
from rolecall.terminal import Terminal
from rolecall.trainee import Line, recorded, rehearse, scripted
from telephony.simulator import Call, open_simulator
from telephony.simulator.measure import CallMeasures, measure, percentiles

TRAINEE_MODEL: Final = CHECKOUT / "models" / "trainee-tiny"
"""Understands the synthetic trainee, and nobody else."""

_CALLER: Final = "+15550100001"
_CALLED: Final = "+15550100002"
_POLL_S: Final = 0.15
_RECORDED_WITHIN_S: Final = 10.0
_OVERTIME_S: Final = 60.0
"""How long after its longest time a call may take to end."""
_SAME_MOMENT_MS: Final = 300.0
_BROKEN: Final = (EndReason.FAILED, EndReason.CONNECTION_LOST, EndReason.REFUSED)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What was asked for on the command line. `trainee`: a WAV to be spoken into the call."""

    scenario: str
    json: bool = False
    trainee: Path | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class DemoCall:
    """A call that is over: what the server recorded, and what was measured at the handset."""

    record: CallRecord
    measures: CallMeasures
    recording: Path | None

    def gap_ms(self, turn: Turn) -> int | None:
        """The response gap of a persona's turn, measured on the sound at the handset."""
        if turn.speaker is not Speaker.PERSONA or turn.response_gap_ms is None:
            return None
        for gap in self.measures.response_gaps:
            if gap.gap_ms >= 0 and abs(gap.persona_start_ms - turn.start_ms) < _SAME_MOMENT_MS:
                return round(gap.gap_ms)
        return None

    @property
    def fault(self) -> str:
        """Why this was not a complete call; "" if it was."""
        speakers = {turn.speaker for turn in self.record.turns}
        if self.record.end_reason is None or self.record.end_reason in _BROKEN:
            return f"the call was not held to its end ({self.record.end_reason or 'no end on record'})"
        if speakers != set(Speaker):
            return "the two parties did not talk to each other"
        if self.recording is None or not self.recording.is_file():
            return "there is no recording"
        if self.record.recording is None or not self.record.recording.complete:
            return "the recording is not complete"
        return ""


def run_demo(settings: Settings, options: DemoOptions) -> int:
    """Holds the call and shows it; 0 only if it was held, recorded and stored."""
    scenarios = load_scenarios(settings.scenarios.folder)
    if options.scenario not in scenarios:
        raise ScenarioError(f"no scenario '{options.scenario}'", hint=f"There are: {', '.join(scenarios)}")
    scenario, terminal = scenarios[options.scenario], Terminal(quiet=options.json)
    call = asyncio.run(_hold(_for_demo(settings, options), options, scenario, terminal))
    if options.json:
        typer.echo(json.dumps(_document(call), ensure_ascii=False))
    else:
        terminal.summary(call.record, call.recording, [call.gap_ms(turn) for turn in call.record.turns])
    if call.fault:
        raise RolecallError(call.fault, hint=f"{settings.home / 'server.log'} may say why")
    return 0


def _for_demo(settings: Settings, options: DemoOptions) -> Settings:
    """The settings, but the call does not wait for downloads, and the synthetic trainee is understood."""
    update: dict[str, Any] = {
        "models": settings.models.model_copy(update={"allow_download": False}),
        "scenarios": settings.scenarios.model_copy(
            update={"default": options.scenario, "seed": options.seed}
        ),
    }
    if options.trainee is None:
        update["speech_to_text"] = settings.speech_to_text.model_copy(
            update={"engine": "whisper", "model": str(TRAINEE_MODEL)}
        )
    return settings.model_copy(update=update)


async def _hold(settings: Settings, options: DemoOptions, scenario: Scenario, terminal: Terminal) -> DemoCall:
    lines = await asyncio.to_thread(_lines, options, scenario)
    terminal.say("Starting a server and a simulated telephone network ...")
    async with open_local_server(settings) as server:
        terminal.introduce(scenario, server.ready["engines"])
        call = await _phone(settings, server, lines, terminal)
    measures = await asyncio.to_thread(measure, call.handset)
    return await asyncio.to_thread(_look_up, settings, call.sid, measures)


def _lines(options: DemoOptions, scenario: Scenario) -> list[Line]:
    if options.trainee is not None:
        return recorded(options.trainee)
    with open_espeak() as espeak:
        return scripted(scenario, espeak)


async def _phone(settings: Settings, server: LocalServer, lines: Sequence[Line], terminal: Terminal) -> Call:
    """Dials, lets the trainee talk, and shows what goes on record while it does."""
    longest_s = settings.turns.max_call_s + _OVERTIME_S
    with open_database(settings.database_url.get_secret_value()) as database:
        try:
            async with open_simulator(server.carrier()) as carrier, asyncio.timeout(longest_s):
                call = await carrier.dial(_CALLER, _CALLED)
                async with asyncio.TaskGroup() as tasks:
                    watching = tasks.create_task(_watch(database, call.sid, terminal))
                    await rehearse(call.handset, lines)
                    await call.ended
                    await asyncio.wait({watching}, timeout=_RECORDED_WITHIN_S)
                    watching.cancel()
        except TimeoutError:
            raise RolecallError(f"the call was not over after {longest_s:.0f} s") from None
    return call


async def _watch(database: Database, call_sid: str, terminal: Terminal) -> None:
    """Shows a call's events as they are stored; returns when its end is."""
    shown = -1
    while True:
        for seq, event in await asyncio.to_thread(_news, database, call_sid, shown):
            shown = seq
            terminal.show(event)
            if event.kind == "call_ended":
                return
        await asyncio.sleep(_POLL_S)


def _news(database: Database, call_sid: str, after_seq: int) -> tuple[tuple[int, Event], ...]:
    with database.calls() as calls:
        record = calls.by_carrier_id(call_sid)
        return calls.events(record.id, after_seq) if record is not None else ()


def _look_up(settings: Settings, call_sid: str, measures: CallMeasures) -> DemoCall:
    with open_database(settings.database_url.get_secret_value()) as database, database.calls() as calls:
        record = calls.by_carrier_id(call_sid)
    if record is None:
        raise RolecallError("the call left no record", hint=f"{settings.home / 'server.log'} may say why")
    recording = settings.home / "recordings" / record.recording.key if record.recording else None
    return DemoCall(record, measures, recording)


def _document(call: DemoCall) -> dict[str, Any]:
    gaps = [gap for turn in call.record.turns if (gap := call.gap_ms(turn)) is not None]
    spread = percentiles(gaps)
    return {
        "call_id": str(call.record.id),
        "turns": [
            {
                "speaker": turn.speaker,
                "text": turn.text,
                "gap_ms": call.gap_ms(turn),
                "interrupted": turn.interrupted,
            }
            for turn in call.record.turns
        ],
        "response_gap_ms": {"p50": round(spread.p50), "p95": round(spread.p95)} if spread else None,
        "recording": str(call.recording) if call.recording else None,
        "engines": [{**asdict(use), "passed_over": dict(use.passed_over)} for use in call.record.engines],
        "line": call.record.line,
        "end_reason": call.record.end_reason,
        "outcome": call.record.outcome,
    }
