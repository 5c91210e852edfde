"""The doctor: what each probe finds, and that nothing keeps it waiting."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.errors import StoreError
from db.database import migrate
from rolecall import cli
from rolecall.doctor import Finding, Status, examine
from rolecall.probes import PROBES
from rolecall.settings import Settings, load_settings

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "0f" * 16


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path: Path, bare_environment: None, logging_restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)


class FakeServer:
    """Answers every request with one status and body, and keeps what was asked."""

    def __init__(self, status: int, body: str) -> None:
        self.asked: list[tuple[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Authorization", "")))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@contextmanager
def answering(status: int, body: str = "") -> Iterator[FakeServer]:
    server = FakeServer(status, body)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def nowhere() -> str:
    """An address on this machine where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def finding(part: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Finding:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (found,) = examine(load_settings(), {part: PROBES[part]})
    assert found.part == part
    assert (found.status is Status.MISSING) <= bool(found.way_out)
    assert TOKEN not in f"{found}"
    return found


def test_the_home_that_can_be_made_is_not_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert finding("home", monkeypatch).status is Status.OK
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written_to_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = finding("home", monkeypatch, ROLECALL_HOME=str(tmp_path / "file" / "home"))
    assert found.status is Status.MISSING
    assert "cannot be written to" in found.found


def test_a_database_that_the_first_start_makes_is_not_made_by_the_doctor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = finding("database", monkeypatch)
    assert (found.status, list(tmp_path.iterdir())) == (Status.OK, [])
    assert "made at the first start" in found.found


def test_a_database_with_the_newest_schema_is_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    migrate(url)
    found = finding("database", monkeypatch, DATABASE_URL=url)
    assert (found.status, found.found) == (
        Status.OK,
        f"SQLite file {tmp_path / 'records.db'}, schema up to date",
    )


def test_a_database_that_is_away_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = finding("database", monkeypatch, DATABASE_URL=f"postgresql://me:{TOKEN}@{nowhere()}/records")
    assert found.status is Status.MISSING


def test_live_state_is_in_this_process_unless_a_redis_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("live state", monkeypatch).found == "Redis in this process"
    found = finding("live state", monkeypatch, REDIS_URL=f"redis://:{TOKEN}@{nowhere()}/0")
    assert found.status is Status.MISSING


def test_the_default_scenario_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("scenarios", monkeypatch).status is Status.OK
    found = finding("scenarios", monkeypatch, ROLECALL_SCENARIOS__DEFAULT="none-such")
    assert found.status is Status.MISSING
    assert found.way_out.startswith("Set scenarios.default to one of: ") and "cold-call" in found.way_out


def test_a_broken_scenario_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cold-call.yaml").write_text("id: cold-call")
    found = finding("scenarios", monkeypatch, ROLECALL_SCENARIOS__FOLDER=str(tmp_path))
    assert found.status is Status.MISSING


def test_authored_wording_is_second_best_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = finding("wording", monkeypatch, OLLAMA_HOST=nowhere())
    assert found.status is Status.DEGRADED
    assert "Not ollama: nothing answers" in found.way_out
    assert finding("wording", monkeypatch, ROLECALL_WORDING__ENGINE="authored").status is Status.OK


def test_a_server_for_the_words_is_asked_for_its_models_and_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(404) as server:
        environment = {
            "OLLAMA_HOST": nowhere(),
            "ROLECALL_WORDING__SERVER_URL": f"{server.url}/v1",
            "ROLECALL_WORDING__SERVER_MODEL": "mine",
            "WORDING_API_KEY": TOKEN,
        }
        found = finding("wording", monkeypatch, **environment)
        assert ("/v1/models", f"Bearer {TOKEN}") in server.asked
        assert found.status is Status.DEGRADED
        assert "Not server: " in found.way_out
        found = finding("wording", monkeypatch, ROLECALL_WORDING__ENGINE="server")
        assert found.status is Status.MISSING


def test_a_named_engine_that_cannot_be_used_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = finding("wording", monkeypatch, OLLAMA_HOST=nowhere(), ROLECALL_WORDING__ENGINE="ollama")
    assert found.status is Status.MISSING


def test_built_in_speech_is_second_best_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offline = {"ROLECALL_MODELS__FOLDER": str(tmp_path), "ROLECALL_MODELS__ALLOW_DOWNLOAD": "false"}
    found = finding("speech to text", monkeypatch, **offline)
    assert found.status is Status.DEGRADED
    assert "Not whisper: no Whisper model is in" in found.way_out
    found = finding("text to speech", monkeypatch, ROLECALL_TEXT_TO_SPEECH__ENGINE="espeak")
    assert found.status is Status.OK
    found = finding("speech to text", monkeypatch, ROLECALL_SPEECH_TO_TEXT__ENGINE="whisper")
    assert found.status is Status.MISSING


def test_without_twilio_calls_come_from_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("twilio", monkeypatch).status is Status.DEGRADED


def test_half_of_the_credentials_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = finding("twilio", monkeypatch, TWILIO_ACCOUNT_SID=SID)
    assert found.status is Status.MISSING
    assert "TWILIO_AUTH_TOKEN" in found.found


def test_an_account_sid_has_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    found = finding("twilio", monkeypatch, TWILIO_ACCOUNT_SID="SK12", TWILIO_AUTH_TOKEN=TOKEN)
    assert found.status is Status.MISSING


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, '{"status": "active"}', Status.OK),
        (200, '{"status": "suspended"}', Status.MISSING),
        (200, '["active"]', Status.DEGRADED),
        (200, "<html>", Status.DEGRADED),
        (401, '{"code": 20003}', Status.MISSING),
        (503, "", Status.DEGRADED),
    ],
)
def test_twilio_is_asked_for_the_account(
    status: int, body: str, expected: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status, body) as twilio:
        found = finding(
            "twilio",
            monkeypatch,
            TWILIO_ACCOUNT_SID=SID,
            TWILIO_AUTH_TOKEN=TOKEN,
            TWILIO_PHONE_NUMBER="+15005550006",
            TWILIO_API_BASE_URL=twilio.url,
        )
    credentials = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
    assert twilio.asked == [(f"/2010-04-01/Accounts/{SID}.json", f"Basic {credentials}")]
    assert found.status is expected


