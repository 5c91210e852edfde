import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.speech import Speech, SpokenWord, Voice
from pipelines.engines.espeak import Espeak
from pipelines.engines.telephone import (
    SPEECH_DBFS,
    TELEPHONE_RATE_HZ,
    at_telephone_rate,
    speech_level_dbfs,
    to_telephone,
)

LINES = (
    "Yes?",
    "No.",
    "Okay. And what is this about?",
    "Honestly? Twice last month the gloves came late, and I drove across town during lunch.",
    "I am in the middle of the morning rush.",
    "We already have a supplier, and we are fine.",
)
VOICES = ("en-us", "en-us+f3", "en-us+m3", "en-us+klatt4", "en-gb+f5", "en-us+whisper")


def tone(hz: int, rate_hz: int = 22_050, amplitude: int = 16_000) -> Speech:
    time_s = np.arange(rate_hz) / rate_hz
    return Speech(
        (amplitude * np.sin(2 * np.pi * hz * time_s)).astype(np.int16),
        rate_hz,
        (SpokenWord("beep", 0, 990),),
    )


def level_db(speech: Speech) -> float:
    inside = speech.samples[speech.rate_hz // 10 : -speech.rate_hz // 10].astype(np.float64)
    return float(10 * np.log10(np.mean(inside**2) / (16_000**2 / 2) + 1e-12))


def true_peak_dbfs(samples: NDArray[np.int16]) -> float:
    between = soxr.resample(samples.astype(np.float64), 8_000, 64_000, quality="VHQ")
    return float(20 * np.log10(np.abs(between).max() / 32_768))


@pytest.mark.parametrize("hz", [300, 1_000, 3_400])
def test_the_telephone_band_passes(hz: int) -> None:
    assert level_db(at_telephone_rate(tone(hz))) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("hz", [4_100, 5_000, 8_000])
def test_what_is_above_the_band_does_not_come_back_as_an_alias(hz: int) -> None:
    assert level_db(at_telephone_rate(tone(hz))) < -70


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100])
def test_duration_and_word_times_stay(rate_hz: int) -> None:
    speech = to_telephone(tone(440, rate_hz))
    assert (str(speech.samples.dtype), speech.rate_hz, speech.samples.size) == (
        "int16",
        TELEPHONE_RATE_HZ,
        8_000,
    )
    assert speech.words == (SpokenWord("beep", 0, 990),)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000])
def test_no_sound_is_delayed(rate_hz: int) -> None:
    samples = np.zeros(rate_hz, np.int16)
    samples[rate_hz // 4] = 30_000
    arrived = int(np.argmax(np.abs(at_telephone_rate(Speech(samples, rate_hz, ())).samples)))
    assert arrived == pytest.approx(2_000, abs=1)


def test_silence_stays_so() -> None:
    for samples in (np.zeros(0, np.int16), np.zeros(22_050, np.int16)):
        speech = to_telephone(Speech(samples, 22_050, ()))
        # The resampler dithers.
        assert np.abs(speech.samples).max(initial=0) <= 1


def test_full_scale_does_not_wrap_around() -> None:
    square = np.where(np.arange(22_050) // 50 % 2, -32_768, 32_767).astype(np.int16)
    speech = at_telephone_rate(Speech(square, 22_050, ()))
    middles = speech.samples[900:1_000].astype(np.int32)
    assert np.count_nonzero(np.diff(np.sign(middles))) <= 6


def test_the_level_of_speech_is_that_of_its_sounding_parts() -> None:
    loud = tone(440, 8_000).samples
    expected = 20 * np.log10(16_000 / 32_768 / np.sqrt(2))
    assert speech_level_dbfs(loud) == pytest.approx(expected, abs=0.1)
    paused = np.concatenate([loud, np.zeros(16_000, np.int16), loud // 100])
    assert speech_level_dbfs(paused) == pytest.approx(expected, abs=0.1)
    assert speech_level_dbfs(np.zeros(800, np.int16)) == -np.inf


def test_every_voice_and_clause_is_as_loud_as_the_others(espeak: Espeak) -> None:
    levels = [
        speech_level_dbfs(to_telephone(espeak.synthesise(line, Voice(espeak=(name,)))).samples)
        for name in VOICES
        for line in LINES
    ]
    assert max(levels) - min(levels) < 0.5
    assert np.mean(levels) == pytest.approx(SPEECH_DBFS, abs=0.2)


@pytest.mark.parametrize("amplitude", [300, 3_000, 30_000])
def test_the_level_does_not_depend_on_the_engine_s(amplitude: int) -> None:
    level_dbfs = speech_level_dbfs(to_telephone(tone(440, amplitude=amplitude)).samples)
    assert level_dbfs == pytest.approx(SPEECH_DBFS, abs=0.2)


def test_energy_is_heard_as_loudness(espeak: Espeak) -> None:
    def level_dbfs(energy: int) -> float:
        voice = Voice(energy=energy)
        return speech_level_dbfs(to_telephone(espeak.synthesise(LINES[3], voice), energy).samples)

    soft, neutral, loud = (level_dbfs(energy) for energy in (10, 50, 90))
    assert neutral - soft == pytest.approx(4.8, abs=0.3)
    assert loud - neutral == pytest.approx(4.8, abs=0.7)


@pytest.mark.parametrize("name", VOICES)
def test_peaks_do_not_clip_even_at_full_energy(espeak: Espeak, name: str) -> None:
    for line in LINES:
        speech = to_telephone(espeak.synthesise(line, Voice(espeak=(name,), energy=99)), 99)
        assert true_peak_dbfs(speech.samples) < -0.5


def test_a_peak_is_held_down_without_touching_what_is_far_from_it() -> None:
    samples = tone(440, 8_000, 6_000).samples
    samples[4_000] = 32_767
    limited = to_telephone(Speech(samples, 8_000, ()), 99).samples
    sounding = samples > 3_000
    gains = limited[sounding] / samples[sounding]
    far = np.abs(np.flatnonzero(sounding) - 4_000) > 100
    assert true_peak_dbfs(limited) < -0.7
    assert np.ptp(gains[far]) < 0.01
    assert gains.min() < 0.7 * gains[far].mean()


def test_a_whisper_that_is_nearly_silent_is_not_blown_up_to_speech() -> None:
    hiss = np.random.default_rng(1).normal(0, 3, 8_000).astype(np.int16)
    assert speech_level_dbfs(to_telephone(Speech(hiss, 8_000, ())).samples) < -45


@settings(max_examples=100, deadline=None)
@given(
    samples=st.lists(st.integers(-32_768, 32_767), max_size=600),
    rate_hz=st.sampled_from([8_000, 16_000, 22_050]),
    energy=st.integers(-10, 200),
)
def test_any_samples_are_safe(samples: list[int], rate_hz: int, energy: int) -> None:
    speech = to_telephone(Speech(np.array(samples, np.int16), rate_hz, ()), energy)
    assert str(speech.samples.dtype) == "int16"
    assert speech.samples.size == pytest.approx(len(samples) * 8_000 / rate_hz, abs=1)
