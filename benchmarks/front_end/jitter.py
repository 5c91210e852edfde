"""Jitter buffers: delay against what is lost for it, on made-up paths, in virtual time.

Delays are above the least that the network ever needed. Paths are assumptions, made from published figures.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Samples, to_samples
from audio.concealment import CONCEALERS
from audio.jitter import JitterBuffer, Packet
from audio.playout import PlayoutBuffer
from benchmarks.front_end.neteq_like import NetEqLike
from benchmarks.front_end.section import Section
from benchmarks.front_end.signals import Corpus, blocks, mean, noise
from benchmarks.harness import Target, table

_LEAST_MS: Final = 50.0
_FIXED_MS: Final = (40, 100, 200)
_SHARES: Final = (0.95, 0.97, 0.985, 0.995, 0.998)
_SHOWN_SHARES: Final = (0.985, 0.995)
_CONCEALED_MOST: Final = 0.5
_TICK_MS: Final = 100.0

Times = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Path:
    """When each packet of 20 ms arrives, in ms on the sender's clock; NaN for what is lost."""

    name: str
    kind: str
    arrivals: Times

    @property
    def sent(self) -> Times:
        """When each packet was sent."""
        return np.arange(len(self.arrivals)) * float(BLOCK_MS)

    @property
    def delays(self) -> Times:
        """Above the least, NaN for what is lost."""
        delays = self.arrivals - self.sent
        return np.asarray(delays - np.nanmin(delays))


def _held_up(
    arrivals: Times, random: np.random.Generator, every_s: float, least_ms: float, most_ms: float
) -> Times:
    """Now and then nothing comes through for a while, then all of it at once."""
    held, at = arrivals.copy(), float(random.exponential(every_s))
    while at * 1_000 < arrivals[-1]:
        ends_ms = at * 1_000 + random.uniform(least_ms, most_ms)
        held[(held >= at * 1_000) & (held < ends_ms)] = ends_ms
        at = ends_ms / 1_000 + float(random.exponential(every_s))
    return held


def _lossy(arrivals: Times, random: np.random.Generator, percent: float) -> Times:
    lost = random.random(len(arrivals)) < percent / 100
    lost[0] = False
    return np.where(lost, np.nan, arrivals)


