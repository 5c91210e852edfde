"""What of a voice's spectrum a line lets through."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from audio.blocks import BLOCK, RATE_HZ, Block

_RIPPLE_DB: Final = 1.0
_HALF_ORDER: Final = 4
_FORGOTTEN: Final = 1e-12
"""State of a filter below which it counts as silence; it would decay into denormal numbers."""


@dataclass(frozen=True, slots=True)
class Band:
    """The edges of a band, and how soon loud sound is squashed in front of it (0: not at all)."""

    low_hz: float
    high_hz: float
    drive: float = 0.0


BANDS: Final[Mapping[str, Band]] = {
    "telephone": Band(300, 3_400),
    "mobile": Band(200, 2_600),
    "radio": Band(500, 2_500, drive=2.0),
}
"""`telephone`: as ITU-T G.712. `mobile`: a handset in a hand or a pocket, fuller below and dull above.
`radio`: a hand-held two-way radio, whose modulator limits what is loud."""


def sections(name: str) -> NDArray[np.float64]:
    """Returns a band's filter as second-order sections, (n, 6): Chebyshev, 1 dB of ripple, edges at -1 dB."""
    band = BANDS[name]
    edges = (band.low_hz, band.high_hz)
    return np.asarray(signal.cheby1(_HALF_ORDER, _RIPPLE_DB, edges, "bandpass", output="sos", fs=RATE_HZ))


class BandFilter:
    """Lets the band of one line through. Causal; later only by the filter's phase, a few ms at its edges."""

    def __init__(self, name: str) -> None:
        """`name`: one of BANDS. KeyError if it is not."""
        self._drive = np.float32(BANDS[name].drive)
        self._sections = sections(name)
        self._memory = np.zeros((len(self._sections), 2))

    def process(self, block: Block) -> Block:
        """Returns 20 ms, float32, as long as what was given; may go a little beyond [-1, 1]."""
        if self._drive:
            block = np.tanh(block * self._drive) / self._drive
        out = np.empty(BLOCK, np.float32)
        _filter(block, self._sections, self._memory, out)
        return out


@njit(cache=True, fastmath=False, nogil=True)
def _filter(sound: Block, sections: NDArray[np.float64], memory: NDArray[np.float64], out: Block) -> None:
    """Runs second-order sections, transposed direct form II."""
    count = sections.shape[0]
    for n in range(sound.shape[0]):
        value = np.float64(sound[n])
        for k in range(count):
            b0, b1, b2, a1, a2 = (
                sections[k, 0],
                sections[k, 1],
                sections[k, 2],
                sections[k, 4],
                sections[k, 5],
            )
            after = b0 * value + memory[k, 0]
            memory[k, 0] = b1 * value - a1 * after + memory[k, 1]
            memory[k, 1] = b2 * value - a2 * after
            value = after
        out[n] = value
    for k in range(count):
        for j in range(2):
            if abs(memory[k, j]) < _FORGOTTEN:
                memory[k, j] = 0.0
