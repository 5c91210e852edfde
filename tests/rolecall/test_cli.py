"""The command line: what each command prints, and that every error is one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.errors import StoreError
from agent.scenario import load_scenario
from rolecall import cli
from rolecall.settings import CHECKOUT

HEAVY = ("fastapi", "graphs", "langgraph", "numpy", "pipecat", "pydantic", "sqlalchemy", "twilio")

CONVERSATION = """\
Hi Dana, this is Alex from Northwind Supply.

Can I have thirty seconds?
Who do you order from today?
Thank you for your time, goodbye.
This comes after the end.
"""


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path: Path, bare_environment: None, logging_restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLECALL_WORDING__ENGINE", "authored")


def said(*arguments: str, typed: str = "") -> str:
    """What a command that succeeds prints on stdout."""
    result = CliRunner().invoke(cli.app, arguments, input=typed, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and what a command that fails prints, which is one line on stderr."""
    code = cli.run(arguments)
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return code, line


def process(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rolecall", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_help_names_every_command() -> None:
    text = said("--help")
    for command in ("serve", "demo", "simulate", "rehearse", "doctor", "migrate", "scenarios", "users"):
        assert f"{command} " in text


def test_the_version_is_told() -> None:
    assert said("--version").startswith("rolecall 0.")


def test_help_loads_none_of_the_heavy_libraries() -> None:
    code = f"import sys, rolecall.cli; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_the_scenarios_are_listed() -> None:
    listed = said("scenarios", "list").splitlines()
    assert len(listed) == len(list((CHECKOUT / "scenarios").glob("*.yaml")))
    (line,) = [line for line in listed if line.startswith("cold-call ")]
    assert line.endswith("  Cold call to a sceptical office manager (en, medium)")


def test_the_shipped_scenarios_have_no_fault() -> None:
    assert "no fault" in said("scenarios", "check")


def test_a_scenario_is_shown_with_its_briefing_and_version() -> None:
    text = said("scenarios", "show", "cold-call")
    assert "You sell Northwind Supply" in text
    assert "sha256:" in text


def test_a_scenario_is_shown_as_one_json_document() -> None:
    document = json.loads(said("scenarios", "show", "cold-call", "--json"))
    assert document["id"] == "cold-call"
    assert document["version"].startswith("sha256:")


def test_each_fault_of_a_scenario_is_named_with_file_field_and_reason(tmp_path: Path) -> None:
    original = (CHECKOUT / "scenarios" / "cold-call.yaml").read_text()
    broken = tmp_path / "cold-call.yaml"
    broken.write_text(original.replace("difficulty: medium", "difficulty: brutal"))
    result = CliRunner().invoke(cli.app, ["scenarios", "check", str(broken), str(tmp_path / "none.yaml")])
    assert result.exit_code == 1
    assert f"{broken}: difficulty: should be 'easy', 'medium' or 'hard'" in result.stdout
    assert f"{tmp_path / 'none.yaml'}: cannot be read" in result.stdout


def test_an_unknown_scenario_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = complaint(capsys, "rehearse", "--scenario", "../config")
    assert code == 1
    assert line.startswith(f"rolecall: no scenario '../config' in {CHECKOUT / 'scenarios'}. There are: ")
    assert "cold-call" in line and "fire-report" in line


def test_a_folder_without_scenarios_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROLECALL_SCENARIOS__FOLDER", str(tmp_path))
    assert complaint(capsys, "scenarios", "check")[0] == 1


def test_a_wrong_setting_stops_every_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_SERVER__PORT", "eighty")
    code, line = complaint(capsys, "serve")
    assert code == 1
    assert line.startswith("rolecall: ROLECALL_SERVER__PORT in the environment should be a valid integer")


def test_another_configuration_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = complaint(capsys, "--config", "nowhere.yaml", "scenarios", "list")
    assert code == 1
    assert "nowhere.yaml cannot be read: no such file" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("demo", "--secnario", "x"), "See 'rolecall demo --help'"),
        (("nonsense",), "No such command 'nonsense'"),
        (("simulate", "--calls", "0"), "Invalid value for '--calls'"),
        (("serve", "--port", "seventy"), "Invalid value for '--port'"),
        (("scenarios", "show"), "Missing argument"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = complaint(capsys, *arguments)
    assert code == 2
    assert line.startswith("rolecall: ")
    assert told in line


def test_an_error_of_ours_shows_message_and_hint_also_out_of_a_task_group(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = StoreError("the database is away", hint="Check\nDATABASE_URL")
    monkeypatch.setattr("db.database.migrate", raising(ExceptionGroup("tasks", [error])))
    assert complaint(capsys, "migrate") == (1, "rolecall: the database is away. Check DATABASE_URL")


def test_a_bug_is_one_line_and_its_traceback_is_in_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("db.database.migrate", raising(LookupError("what\nwas\nlooked for")))
    code, line = complaint(capsys, "migrate")
    assert code == 1
    assert line.startswith("rolecall: this is a bug: LookupError in ")
    assert "Traceback" in (tmp_path / ".rolecall" / "rolecall.log").read_text()


def raising(error: Exception) -> Any:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_the_database_is_brought_to_the_newest_schema(tmp_path: Path) -> None:
    said("migrate")
    assert "newest schema" in said("migrate")
    assert (tmp_path / ".rolecall" / "rolecall.db").exists()


def test_a_rehearsal_in_writing_is_the_telephone_conversation() -> None:
    text = said("rehearse", "--seed", "3", typed=CONVERSATION)
    assert "Dana Whitfield: Harbor Dental, this is Dana." in text
    assert "you: Hi Dana, this is Alex from Northwind Supply." in text
    assert "Delmar Medical" in text
    assert "persona ended: farewell (open), seed 3, wording authored" in text
    assert "after the end" not in text


def test_a_rehearsal_begins_with_what_the_trainee_must_know() -> None:
    scenario = load_scenario(CHECKOUT / "scenarios" / "cardiac-arrest.yaml")
    text = said("rehearse", "--scenario", "cardiac-arrest", "--seed", "3", typed="")
    for told in (scenario.briefing, scenario.safety.content_warning, f'"{scenario.safety.stop_word}"'):
        assert told.strip() in text
        assert text.index(told.strip()) < text.index(f"{scenario.persona.name}: ")


def test_a_rehearsal_is_the_same_again_under_the_same_seed() -> None:
    first, again = (said("rehearse", "--seed", "7", typed=CONVERSATION) for _ in range(2))
    assert first == again


def test_a_rehearsal_as_json_is_one_document() -> None:
    document = json.loads(said("rehearse", "--seed", "3", "--json", typed=CONVERSATION))
    assert [turn["speaker"] for turn in document["turns"]] == ["persona", *("trainee", "persona") * 4]
    assert [turn["move"] for turn in document["turns"] if turn["move"]] == [
        "introduce",
        "ask_time",
        "ask_supplier",
        "say_goodbye",
    ]
    assert document["wording"]["engine"] == "authored"
    assert (document["reason"], document["ending"], document["outcome"]) == (
        "persona_ended",
        "farewell",
        "open",
    )
    state = document["state"]
    assert (state["disclosed"], state["caller_name"], state["stage"]) == (["supplier"], "Alex", "closing")
    assert set(state["emotions"]) == {"trust", "patience"}
    assert {verdict["status"] for verdict in document["protocol"]} <= {"met", "broken", "not_due"}


def test_the_end_of_the_input_hangs_up() -> None:
    assert json.loads(said("rehearse", "--json", typed="Hello?\n"))["reason"] == "trainee_hung_up"


def test_the_stop_word_ends_a_rehearsal() -> None:
    document = json.loads(said("rehearse", "--json", typed="Stop the exercise.\n"))
    assert document["reason"] == "stop_word"


def test_input_that_is_no_text_is_a_turn_like_any_other() -> None:
    command = [sys.executable, "-m", "rolecall", "rehearse", "--json"]
    rehearsal = subprocess.run(command, input=b"\xff\xfe\x00\x1b[2J\n", capture_output=True)
    assert (rehearsal.returncode, rehearsal.stderr) == (0, b"")
    assert len(json.loads(rehearsal.stdout)["turns"]) == 3


def test_ctrl_c_ends_a_rehearsal_without_a_word() -> None:
    rehearsal = process("rehearse")
    assert rehearsal.stdout is not None
    while "Harbor Dental" not in rehearsal.stdout.readline():
        assert rehearsal.poll() is None
    rehearsal.send_signal(signal.SIGINT)
    _, err = rehearsal.communicate()
    assert (rehearsal.returncode, err) == (130, "")


def test_a_reader_that_goes_away_is_no_error_to_shout_about() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    show = process("scenarios", "show", "cold-call", stdout=writing)
    os.close(writing)
    _, err = show.communicate()
    assert (show.returncode, err) == (1, "")


def test_the_doctor_examines_a_wrong_configuration_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_SERVER__PORT", "eighty")
    assert cli.run(["doctor", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["can_hold_a_call"] is False
    assert document["findings"][0]["part"] == "config"
