"""Levels, and where the sound is."""

import numpy as np

from audio.levels import rms_dbfs, sound_bounds_ms


def noise(ms: int, dbfs: float, seed: int = 1) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(ms * 8)
    return np.rint(samples / samples.std() * 32_768 * 10 ** (dbfs / 20)).astype(np.int16)


def test_a_full_scale_square_wave_is_at_zero_dbfs() -> None:
    assert abs(rms_dbfs(np.array([-32_768, 32_767] * 80, dtype=np.int16))) < 0.01


def test_silence_has_no_level() -> None:
    assert rms_dbfs(np.zeros(160, dtype=np.int16)) == float("-inf")


def test_sound_between_silences_is_found_to_ten_milliseconds() -> None:
    audio = np.concatenate([np.zeros(8 * 340, np.int16), noise(900, -22), np.zeros(8 * 500, np.int16)])
    assert sound_bounds_ms(audio, 8_000) == (340, 1_240)


def test_line_noise_is_not_sound() -> None:
    audio = np.concatenate([noise(300, -58), noise(500, -20), noise(300, -58)])
    assert sound_bounds_ms(audio, 8_000) == (300, 800)


def test_silence_and_less_than_one_block_have_no_sound() -> None:
    assert sound_bounds_ms(np.zeros(8_000, np.int16), 8_000) is None
    assert sound_bounds_ms(noise(5, -10), 8_000) is None
