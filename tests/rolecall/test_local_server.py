"""The server that demo and simulation start for themselves."""

from pathlib import Path

import pytest

from agent.errors import RolecallError
from rolecall.local_server import open_local_server
from tests.phone import settings_for


async def test_a_server_that_cannot_start_says_why_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(
        tmp_path / "home",
        models={"folder": tmp_path / "nothing", "allow_download": False},
        speech_to_text={"engine": "sphinx", "model": ""},
        text_to_speech={"engine": "piper"},
    )
    with pytest.raises(RolecallError) as failure:
        async with open_local_server(settings):
            raise AssertionError("it started")
    assert "Piper voice" in failure.value.message and failure.value.hint
    assert capfd.readouterr() == ("", "")
