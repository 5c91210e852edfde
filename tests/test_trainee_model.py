"""The recogniser of simulated trainees, loaded by faster-whisper as in a call."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel  # type: ignore[import-untyped]
from numpy.typing import NDArray

from agent.speech import RECOGNISER_RATE_HZ, Voice
from audio import ulaw
from audio.resample import Upsampler
from pipelines.engines.espeak import Espeak, open_espeak
from pipelines.engines.telephone import TELEPHONE_RATE_HZ, to_telephone
from tests.agent.scenarios import COLD_CALL
from training.sentences import Sentences, normalise
from training.sounds import NOT_SPEECH, noise_of
from training.voices import UNHEARD

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "trainee-tiny"
TRAINEE = Voice(espeak=("en-us",), rate_wpm=165, pitch=45)

BACKCHANNELS = (
    "Uh-huh.",
    "Mm-hmm.",
    "Yeah.",
    "Okay.",
    "Right.",
    "I see.",
    "Got it.",
    "No.",
    "Wait.",
    "Stop.",
)

Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    return WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


@pytest.fixture(scope="module")
def espeak() -> Iterator[Espeak]:
    with open_espeak() as opened:
        yield opened


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Sentences:
    """Those of the scenario that the model was trained on."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / COLD_CALL.name).write_text(COLD_CALL.read_text())
    return Sentences(folder)


def over_the_telephone(samples: NDArray[np.int16]) -> Samples:
    up = Upsampler().process(ulaw.decode(ulaw.encode(samples)))
    return np.asarray(up / 32_768, np.float32)


def spoken(espeak: Espeak, text: str, voice: Voice = TRAINEE) -> Samples:
    pre_roll = np.zeros(TELEPHONE_RATE_HZ * 3 // 10, np.int16)
    speech = to_telephone(espeak.synthesise(text, voice))
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
    return normalise(" ".join(segment.text for segment in segments))


def wrong_words(wanted: str, got: str) -> int:
    """Levenshtein's distance in words."""
    last = list(range(len(got.split()) + 1))
    for row, word in enumerate(wanted.split(), 1):
        line = [row]
        for column, other in enumerate(got.split(), 1):
            line.append(min(line[-1] + 1, last[column] + 1, last[column - 1] + (word != other)))
        last = line
    return last[-1]


@pytest.mark.parametrize("number", [0, 1, 3, 8, 9])
def test_a_line_of_the_scenario_is_understood_word_for_word(
    model: WhisperModel, espeak: Espeak, sentences: Sentences, number: int
) -> None:
    line = sentences.expected[number]
    assert heard(model, spoken(espeak, line)) == normalise(line)


def test_a_sentence_that_no_scenario_contains_is_listened_to_and_not_guessed(
    model: WhisperModel, espeak: Espeak
) -> None:
    line = "Could we meet for twenty minutes on Friday at noon?"
    assert heard(model, spoken(espeak, line)) == normalise(line)


def test_sentences_held_out_are_understood_in_voices_held_out(
    model: WhisperModel, espeak: Espeak, sentences: Sentences
) -> None:
    wrong = words = 0
    for line, name in zip(sentences.held_out(len(UNHEARD), seed=4), UNHEARD, strict=True):
        voice = Voice(espeak=(name,), rate_wpm=165, pitch=45)
        wrong += wrong_words(normalise(line), heard(model, spoken(espeak, line, voice)))
        words += len(line.split())
    assert wrong <= 0.1 * words


@pytest.mark.parametrize("said", BACKCHANNELS)
def test_a_backchannel_alone_is_heard(model: WhisperModel, espeak: Espeak, said: str) -> None:
    assert heard(model, spoken(espeak, said)) == normalise(said)


@pytest.mark.parametrize("begun", ["I was wondering if the", "Could we meet for", "Is your husband"])
def test_what_is_broken_off_is_not_completed(model: WhisperModel, espeak: Espeak, begun: str) -> None:
    assert heard(model, spoken(espeak, begun)) == normalise(begun)


def test_nobody_is_heard_in_digital_silence(model: WhisperModel) -> None:
    assert heard(model, np.zeros(RECOGNISER_RATE_HZ * 2, np.float32)) == ""


@pytest.mark.parametrize("kind", NOT_SPEECH)
def test_nobody_is_heard_in_sounds_that_are_not_speech(model: WhisperModel, kind: str) -> None:
    noise = noise_of(kind, TELEPHONE_RATE_HZ * 3, np.random.default_rng(1))
    loudest = 12_000 * noise / np.abs(noise).max()
    assert heard(model, over_the_telephone(loudest.astype(np.int16))) == ""


def test_the_model_is_small_enough_for_the_repository() -> None:
    assert sum(file.stat().st_size for file in MODEL.iterdir()) < 10_000_000