def paths(minutes: float, seed: int) -> list[Path]:
    """The six paths."""
    random = np.random.default_rng(seed)
    packets = round(minutes * 60_000 / BLOCK_MS)
    due = np.arange(packets) * float(BLOCK_MS) + _LEAST_MS

    def ordered(deviation_ms: float) -> Times:
        return np.maximum.accumulate(due + np.abs(random.normal(0, deviation_ms, packets)))

    def gaussian(deviation_ms: float) -> Times:
        return due + np.maximum(random.normal(0, deviation_ms, packets), -_LEAST_MS)

    return [
        Path("websocket, clean", "ordered", ordered(2)),
        Path("websocket, TCP stalls 60-300 ms", "bursts", _held_up(ordered(2), random, 6, 60, 300)),
        Path("Gaussian 10 ms", "reordering", gaussian(10)),
        Path("Gaussian 20 ms", "reordering", gaussian(20)),
        Path(
            "Wi-Fi bursts 40-150 ms", "bursts", _lossy(_held_up(ordered(3), random, 4, 40, 150), random, 0.3)
        ),
        Path(
            "LTE handovers 150-400 ms",
            "bursts",
            _lossy(_held_up(ordered(8), random, 18, 150, 400), random, 0.5),
        ),
    ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a listener got: mean delay, and shares of all sound in per cent."""

    delay_ms: float
    concealed: float
    discarded: float = 0.0
    stretched: float = 0.0

    def __str__(self) -> str:
        return f"{self.delay_ms:.0f} @ {self.concealed:.2g}"


def fixed(path: Path, delay_ms: float) -> Outcome:
    """A buffer that holds the first packet for `delay_ms`, and keeps that pace; what is late is discarded."""
    delays = path.delays
    until = delays[0] + delay_ms
    late = np.count_nonzero(delays > until) / len(delays) * 100
    return Outcome(float(until), late + float(np.mean(np.isnan(delays))) * 100, late)


def best_constant(path: Path) -> Outcome:
    """The least constant delay that conceals 0.5 % at most, or that much more than the network lost."""
    delays, lost = path.delays, float(np.mean(np.isnan(path.delays))) * 100
    limit = _CONCEALED_MOST + (lost if lost > 0.2 else 0.0)
    ranked = np.sort(np.nan_to_num(delays, nan=np.inf))
    place = min(int(np.ceil(len(ranked) * (1 - limit / 100))) - 1, len(ranked) - 1)
    return Outcome(float(ranked[place]), float(np.mean(~(delays <= ranked[place]))) * 100)


def best_at_ticks(path: Path, phase_ms: float) -> Outcome:
    """The same for a listener who can only take sound at its own ticks, `phase_ms` after the least delay."""
    best = best_constant(path)
    ticks = max(0, int(np.ceil((best.delay_ms - phase_ms) / BLOCK_MS)))
    delay_ms = phase_ms + ticks * BLOCK_MS
    return Outcome(delay_ms, float(np.mean(~(path.delays <= delay_ms))) * 100)


def _ticks(path: Path, phase_ms: float) -> Times:
    """When a listener asks: `phase_ms` after the moments at which packets come at the earliest."""
    least_ms = float(np.nanmin(path.arrivals - path.sent))
    return np.arange(least_ms + phase_ms, float(np.nanmax(path.arrivals)), BLOCK_MS)


def _arriving(path: Path) -> list[int]:
    return [int(number) for number in np.argsort(path.arrivals, kind="stable") if path.arrivals[number] > 0]


def neteq_like(path: Path, phase_ms: float) -> Outcome:
    """What NetEqLike makes of it, asked for twice 10 ms at each tick."""
    engine, arriving, delays_ms = NetEqLike(), deque(_arriving(path)), []
    least_ms = float(np.nanmin(path.arrivals - path.sent))
    for now_ms in _ticks(path, phase_ms):
        while arriving and path.arrivals[arriving[0]] <= now_ms:
            number = arriving.popleft()
            engine.push(number, float(path.arrivals[number]))
        if engine.position_ms is not None:
            delays_ms.append(now_ms - engine.position_ms - least_ms)
        engine.tick(now_ms)
        engine.tick(now_ms)
    whole_ms = len(delays_ms) * BLOCK_MS
    return Outcome(
        mean(delays_ms),
        engine.concealed_ms / whole_ms * 100,
        engine.discarded_ms / whole_ms * 100,
        engine.stretched_ms / whole_ms * 100,
    )


def playout(path: Path, said: Samples, share: float, phase_ms: float) -> Outcome:
    """What PlayoutBuffer makes of it. `said`: blocks, shape (n, BLOCK), again and again."""
    buffer = PlayoutBuffer(CONCEALERS["repeat"](), share=share)
    arriving, delays_ms = deque(_arriving(path)), []
    least_ms = float(np.nanmin(path.arrivals - path.sent))
    for now_ms in _ticks(path, phase_ms):
        while arriving and path.arrivals[arriving[0]] <= now_ms:
            number = arriving.popleft()
            packet = Packet(number, number * BLOCK, said[number % len(said)])
            buffer.push(packet, float(path.arrivals[number]))
        if buffer.counts.received:
            delays_ms.append(now_ms - buffer.position * 1_000 / RATE_HZ - least_ms)
        buffer.pull(float(now_ms))
    counts, whole = buffer.counts, len(delays_ms) * BLOCK
    return Outcome(
        mean(delays_ms),
        counts.concealed / whole * 100,
        counts.discarded / whole * 100,
        (counts.removed + counts.inserted) / whole * 100,
    )


def stream(path: Path, buffer: JitterBuffer | None = None) -> tuple[Times, float]:
    """By how many ms JitterBuffer delayed each block that came, and how many per cent were lost."""
    buffer = JitterBuffer() if buffer is None else buffer
    delays_ms, handed_out, silent = [], 0, np.zeros(BLOCK, np.int16)
    arrivals = [(float(path.arrivals[number]), number) for number in _arriving(path)]
    ticks = [(float(at), -1) for at in np.arange(0, arrivals[-1][0] + 1_000, _TICK_MS)]
    for now_ms, number in heapq.merge(arrivals, ticks):
        if number >= 0:
            buffer.push(Packet(number, number * BLOCK, silent), now_ms)
        for slot in buffer.pop(now_ms):
            handed_out += 1
            if slot.samples is not None:
                delays_ms.append(now_ms - path.arrivals[slot.start // BLOCK])
    return np.array(delays_ms), (handed_out - len(delays_ms)) / handed_out * 100


def _mean(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(*np.mean([astuple(outcome) for outcome in outcomes], axis=0).tolist())


def _at_equal_concealment(curve: Sequence[Outcome], concealed: float) -> float:
    """The delay at which our curve conceals so much; straight lines between its points."""
    ranked = sorted(curve, key=lambda outcome: outcome.concealed)
    return float(
        np.interp(concealed, [each.concealed for each in ranked], [each.delay_ms for each in ranked])
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """All figures of a path. `above_best_ms`: our delay above the best constant at the same ticks."""

    path: Path
    fixed: list[Outcome]
    best: Outcome
    neteq: Outcome
    ours: dict[float, Outcome]
    above_best_ms: float
    equal_ms: float | None
    stream_mean_ms: float
    stream_p95_ms: float
    stream_lost: float


def _found(path: Path, said: Samples) -> _Found:
    best = best_constant(path)
    own = best.delay_ms % BLOCK_MS + 0.5
    phases = (own, (own + BLOCK_MS / 2) % BLOCK_MS)
    shares = _SHARES if path.kind == "bursts" else _SHOWN_SHARES
    each = {share: [playout(path, said, share, phase) for phase in phases] for share in shares}
    ours = {share: _mean(outcomes) for share, outcomes in each.items()}
    neteq = _mean([neteq_like(path, phase) for phase in phases])
    constants = [best_at_ticks(path, phase) for phase in phases]
    above = [
        mine.delay_ms - constant.delay_ms
        for mine, constant in zip(each[_SHOWN_SHARES[0]], constants, strict=True)
    ]
    delays_ms, lost = stream(path)
    return _Found(
        path=path,
        fixed=[fixed(path, delay_ms) for delay_ms in _FIXED_MS],
        best=best,
        neteq=neteq,
        ours=ours,
        above_best_ms=max(above),
        equal_ms=_at_equal_concealment(list(ours.values()), neteq.concealed)
        if path.kind == "bursts"
        else None,
        stream_mean_ms=float(delays_ms.mean()),
        stream_p95_ms=float(np.percentile(delays_ms, 95)),
        stream_lost=lost,
    )


def _after_a_loss() -> tuple[int, float]:
    """One packet of a path in order is lost: how many more are, and what delay is left 10 s later, in ms."""
    sent = np.arange(2_000) * float(BLOCK_MS)
    arrivals = sent + _LEAST_MS
    arrivals[1_000] = np.nan
    buffer = JitterBuffer()
    delays_ms, _ = stream(Path("one lost", "ordered", arrivals), buffer)
    return buffer.counts.lost_blocks - 1, float(delays_ms[-500:].max())


class _Heap:
    """The least that puts packets in order: a heap, and a set of what has come."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Samples]] = []
        self._come: set[int] = set()
        self._next = 0

    def push(self, packet: Packet) -> None:
        """Takes a packet."""
        if packet.sequence not in self._come:
            self._come.add(packet.sequence)
            heapq.heappush(self._waiting, (packet.sequence, packet.samples))

    def pop(self) -> list[tuple[int, Samples]]:
        """Gives what is in order."""
        found = []
        while self._waiting and self._waiting[0][0] == self._next:
            found.append(heapq.heappop(self._waiting))
            self._next += 1
        return found


def _took_us(said: Samples, repetitions: int) -> dict[str, float]:
    """Microseconds for a packet and its block, medians of repetitions that take turns."""
    packets = [Packet(number, number * BLOCK, said[number % len(said)]) for number in range(1_000)]
    late_ms = np.abs(np.random.default_rng(4).normal(0, 10, len(packets)))
    shuffled = sorted(packets, key=lambda packet: packet.sequence * BLOCK_MS + late_ms[packet.sequence])

    def heap() -> None:
        reference = _Heap()
        for packet in packets:
            reference.push(packet)
            reference.pop()

    def in_order(given: Sequence[Packet]) -> Callable[[], None]:
        def run() -> None:
            buffer = JitterBuffer()
            for number, packet in enumerate(given):
                buffer.push(packet, number * 20.0)
                buffer.pop(number * 20.0)

        return run

    def ears() -> None:
        buffer = PlayoutBuffer(CONCEALERS["repeat"]())
        for number, packet in enumerate(shuffled):
            buffer.push(packet, packet.sequence * 20.0 + float(late_ms[packet.sequence]))
            buffer.pull(number * 20.0 + 40)

    kinds: dict[str, Callable[[], None]] = {
        "heap and set": heap,
        "stream, in order": in_order(packets),
        "stream, reordering": in_order(shuffled),
        "playout": ears,
    }
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repetitions):
        for name, run in kinds.items():
            began = time.perf_counter()
            run()
            took[name].append((time.perf_counter() - began) / len(packets) * 1e6)
    return {name: round(float(np.median(values)), 2) for name, values in took.items()}


