"""Unvoiced sounds within speech, which detectors of voice take for silence."""

import math
from collections import deque
from typing import Final

_QUIETEST_DBFS: Final = -60.0
_ABOVE_FLOOR_DB: Final = 15.0
_BELOW_SPEECH_DB: Final = 26.0
_FLOOR_WINDOW_MS: Final = 3_000
_SPEECH_DECAY_DB_PER_S: Final = 6.0


class UnvoicedSound:
    """Tells by level whether speech goes on where no voice is detected: in an "s", an "f", an aspirated "t".

    Such a sound lies well above the line's noise floor (the quietest moment of the last 3 s), not too far
    below the speech around it, and does not last: after `longest_ms` without voice it no longer counts, so
    that a noise cannot hold a turn open. Where the noise leaves no room between, nothing is told.
    """

    def __init__(self, *, window_ms: float, longest_ms: float = 200.0) -> None:
        self._window_ms = window_ms
        self._longest_ms = longest_ms
        self._levels: deque[float] = deque(maxlen=round(_FLOOR_WINDOW_MS / window_ms))
        self._speech_dbfs = -math.inf
        self._unvoiced_ms = 0.0

    def process(self, level_dbfs: float, *, is_voice: bool) -> bool:
        """Takes the next window's level and whether voice was detected in it; returns if it is speech."""
        level_dbfs = max(level_dbfs, _QUIETEST_DBFS)
        self._levels.append(level_dbfs)
        if is_voice:
            self._unvoiced_ms = 0.0
            faded_dbfs = self._speech_dbfs - self._window_ms * _SPEECH_DECAY_DB_PER_S / 1_000
            self._speech_dbfs = max(level_dbfs, faded_dbfs)
            return True
        self._unvoiced_ms += self._window_ms
        threshold_dbfs = max(min(self._levels) + _ABOVE_FLOOR_DB, self._speech_dbfs - _BELOW_SPEECH_DB)
        return level_dbfs > threshold_dbfs and self._unvoiced_ms <= self._longest_ms
