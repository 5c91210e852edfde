"""What a call was like, measured on the sound itself: response gaps, barge-ins, choppiness.

All arrays are int16 mono at 8 kHz on one clock, as `Handset.said` and `Handset.heard` are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.simulator.handset import Handset
from telephony.simulator.playout import Underrun
from telephony.simulator.sound import FULL_SCALE, RATE_HZ, Samples

SAMPLES_PER_MS: Final = RATE_HZ // 1_000
_WINDOW_MS: Final = 5
_FLOOR_DBFS: Final = -50.0
_SILENCE_DBFS: Final = -120.0
_BELOW_LOUD_DB: Final = 35.0
_ABOVE_NOISE_DB: Final = 10.0
_LEAST_RANGE_DB: Final = 15.0
_MERGE_MS: Final = 300.0
_LEAST_SEGMENT_MS: Final = 40.0
_NEAR_MS: Final = 100.0
_EDGE_SAMPLES: Final = 20
_EDGE_DBFS: Final = -40.0
_LEAST_DROPOUT_MS: Final = 10.0
_LONGEST_DROPOUT_MS: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, in ms from the start of the array."""

    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class ResponseGap:
    """The trainee's last sound and the persona's first after it.

    `gap_ms` is negative where the persona began before the trainee had finished.
    """

    trainee_end_ms: float
    persona_start_ms: float

    @property
    def gap_ms(self) -> float:
        """How long the trainee waited."""
        return self.persona_start_ms - self.trainee_end_ms


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The trainee began at `at_ms` while the persona was audible; it fell silent `silent_after_ms` later."""

    at_ms: float
    silent_after_ms: float


@dataclass(frozen=True, slots=True)
class Choppiness:
    """Interruptions inside the persona's utterances.

    `underruns`: from the playout buffer's own record, where sound was audible on both sides.
    `dropouts`: from the waveform alone, exact digital silence between two abrupt edges.
    """

    underruns: int
    underrun_ms: float
    dropouts: int
    dropout_ms: float


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a set of values, in their unit; linear interpolation between neighbours."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class CallMeasures:
    """One call."""

    response_gaps: tuple[ResponseGap, ...]
    barge_ins: tuple[BargeIn, ...]
    choppiness: Choppiness
    trainee: tuple[Segment, ...]
    persona: tuple[Segment, ...]


def measure(handset: Handset) -> CallMeasures:
    """Measures a call at its handset. CPU-bound: about 10 ms a minute of call."""
    said, heard = handset.said, handset.heard
    trainee, persona = segments(said), segments(heard)
    return CallMeasures(
        tuple(response_gaps(trainee, persona)),
        tuple(barge_ins(trainee, persona)),
        choppiness(
            heard, handset.underruns, [event.at_ms for event in handset.events if event.kind == "clear"]
        ),
        tuple(trainee),
        tuple(persona),
    )


def segments(samples: Samples, *, merge_ms: float = _MERGE_MS) -> list[Segment]:
    """Finds speech by its energy, to 5 ms; pauses shorter than `merge_ms` belong to the speech.

    A 5 ms window is sound if it lies above -50 dBFS, at most 35 dB below the loud parts (their 95th
    percentile), and 10 dB above the noise (the 10th percentile), the last
    only as far as 15 dB below the loud parts. Shorter bits than 40 ms are clicks.
    """
    levels = _levels_dbfs(samples)
    sounding = levels[levels > _FLOOR_DBFS]
    if not len(sounding):
        return []
    loud = float(np.percentile(sounding, 95))
    noise = float(np.percentile(np.maximum(levels, _SILENCE_DBFS), 10)) + _ABOVE_NOISE_DB
    threshold = max(_FLOOR_DBFS, loud - _BELOW_LOUD_DB, min(noise, loud - _LEAST_RANGE_DB))
    found: list[Segment] = []
    for start, end in _runs(levels > threshold):
        piece = Segment(start * _WINDOW_MS, end * _WINDOW_MS)
        if found and piece.start_ms - found[-1].end_ms < merge_ms:
            found[-1] = Segment(found[-1].start_ms, piece.end_ms)
        else:
            found.append(piece)
    return [segment for segment in found if segment.end_ms - segment.start_ms >= _LEAST_SEGMENT_MS]


def response_gaps(trainee: Sequence[Segment], persona: Sequence[Segment]) -> list[ResponseGap]:
    """For each thing the trainee said that the persona answered before the trainee went on."""
    gaps: list[ResponseGap] = []
    for index, spoken in enumerate(trainee):
        next_ms = trainee[index + 1].start_ms if index + 1 < len(trainee) else float("inf")
        starts = [s.start_ms for s in persona if spoken.start_ms < s.start_ms < next_ms]
        if starts:
            gaps.append(ResponseGap(spoken.end_ms, starts[0]))
    return gaps


def barge_ins(trainee: Sequence[Segment], persona: Sequence[Segment]) -> list[BargeIn]:
    """For each time the trainee began while the persona was audible."""
    return [
        BargeIn(spoken.start_ms, heard.end_ms - spoken.start_ms)
        for spoken in trainee
        for heard in persona
        if heard.start_ms < spoken.start_ms < heard.end_ms
    ]


def choppiness(heard: Samples, underruns: Sequence[Underrun], clears_ms: Sequence[float] = ()) -> Choppiness:
    """Counts what interrupts the sound of an utterance. Silence that the application asked for is none of it.

    Marks do not tell the end of an utterance, because an application may send one behind every message.
    """
    levels = _levels_dbfs(heard)
    inside = [u for u in underruns if _sounds_around(levels, u.at_ms, u.at_ms + u.ms)]
    dropouts = [
        dropout
        for dropout in waveform_dropouts(heard)
        if not any(abs(dropout.start_ms - cleared_ms) < _NEAR_MS for cleared_ms in clears_ms)
    ]
    return Choppiness(
        len(inside),
        sum(underrun.ms for underrun in inside),
        len(dropouts),
        sum(dropout.end_ms - dropout.start_ms for dropout in dropouts),
    )


def waveform_dropouts(heard: Samples) -> list[Segment]:
    """Finds exact digital silence of 10 to 1000 ms that cuts sound off and lets it begin at full strength.

    Sound counts within 2.5 ms of the silence, above -40 dBFS; speech that ends by itself fades.
    """
    found: list[Segment] = []
    for start, end in _runs(heard == 0):
        length_ms = (end - start) / SAMPLES_PER_MS
        if not _LEAST_DROPOUT_MS <= length_ms <= _LONGEST_DROPOUT_MS:
            continue
        edges = heard[max(0, start - _EDGE_SAMPLES) : start], heard[end : end + _EDGE_SAMPLES]
        if all(len(edge) == _EDGE_SAMPLES and _level_dbfs(edge) > _EDGE_DBFS for edge in edges):
            found.append(Segment(start / SAMPLES_PER_MS, end / SAMPLES_PER_MS))
    return found


def percentiles(values: Sequence[float]) -> Percentiles | None:
    """None for no values."""
    if not len(values):
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99]))
    return Percentiles(len(values), p50, p95, p99)


def _levels_dbfs(samples: Samples) -> NDArray[np.float64]:
    length = _WINDOW_MS * SAMPLES_PER_MS
    windows = len(samples) // length
    scaled = samples[: windows * length].reshape(windows, length) / FULL_SCALE
    with np.errstate(divide="ignore"):
        levels: NDArray[np.float64] = 10 * np.log10(np.mean(np.square(scaled), axis=1))
    return levels


def _level_dbfs(samples: Samples) -> float:
    power = float(np.mean(np.square(samples / FULL_SCALE)))
    return 10 * float(np.log10(power)) if power else float("-inf")


def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], active, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _sounds_around(levels: NDArray[np.float64], start_ms: float, end_ms: float) -> bool:
    start, end = int(start_ms // _WINDOW_MS), int(-(-end_ms // _WINDOW_MS))
    reach = int(_NEAR_MS // _WINDOW_MS)
    before, after = levels[max(0, start - reach) : max(0, start)], levels[end : end + reach]
    return bool(np.any(before > _FLOOR_DBFS) and np.any(after > _FLOOR_DBFS))
