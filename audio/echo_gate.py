"""What turn-taking hears while the persona speaks: the trainee, but not what is left of the echo."""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from audio.blocks import BLOCK, RATE_HZ, Block

_SIZE: Final = 256
_OVERLAP: Final = _SIZE - BLOCK
_LOWEST_HZ: Final = 250
_HIGHEST_HZ: Final = 3_500
_BANDS: Final = 15
_EDGES: Final[NDArray[np.int64]] = np.rint(
    np.linspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1) * _SIZE / RATE_HZ
).astype(np.int64)
_OPEN_BANDS: Final = 3
_ABOVE_LEAK: Final = 4.0
_ABOVE_NOISE: Final = 4.0
_COMPANDED: Final = 1e-3
"""What companding and codecs leave of an echo, in every band."""
_CLOSED: Final = np.float32(10 ** (-40 / 20))
_TAIL: Final = 0.3
_SMOOTHING: Final = 0.8
_NOISE_RISE: Final = 1.01
_LEAST_LEAK: Final = 0.001
_LEAK_RISE: Final = 1.3
_LEAK_RISE_OPEN: Final = 1.03
_LEAK_FALL: Final = 0.97
_FAINTEST_POWER: Final = 3e-4
"""Of the echo's spectrum: about -79 dBFS."""
_LEAST_NOISE: Final = 1e-9
_SURE_BLOCKS: Final = 3
_HELD_BLOCKS: Final = 5
"""Where the near end has been heard for some blocks, its softest sounds pass too."""

_DELAY_BLOCKS: Final = 56
"""More than the longest delay of an echo."""
_RETURNED_BLOCKS: Final = 10
_DOUBTED_BLOCKS: Final = 90
_OPEN_BLOCKS: Final = 15
_SPEECH_POWER: Final = 10 ** (-45 / 10)
_LOUDEST_ECHO: Final = 10 ** (-5 / 10)
_FAINTEST_ECHO: Final = 10 ** (-30 / 10)


def _window() -> Block:
    """Rises over what was heard before, falls at the very end: a spectrum of the newest block above all."""
    rise = np.sin(np.pi / 2 * (np.arange(_OVERLAP) + 0.5) / _OVERLAP) ** 2
    fall = np.cos(np.pi / 2 * (np.arange(32) + 0.5) / 32) ** 2
    return np.concatenate([rise, np.ones(BLOCK - 32), fall]).astype(np.float32)


_WINDOW: Final = _window()
_FADE: Final[Block] = np.minimum(np.arange(1, BLOCK + 1) / 40, 1).astype(np.float32)
_LEAK, _ECHO, _HEARD, _NOISE = range(4)


