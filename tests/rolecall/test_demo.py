"""`rolecall demo`: what counts as a complete call, what is told of it, and one real call from the outside."""

import json
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.call import EndReason, Speaker, Turn
from agent.errors import ConfigError, ScenarioError
from db.database import open_database
from db.recordings import RecordingInfo
from db.records import CallRecord, EngineUse
from rolecall.demo import DemoCall, DemoOptions, _document, run_demo
from telephony.simulator.measure import CallMeasures, Choppiness, ResponseGap, Segment
from tests.agent.scenarios import changed
from tests.phone import settings_for
from tests.rolecall.test_terminal import RECORD

TURNS = (
    Turn(0, Speaker.PERSONA, "Harbor Dental, this is Dana.", 40, 1_540),
    Turn(1, Speaker.TRAINEE, "Who do you order from today?", 2_300, 3_700, confidence=0.9),
    Turn(2, Speaker.PERSONA, "We order from", 4_100, 5_000, interrupted=True, response_gap_ms=400),
    Turn(3, Speaker.TRAINEE, "Goodbye.", 5_100, 5_600, confidence=0.9),
    Turn(4, Speaker.PERSONA, "Goodbye then.", 6_000, 6_700, response_gap_ms=400),
)
INFO = RecordingInfo(key="2026/call.wav", rate_hz=8_000, duration_ms=6_900, complete=True)
WHISPER = EngineUse("speech_to_text", "whisper", "tiny", "configured", (("sphinx", "below"),), 0, None, None)
COMPLETE = replace(RECORD, turns=TURNS, recording=INFO, engines=(WHISPER,))


def measures(*gaps: ResponseGap) -> CallMeasures:
    return CallMeasures(gaps, (), Choppiness(0, 0.0, 0, 0.0), (Segment(0.0, 1.0),), (Segment(0.0, 1.0),))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.wav"
    path.touch()
    return path


def call(record: CallRecord, recording: Path | None, *gaps: ResponseGap) -> DemoCall:
    return DemoCall(record, measures(*gaps), recording)


def test_a_call_that_was_held_recorded_and_stored_has_no_fault(recording: Path) -> None:
    assert call(COMPLETE, recording).fault == ""


@pytest.mark.parametrize(
    "reason", [EndReason.TRAINEE_HUNG_UP, EndReason.STOP_WORD, EndReason.TRAINEE_SILENT, EndReason.TIME_LIMIT]
)
def test_a_call_may_end_in_many_ways(recording: Path, reason: EndReason) -> None:
    assert call(replace(COMPLETE, end_reason=reason), recording).fault == ""


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"end_reason": None}, "the call was not held to its end (no end on record)"),
        ({"end_reason": EndReason.FAILED}, "the call was not held to its end (failed)"),
        ({"end_reason": EndReason.CONNECTION_LOST}, "the call was not held to its end (connection_lost)"),
        ({"end_reason": EndReason.REFUSED}, "the call was not held to its end (refused)"),
        ({"turns": ()}, "the two parties did not talk to each other"),
        ({"turns": TURNS[:1]}, "the two parties did not talk to each other"),
        ({"turns": TURNS[1:2]}, "the two parties did not talk to each other"),
        ({"recording": None}, "the recording is not complete"),
        ({"recording": replace(INFO, complete=False)}, "the recording is not complete"),
    ],
)
def test_a_broken_call_says_what_is_wrong_with_it(
    recording: Path, changes: dict[str, Any], fault: str
) -> None:
    assert call(replace(COMPLETE, **changes), recording).fault == fault


def test_a_recording_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert call(COMPLETE, None).fault == "there is no recording"
    assert call(COMPLETE, tmp_path / "missing.wav").fault == "there is no recording"
    assert call(COMPLETE, tmp_path).fault == "there is no recording"


def test_a_response_gap_is_the_one_at_the_handset(recording: Path) -> None:
    held = call(COMPLETE, recording, ResponseGap(3_690, 4_130), ResponseGap(5_600, 6_050))
    assert [held.gap_ms(turn) for turn in TURNS] == [None, None, 440, None, 450]


def test_a_response_gap_that_nobody_heard_is_not_told(recording: Path) -> None:
    held = call(COMPLETE, recording, ResponseGap(3_690, 9_000))
    assert [held.gap_ms(turn) for turn in TURNS] == [None] * 5


