"""Automatic gain: the same loudness for everybody, no pumping, no peak above the limit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audio.blocks import BLOCK
from audio.gain import LIMIT_DBFS, AutomaticGain
from tests.audio.speech_like import blocks, hiss, speech_like, tone

LIMIT = 10 ** (LIMIT_DBFS / 20)


def levelled(sound: np.ndarray, gain: AutomaticGain | None = None) -> np.ndarray:
    gain = gain or AutomaticGain()
    return np.concatenate([gain.process(block) for block in blocks(sound)])


def active_dbfs(sound: np.ndarray) -> float:
    powers = np.array([np.mean(block.astype(np.float64) ** 2) for block in blocks(sound)])
    return float(10 * np.log10(powers[powers > powers.max() / 100].mean()))


@pytest.mark.parametrize("dbfs", [-36.0, -28.0, -20.0, -12.0])
def test_speech_of_any_level_is_at_twenty_below_full_scale_within_five_seconds(dbfs: float) -> None:
    sound = speech_like(15, dbfs=dbfs)
    assert active_dbfs(levelled(sound)[40_000:]) == pytest.approx(-20, abs=2)


def test_nothing_is_raised_by_more_than_eighteen_decibels() -> None:
    gain = AutomaticGain()
    levelled(speech_like(20, dbfs=-46.0), gain)
    assert 17 < gain.gain_db <= 18


@pytest.mark.parametrize("dbfs", [-55.0, -44.0, -38.0])
def test_the_noise_of_pauses_is_not_lifted(dbfs: float) -> None:
    gain = AutomaticGain()
    levelled(speech_like(8, dbfs=-26.0) + hiss(8, dbfs), gain)
    before = gain.gain_db
    levelled(hiss(20, dbfs), gain)
    assert gain.gain_db == pytest.approx(before, abs=0.5)


def test_noise_alone_is_no_speech() -> None:
    gain = AutomaticGain()
    levelled(hiss(15, -42.0), gain)
    assert gain.gain_db == 0


def test_until_speech_was_heard_the_sound_is_the_same_five_milliseconds_later() -> None:
    sound = hiss(3, -60.0)
    found = levelled(sound)
    assert np.array_equal(found[40:], sound[: len(found) - 40])


def test_no_sample_passes_the_limit_when_somebody_suddenly_shouts() -> None:
    sound = np.concatenate([speech_like(8, dbfs=-36.0), speech_like(3, dbfs=-6.0, seed=4)])
    found = levelled(sound)
    assert np.abs(found).max() <= LIMIT and np.abs(found[64_000:]).max() > 0.8 * LIMIT


def test_the_limiter_makes_no_clicks() -> None:
    quiet, loud = tone(400, 8, -36.0), tone(400, 2, -5.0)
    found = levelled(np.concatenate([quiet, loud]))
    assert np.abs(np.diff(found)).max() < 1.3 * np.abs(np.diff(tone(400, 1, -4.0))).max()


def test_silence_stays_silence() -> None:
    gain = AutomaticGain()
    levelled(speech_like(4), gain)
    assert not levelled(np.zeros(16_000, np.float32), gain)[160:].any()


@given(
    st.lists(arrays.arrays(np.float32, BLOCK, elements=st.floats(-1, 1, width=32)), min_size=1, max_size=4)
)
def test_whatever_comes_in_the_limit_holds(few: list[np.ndarray]) -> None:
    gain = AutomaticGain()
    for block in few * 30:
        found = gain.process(block)
        assert found.shape == (BLOCK,) and np.isfinite(found).all() and np.abs(found).max() <= LIMIT