_REVERSED: Final[NDArray[np.int64]] = np.array(
    [int(f"{n:08b}"[::-1], 2) for n in range(_SIZE)], dtype=np.int64
)
_TWIDDLES: Final[NDArray[np.complex64]] = np.exp(-2j * np.pi * np.arange(_SIZE // 2) / _SIZE).astype(
    np.complex64
)


@njit(cache=True, fastmath=True, nogil=True)
def _transform(
    sound: NDArray[np.complex64], residual: Block, echo: Block, spectrum: NDArray[np.complex64]
) -> None:
    """Appends a block to `sound` and transforms it, by radix 2: calling a library takes far longer."""
    for n in range(_OVERLAP):
        sound[n] = sound[n + BLOCK]
    for n in range(BLOCK):
        sound[n + _OVERLAP] = np.complex64(complex(residual[n], echo[n]))
    for n in range(_SIZE):
        spectrum[n] = sound[_REVERSED[n]] * _WINDOW[_REVERSED[n]]
    half = 1
    while half < _SIZE:
        stride = _SIZE // (2 * half)
        for start in range(0, _SIZE, 2 * half):
            for k in range(half):
                even = spectrum[start + k]
                odd = spectrum[start + half + k] * _TWIDDLES[k * stride]
                spectrum[start + k] = even + odd
                spectrum[start + half + k] = even - odd
        half *= 2


@njit(cache=True, fastmath=False, nogil=True)
def _near_end(spectrum: NDArray[np.complex64], bands: NDArray[np.float32], tail: NDArray[np.float32]) -> bool:
    """Whether the near end sounds in this block; learns the leak and the noise.

    The spectrum is that of the residual plus i times the echo: the one is its even part, the other its odd.
    """
    residual = np.zeros(_BANDS, np.float32)
    total = np.float32(0)
    for b in range(_BANDS):
        echo = np.float32(0)
        for k in range(_EDGES[b], _EDGES[b + 1]):
            one, other = spectrum[k], np.conj(spectrum[_SIZE - k])
            even, odd = one + other, one - other
            residual[b] += np.float32(0.25) * (even.real**2 + even.imag**2)
            echo += np.float32(0.25) * (odd.real**2 + odd.imag**2)
        total += echo
        bands[_ECHO, b] = max(echo, bands[_ECHO, b] * np.float32(_TAIL))
    tail[0] = max(total, tail[0] * np.float32(_TAIL))
    heard = 0
    for b in range(_BANDS):
        if not np.isfinite(bands[_NOISE, b]):
            bands[_HEARD, b] = residual[b]
        bands[_HEARD, b] += np.float32(1 - _SMOOTHING) * (residual[b] - bands[_HEARD, b])
        risen = bands[_NOISE, b] * np.float32(_NOISE_RISE) + np.float32(_LEAST_NOISE)
        bands[_NOISE, b] = min(bands[_HEARD, b], risen)
        leaking = np.float32(_ABOVE_LEAK) * bands[_LEAK, b] * bands[_ECHO, b]
        leaking += np.float32(_COMPANDED) * tail[0]
        heard += residual[b] > leaking + np.float32(_ABOVE_NOISE) * bands[_NOISE, b]
    is_open = heard >= _OPEN_BANDS or total < _FAINTEST_POWER
    rise = np.float32(_LEAK_RISE_OPEN if is_open else _LEAK_RISE)
    for b in range(_BANDS):
        if bands[_ECHO, b] > np.float32(_ABOVE_NOISE) * bands[_NOISE, b]:
            if residual[b] > bands[_LEAK, b] * bands[_ECHO, b]:
                bands[_LEAK, b] = min(np.float32(1), bands[_LEAK, b] * rise)
            else:
                bands[_LEAK, b] = max(np.float32(_LEAST_LEAK), bands[_LEAK, b] * np.float32(_LEAK_FALL))
    return bool(is_open)


class EchoGate:
    """Turns blocks down by 40 dB in which nothing but echo is left; adds no delay.

    A block passes if some of its bands hold more than the echo leaks there, and more than noise. How much
    leaks is learnt where the gate is closed, fast upwards and slowly down, so that it is seldom exceeded.
    """

    def __init__(self) -> None:
        self._sound = np.zeros(_SIZE, np.complex64)
        self._spectrum = np.zeros(_SIZE, np.complex64)
        self._bands = np.zeros((4, _BANDS), np.float32)
        self._tail = np.zeros(1, np.float32)
        self._gain = np.float32(1)
        self._run = self._held = 0
        self.reset()

    def process(self, residual: Block, echo: Block) -> Block:
        """Takes what the canceller left and what it took away, both BLOCK long; returns what may be heard."""
        _transform(self._sound, residual, echo, self._spectrum)
        near_end = _near_end(self._spectrum, self._bands, self._tail)
        self._run = self._run + 1 if near_end else 0
        self._held = _HELD_BLOCKS if self._run >= _SURE_BLOCKS else max(0, self._held - 1)
        return self._faded(residual, np.float32(1) if near_end or self._held else _CLOSED)

    def reset(self) -> None:
        """Forgets all sound, and how much leaks."""
        self._sound[:] = 0
        self._bands[:] = 0
        self._bands[_LEAK] = 1
        self._bands[_NOISE] = np.inf
        self._tail[:] = 0
        self._run = self._held = 0
        self._gain = np.float32(1)

    def _faded(self, block: Block, gain: np.float32) -> Block:
        if gain == self._gain:
            return block if gain == 1 else block * gain
        faded = self._gain + (gain - self._gain) * _FADE
        faded *= block
        self._gain = gain
        return faded


class EchoGuard:
    """Tells whether a block may be echo, as long as no filter has learnt it.

    It may if it is quieter than what was played in the last second by as much as an echo is, and not by so
    much that it doesn't matter. What is louder opens for a while. All that is believed for two seconds of
    such sound, or until the near end has kept quiet as long as an echo can take: then this line has none.
    """

    def __init__(self) -> None:
        self._played = np.zeros(_DELAY_BLOCKS, np.float32)
        self._turn = 0
        self._was_played = False
        self._doubts = _DOUBTED_BLOCKS
        self._quiet = self._returned = self._open = 0

    def hear(self, far_power: float) -> None:
        """Takes the mean square of the far end's next block."""
        self._was_played = bool(self._played[self._turn] > _SPEECH_POWER)
        self._played[self._turn] = far_power
        self._turn = (self._turn + 1) % _DELAY_BLOCKS

    def may_be_echo(self, near_power: float, *, seen: bool) -> bool:
        """Takes the mean square of the near end's block, and whether an echo was seen on this line."""
        if not self._doubts and not seen:
            return False
        loudest = float(self._played.max())
        is_quiet = near_power <= loudest * _FAINTEST_ECHO
        self._quiet = self._quiet + 1 if is_quiet else 0
        if self._was_played and self._quiet >= _DELAY_BLOCKS:
            self._returned += 1
            if self._returned >= _RETURNED_BLOCKS:
                self._doubts = 0
        if near_power > loudest * _LOUDEST_ECHO:
            # Line noise is louder than the onset of a word that is played, and opens nothing.
            self._open = _OPEN_BLOCKS if near_power > _SPEECH_POWER else self._open
            return False
        if self._open:
            self._open -= 1
        elif not is_quiet:
            self._doubts -= not seen
            return True
        return False