def test_a_twilio_that_cannot_be_asked_is_not_held_against_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = finding(
        "twilio",
        monkeypatch,
        TWILIO_ACCOUNT_SID=SID,
        TWILIO_AUTH_TOKEN=TOKEN,
        TWILIO_API_BASE_URL=f"http://{nowhere()}",
    )
    assert found.status is Status.DEGRADED


def test_twilio_needs_a_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("public url", monkeypatch).status is Status.OK
    assert finding("public url", monkeypatch, TWILIO_ACCOUNT_SID=SID).status is Status.MISSING


def test_the_public_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as server:
        assert finding("public url", monkeypatch, ROLECALL_PUBLIC_URL=server.url).status is Status.OK
    assert server.asked == [("/health", "")]
    with answering(404) as server:
        assert finding("public url", monkeypatch, ROLECALL_PUBLIC_URL=server.url).status is Status.DEGRADED


def test_a_probe_that_does_not_come_back_is_left_behind() -> None:
    release = threading.Event()

    def stuck(_: Settings) -> tuple[Status, str, str]:
        release.wait()
        return Status.OK, "at last", ""

    def quick(_: Settings) -> tuple[Status, str, str]:
        return Status.OK, "at once", ""

    found = examine(load_settings(), {"stuck": stuck, "quick": quick}, answer_within_s=0.2)
    release.set()
    assert [(each.part, each.status) for each in found] == [
        ("stuck", Status.MISSING),
        ("quick", Status.OK),
    ]


def test_an_error_of_ours_is_a_finding_and_so_is_a_bug() -> None:
    def refusing(_: Settings) -> tuple[Status, str, str]:
        raise StoreError("it is away", hint="Start it")

    def broken(_: Settings) -> tuple[Status, str, str]:
        raise LookupError

    ours, bug = examine(load_settings(), {"ours": refusing, "bug": broken})
    assert (ours.status, ours.found, ours.way_out) == (Status.MISSING, "it is away", "Start it")
    assert (bug.status, bug.found) == (Status.MISSING, "the probe broke: LookupError")


def test_a_configuration_that_cannot_hold_a_call_is_exit_code_1_and_one_json_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rolecall.probes.PROBES", {"scenarios": PROBES["scenarios"]})
    assert cli.run(["doctor"]) == 0
    assert "can hold a call" in capsys.readouterr().out
    monkeypatch.setenv("ROLECALL_SCENARIOS__DEFAULT", "none-such")
    assert cli.run(["doctor", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["can_hold_a_call"] is False
    assert [each["status"] for each in document["findings"]] == ["ok", "missing"]
