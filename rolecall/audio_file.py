"""The front end over a file: what it makes of a trainee's sound in a call, to be listened to and measured."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from agent.errors import ConfigError
from audio import ulaw
from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Samples, to_samples
from audio.front_end import FrontEnd, FrontEndSettings, warm_up
from audio.jitter import Packet
from audio.processor import FEEDS, FILTERS, Feed, Heard
from rolecall.front_end import choose_front_end
from rolecall.settings import Settings
from rolecall.sound_file import read_telephone, write_telephone
from telephony.simulator.conditions import DelayLine, Direction, LineConditions, Losses
from telephony.simulator.echo import Echo
from telephony.simulator.sound import SILENT_FRAME

_ALWAYS: Final = ("jitter", "concealment")
"""Part of every front end: may be named among the filters, and changes nothing."""
_AHEAD: Final = 200 * RATE_HZ // 1_000
_AUDIBLE_DBFS: Final = -50.0
_ECHO_BLOCKS: Final = 500 // BLOCK_MS
"""Echo may come so long after what it is an echo of."""
_LEARNING_BLOCKS: Final = 2_000 // BLOCK_MS
"""Of far end, before what is left of its echo is judged."""


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """What was asked for on the command line. `stages` is None for the filters of the settings."""

    source: Path
    target: Path
    far: Path | None = None
    stages: str | None = None
    impair: str = ""
    feed: Feed = "monitor"
    report: bool = False


def run_process(settings: Settings, options: ProcessOptions) -> int:
    """Writes what `feed` hears of the file; prints a report, if asked."""
    chosen = choose_front_end(settings.audio.model_copy(update=_filters(options.stages)))
    conditions = LineConditions.parse(options.impair)
    near, far = read_telephone(options.source), _far_end(options.far)
    broken: list[dict[str, str]] = []
    warm_up(chosen.settings)
    run = _Run(
        chosen.settings, far, on_bypass=lambda name, why: broken.append({"filter": name, "reason": why})
    )
    heard = run.over(near, conditions)
    write_telephone(options.target, _joined(heard, options.feed, len(near)))
    if options.report:
        typer.echo(json.dumps(run.report(near, heard, options.feed) | {"bypassed": broken}, indent=2))
    return 0


def _filters(stages: str | None) -> dict[str, Any]:
    if stages is None:
        return {}
    names = [name.strip() for name in stages.split(",") if name.strip() and name.strip() != "none"]
    unknown = [name for name in names if name not in FILTERS and name not in _ALWAYS]
    if unknown:
        raise ConfigError(
            f"there is no stage {', '.join(unknown)}",
            hint=f"Name some of {', '.join((*_ALWAYS, *FILTERS))}, or none",
        )
    return {"filters": tuple(name for name in names if name in FILTERS)}


def _far_end(path: Path | None) -> Samples | None:
    return None if path is None else ulaw.decode(ulaw.encode(read_telephone(path)))


class _Run:
    """One file on its way through a front end, packet by packet, as fast as that goes."""

    def __init__(
        self, settings: FrontEndSettings, far: Samples | None, *, on_bypass: Callable[[str, str], None]
    ) -> None:
        self._front_end = FrontEnd(settings, on_bypass=on_bypass)
        self._far = far
        self._sent = 0
        self._took_us: list[float] = []

    def over(self, near: Samples, conditions: LineConditions) -> list[Heard]:
        """Returns the blocks that come out, in order."""
        heard: list[Heard] = []
        for packet, due_ms in _arrivals(near, self._far if self._far is not None else near[:0], conditions):
            self._play(packet.start)
            began_s = time.perf_counter()
            found = self._front_end.hear(packet, due_ms)
            if found:
                self._took_us += [(time.perf_counter() - began_s) * 1e6 / len(found)] * len(found)
            heard += found
        return heard

    def _play(self, until: int) -> None:
        """The far end goes out ahead of time, as the persona's voice does."""
        if self._far is not None and self._sent < min(until + _AHEAD, len(self._far)):
            piece = self._far[self._sent : until + _AHEAD]
            self._front_end.far_end.send("", piece, self._sent)
            self._sent += len(piece)

    def report(self, near: Samples, heard: Sequence[Heard], feed: Feed) -> dict[str, Any]:
        """Costs, delays, and what was found on the line."""
        processor = self._front_end.processor
        took_us = np.array(self._took_us or [0.0])
        found: dict[str, Any] = {
            "seconds": round(len(near) / RATE_HZ, 2),
            "block_ms": BLOCK_MS,
            "block": {
                "median_us": round(float(np.median(took_us)), 1),
                "p99_us": round(float(np.percentile(took_us, 99)), 1),
            },
            "stages": {name: asdict(timing) for name, timing in processor.timings().items()},
            "feed": feed,
            "added_delay_ms": processor.delay_ms(feed),
            "added_delay_ms_by_feed": {each: processor.delay_ms(each) for each in FEEDS},
            "line": {"faults": list(self._front_end.line_report().faults), **self._front_end.figures()},
        }
        if self._far is not None:
            found["erle_db"] = _erle_db(near, self._far, _joined(heard, "recogniser", len(near)))
            found["erle_voice_db"] = _erle_db(near, self._far, _joined(heard, "voice", len(near)))
        self._front_end.close()
        return found