def test_a_persona_who_fell_into_the_trainees_words_has_no_response_gap(recording: Path) -> None:
    assert call(COMPLETE, recording, ResponseGap(4_200, 4_130)).gap_ms(TURNS[2]) is None


def test_the_document_holds_the_call_and_is_json(recording: Path) -> None:
    held = call(COMPLETE, recording, ResponseGap(3_690, 4_130), ResponseGap(5_600, 6_050))
    document = json.loads(json.dumps(_document(held)))
    assert document["call_id"] == str(COMPLETE.id)
    assert document["turns"][1:3] == [
        {
            "speaker": "trainee",
            "text": "Who do you order from today?",
            "gap_ms": None,
            "interrupted": False,
        },
        {"speaker": "persona", "text": "We order from", "gap_ms": 440, "interrupted": True},
    ]
    assert document["response_gap_ms"] == {"p50": 445, "p95": 450}
    assert document["recording"] == str(recording)
    assert document["engines"] == [
        {
            "part": "speech_to_text",
            "engine": "whisper",
            "model": "tiny",
            "reason": "configured",
            "passed_over": {"sphinx": "below"},
            "since_ms": 0,
            "broke_at_ms": None,
            "broke_code": None,
        }
    ]
    assert document["line"] == {"faults": ["too_quiet"], "speech_dbfs": -44.0}
    assert (document["end_reason"], document["outcome"]) == ("persona_ended", "open")


def test_the_document_of_a_call_without_sound_has_no_figures() -> None:
    document = _document(call(replace(COMPLETE, turns=(), recording=None), None))
    assert (document["turns"], document["response_gap_ms"], document["recording"]) == ([], None, None)


def test_a_scenario_that_does_not_exist_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'nobody'\. There are: .*cold-call"):
        run_demo(settings_for(tmp_path), DemoOptions(scenario="nobody"))


def test_a_recording_that_cannot_be_used_is_named_before_anything_starts(tmp_path: Path) -> None:
    wav = tmp_path / "trainee.wav"
    wav.write_text("no sound")
    with pytest.raises(ConfigError, match="cannot be read"):
        run_demo(settings_for(tmp_path / "home"), DemoOptions(scenario="cold-call", trainee=wav))
    assert not (tmp_path / "home").exists()


def short_rehearsal(scenario: dict[str, Any]) -> None:
    """Leaves the simulated trainee a question and a farewell."""
    scenario["simulation"]["lines"] = [
        {"say": "Who do you order from today?"},
        {"say": "Thank you for your time, goodbye."},
    ]


def demo(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rolecall", "--config", str(config), "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def home(tmp_path: Path, bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a `rolecall` that is run from an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLECALL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_demo_holds_a_call_and_leaves_its_document_recording_and_record(home: Path, tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    changed(tmp_path / "scenarios", short_rehearsal)
    config = tmp_path / "config.yaml"
    config.write_text("scenarios: {folder: scenarios}\nwording: {engine: authored}\n")
    result = demo(config, "--json", "--seed", "3")
    assert (result.returncode, result.stderr) == (0, "")

    document = json.loads(result.stdout)
    spoken = [(turn["speaker"], turn["text"]) for turn in document["turns"]]
    assert spoken[0] == ("persona", "Harbor Dental, this is Dana.")
    assert [text for speaker, text in spoken if speaker == "trainee"] == [
        "Who do you order from today?",
        "Thank you for your time, goodbye.",
    ]
    assert (document["end_reason"], document["outcome"]) == ("persona_ended", "open")
    answers = [turn["gap_ms"] for turn in document["turns"] if turn["gap_ms"] is not None]
    assert len(answers) == 2
    assert document["response_gap_ms"]["p50"] <= document["response_gap_ms"]["p95"] <= max(answers)

    with wave.open(document["recording"]) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (8_000, 2)
        assert sound.getnframes() / 8 > 5_000
    with open_database(f"sqlite:///{home / 'rolecall.db'}") as database, database.calls() as calls:
        (summary,) = calls.list()
        record = calls.get(summary.id)
    assert record is not None and str(record.id) == document["call_id"]
    assert [turn.text for turn in record.turns] == [text for _, text in spoken]
    assert (record.seed, record.recording is not None and record.recording.complete) == (3, True)
