"""Whether a block is loud enough to be speech: by level, so that the end of a sound is noticed at once."""

import math
from collections import deque
from typing import Final

_QUIETEST_DBFS: Final = -60.0
_ABOVE_FLOOR_DB: Final = 10.0
_BELOW_SPEECH_DB: Final = 30.0
_FLOOR_WINDOW_MS: Final = 3_000
_SPEECH_DECAY_DB_PER_S: Final = 6.0


class Loudness:
    """Tells whether a block is loud enough to be part of the speech around it.

    Loud is what lies 10 dB above the line's noise floor (the quietest block of the last 3 s) and no more
    than 30 dB below the loudest speech of late: speech spans about 30 dB (ITU-T P.56 treats activity
    likewise). A detector of voice, which needs context, follows the end of a sound 60 to 150 ms later.
    """

    def __init__(self, *, block_ms: int) -> None:
        self._decay_db = block_ms * _SPEECH_DECAY_DB_PER_S / 1_000
        self._levels: deque[float] = deque(maxlen=_FLOOR_WINDOW_MS // block_ms)
        self._speech_dbfs = -math.inf

    def process(self, level_dbfs: float, *, is_voice: bool) -> bool:
        """Takes the next block's level and whether there is voice in or around it."""
        level_dbfs = max(level_dbfs, _QUIETEST_DBFS)
        self._levels.append(level_dbfs)
        if is_voice:
            self._speech_dbfs = max(level_dbfs, self._speech_dbfs - self._decay_db)
        return level_dbfs > max(min(self._levels) + _ABOVE_FLOOR_DB, self._speech_dbfs - _BELOW_SPEECH_DB)
