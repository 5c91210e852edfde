"""Offset and mains hum: found beneath speech, taken off, and never looked for in a voice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audio.blocks import BLOCK
from audio.rumble import RumbleFilter
from tests.audio.speech_like import blocks, hiss, level_dbfs, speech_like, tone


def filtered(sound: np.ndarray, rumble: RumbleFilter | None = None) -> np.ndarray:
    rumble = rumble or RumbleFilter()
    return np.concatenate([rumble.process(block) for block in blocks(sound)])


def hum(mains_hz: int, seconds: float, dbfs: float = -30.0) -> np.ndarray:
    """The mains and its harmonics, each 6 dB below the one before."""
    return sum((tone(mains_hz * n, seconds, dbfs - 6 * (n - 1)) for n in range(1, 5)), np.float32(0))


@pytest.mark.parametrize("pitch_hz", [85.0, 100.0, 120.0, 200.0])
def test_clean_speech_comes_out_bit_for_bit_whatever_its_pitch(pitch_hz: float) -> None:
    sound = speech_like(20, pitch_hz=pitch_hz) + hiss(20, -60)
    rumble = RumbleFilter()
    assert np.array_equal(filtered(sound, rumble), sound) and rumble.engaged == ()


def test_a_voice_that_never_glides_is_no_hum() -> None:
    word = tone(100, 0.4, -20) + tone(200, 0.4, -24) + tone(300, 0.4, -28)
    sound = np.concatenate(
        [np.concatenate([word, np.zeros(1_000 + 67 * n % 900, np.float32)]) for n in range(30)]
    )
    assert np.array_equal(filtered(sound), sound[: len(sound) // 160 * 160])


@pytest.mark.parametrize("mains_hz", [50, 60])
def test_hum_goes_down_by_twenty_decibels_within_five_seconds(mains_hz: int) -> None:
    sound, rumble = hum(mains_hz, 8) + hiss(8, -65), RumbleFilter()
    found = filtered(sound, rumble)
    assert level_dbfs(sound[-8_000:]) - level_dbfs(found[-8_000:]) > 20
    assert f"hum {mains_hz}" in rumble.engaged


def test_hum_is_found_beneath_speech_and_the_speech_stays() -> None:
    speech = speech_like(20, pitch_hz=140.0)
    found = filtered(speech + hum(50, 20, -38.0))[-64_000:]
    clean = speech[-64_000:]
    assert np.corrcoef(found, clean)[0, 1] > 0.97


def test_mains_that_is_a_little_off_is_still_hum() -> None:
    sound = tone(50.08, 8, -30.0) + tone(100.16, 8, -33.0)
    assert level_dbfs(filtered(sound)[-8_000:]) < level_dbfs(sound) - 20


def test_an_offset_is_taken_off() -> None:
    sound = speech_like(6) * 0.5 + np.float32(0.05)
    rumble = RumbleFilter()
    found = filtered(sound, rumble)
    assert rumble.engaged == ("dc",) and abs(float(found[-16_000:].mean())) < 0.002


@pytest.mark.parametrize("offset", [0.01, 0.03])
def test_an_offset_beneath_speech_is_taken_off_once_and_for_all(offset: float) -> None:
    rumble, seen = RumbleFilter(), []
    for block in blocks(speech_like(40, dbfs=-22.0) * np.float32(0.9) + np.float32(offset)):
        rumble.process(block)
        seen.append(rumble.engaged)
    changes = sum(now != before for before, now in zip(seen, seen[1:], strict=False))
    assert seen[-1] == ("dc",) and changes <= 3


def test_what_is_gone_is_let_go_while_the_rest_goes_on() -> None:
    rumble = RumbleFilter()
    filtered(hum(50, 10) + np.float32(0.05), rumble)
    assert {"dc", "hum 50"} <= set(rumble.engaged)
    filtered(hum(50, 14), rumble)
    assert "dc" not in rumble.engaged and "hum 50" in rumble.engaged


def test_when_the_hum_is_gone_so_is_the_filter() -> None:
    rumble = RumbleFilter()
    filtered(hum(60, 6), rumble)
    speech = speech_like(12)
    filtered(speech, rumble)
    assert rumble.engaged == () and np.array_equal(filtered(speech, rumble), speech)


def test_coming_in_makes_no_click() -> None:
    sound = hum(50, 8)
    steps = np.abs(np.diff(filtered(sound)))
    assert steps.max() < 1.5 * np.abs(np.diff(sound)).max()


def test_silence_stays_silence() -> None:
    assert not filtered(np.zeros(40_000, np.float32)).any()


@given(
    st.lists(arrays.arrays(np.float32, BLOCK, elements=st.floats(-1, 1, width=32)), min_size=1, max_size=4)
)
def test_whatever_comes_in_stays_in_range(few: list[np.ndarray]) -> None:
    rumble = RumbleFilter()
    for block in few * 60:
        found = rumble.process(block)
        assert found.shape == (BLOCK,) and np.isfinite(found).all() and np.abs(found).max() <= 1
