"""How late packets come: against the least late one, and as a distribution that forgets."""

from typing import Final

from audio.blocks import RATE_HZ

BIN_MS: Final = 5
MOST_LATE_MS: Final = 1_000
"""Anything later than that is counted as so late."""

_BINS: Final = MOST_LATE_MS // BIN_MS + 1
_HEAVIEST: Final = 1e9
_LET_GO_MS_PER_S: Final = 0.25
_LOOK_BACK_MS: Final = 10_000.0
_NEW_PATH_MS: Final = 20.0


class LatenessHistogram:
    """One quantile of how late packets come, in bins of 5 ms from 0 to 1000 ms; what is long ago counts less.

    Forgetting is as in WebRTC's NetEQ (each value weighs `forgetting` times the one after it), but newer
    values are made heavier instead of all others lighter, and the quantile's bin is followed as values come
    in: adding one takes constant time on average.
    """

    def __init__(
        self, share: float, *, forgetting: float, prior_ms: float = 0.0, prior_weight: float = 0.0
    ) -> None:
        """`share` (0-1) of what came lies at or below the quantile; the prior counts as so many values."""
        assert 0 < share < 1, "a quantile lies between none and all"
        assert 0 < forgetting < 1, "what is never forgotten, or at once, is no histogram"
        self._share = share
        self._forgetting = forgetting
        self._all_forgotten = int(40 / (1 - forgetting))
        self._weights = [0.0] * _BINS
        self._newest = 1.0
        self._total = 0.0
        self._bin = 0
        self._below = 0.0
        if prior_weight > 0:
            self._put(prior_ms, prior_weight)

    @property
    def quantile_ms(self) -> int:
        """`share` of what came was at most so late, to the upper end of a bin; 0 is not late at all."""
        return self._bin * BIN_MS

    @property
    def estimate_ms(self) -> float:
        """The same, as if what came were spread evenly over its bin."""
        if self._bin == 0:
            return 0.0
        part = (self._share * self._total - self._below) / max(self._weights[self._bin], 1e-300)
        return (self._bin - 1 + min(max(part, 0.0), 1.0)) * BIN_MS

    def add(self, late_ms: float, times: int = 1) -> None:
        """Counts `times` packets, each so late; what is not late at all, or early, is 0."""
        if times <= 0:
            return
        grown = self._forgetting ** -min(times, self._all_forgotten)
        weight = self._newest * (grown - 1) / (1 - self._forgetting)
        self._newest *= grown
        self._put(late_ms, weight)
        if self._newest > _HEAVIEST:
            self._lighten()

    def shift(self, earlier_ms: float) -> None:
        """Everything that was counted is taken to have been so much less late."""
        bins = min(round(earlier_ms / BIN_MS), _BINS - 1)
        if bins > 0:
            kept = self._weights[bins:]
            kept[0] += sum(self._weights[:bins])
            self._weights = kept + [0.0] * bins
            self._lighten()

    def _put(self, late_ms: float, weight: float) -> None:
        late_bin = -int(-min(max(late_ms, 0.0), MOST_LATE_MS) // BIN_MS)
        self._weights[late_bin] += weight
        self._total += weight
        if late_bin < self._bin:
            self._below += weight
        self._follow()

    def _follow(self) -> None:
        wanted = self._share * self._total
        while self._below + self._weights[self._bin] < wanted and self._bin < _BINS - 1:
            self._below += self._weights[self._bin]
            self._bin += 1
        while self._bin > 0 and self._below >= wanted:
            self._bin -= 1
            self._below -= self._weights[self._bin]

    def _lighten(self) -> None:
        """The same distribution in numbers of ordinary size, and rid of what rounding left."""
        self._weights = [weight / self._newest for weight in self._weights]
        self._newest = 1.0
        self._total = sum(self._weights)
        self._below = sum(self._weights[: self._bin])
        self._follow()


class PathDelay:
    """How much later than the least late packet each one comes, whatever the two clocks read.

    The least late packet fixes when packets are due. That is let go by 250 ppm, more than clocks drift, so
    a drifting sender is followed; a path that has become longer is noticed after ten seconds.
    """

    def __init__(self) -> None:
        self._due_ms: float | None = None
        self._seen_ms = 0.0
        self._least_ms = float("inf")
        self._since_ms = 0.0

    @property
    def due_ms(self) -> float:
        """When the media clock's zero is due, on the clock of `now_ms`; needs a packet to have come."""
        assert self._due_ms is not None
        return self._due_ms

    def late_ms(self, start: int, now_ms: float) -> float:
        """Takes a packet that arrives now; returns how late it is. Below 0, it is the least late so far."""
        offset_ms = now_ms - start * 1_000 / RATE_HZ
        if self._due_ms is None:
            self._due_ms, self._seen_ms, self._since_ms = offset_ms, now_ms, now_ms
        due_ms = self._due_ms + max(now_ms - self._seen_ms, 0.0) * _LET_GO_MS_PER_S / 1_000
        late_ms = offset_ms - due_ms
        self._due_ms, self._seen_ms = min(offset_ms, due_ms), max(now_ms, self._seen_ms)
        self._least_ms = min(self._least_ms, late_ms)
        return late_ms

    def longer_by_ms(self, now_ms: float) -> float:
        """By how much the path has become longer for good, mostly 0; packets are due so much later then."""
        if self._due_ms is None or now_ms - self._since_ms < _LOOK_BACK_MS:
            return 0.0
        least_ms, self._least_ms, self._since_ms = self._least_ms, float("inf"), now_ms
        if not _NEW_PATH_MS < least_ms < float("inf"):
            return 0.0
        whole_ms = least_ms // BIN_MS * BIN_MS
        self._due_ms += whole_ms
        return whole_ms

    def restart(self, start: int, now_ms: float) -> None:
        """The sender's clock leapt: a packet that begins at `start` and arrives now is due now."""
        self._due_ms = now_ms - start * 1_000 / RATE_HZ
        self._seen_ms, self._since_ms, self._least_ms = now_ms, now_ms, float("inf")
