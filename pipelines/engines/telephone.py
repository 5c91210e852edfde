"""Speech as the telephone carries it: at its rate, and as loud in one voice as in any other."""

import dataclasses
from typing import Final

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, minimum_filter1d

from agent.speech import Speech

TELEPHONE_RATE_HZ: Final = 8_000
SPEECH_DBFS: Final = -20.0
"""Level of speech at neutral energy: RMS while somebody speaks, re full scale; most peaks fit above it."""
PEAK_DBFS: Final = -1.0
"""What the waveform does not exceed, between the samples by no more than half a decibel."""

_ENERGY_DB: Final = 6.0
_BLOCK: Final = TELEPHONE_RATE_HZ * 20 // 1_000
_QUIETEST_DBFS: Final = -60.0
_GATE_DB: Final = 15.9
_GAIN_AT_MOST_DB: Final = 30.0
_LIMITER: Final = TELEPHONE_RATE_HZ * 4 // 1_000 + 1
_OVERSAMPLED: Final = 4


def to_telephone(speech: Speech, energy: int = 50) -> Speech:
    """The same speech at 8 000 Hz and at the level that a voice of this `energy` (0 to 99) has.

    That is SPEECH_DBFS, and up to 6 dB more or less with energy, whatever level the engine gave it: one gain
    for all of the speech, so that it does not pump, and a limiter of 4 ms for peaks. Word times do not
    change. Speech so quiet that it would need more than 30 dB of gain is raised by 30 dB.
    """
    resampled = at_telephone_rate(speech)
    return dataclasses.replace(resampled, samples=_levelled(resampled.samples, energy))


def at_telephone_rate(speech: Speech) -> Speech:
    """The same speech at 8 000 Hz: flat to 3.6 kHz, aliases below -80 dB, word times unchanged.

    A whole clause at once, so that the filter's delay is compensated at both ends. A polyphase filter with
    this stop band costs four times as much.
    """
    if speech.rate_hz == TELEPHONE_RATE_HZ:
        return speech
    samples = soxr.resample(speech.samples, speech.rate_hz, TELEPHONE_RATE_HZ, quality="HQ")
    return dataclasses.replace(speech, samples=samples, rate_hz=TELEPHONE_RATE_HZ)


def speech_level_dbfs(samples: NDArray[np.int16]) -> float:
    """RMS level of the speech in int16 samples at 8 kHz, its pauses left out; -inf if there is none.

    Blocks of 20 ms count that are no more than 15.9 dB below the mean of all that is not silence: the
    margin of ITU-T P.56, with the gate of ITU-R BS.1770 instead of its envelope.
    """
    whole = samples[: samples.size // _BLOCK * _BLOCK] if samples.size >= _BLOCK else samples
    if not whole.size:
        return -np.inf
    blocks = whole.reshape(-1, min(_BLOCK, whole.size)).astype(np.float64) / 32_768
    powers = np.mean(blocks**2, axis=1)
    powers = powers[powers > 10 ** (_QUIETEST_DBFS / 10)]
    if not powers.size:
        return -np.inf
    active = powers[powers >= powers.mean() * 10 ** (-_GATE_DB / 10)]
    return float(10 * np.log10(active.mean()))


def _levelled(samples: NDArray[np.int16], energy: int) -> NDArray[np.int16]:
    level_dbfs = speech_level_dbfs(samples)
    if level_dbfs == -np.inf:
        return samples
    wanted_dbfs = SPEECH_DBFS + _ENERGY_DB * (min(max(energy, 0), 99) - 50) / 50
    gain_db = min(wanted_dbfs - level_dbfs, _GAIN_AT_MOST_DB)
    levelled = samples / 32_768 * 10 ** (gain_db / 20)
    limited: NDArray[np.int16] = np.rint(levelled * _limiting(levelled) * 32_768).astype(np.int16)
    return limited


def _limiting(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gain of a limiter that looks ahead: no more than 1, smooth, and low enough at every peak."""
    ceiling = 10 ** (PEAK_DBFS / 20)
    if np.abs(samples).max() <= ceiling / 2:
        return np.ones_like(samples)
    between = soxr.resample(samples, TELEPHONE_RATE_HZ, TELEPHONE_RATE_HZ * _OVERSAMPLED, quality="HQ")
    peaks = np.abs(between[: samples.size * _OVERSAMPLED].reshape(-1, _OVERSAMPLED)).max(axis=1)
    peaks = np.maximum(np.maximum(peaks, np.roll(peaks, 1)), np.abs(samples))
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, ceiling))
    window = np.hanning(_LIMITER + 2)[1:-1]
    lowest = minimum_filter1d(needed, _LIMITER, mode="nearest")
    smooth: NDArray[np.float64] = convolve1d(lowest, window / window.sum(), mode="nearest")
    return smooth
