"""The filters that the trainee's sound goes through, in order; one that breaks is left out."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np

from audio.blocks import BLOCK_MS, RATE_HZ, Block
from audio.echo import EchoCanceller
from audio.gain import AutomaticGain
from audio.noise import NOISE_REDUCERS
from audio.rumble import RumbleFilter

Feed = Literal["recogniser", "voice", "recording", "monitor"]
FEEDS: Final[tuple[Feed, ...]] = ("recogniser", "voice", "recording", "monitor")

_TIMED_BLOCKS: Final = 60_000 // BLOCK_MS
_SILENCE: Final = np.zeros(RATE_HZ * BLOCK_MS // 1_000, np.float32)
_SILENCE.flags.writeable = False


@dataclass(slots=True)
class Heard:
    """20 ms of the trainee, once for each listener; `start` is their first sample on the media clock.

    `recogniser`: speech to text, smart turn. `voice`: detectors of voice, and with them turn-taking; it may
    have sounds cut out of it. `recording`: what goes on record. `monitor`: people who listen. `lost`: nothing
    arrived, and this is concealment.
    """

    start: int
    recogniser: Block
    voice: Block
    recording: Block
    monitor: Block
    lost: bool = False

    @classmethod
    def of(cls, block: Block, start: int, *, lost: bool = False) -> "Heard":
        """The same for everybody, as it came from the line."""
        return cls(start, block, block, block, block, lost)


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Which filters there are, by which engine, and who gets what noise reduction makes of the sound."""

    filters: Sequence[str] = ("rumble", "echo", "noise", "gain")
    echo_canceller: str = "adaptive"
    noise_reducer: str = "spectral"
    noise_reduction_for: Sequence[Feed] = ("monitor",)


class Filter(Protocol):
    """One step: it replaces blocks of `heard`, never changes them in place; `feeds` are those it works on."""

    @property
    def feeds(self) -> Sequence[Feed]:
        """The feeds that may be another sound afterwards."""

    @property
    def delay_samples(self) -> int:
        """How much later those feeds come."""

    def process(self, heard: Heard, far: Block) -> None:
        """Takes the next 20 ms, and what the persona's voice was at that time."""

    def close(self) -> None:
        """Gives back what it holds outside Python."""


class _Rumble:
    feeds: Final[Sequence[Feed]] = FEEDS
    delay_samples: Final = 0

    def __init__(self, _settings: FilterSettings) -> None:
        self._filter = RumbleFilter()

    def process(self, heard: Heard, far: Block) -> None:
        block = self._filter.process(heard.recogniser)
        heard.recogniser = heard.voice = heard.recording = heard.monitor = block

    def close(self) -> None:
        pass


class _Echo:
    feeds: Final[Sequence[Feed]] = FEEDS
    delay_samples: Final = 0

    def __init__(self, settings: FilterSettings) -> None:
        self.canceller = EchoCanceller(settings.echo_canceller)

    def process(self, heard: Heard, far: Block) -> None:
        linear, voice = self.canceller.process(heard.recogniser, far)
        heard.recogniser = heard.recording = heard.monitor = linear
        heard.voice = voice

    def close(self) -> None:
        self.canceller.close()


class _Noise:
    def __init__(self, settings: FilterSettings) -> None:
        self.feeds = tuple(settings.noise_reduction_for)
        self._reducers = {feed: NOISE_REDUCERS[settings.noise_reducer]() for feed in self.feeds}
        self.delay_samples = max((each.delay_samples for each in self._reducers.values()), default=0)

    def process(self, heard: Heard, far: Block) -> None:
        for feed, reducer in self._reducers.items():
            setattr(heard, feed, reducer.process(getattr(heard, feed)))

    def close(self) -> None:
        for reducer in self._reducers.values():
            reducer.close()


class _Gain:
    feeds: Final[Sequence[Feed]] = ("monitor",)

    def __init__(self, _settings: FilterSettings) -> None:
        self._gain = AutomaticGain()
        self.delay_samples = self._gain.delay_samples

    def process(self, heard: Heard, far: Block) -> None:
        heard.monitor = self._gain.process(heard.monitor)

    def close(self) -> None:
        pass


FILTERS: Final[Mapping[str, Callable[[FilterSettings], Filter]]] = {
    "rumble": _Rumble,
    "echo": _Echo,
    "noise": _Noise,
    "gain": _Gain,
}
"""By name, in the order in which they work: what was added last on the way here is taken away first."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a filter took for a block of 20 ms, over the last minute, in microseconds."""

    blocks: int
    median_us: float
    p99_us: float


