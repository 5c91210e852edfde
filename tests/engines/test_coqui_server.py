"""The server of deploy/coqui: everything but the model."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.coqui.server import Limits, main
from tests.engines.fake_coqui import TOKEN, FakeSpeaker, open_server, until

JSON = {"Content-Type": "application/json"}
HELLO = {"text": "Hello there.", "voice": "p225"}


@pytest.fixture
def speaker() -> FakeSpeaker:
    return FakeSpeaker()


@pytest.fixture
def client(speaker: FakeSpeaker) -> Iterator[httpx.Client]:
    with open_server(lambda: speaker, Limits(waiting=1)) as url, asking(url) as client:
        yield client
        speaker.go_on.set()


@contextmanager
def asking(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
        until(lambda: client.get("/ready").status_code == 200)
        yield client


def say(client: httpx.Client, text: str) -> httpx.Response:
    return client.post("/v1/speech", json={**HELLO, "text": text})


def test_a_text_becomes_samples_at_the_models_rate(client: httpx.Client, speaker: FakeSpeaker) -> None:
    answer = client.post("/v1/speech", json={**HELLO, "rate": 0.5})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/pcm")
    assert answer.headers["x-sample-rate-hz"] == "22050"
    samples = np.frombuffer(answer.content, "<i2")
    assert samples.size == pytest.approx(22_050 * (0.4 + 0.4), abs=2)
    assert np.abs(samples).max() == pytest.approx(16_383, rel=0.01)
    assert speaker.said[-1] == ("Hello there.", "p225", "en", 0.5)


def test_it_lists_what_it_can_do(client: httpx.Client) -> None:
    assert client.get("/v1/voices").json() == {
        "model": "vctk",
        "rate_hz": 22_050,
        "voices": ["p225", "p226"],
        "languages": ["en"],
    }


@pytest.mark.parametrize(
    ("change", "status", "complaint"),
    [
        ({"voice": "../../etc/passwd"}, 404, "voice: unknown"),
        ({"language": "fr"}, 422, "language: not spoken"),
        ({"text": ""}, 422, "text: "),
        ({"text": " ?! "}, 422, "text: "),
        ({"text": "a" * 601}, 422, "text: more than 600 characters"),
        ({"text": None}, 422, "text: "),
        ({"rate": 3}, 422, "rate: "),
        ({"rate": "nan"}, 422, "rate: "),
        ({"volume": 11}, 422, "volume: "),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_with_its_reason(
    client: httpx.Client, change: dict[str, Any], status: int, complaint: str
) -> None:
    answer = client.post("/v1/speech", json=HELLO | change)
    assert (answer.status_code, answer.json()["detail"][: len(complaint)]) == (status, complaint)


def test_a_body_over_the_limit_is_not_read_to_its_end(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    assert client.post("/v1/speech", content=endless(), headers=JSON).status_code == 413


def test_a_body_that_does_not_arrive_is_not_waited_for(speaker: FakeSpeaker) -> None:
    head = (
        b"POST /v1/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n"
    )
    with open_server(lambda: speaker, Limits(body_within_s=0.05)) as url, asking(url):
        address = httpx.URL(url)
        with socket.create_connection((address.host, address.port), timeout=10) as connection:
            connection.sendall(head + b"{")
            assert connection.recv(100).startswith(b"HTTP/1.1 408")


def test_a_web_page_cannot_make_it_speak(client: httpx.Client) -> None:
    plain = {"Content-Type": "text/plain"}
    assert client.post("/v1/speech", content=json.dumps(HELLO), headers=plain).status_code == 415


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.sampled_from(["", "Hello.", "p225", "en", "\x00"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["text", "voice", "language", "rate", "x"]), inner)
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_sent_is_answered_or_refused(client: httpx.Client, body: bytes) -> None:
    assert client.post("/v1/speech", content=body, headers=JSON).status_code in (200, 404, 422)


def test_one_text_at_a_time_is_spoken_one_waits_and_the_next_is_sent_away(
    client: httpx.Client, speaker: FakeSpeaker
) -> None:
    speaker.go_on.clear()
    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(say, client, "First.")
        until(lambda: speaker.said[-1][0] == "First.")
        others = [callers.submit(say, client, text) for text in ("Second.", "Third.")]
        sent_away = next(as_completed(others, timeout=10)).result()
        assert (sent_away.status_code, sent_away.headers["retry-after"]) == (503, "1")
        speaker.go_on.set()
        assert first.result().status_code == 200
        assert sorted(other.result().status_code for other in others) == [200, 503]
    assert len(speaker.said) == 3, "the warm-up and two of the three"
    assert len(speaker.threads) == 1


def test_a_text_that_nobody_waits_for_any_more_is_not_spoken(
    client: httpx.Client, speaker: FakeSpeaker
) -> None:
    speaker.go_on.clear()
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(say, client, "First.")
        until(lambda: speaker.said[-1][0] == "First.")
        impatient = httpx.Client(base_url=client.base_url, trust_env=False, timeout=0.3)
        with impatient, pytest.raises(httpx.ReadTimeout):
            say(impatient, "Second.")
        speaker.go_on.set()
        assert first.result().status_code == 200
    assert say(client, "Third.").status_code == 200
    assert [text for text, *_ in speaker.said[1:]] == ["First.", "Third."]


@pytest.mark.parametrize("sound", [np.full_like, lambda sound, _: sound[:0]], ids=["NaN", "nothing"])
def test_a_model_that_returns_no_sound_fails_and_the_next_text_is_spoken(
    client: httpx.Client, speaker: FakeSpeaker, sound: Any
) -> None:
    speaker.sound = lambda samples: sound(samples, np.nan)
    assert say(client, "One.").status_code == 500
    speaker.sound = lambda samples: samples
    assert say(client, "Two.").status_code == 200


def test_sound_that_is_too_loud_is_cut_not_wrapped(client: httpx.Client, speaker: FakeSpeaker) -> None:
    speaker.sound = lambda samples: 4 * samples
    samples = np.frombuffer(say(client, "Loud.").content, "<i2")
    assert (samples.min(), samples.max()) == (-32_767, 32_767)


def test_while_the_model_is_loading_the_process_is_alive_but_not_ready(speaker: FakeSpeaker) -> None:
    loading = threading.Event()

    def load() -> FakeSpeaker:
        loading.wait()
        return speaker

    with open_server(load) as url, httpx.Client(base_url=url, trust_env=False) as client:
        try:
            assert client.get("/health").status_code == 200
            asked = client.get("/ready"), client.get("/v1/voices"), say(client, "Hello.")
            assert [answer.status_code for answer in asked] == [503, 503, 503]
        finally:
            loading.set()
        until(lambda: client.get("/ready").status_code == 200)
        assert [text for text, *_ in speaker.said] == ["Hello."], "the warm-up comes before it is ready"


def test_a_model_that_cannot_be_loaded_ends_the_process() -> None:
    broken = threading.Event()

    def load() -> FakeSpeaker:
        raise RuntimeError("a checkpoint of another model")

    with open_server(load, on_broken=broken.set) as url:
        assert broken.wait(10)
        assert httpx.get(f"{url}/ready", trust_env=False).status_code == 503


def test_a_synthesis_that_does_not_end_makes_the_process_unhealthy(speaker: FakeSpeaker) -> None:
    with (
        open_server(lambda: speaker, Limits(stuck_after_s=0.05)) as url,
        asking(url) as client,
        ThreadPoolExecutor(1) as callers,
    ):
        speaker.go_on.clear()
        stuck = callers.submit(say, client, "For ever.")
        until(lambda: client.get("/health").status_code == 503)
        speaker.go_on.set()
        assert stuck.result().status_code == 200
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("authorization", ["", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xfc"])
def test_with_a_token_only_its_bearer_is_served(speaker: FakeSpeaker, authorization: str) -> None:
    with open_server(lambda: speaker, token=TOKEN) as url, asking(url) as client:
        headers = {b"Authorization": authorization.encode("latin-1")}
        assert client.get("/v1/voices", headers=headers).status_code == 401
        assert client.post("/v1/speech", json=HELLO, headers=headers).status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/v1/speech", json=HELLO, headers=bearer).status_code == 200
        assert len(speaker.said) == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--host", "0.0.0.0"], "COQUI_TOKEN is not set"),
        (["--refuse-root"], "runs as root"),
        (["--device", "tpu"], "invalid choice"),
    ],
)
def test_what_would_be_unsafe_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    monkeypatch.setattr("sys.argv", ["server.py", "--model", "folder", *options])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("COQUI_TOKEN", raising=False)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
