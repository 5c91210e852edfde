import numpy as np
import pytest

from agent.speech import Speech, SpokenWord
from pipelines.engines.telephone import TELEPHONE_RATE_HZ, to_telephone


def tone(hz: int, rate_hz: int = 22_050) -> Speech:
    time_s = np.arange(rate_hz) / rate_hz
    return Speech(
        (16_000 * np.sin(2 * np.pi * hz * time_s)).astype(np.int16), rate_hz, (SpokenWord("beep", 0, 990),)
    )


def level_db(speech: Speech) -> float:
    inside = speech.samples[speech.rate_hz // 10 : -speech.rate_hz // 10].astype(np.float64)
    return float(10 * np.log10(np.mean(inside**2) / (16_000**2 / 2) + 1e-12))


@pytest.mark.parametrize("hz", [300, 1_000, 3_400])
def test_the_telephone_band_passes(hz: int) -> None:
    assert level_db(to_telephone(tone(hz))) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("hz", [4_100, 5_000, 8_000])
def test_what_is_above_the_band_does_not_come_back_as_an_alias(hz: int) -> None:
    assert level_db(to_telephone(tone(hz))) < -70


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100])
def test_duration_and_word_times_stay(rate_hz: int) -> None:
    speech = to_telephone(tone(440, rate_hz))
    assert (str(speech.samples.dtype), speech.rate_hz, speech.samples.size) == (
        "int16",
        TELEPHONE_RATE_HZ,
        8_000,
    )
    assert speech.words == (SpokenWord("beep", 0, 990),)


def test_silence_of_no_length_stays_so() -> None:
    assert to_telephone(Speech(np.zeros(0, np.int16), 22_050, ())).samples.size == 0


def test_full_scale_does_not_wrap_around() -> None:
    square = np.where(np.arange(22_050) // 50 % 2, -32_768, 32_767).astype(np.int16)
    speech = to_telephone(Speech(square, 22_050, ()))
    middles = speech.samples[900:1_000].astype(np.int32)
    assert np.count_nonzero(np.diff(np.sign(middles))) <= 6
