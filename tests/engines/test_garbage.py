import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from agent.errors import EngineError
from agent.speech import Recognition, Speech, SpokenWord, Voice
from pipelines.engines.espeak import Espeak, open_espeak
from pipelines.engines.garbage import EngineGarbage, check_recognition, check_speech
from pipelines.engines.telephone import to_telephone
from tests.engines.fakes import hum

SECOND = 16_000


@pytest.fixture(scope="module")
def espeak() -> Iterator[Espeak]:
    with open_espeak() as engine:
        yield engine


@pytest.mark.parametrize(
    "recognition",
    [
        Recognition("", None),
        Recognition("Who do you order from today?", 0.93),
        Recognition("Wie heißt du? 你好 سلام می‌خواهم", np.float32(1.0), "de"),  # type: ignore[arg-type]
        Recognition("a line\nand another", 0.0),
    ],
)
def test_what_people_say_is_believed(recognition: Recognition) -> None:
    assert check_recognition(recognition, 2 * SECOND) is recognition


def test_as_many_words_as_an_auctioneer_says_are_believed_and_twice_as_many_are_not() -> None:
    said = Recognition("going " * 50, 0.5)
    assert check_recognition(said, 10 * SECOND) is said
    with pytest.raises(EngineGarbage, match="300 letters for 1.0 s"):
        check_recognition(said, SECOND)


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers())
)


@given(st.one_of(st.text(max_size=300), anything), anything, anything)
def test_whatever_is_understood_is_believed_or_refused(text: Any, confidence: Any, language: Any) -> None:
    try:
        believed = check_recognition(Recognition(text, confidence, language), SECOND)
    except EngineGarbage:
        return
    assert len(believed.text) <= 130 and believed.text.encode()
    assert "\0" not in believed.text and believed.language.encode() is not None
    assert believed.confidence is None or 0.0 <= believed.confidence <= 1.0


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from([80, 170, 450]))
def test_whatever_espeak_speaks_is_believed(espeak: Espeak, text: str, rate_wpm: int) -> None:
    speech = espeak.synthesise(text, Voice(rate_wpm=rate_wpm))
    try:
        assert check_speech(speech, text) is speech
    except EngineGarbage as error:
        # It cannot read every script: the next engine may.
        assert "is silent" in str(error) and not speech.samples.size  # noqa: PT017 only this is allowed


def test_text_without_words_need_not_sound() -> None:
    nothing = Speech(np.zeros(0, np.int16), 16_000, ())
    assert check_speech(nothing, " … — ") is nothing


times = st.integers(-10, 4_000)
odd_words = st.lists(st.builds(SpokenWord, st.one_of(st.text(), st.integers()), times, times), max_size=4)
odd_samples = st.one_of(
    arrays.arrays(
        st.sampled_from([np.int16, np.int32, np.float32, np.dtype(">i2"), np.bool_, np.complex64]),
        st.sampled_from([(), (0,), (1,), (900,), (16_000,), (2, 900)]),
        fill=st.sampled_from([0, 1]),
    ),
    anything,
)


@settings(deadline=None)
@given(odd_samples, st.one_of(st.sampled_from([0, -1, 8_000, 22_050]), anything), odd_words)
def test_whatever_is_spoken_is_refused_or_can_be_sent_to_a_telephone(
    samples: Any, rate_hz: Any, words: list[SpokenWord]
) -> None:
    text = "We order from Delmar."
    try:
        speech = to_telephone(check_speech(Speech(samples, rate_hz, tuple(words)), text))
    except EngineError:
        return
    assert speech.samples.dtype == np.int16 and speech.samples.ndim == 1
    assert 0.1 <= speech.samples.size / 8_000 <= 30
    assert all(0 <= word.start_ms <= word.end_ms for word in speech.words)


@pytest.mark.parametrize("answer", [None, b"", "speech", 3.0, math.nan, hum])
def test_what_is_no_answer_at_all_is_refused(answer: Any) -> None:
    with pytest.raises(EngineGarbage):
        check_speech(answer, "Hello.")
    with pytest.raises(EngineGarbage):
        check_recognition(answer, SECOND)


def test_words_whose_times_are_no_numbers_are_refused() -> None:
    words = (SpokenWord("Hello.", None, "soon"),)  # type: ignore[arg-type]
    speech = hum("Hello.")
    with pytest.raises(EngineGarbage, match="times"):
        check_speech(Speech(speech.samples, speech.rate_hz, words), "Hello.")


@pytest.mark.parametrize("words", [None, "Hello.", ("Hello.",), [None]])
def test_words_that_are_no_words_are_refused(words: Any) -> None:
    speech = hum("Hello.")
    with pytest.raises(EngineGarbage):
        check_speech(Speech(speech.samples, speech.rate_hz, words), "Hello.")
