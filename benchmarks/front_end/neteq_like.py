"""The adaptive jitter buffer that others are measured by."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.blocks import BLOCK_MS


class NetEqLike:
    """WebRTC's NetEQ as far as delay goes, after its published constants; our own writing, without sound.

    It is favoured: every stretch succeeds at once, and takes or gives 8 ms.
    """

    _STEP_MS: Final = 10
    _STRETCH_MS: Final = 8.0
    _STRETCH_EVERY: Final = 5
    _BUCKET_MS: Final = 20
    _FORGETTING: Final = 0.983
    _QUANTILE: Final = 0.95
    _MS_PER_PERCENT_LOST: Final = 20.0

    def __init__(self) -> None:
        self.concealed_ms = self.stretched_ms = self.discarded_ms = 0.0
        self.position_ms: float | None = None
        self._arrived: set[int] = set()
        self._newest = -1
        self._offsets: list[tuple[float, float]] = []
        self._resampled: list[float] = []
        self._resampled_since = 0.0
        self._underrun = np.zeros(100)
        self._reordered = np.zeros(100)
        self._updates = 0
        self._target_ms = 80.0
        self._level_ms: float | None = None
        self._since_stretch = 0

    def push(self, number: int, now_ms: float) -> None:
        """Takes the packet of that number."""
        self.position_ms = float(number * BLOCK_MS) if self.position_ms is None else self.position_ms
        if (number + 1) * BLOCK_MS <= self.position_ms:
            self.discarded_ms += BLOCK_MS
        else:
            self._arrived.add(number)
        self._offsets = [(at, off) for at, off in self._offsets if at > now_ms - 2_000]
        offset = now_ms - number * BLOCK_MS
        self._offsets.append((now_ms, offset))
        late_ms = offset - min(off for _, off in self._offsets)
        reordered = number < self._newest
        self._newest = max(self._newest, number)
        self._learn_reordering(late_ms if reordered else 0.0)
        if not reordered:
            self._learn(late_ms, now_ms)

    def tick(self, now_ms: float) -> None:
        """Plays the next 10 ms."""
        if self.position_ms is None:
            return
        self._since_stretch += 1
        change_ms = self._stretch()
        if int(self.position_ms // BLOCK_MS) in self._arrived:
            self.position_ms += change_ms
        left_ms = float(self._STEP_MS)
        while left_ms > 0 and int(self.position_ms // BLOCK_MS) in self._arrived:
            here_ms = min(left_ms, BLOCK_MS - self.position_ms % BLOCK_MS)
            self.position_ms += here_ms
            left_ms -= here_ms
        if left_ms > 0:
            self.concealed_ms += left_ms
            later = [number * BLOCK_MS for number in self._arrived if number * BLOCK_MS > self.position_ms]
            if later and self._level() > 4 * self._target_ms:
                self.position_ms = float(min(later))
            elif later:
                self.position_ms += left_ms
        gone = int((self.position_ms - self._STRETCH_MS) // BLOCK_MS)
        self._arrived = {number for number in self._arrived if number >= gone}

    def _level(self) -> float:
        assert self.position_ms is not None
        return max(0.0, (max(self._arrived, default=-1) + 1) * BLOCK_MS - self.position_ms)

    def _stretch(self) -> float:
        level = self._level()
        keep = 251 / 256 if self._target_ms <= 20 else 252 / 256 if self._target_ms <= 60 else 254 / 256
        self._level_ms = level if self._level_ms is None else keep * self._level_ms + (1 - keep) * level
        low = max(self._target_ms * 0.75, self._target_ms - 85)
        high = max(self._target_ms, low + 20)
        if self._level_ms >= 4 * high and level > 30:
            change = self._STRETCH_MS
        elif self._since_stretch < self._STRETCH_EVERY:
            return 0.0
        elif self._level_ms >= high and level > 30:
            change = self._STRETCH_MS
        elif self._level_ms < low:
            change = -self._STRETCH_MS
        else:
            return 0.0
        self._since_stretch = 0
        self._level_ms -= change
        self.stretched_ms += abs(change)
        return change

    def _learn(self, late_ms: float, now_ms: float) -> None:
        self._resampled.append(late_ms)
        if now_ms - self._resampled_since < 500:
            return
        self._add(self._underrun, max(self._resampled))
        self._resampled, self._resampled_since = [], now_ms
        self._updates += 1
        bucket = int(np.searchsorted(np.cumsum(self._underrun), self._QUANTILE * self._underrun.sum()))
        costs = [
            place * self._BUCKET_MS + self._MS_PER_PERCENT_LOST * 100 * share
            for place, share in enumerate(1 - np.cumsum(self._reordered))
        ]
        reorder_ms = int(np.argmin(costs)) * self._BUCKET_MS
        self._target_ms = float(max((1 + bucket) * self._BUCKET_MS, reorder_ms + self._BUCKET_MS))

    def _learn_reordering(self, late_ms: float) -> None:
        if self._reordered.sum() == 0:
            self._reordered[0] = 1.0
        self._reordered *= 0.9993
        self._reordered[min(int(late_ms // self._BUCKET_MS), 99)] += 0.0007

    def _add(self, buckets: NDArray[np.floating], late_ms: float) -> None:
        forgetting = min(self._FORGETTING, 1 - 2 / (self._updates + 2)) if self._updates else 0.0
        buckets *= forgetting
        buckets[min(int(late_ms // self._BUCKET_MS), 99)] += 1 - forgetting
