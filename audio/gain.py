"""Speech as loud as it is comfortable to hear, whoever speaks and over whatever line."""

import math
from typing import Final

import numpy as np
from scipy.ndimage import minimum_filter1d

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Block

TARGET_DBFS: Final = -20.0
"""Active speech level, RMS re full scale."""
LIMIT_DBFS: Final = -1.0
_MOST_DB: Final = 18.0
_QUIETEST_DBFS: Final = -50.0
_MARGIN_DB: Final = 15.9
"""What is further below the speech of late is pause (ITU-T P.56)."""
_ABOVE_NOISE_DB: Final = 12.0
_NOISE_RISE_DB: Final = 2.0 * BLOCK_MS / 1_000
_LEARNING: Final = BLOCK_MS / 1_000
_FIRST_SPEECH: Final = 1_000 // BLOCK_MS
_UP_DB: Final = 6.0 * BLOCK_MS / 1_000
_DOWN_DB: Final = 12.0 * BLOCK_MS / 1_000
_AHEAD: Final = 5 * RATE_HZ // 1_000
_LIMIT: Final = 10 ** (LIMIT_DBFS / 20) - 1e-6


class AutomaticGain:
    """Brings speech to -20 dBFS by at most 18 dB either way; no sample exceeds -1 dBFS. Delays by 5 ms.

    The gain moves only while somebody speaks (12 dB above the line's noise, at most 15.9 below the speech of
    late), by 6 dB a second up and 12 down, so it neither pumps nor lifts the noise of pauses. It is 1 until a
    second of speech was heard. A limiter that sees 5 ms ahead catches the rest.
    """

    delay_samples: Final = _AHEAD

    def __init__(self) -> None:
        self._level = 0.0
        self._noise_dbfs = 0.0
        self._spoken = 0
        self._gain_db = 0.0
        self._gain = np.float32(1.0)
        self._heard = np.zeros(2 * _AHEAD + BLOCK, np.float32)

    @property
    def gain_db(self) -> float:
        """The gain at present."""
        return self._gain_db

    def process(self, block: Block) -> Block:
        """Takes 20 ms, float32 in [-1, 1]; returns those of 5 ms ago."""
        self._follow(float(np.dot(block, block)) / BLOCK)
        gain = np.float32(10 ** (self._gain_db / 20))
        self._heard[: 2 * _AHEAD] = self._heard[BLOCK:]
        if gain == self._gain:
            np.multiply(block, gain, out=self._heard[2 * _AHEAD :])
        else:
            np.multiply(block, self._gain + (gain - self._gain) * _RAMP, out=self._heard[2 * _AHEAD :])
            self._gain = gain
        return self._limited()

    def _follow(self, power: float) -> None:
        """Learns how loud speech is, and takes the gain a step towards what that asks for."""
        dbfs = 10 * math.log10(power + 1e-12)
        level_dbfs = 10 * math.log10(self._level + 1e-12)
        self._noise_dbfs = min(dbfs, self._noise_dbfs + _NOISE_RISE_DB)
        if dbfs < max(_QUIETEST_DBFS, self._noise_dbfs + _ABOVE_NOISE_DB):
            return
        if self._spoken >= _FIRST_SPEECH and dbfs < level_dbfs - _MARGIN_DB:
            return
        self._spoken += 1
        self._level += (power - self._level) * max(_LEARNING, 1 / self._spoken)
        if self._spoken < _FIRST_SPEECH:
            return
        wanted_db = TARGET_DBFS - 10 * math.log10(self._level + 1e-12)
        step_db = min(max(wanted_db, -_MOST_DB), _MOST_DB) - self._gain_db
        self._gain_db += min(max(step_db, -_DOWN_DB), _UP_DB)

    def _limited(self) -> Block:
        out = self._heard[_AHEAD : _AHEAD + BLOCK]
        peaks = np.abs(self._heard)
        if float(peaks.max()) <= _LIMIT:
            return out.copy()
        allowed = np.minimum(1.0, _LIMIT / np.maximum(peaks, _LIMIT)).astype(np.float64)
        # The least of the 5 ms ahead, averaged over the 5 ms behind: never above what any sample allows.
        least = minimum_filter1d(allowed, _AHEAD + 1, origin=-(_AHEAD // 2))[: _AHEAD + BLOCK]
        total = np.concatenate(([0.0], np.cumsum(least)))
        envelope = (total[_AHEAD + 1 :] - total[: -_AHEAD - 1]) / (_AHEAD + 1)
        return (out * envelope).astype(np.float32)


_RAMP: Final[Block] = (np.arange(1, BLOCK + 1) / BLOCK).astype(np.float32)
