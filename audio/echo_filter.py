"""Linear echo cancellers for an echo that comes at once: libspeexdsp's, and one of our own."""

from typing import Final, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from audio.blocks import BLOCK, Block, Samples, to_block
from audio.speexdsp import SpeexDsp, SpeexEcho

_NOTCH_RADIUS: Final = 0.9
_NOTCH_WIDTH: Final = _NOTCH_RADIUS**2 + 0.7 * (1 - _NOTCH_RADIUS) ** 2
"""Of libspeexdsp's second-order notch at DC, for rates below 12 kHz."""

_SIZE: Final = 2 * BLOCK
_BINS: Final = _SIZE // 2 + 1
_PARTITIONS: Final = 7
_PROCESS_NOISE: Final = 0.0001
"""By how much of its power the echo path may change in a block."""
_UNCERTAIN: Final[NDArray[np.float32]] = (0.1 * 10 ** (-0.6 * np.arange(_PARTITIONS))).astype(np.float32)
"""The variance of each partition before anything is known: an echo 10 dB down that decays by 6 dB a block."""
_CERTAINTY: Final = 0.2
"""How much of what a block could tell is believed; speech tells the same again and again."""
_NEAR_WEIGHT: Final = 4.0
_SMOOTHING: Final = 0.85
_FAINTEST_POWER: Final = 1e-10

Spectra = NDArray[np.complex64]
Powers = NDArray[np.float32]


class EchoFilter(Protocol):
    """Takes the echo of one sound out of another, and learns on the way how it comes about."""

    echo: Block
    """What was taken away in the last block, BLOCK long."""

    def process(self, near: Block, far: Block) -> Block:
        """Takes the next block of both, BLOCK long; returns what is left of `near`, as long."""

    def reset(self) -> None:
        """Forgets the echo path and all sound."""

    def close(self) -> None:
        """Frees what it holds; may be called again."""


class SpeexFilter:
    """libspeexdsp's canceller over 128 ms; adds no delay, and takes away DC, too."""

    def __init__(self, library: SpeexDsp) -> None:
        self.echo = np.zeros(BLOCK, np.float32)
        self._library = library
        self._echo = SpeexEcho(library)
        self._memory = np.zeros(2)
        self._near = np.zeros(BLOCK, np.int16)
        self._far = np.zeros(BLOCK, np.int16)

    def process(self, near: Block, far: Block) -> Block:
        """Takes the echo of `far` out of `near`, both BLOCK long; returns what is left, as long."""
        _prepare(near, far, self._near, self._far, self._memory, self.echo)
        residual = to_block(self._echo.process(self._near, self._far))
        self.echo -= residual
        return residual

    def reset(self) -> None:
        """Forgets the echo path and all sound."""
        self._echo.close()
        self._echo = SpeexEcho(self._library)
        self._memory[:] = 0

    def close(self) -> None:
        """Frees the library's memory; may be called again."""
        self._echo.close()


class AdaptiveFilter:
    """A partitioned-block frequency-domain Kalman filter over 140 ms; adds no delay.

    Enzner and Vary, Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free
    telephones, Signal Processing 2006; Kuech, Mabande and Enzner, State-space architecture of the
    partitioned-block-based acoustic echo controller, ICASSP 2014. Its step follows how well the path is known
    against how loud the near end is, so double talk does not lead it astray. The process noise is spread over
    the partitions, so that it learns anew after the path has changed.
    """

    def __init__(self) -> None:
        self.echo = np.zeros(BLOCK, np.float32)
        self._far = np.zeros(_SIZE, np.float32)
        self._error = np.zeros(_SIZE, np.float32)
        self._past = np.zeros((_PARTITIONS, _BINS), np.complex64)
        self._path = np.zeros((_PARTITIONS, _BINS), np.complex64)
        self._step = np.zeros((_PARTITIONS, _BINS), np.complex64)
        self._variance = np.zeros((_PARTITIONS, _BINS), np.float32)
        self._noise = np.zeros(_BINS, np.float32)
        self._echo_spectrum = np.zeros(_BINS, np.complex64)
        self.reset()

    def process(self, near: Block, far: Block) -> Block:
        """Takes the echo of `far` out of `near`, both BLOCK long; returns what is left, as long."""
        self._far[:BLOCK] = self._far[BLOCK:]
        self._far[BLOCK:] = far
        heard = _echo(self._past, self._path, fft.rfft(self._far), self._echo_spectrum)
        if not heard:
            self.echo[:] = 0
            return near.copy()
        self.echo[:] = fft.irfft(self._echo_spectrum)[BLOCK:]
        np.subtract(near, self.echo, out=self._error[BLOCK:])
        _adapt(self._past, self._path, self._variance, self._noise, fft.rfft(self._error), self._step)
        taps = fft.irfft(self._step, axis=1)
        taps[:, BLOCK:] = 0
        self._path += fft.rfft(taps, axis=1)
        return self._error[BLOCK:].copy()

    def reset(self) -> None:
        """Forgets the echo path and all sound."""
        for array in (self._far, self.echo, self._error, self._past, self._path, self._noise):
            array[:] = 0
        self._variance[:] = _UNCERTAIN[:, np.newaxis]

    def close(self) -> None:
        """Nothing is held."""


