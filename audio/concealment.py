"""Packet loss concealment: what is heard in place of blocks that never came."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Block
from audio.comfort_noise import ComfortNoise
from audio.continuation import HISTORY, Continuation, PitchRepetition, Prediction, Repetition, SourceFilter
from audio.interpolation import REACH, led_into

_REMEMBERED: Final = 2_000 // BLOCK_MS
_NOISE_FROM: Final = 40 // BLOCK_MS
_RECOVERY: Final = 3 * RATE_HZ // 1_000
_RECENT: Final = HISTORY // BLOCK
_FULL_SCALE: Final = np.float32(1)


class Concealer(Protocol):
    """Makes a gap less heard. Blocks are float32, BLOCK long, in [-1, 1]."""

    delay_samples: int
    """By how much every block is delayed, lost or not."""

    def good(self, block: Block) -> Block:
        """Takes a block that arrived. Returns it as it is, but led over to after a loss."""

    def lost(self, following: Block | None = None) -> Block:
        """Returns what stands in for a block that did not arrive.

        `following` is the next one, if that is here already.
        """

    def reset(self) -> None:
        """Forgets all sound."""


def _gains(*points: tuple[float, float]) -> Block:
    """The gain of each sample of a gap, in straight lines between points of (ms, gain); whole blocks."""
    times_ms, gains = zip(*points, strict=True)
    blocks = -(-int(times_ms[-1]) // BLOCK_MS)
    samples_ms = np.arange(blocks * BLOCK) * 1_000 / RATE_HZ
    return np.asarray(np.interp(samples_ms, times_ms, gains), np.float32)


_BRIEF: Final = _gains((10, 1), (60, 0))
_LONG: Final = _gains((0, 1), (20, 0.6), (60, 0.4), (140, 0))
"""A guess that may be wrong is better quieter than what it stands for."""

_RAMP: Final[Block] = ((np.arange(_RECOVERY) + 0.5) / _RECOVERY).astype(np.float32)
_BLOCK_RAMP: Final[Block] = ((np.arange(BLOCK) + 0.5) / BLOCK).astype(np.float32)


class GapConcealer:
    """Lets a continuation speak on in a gap, fading; from 40 ms on the background's noise joins in.

    The block after a gap is faded in over 3 ms, or not at all if what stood in for the last one led to it
    already. The background is looked for in the good blocks of the last two seconds, only when it is needed.
    """

    def __init__(self, continuation: Continuation, fading: Block) -> None:
        """`fading`: the gain of the continuation at each sample of a gap; as long as some blocks."""
        self.delay_samples = 0
        self._continuation = continuation
        self._fading = fading
        self._noise = ComfortNoise()
        self._blocks = np.zeros((_REMEMBERED, BLOCK), np.float32)
        self._arrived = np.zeros(_REMEMBERED, np.bool_)
        self._row = 0
        self._gap = 0
        self._following: Block | None = None

    def good(self, block: Block) -> Block:
        """See Concealer."""
        if self._gap:
            block = self._back(block)
        self._remember(block, arrived=True)
        return block

    def lost(self, following: Block | None = None) -> Block:
        """See Concealer."""
        if self._gap == 0 or self._following is not None:
            self._continuation.begin(self._recent())
        block = self._made_up() if following is None else led_into(self._made_up(REACH), following)
        self._gap += 1
        self._following = following
        block = _clipped(block)
        self._remember(block, arrived=False)
        return block

    def reset(self) -> None:
        """See Concealer."""
        self._continuation.reset()
        self._noise.reset()
        self._blocks[:] = 0
        self._arrived[:] = False
        self._row = self._gap = 0
        self._following = None

    def _back(self, block: Block) -> Block:
        if self._following is not None and np.array_equal(block, self._following):
            self._gap, self._following = 0, None
            return block
        made_up = self._made_up()[:_RECOVERY]
        self._gap, self._following = 0, None
        block = block.copy()
        block[:_RECOVERY] = made_up + (block[:_RECOVERY] - made_up) * _RAMP
        return _clipped(block)

    def _made_up(self, further: int = 0) -> Block:
        """The next block of the gap, and `further` samples."""
        start, samples = self._gap * BLOCK, BLOCK + further
        if start < len(self._fading):
            gains = self._fading[start : start + samples]
            block = self._continuation.extend(samples)
            block[: len(gains)] *= gains
            block[len(gains) :] = 0
        else:
            block = np.zeros(samples, np.float32)
        if self._gap >= _NOISE_FROM:
            if self._gap == _NOISE_FROM:
                self._noise.learn(self._blocks[self._arrived])
            noise = self._noise.next()
            block[:BLOCK] += noise * _BLOCK_RAMP if self._gap == _NOISE_FROM else noise
        return block

    def _remember(self, block: Block, *, arrived: bool) -> None:
        row = self._row
        self._blocks[row] = block
        self._arrived[row] = arrived
        self._row = row + 1 if row + 1 < _REMEMBERED else 0

    def _recent(self) -> Block:
        row = self._row
        if row >= _RECENT:
            return self._blocks[row - _RECENT : row].reshape(-1)
        return np.concatenate((self._blocks[row - _RECENT :], self._blocks[:row])).reshape(-1)


def _clipped(block: Block) -> Block:
    np.minimum(block, _FULL_SCALE, out=block)
    return np.maximum(block, -_FULL_SCALE, out=block)


CONCEALERS: Final[Mapping[str, Callable[[], Concealer]]] = {
    "repeat": lambda: GapConcealer(Repetition(), _BRIEF),
    "linear": lambda: GapConcealer(Prediction(), _BRIEF),
    "spectral": lambda: GapConcealer(SourceFilter(), _LONG),
    "waveform": lambda: GapConcealer(PitchRepetition(), _BRIEF),
}
"""How speech goes on in a gap, by name; none adds delay.

`repeat`: the last block again. `linear`: prediction of each sample from those before it. (True linear
interpolation needs the block behind the gap, so 20 ms of delay, and is no better than silence; if that block
is here anyway, every method leads over to it.) `spectral`: spectral envelope, pitch and voicing; the best.
`waveform`: the last pitch periods again, in the manner of ITU-T G.711 Appendix I.
"""


def warm_up() -> None:
    """Runs everything once, so that no call waits for compiled code. Takes seconds at first."""
    block = np.sin(np.arange(BLOCK, dtype=np.float32))
    for make in CONCEALERS.values():
        concealer = make()
        for _ in range(_REMEMBERED):
            concealer.good(block)
        for following in (None, None, None, block):
            concealer.lost(following)
        concealer.good(block)
