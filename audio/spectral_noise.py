"""Noise reduction by spectral amplitudes, streaming, with nothing to install.

The gain is the log-spectral amplitude estimator (Ephraim and Malah, IEEE TASSP 33, 1985) with
decision-directed a-priori SNR; the noise is tracked by the unbiased MMSE estimator (Gerkmann and Hendriks,
IEEE TASLP 20, 2012).
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft
from scipy.special import exp1

from audio.blocks import BLOCK, RATE_HZ, Block

_WINDOW: Final = 20 * RATE_HZ // 1_000
_HOP: Final = _WINDOW // 2
_BINS: Final = _WINDOW // 2 + 1
_DEEPEST_DB: Final = 15.0
"""Noise that is taken further down leaves musical tones, and costs intelligibility."""
_FIRST_FRAMES: Final = 8
_TABLE: Final = 1_200
_TABLE_FROM: Final = -14.0
_TABLE_STEP: Final = 20.0 / _TABLE

_shape = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW))
_SHAPE: Final[Block] = _shape.astype(np.float32)
"""Root of a periodic Hann window: once before and once after the gain, it adds up to 1 at half overlap."""
_EXPANSION: Final[NDArray[np.float32]] = np.exp(
    0.5 * exp1(2.0 ** (_TABLE_FROM + _TABLE_STEP * np.arange(_TABLE + 1)))
).astype(np.float32)
"""exp(E1(v) / 2) over the binary logarithm of v."""


class SpectralNoiseReducer:
    """Turns steady noise down by up to 15 dB; delays by 10 ms. Silence stays silence."""

    delay_samples: Final = _HOP

    def __init__(self) -> None:
        self._heard = np.zeros(_HOP + BLOCK, np.float32)
        self._tail = np.zeros(_HOP, np.float32)
        self._state = np.zeros((3, _BINS), np.float32)
        self._frames = 0

    def process(self, block: Block) -> Block:
        """Takes and returns 20 ms, float32 in [-1, 1]."""
        self._heard[:_HOP] = self._heard[BLOCK:]
        self._heard[_HOP:] = block
        found = np.empty(BLOCK, np.float32)
        for start in range(0, BLOCK, _HOP):
            spectrum = fft.rfft(self._heard[start : start + _WINDOW] * _SHAPE)
            _suppress(spectrum, self._state, _EXPANSION, self._frames)
            self._frames += 1
            frame = fft.irfft(spectrum, _WINDOW)
            frame *= _SHAPE
            np.add(self._tail, frame[:_HOP], out=found[start : start + _HOP])
            self._tail[:] = frame[_HOP:]
        return np.clip(found, -1.0, 1.0, out=found)

    def reset(self) -> None:
        """Forgets sound and noise."""
        self._heard[:] = self._tail[:] = 0.0
        self._state[:] = 0.0
        self._frames = 0

    def close(self) -> None:
        """Nothing is held."""


_NOISE, _PRESENCE, _CLEAN = range(3)
_LEAST_POWER: Final = 1e-12
_SPEECH_SNR: Final = 10 ** (15 / 10)
_PRESENCE_MEMORY: Final = 0.9
_NOISE_MEMORY: Final = 0.85
_CERTAIN: Final = 0.99
_DECISION: Final = 0.97
_LEAST_SNR: Final = 10 ** (-22 / 10)
_LEAST_GAIN: Final = 10 ** (-_DEEPEST_DB / 20)


@njit(cache=True, fastmath=False, nogil=True)
def _suppress(
    spectrum: NDArray[np.complex64], state: NDArray[np.float32], expansion: NDArray[np.float32], frames: int
) -> None:
    """Learns the noise from one spectrum, and takes it out of it."""
    for k in range(spectrum.shape[0]):
        power = spectrum[k].real ** 2 + spectrum[k].imag ** 2
        noise = state[_NOISE, k]
        if frames < _FIRST_FRAMES:
            noise += (power - noise) / (frames + 1)
        else:
            ratio = min(power / (noise + _LEAST_POWER), 1e4)
            speech = 1.0 / (1.0 + (1.0 + _SPEECH_SNR) * np.exp(-ratio * _SPEECH_SNR / (1.0 + _SPEECH_SNR)))
            presence = _PRESENCE_MEMORY * state[_PRESENCE, k] + (1.0 - _PRESENCE_MEMORY) * speech
            state[_PRESENCE, k] = presence
            if presence > _CERTAIN:
                speech = min(speech, _CERTAIN)
            estimate = speech * noise + (1.0 - speech) * power
            noise = _NOISE_MEMORY * noise + (1.0 - _NOISE_MEMORY) * estimate
        state[_NOISE, k] = noise
        floor = noise + _LEAST_POWER
        after = min(power / floor, 1e4)
        before = _DECISION * state[_CLEAN, k] / floor + (1.0 - _DECISION) * max(after - 1.0, 0.0)
        before = min(max(before, _LEAST_SNR), 1e4)
        wiener = before / (1.0 + before)
        place = (np.log2(max(wiener * after, 1e-6)) - _TABLE_FROM) / _TABLE_STEP
        index = min(max(int(place), 0), _TABLE)
        gain = max(min(wiener * expansion[index], 1.0), _LEAST_GAIN)
        state[_CLEAN, k] = gain * gain * power
        spectrum[k] *= np.float32(gain)