def _arrivals(near: Samples, played: Samples, conditions: LineConditions) -> Iterator[tuple[Packet, float]]:
    """Packets of 20 ms, as the carrier codes them, in the order and at the times at which they arrive.

    `conditions` may add the echo of what was `played`, and lose packets.
    """
    line: DelayLine[Packet] = DelayLine(conditions, Direction.UP)
    padded = np.pad(near, (0, -len(near) % BLOCK))
    losses, echo = Losses(conditions), None if conditions.echo is None else Echo(conditions.echo)
    for number in range(len(padded) // BLOCK):
        chunk = ulaw.encode(padded[number * BLOCK : (number + 1) * BLOCK])
        if echo is not None:
            heard = played[number * BLOCK : (number + 1) * BLOCK]
            chunk = echo.mix(chunk, ulaw.encode(heard) if len(heard) == BLOCK else SILENT_FRAME)
        if losses.next():
            continue
        samples = ulaw.decode(chunk)
        due_ms = line.push(Packet(number + 1, number * BLOCK, samples), (number + 1) * BLOCK_MS)
        for packet in line.pop_due(math.inf):
            yield packet, due_ms


def _joined(heard: Sequence[Heard], feed: Feed, length: int) -> Samples:
    """What a feed heard, on the file's own clock: as long as the file, silent where nothing came."""
    found = np.zeros(length + BLOCK, np.int16)
    for each in heard:
        if each.start < length:
            found[each.start : each.start + BLOCK] = to_samples(getattr(each, feed))
    return found[:length]


def _erle_db(near: Samples, far: Samples, found: Samples) -> float | None:
    """Echo return loss enhancement (ITU-T G.168): by how much quieter it is while the far end sounds.

    The first two seconds of far end do not count; speech of the near end at the same time lowers the figure.
    None if nothing is left to be judged.
    """
    count = min(len(near), len(far)) // BLOCK
    sounding = _powers(far, count) > 10 ** (_AUDIBLE_DBFS / 10)
    echoing = np.convolve(sounding, np.ones(_ECHO_BLOCKS))[:count] > 0
    judged = echoing & (np.cumsum(echoing) > _LEARNING_BLOCKS)
    before, after = (float(np.sum(_powers(each, count)[judged])) for each in (near, found))
    if not before:
        return None
    return round(10 * math.log10(before / max(after, before * 1e-10)), 1)


def _powers(samples: Samples, blocks: int) -> NDArray[np.float64]:
    squares = np.square(samples[: blocks * BLOCK].reshape(blocks, BLOCK) / 32_768.0)
    powers: NDArray[np.float64] = np.mean(squares, axis=1)
    return powers
