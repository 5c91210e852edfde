"""Makes speech shorter or longer by whole pitch periods, which changes its pace and not its pitch.

Time-domain overlap-add at the lag where the signal resembles itself most, as in WSOLA (Verhelst and Roelands,
ICASSP 1993), one period at a time, as in WebRTC's NetEQ.
"""

from typing import Final

import numpy as np

from audio.blocks import RATE_HZ, Block

SHORTEST: Final = 5 * RATE_HZ // 2_000
"""The period of 400 Hz, 2.5 ms: the least that is cut out or put in."""

LONGEST: Final = 15 * RATE_HZ // 1_000
"""The period of 67 Hz, 15 ms: the most, at a time."""

_ALIKE: Final = 0.9
_TINY: Final = 1e-12
_RAMPS: Final = tuple(
    (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(max(length, 1))
    for length in range(LONGEST + 1)
)


def shorten(sound: Block, *, most: int, quiet: bool) -> Block:
    """Cuts one period out of the beginning of `sound`, float32, of any length.

    In speech it is the pitch period, if it is at most `most` samples long and two periods resemble each
    other (a normalised correlation of 0.9); what is `quiet` loses as much as it may, LONGEST at most.
    Returns `sound` itself where nothing can be cut.
    """
    most = min(most, LONGEST, len(sound) // 2)
    lag = most if quiet else _period_ahead(sound, most)
    if lag <= 0:
        return sound
    shorter = np.empty(len(sound) - lag, np.float32)
    _fade(sound[:lag], sound[lag : 2 * lag], out=shorter[:lag])
    shorter[lag:] = sound[2 * lag :]
    return shorter


def lengthen(sound: Block, before: Block, *, most: int, quiet: bool) -> Block:
    """Repeats one period at the beginning of `sound`; `before` is the LONGEST or more that was heard last.

    On the same terms as `shorten`. Returns `sound` itself where nothing can be repeated.
    """
    assert len(before) >= LONGEST, "a period may be so long"
    most = min(most, LONGEST, len(sound))
    lag = most if quiet else _period_behind(sound, before, most)
    if lag <= 0:
        return sound
    longer = np.empty(len(sound) + lag, np.float32)
    _fade(sound[:lag], before[len(before) - lag :], out=longer[:lag])
    longer[lag:] = sound
    return longer


def _period_ahead(sound: Block, most: int) -> int:
    compared = min(LONGEST, len(sound) - most)
    if most < SHORTEST or compared < SHORTEST:
        return 0
    found = _most_alike(sound[:compared], sound[SHORTEST : most + compared])
    return 0 if found is None else SHORTEST + found


def _period_behind(sound: Block, before: Block, most: int) -> int:
    compared = min(LONGEST, len(sound))
    if most < SHORTEST or compared < SHORTEST:
        return 0
    lately = np.concatenate((before[len(before) - most :], sound[: compared - SHORTEST]))
    found = _most_alike(sound[:compared], lately)
    return 0 if found is None else most - found


def _most_alike(reference: Block, sound: Block) -> int | None:
    """Where in `sound` the reference is found best, if well enough."""
    length = len(reference)
    powers = np.concatenate(((0.0,), np.cumsum(sound.astype(np.float64) ** 2)))
    energy = powers[length:] - powers[:-length]
    own = float(np.dot(reference, reference))
    alike = np.correlate(sound, reference) / np.sqrt(np.maximum(energy * own, _TINY))
    best = int(np.argmax(alike))
    return best if alike[best] >= _ALIKE else None


def _fade(old: Block, new: Block, *, out: Block) -> None:
    """Goes over from one to the other, at an even pace."""
    np.subtract(new, old, out=out)
    out *= _RAMPS[len(out)]
    out += old
