"""Streaming resampling between 8 and 16 kHz with a short, constant delay.

Half-band polyphase filters (Crochiere and Rabiner, Multirate Digital Signal Processing, 1983): every call
returns exactly twice, or half, the samples it was given, so that nothing downstream sees bursts.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audio.blocks import Block, Samples

_TAPS: Final = 63
_MIDDLE: Final = _TAPS // 4
"""Every other tap of a half-band filter is zero but the middle one: that half of it only delays."""
_HALF_BAND: Final[NDArray[np.float32]] = signal.firwin(
    _TAPS, 4_000, fs=16_000, window=("kaiser", 6.0)
).astype(np.float32)[0::2]
_DELAY_MS: Final = (_TAPS - 1) / 2 / 16_000 * 1_000


class _Past:
    """The last samples of a stream in pieces, put before each next piece."""

    def __init__(self, samples: int) -> None:
        self._samples = np.zeros(samples, np.float32)

    def before(self, piece: Block) -> Block:
        joined = np.concatenate((self._samples, piece))
        self._samples = joined[len(piece) :]
        return joined


class Upsampler:
    """Doubles the rate of 8 kHz speech; delays it by `delay_ms`, 1.9 ms. Flat to 3.5 kHz."""

    delay_ms: Final = _DELAY_MS

    def __init__(self) -> None:
        self._past = _Past(len(_HALF_BAND) - 1)

    def process(self, samples: Samples) -> Samples:
        """Takes n int16 samples at 8 kHz and returns 2 n at 16 kHz."""
        count = len(samples)
        wide = np.empty(2 * count, np.int16)
        if count:
            heard = self._past.before(samples.astype(np.float32))
            wide[0::2] = _rounded(np.convolve(heard, 2 * _HALF_BAND, "valid"))
            wide[1::2] = heard[_MIDDLE + 1 : _MIDDLE + 1 + count]
        return wide


class Downsampler:
    """Halves the rate of 16 kHz speech; delays it by `delay_ms`, 1.9 ms. 50 dB down from 4.5 kHz on."""

    delay_ms: Final = _DELAY_MS

    def __init__(self) -> None:
        self._even = _Past(len(_HALF_BAND) - 1)
        self._odd = _Past(_MIDDLE + 1)

    def process(self, samples: Samples) -> Samples:
        """Takes 2 n int16 samples at 16 kHz and returns n at 8 kHz."""
        assert len(samples) % 2 == 0, "a whole number of samples at 8 kHz"
        if not len(samples):
            return np.zeros(0, np.int16)
        wide = samples.astype(np.float32)
        narrow = np.convolve(self._even.before(wide[0::2]), _HALF_BAND, "valid")
        narrow += np.float32(0.5) * self._odd.before(wide[1::2])[: len(narrow)]
        return _rounded(narrow)


def _rounded(sound: Block) -> Samples:
    return np.rint(sound, out=sound).clip(-32_768, 32_767, out=sound).astype(np.int16)
