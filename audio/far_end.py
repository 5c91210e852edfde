"""What the persona's voice was at each moment of the media clock: the reference of the echo canceller.

We send ahead of time and the carrier plays when it can, so when something is played is predicted, and set
right by the receipts (marks) that the carrier returns in order with the trainee's audio.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from audio.blocks import BLOCK, RATE_HZ, Block, Samples, to_block

_FEWEST_RECEIPTS: Final = 3
_MOST_RECEIPTS: Final = 9
_TOLERANCE: Final = 15 * RATE_HZ // 1_000
"""Receipts lie on the carrier's grid of 20 ms; one that falls on the wrong side of it moves nothing."""
_SLOWEST: Final = 2 * RATE_HZ
"""The most that a carrier is taken to need before it plays what it was sent."""


@dataclass(slots=True)
class _Message:
    """What was sent under `mark`; `start` is its place before any correction."""

    mark: str
    start: int
    block: Block

    @property
    def end(self) -> int:
        return self.start + len(self.block)


class FarEnd:
    """Places what was sent on the media clock; all times are samples at 8 kHz on it.

    A message is taken to be played when the one before it is over or, where the carrier had run dry, as long
    after it was sent as earlier ones were. Once three receipts or more agree on another time, everything
    moves there; so a receipt that is late, repeated, or flushed by a `clear` does no harm.
    """

    def __init__(self) -> None:
        self._messages: deque[_Message] = deque()
        self._awaited: deque[tuple[str, int]] = deque()
        self._errors: deque[int] = deque(maxlen=_MOST_RECEIPTS)
        self._end = 0
        self._delay = 0
        self._shift = 0

    def send(self, mark: str, samples: Samples, at: int) -> None:
        """`samples` go to the carrier at the moment `at`; `mark` is their receipt."""
        start = max(self._end, at + self._delay - self._shift)
        message = _Message(mark, start, to_block(samples))
        self._messages.append(message)
        self._end = message.end
        self._awaited.append((mark, message.end))

    def played(self, mark: str, at: int) -> int:
        """The receipt `mark` came when the trainee's audio had reached `at`.

        Returns by how many samples the reference was moved: 0 almost always.
        """
        if all(name != mark for name, _ in self._awaited):
            return 0
        name, end = "", 0
        while name != mark:
            name, end = self._awaited.popleft()
        self._errors.append(at - end - self._shift)
        error = round(median(self._errors))
        if len(self._errors) < _FEWEST_RECEIPTS or abs(error) <= _TOLERANCE:
            return 0
        self._shift += error
        self._delay = min(max(0, self._delay + error), _SLOWEST)
        self._errors.clear()
        return error

    def cut(self, at: int) -> None:
        """A `clear` is sent at the moment `at`: what is unplayed when it arrives is not played."""
        end = at + self._delay - self._shift
        self._awaited.clear()
        self._errors.clear()
        while self._messages and self._messages[-1].end > end:
            last = self._messages[-1]
            if last.start < end:
                last.block = last.block[: end - last.start]
            else:
                self._messages.pop()
        self._end = min(self._end, end)

    def read(self, start: int) -> Block | None:
        """What was played in the BLOCK samples from `start` on; None if that is silence.

        Blocks are to be read in order: what was played before one that was read is forgotten.
        """
        first = start - self._shift
        while self._messages and self._messages[0].end <= first:
            self._messages.popleft()
        block = None
        for message in self._messages:
            if message.start >= first + BLOCK:
                break
            block = np.zeros(BLOCK, np.float32) if block is None else block
            begins, ends = max(first, message.start), min(first + BLOCK, message.end)
            block[begins - first : ends - first] = message.block[
                begins - message.start : ends - message.start
            ]
        return block
