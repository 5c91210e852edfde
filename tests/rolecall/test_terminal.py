"""What a person reads while a call goes on, and after it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.call import EndReason, Speaker, Turn
from agent.events import BargedIn, CallEnded, EngineBroke, Event, KeyPressed, TraineeSilent, TurnTaken
from agent.scenario import Scenario
from db.models import CallStatus
from db.records import CallRecord
from rolecall.terminal import Terminal
from tests.agent.scenarios import cold_call

QUESTION = Turn(1, Speaker.TRAINEE, "Who do you order from today?", 61_200, 62_600, confidence=0.9)
ANSWER = Turn(2, Speaker.PERSONA, "We order from", 63_000, 65_000, interrupted=True, response_gap_ms=404)
RECORD = CallRecord(
    id=UUID("01890000-0000-7000-8000-000000000000"),
    carrier="twilio",
    carrier_call_id="CA1",
    scenario_id="cold-call",
    scenario_version="sha256:0123456789ab",
    seed=3,
    started_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
    status=CallStatus.ENDED,
    ended_at=datetime(2026, 11, 21, 9, 1, tzinfo=UTC),
    end_reason=EndReason.PERSONA_ENDED,
    ending="farewell",
    outcome="open",
    duration_ms=60_000,
    counters={},
    line={"faults": ["too_quiet"], "speech_dbfs": -44.0},
    user_id=None,
    turns=(QUESTION, ANSWER),
    engines=(),
    recording=None,
)


def shown(capsys: pytest.CaptureFixture[str], *events: Event) -> list[str]:
    terminal = Terminal()
    for event in events:
        terminal.show(event)
    return capsys.readouterr().out.splitlines()


def engine(**changes: Any) -> dict[str, Any]:
    return {"engine": "espeak", "model": "", "reason": "configured", "passed_over": {}} | changes


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (TurnTaken(QUESTION, 62_700), "01:01    trainee  Who do you order from today?"),
        (TurnTaken(ANSWER, 65_100), "01:03    persona  We order from ...  +0.40 s"),
        (BargedIn(1_000, 1_240), "         the trainee interrupts; silence after 240 ms"),
        (TraineeSilent(1, 9_000), "         the trainee says nothing"),
        (
            EngineBroke("wording", "ollama", "engine_failed", "authored", 9_000),
            "         ollama failed (engine_failed); authored takes over",
        ),
        (
            EngineBroke("text_to_speech", "espeak", "engine_failed", "", 9_000),
            "         espeak failed (engine_failed); nothing takes over",
        ),
        (
            CallEnded(EndReason.PERSONA_ENDED, "farewell", "open", "", 60_000),
            "         the call is over: persona ended, open",
        ),
        (
            CallEnded(EndReason.CONNECTION_LOST, "", "", "", 60_000),
            "         the call is over: connection lost",
        ),
    ],
)
def test_each_event_is_a_plain_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], event: Event, line: str
) -> None:
    assert shown(capsys, event) == [line]


def test_what_nobody_wants_to_watch_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, KeyPressed("1", 100)) == []


def test_neither_words_nor_paths_are_wrapped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    story = " ".join(["word"] * 60)
    recording = tmp_path / ("deep" * 30) / "call.wav"
    terminal = Terminal()
    terminal.show(TurnTaken(replace(QUESTION, text=story), 100))
    terminal.summary(RECORD, recording, [None, 404])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(story)
    assert f"Recording     {recording}" in lines


def test_the_summary_says_what_is_left_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().summary(RECORD, None, [None, 404])
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Turns         trainee 1, persona 1",
        "Response gap  median 404 ms, 95 % within 404 ms, at the handset",
        "Recording     none",
        "Record        call 01890000-0000-7000-8000-000000000000",
        "",
    ]


def test_a_call_without_an_answer_has_no_response_gap(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().summary(replace(RECORD, turns=(QUESTION,)), None, [None])
    assert "Response gap" not in capsys.readouterr().out


def test_the_engines_are_introduced_with_what_was_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    engines = {
        "speech_to_text": engine(engine="whisper", model="/models/trainee-tiny", reason="configured"),
        "wording": engine(engine="authored", passed_over={"ollama": "nobody answers at [::1]:11434"}),
    }
    Terminal().introduce(cold_call(), engines)
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Cold call to a sceptical office manager",
        "The persona is Dana Whitfield, office manager at Harbor Dental.",
        "  understands by  whisper (trainee-tiny): configured",
        "  words by        authored: configured",
        "                  not ollama: nobody answers at [::1]:11434",
        "",
    ]


def test_what_a_scenario_says_is_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    scenario: Scenario = cold_call()
    persona = scenario.persona.model_copy(update={"role": "head of [sales] :dog: [/]"})
    Terminal().introduce(scenario.model_copy(update={"persona": persona}), {})
    assert "head of [sales] :dog: [/]." in capsys.readouterr().out


def test_a_quiet_terminal_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(quiet=True)
    terminal.say("Starting")
    terminal.introduce(cold_call(), {"wording": engine()})
    terminal.show(TurnTaken(QUESTION, 100))
    terminal.summary(RECORD, None, [None, 404])
    assert capsys.readouterr() == ("", "")