@dataclass(slots=True, eq=False)
class _Slot:
    """A filter in its place, and how long it took of late."""

    filter: Filter
    on: bool = True
    took_ns: Any = field(default_factory=lambda: np.zeros(_TIMED_BLOCKS, np.int64))
    blocks: int = 0

    def note(self, took_ns: int) -> None:
        self.took_ns[self.blocks % _TIMED_BLOCKS] = took_ns
        self.blocks += 1

    def timing(self) -> Timing:
        took_us = self.took_ns[: self.blocks] / 1_000 if self.blocks else np.zeros(1)
        return Timing(
            self.blocks, round(float(np.median(took_us)), 1), round(float(np.percentile(took_us, 99)), 1)
        )


class AudioProcessor:
    """Runs the filters of one call over each 20 ms, synchronously: docs/decisions/0007 says why.

    A filter that raises, or returns what is not finite, is left out from then on, with what it did to that
    block; `on_bypass` is told its name and why. `clock_ns` only times the filters.
    """

    def __init__(
        self,
        settings: FilterSettings,
        *,
        on_bypass: Callable[[str, str], None],
        known: Mapping[str, Callable[[FilterSettings], Filter]] = FILTERS,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Raises ValueError for a filter or engine that there is not."""
        self._known = known
        self._check(*settings.filters)
        self._settings = settings
        self._on_bypass = on_bypass
        self._clock_ns = clock_ns
        self._slots = {
            name: _Slot(make(settings)) for name, make in known.items() if name in settings.filters
        }
        self.monitored = True

    def process(self, heard: Heard, far: Block | None) -> Heard:
        """Takes the next 20 ms through all filters; `far` is the persona's voice then, None for silence.

        Where nobody listens (`monitored`), what only serves those who do is not worked out.
        """
        reference = _SILENCE if far is None else far
        for name, slot in self._working():
            before = (heard.recogniser, heard.voice, heard.recording, heard.monitor)
            began_ns = self._clock_ns()
            try:
                slot.filter.process(heard, reference)
                fault = "" if _all_finite(heard, slot.filter.feeds) else "its output is not finite"
            except Exception as error:  # noqa: BLE001 no fault of a filter may end a call
                fault = f"{type(error).__name__}: {error}"
            if fault:
                heard.recogniser, heard.voice, heard.recording, heard.monitor = before
                slot.on = False
                self._on_bypass(name, fault)
            slot.note(self._clock_ns() - began_ns)
        return heard

    def switch(self, name: str, *, on: bool) -> None:
        """Turns a filter on or off from the next block on; turned on, it begins anew. Raises ValueError."""
        self._check(name)
        if name in self._slots:
            if self._slots[name].on == on:
                return
            self._slots.pop(name).filter.close()
        if on:
            self._slots[name] = _Slot(self._known[name](self._settings))
            self._slots = {each: self._slots[each] for each in self._known if each in self._slots}

    @property
    def working(self) -> tuple[str, ...]:
        """The filters that are on, in order."""
        return tuple(name for name, _ in self._working())

    @property
    def canceller(self) -> EchoCanceller | None:
        """The echo canceller, if that filter is on: what it found is worth telling."""
        slot = self._slots.get("echo")
        return slot.filter.canceller if slot is not None and isinstance(slot.filter, _Echo) else None

    def delay_ms(self, feed: Feed) -> float:
        """By how much the filters delay what `feed` hears."""
        return sum(
            slot.filter.delay_samples * 1_000 / RATE_HZ
            for _, slot in self._working()
            if feed in slot.filter.feeds
        )

    def timings(self) -> dict[str, Timing]:
        """What each filter cost, by name, also of those that broke."""
        return {name: slot.timing() for name, slot in self._slots.items()}

    def close(self) -> None:
        """Gives back what filters hold outside Python; nothing can be processed any more."""
        for slot in self._slots.values():
            slot.filter.close()
        self._slots = {}

    def _check(self, *names: str) -> None:
        unknown = sorted(set(names) - self._known.keys())
        if unknown:
            raise ValueError(f"no filter {', '.join(unknown)}; there are {', '.join(self._known)}")

    def _working(self) -> Iterator[tuple[str, _Slot]]:
        for name, slot in self._slots.items():
            if slot.on and (self.monitored or any(feed != "monitor" for feed in slot.filter.feeds)):
                yield name, slot


def _all_finite(heard: Heard, feeds: Sequence[Feed]) -> bool:
    checked = None
    for feed in feeds:
        block = getattr(heard, feed)
        if block is not checked and not math.isfinite(np.dot(block, block)):
            return False
        checked = block
    return True
