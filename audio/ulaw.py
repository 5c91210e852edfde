"""G.711 mu-law (ITU-T G.711, 1988), table-driven and bit-exact.

Silence is 0xFF (and 0x7F); 0x00 is a full-scale click.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 8_000
SILENCE: Final = b"\xff"

_BIAS: Final = 132
_CLIP: Final = 32_635


def _decoding_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4) & 0x07
    mantissa = code & 0x0F
    magnitude = (((mantissa.astype(np.int32) << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encoding_table() -> NDArray[np.uint8]:
    # In the order of the bit patterns, so that a sample's bits are its place in the table.
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    sign = np.where(sample < 0, 0x80, 0x00)
    # The reference coder works on 14-bit samples: the two lowest bits are dropped towards minus infinity.
    magnitude = np.minimum(np.where(sample < 0, -(sample >> 2), sample >> 2) << 2, _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    code: NDArray[np.int32] = ~(sign | (exponent << 4) | mantissa) & 0xFF
    return code.astype(np.uint8)


_DECODED: Final = _decoding_table()
_ENCODED: Final = _encoding_table()


def decode(chunk: bytes) -> NDArray[np.int16]:
    """Returns one int16 sample a byte."""
    return _DECODED.take(np.frombuffer(chunk, dtype=np.uint8))


def encode(samples: NDArray[np.int16]) -> bytes:
    """Returns one byte an int16 sample."""
    return _ENCODED.take(samples.view(np.uint16)).tobytes()
