from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.scenario import load_scenarios
from rolecall.engine_settings import synthesiser_settings, wording_settings
from rolecall.settings import CHECKOUT, load_settings

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ELEVENLABS_API_KEY", "COQUI_TOKEN", "WORDING_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_word_in_the_settings_nothing_is_spent_and_nobody_is_asked() -> None:
    speaking = synthesiser_settings(load_settings(), {})
    assert (speaking.coqui_url, speaking.elevenlabs_key, speaking.elevenlabs_daily_characters) == ("", "", 0)


def test_premium_voices_are_set_with_a_key_of_the_environment_and_a_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ELEVENLABS_API_KEY", SECRET)
    monkeypatch.setenv("ROLECALL_TEXT_TO_SPEECH__ELEVENLABS_DAILY_CHARACTERS", "20000")
    speaking = synthesiser_settings(load_settings(), {})
    assert (speaking.elevenlabs_key, speaking.elevenlabs_daily_characters) == (SECRET, 20_000)
    assert SECRET not in repr(speaking)


def test_a_server_for_the_words_is_set_with_its_address_and_may_want_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wording = wording_settings(load_settings())
    assert (wording.engine, wording.server_url, wording.server_key) == ("auto", "", "")
    monkeypatch.setenv("ROLECALL_WORDING__SERVER_URL", "https://openrouter.ai/api/v1/")
    monkeypatch.setenv("ROLECALL_WORDING__SERVER_MODEL", "meta-llama/llama-3.3-70b-instruct")
    monkeypatch.setenv("WORDING_API_KEY", SECRET)
    wording = wording_settings(load_settings())
    assert (wording.server_url, wording.server_key) == ("https://openrouter.ai/api/v1", SECRET)
    assert wording.server_model == "meta-llama/llama-3.3-70b-instruct"
    assert SECRET not in repr(wording)


def test_a_coqui_server_may_stand_anywhere_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COQUI_TOKEN", SECRET)
    monkeypatch.setenv("ROLECALL_TEXT_TO_SPEECH__COQUI_URL", "http://coqui:8020/")
    speaking = synthesiser_settings(load_settings(), {})
    assert (speaking.coqui_url, speaking.coqui_token) == ("http://coqui:8020", SECRET)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COQUI_URL", f"ftp://{SECRET}"),
        ("COQUI_URL", f"http://{SECRET}@coqui:8020"),
        ("COQUI_URL", f"http://coqui:8020/?{SECRET}"),
        ("COQUI_URL", "coqui"),
        ("ELEVENLABS_URL", f"http://{SECRET}.example.org"),
        ("ELEVENLABS_MODEL", f"../{SECRET}"),
        ("ELEVENLABS_FORMAT", SECRET),
        ("ELEVENLABS_DAILY_CHARACTERS", "-1"),
        ("ELEVENLABS_PRICE_PER_1000", "nan"),
    ],
)
def test_a_wrong_setting_of_an_engine_is_named_but_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ROLECALL_TEXT_TO_SPEECH__{name}", value)
    with pytest.raises(ConfigError, match=name) as failure:
        load_settings()
    assert SECRET not in str(failure.value)


def test_piper_needs_a_voice_of_each_persona_that_names_some() -> None:
    scenarios = load_scenarios(CHECKOUT / "scenarios")
    wanted = synthesiser_settings(load_settings(), scenarios).voices
    assert set(wanted) == {one.persona.voice.piper for one in scenarios.values()} - {()}
