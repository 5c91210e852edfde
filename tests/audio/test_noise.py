"""Noise reduction: less noise, the same speech, whichever engine."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audio.blocks import BLOCK
from audio.noise import NOISE_REDUCERS, NoiseReducer
from audio.spectral_noise import SpectralNoiseReducer
from audio.speexdsp import open_speexdsp
from tests.audio.speech_like import blocks, hiss, level_dbfs, speech_like
from tests.servers import required


def made_by(engine: str) -> NoiseReducer:
    if engine == "speex" and open_speexdsp() is None:
        why = "libspeexdsp isn't installed (Debian: libspeexdsp1)"
        pytest.fail(why) if required() else pytest.skip(why)
    return NOISE_REDUCERS[engine]()


@pytest.fixture(params=["speex", "spectral"])
def reducer(request: pytest.FixtureRequest) -> Iterator[NoiseReducer]:
    made = made_by(request.param)
    yield made
    made.close()


def reduced(sound: np.ndarray, reducer: NoiseReducer) -> np.ndarray:
    """What comes out, moved back by the delay."""
    padded = np.concatenate([sound, np.zeros(BLOCK, np.float32)])
    found = np.concatenate([reducer.process(block) for block in blocks(padded)])
    return found[reducer.delay_samples : reducer.delay_samples + len(sound)]


def test_steady_noise_goes_down_by_eight_decibels(reducer: NoiseReducer) -> None:
    noise = hiss(6, -40.0)
    assert level_dbfs(noise) - level_dbfs(reduced(noise, reducer)[-24_000:]) > 8


def test_speech_in_noise_comes_out_nearer_to_the_speech(reducer: NoiseReducer) -> None:
    speech, noise = speech_like(10), hiss(10, -32.0)
    found = reduced(speech + noise, reducer)
    before, after = np.mean(noise[24_000:] ** 2), np.mean((found - speech)[24_000:] ** 2)
    assert 10 * np.log10(before / after) > 1.5


def test_clean_speech_is_left_nearly_alone(reducer: NoiseReducer) -> None:
    speech = speech_like(8) + hiss(8, -70.0)
    found = reduced(speech, reducer)[16_000:]
    assert 10 * np.log10(np.mean(speech[16_000:] ** 2) / np.mean((found - speech[16_000:]) ** 2)) > 12


def test_what_comes_in_is_not_changed(reducer: NoiseReducer) -> None:
    block = hiss(0.02, -20.0)
    kept = block.copy()
    reducer.process(block)
    assert np.array_equal(block, kept)


def test_two_calls_do_not_hear_each_other() -> None:
    one, other, alone = (SpectralNoiseReducer() for _ in range(3))
    for first, second in zip(blocks(hiss(1, -30.0)), blocks(speech_like(1)), strict=True):
        other.process(second)
        assert np.array_equal(one.process(first), alone.process(first))


def test_begun_anew_it_is_as_new(reducer: NoiseReducer) -> None:
    sound = speech_like(2) + hiss(2, -35.0)
    first = reduced(sound, reducer)
    reducer.reset()
    assert np.array_equal(reduced(sound, reducer), first)


def test_silence_stays_silence(reducer: NoiseReducer) -> None:
    reduced(speech_like(1), reducer)
    assert not reduced(np.zeros(8_000, np.float32), reducer)[-1_600:].any()


def test_closing_twice_is_harmless(reducer: NoiseReducer) -> None:
    reducer.close()
    reducer.close()


def test_the_package_noisereduce_takes_noise_out_as_well() -> None:
    reducer, noise = NOISE_REDUCERS["noisereduce"](), hiss(2, -40.0)
    assert level_dbfs(noise) - level_dbfs(reduced(noise, reducer)[-4_000:]) > 3
    assert not reduced(np.zeros(16_000, np.float32), reducer)[-1_600:].any()


@pytest.mark.parametrize("name", ["speex", "spectral"])
@settings(max_examples=25)
@given(
    few=st.lists(
        arrays.arrays(np.float32, BLOCK, elements=st.floats(-1, 1, width=32)), min_size=1, max_size=5
    ),
)
def test_whatever_comes_in_stays_in_range(name: str, few: list[np.ndarray]) -> None:
    reducer = made_by(name)
    for block in few * 6:
        found = reducer.process(block)
        assert found.shape == (BLOCK,) and np.isfinite(found).all() and np.abs(found).max() <= 1
    reducer.close()
