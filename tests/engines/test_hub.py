import json
import resource
import shutil
import threading
import time
from collections import namedtuple
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from huggingface_hub import constants
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.errors import EngineUnavailable
from pipelines.engines.download import Cancelled, Limits
from pipelines.engines.hub import EveryTenth, Hub, OnProgress, Transfer, stays_private, why_unreachable
from pipelines.engines.piper_voices import fetch_voice, voices_on_disk
from pipelines.engines.whisper_models import FoundModel, fetch_model, find_model, models_on_disk, on_disk
from tests.engines.local_hub import (
    COMMIT,
    Answer,
    LocalHub,
    address_of_no_hub,
    answering,
    broken_off,
    open_faulty_hub,
    open_hub,
    open_raw_server,
    open_silent_hub,
    send,
)

NAME = "en_GB-alba-medium"
ON_HUB = f"rhasspy/piper-voices/en/en_GB/alba/medium/{NAME}.onnx"
SOUND = bytes(range(256)) * 4096
CONFIG = b'{"audio": {}}'
FILES = {ON_HUB: SOUND, f"{ON_HUB}.json": CONFIG}
WHISPER = {"config.json": b"{}", "tokenizer.json": b"{ }", "model.bin": SOUND, "vocabulary.txt": b"a"}
TINY = {f"owner/tiny/{name}": content for name, content in WHISPER.items()}
AT_ONCE = Limits(answer_s=5, stalled_after_s=5, pause_s=0.001)


def transfer(on_progress: OnProgress = lambda *_: None, limits: Limits = AT_ONCE) -> Transfer:
    return Transfer(on_progress=on_progress, limits=limits)


def fetch(hub: LocalHub | str, folder: Path, limits: Limits = AT_ONCE) -> list[str]:
    """Fetches the voice and returns the names of those that are there then."""
    url = hub if isinstance(hub, str) else hub.url
    fetch_voice(folder, NAME, hub=Hub(url, offline=False), transfer=transfer(limits=limits))
    assert (folder / f"{NAME}.onnx").read_bytes() == SOUND
    assert (folder / f"{NAME}.onnx.json").read_bytes() == CONFIG
    return voices_on_disk(folder)


def complaint(hub: LocalHub | str, folder: Path, limits: Limits = AT_ONCE) -> str:
    """What a fetch that fails says; nothing of it can be seen in the folder."""
    with pytest.raises(EngineUnavailable) as failure:
        fetch(hub, folder, limits)
    assert [path.name for path in folder.iterdir()] in ([], [".downloads"])
    return str(failure.value)


def part(folder: Path) -> Path:
    return folder / ".downloads" / NAME / COMMIT / f"{NAME}.onnx.part"


def test_a_hub_that_answers_is_reachable() -> None:
    with open_hub({}) as address:
        assert why_unreachable(Hub(address, offline=False)) == ""


def test_why_a_hub_cannot_be_reached() -> None:
    assert "refused" in why_unreachable(Hub(address_of_no_hub(), offline=False))
    with open_silent_hub() as address:
        assert "cannot be reached" in why_unreachable(Hub(address, offline=False))
    for address in ("http://hub.invalid", "http://[", "ftp://hub", "http://\0"):
        assert "cannot be reached" in why_unreachable(Hub(address, offline=False))


def test_the_hub_is_what_the_environment_of_huggingface_hub_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "https://mirror.example")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert (Hub().url, Hub().offline) == ("https://mirror.example", True)
    assert "HF_HUB_OFFLINE" in why_unreachable()


def test_a_voice_is_fetched_whole(tmp_path: Path) -> None:
    with open_hub(FILES) as address:
        assert fetch(address, tmp_path / "voices") == [NAME]
    left = {path.name for path in (tmp_path / "voices").rglob("*")}
    assert left <= {f"{NAME}.onnx", f"{NAME}.onnx.json", ".downloads", f"{NAME}.lock"}


def test_a_model_is_fetched_whole_and_nothing_else_of_its_repository(tmp_path: Path) -> None:
    names = ("README.md", "onnx/config.json", "vocabulary.x/../../evil", "../evil", "vocabulary.json/evil")
    with open_hub(TINY | {f"owner/tiny/{name}": b"" for name in names}) as address:
        found = fetch_model(tmp_path, "owner/tiny", hub=Hub(address, offline=False), transfer=transfer())
    assert {path.name: path.read_bytes() for path in found.folder.iterdir()} == WHISPER
    assert [path.name for path in tmp_path.iterdir() if path.name != ".downloads"] == ["owner--tiny"]
    assert on_disk("owner/tiny", tmp_path) is not None
    assert [model.folder for model in models_on_disk(tmp_path)] == [found.folder]


