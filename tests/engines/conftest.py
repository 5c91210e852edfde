"""Engines that take long to open, opened once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engines.espeak import Espeak, open_espeak
from tests.engines.tiny_voice import write_voice


@pytest.fixture(scope="session")
def espeak() -> Iterator[Espeak]:
    with open_espeak() as opened:
        yield opened


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two Piper voices: en_US-plain-tiny, and en_US-timed-tiny that reports durations."""
    folder = tmp_path_factory.mktemp("voices")
    write_voice(folder, "en_US-plain-tiny", timed=False)
    write_voice(folder, "en_US-timed-tiny", timed=True)
    return folder
