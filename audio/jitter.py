"""The jitter buffer of recogniser and voice detector: what arrives in order is handed on at once.

Neither needs sound at an even pace, so nothing is held back but to put it in order. Who plays sound to ears
needs audio/playout.py.
"""

from bisect import insort
from dataclasses import dataclass
from typing import Final

import numpy as np

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Samples
from audio.lateness import LatenessHistogram

_LONGEST_GAP: Final = RATE_HZ
_LONGEST_WAIT_MS: Final = 100.0
_MOST_PACKETS: Final = 1_000 // BLOCK_MS
_INEXACT: Final = 10 * RATE_HZ // 1_000
"""Timestamps of packets that follow each other may disagree by that much: the sound has no seam there."""
_REORDERED_IN_TIME: Final = 0.998
_FORGETTING: Final = 0.999
_WAIT_AT_FIRST_MS: Final = 40.0
_WEIGHT_AT_FIRST: Final = 2.0


@dataclass(frozen=True, slots=True)
class Packet:
    """What a carrier sends at a time: int16 mono at 8 kHz, of any length but none.

    `sequence` counts packets by one; `start` is where the first sample lies on the media clock, in samples.
    """

    sequence: int
    start: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class Slot:
    """20 ms of the media clock from `start` on: BLOCK int16 samples, for reading only; None if lost."""

    start: int
    samples: Samples | None


