"""Collecting keys for `<Gather>`."""

import asyncio
from contextlib import suppress


class DigitCollector:
    """Takes keys until there are `most` of them, the `finish_key`, or no more for `timeout_s`."""

    def __init__(self, *, most: int | None, finish_key: str, timeout_s: float) -> None:
        self.digits = ""
        self.finished_on = ""
        self.pressed = asyncio.Event()
        self._most = most
        self._finish_key = finish_key
        self._timeout_s = timeout_s
        self._changed = asyncio.Event()

    @property
    def is_complete(self) -> bool:
        """Whether further keys would not count."""
        return bool(self.finished_on) or (self._most is not None and len(self.digits) >= self._most)

    def press(self, digit: str) -> None:
        """Takes one key."""
        if self.is_complete:
            return
        if self._finish_key and digit == self._finish_key:
            self.finished_on = digit
        else:
            self.digits += digit
        self.pressed.set()
        self._changed.set()

    async def finish(self) -> None:
        """Waits until it is complete, or for the time-out after the last key."""
        with suppress(TimeoutError):
            while not self.is_complete:
                self._changed.clear()
                async with asyncio.timeout(self._timeout_s):
                    await self._changed.wait()
