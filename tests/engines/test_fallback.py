from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.errors import EngineFailed
from agent.speech import Recognition, Speech, Voice
from pipelines.engines.fallback import FallbackRecogniser, FallbackSynthesiser

SOUND = np.zeros(160, np.float32)


class FakeRecogniser:
    """Understands its own name, `works` times; then it breaks."""

    model = ""

    def __init__(self, engine: str, works: int) -> None:
        self.engine = engine
        self.left = works
        self.asked = 0

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        self.asked += 1
        if self.left == 0:
            raise EngineFailed(f"{self.engine} broke")
        self.left -= 1
        return Recognition(self.engine, 1.0)


class FakeSynthesiser:
    engine = "mute"
    model = ""

    def synthesise(self, text: str, voice: Voice) -> Speech:
        raise EngineFailed("no sound")


class Reports:
    """Collects what a fallback reports."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def __call__(self, broken: str, code: str, taking_over: str) -> None:
        self.lines.append((broken, code, taking_over))


def test_the_same_work_goes_to_the_next_engine_and_stays_there() -> None:
    whisper, sphinx, reports = FakeRecogniser("whisper", 1), FakeRecogniser("sphinx", 9), Reports()
    recogniser = FallbackRecogniser([whisper, sphinx], reports)
    assert [recogniser.recognise(SOUND).text for _ in range(4)] == ["whisper", "sphinx", "sphinx", "sphinx"]
    assert whisper.asked == 2
    assert reports.lines == [("whisper", "engine_failed", "sphinx")]
    assert recogniser.engine == "sphinx"


def test_the_last_engine_is_asked_again_and_its_failure_is_not_hidden() -> None:
    whisper, sphinx, reports = FakeRecogniser("whisper", 0), FakeRecogniser("sphinx", 0), Reports()
    recogniser = FallbackRecogniser([whisper, sphinx], reports)
    for _ in range(2):
        with pytest.raises(EngineFailed, match="sphinx broke"):
            recogniser.recognise(SOUND)
    assert (whisper.asked, sphinx.asked) == (1, 2)
    assert reports.lines == [
        ("whisper", "engine_failed", "sphinx"),
        ("sphinx", "engine_failed", ""),
        ("sphinx", "engine_failed", ""),
    ]


def test_an_engine_that_takes_too_long_can_be_given_up() -> None:
    reports = Reports()
    recogniser = FallbackRecogniser([FakeRecogniser("whisper", 9), FakeRecogniser("sphinx", 9)], reports)
    assert recogniser.give_up("engine_late")
    assert recogniser.recognise(SOUND).text == "sphinx"
    assert not recogniser.give_up("engine_late")
    assert reports.lines == [("whisper", "engine_late", "sphinx"), ("sphinx", "engine_late", "")]


def test_an_engine_that_breaks_in_many_threads_at_once_is_reported_once() -> None:
    together = Barrier(4)

    class Breaking(FakeRecogniser):
        def recognise(self, audio: NDArray[np.float32]) -> Recognition:
            together.wait()
            return super().recognise(audio)

    reports = Reports()
    recogniser = FallbackRecogniser([Breaking("whisper", 0), FakeRecogniser("sphinx", 9)], reports)
    with ThreadPoolExecutor(4) as threads:
        heard = [threads.submit(recogniser.recognise, SOUND) for _ in range(4)]
    assert {one.result().text for one in heard} == {"sphinx"}
    assert reports.lines == [("whisper", "engine_failed", "sphinx")]


def test_a_lone_engine_reports_that_nobody_takes_over() -> None:
    reports = Reports()
    with pytest.raises(EngineFailed, match="no sound"):
        FallbackSynthesiser([FakeSynthesiser()], reports).synthesise("Hello.", Voice())
    assert reports.lines == [("mute", "engine_failed", "")]
