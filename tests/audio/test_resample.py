"""The 8 to 16 kHz interpolator."""

import numpy as np
import pytest

from audio.resample import Upsampler


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
    assert 20 * np.log10(expected.std() / error) > 45


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
