"""Takes the persona's own voice out of what comes back from the trainee's telephone."""

import math
from collections import deque
from typing import Final

import numpy as np

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Block
from audio.echo_delay import MOST_DELAY_MS, EchoDelay, History
from audio.echo_drift import LEAST_DELAY, EchoDrift, delayed
from audio.echo_filter import AdaptiveFilter, EchoFilter, SpeexFilter
from audio.echo_gate import EchoGate, EchoGuard
from audio.speexdsp import open_speexdsp

ENGINES: Final = ("auto", "speex", "adaptive")

_MARGIN: Final = RATE_HZ * 12 // 1_000
"""By how much the reference comes early: one that comes late destroys every canceller."""
_AGREEMENT: Final = RATE_HZ * 4 // 1_000
_AGREEING: Final = 3
_BEFORE_LOCK: Final = RATE_HZ * 10 // 1_000
_AFTER_LOCK: Final = RATE_HZ * 60 // 1_000
_ASTRAY: Final = 4
_REPLAYED_BLOCKS: Final = 48
_REPLAYED_AT_ONCE: Final = 4
_SPEECH_POWER: Final = 10 ** (-50 / 10)
_VERIFYING: Final = 2_000 // BLOCK_MS
_FEWEST_VERIFYING: Final = 300 // BLOCK_MS
_MEMORY: Final = 0.96
_VERIFIED: Final = 10 ** (3 / 10)
_HARMFUL: Final = 10 ** (-1 / 10)
_MUTED: Final = np.float32(10 ** (-30 / 20))
_FADE_IN: Final = (np.arange(1, BLOCK + 1) / BLOCK).astype(np.float32)


class _Enhancement:
    """How much quieter the echo has become (ERLE), over about half a second of it."""

    def __init__(self) -> None:
        self._near = self._residual = 0.0
        self.blocks = 0
        """How many were counted since the last reset."""

    def add(self, near: Block, residual: Block) -> None:
        self._near = _MEMORY * self._near + float(np.dot(near, near))
        self._residual = _MEMORY * self._residual + float(np.dot(residual, residual))
        self.blocks += 1

    def above(self, ratio: float) -> bool:
        return self._near > ratio * self._residual

    @property
    def db(self) -> float:
        return 10 * math.log10((self._near + 1e-9) / (self._residual + 1e-9))

    def reset(self) -> None:
        self._near = self._residual = 0.0
        self.blocks = 0


