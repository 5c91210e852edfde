import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.errors import EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Recognition
from pipelines.engines.espeak import Espeak
from pipelines.engines.pronunciation import spoken_words
from pipelines.engines.whisper import Shape, Whisper, WhisperOptions, pieces, without_long_pauses
from pipelines.engines.whisper_models import TRAINEE_MODEL
from tests.engines.lines import COLD_CALL, MODELS, TWO_TONGUES, over_the_telephone

LINES = [line.say for line in COLD_CALL.simulation.lines]
SECONDS_3 = np.arange(3 * RECOGNISER_RATE_HZ) / RECOGNISER_RATE_HZ


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    return Whisper(MODELS / TRAINEE_MODEL, TRAINEE_MODEL, WhisperOptions(device="cpu", parallel=2))


@pytest.fixture(scope="module")
def recogniser(whisper: Whisper) -> Recogniser:
    return whisper.for_call(COLD_CALL.version, LINES)


def trainee_says(espeak: Espeak, text: str) -> NDArray[np.float32]:
    return over_the_telephone(espeak.synthesise(text, COLD_CALL.simulation.voice))


def test_the_simulated_trainee_is_understood_word_for_word(recogniser: Recogniser, espeak: Espeak) -> None:
    heard = [recogniser.recognise(trainee_says(espeak, line)) for line in LINES]
    assert [spoken_words(one.text) for one in heard] == [spoken_words(line) for line in LINES]
    assert all(one.confidence is not None and 0.5 < one.confidence <= 1 for one in heard)
    assert {one.language for one in heard} == {"en"}


def test_what_the_encoder_is_not_shown_is_not_missed(whisper: Whisper, espeak: Espeak) -> None:
    """The model's folder says that a second behind an utterance is enough."""
    own = WhisperOptions(device="cpu", padding_s=30)
    whole_window = Whisper(MODELS / TRAINEE_MODEL, TRAINEE_MODEL, own)
    sounds = [trainee_says(espeak, line) for line in LINES[::2]]
    short, long = (
        [model.for_call("", []).recognise(sound).text for sound in sounds]
        for model in (whisper, whole_window)
    )
    assert short == long


def test_threads_share_the_model(whisper: Whisper, espeak: Espeak) -> None:
    sounds = [trainee_says(espeak, line) for line in LINES[:4]]
    alone = [whisper.for_call("", []).recognise(sound).text for sound in sounds]
    calls = [whisper.for_call("", []) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda call, sound: call.recognise(sound).text, calls * 2, sounds * 2))
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
def test_what_is_no_sound_has_no_words(recogniser: Recogniser, sound: NDArray[np.float32]) -> None:
    assert recogniser.recognise(sound) == Recognition("", None)


def tones(*frequencies_hz: float) -> NDArray[np.float32]:
    waves = [np.sin(2 * np.pi * hz * SECONDS_3) for hz in frequencies_hz]
    return (0.2 * sum(waves) / len(waves)).astype(np.float32)


def noise(level: float) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, level, SECONDS_3.size).astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [
        lambda: noise(0.003),
        lambda: noise(0.05),
        lambda: np.cumsum(noise(0.002)).astype(np.float32) * np.float32(0.1),
        lambda: tones(50, 150),
        lambda: tones(440, 480),
        lambda: np.where(SECONDS_3 % 0.2 < 0.1, tones(770, 1336), 0).astype(np.float32),
    ],
    ids=["line noise", "loud noise", "rumble", "hum", "ringing", "DTMF"],
)
def test_nobody_is_heard_where_nobody_speaks(
    recogniser: Recogniser, sound: Callable[[], NDArray[np.float32]]
) -> None:
    assert recogniser.recognise(sound()) == Recognition("", None)


@pytest.mark.parametrize("length_ms", [100, 300, 590, 600, 605, 1000, 1590])
def test_noise_of_any_length_stays_without_words(recogniser: Recogniser, length_ms: int) -> None:
    """At about 600 ms the encoder is shown as many positions as there are mel bands."""
    assert recogniser.recognise(noise(0.02)[: 16 * length_ms]) == Recognition("", None)


