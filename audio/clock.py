"""The carrier's media clock, as seen through a network that delays what it tells us."""

_DRIFT_MS_PER_S = 0.1


class MediaClock:
    """Tells which moment of the media stream the carrier is at.

    Each block of inbound audio carries its place in the stream, and arrives late by an unknown and
    varying time. The least late block seen so far fixes the clock; the estimate is let go by 100 ppm,
    so that a drifting carrier clock is followed.
    """

    def __init__(self) -> None:
        self._offset_ms: float | None = None
        self._seen_s = 0.0
        self.heard_ms = 0

    def heard(self, end_ms: int, now_s: float) -> None:
        """Audio up to `end_ms` of the stream has arrived at the monotonic time `now_s`."""
        offset_ms = now_s * 1_000 - end_ms
        if self._offset_ms is not None:
            relaxed_ms = self._offset_ms + (now_s - self._seen_s) * _DRIFT_MS_PER_S
            offset_ms = min(offset_ms, relaxed_ms)
        self._offset_ms, self._seen_s = offset_ms, now_s
        self.heard_ms = max(self.heard_ms, end_ms)

    def at_ms(self, now_s: float) -> int:
        """The stream's place at the monotonic time `now_s`; 0 before the first block."""
        if self._offset_ms is None:
            return 0
        return max(self.heard_ms, round(now_s * 1_000 - self._offset_ms))
