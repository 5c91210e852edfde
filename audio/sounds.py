"""Sounds that a persona makes without words: computed, the same every time.

`key` is the DTMF tone of 5 (ITU-T Q.23: 770 and 1336 Hz), the others are shaped noise and damped tones.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from audio.blocks import RATE_HZ, Samples

_SEED: Final = 20_911
_DTMF_5_HZ: Final = (770.0, 1336.0)


@cache
def sound(name: str) -> Samples:
    """Returns a sound by its name in `SOUNDS`: int16 mono at 8 kHz, read-only. Raises KeyError."""
    signal = SOUNDS[name]()
    samples = np.clip(np.rint(signal * 32_767), -32_768, 32_767).astype(np.int16)
    samples.flags.writeable = False
    return samples


def _breath() -> NDArray[np.float64]:
    """In and out: 1.3 s of noise between 400 and 2500 Hz, about -33 dBFS."""
    inwards, outwards = _noise(0.5, 700, 2500) * _swell(0.5), _noise(0.7, 400, 1800) * _swell(0.7)
    return np.concatenate([0.045 * inwards, _silence(0.1), 0.035 * outwards])


def _tap() -> NDArray[np.float64]:
    """A fingernail on a telephone: a knock of 60 ms."""
    time = _time(0.06)
    knock = np.sin(2 * np.pi * 420 * time) + 0.6 * np.sin(2 * np.pi * 1150 * time)
    return np.concatenate([0.35 * knock * np.exp(-time / 0.012), _silence(0.14)])


def _key() -> NDArray[np.float64]:
    """The tone of a key held for 180 ms, and 120 ms without one."""
    time = _time(0.18)
    low, high = (np.sin(2 * np.pi * hz * time) for hz in _DTMF_5_HZ)
    return np.concatenate([0.16 * (low + high), _silence(0.12)])


def _sob() -> NDArray[np.float64]:
    """Three catches of breath with some voice in them, 1.2 s."""
    parts = []
    for length_s, pitch_hz in ((0.18, 260.0), (0.2, 240.0), (0.34, 215.0)):
        time = _time(length_s)
        voiced = sum(np.sin(2 * np.pi * pitch_hz * n * time) / n for n in (1, 2, 3, 4))
        parts += [(0.05 * voiced + 0.05 * _noise(length_s, 600, 2200)) * _swell(length_s), _silence(0.16)]
    return np.concatenate(parts)


SOUNDS: Final[Mapping[str, Callable[[], NDArray[np.float64]]]] = {
    "breath": _breath,
    "tap": _tap,
    "key": _key,
    "sob": _sob,
}


def _time(length_s: float) -> NDArray[np.float64]:
    return np.arange(round(length_s * RATE_HZ)) / RATE_HZ


def _silence(length_s: float) -> NDArray[np.float64]:
    return np.zeros(round(length_s * RATE_HZ))


def _swell(length_s: float) -> NDArray[np.float64]:
    return np.sin(np.pi * _time(length_s) / length_s) ** 2


def _noise(length_s: float, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Noise of unit RMS in a band."""
    white = np.random.default_rng(_SEED).standard_normal(len(_time(length_s)))
    shaped: NDArray[np.float64] = sosfilt(
        butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos"), white
    )
    return shaped / float(np.sqrt(np.mean(shaped**2)))
