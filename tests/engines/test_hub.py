from pathlib import Path

import pytest
from huggingface_hub import constants

from agent.errors import EngineUnavailable
from pipelines.engines import hub
from pipelines.engines.piper_voices import fetch_voice, voices_on_disk
from tests.engines.local_hub import address_of_no_hub, open_hub, open_silent_hub

VOICE = "rhasspy/piper-voices/en/en_GB/alba/medium/en_GB-alba-medium.onnx"


def at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def test_a_hub_that_answers_is_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_hub({}) as address:
        at(monkeypatch, address)
        assert hub.why_unreachable() == ""


def test_why_a_hub_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, address_of_no_hub())
    assert "refused" in hub.why_unreachable()
    with open_silent_hub() as address:
        at(monkeypatch, address)
        assert "cannot be reached" in hub.why_unreachable()
    at(monkeypatch, "http://hub.invalid")
    assert "hub.invalid cannot be reached" in hub.why_unreachable()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.why_unreachable() == "HF_HUB_OFFLINE forbids downloads"


def test_a_voice_is_fetched_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open_hub({VOICE: b"sound" * 100, f"{VOICE}.json": b"{}"}) as address:
        at(monkeypatch, address)
        fetch_voice(tmp_path / "voices", "en_GB-alba-medium")
    assert voices_on_disk(tmp_path / "voices") == ["en_GB-alba-medium"]
    assert (tmp_path / "voices" / "en_GB-alba-medium.onnx").read_bytes() == b"sound" * 100


def test_a_download_that_breaks_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open_hub({VOICE: b"sound" * 100, f"{VOICE}.json": b"{}"}, broken_off=True) as address:
        at(monkeypatch, address)
        with pytest.raises(EngineUnavailable, match=r"broke off at 1 of 2 bytes"):
            fetch_voice(tmp_path, "en_GB-alba-medium")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_hub_does_not_have_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open_hub({}) as address:
        at(monkeypatch, address)
        with pytest.raises(EngineUnavailable, match=r"en_GB-alba-medium.onnx.json .* 404"):
            fetch_voice(tmp_path, "en_GB-alba-medium")


@pytest.mark.parametrize("name", ["alba", "../en_GB-alba-medium", "en_GB-alba/../x-medium"])
def test_a_name_that_no_voice_on_the_hub_can_have_is_not_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(EngineUnavailable, match="not the name of a Piper voice"):
        fetch_voice(tmp_path, name)


def test_of_a_repository_only_what_is_wanted_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ("config.json", "vocabulary.txt", "README.md", "vocabulary.x/../../evil", "onnx/config.json")
    with open_hub({f"owner/tiny/{name}": name.encode() for name in names}) as address:
        at(monkeypatch, address)
        hub.fetch_repository("owner/tiny", ["config.json", "vocabulary.*"], tmp_path / "models" / "tiny")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"models/tiny/config.json", "models/tiny/vocabulary.txt"}


def test_a_repository_that_breaks_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open_hub({"owner/tiny/config.json": b"{ }"}, broken_off=True) as address:
        at(monkeypatch, address)
        with pytest.raises(EngineUnavailable, match="owner/tiny"):
            hub.fetch_repository("owner/tiny", ["config.json"], tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []
