"""What the persona's voice was at each moment of the media clock: the reference of the echo canceller.

We send ahead of time and the carrier plays when it can, so when something is played is predicted, and set
right by the receipts (marks) that the carrier returns in order with the trainee's audio.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np

from audio.blocks import BLOCK, RATE_HZ, Block, Samples, to_block

_TOLERANCE: Final = 15 * RATE_HZ // 1_000
"""Receipts lie on the carrier's grid of 20 ms; one that falls on the wrong side of it moves nothing."""
_FEWEST_RECEIPTS: Final = 3
_MOST_RECEIPTS: Final = 9
_RUNS: Final = 5
_SETTLED: Final = 250 * RATE_HZ // 1_000
"""A receipt that has not come by then does not come in time any more."""
_SLOWEST: Final = 2 * RATE_HZ
"""The most that a carrier is taken to need before it plays what it was sent."""


@dataclass(slots=True, eq=False)
class _Run:
    """What the carrier plays in one go: `shift` is by how much later than predicted, by its receipts."""

    begins: int
    end: int
    shift: int = 0
    errors: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST_RECEIPTS))
    first: bool = True


@dataclass(slots=True, eq=False)
class _Message:
    """What was sent under `mark`; `begins` is its place as predicted."""

    mark: str
    run: _Run
    begins: int
    block: Block

    @property
    def start(self) -> int:
        return self.begins + self.run.shift

    @property
    def end(self) -> int:
        return self.start + len(self.block)


class FarEnd:
    """Places what was sent on the media clock; all times are samples at 8 kHz on it.

    A message is taken to be played when the one before it is over or, where the carrier has run dry, as long
    after it was sent as in earlier runs. The first receipt of a run tells when it began: the carrier plays
    and listens on one clock of 20 ms, so a run lies as far from the prediction as its receipt says, to the
    sample: a canceller needs no less. After that, three receipts have to agree before anything is moved. One
    that a `clear` flushed, or that is off by more than two seconds, counts for nothing.
    """

    def __init__(self) -> None:
        self._messages: deque[_Message] = deque()
        self._awaited: deque[_Message] = deque()
        self._delays: deque[int] = deque(maxlen=_RUNS)
        self._run = _Run(begins=-_SETTLED, end=0)

    def send(self, mark: str, samples: Samples, at: int) -> None:
        """`samples` go to the carrier at the moment `at`; `mark` is their receipt."""
        soonest = at + self._delay
        if soonest >= self._run.end + self._run.shift:
            self._run = _Run(begins=soonest, end=soonest)
        message = _Message(mark, self._run, self._run.end, to_block(samples))
        self._run.end += len(samples)
        self._messages.append(message)
        self._awaited.append(message)

    def played(self, mark: str, at: int) -> int:
        """The receipt `mark` came when the trainee's audio had reached `at`.

        Returns by how many samples what is being played was moved: 0 almost always.
        """
        if all(message.mark != mark for message in self._awaited):
            return 0
        message = self._awaited.popleft()
        while message.mark != mark:
            message = self._awaited.popleft()
        run = message.run
        if abs(at - message.end) > _SLOWEST:
            return 0
        run.errors.append(at - message.end)
        error = round(median(run.errors))
        if run.first:
            run.first = False
            self._delays.append(min(max(0, self._delay + error), _SLOWEST))
            return self._move(run, error)
        agreed = len(run.errors) >= _FEWEST_RECEIPTS and abs(error) > _TOLERANCE
        return self._move(run, error) if agreed else 0

    def cut(self, at: int) -> None:
        """A `clear` is sent at the moment `at`: what is unplayed when it arrives is not played."""
        end = at + self._delay
        self._awaited.clear()
        while self._messages and self._messages[-1].end > end:
            last = self._messages[-1]
            if last.start < end:
                last.block = last.block[: end - last.start]
            else:
                self._messages.pop()
        self._run.end = min(self._run.end, end - self._run.shift)

    def read(self, start: int) -> Block | None:
        """What was played in the BLOCK samples from `start` on; None if that is silence.

        Blocks are to be read in order: what was played before one that was read is forgotten.
        """
        while self._messages and self._messages[0].end <= start:
            self._messages.popleft()
        block = None
        for message in self._messages:
            if message.start >= start + BLOCK:
                break
            block = np.zeros(BLOCK, np.float32) if block is None else block
            begins, ends = max(start, message.start), min(start + BLOCK, message.end)
            if ends > begins:
                block[begins - start : ends - start] = message.block[
                    begins - message.start : ends - message.start
                ]
        return block

    def is_settled(self, at: int) -> bool:
        """Whether what is played at the moment `at` is known to be so by a receipt, or else won't be."""
        return not self._run.first or not self._run.begins <= at < self._run.begins + _SETTLED

    @property
    def _delay(self) -> int:
        """How long after it was sent the first of a run is played: the least of the last runs.

        A reference that comes too early is moved without a hole; one that comes too late has one.
        """
        return min(self._delays, default=0)

    def _move(self, run: _Run, error: int) -> int:
        run.shift += error
        run.errors.clear()
        return error
