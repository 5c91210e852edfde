"""The log: one stream, call ids everywhere, personal data nowhere."""

import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from loguru import logger as loguru_logger

from rolecall.logs import configure_logs
from rolecall.settings import Logs

if TYPE_CHECKING:
    from loguru import Record


class Stderr:
    """What was written to stderr, and nothing to stdout."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        captured = self._capsys.readouterr()
        assert captured.out == ""
        self._text += captured.err
        return self._text

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str], logging_restored: None) -> Stderr:
    return Stderr(capsys)


def as_pipecat(record: "Record") -> None:
    record["name"] = "pipecat"


def a_failure() -> None:
    password = "hunter2-hunter2"
    raise LookupError("nothing there" if password else "")


def log_a_failure() -> None:
    try:
        a_failure()
    except LookupError:
        structlog.get_logger("rolecall").exception("ours")
        loguru_logger.exception("pipecat's")
        logging.getLogger("a.library").exception("a library's")


def test_an_event_is_one_line_of_json_with_its_fields(stderr: Stderr) -> None:
    configure_logs(Logs(format="json"))
    structlog.get_logger("rolecall.app").info("turn_ended", speaker="trainee", duration_ms=900)
    (line,) = stderr.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "turn_ended",
        "speaker": "trainee",
        "duration_ms": 900,
        "level": "info",
        "logger": "rolecall.app",
    }


def test_every_line_of_a_call_has_its_id_whichever_library_writes_it(stderr: Stderr) -> None:
    configure_logs(Logs(format="json"))
    with structlog.contextvars.bound_contextvars(call_id="c-1"):
        structlog.get_logger("rolecall").info("ours")
        loguru_logger.info("pipecat's")
        logging.getLogger("uvicorn.error").info("uvicorn's")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("python's", stacklevel=1)
    loguru_logger.info("after the call")
    assert [line.get("call_id") for line in stderr.lines] == ["c-1", "c-1", "c-1", "c-1", None]


def test_personal_data_is_dropped(stderr: Stderr) -> None:
    configure_logs(Logs(format="json"))
    structlog.get_logger("rolecall").info("turn_ended", pii_text="I am ill", pii_number="+1555", words=3)
    assert "I am ill" not in stderr.text
    assert "+1555" not in stderr.text
    assert stderr.lines[0]["words"] == 3


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(stderr: Stderr, form: Any) -> None:
    configure_logs(Logs(format=form))
    log_a_failure()
    text = stderr.text
    assert text.count("LookupError: nothing there") == 3
    assert text.count("a_failure()") >= 3
    assert "hunter2-hunter2" not in text.replace('password = "hunter2-hunter2"', "")


def test_a_line_break_in_a_field_does_not_forge_a_line(stderr: Stderr) -> None:
    configure_logs(Logs(format="console"))
    structlog.get_logger("rolecall").info("message_refused", reason="bad\n2026-01-01 [info] all is well")
    assert len(stderr.text.splitlines()) == 1


def test_libraries_say_nothing_below_info_even_when_we_debug(stderr: Stderr) -> None:
    configure_logs(Logs(format="json", level="debug"))
    structlog.get_logger("pipelines.call").debug("ours")
    loguru_logger.debug("what somebody said")
    logging.getLogger("a.library").debug("what somebody sent")
    logging.getLogger("httpx").info("GET https://api.example/+1555")
    assert [line["event"] for line in stderr.lines] == ["ours"]


def test_pipecat_does_not_greet_but_its_warnings_stay(stderr: Stderr) -> None:
    configure_logs(Logs(format="json"))
    pipecat = loguru_logger.patch(as_pipecat)
    pipecat.info("a banner")
    pipecat.warning("a clash of packages")
    assert [line["event"] for line in stderr.lines] == ["a clash of packages"]


def test_levels_between_those_of_logging_round_down(stderr: Stderr) -> None:
    configure_logs(Logs(format="json"))
    loguru_logger.success("100 % {done}")
    (line,) = stderr.lines
    assert (line["level"], line["event"]) == ("info", "100 % {done}")


def test_configuring_again_does_not_double_the_lines(stderr: Stderr) -> None:
    configure_logs(Logs(format="json"))
    configure_logs(Logs(format="json"))
    loguru_logger.info("once")
    assert len(stderr.lines) == 1


def test_a_log_file_and_its_folder_are_made_by_the_first_line(stderr: Stderr, tmp_path: Path) -> None:
    file = tmp_path / "home" / "rolecall.log"
    configure_logs(Logs(format="json"), file=file)
    assert not file.parent.exists()
    structlog.get_logger("rolecall").info("something")
    assert json.loads(file.read_text())["event"] == "something"
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert stderr.text == ""
    logging.getLogger().handlers[0].close()


def test_a_log_file_that_cannot_be_made_stops_nobody(stderr: Stderr, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    configure_logs(Logs(format="json"), file=tmp_path / "home" / "rolecall.log")
    structlog.get_logger("rolecall").info("something")
    assert stderr.text == ""
