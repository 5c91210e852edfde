"""How late the echo comes: the bulk delay between what was played and what came back of it."""

from typing import Final

import numpy as np
from scipy import fft

from audio.blocks import BLOCK, RATE_HZ, Block

_WINDOW: Final = 8_192
_SIZE: Final = 2 * _WINDOW
MOST_DELAY_MS: Final = _WINDOW * 1_000 // RATE_HZ - 24
"""The longest delay that can be found."""

_HOP_BLOCKS: Final = 10
_LOWEST_HZ: Final = 250
_HIGHEST_HZ: Final = 3_500
_WHITENING: Final = 0.8
_MEMORY: Final = 0.45
_CONFIDENT: Final = 1.25
_NEIGHBOURHOOD: Final = RATE_HZ * 8 // 1_000
"""Peaks closer together than this are one path and its early reflections."""
_SPEECH_POWER: Final = 10 ** (-50 / 10)
_FEWEST_SPEECH_BLOCKS: Final = 20
_FAINTEST_CROSS_POWER: Final = 1e-12

_LOW: Final = _LOWEST_HZ * _SIZE // RATE_HZ
_HIGH: Final = _HIGHEST_HZ * _SIZE // RATE_HZ


class History:
    """The last seconds of both ends, the far end's somewhat further back."""

    def __init__(self) -> None:
        self._near = np.zeros(2 * _SIZE, np.float32)
        self._far = np.zeros(2 * _SIZE, np.float32)
        self._end = _SIZE
        self.speech_blocks = 0
        """How many of the last blocks of the far end were speech, two seconds long."""
        self._speech = np.zeros(_SIZE // BLOCK, np.bool_)
        self._turn = 0

    def push(self, near: Block, far: Block, far_power: float) -> None:
        """Takes the next block of both, and the mean square of the far end's."""
        if self._end + BLOCK > len(self._far):
            for sound in (self._near, self._far):
                sound[:_SIZE] = sound[self._end - _SIZE : self._end]
            self._end = _SIZE
        self._near[self._end : self._end + BLOCK] = near
        self._far[self._end : self._end + BLOCK] = far
        self._end += BLOCK
        is_speech = far_power > _SPEECH_POWER
        self.speech_blocks += int(is_speech) - int(self._speech[self._turn])
        self._speech[self._turn] = is_speech
        self._turn = (self._turn + 1) % len(self._speech)

    def move_far(self, samples: int) -> None:
        """The far end's was `samples` later than it was said to be; earlier, if negative."""
        kept = np.zeros(_SIZE, np.float32)
        old = self._far[self._end - _SIZE : self._end]
        if samples >= 0:
            kept[samples:] = old[: max(0, _SIZE - samples)]
        else:
            kept[:samples] = old[-samples:]
        old[:] = kept

    def near(self, samples: int, *, back: int = 0) -> Block:
        """A view of the near end's last `samples`, or of those up to `back` samples ago."""
        return self._near[self._end - back - samples : self._end - back]

    def far(self, samples: int, *, back: int = 0) -> Block:
        """A view of the far end's."""
        return self._far[self._end - back - samples : self._end - back]


class EchoDelay:
    """Finds the delay by generalised cross-correlation with (partial) phase transform.

    Knapp and Carter, The Generalized Correlation Method for Estimation of Time Delay, IEEE TASSP 1976. The
    spectra are averaged exponentially. An estimate takes four blocks' time, so that no block bears it all.
    """

    def __init__(self) -> None:
        self.correlation = np.zeros(_WINDOW, np.float32)
        """Of both ends, lag by lag, as last estimated."""
        self._average = np.zeros(_HIGH - _LOW, np.complex64)
        self._near = np.zeros(_SIZE, np.float32)
        self._spectrum = np.zeros(_SIZE // 2 + 1, np.complex64)
        self._step = 0

    def process(self, history: History) -> int | None:
        """To be called for every block; returns the lag in samples whenever it found one with confidence."""
        step, self._step = self._step, (self._step + 1) % _HOP_BLOCKS
        match step:
            case 0:
                if history.speech_blocks < _FEWEST_SPEECH_BLOCKS:
                    self._step = 0
                    return None
                self._near[_WINDOW:] = history.near(_WINDOW)
                self._cross = fft.rfft(history.far(_SIZE))[_LOW:_HIGH]
            case 1:
                np.conjugate(self._cross, out=self._cross)
                self._cross *= fft.rfft(self._near)[_LOW:_HIGH]
            case 2:
                self._add()
            case 3:
                self._spectrum[_LOW:_HIGH] = self._average
                self.correlation = fft.irfft(self._spectrum)[:_WINDOW]
                return self._peak(self.correlation)
        return None

    def reset(self) -> None:
        """Forgets what was found."""
        self._average[:] = 0
        self._step = 0

    def _add(self) -> None:
        power = np.square(self._cross.real)
        power += np.square(self._cross.imag)
        power += np.float32(_FAINTEST_CROSS_POWER)
        self._cross *= power ** np.float32(-_WHITENING / 2)
        self._average *= np.float32(_MEMORY)
        self._average += self._cross

    def _peak(self, correlation: Block) -> int | None:
        size = np.abs(correlation)
        best = int(size.argmax())
        peak = float(size[best])
        size[max(0, best - _NEIGHBOURHOOD) : best + _NEIGHBOURHOOD] = 0
        return best if peak > _CONFIDENT * float(size.max()) and peak > 0 else None
