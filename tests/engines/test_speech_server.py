import io
import json
import math
import socket
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import EngineFailed, EngineTimedOut, EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Recognition
from pipelines.engines.ladder import choose_recogniser
from pipelines.engines.loading import NotConfigured, RecogniserSettings
from pipelines.engines.speech_server import open_speech_server, transcription
from tests.engines.fake_speech_server import (
    Asked,
    FakeSpeechServer,
    Reply,
    open_fake_speech_server,
    said,
    segment,
)
from tests.engines.lines import MODELS

SPEECH = np.random.default_rng(3).normal(0, 0.1, RECOGNISER_RATE_HZ * 2).astype(np.float32)


@pytest.fixture
def server() -> Iterator[FakeSpeechServer]:
    with open_fake_speech_server() as opened:
        yield opened


Open = Callable[..., Recogniser]


@pytest.fixture
def recogniser(server: FakeSpeechServer) -> Iterator[Open]:
    """Opens the recogniser of a call."""
    with ExitStack() as stack:

        def opened(
            languages: tuple[str, ...] = ("en",), key: str = "secret", within_s: float = 10.0
        ) -> Recogniser:
            speech_server = stack.enter_context(
                open_speech_server(server.url, model="large", key=key, within_s=within_s)
            )
            server.asked.clear()
            return speech_server.for_call("sha256:1", [], languages)

        yield opened


def test_a_turn_is_sent_as_a_wav_file_with_model_language_and_key(
    server: FakeSpeechServer, recogniser: Open
) -> None:
    call = recogniser()
    assert (call.engine, call.model, call.remote) == ("server", "large", True)
    call.recognise(SPEECH)
    [asked] = server.asked
    assert (asked.path, asked.authorization) == ("/v1/audio/transcriptions", "Bearer secret")
    assert asked.fields == {
        "model": "large",
        "response_format": "verbose_json",
        "temperature": "0",
        "language": "en",
    }
    with wave.open(io.BytesIO(asked.file)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert np.abs(samples / 32_767 - SPEECH).max() < 1e-4


def test_no_key_is_sent_where_there_is_none(server: FakeSpeechServer, recogniser: Open) -> None:
    recogniser(key="").recognise(SPEECH)
    assert server.asked[0].authorization is None


def test_the_confidence_comes_from_the_segments(server: FakeSpeechServer, recogniser: Open) -> None:
    call = recogniser()
    parts = [segment(" Who is", -0.1, tokens=[1]), segment(" this?", -0.4, tokens=[1, 2])]
    server.answer = lambda asked: said("Who is this?", segments=parts)
    assert call.recognise(SPEECH) == Recognition("Who is this?", pytest.approx(math.exp(-0.3)), "en")


def test_a_phantom_of_the_server_is_not_taken_for_speech(server: FakeSpeechServer, recogniser: Open) -> None:
    call = recogniser()
    server.answer = lambda asked: said("x", segments=[segment(" Thanks for watching!")])
    assert call.recognise(SPEECH) == Recognition("", None)
    server.answer = lambda asked: said("Thanks for watching!")
    assert call.recognise(SPEECH) == Recognition("", None)


def test_nothing_is_sent_of_silence(server: FakeSpeechServer, recogniser: Open) -> None:
    call = recogniser()
    assert call.recognise(np.zeros(RECOGNISER_RATE_HZ, np.float32)) == Recognition("", None)
    assert server.asked == []


@pytest.mark.parametrize(("found", "language"), [("spanish", "es"), ("es", "es"), ("welsh", ""), (7, "")])
def test_of_several_languages_the_server_finds_out(
    server: FakeSpeechServer, recogniser: Open, found: object, language: str
) -> None:
    call = recogniser(("en", "es"))
    server.answer = lambda asked: said("Hola.", language=found)
    assert call.recognise(SPEECH) == Recognition("Hola.", None, language)
    assert "language" not in server.asked[0].fields


def knows_json_alone(asked: Asked) -> Reply:
    if asked.fields["response_format"] != "json":
        return 400, b'{"error": {"message": "response_format is not supported"}}'
    return said("Hello.")


def test_a_server_that_knows_no_verbose_answer_is_asked_for_plain_ones(
    server: FakeSpeechServer, recogniser: Open
) -> None:
    server.answer = knows_json_alone
    call = recogniser()
    assert call.recognise(SPEECH) == Recognition("Hello.", None, "en")
    assert [asked.fields["response_format"] for asked in server.asked] == ["json"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (503, b'{"text": "Hello.", "segments": []}'),
        (429, b'{"error": {"message": "slow down"}}'),
        (404, b'{"detail": "no such model"}'),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, b'"text"'),
        (200, b'{"text": 5}'),
        (200, b"\xff\xfe"),
        (200, b" " * (1 << 21)),
        (302, b""),
    ],
)
def test_a_broken_answer_is_an_error_and_there_is_no_second_try(
    server: FakeSpeechServer, recogniser: Open, status: int, body: bytes
) -> None:
    call = recogniser()
    server.answer = lambda asked: (status, body)
    with pytest.raises(EngineFailed, match="speech-to-text server"):
        call.recognise(SPEECH)
    assert len(server.asked) == 1


def test_a_server_that_hangs_is_given_up(server: FakeSpeechServer, recogniser: Open) -> None:
    call = recogniser(within_s=0.2)
    server.answer = server.stall
    with pytest.raises(EngineTimedOut):
        call.recognise(SPEECH)


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ((401, b"the key secret is wrong"), "SPEECH_TO_TEXT_API_KEY"),
        ((404, b'{"detail": "Not Found"}'), "server_url"),
        ((500, b"out of memory"), "server_model"),
        ((200, b"<html>"), "server_url"),
    ],
)
def test_a_server_that_can_not_serve_is_unavailable_from_the_start(
    server: FakeSpeechServer, reply: Reply, named: str
) -> None:
    server.answer = lambda asked: reply
    with (
        pytest.raises(EngineUnavailable, match=named) as caught,
        open_speech_server(server.url, model="large", key="secret", within_s=5.0),
    ):
        pass
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    with (
        pytest.raises(EngineUnavailable, match="server_url"),
        open_speech_server(url, model="large", key="", within_s=1.0),
    ):
        pass


def test_a_server_serves_where_its_address_is_given(server: FakeSpeechServer) -> None:
    settings = RecogniserSettings(MODELS, server_url=server.url, server_model="large")
    with ExitStack() as resources:
        chosen = choose_recogniser(settings, resources)
        assert (chosen.name, chosen.model, chosen.passed_over) == ("server", "large", ())


def test_a_server_that_is_named_needs_an_address() -> None:
    with ExitStack() as resources, pytest.raises(NotConfigured, match="server_url"):
        choose_recogniser(RecogniserSettings(MODELS, engine="server"), resources)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "segments", "avg_logprob", "no_speech_prob", "tokens", "language"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["text", "segments", "language"]), JSON) | JSON)
def test_whatever_a_server_answers_it_is_a_recognition_or_an_error(document: object) -> None:
    try:
        recognition = transcription(json.dumps(document).encode(), 2.0, ("en", "es"))
    except EngineFailed:
        return
    assert recognition.confidence is None or 0 <= recognition.confidence <= 1
    assert recognition.language in ("", "en", "es")
