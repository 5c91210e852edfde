"""How speech goes on: from the last 60 ms, what the next ones may have been."""

import math
from typing import Final, Protocol

import numpy as np

from audio.blocks import BLOCK, Block
from audio.linear_prediction import predictor, residual, synthesise
from audio.pitch import period

HISTORY: Final = 3 * BLOCK
"""How many samples a continuation is told of."""


def _ramp(samples: int) -> Block:
    return ((np.arange(samples) + 0.5) / samples).astype(np.float32)


def _analysis_window(samples: int) -> Block:
    """Slow rise, quick fall, as in speech coders: what is newest counts most."""
    rise, fall = samples * 7 // 8, samples - samples * 7 // 8
    up = 0.54 - 0.46 * np.cos(np.pi * np.arange(rise) / rise)
    down = np.cos(0.5 * np.pi * np.arange(fall) / fall)
    return np.concatenate((up, down)).astype(np.float32)


class Continuation(Protocol):
    """Goes on with a sound, without a step, at the level of what was; fading is for others."""

    def begin(self, history: Block) -> None:
        """Takes the last HISTORY samples, float32; what `extend` then returns follows them."""

    def extend(self, samples: int) -> Block:
        """Returns the next samples, float32, at least 32 of them."""

    def reset(self) -> None:
        """Begins anew, with its noise too."""


class Repetition:
    """The last 20 ms again and again; where they begin anew the seam is smoothed over 2.5 ms."""

    _SEAM: Final = 20

    def __init__(self) -> None:
        self._cycle = np.zeros(BLOCK, np.float32)
        self._at = 0

    def begin(self, history: Block) -> None:
        """See Continuation."""
        self._cycle[:] = history[-BLOCK:]
        mirrored = history[: -self._SEAM - 1 : -1]
        self._cycle[: self._SEAM] += (mirrored - self._cycle[: self._SEAM]) * _ramp(self._SEAM)[::-1]
        self._at = 0

    def extend(self, samples: int) -> Block:
        """See Continuation."""
        found = repeated(self._cycle, self._at, samples)
        self._at = (self._at + samples) % BLOCK
        return found

    def reset(self) -> None:
        """Nothing is kept from one gap to the next."""


class Prediction:
    """Linear prediction of each sample from the 32 before: right for some milliseconds, then it dies away."""

    _ORDER: Final = 32
    _WINDOW: Final = _analysis_window(HISTORY)

    def __init__(self) -> None:
        self._memory = np.zeros(self._ORDER, np.float32)
        self._coefficients = np.zeros(self._ORDER, np.float32)

    def begin(self, history: Block) -> None:
        """See Continuation."""
        self._coefficients = predictor(history, self._WINDOW, self._ORDER)
        self._memory[:] = history[-self._ORDER :]

    def extend(self, samples: int) -> Block:
        """See Continuation."""
        out = np.empty(samples, np.float32)
        synthesise(np.zeros(samples, np.float32), self._coefficients, self._memory, out)
        return out

    def reset(self) -> None:
        """Nothing is kept from one gap to the next."""


SHORTEST_PERIOD: Final = 40
LONGEST_PERIOD: Final = 120