@njit(cache=True, fastmath=False, nogil=True)
def _prepare(
    near: Block,
    far: Block,
    near_samples: Samples,
    far_samples: Samples,
    memory: NDArray[np.float64],
    notched: Block,
) -> None:
    """Rounds both ends to int16, and says what the library makes of the near end before it takes echo away.

    A kernel, as NumPy's way takes half as long as the library itself.
    """
    for n in range(near.shape[0]):
        near_samples[n] = np.int16(min(32_767.0, max(-32_768.0, np.rint(near[n] * np.float32(32_768)))))
        far_samples[n] = np.int16(min(32_767.0, max(-32_768.0, np.rint(far[n] * np.float32(32_768)))))
        inner = memory[0] + near[n]
        memory[0] = memory[1] + 2 * (_NOTCH_RADIUS * inner - near[n])
        memory[1] = near[n] - _NOTCH_WIDTH * inner
        notched[n] = _NOTCH_RADIUS * inner


@njit(cache=True, fastmath=False, nogil=True)
def _echo(past: Spectra, path: Spectra, far: Spectra, echo: Spectra) -> bool:
    """Shifts `far` into the past and says what echo that makes; False if nothing was heard of late."""
    loudest = np.float32(0)
    for k in range(far.shape[0]):
        total = np.complex64(0)
        for p in range(past.shape[0] - 1, 0, -1):
            past[p, k] = past[p - 1, k]
            total += path[p, k] * past[p, k]
            loudest = max(loudest, past[p, k].real ** 2 + past[p, k].imag ** 2)
        past[0, k] = far[k]
        loudest = max(loudest, far[k].real ** 2 + far[k].imag ** 2)
        echo[k] = total + path[0, k] * far[k]
    return bool(loudest > _FAINTEST_POWER)


@njit(cache=True, fastmath=False, nogil=True)
def _adapt(
    past: Spectra, path: Spectra, variance: Powers, noise: Powers, error: Spectra, step: Spectra
) -> None:
    """Computes the step of the path from the error, and the variance that is left."""
    partitions = past.shape[0]
    for k in range(error.shape[0]):
        power = error[k].real ** 2 + error[k].imag ** 2
        noise[k] = _SMOOTHING * noise[k] + (1 - _SMOOTHING) * power
        explained = np.float32(0)
        mean = np.float32(0)
        for p in range(partitions):
            explained += variance[p, k] * (past[p, k].real ** 2 + past[p, k].imag ** 2)
            mean += path[p, k].real ** 2 + path[p, k].imag ** 2
        mean *= np.float32(_PROCESS_NOISE / partitions)
        total = explained + np.float32(_NEAR_WEIGHT) * noise[k] + np.float32(_FAINTEST_POWER)
        for p in range(partitions):
            loud = past[p, k].real ** 2 + past[p, k].imag ** 2
            mu = variance[p, k] / total
            step[p, k] = mu * np.conj(past[p, k]) * error[k]
            variance[p, k] = (1 - np.float32(_CERTAINTY) * mu * loud) * variance[p, k] + mean
