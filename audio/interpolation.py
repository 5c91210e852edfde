"""What lies between a made-up beginning and a known end: leads extrapolated speech into what really came."""

from typing import Final

import numpy as np

from audio.blocks import BLOCK, Block
from audio.continuation import pitch_cycle, repeated
from audio.linear_prediction import autocorrelation

_MOST_SHIFT: Final = 24
_COMPARED: Final = 64
REACH: Final = _MOST_SHIFT + _COMPARED
"""How much further than a block the extrapolation must go."""

_ALIKE: Final = 0.5
_SHORTEST_PERIOD: Final = 20
_LONGEST_PERIOD: Final = 110
_TINY: Final = 1e-9
_RAMP: Final[Block] = ((np.arange(BLOCK) + 0.5) / BLOCK).astype(np.float32)


def led_into(extrapolated: Block, following: Block) -> Block:
    """Returns the block before `following`; `extrapolated` begins where it does, and is BLOCK + REACH long.

    The extrapolation is stretched, by 15 % at most, until its pitch is in step with `following`, and goes
    over into pitch periods of `following`, played before it, or where that has none, into its mirror image.
    (Bidirectional extrapolation, as in Kauppinen and Roth, Audio signal extrapolation, DAFx 2002.)
    """
    before, alike = _led_from(following)
    forward = _in_step(extrapolated, following) if alike else extrapolated[:BLOCK]
    return np.asarray(forward + (before - forward) * _RAMP, np.float32)


def _in_step(extrapolated: Block, following: Block) -> Block:
    reference = following[:_COMPARED]
    searched = extrapolated[BLOCK - _MOST_SHIFT :]
    energies = np.convolve(np.square(searched), np.ones(_COMPARED, np.float32), "valid")
    alike = np.correlate(searched, reference) / np.sqrt(energies * np.dot(reference, reference) + _TINY)
    best = int(np.argmax(alike))
    if alike[best] < _ALIKE:
        return extrapolated[:BLOCK]
    length = BLOCK - _MOST_SHIFT + best
    places = np.arange(BLOCK) * (length / BLOCK)
    return np.asarray(np.interp(places, np.arange(len(extrapolated)), extrapolated), np.float32)


def _led_from(following: Block) -> tuple[Block, bool]:
    """What may have come before `following`, and whether that is by its pitch."""
    period_samples, alike = _period(following)
    if alike < _ALIKE:
        return following[::-1], False
    backwards = following[::-1]
    cycle = pitch_cycle(backwards, period_samples, 1)
    made = repeated(cycle, 0, BLOCK)
    seam = period_samples // 4
    made[:seam] += (backwards[-1] - backwards[-period_samples - 1]) * _RAMP[: -seam - 1 : -1]
    return made[::-1], True


def _period(sound: Block) -> tuple[int, float]:
    """The lag at which one block resembles itself most, and how much, -1 to 1."""
    lags = np.arange(_SHORTEST_PERIOD, _LONGEST_PERIOD + 1)
    energy = np.concatenate(((0.0,), np.cumsum(np.square(sound, dtype=np.float64))))
    cross = autocorrelation(sound, _LONGEST_PERIOD + 1)[_SHORTEST_PERIOD:]
    alike = cross / np.sqrt(energy[BLOCK - lags] * (energy[BLOCK] - energy[lags]) + _TINY)
    best = int(np.argmax(alike))
    return int(lags[best]), float(alike[best])