class EchoCanceller:
    """Removes the far end's echo from the near end; without an echo it changes nothing, bit for bit.

    The delay is looked for all the time. Once three estimates agree, a filter of 128 ms learns the echo path,
    first on what was heard in the last second. It is let in, fading over a block, when it has made the echo
    at least 3 dB quieter; if it doesn't within two seconds of far-end speech, the delay was a mistake. It is
    moved when four estimates in a row lie outside what it can reach; three if it doesn't help any more.

    Not to be shared by calls. `close` it, or let it go out of scope.
    """

    delay_samples: Final = 0

    def __init__(self, engine: str = "auto", *, max_delay_ms: int = MOST_DELAY_MS) -> None:
        """`engine`: "speex" is libspeexdsp, "adaptive" our own filter, "auto" the first if it is installed.

        `max_delay_ms`: echoes that come later aren't looked for. Raises ValueError for any other engine, and
        if "speex" is asked for and libspeexdsp isn't installed.
        """
        assert 0 < max_delay_ms <= MOST_DELAY_MS, "a delay that can be found"
        if engine not in ENGINES:
            raise ValueError(f"{engine!r} is none of {', '.join(ENGINES)}")
        library = None if engine == "adaptive" else open_speexdsp()
        if engine == "speex" and library is None:
            raise ValueError("libspeexdsp isn't installed")
        self.engine: Final = "adaptive" if library is None else "speex"
        self._filter: EchoFilter = AdaptiveFilter() if library is None else SpeexFilter(library)
        self._most_delay = max_delay_ms * RATE_HZ // 1_000
        self._history = History()
        self._delay = EchoDelay()
        self._gate = EchoGate()
        self._guard = EchoGuard()
        self._enhancement = _Enhancement()
        self._lags: deque[int] = deque(maxlen=_ASTRAY)
        self._drift = EchoDrift()
        self._now = 0
        self._lag: float | None = None
        self._next_lag: float | None = None
        """A delay to begin anew with once this block is done."""
        self._start = 0.0
        self._pending = 0
        self.engaged = False
        """Whether the filter's output is in use."""
        self.reference_settled = True
        """Whether it is sure when `far` was played. Meanwhile the filter waits, and makes up for it later."""
        self.echo_seen = False
        """Whether there ever was an echo, without doubt."""
        self.realignments = 0
        """How often the echo's delay has changed."""

    @property
    def delay_ms(self) -> float | None:
        """The echo's delay as far as known."""
        return None if self._lag is None else self._lag * 1_000 / RATE_HZ

    @property
    def erle_db(self) -> float:
        """By how much the near end is quieter now than with the echo; 0 without a filter."""
        return 0.0 if self._lag is None else self._enhancement.db

    def process(self, near: Block, far: Block) -> tuple[Block, Block]:
        """Takes what came from the trainee and what was played to them meanwhile, float32, BLOCK long.

        Returns what the trainee said, for recogniser and recording, and the same for turn-taking, which is
        turned down while it holds nothing but echo. Both may be `near` itself.
        """
        far_power = float(np.dot(far, far)) / BLOCK
        self._history.push(near, far, far_power)
        lag = self._delay.process(self._history)
        self._now += BLOCK
        self._follow_drift()
        if lag is not None and lag < self._most_delay:
            self._consider(lag)
        self._guard.hear(far_power)
        if self._lag is None:
            return near, self._guarded(near, lasting=False)
        was_engaged = self.engaged
        if was_engaged and not self.reference_settled:
            self._pending += 1
            return near, self._guarded(near, lasting=True)
        residual = self._residual(near)
        if was_engaged and self._pending:
            return near, self._guarded(near, lasting=True)
        self._judge()
        if self.engaged:
            linear = residual if was_engaged else near + (residual - near) * _FADE_IN
            return linear, self._gate.process(linear, self._filter.echo)
        if was_engaged:
            near = residual + (near - residual) * _FADE_IN
        return near, self._guarded(near, lasting=self.echo_seen)

    def far_end_moved(self, samples: int) -> None:
        """What was given as `far` of late was played `samples` later than given; what follows is right.

        The echo's delay is one behind the truth, so it stays what it was, and so does what the filter
        learned.
        """
        self._history.move_far(samples)

    def reset(self) -> None:
        """Begins anew, as for another call; `echo_seen` and `realignments` too."""
        self._forget()
        self._delay.reset()
        self._drift = EchoDrift()
        self._history = History()
        self._guard = EchoGuard()
        self.echo_seen = False
        self.realignments = 0

    def close(self) -> None:
        """Frees the engine's memory; may be called again."""
        self._filter.close()

    def _guarded(self, near: Block, *, lasting: bool) -> Block:
        """The near end, turned down if it may be echo; `lasting`: there is one on this line, beyond doubt."""
        power = float(np.dot(near, near)) / BLOCK
        return near * _MUTED if self._guard.may_be_echo(power, seen=lasting) else near

    def _consider(self, lag: int) -> None:
        self._lags.append(lag)
        if self._lag is not None:
            was_known = bool(self._drift.rate)
            self._drift.add(self._delay.correlation, round(self._lag), self._now)
            if self._drift.rate and not was_known:
                self._next_lag = self._lag
        latest = list(self._lags)[-_AGREEING:]
        if len(latest) < _AGREEING or max(latest) - min(latest) > _AGREEMENT:
            return
        if self._lag is None:
            self._lock(lag)
            return
        works = self.engaged and self._enhancement.above(_VERIFIED)
        astray = list(self._lags) if works else latest
        moved = [each - self._lag for each in astray]
        if (len(astray) == _ASTRAY or not works) and not any(
            -_BEFORE_LOCK <= by <= _AFTER_LOCK for by in moved
        ):
            self.realignments += 1
            self._next_lag = lag

    def _lock(self, lag: float) -> None:
        self._lag = lag
        self._start = max(0, round(lag) - _MARGIN)
        self._pending = _REPLAYED_BLOCKS
        self._drift.restart()
        self._begin()

    def _forget(self) -> None:
        self._lag = None
        self._lags.clear()
        self._begin()

    def _begin(self) -> None:
        self._next_lag = None
        self._filter.reset()
        self._gate.reset()
        self._enhancement.reset()
        self.engaged = False

    def _residual(self, near: Block) -> Block:
        """What the filter leaves of the newest block; `near` while the filter is behind."""
        residual = near
        self._pending += 1
        for _ in range(min(self._pending, _REPLAYED_AT_ONCE)):
            self._pending -= 1
            back = self._pending * BLOCK
            far = self._reference(back)
            heard = self._history.near(BLOCK, back=back)
            residual = self._filter.process(heard, far)
            if float(np.dot(far, far)) > _SPEECH_POWER * BLOCK:
                self._enhancement.add(heard, residual)
        return near if self._pending else np.clip(residual, -1.0, 1.0)

    def _reference(self, back: int) -> Block:
        """What was played `back` samples ago at the other end, where the echo is made."""
        rate = self._drift.rate
        delay = self._start + back - rate * back
        if delay == int(delay):
            return self._history.far(BLOCK, back=int(delay))
        return delayed(self._history, max(delay, LEAST_DELAY), rate)

    def _follow_drift(self) -> None:
        if self._lag is not None and self._drift.rate:
            self._lag += self._drift.rate * BLOCK
            self._start = max(0.0, self._start + self._drift.rate * BLOCK)

    def _judge(self) -> None:
        """Lets the filter in if it is of use, out if it does harm, and drops a delay that was none."""
        if self._next_lag is not None:
            self._lock(self._next_lag)
        elif self._pending:
            return
        elif self.engaged:
            if self._lag is not None and not self._enhancement.above(_HARMFUL):
                self._lock(self._lag)
        elif self._enhancement.blocks >= _FEWEST_VERIFYING and self._enhancement.above(_VERIFIED):
            self.engaged = self.echo_seen = True
        elif self._enhancement.blocks > _VERIFYING:
            self._forget()


def warm_up() -> None:
    """Compiles what calls will run, or loads it from Numba's cache; takes seconds the first time."""
    library = open_speexdsp()
    block = np.linspace(-0.1, 0.1, BLOCK, dtype=np.float32)
    filters: list[EchoFilter] = [AdaptiveFilter()]
    if library is not None:
        filters.append(SpeexFilter(library))
    for each in filters:
        EchoGate().process(each.process(block, delayed(History(), float(_MARGIN), 0.0)), each.echo)
        each.process(block, block)
        each.close()