def test_the_beginning_and_the_end_of_a_long_turn_are_understood(
    recogniser: Recogniser, espeak: Espeak
) -> None:
    line = trainee_says(espeak, LINES[5])
    pause = np.zeros(9 * RECOGNISER_RATE_HZ, np.float32)
    heard = recogniser.recognise(np.concatenate([line, pause, line, pause, line]))
    assert spoken_words(heard.text) == 3 * spoken_words(LINES[5])


def test_a_long_pause_is_shortened_and_speech_is_not_touched() -> None:
    speech = np.random.default_rng(1).normal(0, 0.1, 2 * RECOGNISER_RATE_HZ).astype(np.float32)
    hiss = np.random.default_rng(2).normal(0, 0.0005, 9 * RECOGNISER_RATE_HZ).astype(np.float32)
    shortened = without_long_pauses(np.concatenate([speech, hiss, speech]))
    assert shortened.size == 5.2 * RECOGNISER_RATE_HZ
    assert np.array_equal(shortened[: speech.size], speech)
    assert np.array_equal(shortened[-speech.size :], speech)


@given(seconds=st.floats(0.0, 20.0), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_sound_without_pauses_stays_as_it_is(seconds: float, seed: int) -> None:
    audio = np.random.default_rng(seed).normal(0, 0.1, int(seconds * RECOGNISER_RATE_HZ)).astype(np.float32)
    assert np.array_equal(without_long_pauses(audio), audio)


@given(seconds=st.floats(0.0, 40.0), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_pieces_are_short_enough_and_nothing_is_lost_between_them(seconds: float, seed: int) -> None:
    audio = np.random.default_rng(seed).normal(0, 0.1, int(seconds * RECOGNISER_RATE_HZ)).astype(np.float32)
    longest = 11 * RECOGNISER_RATE_HZ
    cut = list(pieces(audio, longest))
    assert np.array_equal(np.concatenate(cut), audio)
    assert all(piece.size <= longest for piece in cut)
    assert all(piece.size > longest / 2 for piece in cut[:-1])


def test_a_long_turn_is_cut_where_it_is_quiet() -> None:
    audio = np.full(20 * RECOGNISER_RATE_HZ, 0.1, np.float32)
    audio[9 * RECOGNISER_RATE_HZ : 9 * RECOGNISER_RATE_HZ + 4_800] = 0.001
    first, _ = pieces(audio, 11 * RECOGNISER_RATE_HZ)
    assert 9 * RECOGNISER_RATE_HZ < first.size < 9 * RECOGNISER_RATE_HZ + 4_800


def test_the_encoder_is_shown_the_utterance_and_its_padding() -> None:
    shape = Shape(window=1500, padding=100, longest=1100)
    assert [shape.frames(n, mel_bands=80) for n in (10, 301, 1100, 1450)] == [110, 402, 1200, 1500]
    assert Shape(window=3000, padding=None, longest=3000).frames(10, mel_bands=80) == 3000


def test_an_encoding_is_never_as_long_as_there_are_mel_bands() -> None:
    shape = Shape(window=3000, padding=100, longest=3000)
    for bands in (80, 128):
        assert bands not in {shape.frames(n, bands) // 2 for n in range(1, 3001)}


def test_an_english_model_says_no_to_other_languages(whisper: Whisper) -> None:
    with pytest.raises(EngineUnavailable, match="English only, not 'es'.*multilingual"):
        whisper.for_call(COLD_CALL.version, LINES, ("en", "es"))


@pytest.mark.parametrize("broken", ["model.bin", "tokenizer.json", "preprocessor_config.json"])
def test_a_broken_model_is_unavailable_and_named(tmp_path: Path, broken: str) -> None:
    folder = shutil.copytree(MODELS / TRAINEE_MODEL, tmp_path / "broken")
    (folder / broken).write_bytes(b"not what it should be" * 10)
    with pytest.raises(EngineUnavailable, match=str(folder)):
        Whisper(folder, "broken", WhisperOptions(device="cpu"))


@pytest.mark.parametrize(
    "own", [{"padding_s": -1}, {"padding_s": "much"}, {"longest_s": 0.2}, {"longest_s": 99}]
)
def test_a_model_that_says_impossible_things_of_itself_is_unavailable(
    tmp_path: Path, own: dict[str, object]
) -> None:
    folder = shutil.copytree(MODELS / TRAINEE_MODEL, tmp_path / "odd")
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(config | {"rolecall": own}))
    with pytest.raises(EngineUnavailable, match=str(folder)):
        Whisper(folder, "odd", WhisperOptions(device="cpu"))


def test_a_model_without_a_tokenizer_does_not_go_looking_for_one(tmp_path: Path) -> None:
    folder = shutil.copytree(MODELS / TRAINEE_MODEL, tmp_path / "half")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EngineUnavailable, match="tokenizer"):
        Whisper(folder, "half", WhisperOptions(device="cpu"))


@pytest.fixture(scope="module")
def two_tongues() -> Whisper:
    return Whisper(TWO_TONGUES, "two-tongues", WhisperOptions(device="cpu"))


def in_english(seconds: float = 2.0, seed: int = 0) -> NDArray[np.float32]:
    return _pulses(350, seconds, seed)


def in_spanish(seconds: float = 2.0, seed: int = 0) -> NDArray[np.float32]:
    return _pulses(1100, seconds, seed)


def _pulses(hz: float, seconds: float, seed: int) -> NDArray[np.float32]:
    at_s = np.arange(int(seconds * RECOGNISER_RATE_HZ)) / RECOGNISER_RATE_HZ
    tone = 0.2 * np.sin(2 * np.pi * hz * at_s) * (np.sin(2 * np.pi * 3 * at_s) > -0.3)
    return (tone + np.random.default_rng(seed).normal(0, 0.003, at_s.size)).astype(np.float32)


def understood_by(call: Recogniser, *sounds: NDArray[np.float32]) -> list[tuple[str, str]]:
    heard = [call.recognise(sound) for sound in sounds]
    return [(each.text, each.language) for each in heard]


HELLO, HOLA = ("hello", "en"), ("hola", "es")


def test_the_language_that_is_spoken_first_is_the_call_s(two_tongues: Whisper) -> None:
    call = two_tongues.for_call("", [], ("en", "es"))
    assert understood_by(call, in_spanish(), in_spanish(1.0), in_spanish(3.0)) == [HOLA] * 3
    call = two_tongues.for_call("", [], ("en", "es"))
    assert understood_by(call, in_english(), in_spanish(seed=1)) == [HELLO, HELLO]


def test_a_trainee_who_goes_on_in_another_language_is_followed(two_tongues: Whisper) -> None:
    call = two_tongues.for_call("", [], ("en", "es"))
    sounds = in_english(), in_spanish(seed=1), in_spanish(seed=2), in_spanish(1.0, seed=3)
    assert understood_by(call, *sounds) == [HELLO, HELLO, HOLA, HOLA]


def test_a_turn_heard_again_and_again_is_one_piece_of_evidence(two_tongues: Whisper) -> None:
    call = two_tongues.for_call("", [], ("en", "es"))
    turn = in_spanish(4.0, seed=1)
    growing = (turn[: int(seconds * RECOGNISER_RATE_HZ)] for seconds in (2.0, 3.0, 4.0))
    assert understood_by(call, in_english(), *growing) == [HELLO] * 4


def test_calls_do_not_decide_for_each_other(two_tongues: Whisper) -> None:
    one, other = (two_tongues.for_call("", [], ("en", "es")) for _ in range(2))
    assert understood_by(one, in_spanish()) == [HOLA]
    assert understood_by(other, in_english()) == [HELLO]


def test_a_call_in_one_language_is_understood_in_that_language_whatever_it_sounds_like(
    two_tongues: Whisper,
) -> None:
    assert understood_by(two_tongues.for_call("", [], ("es",)), in_english(), in_spanish()) == [HOLA, HOLA]


def test_a_multilingual_model_says_which_languages_it_lacks(two_tongues: Whisper) -> None:
    assert two_tongues.languages == {"en", "es"}
    with pytest.raises(EngineUnavailable, match="2 languages, not 'de'"):
        two_tongues.for_call("", [], ("en", "de"))
