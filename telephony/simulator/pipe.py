"""A delay line that coroutines put into and get out of."""

import asyncio
from typing import Generic, TypeVar

from telephony.simulator.conditions import DelayLine

Item = TypeVar("Item")


class Pipe(Generic[Item]):
    """One direction between carrier and application in real time.

    `zero_s` is the event loop's time at 0 ms of the media clock. The pipe itself is unbounded: whoever
    puts into it looks at `len` first, since only they know what may be dropped.
    """

    def __init__(self, line: DelayLine[Item], zero_s: float) -> None:
        self._line = line
        self._zero_s = zero_s
        self._arrivals = asyncio.Event()
        self._departures = asyncio.Event()

    def __len__(self) -> int:
        return len(self._line)

    def now_ms(self) -> float:
        """The media clock."""
        return (asyncio.get_running_loop().time() - self._zero_s) * 1_000

    def put(self, item: Item) -> None:
        """Sends `item` now."""
        self._line.push(item, self.now_ms())
        self._arrivals.set()

    async def get(self) -> list[Item]:
        """Waits for what arrives next, and returns all that has arrived by then."""
        while True:
            due_ms = self._line.next_due_ms
            if due_ms is None:
                self._arrivals.clear()
                await self._arrivals.wait()
            elif due_ms > (now_ms := self.now_ms()):
                await asyncio.sleep((due_ms - now_ms) / 1_000)
            else:
                self._departures.set()
                return self._line.pop_due(now_ms)

    async def room(self, most: int) -> None:
        """Waits until fewer than `most` items are on their way."""
        while len(self._line) >= most:
            self._departures.clear()
            await self._departures.wait()