class PitchRepetition:
    """The last pitch period again, after 10 ms the last two, after 20 ms three; overlap-add at the seams.

    In the manner of ITU-T G.711 Appendix I, from published descriptions, but without its delay of 3.75 ms:
    what was played stays as it is, and the first period is led to from there.
    """

    def __init__(self) -> None:
        self._history = np.zeros(HISTORY, np.float32)
        self._cycle = np.zeros(0, np.float32)

    def begin(self, history: Block) -> None:
        """See Continuation."""
        self._history[:] = history
        self._period, _ = period(history, BLOCK, SHORTEST_PERIOD, LONGEST_PERIOD)
        self._seam = self._period // 4
        self._periods = 1
        self._at = self._made = 0
        self._cycle = pitch_cycle(self._history, self._period, 1)
        self._step = history[-1] - history[-self._period - 1]

    def extend(self, samples: int) -> Block:
        """See Continuation."""
        pieces = []
        while samples > 0:
            size = min(samples, BLOCK // 2 - self._made % (BLOCK // 2))
            if self._made in (BLOCK // 2, BLOCK):
                pieces.append(self._longer(size))
            else:
                pieces.append(self._next(size))
            self._made += size
            samples -= size
        found = np.concatenate(pieces)
        if self._made == len(found):
            seam = min(self._seam, len(found))
            found[:seam] += self._step * _ramp(self._seam)[::-1][:seam]
        return found

    def reset(self) -> None:
        """Nothing is kept from one gap to the next."""

    def _longer(self, size: int) -> Block:
        """Goes over to one more period."""
        at = self._at
        old = self._next(size)
        self._periods += 1
        self._cycle = pitch_cycle(self._history, self._period, self._periods)
        self._at = at % self._period
        new = self._next(size)
        seam = min(self._seam, size)
        new[:seam] = old[:seam] + (new[:seam] - old[:seam]) * _ramp(self._seam)[:seam]
        return new

    def _next(self, size: int) -> Block:
        found = repeated(self._cycle, self._at, size)
        self._at = (self._at + size) % len(self._cycle)
        return found


def pitch_cycle(history: Block, period_samples: int, periods: int) -> Block:
    """The last `periods` pitch periods, to be repeated: their last quarter leads over to their beginning."""
    length, seam = period_samples * periods, period_samples // 4
    cycle = history[-length:].copy()
    cycle[-seam:] += (history[-length - seam : -length] - cycle[-seam:]) * _ramp(seam)
    return cycle


def repeated(cycle: Block, start: int, samples: int) -> Block:
    """A new array of `samples`, from `start` in the cycle on, round and round."""
    rounds = -(-(start + samples) // len(cycle))
    return np.concatenate((cycle,) * rounds)[start : start + samples]


class SourceFilter:
    """The envelope of the last 25 ms, excited by the last pitch period of what it leaves, and by noise.

    A 16th-order all-pole filter goes on from its own last outputs, so there is no seam. The less periodic the
    speech, the more of the excitation is noise of the same power. After Gunduzhan and Momtahan, A linear
    prediction based packet loss concealment algorithm for PCM coded speech, IEEE TSAP 2001.
    """

    _ORDER: Final = 16
    _ANALYSED: Final = 200
    _WINDOW: Final = _analysis_window(_ANALYSED)
    _SHORTEST: Final = 32
    _LONGEST: Final = 150
    _UNVOICED: Final = 0.2
    _VOICED: Final = 0.7
    _SEED: Final = 16

    def __init__(self) -> None:
        self._memory = np.zeros(self._ORDER, np.float32)
        self._coefficients = np.zeros(self._ORDER, np.float32)
        self._random = np.random.default_rng(self._SEED)

    def begin(self, history: Block) -> None:
        """See Continuation."""
        self._coefficients = predictor(history[-self._ANALYSED :], self._WINDOW, self._ORDER)
        left = residual(history, self._coefficients)
        period_samples, alike = period(history, BLOCK, self._SHORTEST, self._LONGEST)
        self._voicing = min(1.0, max(0.0, (alike - self._UNVOICED) / (self._VOICED - self._UNVOICED)))
        self._cycle = left[-period_samples:]
        latest = left[-BLOCK // 2 :]
        self._rms = math.sqrt(float(np.dot(latest, latest)) / len(latest))
        self._memory[:] = history[-self._ORDER :]
        self._at = 0

    def extend(self, samples: int) -> Block:
        """See Continuation."""
        excitation = repeated(self._cycle, self._at, samples)
        self._at = (self._at + samples) % len(self._cycle)
        if self._voicing < 1:
            noise = self._random.standard_normal(samples, np.float32)
            noise *= np.float32(self._rms * math.sqrt(1 - self._voicing**2))
            excitation *= np.float32(self._voicing)
            excitation += noise
        out = np.empty(samples, np.float32)
        synthesise(excitation, self._coefficients, self._memory, out)
        return out

    def reset(self) -> None:
        """See Continuation."""
        self._random = np.random.default_rng(self._SEED)
