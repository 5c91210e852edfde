"""`rolecall simulate`: what is told of many calls, and what becomes of calls that nobody answers."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.errors import ConfigError, ScenarioError
from rolecall.simulate import (
    CallReport,
    Load,
    SimulateOptions,
    _document,
    _show,
    _watch_load,
    for_trainees,
    run_simulate,
)
from telephony.simulator.measure import BargeIn, CallMeasures, Choppiness, ResponseGap
from tests.phone import settings_for

OPTIONS = SimulateOptions(calls=2, scenario="cold-call", json=True)
NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""

HELD = CallReport(
    "CA1",
    "",
    CallMeasures(
        (ResponseGap(1_000, 1_400), ResponseGap(5_000, 5_600)),
        (BargeIn(3_000, 250.0),),
        Choppiness(1, 20.4, 2, 30.0),
        (),
        (),
    ),
    greeting_ms=180.0,
)
BROKEN = CallReport(
    "CA2", "the persona answered nothing", CallMeasures((), (), Choppiness(0, 0, 0, 0), (), ()), None
)


def test_the_document_spreads_what_all_handsets_measured() -> None:
    document = json.loads(json.dumps(_document(OPTIONS, [HELD, BROKEN], Load(41.26, 250.0, 261.5))))
    assert document == {
        "calls": 2,
        "scenario": "cold-call",
        "impair": "",
        "response_gap_ms": {"count": 2, "p50": 500, "p95": 590, "p99": 598},
        "barge_in_ms": {"count": 1, "p50": 250, "p95": 250, "p99": 250},
        "greeting_ms": {"count": 1, "p50": 180, "p95": 180, "p99": 180},
        "choppiness": {"underruns": 1, "underrun_ms": 20, "dropouts": 2, "dropout_ms": 30},
        "failures": [{"call": "CA2", "fault": "the persona answered nothing"}],
        "server": {"cpu_percent": 41.3, "memory_mb_before": 250.0, "memory_mb_peak": 261.5},
    }


def test_where_nothing_was_measured_nothing_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    document = _document(OPTIONS, [BROKEN], Load())
    assert document["response_gap_ms"] is document["barge_in_ms"] is document["greeting_ms"] is None
    assert set(document["server"].values()) == {None}
    _show(document)
    assert "response gap (ms)" in capsys.readouterr().out


def test_a_table_for_people_is_plain_text_with_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    fault = f"the carrier reports [{', '.join(['31921'] * 30)}]"
    _show(_document(OPTIONS, [HELD, replace(BROKEN, fault=fault)], Load(41.26, 250.0, 261.5)))
    printed = capsys.readouterr().out
    assert f"CA2: {fault}" in printed.splitlines()
    assert "\x1b" not in printed


def test_the_server_of_a_simulation_has_a_line_for_each_caller(tmp_path: Path) -> None:
    settings = for_trainees(settings_for(tmp_path), replace(OPTIONS, calls=70))
    assert (settings.server.max_calls, settings.models.allow_download) == (70, False)
    assert for_trainees(settings_for(tmp_path), OPTIONS).server.max_calls == 20


def test_a_scenario_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no scenario 'nobody'"):
        run_simulate(settings_for(tmp_path), replace(OPTIONS, scenario="nobody"))


def test_an_impairment_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fog"):
        run_simulate(settings_for(tmp_path), replace(OPTIONS, impair="fog=3"))


def test_calls_to_a_server_of_somebody_else_need_its_account(tmp_path: Path) -> None:
    settings = settings_for(tmp_path).model_copy(update={"twilio_auth_token": None})
    with pytest.raises(ConfigError, match="cannot be signed"):
        run_simulate(settings, replace(OPTIONS, url=NOBODY))


def test_calls_that_nobody_answers_are_failures_with_their_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(tmp_path).model_copy(
        update={"twilio_auth_token": SecretStr("any"), "public_url": None}
    )
    assert run_simulate(settings, replace(OPTIONS, url=NOBODY)) == 1
    document = json.loads(capsys.readouterr().out)
    assert [failure["fault"] for failure in document["failures"]] == ["the carrier reports 11205"] * 2


async def test_a_server_that_dies_is_no_longer_watched() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    load = Load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch_load(process.pid, load))
        await asyncio.sleep(0.05)
        process.kill()
        await process.wait()
    assert load.memory_mb_before
