"""The pitch period of speech: the lag at which it resembles its own past most."""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from audio.blocks import Block

_SUBMULTIPLE: Final = 0.85
"""A half or a third of the best lag is the period if it is nearly as good."""
_FAINTEST_ENERGY: Final = 1e-9


@njit(cache=True, fastmath=True, nogil=True)
def likeness(sound: Block, window: int, shortest: int, longest: int) -> NDArray[np.float32]:
    """Returns the normalised correlation of the last `window` samples with those each lag earlier; -1 to 1.

    `sound` is at least `window + longest` long; the result has one value a lag, from `shortest` to `longest`.
    """
    start = sound.shape[0] - window
    own = sound[start:]
    found = np.zeros(longest - shortest + 1, np.float32)
    energy = 0.0
    for n in range(start - shortest, start - shortest + window):
        energy += sound[n] * sound[n]
    own_energy = 0.0
    for n in range(window):
        own_energy += own[n] * own[n]
    for lag in range(shortest, longest + 1):
        past = sound[start - lag : start - lag + window]
        cross = np.float32(0)
        for n in range(window):
            cross += own[n] * past[n]
        found[lag - shortest] = cross / np.sqrt(own_energy * max(energy, 0.0) + _FAINTEST_ENERGY)
        before = start - lag - 1
        if before >= 0:
            energy += sound[before] * sound[before] - sound[before + window] * sound[before + window]
    return found


def period(sound: Block, window: int, shortest: int, longest: int) -> tuple[int, float]:
    """Returns the pitch period in samples within the bounds, and how periodic the sound is there, -1 to 1."""
    alike = likeness(sound, window, shortest, longest)
    best = int(np.argmax(alike))
    for part in (3, 2):
        near = round((best + shortest) / part) - shortest
        if near >= 0:
            low = max(0, near - 2)
            shorter = low + int(np.argmax(alike[low : near + 3]))
            if alike[shorter] > _SUBMULTIPLE * alike[best]:
                return shorter + shortest, float(alike[shorter])
    return best + shortest, float(alike[best])
