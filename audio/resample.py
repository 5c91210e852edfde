"""Streaming 8 -> 16 kHz with a short, constant delay.

A polyphase interpolator (Crochiere and Rabiner, Multirate Digital Signal Processing, 1983): every call
returns exactly twice the samples it was given, so that nothing downstream sees bursts.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

_TAPS: Final = 63
_CUTOFF_HZ: Final = 3_800


class Upsampler:
    """Doubles the rate of 8 kHz speech; delays it by `delay_ms`, 1.9 ms."""

    delay_ms: Final = (_TAPS - 1) / 2 / 16_000 * 1_000

    def __init__(self) -> None:
        taps = 2.0 * signal.firwin(_TAPS, _CUTOFF_HZ, fs=16_000)
        self._even, self._odd = taps[0::2], taps[1::2]
        self._even_state = np.zeros(len(self._even) - 1)
        self._odd_state = np.zeros(len(self._odd) - 1)

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Takes n int16 samples at 8 kHz and returns 2 n at 16 kHz."""
        if not len(samples):
            return np.zeros(0, dtype=np.int16)
        narrow, wide = samples.astype(np.float64), np.empty(2 * len(samples))
        wide[0::2], self._even_state = signal.lfilter(self._even, [1.0], narrow, zi=self._even_state)
        wide[1::2], self._odd_state = signal.lfilter(self._odd, [1.0], narrow, zi=self._odd_state)
        return np.clip(np.rint(wide), -32_768, 32_767).astype(np.int16)
