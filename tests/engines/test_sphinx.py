from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.errors import EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Voice
from pipelines.engines.espeak import Espeak
from pipelines.engines.sphinx import SphinxRecognisers, open_sphinx
from tests.engines.lines import COLD_CALL, over_the_telephone

LINES = COLD_CALL.expected_lines()
TRAINEE = Voice(espeak=("en-us+f2",), rate_wpm=165)
UNEXPECTED = (
    "I would like to order a large pizza with mushrooms.",
    "My printer is broken and I cannot print anything.",
    "Did you watch the football game last night?",
)


@pytest.fixture(scope="module")
def sphinx() -> Iterator[SphinxRecognisers]:
    with open_sphinx() as opened:
        yield opened


@pytest.fixture
def recogniser(sphinx: SphinxRecognisers) -> Recogniser:
    return sphinx.for_call(COLD_CALL.version, LINES)


@pytest.fixture(scope="module")
def line(espeak: Espeak) -> NDArray[np.float32]:
    return over_the_telephone(espeak.synthesise(LINES[0], TRAINEE))


def test_expected_lines_are_understood_over_the_telephone(recogniser: Recogniser, espeak: Espeak) -> None:
    spoken = LINES[::2]
    heard = [recogniser.recognise(over_the_telephone(espeak.synthesise(text, TRAINEE))) for text in spoken]
    right = [one.text == text for one, text in zip(heard, spoken, strict=True)]
    assert sum(right) / len(right) >= 0.7
    wrong_lines = [
        one.text for one, is_right in zip(heard, right, strict=True) if not is_right and one.text in LINES
    ]
    assert len(wrong_lines) <= 1
    assert all(one.confidence is None or 0 <= one.confidence <= 1 for one in heard)


def test_a_paraphrase_is_taken_for_the_line_that_is_meant(recogniser: Recogniser, espeak: Espeak) -> None:
    said = espeak.synthesise("How many orders do you make each month?", TRAINEE)
    assert recogniser.recognise(over_the_telephone(said)).text == "How many orders do you place every month?"


def test_something_else_is_not_taken_for_a_line_and_little_trusted(
    recogniser: Recogniser, espeak: Espeak
) -> None:
    for text in UNEXPECTED:
        heard = recogniser.recognise(over_the_telephone(espeak.synthesise(text, TRAINEE)))
        assert heard.text not in LINES
        assert heard.confidence is None or heard.confidence < 0.6


def test_a_quiet_line_is_understood_like_a_loud_one(
    recogniser: Recogniser, line: NDArray[np.float32]
) -> None:
    assert [recogniser.recognise(line * gain).text for gain in (0.05, 1.0)] == [LINES[0]] * 2


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0, np.float32),
        np.zeros(RECOGNISER_RATE_HZ, np.float32),
        np.full(RECOGNISER_RATE_HZ, 1e-4, np.float32),
        np.ones(100, np.float32),
        np.full(RECOGNISER_RATE_HZ, np.nan, np.float32),
        np.full(RECOGNISER_RATE_HZ, np.inf, np.float32),
        np.full(RECOGNISER_RATE_HZ, 0.5, np.float32),
    ],
)
def test_what_is_no_speech_has_no_words(recogniser: Recogniser, sound: NDArray[np.float32]) -> None:
    assert recogniser.recognise(sound).text == ""


def test_noise_before_a_line_does_not_spoil_it(recogniser: Recogniser, line: NDArray[np.float32]) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 4 * RECOGNISER_RATE_HZ).astype(np.float32)
    recogniser.recognise(noise)
    assert recogniser.recognise(line).text == LINES[0]


def test_calls_of_one_scenario_decode_at_once(sphinx: SphinxRecognisers, line: NDArray[np.float32]) -> None:
    calls = [sphinx.for_call(COLD_CALL.version, LINES) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        heard = list(threads.map(lambda call: call.recognise(line).text, calls * 2))
    assert heard == [LINES[0]] * 8


def test_a_version_is_compiled_once_and_an_edited_scenario_anew(espeak: Espeak, tmp_path: Path) -> None:
    recognisers = SphinxRecognisers(espeak, tmp_path)
    for version in ("sha256:1", "sha256:2", "sha256:1"):
        recognisers.for_call(version, ["Good morning."])
    assert len(list(tmp_path.glob("*.lm"))) == 2


def test_words_outside_of_english_spelling_can_be_expected(sphinx: SphinxRecognisers, espeak: Espeak) -> None:
    recogniser = sphinx.for_call("sha256:cafe", ["Meet me at the café Zürich.", "Good morning."])
    said = espeak.synthesise("Meet me at the café Zürich.", TRAINEE)
    assert recogniser.recognise(over_the_telephone(said)).text == "Meet me at the café Zürich."


@pytest.mark.parametrize("lines", [[], ["", "..."]])
def test_a_scenario_that_expects_nothing_cannot_be_understood(
    sphinx: SphinxRecognisers, lines: list[str]
) -> None:
    with pytest.raises(EngineUnavailable, match="expected to say"):
        sphinx.for_call("sha256:empty", lines)


@pytest.mark.parametrize("languages", [("es",), ("en", "es")])
def test_it_says_no_to_other_languages_than_english(
    sphinx: SphinxRecognisers, languages: tuple[str, ...]
) -> None:
    with pytest.raises(EngineUnavailable, match="English only.*es"):
        sphinx.for_call(COLD_CALL.version, LINES, languages)