def test_a_model_that_was_fetched_is_found_from_then_on(tmp_path: Path) -> None:
    def find(address: str) -> FoundModel:
        return find_model(
            "owner/tiny",
            tmp_path,
            device="cpu",
            language="en",
            allow_download=True,
            hub=Hub(address, offline=False),
        )

    with open_hub(TINY) as address:
        assert find(address).origin == f"downloaded to {tmp_path}"
    again = find(address_of_no_hub())
    assert (again.folder, again.origin) == (tmp_path / "owner--tiny", f"found in {tmp_path}")


def test_nothing_is_seen_of_a_model_before_all_of_it_is_there(tmp_path: Path) -> None:
    seen: set[tuple[int, int]] = set()

    def on_progress(model: str, done: int, total: int) -> None:
        seen.add((len(voices_on_disk(tmp_path)), len(models_on_disk(tmp_path))))
        assert model in (NAME, "owner--tiny")
        assert 0 < done <= total

    with open_hub(FILES | TINY) as address:
        fetch_voice(tmp_path, NAME, hub=Hub(address, offline=False), transfer=transfer(on_progress))
        assert seen == {(0, 0)}
        fetch_model(tmp_path, "owner/tiny", hub=Hub(address, offline=False), transfer=transfer(on_progress))
        assert seen == {(0, 0), (1, 0)}


