"""The line between handset and carrier: an absolute 20 ms clock, and what is plugged into it."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from telephony.simulator.echo import Echo, EchoPath
from telephony.simulator.handset import Handset
from telephony.simulator.sound import FRAME_BYTES, FRAME_MS, SILENCE, SILENT_FRAME

_LATE_MS: Final = 40.0
_TURNS_BEFORE_CATCHING_UP: Final = 4


class Source(Protocol):
    """What the handset hears."""

    def play(self) -> bytes:
        """The next 20 ms of mu-law."""


class Tap(Protocol):
    """What listens to both directions of the line."""

    def frame(self, said: bytes, heard: bytes) -> None:
        """Takes 20 ms of mu-law of each."""


class Prompt:
    """Sound that the carrier itself plays: `<Say>`, `<Play>`. `done` is set when all of it was played."""

    def __init__(self, ulaw: bytes) -> None:
        self.done = asyncio.Event()
        self._ulaw = ulaw
        self._at = 0

    def play(self) -> bytes:
        """The next 20 ms; then silence for ever."""
        if self._at >= len(self._ulaw):
            self.done.set()
            return SILENT_FRAME
        frame = self._ulaw[self._at : self._at + FRAME_BYTES]
        self._at += FRAME_BYTES
        return frame.ljust(FRAME_BYTES, SILENCE)


class Line:
    """One answered call in ticks of 20 ms. `tick()` is sans-IO; `run()` calls it on time."""

    def __init__(self, handset: Handset, echo: EchoPath | None = None) -> None:
        self.handset = handset
        self._echo = None if echo is None else Echo(echo)
        self.source: Source | None = None
        self.ticks = 0
        self.started_s = 0.0
        self.latest_ms = 0.0
        self._taps: list[Tap] = []
        self._alarms: list[tuple[int, Callable[[], None]]] = []

    def attach(self, tap: Tap) -> None:
        """Lets `tap` hear both directions from the next tick on."""
        self._taps.append(tap)

    def detach(self, tap: Tap) -> None:
        """Unplugs `tap` if it is plugged in."""
        if tap in self._taps:
            self._taps.remove(tap)

    def at_tick(self, tick: int, act: Callable[[], None]) -> None:
        """Calls `act` just before the given tick, or before the next one if that has passed."""
        self._alarms.append((tick, act))

    def tick(self) -> None:
        """Passes 20 ms between handset, source and taps."""
        due = [alarm for alarm in self._alarms if alarm[0] <= self.ticks]
        for alarm in due:
            self._alarms.remove(alarm)
            alarm[1]()
        heard = self.source.play() if self.source is not None else SILENT_FRAME
        said = self.handset.exchange(heard)
        if self._echo is not None:
            said = self._echo.mix(said, heard)
        for tap in tuple(self._taps):
            tap.frame(said, heard)
        self.ticks += 1

    def tick_time_s(self, tick: int) -> float:
        """When, by the event loop's clock, a tick is due."""
        return self.started_s + tick * FRAME_MS / 1_000

    async def run(self) -> None:
        """Ticks until cancelled, each tick at its own absolute time.

        A late process catches up at once, but first lets in what has arrived on its sockets meanwhile:
        the carrier's lateness must not pass for the application's.
        """
        loop = asyncio.get_running_loop()
        self.started_s = loop.time()
        while True:
            await asyncio.sleep(max(0.0, self.tick_time_s(self.ticks) - loop.time()))
            late_ms = (loop.time() - self.tick_time_s(self.ticks)) * 1_000
            if late_ms > _LATE_MS:
                self._note_lateness(late_ms)
                for _ in range(_TURNS_BEFORE_CATCHING_UP):
                    await asyncio.sleep(0)
            while self.tick_time_s(self.ticks) <= loop.time():
                self.tick()

    def _note_lateness(self, late_ms: float) -> None:
        self.latest_ms = max(self.latest_ms, late_ms)
        self.handset.log.note(self.handset.now_ms, "late", ms=late_ms)
