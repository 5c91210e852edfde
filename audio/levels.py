"""Levels in dBFS, and where in a stretch of audio the sound is.

0 dBFS is the RMS of a full-scale square wave.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FULL_SCALE: Final = 32_768.0
_BLOCK_MS: Final = 10
_FLOOR_DBFS: Final = -50.0
_BELOW_LOUDEST_DB: Final = 32.0


def rms_dbfs(samples: NDArray[np.int16]) -> float:
    """Root mean square of int16 samples; -inf for silence or no samples."""
    if not len(samples):
        return float("-inf")
    power = float(np.mean(np.square(samples.astype(np.float64) / FULL_SCALE)))
    return 10.0 * float(np.log10(power)) if power > 0 else float("-inf")


def sound_bounds_ms(samples: NDArray[np.int16], rate_hz: int) -> tuple[int, int] | None:
    """First and last sound in `samples`, in ms from its start, to 10 ms; None if there is none.

    A 10 ms block is sound if it is above -50 dBFS and no more than 32 dB below the loudest one: speech
    spans about 30 dB, and the noise floor of a phone line lies lower (ITU-T P.56 treats activity likewise).
    """
    length = rate_hz * _BLOCK_MS // 1_000
    blocks = len(samples) // length
    if not blocks:
        return None
    power = np.mean(np.square(samples[: blocks * length].reshape(blocks, length) / FULL_SCALE), axis=1)
    loudest = float(power.max())
    threshold = max(10 ** (_FLOOR_DBFS / 10), loudest * 10 ** (-_BELOW_LOUDEST_DB / 10))
    active = np.flatnonzero(power >= threshold)
    if not len(active):
        return None
    return int(active[0]) * _BLOCK_MS, (int(active[-1]) + 1) * _BLOCK_MS
