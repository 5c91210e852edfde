"""Packet loss concealment: quality against loss, and what a lost block costs.

Speech is companded by mu-law, then 20 ms packets are lost, at random or in bursts (Gilbert's model, three
packets long on average). PESQ is against the speech before companding, every method on the same losses.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from audio.blocks import BLOCK, RATE_HZ, Block
from audio.concealment import CONCEALERS, Concealer
from audio.continuation import LONGEST_PERIOD, SHORTEST_PERIOD, pitch_cycle, repeated
from audio.pitch import period
from benchmarks.front_end import signals
from benchmarks.front_end.section import Section
from benchmarks.harness import Target, table

_BURST_PACKETS: Final = 3.0
_HEARD_FIRST: Final = 5
_SPEECH_S: Final = 5.0
_SEEDS: Final = (31, 32, 33)
_GAIN: Final = 0.08
_NEXT_GAIN: Final = 0.05
_FIRST_US: Final = 150.0
_GOOD_US: Final = 2.0
_REFERENCE: Final = "G.711 Appendix I"
_NEXT: Final = "spectral, next packet here"
_GAP_BLOCKS: Final = 6
_GOOD_BLOCKS: Final = 24


@dataclass(frozen=True, slots=True)
class _Loss:
    """How many packets get lost, and how."""

    percent: int
    in_bursts: bool = False

    def __str__(self) -> str:
        return f"burst {self.percent} %" if self.in_bursts else f"{self.percent} %"

    def lost(self, packets: int, seed: int) -> NDArray[np.bool_]:
        """Which of them; none of the first 100 ms."""
        random, share = np.random.default_rng([seed, self.percent]), self.percent / 100
        drawn = random.random(packets)
        if self.in_bursts:
            found = np.zeros(packets, np.bool_)
            stops = 1 / _BURST_PACKETS
            starts = stops * share / (1 - share)
            for n in range(1, packets):
                found[n] = drawn[n] >= stops if found[n - 1] else drawn[n] < starts
        else:
            found = drawn < share
        found[:_HEARD_FIRST] = False
        return found


_LOSSES: Final = (*map(_Loss, (1, 3, 5, 10, 20)), *(_Loss(percent, True) for percent in (5, 10, 20)))
_QUICK_LOSSES: Final = (_Loss(5), _Loss(10), _Loss(10, True))


class _Silence:
    """Nothing where nothing came."""

    def __init__(self) -> None:
        self.delay_samples = 0

    def good(self, block: Block) -> Block:
        return block

    def lost(self, following: Block | None = None) -> Block:
        return np.zeros(BLOCK, np.float32)

    def reset(self) -> None:
        pass


_FRAME: Final = BLOCK // 2
_OVERLAP: Final = LONGEST_PERIOD // 4
_HELD: Final = 390
_MOST_RECOVERY: Final = _FRAME
_RECOVERY_A_FRAME: Final = 32
_FADED_FRAMES: Final = 6


class AppendixOne:
    """As ITU-T G.711 Appendix I is described (not from its source, not bit-exact), with its delay of 3.75 ms.

    Works in frames of 10 ms. The delay lets the first pitch period overlap with what is not played yet.
    """

    def __init__(self) -> None:
        self.delay_samples = _OVERLAP
        self.reset()

    def good(self, block: Block) -> Block:
        """See Concealer."""
        return np.concatenate([self._good(block[:_FRAME]), self._good(block[_FRAME:])])

    def lost(self, following: Block | None = None) -> Block:
        """See Concealer."""
        return np.concatenate([self._lost(), self._lost()])

    def reset(self) -> None:
        """See Concealer."""
        self._history = np.zeros(_HELD, np.float32)
        self._frames = 0

    def _good(self, frame: Block) -> Block:
        if self._frames:
            seam = min(_MOST_RECOVERY, self._period // 4 + _RECOVERY_A_FRAME * (self._frames - 1))
            frame = frame.copy()
            frame[:seam] = _cross_faded(self._faded(self._taken(seam)), frame[:seam])
            self._frames = 0
        return self._played(frame)

    def _lost(self) -> Block:
        if self._frames == 0:
            self._period, _ = period(self._history, BLOCK, SHORTEST_PERIOD, LONGEST_PERIOD)
            self._before = self._history.copy()
            self._cycle, self._at = pitch_cycle(self._before, self._period, 1), 0
            seam = self._period // 4
            self._history[-seam:] = self._cycle[-seam:]
        elif self._frames < 3:
            return self._end_frame(self._one_period_more())
        return self._end_frame(self._taken(_FRAME))

    def _one_period_more(self) -> Block:
        at, seam = self._at, self._period // 4
        old = self._taken(seam)
        self._cycle, self._at = pitch_cycle(self._before, self._period, self._frames + 1), at % self._period
        new = self._taken(_FRAME)
        new[:seam] = _cross_faded(old, new[:seam])
        return new

    def _end_frame(self, frame: Block) -> Block:
        frame = self._faded(frame)
        self._frames += 1
        return self._played(frame)

    def _faded(self, sound: Block) -> Block:
        if self._frames == 0:
            return sound
        past = self._frames - 1 + np.arange(len(sound), dtype=np.float32) / _FRAME
        return np.asarray(sound * np.maximum(1 - past / (_FADED_FRAMES - 1), 0), np.float32)

    def _taken(self, samples: int) -> Block:
        found = repeated(self._cycle, self._at, samples)
        self._at = (self._at + samples) % len(self._cycle)
        return found

    def _played(self, frame: Block) -> Block:
        self._history = np.concatenate([self._history[_FRAME:], frame])
        return self._history[-_FRAME - _OVERLAP : -_OVERLAP].copy()


def _cross_faded(old: Block, new: Block) -> Block:
    ramp = (np.arange(len(new), dtype=np.float32) + np.float32(0.5)) / len(new)
    return np.asarray(old + (new - old) * ramp, np.float32)


_METHODS: Final[Mapping[str, Callable[[], Concealer]]] = {
    "silence": _Silence,
    **CONCEALERS,
    _REFERENCE: AppendixOne,
    _NEXT: CONCEALERS["spectral"],
}


def measure(corpus: signals.Corpus, *, quick: bool) -> Section:
    """PESQ of every method over losses, talkers and seeds; and microseconds a block."""
    losses = _QUICK_LOSSES if quick else _LOSSES
    seeds = _SEEDS[:1] if quick else _SEEDS
    pesq = {str(loss): _quality(corpus, loss, seeds) for loss in losses}
    costs_us = {
        name: _costs_us(make, corpus, look_ahead=name == _NEXT)
        for name, make in _METHODS.items()
        if name != "silence"
    }
    document: dict[str, Any] = {
        "pesq": {name: {loss: round(row[name], 3) for loss, row in pesq.items()} for name in _METHODS},
        "cost_us": costs_us,
    }
    notes = ["PESQ-NB, mean over talkers and seeds; the reference's 3.75 ms of delay are taken out for it."]
    return Section(document, _targets(pesq, costs_us), [_quality_table(pesq), _cost_table(costs_us)], notes)


def _targets(
    pesq: Mapping[str, Mapping[str, float]], costs_us: Mapping[str, Mapping[str, float]]
) -> list[Target]:
    found = []
    for loss in ("5 %", "10 %"):
        row = pesq[loss]
        gain, further = row["spectral"] - row[_REFERENCE], row[_NEXT] - row["spectral"]
        found += [
            Target(f"spectral above {_REFERENCE}, {loss} lost", round(gain, 3), _GAIN, "PESQ", at_least=True),
            Target(
                f"next packet here, {loss} lost, above without",
                round(further, 3),
                _NEXT_GAIN,
                "PESQ",
                at_least=True,
            ),
        ]
    ours = costs_us["spectral"]
    return [
        *found,
        Target("spectral adds delay", float(CONCEALERS["spectral"]().delay_samples), 0, "samples"),
        Target("spectral, first lost block", ours["first_lost"], _FIRST_US, "us"),
        Target("spectral, good block", ours["good"], _GOOD_US, "us"),
    ]


def _quality(corpus: signals.Corpus, loss: _Loss, seeds: Sequence[int]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in _METHODS}
    for talker, speech in enumerate(corpus.talkers):
        clean = speech[: round(_SPEECH_S * RATE_HZ)]
        received = signals.blocks(signals.through_ulaw(clean))
        for seed in seeds:
            lost = loss.lost(len(received), 100 * seed + talker)
            for name, make in _METHODS.items():
                heard = _heard(make(), received, lost, look_ahead=name == _NEXT)
                found[name].append(signals.pesq_nb(clean[: len(heard)], heard))
    return {name: signals.mean(values) for name, values in found.items()}


def _heard(
    concealer: Concealer, received: NDArray[np.float32], lost: NDArray[np.bool_], *, look_ahead: bool
) -> signals.Sound:
    """What is played, its delay taken out."""
    pieces = []
    for n, block in enumerate(received):
        if lost[n]:
            here = look_ahead and n + 1 < len(received) and not lost[n + 1]
            pieces.append(concealer.lost(received[n + 1] if here else None))
        else:
            pieces.append(concealer.good(block))
    return np.concatenate(pieces)[concealer.delay_samples :].astype(np.float64)


def _costs_us(make: Callable[[], Concealer], corpus: signals.Corpus, *, look_ahead: bool) -> dict[str, float]:
    """Medians over a talker's speech in which 120 ms are lost every 0.6 s."""
    concealer = make()
    spent: dict[str, list[float]] = {"first_lost": [], "further_lost": [], "back": [], "good": []}
    for n, (block, following) in enumerate(pairwise(signals.blocks(corpus.speech(0, 60)))):
        place = n % (_GOOD_BLOCKS + _GAP_BLOCKS) - _GOOD_BLOCKS
        missing = place >= 0
        began_ns = time.perf_counter_ns()
        if missing:
            concealer.lost(following if look_ahead else None)
        else:
            concealer.good(block)
        took_us = (time.perf_counter_ns() - began_ns) / 1_000
        kind = (
            "first_lost"
            if place == 0
            else "further_lost"
            if missing
            else "back"
            if place == -_GOOD_BLOCKS
            else "good"
        )
        spent[kind].append(took_us)
    return {kind: round(float(np.median(values)), 1) for kind, values in spent.items()}


def _quality_table(pesq: Mapping[str, Mapping[str, float]]) -> Table:
    found = table("Concealment, PESQ at packets lost", *pesq)
    for name in _METHODS:
        found.add_row(name, *(f"{row[name]:.2f}" for row in pesq.values()))
    return found


def _cost_table(costs_us: Mapping[str, Mapping[str, float]]) -> Table:
    found = table("Concealment, us a block", "first lost", "further", "first back", "good")
    for name, row in costs_us.items():
        found.add_row(name, *(f"{value:g}" for value in row.values()))
    return found
