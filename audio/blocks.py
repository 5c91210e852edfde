"""Blocks: 20 ms of telephone sound, the unit in which the front end works."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""Mono PCM of any length."""

Block = NDArray[np.float32]
"""Mono float32 in [-1, 1], `BLOCK` long unless told otherwise; 1.0 is 32768 in int16."""

RATE_HZ: Final = 8_000
BLOCK_MS: Final = 20
BLOCK: Final = RATE_HZ * BLOCK_MS // 1_000

_SCALE: Final = np.float32(32_768.0)


def to_block(samples: Samples) -> Block:
    """Returns int16 samples as float32; exact, `to_samples` gives them back bit by bit."""
    return samples.astype(np.float32) / _SCALE


def to_samples(block: Block) -> Samples:
    """Returns a block as int16 samples, rounded to the nearest; what is beyond full scale is clipped."""
    samples: Samples = np.clip(np.rint(block * _SCALE), -32_768, 32_767).astype(np.int16)
    return samples