def test_a_line_that_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    with open_faulty_hub(FILES, send, broken_off) as hub:
        assert fetch(hub, tmp_path) == [NAME]
        assert [each.range for each in hub.asked_for(f"{NAME}.onnx")] == [None, f"bytes={len(SOUND) // 2}-"]


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(tmp_path: Path) -> None:
    with open_faulty_hub(FILES, send, broken_off) as hub:
        told = complaint(hub, tmp_path, Limits(attempts=1))
        assert f"received {len(SOUND) // 2} bytes, expected {len(SOUND)}" in told
        assert "what has arrived is kept" in told
        assert part(tmp_path).read_bytes() == SOUND[: len(SOUND) // 2]
    with open_faulty_hub(FILES) as hub:
        assert fetch(hub, tmp_path) == [NAME]
        assert [each.range for each in hub.asked_for(f"{NAME}.onnx")] == [f"bytes={len(SOUND) // 2}-"]
        assert hub.asked_for(f"{NAME}.onnx.json") == []


def begin(folder: Path, content: bytes) -> None:
    """Leaves `content` behind as an earlier run does that was cut off."""
    part(folder).parent.mkdir(parents=True)
    part(folder).write_bytes(content)


def whole(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """The whole file, whatever is asked for."""
    answering(200, content, Content_Length=str(len(content)))(handler, content)


@pytest.mark.parametrize(
    "answer",
    [
        whole,
        answering(416, Content_Range=f"bytes */{len(SOUND)}"),
        answering(206, SOUND[5:], Content_Range=f"bytes 5-{len(SOUND) - 1}/{len(SOUND)}"),
        answering(206, SOUND[7:8], Content_Range=f"bytes 7-7/{len(SOUND)}"),
        answering(206, SOUND[7:]),
        answering(500),
        answering(429, Retry_After="100000"),
    ],
)
def test_a_server_that_cannot_go_on_starts_over(answer: Answer, tmp_path: Path) -> None:
    begin(tmp_path, SOUND[:7])
    with open_faulty_hub(FILES, send, answer) as hub:
        assert fetch(hub, tmp_path) == [NAME]


@pytest.mark.parametrize("kept", [SOUND, SOUND + b"more", b""])
def test_parts_of_any_length_are_made_use_of(kept: bytes, tmp_path: Path) -> None:
    begin(tmp_path, kept)
    with open_faulty_hub(FILES) as hub:
        assert fetch(hub, tmp_path) == [NAME]
        assert len(hub.asked_for(f"{NAME}.onnx")) == (0 if kept == SOUND else 1)


def test_a_part_that_went_bad_is_found_out_and_removed(tmp_path: Path) -> None:
    begin(tmp_path, b"bad" * 1000)
    with open_hub(FILES) as address:
        assert "checksum" in complaint(address, tmp_path)
        assert not part(tmp_path).exists()
        assert fetch(address, tmp_path) == [NAME]


@pytest.mark.parametrize("file", [ON_HUB, f"{ON_HUB}.json"])
def test_content_with_another_checksum_is_refused(file: str, tmp_path: Path) -> None:
    altered = FILES | {file: FILES[file][:-1] + b"!"}
    with open_faulty_hub(altered, told=FILES) as hub:
        told = complaint(hub, tmp_path)
    assert f"{file.rpartition('/')[2]} does not have the checksum that the hub tells" in told
    assert not list(tmp_path.rglob("*.part")) or file == f"{ON_HUB}.json"


def endless(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(content)


def dripping(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.02)


def dripping_headers(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    while True:
        handler.send_header("X", "y")
        handler.flush_headers()
        time.sleep(0.02)


HTML = b"<html>Please log in to the hotel's network</html>"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            answering(200, HTML, Content_Length=str(len(HTML)), Content_Type="text/html"),
            "bytes of 'text/html'",
        ),
        (answering(200, HTML, Content_Encoding="gzip"), "answered 200"),
        (endless, f"does not end after its {len(CONFIG)} bytes"),
        (dripping, "does not end after"),
        (answering(302), "answered 302"),
        (answering(302, Location="/"), "HTTP Error|cannot be downloaded"),
        (answering(302, Location="file:///etc/passwd"), "cannot be downloaded"),
        (answering(302, Location="http://["), "cannot be downloaded"),
        (answering(204), "answered 204"),
        (answering(401), "refused .401.. Set HF_TOKEN"),
        (answering(403), "refused .403."),
        (answering(404), "answered 404"),
        (answering(200, b"", Content_Length="-1"), "cannot be downloaded"),
        (answering(200, b"", Content_Length="many"), "cannot be downloaded"),
        (answering(200, b"", Content_Length="9" * 5000), "cannot be downloaded"),
        (answering(200, b"zz\r\n", Transfer_Encoding="chunked"), "cannot be downloaded"),
    ],
)
def test_a_server_that_answers_nonsense_is_an_error_that_names_the_file(
    answer: Answer, told: str, tmp_path: Path
) -> None:
    with (
        open_faulty_hub(FILES, *[answer] * 9) as hub,
        pytest.raises(EngineUnavailable, match=told) as failure,
    ):
        fetch(hub, tmp_path)
    assert f"{NAME}.onnx.json" in failure.value.message
    assert voices_on_disk(tmp_path) == []


def test_a_redirect_that_never_ends_is_an_error(tmp_path: Path) -> None:
    def around(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        answering(302, Location=handler.path)(handler, content)

    with open_faulty_hub(FILES, *[around] * 50) as hub:
        assert "redirects" in complaint(hub, tmp_path)
        assert len(hub.asked) < 10


@pytest.mark.parametrize("answer", [dripping, dripping_headers])
def test_a_server_that_drips_is_given_up(answer: Answer, tmp_path: Path) -> None:
    limits = Limits(answer_s=0.3, stalled_after_s=0.3, attempts=2, pause_s=0.001)
    with open_faulty_hub(FILES, send, answer, answer) as hub:
        assert "cannot be downloaded" in complaint(hub, tmp_path, limits)


def test_a_hub_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with open_silent_hub() as address:
        told = complaint(address, tmp_path, Limits(answer_s=0.2))
    assert "the Piper voice en_GB-alba-medium cannot be found" in told


def test_a_file_that_the_hub_does_not_have_is_named(tmp_path: Path) -> None:
    with open_hub({f"{ON_HUB}.json": CONFIG}) as address:
        assert f"has no en/en_GB/alba/medium/{NAME}.onnx for the Piper voice" in complaint(address, tmp_path)


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(tmp_path: Path) -> None:
    with open_faulty_hub(FILES) as elsewhere:

        def redirected(handler: BaseHTTPRequestHandler, content: bytes) -> None:
            answering(302, Location=f"{elsewhere.url}{handler.path}")(handler, content)

        with open_faulty_hub(FILES, redirected, redirected) as hub:
            at = Hub(hub.url, token="hf_secret", offline=False)
            fetch_voice(tmp_path, NAME, hub=at, transfer=transfer())
    assert {each.authorization for each in hub.asked} == {"Bearer hf_secret"}
    assert {each.authorization for each in elsewhere.asked} == {None}
    assert voices_on_disk(tmp_path) == [NAME]
    assert "secret" not in repr(at)


def test_the_token_is_not_sent_where_others_can_listen_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_faulty_hub(FILES) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        at = Hub("http://hub.invalid", token="hf_secret", offline=False)
        with pytest.raises(EngineUnavailable, match="404"):
            fetch_voice(tmp_path, NAME, hub=at, transfer=transfer())
    (asked,) = proxy.asked
    assert asked.path.startswith("http://hub.invalid/api/models/")
    assert asked.authorization is None


def test_a_hub_with_https_does_not_lead_to_where_there_is_none() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": "http://elsewhere.example/file"})

    hooks = {"request": [stays_private("https://hub.example")]}
    with (
        httpx.Client(
            transport=httpx.MockTransport(answer), event_hooks=hooks, follow_redirects=True
        ) as client,
        pytest.raises(httpx.UnsupportedProtocol, match=r"elsewhere\.example without https"),
    ):
        client.get("https://hub.example/file")


@pytest.mark.parametrize("proxy", ["nonsense://x", "socks5://127.0.0.1:1", "http://[", "http://127.0.0.1:x"])
def test_a_proxy_that_cannot_be_used_is_an_error_that_says_so(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    at = Hub("https://hub.invalid", offline=False)
    assert "cannot be reached" in why_unreachable(at)
    with pytest.raises(EngineUnavailable):
        fetch_voice(tmp_path, NAME, hub=at, transfer=transfer())


def test_of_two_that_want_the_same_model_one_downloads(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        begun.set()
        go_on.wait(5)
        send(handler, content)

    with open_faulty_hub(FILES, slow) as hub:
        threads = [threading.Thread(target=fetch, args=(hub, tmp_path)) for _ in range(2)]
        threads[0].start()
        assert begun.wait(5)
        threads[1].start()
        go_on.set()
        for thread in threads:
            thread.join()
        assert len(hub.asked) == 3
    assert voices_on_disk(tmp_path) == [NAME]


def test_a_download_that_is_called_off_keeps_what_it_has(tmp_path: Path) -> None:
    called_off = threading.Event()

    def on_progress(model: str, done: int, total: int) -> None:
        if done > len(CONFIG):
            called_off.set()

    hasty = Transfer(on_progress=on_progress, cancelled=called_off)
    with open_hub(FILES) as address:
        with pytest.raises(Cancelled):
            fetch_voice(tmp_path, NAME, hub=Hub(address, offline=False), transfer=hasty)
        assert 0 < part(tmp_path).stat().st_size < len(SOUND)
        assert fetch(address, tmp_path) == [NAME]


def test_a_disk_without_room_is_an_error_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 50_000_100, 50_000_100))
    with open_faulty_hub(FILES) as hub:
        told = complaint(hub, tmp_path)
        assert hub.asked_for(f"{NAME}.onnx.json") == []
    assert f"takes 1 MB, and {tmp_path} has 0 MB to spare. Make room" in told


def test_a_disk_that_runs_full_on_the_way_is_an_error_and_what_has_arrived_is_kept(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with open_hub(FILES) as address:
            assert f"cannot be kept in {tmp_path}: file too large" in complaint(address, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert part(tmp_path).stat().st_size == 300_000
    with open_hub(FILES) as address:
        assert fetch(address, tmp_path) == [NAME]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    with open_hub(FILES) as address, pytest.raises(EngineUnavailable, match=r"cannot be kept in .*models"):
        fetch(address, tmp_path / "models")


def test_a_folder_that_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "owner--tiny" / "notes").mkdir(parents=True)
    with open_hub(TINY) as address, pytest.raises(EngineUnavailable, match="owner--tiny is in the way"):
        fetch_model(tmp_path, "owner/tiny", hub=Hub(address, offline=False), transfer=transfer())


def test_offline_nothing_is_asked_and_the_error_says_who_wanted_it(tmp_path: Path) -> None:
    with open_faulty_hub(FILES) as hub:
        with pytest.raises(EngineUnavailable, match="the Piper voice en_GB-alba-medium .* offline mode"):
            fetch_voice(tmp_path, NAME, hub=Hub(hub.url, offline=True))
        assert hub.asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["alba", "../en_GB-alba-medium", "en_GB-alba/../x-medium"])
def test_a_name_that_no_voice_on_the_hub_can_have_is_not_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(EngineUnavailable, match="not the name of a Piper voice"):
        fetch_voice(tmp_path, name)


@pytest.mark.parametrize("name", ["..", "../..", "a/b/c", "no such", ".downloads", "a" * 300, "é"])
def test_a_name_that_no_model_on_the_hub_can_have_is_not_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(EngineUnavailable, match="not the name of a Whisper model"):
        fetch_model(tmp_path, name)


def test_the_log_tells_of_every_tenth() -> None:
    progress = EveryTenth()
    with capture_logs() as logs:
        for done in range(1001):
            progress("base.en", done, 1000)
    assert [line["percent"] for line in logs] == list(range(0, 101, 10))
    assert {line["model"] for line in logs} == {"base.en"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sha", "siblings", "rfilename", "size", "lfs", "blobId"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(body=JSON.map(lambda each: json.dumps(each).encode()) | st.binary(max_size=60))
@example(body=b"[" * 100_000)
@example(body=b'{"sha": "../../x", "siblings": []}')
@example(body=b'{"sha": "%s", "siblings": [{"rfilename": "config.json"}]}' % COMMIT.encode())
def test_a_listing_can_be_anything(body: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    folder = tmp_path_factory.mktemp("models")
    with open_raw_server(answer) as address:
        assert "the Piper voice en_GB-alba-medium" in complaint(address, folder)


@settings(max_examples=30, deadline=None)
@given(answer=st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest))
def test_a_server_need_not_speak_http(answer: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_raw_server(answer) as address:
        why_unreachable(Hub(address, offline=False))
        assert "cannot be found" in complaint(address, tmp_path_factory.mktemp("models"))
