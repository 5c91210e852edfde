from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.scenario import load_scenarios
from pipelines.engines.factories import RECOGNISERS
from pipelines.engines.loading import StreamingSettings
from pipelines.engines.services import SERVICES
from rolecall.engine_settings import recogniser_settings, streaming_settings, threads_per_recognition
from rolecall.settings import CHECKOUT, SpeechToText, load_settings

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SPEECH_TO_TEXT_API_KEY", "DEEPGRAM_API_KEY", "ASSEMBLYAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_word_in_the_settings_nothing_is_sent_anywhere() -> None:
    hearing = recogniser_settings(load_settings())
    assert (hearing.server_url, hearing.server_key, hearing.padding_s) == ("", "", None)
    assert streaming_settings(load_settings()) is None


def test_a_model_is_looked_for_that_understands_all_scenarios() -> None:
    [scenario, *_] = load_scenarios(CHECKOUT / "scenarios").values()
    spanish = scenario.model_copy(update={"languages": ("es", "en")})
    assert recogniser_settings(load_settings(), {"a": scenario}).languages == ("en",)
    assert recogniser_settings(load_settings(), {"a": scenario, "b": spanish}).languages == ("en", "es")


def test_a_server_is_one_setting_and_its_key_is_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_TO_TEXT_API_KEY", SECRET)
    monkeypatch.setenv("ROLECALL_SPEECH_TO_TEXT__SERVER_URL", "http://gpu:8000/v1/")
    hearing = recogniser_settings(load_settings())
    assert (hearing.server_url, hearing.server_key) == ("http://gpu:8000/v1", SECRET)
    assert SECRET not in repr(hearing)


@pytest.mark.parametrize("service", ["deepgram", "assemblyai"])
def test_a_service_that_listens_along_needs_its_key(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    monkeypatch.setenv("ROLECALL_SPEECH_TO_TEXT__STREAMING", service)
    name = f"{service.upper()}_API_KEY"
    with pytest.raises(ConfigError, match=f"{name} is not set"):
        streaming_settings(load_settings())
    monkeypatch.setenv(name, SECRET)
    assert streaming_settings(load_settings()) == StreamingSettings(service, SECRET)


def test_every_engine_and_service_can_be_named_in_the_settings() -> None:
    for engine in ("auto", *RECOGNISERS):
        assert SpeechToText.model_validate({"engine": engine}).engine == engine
    for service in ("none", *SERVICES):
        assert SpeechToText.model_validate({"streaming": service}).streaming == service


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (4, 2), (8, 2), (12, 3), (16, 4), (64, 4)])
def test_an_utterance_is_worked_on_by_as_many_threads_as_help(cores: int, threads: int) -> None:
    assert threads_per_recognition(cores) == threads


def test_threads_that_are_set_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_SPEECH_TO_TEXT__CPU_THREADS", "7")
    assert recogniser_settings(load_settings()).cpu_threads == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVER_URL", f"ftp://{SECRET}"),
        ("SERVER_URL", f"https://{SECRET}@host/v1"),
        ("PADDING_S", "-1"),
        ("CPU_THREADS", "-1"),
        ("STREAMING", SECRET),
        ("ANSWER_TIMEOUT_S", "0"),
    ],
)
def test_a_wrong_setting_is_named_but_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ROLECALL_SPEECH_TO_TEXT__{name}", value)
    with pytest.raises(ConfigError, match=name) as failure:
        load_settings()
    assert SECRET not in str(failure.value)