@dataclass(slots=True)
class JitterCounts:
    """What happened to packets so far.

    `late` came after their place had been given up, `duplicate` came again: both were dropped. `reordered`
    came out of order, and in time. `lost_blocks` were handed out without sound. A leap is a gap longer than
    a second.
    """

    received: int = 0
    late: int = 0
    duplicate: int = 0
    lost_blocks: int = 0
    reordered: int = 0
    leaps: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A packet behind one that is missing, since `arrived_ms`."""

    start: int
    sequence: int
    samples: Samples
    arrived_ms: float


class JitterBuffer:
    """Puts packets in order, on a grid of 20 ms that begins with the first one. Times are those of one
    steady clock.

    A packet in order is handed out by the `pop` after its `push`. If sequence numbers say that one is
    missing, those behind it wait for it: as long as 99.8 % of the packets of the last half minute would
    have needed, 100 ms at most. So a path that does not reorder, whether or not it loses, waits for nothing
    after a quarter of a minute.

    A timestamp that jumps while sequence numbers do not is a hole of the sender's (silence suppression):
    nothing is waited for. What is missing is handed out as lost. A block of which some arrived is handed
    out with zeros for the rest if that is at most half of it: 10 ms of true speech tell a recogniser more
    than 20 ms of invented. A gap of more than a second is a leap: its first second is lost blocks, then the
    next `start` is ahead by a whole number of blocks, since time did pass on the media clock, but nobody
    wants minutes of silence at once.

    Any packets in any order are survived: starts only ever increase, by whole blocks. If the sender begins
    anew on an earlier clock, its first 50 packets are dropped as late, or as come before; then it is
    believed, and continued from where we are. Memory: 50 packets and no more than a second of sound, or one
    packet, waiting; 50 sequence numbers missed; and what was not popped yet.
    """

    def __init__(self) -> None:
        self.counts = JitterCounts()
        self._ready: list[Slot] = []
        self._waiting: list[_Waiting] = []
        self._missing: dict[int, float] = {}
        self._next: int | None = None
        self._shift = 0
        self._newest = 0
        self._released = 0
        self._partial: Samples = np.zeros(BLOCK, np.int16)
        self._filled = 0
        self._absent = 0
        self._dropped = 0
        self._dropped_sequence = 0
        self._in_order = 0
        self._lateness = LatenessHistogram(
            _REORDERED_IN_TIME,
            forgetting=_FORGETTING,
            prior_ms=_WAIT_AT_FIRST_MS,
            prior_weight=_WEIGHT_AT_FIRST,
        )

    @property
    def wait_ms(self) -> float:
        """How long a packet that is missing is waited for at present."""
        if self._in_order:
            self._lateness.add(0.0, self._in_order)
            self._in_order = 0
        return min(float(self._lateness.quantile_ms), _LONGEST_WAIT_MS)

    def push(self, packet: Packet, now_ms: float) -> None:
        """Takes a packet that arrives now."""
        self.counts.received += 1
        if self._next is None:
            self._next, self._newest = packet.start, packet.sequence - 1
            self._released = self._newest
        start = packet.start + self._shift
        if packet.sequence == self._newest + 1:
            self._newest = packet.sequence
            if not self._waiting and self._follows(start, packet.sequence):
                self._dropped = 0
                self._in_order += 1
                self._released = packet.sequence
                self._write(packet.samples)
                return
        elif not self._is_new(packet, start, now_ms):
            self._drop(packet)
            return
        if start + len(packet.samples) <= self._head:
            self.counts.late += 1
            self._drop(packet)
            return
        self._dropped = 0
        insort(self._waiting, _Waiting(start, packet.sequence, packet.samples, now_ms), key=_start_of)

    def pop(self, now_ms: float) -> list[Slot]:
        """Returns what is to be heard next, in order: often one slot, or none.

        To be called after each `push`, and every 100 ms or so while nothing arrives.
        """
        while self._waiting and self._is_due(now_ms):
            self._release(self._waiting.pop(0))
        ready, self._ready = self._ready, []
        return ready

    @property
    def _head(self) -> int:
        """Up to where sound has been written."""
        assert self._next is not None
        return self._next + self._filled

    def _follows(self, start: int, sequence: int) -> bool:
        return sequence == self._released + 1 and -_INEXACT <= start - self._head <= _INEXACT

    def _is_new(self, packet: Packet, start: int, now_ms: float) -> bool:
        """Judges a packet that is not the next by its sequence number; False if it has come before."""
        missed_ms = self._missing.pop(packet.sequence, None)
        if missed_ms is not None:
            self._learn(now_ms - missed_ms)
            self.counts.reordered += start + len(packet.samples) > self._head
            return True
        step = packet.sequence - self._newest
        if step <= 0 and start < self._heard_until():
            self.counts.duplicate += 1
            return False
        if 0 < step <= _MOST_PACKETS:
            for sequence in range(self._newest + 1, packet.sequence):
                self._missing[sequence] = now_ms
            while len(self._missing) > _MOST_PACKETS:
                del self._missing[next(iter(self._missing))]
        else:
            self._missing.clear()
        self._newest = packet.sequence
        self._in_order += 1
        return True

    def _heard_until(self) -> int:
        return max([self._head, *(waiting.start + len(waiting.samples) for waiting in self._waiting)])

    def _learn(self, late_ms: float) -> None:
        self._lateness.add(0.0, self._in_order)
        self._in_order = 0
        self._lateness.add(late_ms)

    def _drop(self, packet: Packet) -> None:
        """Notes that a packet was of no use. If that goes on and on, it is us who are in the wrong place."""
        unbroken = packet.sequence == self._dropped_sequence + 1
        self._dropped = self._dropped + 1 if unbroken else 1
        self._dropped_sequence = packet.sequence
        if self._dropped < _MOST_PACKETS:
            return
        for waiting in self._waiting:
            self._release(waiting)
        self._waiting.clear()
        self._missing.clear()
        self._shift = self._head - (packet.start + len(packet.samples))
        self._newest = self._released = packet.sequence
        self._dropped = 0

    def _is_due(self, now_ms: float) -> bool:
        """Whether the first of those that wait need wait no longer."""
        first = self._waiting[0]
        if first.start <= self._head or self._follows(first.start, first.sequence):
            return True
        if not any(self._released < sequence < first.sequence for sequence in self._missing):
            return True
        if len(self._waiting) > _MOST_PACKETS:
            return True
        if sum(len(waiting.samples) for waiting in self._waiting) > _LONGEST_GAP:
            return True
        return now_ms >= min(waiting.arrived_ms for waiting in self._waiting) + self.wait_ms

    def _release(self, packet: _Waiting) -> None:
        ahead = 0 if self._follows(packet.start, packet.sequence) else packet.start - self._head
        self._released = packet.sequence
        if ahead > 0:
            self._lose(ahead)
        self._write(packet.samples[max(-ahead, 0) :])

    def _lose(self, samples: int) -> None:
        """Goes on by a gap; what is longer than the longest, and whole blocks, is leapt over."""
        assert self._next is not None
        leapt = max(samples - _LONGEST_GAP, 0) // BLOCK * BLOCK
        if leapt:
            self._blank(_LONGEST_GAP)
            self._next += leapt
            self.counts.leaps += 1
            samples -= _LONGEST_GAP + leapt
        self._blank(samples)

    def _blank(self, samples: int) -> None:
        while samples:
            part = min(BLOCK - self._filled, samples)
            self._partial[self._filled : self._filled + part] = 0
            self._absent += part
            self._fill(part)
            samples -= part

    def _write(self, samples: Samples) -> None:
        if not self._filled and len(samples) == BLOCK:
            self._hand_out(samples)
            return
        while len(samples):
            part = min(BLOCK - self._filled, len(samples))
            if part == BLOCK:
                self._hand_out(samples[:BLOCK])
            else:
                self._partial[self._filled : self._filled + part] = samples[:part]
                self._fill(part)
            samples = samples[part:]

    def _fill(self, samples: int) -> None:
        self._filled += samples
        if self._filled == BLOCK:
            lost = self._absent > BLOCK // 2
            self._filled = self._absent = 0
            self._hand_out(None if lost else self._partial.copy())

    def _hand_out(self, samples: Samples | None) -> None:
        assert self._next is not None
        self.counts.lost_blocks += samples is None
        self._ready.append(Slot(self._next, samples))
        self._next += BLOCK


def _start_of(waiting: _Waiting) -> int:
    return waiting.start
