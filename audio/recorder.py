"""Both parties of a call on one media clock, in a window that slides with the call."""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.levels import sound_bounds_ms

_GROWTH_S: Final = 4


class Track(IntEnum):
    """Columns of a recording."""

    TRAINEE = 0
    PERSONA = 1


class Recorder:
    """Places audio on two tracks by its time on the media clock, and releases it once it is settled.

    The trainee's audio comes with its time. The persona's is placed when the carrier's receipt tells when
    it was played, which is later: audio younger than `settle_ms` is therefore held back from `take`. The
    last `window_s` seconds stay readable for `sound_bounds`.
    """

    def __init__(self, *, rate_hz: int = 8_000, settle_ms: int = 5_000, window_s: int = 60) -> None:
        assert settle_ms < window_s * 1_000, "what is not yet settled must still be in the window"
        self.rate_hz = rate_hz
        self.lost_samples = 0
        self._settle = settle_ms * rate_hz // 1_000
        self._window = window_s * rate_hz
        self._samples = np.zeros((_GROWTH_S * rate_hz, 2), dtype=np.int16)
        self._start = 0
        self._end = 0
        self._taken = 0

    @property
    def duration_ms(self) -> int:
        """How long the recording is by now."""
        return self._end * 1_000 // self.rate_hz

    def place(self, track: Track, start_ms: float, samples: NDArray[np.int16]) -> None:
        """Puts int16 `samples` on `track`, from `start_ms` on.

        What would land before audio that was already taken is dropped and counted in `lost_samples`.
        """
        first = round(start_ms * self.rate_hz / 1_000)
        late = max(0, self._taken - first)
        if late:
            self.lost_samples += min(late, len(samples))
            samples, first = samples[late:], first + late
        if not len(samples):
            return
        self._reserve(first + len(samples))
        self._samples[first - self._start : first - self._start + len(samples), track] = samples
        self._end = max(self._end, first + len(samples))

    def take(self, *, everything: bool = False) -> NDArray[np.int16]:
        """Returns the int16 frames, shape (n, 2), that are settled and were not taken before."""
        until = self._end if everything else max(self._taken, self._end - self._settle)
        frames = self._samples[self._taken - self._start : until - self._start].copy()
        self._taken = until
        self._forget()
        return frames

    def close(self) -> None:
        """Gives the window's memory back; nothing can be placed, taken or found any more."""
        self._samples = np.zeros((0, 2), dtype=np.int16)
        self._start = self._taken = self._end

    def sound_bounds(self, track: Track, start_ms: float, end_ms: float) -> tuple[int, int] | None:
        """First and last sound on `track` between two times, in ms of the media clock; None if silent."""
        first = max(self._start, round(start_ms * self.rate_hz / 1_000))
        last = min(self._end, round(end_ms * self.rate_hz / 1_000))
        if last <= first:
            return None
        bounds = sound_bounds_ms(self._samples[first - self._start : last - self._start, track], self.rate_hz)
        if bounds is None:
            return None
        origin_ms = first * 1_000 // self.rate_hz
        return origin_ms + bounds[0], origin_ms + bounds[1]

    def _reserve(self, end: int) -> None:
        shortage = end - self._start - len(self._samples)
        if shortage > 0:
            growth = max(shortage, _GROWTH_S * self.rate_hz)
            self._samples = np.concatenate([self._samples, np.zeros((growth, 2), dtype=np.int16)])

    def _forget(self) -> None:
        surplus = min(self._taken, self._end - self._window) - self._start
        if surplus < _GROWTH_S * self.rate_hz:
            return
        kept = self._samples[surplus : self._end - self._start]
        spare = np.zeros((_GROWTH_S * self.rate_hz, 2), dtype=np.int16)
        self._samples = np.concatenate([kept, spare])
        self._start += surplus
