"""Noise reduction by spectral amplitudes, streaming, with nothing to install.

The gain is the log-spectral amplitude estimator (Ephraim and Malah, IEEE TASSP 33, 1985) with a
decision-directed a-priori SNR; the noise is tracked by the unbiased MMSE estimator (Gerkmann and Hendriks,
IEEE TASLP 20, 2012).
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import exp1

from audio.blocks import BLOCK, RATE_HZ, Block

_WINDOW: Final = 20 * RATE_HZ // 1_000
_HOP: Final = _WINDOW // 2
_FRAMES: Final = BLOCK // _HOP
_BINS: Final = _WINDOW // 2 + 1
_DEEPEST_DB: Final = 18.0
"""Noise that is taken further down leaves musical tones, and costs intelligibility."""
_FIRST_FRAMES: Final = 8
_TABLE: Final = 1_200
_TABLE_FROM: Final = -14.0
_TABLE_STEP: Final = 20.0 / _TABLE

_EXPANSION: Final[NDArray[np.float32]] = np.exp(
    0.5 * exp1(2.0 ** (_TABLE_FROM + _TABLE_STEP * np.arange(_TABLE + 1)))
).astype(np.float32)
"""exp(E1(v) / 2) over the binary logarithm of v."""


def _transforms() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The DFT of a frame as a matrix, cosines then sines, and the way back; both have the window in them.

    The window is the root of a periodic Hann window: used both ways, it adds up to 1 at half overlap. For
    frames as short as these, two at a time, products of matrices take half as long as calls to an FFT.
    """
    shape = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW))
    angles = 2 * np.pi * np.outer(np.arange(_WINDOW), np.arange(_BINS)) / _WINDOW
    waves = np.concatenate((np.cos(angles), -np.sin(angles)), axis=1) * shape[:, np.newaxis]
    weights = np.full(_BINS, 2.0 / _WINDOW)
    weights[0] = weights[-1] = 1.0 / _WINDOW
    back = np.ascontiguousarray((waves * np.tile(weights, 2)).T)
    return waves.astype(np.float32), back.astype(np.float32)


_FORTH, _BACK = _transforms()


class SpectralNoiseReducer:
    """Turns steady noise down by up to 18 dB; delays by 10 ms. Silence stays silence."""

    delay_samples: Final = _HOP

    def __init__(self) -> None:
        self._heard = np.zeros(_HOP + BLOCK, np.float32)
        self._overlapping = np.lib.stride_tricks.sliding_window_view(self._heard, _WINDOW)[::_HOP]
        self._frames = np.zeros((_FRAMES, _WINDOW), np.float32)
        self._spectra = np.zeros((_FRAMES, 2 * _BINS), np.float32)
        self._sound = np.zeros((_FRAMES, _WINDOW), np.float32)
        self._tail = np.zeros(_HOP, np.float32)
        self._state = np.zeros((3, _BINS), np.float32)
        self._learnt = 0

    def process(self, block: Block) -> Block:
        """Takes and returns 20 ms, float32 in [-1, 1]."""
        self._heard[:_HOP] = self._heard[BLOCK:]
        self._heard[_HOP:] = block
        self._frames[:] = self._overlapping
        np.matmul(self._frames, _FORTH, out=self._spectra)
        _suppress(self._spectra, self._state, _EXPANSION, self._learnt)
        self._learnt = min(self._learnt + _FRAMES, _FIRST_FRAMES)
        np.matmul(self._spectra, _BACK, out=self._sound)
        found = np.empty(BLOCK, np.float32)
        _overlap_add(self._sound, self._tail, found)
        return found

    def reset(self) -> None:
        """Forgets sound and noise."""
        self._heard[:] = self._tail[:] = 0.0
        self._state[:] = 0.0
        self._learnt = 0

    def close(self) -> None:
        """Nothing is held."""


_NOISE, _PRESENCE, _CLEAN = range(3)
_LEAST_POWER: Final = 1e-12
_NO_POWER: Final = 1e-18
"""Below it noise is none, before it decays into denormal numbers."""
_SPEECH_SNR: Final = 10 ** (12 / 10)
"""What speech stands out by where it is. With the authors' 15 dB, noise is learnt from weak speech."""
_PRESENCE_MEMORY: Final = 0.9
_NOISE_MEMORY: Final = 0.92
_CERTAIN: Final = 0.99
_DECISION: Final = 0.92
"""Less than the usual 0.98: onsets come through at once, at the price of a little more musical noise."""
_LEAST_SNR: Final = 10 ** (-22 / 10)
_LEAST_GAIN: Final = 10 ** (-_DEEPEST_DB / 20)


@njit(cache=True, fastmath=False, nogil=True)
def _suppress(
    spectra: NDArray[np.float32], state: NDArray[np.float32], expansion: NDArray[np.float32], learnt: int
) -> None:
    """Learns the noise from one spectrum after the other, and takes it out of them.

    `learnt`: how many were before; the first ones are taken for noise.
    """
    for frame in range(spectra.shape[0]):
        for k in range(_BINS):
            power = spectra[frame, k] ** 2 + spectra[frame, k + _BINS] ** 2
            noise = state[_NOISE, k]
            if learnt + frame < _FIRST_FRAMES:
                noise += (power - noise) / np.float32(learnt + frame + 1)
            else:
                ratio = min(power / (noise + _LEAST_POWER), 1e4)
                speech = 1.0 / (
                    1.0 + (1.0 + _SPEECH_SNR) * np.exp(-ratio * _SPEECH_SNR / (1.0 + _SPEECH_SNR))
                )
                presence = _PRESENCE_MEMORY * state[_PRESENCE, k] + (1.0 - _PRESENCE_MEMORY) * speech
                state[_PRESENCE, k] = presence
                if presence > _CERTAIN:
                    speech = min(speech, _CERTAIN)
                estimate = speech * noise + (1.0 - speech) * power
                noise = _NOISE_MEMORY * noise + (1.0 - _NOISE_MEMORY) * estimate
            state[_NOISE, k] = noise if noise > _NO_POWER else 0.0
            floor = noise + _LEAST_POWER
            after = min(power / floor, 1e4)
            before = _DECISION * state[_CLEAN, k] / floor + (1.0 - _DECISION) * max(after - 1.0, 0.0)
            before = min(max(before, _LEAST_SNR), 1e4)
            wiener = before / (1.0 + before)
            place = (np.log2(max(wiener * after, 1e-6)) - _TABLE_FROM) / _TABLE_STEP
            gain = min(wiener * expansion[min(max(int(place), 0), _TABLE)], 1.0)
            state[_CLEAN, k] = gain * gain * power
            heard = np.float32(max(gain, _LEAST_GAIN))
            spectra[frame, k] *= heard
            spectra[frame, k + _BINS] *= heard


@njit(cache=True, fastmath=False, nogil=True)
def _overlap_add(frames: NDArray[np.float32], tail: Block, found: Block) -> None:
    """Adds up frames that overlap by half, behind `tail`, and leaves there what is still to be added to."""
    for frame in range(frames.shape[0]):
        for n in range(_HOP):
            found[frame * _HOP + n] = min(max(tail[n] + frames[frame, n], np.float32(-1)), np.float32(1))
            tail[n] = frames[frame, n + _HOP]
