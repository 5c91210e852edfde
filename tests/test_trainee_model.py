"""The recogniser of simulated trainees, loaded by faster-whisper as in a call."""

import re
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel  # type: ignore[import-untyped]
from numpy.typing import NDArray

from agent.speech import RECOGNISER_RATE_HZ, Voice
from audio import ulaw
from audio.resample import Upsampler
from pipelines.engines.espeak import open_espeak
from pipelines.engines.telephone import TELEPHONE_RATE_HZ, to_telephone

MODEL = Path(__file__).parents[1] / "models" / "trainee-tiny"
TRAINEE = Voice(espeak="en-us", rate_wpm=165, pitch=45)

Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    return WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


def over_the_telephone(samples: NDArray[np.int16]) -> Samples:
    up = Upsampler().process(ulaw.decode(ulaw.encode(samples)))
    return np.asarray(up / 32_768, np.float32)


def spoken(text: str) -> Samples:
    pre_roll = np.zeros(TELEPHONE_RATE_HZ * 3 // 10, np.int16)
    with open_espeak() as espeak:
        speech = to_telephone(espeak.synthesise(text, TRAINEE))
    return over_the_telephone(np.concatenate([pre_roll, speech.samples, pre_roll]))


def heard(model: WhisperModel, samples: Samples) -> str:
    segments, _ = model.transcribe(
        samples,
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
        max_new_tokens=60,
    )
    return normalised(" ".join(segment.text for segment in segments))


def normalised(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


@pytest.mark.parametrize(
    "line",
    [
        "Hi Dana, my name is Alex and I am calling from Northwind Supply.",
        "That makes sense. Who do you order from today?",
        "Could we meet for fifteen minutes on Tuesday at ten?",
    ],
)
def test_a_line_of_the_scenario_is_understood_word_for_word(model: WhisperModel, line: str) -> None:
    assert heard(model, spoken(line)) == normalised(line)


def test_a_sentence_that_no_scenario_contains_is_listened_to_and_not_guessed(model: WhisperModel) -> None:
    line = "Could we meet for twenty minutes on Friday at noon?"
    assert heard(model, spoken(line)) == normalised(line)


def test_nobody_is_heard_in_digital_silence(model: WhisperModel) -> None:
    assert heard(model, np.zeros(RECOGNISER_RATE_HZ * 2, np.float32)) == ""


def test_nobody_is_heard_in_noise(model: WhisperModel) -> None:
    noise = np.random.default_rng(1).normal(0, 600, TELEPHONE_RATE_HZ * 3).astype(np.int16)
    assert heard(model, over_the_telephone(noise)) == ""


def test_the_model_is_small_enough_for_the_repository() -> None:
    assert sum(file.stat().st_size for file in MODEL.iterdir()) < 3_500_000
