"""`rolecall models`: what is listed, what is pulled, and that offline means offline."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from rolecall import cli
from rolecall.settings import CHECKOUT
from tests.agent.scenarios import COLD_CALL
from tests.engines.local_hub import address_of_no_hub, broken_off, open_faulty_hub, open_hub, send

VOICE = "en_GB-alba-medium"
ON_HUB = f"rhasspy/piper-voices/en/en_GB/alba/medium/{VOICE}.onnx"
SOUND = bytes(range(256)) * 4096
FILES = {ON_HUB: SOUND, f"{ON_HUB}.json": b"{}"}
TRAINEE_MODEL = CHECKOUT / "models" / "trainee-tiny"

GUARDED = """\
import sys
from ipaddress import ip_address

attempts = []

def guard(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else "localhost"
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    try:
        inside = host is None or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        attempts.append((event, host))
        raise PermissionError(f"the guard forbids {host}")

sys.addaudithook(guard)
"""
COMMANDS = """
from rolecall import cli
codes = [cli.run(arguments.split()) for arguments in sys.argv[1:]]
print("codes", codes, "attempts", attempts)
"""
ENGINES = """
import asyncio
from agent.scenario import load_scenarios
from rolecall.engines import open_engines
from rolecall.settings import load_settings

async def load():
    settings = load_settings()
    async with open_engines(settings, load_scenarios(settings.scenarios.folder)) as engines:
        print("engines", [rung.name for rung in engines.rungs], "attempts", attempts)

asyncio.run(load())
"""


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path: Path, bare_environment: None, logging_restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scenario, nothing else on disk, no hub, no Ollama; also for processes that a test starts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / COLD_CALL.name).write_text(COLD_CALL.read_text())
    for name, value in (
        ("ROLECALL_SCENARIOS__FOLDER", str(tmp_path / "scenarios")),
        ("ROLECALL_MODELS__FOLDER", str(tmp_path / "models")),
        ("ROLECALL_MODELS__HUB_URL", address_of_no_hub()),
        ("OLLAMA_HOST", address_of_no_hub()),
        ("HF_HOME", str(tmp_path / "hf")),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def rolecall(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code, out, err = rolecall(capsys, "models", "list", "--json")
    assert (code, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    return document


def models(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {model["name"]: model for model in document["models"]}


def voices_there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.onnx*"))


def test_what_is_missing_is_listed_with_why_and_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    document = listed(capsys)
    engines = {engine["engine"]: engine for engine in document["engines"]}
    assert [name for name, engine in engines.items() if engine["usable"]] == ["sphinx", "authored", "espeak"]
    assert "no Whisper model is in" in engines["whisper"]["why_not"]
    assert "nothing answers" in engines["ollama"]["why_not"]
    assert all(engine["why_not"] and engine["way_out"] for engine in engines.values() if not engine["usable"])
    found = models(document)
    assert (found["base.en"]["status"], found["base.en"]["used_by"]) == ("missing", "speech to text")
    assert (found["tiny.en"]["status"], found["tiny.en"]["used_by"]) == ("offered", "")
    assert (found["en_US-amy-medium"]["status"], found["en_US-amy-medium"]["size_mb"]) == ("missing", 63)
    assert "cold-call" in found["en_US-amy-medium"]["used_by"]
    assert document["hub"]["usable"] is False
    assert "refused" in document["hub"]["why_not"]


def test_what_is_on_disk_is_listed_with_size_origin_and_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("small.en", "trainee-tiny"):
        target = tmp_path / "models" / name
        target.mkdir(parents=True)
        for path in TRAINEE_MODEL.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    (tmp_path / "models" / f"{VOICE}.onnx").write_bytes(bytes(2_000_000))
    (tmp_path / "models" / f"{VOICE}.onnx.json").write_bytes(b"{}")
    found = models(listed(capsys))
    assert (found["small.en"]["status"], found["small.en"]["used_by"]) == ("ready", "speech to text")
    assert found["small.en"]["origin"] == f"found in {tmp_path / 'models'}"
    assert found["trainee-tiny"]["used_by"] == "simulated trainees"
    assert (found[VOICE]["status"], found[VOICE]["size_mb"], found[VOICE]["used_by"]) == ("ready", 2.0, "")


def test_the_list_for_people_says_how_to_get_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = rolecall(capsys, "models", "list")
    assert (code, err) == (0, "")
    assert "missing base.en" in out
    assert "'rolecall models pull' fetches what is missing." in out


def test_a_voice_is_pulled_with_a_line_for_every_tenth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with open_hub(FILES) as address:
        monkeypatch.setenv("ROLECALL_MODELS__HUB_URL", address)
        code, out, err = rolecall(capsys, "models", "pull", VOICE)
        assert (code, err) == (0, "")
        assert [f"{VOICE}: {percent} % of 1.0 MB" in out for percent in (10, 50, 100)] == [True] * 3
        assert voices_there(tmp_path / "models") == [f"{VOICE}.onnx", f"{VOICE}.onnx.json"]
        assert "is here" in rolecall(capsys, "models", "pull", VOICE)[1]


def test_without_names_what_the_configuration_needs_is_pulled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whisper = {
        f"Systran/faster-whisper-base.en/{path.name}": path.read_bytes() for path in TRAINEE_MODEL.iterdir()
    }
    voice = "rhasspy/piper-voices/en/en_US/amy/medium/en_US-amy-medium.onnx"
    with open_faulty_hub(whisper | {voice: SOUND, f"{voice}.json": b"{}"}) as hub:
        monkeypatch.setenv("ROLECALL_MODELS__HUB_URL", hub.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        code, out, err = rolecall(capsys, "models", "pull")
        assert (code, err) == (0, "")
        assert "ollama: nothing answers" in out
        assert {each.authorization for each in hub.asked} == {"Bearer hf_secret"}
        assert models(listed(capsys))["base.en"]["used_by"] == "speech to text"
        assert (tmp_path / "models" / "en_US-amy-medium.onnx").read_bytes() == SOUND
        assert "is here" in rolecall(capsys, "models", "pull")[1]


def test_one_model_that_cannot_be_had_does_not_keep_the_others_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with open_hub(FILES) as address:
        monkeypatch.setenv("ROLECALL_MODELS__HUB_URL", address)
        code, _, err = rolecall(capsys, "models", "pull", "owner/none", VOICE, "en_US-none-low")
    assert code == 1
    (line,) = err.splitlines()
    assert line.startswith("rolecall: 2 of 3 models could not be fetched: ")
    assert "owner/none" in line
    assert voices_there(tmp_path / "models") == [f"{VOICE}.onnx", f"{VOICE}.onnx.json"]


@pytest.mark.parametrize("name", ["no such", "../x", "", "a/b/c"])
def test_a_name_that_means_nothing_is_told_with_those_that_do(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = rolecall(capsys, "models", "pull", name)
    assert (code, out) == (1, "")
    assert f"{name!r} is no model's name" in err
    assert "base.en" in err


def test_names_and_all_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert rolecall(capsys, "models", "pull", VOICE, "--all")[0] == 2


def test_a_hub_that_is_away_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = rolecall(capsys, "models", "pull", VOICE)
    assert (code, len(err.splitlines())) == (1, 1)
    assert "cannot be reached" in err


def process(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rolecall", "models", "pull", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("ended_by", "code", "complaint"),
    [
        (signal.SIGINT, 130, "rolecall: stopped. What has arrived is kept; run it again to go on\n"),
        (signal.SIGKILL, -9, ""),
    ],
)
def test_a_pull_that_is_ended_goes_on_from_there_the_next_time(
    ended_by: signal.Signals, code: int, complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    half_sent, go_on = threading.Event(), threading.Event()

    def stalling(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        broken_off(handler, content)
        handler.wfile.flush()
        half_sent.set()
        go_on.wait(30)

    with open_faulty_hub(FILES, send, stalling) as hub:
        monkeypatch.setenv("ROLECALL_MODELS__HUB_URL", hub.url)
        pull = process(VOICE)
        assert half_sent.wait(30)
        assert pull.stdout is not None
        while f"{VOICE}: 40 %" not in (line := pull.stdout.readline()):
            assert line
        pull.send_signal(ended_by)
        _, err = pull.communicate(timeout=30)
        go_on.set()
        assert (pull.returncode, err) == (code, complaint)
        assert voices_there(tmp_path / "models") == []
        hub.asked.clear()
        again = process(VOICE)
        again.communicate(timeout=60)
        assert again.returncode == 0
        (asked,) = hub.asked_for(f"{VOICE}.onnx")
        assert int((asked.range or "").removeprefix("bytes=").rstrip("-")) >= 0.4 * len(SOUND)
    assert (tmp_path / "models" / f"{VOICE}.onnx").read_bytes() == SOUND


def test_of_two_processes_one_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open_faulty_hub(FILES) as hub:
        monkeypatch.setenv("ROLECALL_MODELS__HUB_URL", hub.url)
        pulls = [process(VOICE) for _ in range(2)]
        assert [(pull.communicate(timeout=60)[1], pull.returncode) for pull in pulls] == [("", 0)] * 2
        assert len(hub.asked_for(f"{VOICE}.onnx")) == 1


class FakeOllama:
    """Has no model; answers a pull with `lines`."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        ollama = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(b'{"models": []}')

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                ollama.asked.append({"path": self.path, **asked})
                self.answer(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def pulling(monkeypatch: pytest.MonkeyPatch, *lines: dict[str, Any]) -> Iterator[FakeOllama]:
    ollama = FakeOllama(*lines)
    monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{ollama.http.server_port}")
    serving = threading.Thread(target=ollama.http.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield ollama
    finally:
        ollama.http.shutdown()
        ollama.http.server_close()
        serving.join()


def layer(digest: str, total: int, **more: int) -> dict[str, Any]:
    return {"status": f"pulling {digest}", "digest": f"sha256:{digest}", "total": total, **more}


def test_ollama_pulls_the_configured_model_and_its_progress_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_SPEECH_TO_TEXT__ENGINE", "sphinx")
    monkeypatch.setenv("ROLECALL_TEXT_TO_SPEECH__ENGINE", "espeak")
    monkeypatch.setenv("OLLAMA_MODEL", "qwen3:4b")
    lines = [
        {"status": "pulling manifest"},
        layer("aa", 600_000),
        layer("aa", 600_000, completed=300_000),
        layer("aa", 600_000, completed=600_000),
        layer("bb", 400_000, completed=400_000),
        {"status": "verifying sha256 digest"},
        {"status": "success"},
    ]
    with pulling(monkeypatch, *lines) as ollama:
        code, out, err = rolecall(capsys, "models", "pull")
    assert (code, err) == (0, "")
    (asked,) = ollama.asked
    assert (asked["path"], asked["model"], asked["stream"]) == ("/api/pull", "qwen3:4b", True)
    assert [f"qwen3:4b: {told}" in out for told in ("0 % of 0.6 MB", "50 % of 0.6 MB", "100 %")] == [True] * 3


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([{"error": "pull model manifest: file does not exist"}], "file does not exist"),
        ([{"status": "pulling manifest"}], "broke off pulling llama3.2:3b at: pulling manifest"),
        ([], "broke off"),
        ([["success"]], "could not pull"),
        ([{"status": 5}], "could not pull"),
    ],
)
def test_a_pull_that_ollama_does_not_finish_is_an_error(
    lines: list[Any], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pulling(monkeypatch, *lines):
        code, _, err = rolecall(capsys, "models", "pull", "llama3.2:3b")
    assert (code, len(err.splitlines())) == (1, 1)
    assert told in err


def test_offline_a_pull_is_an_error_that_names_what_was_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_MODELS__OFFLINE", "true")
    for name in (VOICE, "base.en", "llama3.2:3b"):
        code, _, err = rolecall(capsys, "models", "pull", name)
        assert code == 1
        assert f"model {name} would" in err or f"voice {name} would" in err
        assert "offline mode" in err


def guarded(code: str, *arguments: str, **environment: str) -> str:
    """What a process prints last in which no socket leads off this machine."""
    result = subprocess.run(
        [sys.executable, "-c", GUARDED + code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ROLECALL_MODELS__HUB_URL": "", **environment},  # noqa: TID251
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


@pytest.mark.parametrize("switch", ["ROLECALL_MODELS__OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_no_command_reaches_for_the_network(switch: str) -> None:
    commands = ("doctor", "models list", "models pull", f"models pull {VOICE}")
    # The doctor's own verdict may be that this machine is too busy to answer it in time.
    assert guarded(COMMANDS, *commands, **{switch: "1"}).endswith(", 0, 1, 1] attempts []")


def test_offline_no_engine_reaches_for_the_network() -> None:
    told = guarded(ENGINES, ROLECALL_MODELS__OFFLINE="true")
    assert told.startswith("engines ['sphinx', 'authored', 'espeak', ") and told.endswith("attempts []")


def test_the_guard_would_notice_a_command_that_does() -> None:
    assert "huggingface.co" in guarded(COMMANDS, f"models pull {VOICE}")
