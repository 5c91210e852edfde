"""Comfort noise: the background of a call, made up, where there is nothing else to hear."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.blocks import BLOCK, BLOCK_MS, Block
from audio.linear_prediction import Coefficients, autocorrelation, levinson, residual, synthesise

_ORDER: Final = 10
_QUIETEST: Final = 5
_FEWEST_BLOCKS: Final = 500 // BLOCK_MS
_LOUDEST_RMS: Final = 10 ** (-35 / 20)
_SEED: Final = 20
_WINDOW: Final[Block] = np.hanning(BLOCK).astype(np.float32)


class ComfortNoise:
    """Noise with the level and the spectral envelope of the background (after RFC 3389, ITU-T G.711 App. II).

    What it learns from is the quietest 100 ms; its level is that of those, but at most -35 dBFS. Before it
    has learnt anything, and where the background was digital silence, it is exactly silent. Always the same
    noise.
    """

    def __init__(self) -> None:
        self._envelope: Coefficients = np.zeros(_ORDER, np.float32)
        self._memory = np.zeros(_ORDER, np.float32)
        self.reset()

    def learn(self, blocks: NDArray[np.float32]) -> None:
        """Takes what was heard of late, float32 of shape (n, BLOCK); less than 0.5 s changes nothing."""
        if len(blocks) < _FEWEST_BLOCKS:
            return
        self._gain = np.float32(0)
        powers = np.einsum("ij,ij->i", blocks, blocks)
        quiet = blocks[np.argpartition(powers, _QUIETEST)[:_QUIETEST]]
        rms = float(np.sqrt(np.mean(np.square(quiet))))
        if rms == 0:
            return
        correlation = np.zeros(_ORDER + 1)
        for block in quiet:
            correlation += autocorrelation(block * (_WINDOW / np.float32(rms)), _ORDER + 1)
        levinson(correlation, self._envelope)
        left = np.concatenate([residual(block / np.float32(rms), self._envelope) for block in quiet])
        self._gain = np.float32(np.sqrt(np.mean(np.square(left))) * min(rms, _LOUDEST_RMS))

    def next(self) -> Block:
        """Returns the next 20 ms of it."""
        out = np.zeros(BLOCK, np.float32)
        if self._gain > 0:
            excitation = self._random.standard_normal(BLOCK, np.float32)
            excitation *= self._gain
            synthesise(excitation, self._envelope, self._memory, out)
        return out

    def reset(self) -> None:
        """Forgets the background, and begins anew with the noise."""
        self._random = np.random.default_rng(_SEED)
        self._gain = np.float32(0)
        self._memory[:] = 0