def measure(corpus: Corpus, *, quick: bool) -> Section:
    """Delay and loss on six paths, fixed buffers and a NetEQ-like one beside ours; and the cost."""
    speech = np.concatenate([corpus.speech(0, 20, pause_s=1.5), np.zeros(15 * RATE_HZ)])
    said = to_samples(blocks(speech + noise("white", len(speech), corpus) * 3e-4))
    found = [_found(path, said) for path in paths(2 if quick else 10, seed=11)]
    more_lost, step_ms = _after_a_loss()
    took_us = _took_us(said, 5 if quick else 15)
    return Section(
        document=_document(found, took_us),
        targets=_targets(found, took_us, more_lost, step_ms),
        tables=[_delays(found), _costs(took_us)],
        notes=[
            "Delay in ms above the least the network needed @ per cent concealed. A best constant knows the "
            "future. Playout is compared with it at the same ticks of the listener, 20 ms apart: those that "
            "suit the best constant, and those 10 ms off.",
            "NetEQ-like is our writing from published constants, asked at the same ticks, and favoured: "
            "its stretches always succeed.",
            "aiortc is not among the dependencies: its buffer is not measured here.",
        ],
    )


def _targets(
    found: Sequence[_Found], took_us: Mapping[str, float], more_lost: int, step_ms: float
) -> list[Target]:
    ordered, reordering, bursts = (
        [each for each in found if each.path.kind == kind] for kind in ("ordered", "reordering", "bursts")
    )
    in_order = [each.stream_p95_ms for each in (*ordered, *bursts)]
    targets = [
        Target("jitter: recogniser in order, p95", max(in_order), 0.0, "ms"),
        Target(
            "jitter: recogniser with reordering, mean",
            round(max(each.stream_mean_ms for each in reordering), 2),
            5.0,
            "ms",
        ),
        Target("jitter: packets dropped after a loss", more_lost, 1, "packets"),
        Target("jitter: delay left by a loss", step_ms, 0.0, "ms"),
    ]
    for each in (*ordered, *reordering):
        shown = each.ours[_SHOWN_SHARES[0]]
        name = f"jitter: playout, {each.path.name}"
        targets += [
            Target(f"{name}, above the best constant", round(each.above_best_ms, 1), 5.0, "ms"),
            Target(f"{name}, concealed", round(shown.concealed, 2), _CONCEALED_MOST, "%"),
        ]
    for each in bursts:
        name = f"jitter: playout, {each.path.name}"
        discarded = max(outcome.discarded for outcome in each.ours.values())
        targets += [
            Target(
                f"{name}, delay at what NetEQ conceals",
                _rounded(each.equal_ms),
                round(each.neteq.delay_ms, 1),
                "ms",
            ),
            Target(f"{name}, discarded", round(discarded, 3), 0.05, "%"),
        ]
    return [
        *targets,
        Target("jitter: recogniser, a push or a pop", round(took_us["stream, reordering"] / 2, 2), 30, "us"),
        Target("jitter: playout, a push or a pull", round(took_us["playout"] / 2, 2), 30, "us"),
    ]


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def _document(found: Sequence[_Found], took_us: Mapping[str, float]) -> dict[str, Any]:
    def figures(outcome: Outcome) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(outcome).items()}

    return {
        "paths": {
            each.path.name: {
                "fixed": {
                    str(ms): figures(outcome) for ms, outcome in zip(_FIXED_MS, each.fixed, strict=True)
                },
                "best_constant": figures(each.best),
                "neteq_like": figures(each.neteq),
                "playout": {str(share): figures(outcome) for share, outcome in each.ours.items()},
                "playout_above_best_ms": round(each.above_best_ms, 1),
                "playout_at_neteq_concealment_ms": _rounded(each.equal_ms),
                "stream": {
                    "mean_ms": round(each.stream_mean_ms, 2),
                    "p95_ms": round(each.stream_p95_ms, 2),
                    "lost": round(each.stream_lost, 3),
                },
            }
            for each in found
        },
        "took_us": dict(took_us),
    }


def _delays(found: Sequence[_Found]) -> Table:
    rows = table(
        "Jitter buffers: delay ms @ % concealed",
        *(f"fixed {ms}" for ms in _FIXED_MS),
        "NetEQ-like",
        *(f"ours {share:g}" for share in _SHOWN_SHARES),
        "best constant",
        "recogniser",
    )
    for each in found:
        rows.add_row(
            each.path.name,
            *map(str, each.fixed),
            str(each.neteq),
            *(str(each.ours[share]) for share in _SHOWN_SHARES),
            str(each.best),
            f"{each.stream_mean_ms:.1f} @ {each.stream_lost:.2g}",
        )
    return rows


def _costs(took_us: Mapping[str, float]) -> Table:
    rows = table("Jitter buffers: cost of a packet and a block", "us")
    for name, us in took_us.items():
        rows.add_row(name, f"{us:g}")
    return rows
