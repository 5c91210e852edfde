"""Speech made shorter and longer: its pace changes, its pitch does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audio.blocks import BLOCK, RATE_HZ, Block
from audio.stretch import LONGEST, SHORTEST, lengthen, shorten


def vowel(f0_hz: float, seconds: float = 1.0) -> Block:
    """Harmonics up to 3.4 kHz, falling by 6 dB an octave."""
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    harmonics = range(1, int(3_400 / f0_hz) + 1)
    voice = np.sum([np.sin(2 * np.pi * f0_hz * n * at) / n for n in harmonics], axis=0)
    return np.asarray(0.1 * voice, np.float32)


def pitch_hz(sound: Block) -> float:
    """By the highest peak of the autocorrelation, between its samples."""
    own = np.correlate(sound, sound, "full")[len(sound) - 1 :]
    lag = SHORTEST + int(np.argmax(own[SHORTEST : LONGEST + 1]))
    before, at, after = own[lag - 1 : lag + 2]
    return RATE_HZ / float(lag + (before - after) / (2 * (before - 2 * at + after)))


def noise(length: int) -> Block:
    return np.random.default_rng(1).normal(0, 0.1, length).astype(np.float32)


def harmonic_share(sound: Block, f0_hz: float) -> float:
    """How much of the power lies within 12 Hz of the harmonics."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    near = np.abs(hz - f0_hz * np.maximum(1, np.round(hz / f0_hz))) < 12
    return float(power[near].sum() / power.sum())


@pytest.mark.parametrize("f0_hz", [85.0, 120.0, 210.0, 310.0])
def test_a_vowel_that_is_sped_up_by_a_fifth_keeps_its_pitch(f0_hz: float) -> None:
    said = vowel(f0_hz)
    pieces = [shorten(piece, most=LONGEST, quiet=False) for piece in said.reshape(-1, 2 * BLOCK)]
    faster = np.concatenate(pieces)
    assert all(SHORTEST <= 2 * BLOCK - len(piece) <= LONGEST for piece in pieces)
    assert pitch_hz(faster) == pytest.approx(f0_hz, rel=0.005)
    assert harmonic_share(faster, f0_hz) > 0.97


@pytest.mark.parametrize("f0_hz", [85.0, 120.0, 210.0, 310.0])
def test_a_vowel_that_is_slowed_down_keeps_its_pitch(f0_hz: float) -> None:
    said = vowel(f0_hz)
    pieces = [said[:BLOCK]]
    for piece in said[BLOCK:].reshape(-1, BLOCK):
        pieces.append(lengthen(piece, pieces[-1], most=LONGEST, quiet=False))
    slower = np.concatenate(pieces)
    assert len(slower) > 1.1 * len(said)
    assert pitch_hz(slower) == pytest.approx(f0_hz, rel=0.005)
    assert harmonic_share(slower, f0_hz) > 0.97


def test_stretching_a_vowel_leaves_no_click() -> None:
    said = vowel(100.0)
    steepest = np.abs(np.diff(said)).max()
    shorter = shorten(said[:320], most=LONGEST, quiet=False)
    longer = np.concatenate([said[:160], lengthen(said[160:320], said[:160], most=LONGEST, quiet=False)])
    assert len(shorter) == 320 - 80
    assert len(longer) == 320 + 80
    assert np.abs(np.diff(shorter)).max() < 1.05 * steepest
    assert np.abs(np.diff(longer)).max() < 1.05 * steepest


def test_what_has_no_pitch_is_left_alone_unless_it_is_quiet() -> None:
    hiss = noise(320)
    assert shorten(hiss, most=LONGEST, quiet=False) is hiss
    assert lengthen(hiss, hiss, most=LONGEST, quiet=False) is hiss
    assert len(shorten(hiss, most=LONGEST, quiet=True)) == 320 - LONGEST
    assert len(lengthen(hiss, hiss, most=50, quiet=True)) == 320 + 50


@given(
    hnp.arrays(np.float32, st.integers(0, 400), elements=st.floats(-1, 1, width=32)),
    st.integers(-5, 200),
    st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_no_more_is_cut_or_repeated_than_allowed(sound: Block, most: int, quiet: bool) -> None:
    before = np.ones(LONGEST, np.float32)
    shorter = shorten(sound, most=most, quiet=quiet)
    longer = lengthen(sound, before, most=most, quiet=quiet)
    allowed = min(max(most, 0), LONGEST)
    assert 0 <= len(sound) - len(shorter) <= allowed
    assert 0 <= len(longer) - len(sound) <= allowed
    assert np.all(np.abs(np.concatenate([shorter, longer])) <= 1)
