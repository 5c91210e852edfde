"""The silence around a clause, which would only lengthen the pause before and behind it."""

import numpy as np
from numpy.typing import NDArray

from agent.speech import Speech
from pipelines.engines.telephone import TELEPHONE_RATE_HZ
from pipelines.engines.words import Reading, in_proportion

AUDIBLE = 0.003
"""Of full scale: -50 dBFS."""

HEAD_MS, TAIL_MS = 5, 40
"""What is left of the silence before and behind the sound."""


def audible_part(samples: NDArray[np.int16], rate_hz: int) -> slice:
    """Where int16 mono `samples` at `rate_hz` can be heard, with a little silence around; else empty."""
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE * 32_768)
    if not audible.size:
        return slice(0, 0)
    first = max(0, int(audible[0]) - HEAD_MS * rate_hz // 1000)
    return slice(first, min(samples.size, int(audible[-1]) + 1 + TAIL_MS * rate_hz // 1000))


def says_nothing(reading: Reading) -> bool:
    """There is no letter and no digit in it, such as in "...": servers refuse that, or make noises of it."""
    return not any(character.isalnum() for character in reading.text)


def no_sound(reading: Reading) -> Speech:
    """What is heard of a text that says nothing."""
    return Speech(
        np.zeros(0, np.int16), TELEPHONE_RATE_HZ, reading.timed(in_proportion(reading.text.split(), 0, 0))
    )
