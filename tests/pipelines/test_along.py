"""A service that listens along gives the words of a turn, as long as it is there."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace

import pytest
from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TextFrame, TranscriptionFrame
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService

from agent.speech import Recognition
from pipelines.along import ServiceWords, joined


class Service(STTService):
    """A service that a test speaks for."""

    def __init__(self, *, usable: bool = True) -> None:
        super().__init__(settings=STTSettings(model=None, language=None))
        self._there = usable

    @property
    def is_usable(self) -> bool:
        return self._there

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None


def final(text: str, confidence: float) -> TranscriptionFrame:
    channel = SimpleNamespace(alternatives=[SimpleNamespace(confidence=confidence)])
    return TranscriptionFrame(text, "", "", result=SimpleNamespace(channel=channel))


async def test_a_turn_is_all_that_was_said_since_it_began() -> None:
    words = ServiceWords(Service())
    words.take(final("Before.", 0.5))
    words.begin()
    words.take(final("Who do you", 0.9))
    words.pause()
    words.take(final("order from?", 0.4))
    said = await words.words()
    assert said.text == "Who do you order from?"
    assert said.confidence == pytest.approx((3 * 0.9 + 2 * 0.4) / 5)


async def test_a_final_text_is_waited_for_from_the_pause_on() -> None:
    words = ServiceWords(Service())
    words.begin()
    words.pause()
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(words.words())
        await asyncio.sleep(0)
        words.take(final("Hello.", 0.8))
    assert asked.result().text == "Hello."


async def test_without_a_final_text_the_interim_one_counts() -> None:
    words = ServiceWords(Service())
    words.begin()
    words.pause()
    words.take(InterimTranscriptionFrame("Hello th", "", ""))
    assert (await words.words()).text == "Hello th"


async def test_a_service_that_is_gone_is_not_waited_for() -> None:
    words = ServiceWords(Service(usable=False))
    words.begin()
    words.pause()
    async with asyncio.timeout(0.1):
        assert await words.words() == Recognition("", None)


def test_other_frames_are_none_of_its_words() -> None:
    assert not ServiceWords(Service()).take(TextFrame("Hello."))


def test_pieces_without_words_do_not_count() -> None:
    assert joined([Recognition("", None), Recognition("Hi.", None, "en")]) == Recognition("Hi.", None, "en")
    assert joined([]) == Recognition("", None)
