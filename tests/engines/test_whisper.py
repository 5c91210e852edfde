import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.errors import EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recognition
from pipelines.engines.espeak import Espeak
from pipelines.engines.pronunciation import spoken_words
from pipelines.engines.whisper import Whisper, WhisperOptions, understood
from pipelines.engines.whisper_models import TRAINEE_MODEL
from tests.engines.lines import COLD_CALL, MODELS, over_the_telephone

LINES = [line.say for line in COLD_CALL.simulation.lines]


@dataclass
class Segment:
    text: str
    avg_logprob: float = -0.1
    no_speech_prob: float = 0.0
    compression_ratio: float = 1.0
    tokens: list[int] = field(default_factory=lambda: [1, 2, 3])


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    return Whisper(MODELS / TRAINEE_MODEL, TRAINEE_MODEL, WhisperOptions(device="cpu", parallel=2))


def trainee_says(espeak: Espeak, text: str) -> NDArray[np.float32]:
    return over_the_telephone(espeak.synthesise(text, COLD_CALL.simulation.voice))


def test_the_simulated_trainee_is_understood_word_for_word(whisper: Whisper, espeak: Espeak) -> None:
    heard = [whisper.recognise(trainee_says(espeak, line)) for line in LINES]
    assert [spoken_words(one.text) for one in heard] == [spoken_words(line) for line in LINES]
    assert all(one.confidence is not None and 0.5 < one.confidence <= 1 for one in heard)


def test_any_call_is_served_by_the_one_model(whisper: Whisper) -> None:
    assert whisper.for_call(COLD_CALL.version, LINES) is whisper


def test_threads_share_the_model(whisper: Whisper, espeak: Espeak) -> None:
    sounds = [trainee_says(espeak, line) for line in LINES[:4]]
    alone = [whisper.recognise(sound).text for sound in sounds]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda sound: whisper.recognise(sound).text, sounds * 2))
    assert together == alone * 2


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0, np.float32),
        np.zeros(RECOGNISER_RATE_HZ, np.float32),
        np.ones(100, np.float32),
        np.full(RECOGNISER_RATE_HZ, np.nan, np.float32),
        np.full(RECOGNISER_RATE_HZ, np.inf, np.float32),
    ],
)
def test_what_is_no_speech_has_no_words(whisper: Whisper, sound: NDArray[np.float32]) -> None:
    assert whisper.recognise(sound) == Recognition("", None)


def test_speech_after_the_first_thirty_seconds_is_transcribed_too(whisper: Whisper, espeak: Espeak) -> None:
    line = trainee_says(espeak, LINES[5])
    first_window = np.zeros(30 * RECOGNISER_RATE_HZ, np.float32)
    first_window[: line.size] = line
    heard = whisper.recognise(np.concatenate([first_window, line]))
    assert spoken_words(heard.text) == 2 * spoken_words(LINES[5])


def test_segments_are_joined_and_confidence_is_the_mean_probability_of_a_token() -> None:
    segments = [Segment(" That makes  sense.", -0.1, tokens=[1]), Segment(" Bye now.", -0.4, tokens=[1, 2])]
    heard = understood(segments)
    assert heard.text == "That makes sense. Bye now."
    assert heard.confidence == pytest.approx(np.exp(-0.3))


@pytest.mark.parametrize(
    "segment",
    [
        Segment(" Thank you for watching!"),
        Segment(" Thanks for watching."),
        Segment(" Subtitles by the Amara.org community"),
        Segment(" ♪ Music ♪"),
        Segment(" [BLANK_AUDIO]"),
        Segment(" Thank you.", no_speech_prob=0.4),
        Segment(" you", no_speech_prob=0.5),
        Segment(" I am going to", avg_logprob=-1.2, no_speech_prob=0.7),
        Segment(" no no no no no no no no", compression_ratio=2.8),
        Segment(" ..."),
        Segment(""),
    ],
)
def test_a_phantom_is_not_taken_for_speech(segment: Segment) -> None:
    assert understood([segment]) == Recognition("", None)


@pytest.mark.parametrize(
    "segment",
    [
        Segment(" Thank you.", no_speech_prob=0.1),
        Segment(" Bye.", no_speech_prob=0.02),
        Segment(" Thank you for watching the store while I was out."),
        Segment(" Do you have a minute?", avg_logprob=-1.4, no_speech_prob=0.2),
        Segment(" Do you have a minute?", avg_logprob=-0.3, no_speech_prob=0.8),
    ],
)
def test_real_speech_is_not_taken_for_a_phantom(segment: Segment) -> None:
    assert understood([segment]).text == segment.text.strip()


def test_a_phantom_beside_speech_is_cut_out() -> None:
    assert understood([Segment(" Who is this?"), Segment(" Thanks for watching!")]).text == "Who is this?"


@pytest.mark.parametrize("broken", ["model.bin", "tokenizer.json"])
def test_a_broken_model_is_unavailable_and_named(tmp_path: Path, broken: str) -> None:
    folder = shutil.copytree(MODELS / TRAINEE_MODEL, tmp_path / "broken")
    (folder / broken).write_bytes(b"not what it should be" * 10)
    with pytest.raises(EngineUnavailable, match=str(folder)):
        Whisper(folder, "broken", WhisperOptions(device="cpu"))


def test_a_model_without_a_tokenizer_does_not_go_looking_for_one(tmp_path: Path) -> None:
    folder = shutil.copytree(MODELS / TRAINEE_MODEL, tmp_path / "half")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EngineUnavailable, match="tokenizer"):
        Whisper(folder, "half", WhisperOptions(device="cpu"))
