"""Linear prediction: a sound's spectral envelope as an all-pole filter, and what it leaves."""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from audio.blocks import Block

_WHITE_NOISE: Final = 1e-4
"""Added to the power, -40 dB: without it the envelope of a pure tone is not stable in float32."""
_FAINTEST_POWER: Final = 1e-12

Coefficients = NDArray[np.float32]


def predictor(sound: Block, window: Block, order: int) -> Coefficients:
    """Returns a of x[n] = sum of a[k] x[n - 1 - k], float32 of length `order`; zeros for silence.

    Autocorrelation method with the Levinson-Durbin recursion (Makhoul, Linear Prediction: A Tutorial Review,
    Proc. IEEE 1975), so the all-pole filter is stable. `window` is as long as `sound`.
    """
    coefficients = np.zeros(order, np.float32)
    levinson(autocorrelation(sound * window, order + 1), coefficients)
    return coefficients


@njit(cache=True, fastmath=True, nogil=True)
def autocorrelation(sound: Block, lags: int) -> NDArray[np.float64]:
    """Returns the first `lags` products of a sound and its past, float64, not normalised."""
    found = np.zeros(lags)
    for lag in range(lags):
        total = np.float32(0)
        for n in range(lag, sound.shape[0]):
            total += sound[n] * sound[n - lag]
        found[lag] = total
    return found


@njit(cache=True, fastmath=False, nogil=True)
def levinson(correlation: NDArray[np.float64], coefficients: Coefficients) -> None:
    """Writes the predictor that belongs to an autocorrelation, which is one longer; zeros for silence."""
    order = coefficients.shape[0]
    coefficients[:] = 0
    if correlation[0] < _FAINTEST_POWER:
        return
    error = correlation[0] * (1 + _WHITE_NOISE)
    found = np.zeros(order)
    before = np.zeros(order)
    for k in range(order):
        reflection = correlation[k + 1]
        for j in range(k):
            reflection -= before[j] * correlation[k - j]
        reflection /= error
        found[k] = reflection
        for j in range(k):
            found[j] = before[j] - reflection * before[k - 1 - j]
        error *= 1 - reflection * reflection
        if error <= 0:
            break
        before[: k + 1] = found[: k + 1]
    coefficients[:] = before


@njit(cache=True, fastmath=True, nogil=True)
def residual(sound: Block, coefficients: Coefficients) -> Block:
    """Returns what the predictor leaves of `sound`, as long less the predictor's order."""
    order = coefficients.shape[0]
    left = np.empty(sound.shape[0] - order, np.float32)
    for n in range(left.shape[0]):
        predicted = np.float32(0)
        for k in range(order):
            predicted += coefficients[k] * sound[n + order - 1 - k]
        left[n] = sound[n + order] - predicted
    return left


@njit(cache=True, fastmath=False, nogil=True)
def synthesise(excitation: Block, coefficients: Coefficients, memory: Block, out: Block) -> None:
    """Writes the excitation through the all-pole filter; `memory` is its last outputs, and kept up."""
    order = coefficients.shape[0]
    for n in range(out.shape[0]):
        total = excitation[n]
        for k in range(order):
            past = n - 1 - k
            total += coefficients[k] * (out[past] if past >= 0 else memory[order + past])
        out[n] = total
    memory[:] = out[out.shape[0] - order :]
