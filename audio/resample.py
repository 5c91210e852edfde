"""Streaming resampling between 8 and 16 kHz with a short, constant delay.

Polyphase filters (Crochiere and Rabiner, Multirate Digital Signal Processing, 1983): every call returns
exactly twice, or half, the samples it was given, so that nothing downstream sees bursts.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audio.blocks import Block, Samples

_TAPS: Final = 63
_CUTOFF_HZ: Final = 3_800
_TAPS_AT_16_KHZ: Final[NDArray[np.float32]] = signal.firwin(_TAPS, _CUTOFF_HZ, fs=16_000).astype(np.float32)
_DELAY_MS: Final = (_TAPS - 1) / 2 / 16_000 * 1_000


class _Convolution:
    """One FIR filter over a stream of float32 pieces of any length; keeps its memory from piece to piece."""

    def __init__(self, taps: NDArray[np.float32]) -> None:
        self._taps = taps
        self._heard = np.zeros(len(taps) - 1, np.float32)

    def process(self, piece: Block) -> Block:
        heard = np.concatenate((self._heard, piece))
        self._heard = heard[len(piece) :]
        return np.convolve(heard, self._taps, "valid")


class Upsampler:
    """Doubles the rate of 8 kHz speech; delays it by `delay_ms`, 1.9 ms."""

    delay_ms: Final = _DELAY_MS

    def __init__(self) -> None:
        self._even = _Convolution(2 * _TAPS_AT_16_KHZ[0::2])
        self._odd = _Convolution(2 * _TAPS_AT_16_KHZ[1::2])

    def process(self, samples: Samples) -> Samples:
        """Takes n int16 samples at 8 kHz and returns 2 n at 16 kHz."""
        narrow, wide = samples.astype(np.float32), np.empty(2 * len(samples), np.float32)
        if len(samples):
            wide[0::2] = self._even.process(narrow)
            wide[1::2] = self._odd.process(narrow)
        return _rounded(wide)


class Downsampler:
    """Halves the rate of 16 kHz speech; delays it by `delay_ms`, 1.9 ms. 50 dB down from 4.3 kHz on."""

    delay_ms: Final = _DELAY_MS

    def __init__(self) -> None:
        self._even = _Convolution(_TAPS_AT_16_KHZ[0::2])
        self._odd = _Convolution(_TAPS_AT_16_KHZ[1::2])
        self._last = np.zeros(1, np.float32)

    def process(self, samples: Samples) -> Samples:
        """Takes 2 n int16 samples at 16 kHz and returns n at 8 kHz."""
        assert len(samples) % 2 == 0, "a whole number of samples at 8 kHz"
        if not len(samples):
            return np.zeros(0, np.int16)
        wide = samples.astype(np.float32)
        odd = np.concatenate((self._last, wide[1:-1:2]))
        self._last = wide[-1:]
        return _rounded(self._even.process(wide[0::2]) + self._odd.process(odd))


def _rounded(sound: Block) -> Samples:
    return np.rint(sound, out=sound).clip(-32_768, 32_767, out=sound).astype(np.int16)
