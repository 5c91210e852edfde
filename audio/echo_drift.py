"""Two clocks that don't run alike: how fast the echo's delay grows, and the reference read at that pace."""

from collections import deque
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from audio.blocks import BLOCK, RATE_HZ, Block
from audio.echo_delay import History

_WINDOW: Final = 256
_BEFORE: Final = 64
_LOW: Final = 250 * _WINDOW // RATE_HZ
_HIGH: Final = 3_500 * _WINDOW // RATE_HZ
_BINS: Final[NDArray[np.float64]] = np.arange(_LOW, _HIGH, dtype=np.float64)
_RADIANS: Final[NDArray[np.float64]] = 2 * np.pi * _BINS / _WINDOW
_NEAREST: Final = 5
_FARTHEST: Final = 19
"""Estimates, 0.2 s apart, across which the delay is compared."""
_FEWEST: Final = 8
_MEMORY: Final = 0.9
_LEAST: Final = 5e-6
_MOST: Final = 300e-6

_REACH: Final = 8
"""Samples on each side that an interpolated one is made of."""
_PHASES: Final = 256
LEAST_DELAY: Final = _REACH + 2


def _interpolators() -> Block:
    """Windowed sincs, one for every 1/256 of a sample, shape (257, 16)."""
    at = np.arange(-_REACH + 1, _REACH + 1) - np.arange(_PHASES + 1)[:, np.newaxis] / _PHASES
    taps: Block = (np.sinc(at) * np.cos(np.pi * at / (2 * _REACH + 2)) ** 2).astype(np.float32)
    return taps


_INTERPOLATORS: Final = _interpolators()


class EchoDrift:
    """Measures by how much the delay grows per sample: `rate`, 0 while unknown or below 5 ppm.

    The correlation of both ends, near its peak, is an image of the echo path; the slope of the phase between
    two such images is how far the path has moved. Its peak alone wouldn't do: it jumps between reflections.
    """

    def __init__(self) -> None:
        self.rate = 0.0
        self._images: deque[tuple[int, int, NDArray[np.complex64]]] = deque(maxlen=_FARTHEST + 1)
        self._found = 0.0
        self._count = 0

    def add(self, correlation: Block, lag: int, at: int) -> None:
        """Takes both ends' correlation at the time `at` in samples, and the delay around which to look."""
        start = max(0, lag - _BEFORE)
        image = correlation[start : start + _WINDOW]
        if len(image) < _WINDOW:
            return
        self._images.append((at, start, fft.rfft(image)[_LOW:_HIGH]))
        if len(self._images) <= _NEAREST:
            return
        self._count += 1
        found = self._found + self._error()
        self._found += (found - self._found) * max(1 - _MEMORY, 1 / self._count)
        self._found = min(_MOST, max(-_MOST, self._found))
        if self._count >= _FEWEST:
            self.rate = self._found if abs(self._found) >= _LEAST else 0.0

    def restart(self) -> None:
        """The path is another one now; the clocks are the same."""
        self._images.clear()

    def _error(self) -> float:
        """How far the rate is from what the oldest and the newest image say."""
        (before, first, old), (now, last, new) = self._images[0], self._images[-1]
        elapsed = now - before
        turned = new * np.conj(old)
        weights = np.abs(turned) * _RADIANS
        scale = float(np.sum(weights * _RADIANS)) + 1e-30
        expected = self._found * elapsed - (last - first)
        moved = expected
        for _ in range(2):
            turned_back = turned * np.exp(1j * _RADIANS * moved)
            moved -= float(np.sum(weights * np.angle(turned_back))) / scale
        return (moved - expected) / elapsed


@njit(cache=True, fastmath=False, nogil=True)
def _interpolated(sound: Block, fraction: float, rate: float, taps: Block, out: Block) -> None:
    for n in range(out.shape[0]):
        ahead = 1.0 - fraction - rate * n
        whole = int(np.floor(ahead))
        phase = int(np.rint((ahead - whole) * _PHASES))
        total = np.float32(0)
        for k in range(taps.shape[1]):
            total += taps[phase, k] * sound[n + whole + k]
        out[n] = total


def delayed(history: History, delay: float, rate: float) -> Block:
    """The block that the far end played `delay` samples ago, the delay growing by `rate` a sample.

    `delay` is at least LEAST_DELAY, as what lies between samples takes some of what comes after.
    """
    whole = int(delay)
    sound = history.far(BLOCK + 2 * _REACH + 1, back=whole - _REACH - 1)
    out = np.empty(BLOCK, np.float32)
    _interpolated(sound, delay - whole, rate, _INTERPOLATORS, out)
    return out
