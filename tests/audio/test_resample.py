"""The resamplers between 8 and 16 kHz."""

import numpy as np
import pytest

from audio.resample import Downsampler, Upsampler


def tone(hz: float, rate_hz: int, samples: int, *, late_samples: float = 0.0) -> np.ndarray:
    return np.rint(10_000 * np.sin(2 * np.pi * hz * (np.arange(samples) - late_samples) / rate_hz)).astype(
        np.int16
    )


@pytest.mark.parametrize("hz", [300.0, 1_000.0, 3_000.0])
def test_a_tone_of_the_telephone_band_comes_out_as_itself_two_milliseconds_later(hz: float) -> None:
    upsampler = Upsampler()
    narrow = tone(hz, 8_000, 4_000)
    wide = np.concatenate([upsampler.process(narrow[i : i + 160]) for i in range(0, 4_000, 160)])
    expected = tone(hz, 16_000, 8_000, late_samples=upsampler.delay_ms * 16)
    error = (wide[200:] - expected[200:].astype(np.float64)).std()
    assert error < expected.std() * 10 ** (-45 / 20)


def test_the_delay_is_below_two_milliseconds() -> None:
    assert Upsampler.delay_ms < 2


@pytest.mark.parametrize("length", [0, 1, 20, 159, 160, 333])
def test_every_call_returns_twice_what_it_was_given(length: int) -> None:
    assert len(Upsampler().process(np.zeros(length, dtype=np.int16))) == 2 * length


def test_cutting_the_input_differently_changes_nothing() -> None:
    narrow = tone(700, 8_000, 960)
    whole, pieces = Upsampler(), Upsampler()
    in_pieces = np.concatenate([pieces.process(part) for part in np.split(narrow, [7, 160, 161, 800])])
    assert np.array_equal(whole.process(narrow), in_pieces)


def test_full_scale_does_not_wrap_around() -> None:
    square = np.repeat(np.array([32_767, -32_768] * 40, dtype=np.int16), 20)
    wide = Upsampler().process(square).astype(np.int32)
    assert np.abs(np.diff(wide)).max() < 65_536 and wide.max() == 32_767


@pytest.mark.parametrize("hz", [300.0, 1_000.0, 3_000.0])
def test_a_tone_survives_the_way_down_two_milliseconds_later(hz: float) -> None:
    downsampler = Downsampler()
    wide = tone(hz, 16_000, 8_000)
    narrow = np.concatenate([downsampler.process(wide[i : i + 320]) for i in range(0, 8_000, 320)])
    expected = tone(hz, 8_000, 4_000, late_samples=downsampler.delay_ms * 8)
    error = (narrow[200:] - expected[200:].astype(np.float64)).std()
    assert error < expected.std() * 10 ** (-45 / 20)


@pytest.mark.parametrize("hz", [4_500.0, 5_500.0, 7_000.0])
def test_what_the_telephone_cannot_carry_does_not_fold_back(hz: float) -> None:
    narrow = Downsampler().process(tone(hz, 16_000, 8_000)).astype(np.float64)
    assert narrow[100:].std() < 10_000 / np.sqrt(2) * 10 ** (-50 / 20)


def test_cutting_the_way_down_differently_changes_nothing() -> None:
    wide = tone(700, 16_000, 960)
    whole, pieces = Downsampler(), Downsampler()
    in_pieces = np.concatenate([pieces.process(part) for part in np.split(wide, [6, 6, 160, 162, 800])])
    assert np.array_equal(whole.process(wide), in_pieces)


def test_up_and_down_again_is_the_same_speech_four_milliseconds_later() -> None:
    narrow = np.cumsum(np.random.default_rng(1).integers(-900, 900, 4_000)).astype(np.int16)
    narrow = np.rint(np.convolve(narrow, np.hanning(9) / 4, "same")).astype(np.int16)
    back = Downsampler().process(Upsampler().process(narrow)).astype(np.float64)
    delay = round((Upsampler.delay_ms + Downsampler.delay_ms) * 8)
    error = back[300:] - narrow[300 - delay : -delay].astype(np.float64)
    assert 20 * np.log10(narrow.std() / error.std()) > 30
