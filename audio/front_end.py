"""The front end of one call: the trainee's packets in, 20 ms blocks for every listener out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np

from audio import concealment, echo
from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Block, to_block
from audio.concealment import CONCEALERS
from audio.far_end import FarEnd
from audio.jitter import JitterBuffer, Packet, Slot
from audio.line_quality import LineQuality, LineReport
from audio.processor import AudioProcessor, FilterSettings, Heard

_LOOK_AHEAD: Final = 20 * RATE_HZ // 1_000
"""The reference is read so much early: a canceller may learn too soon what was played, never too late."""
_WARM_UP_BLOCKS: Final = 200


@dataclass(frozen=True, slots=True)
class FrontEndSettings:
    """How gaps are filled (a name in CONCEALERS), and the filters."""

    concealment: str = "spectral"
    filters: FilterSettings = field(default_factory=FilterSettings)


class FrontEnd:
    """Jitter buffer, concealment, filters and the echo reference of one call.

    Everything is synchronous and quick: 0.2 ms for a packet of 20 ms. `processor` may be asked and switched
    at any time; `far_end` is to be told what is sent to the carrier and what is cleared.
    """

    def __init__(self, settings: FrontEndSettings, *, on_bypass: Callable[[str, str], None]) -> None:
        """`on_bypass` is told which filter was left out, and why. Raises ValueError for unknown names."""
        if settings.concealment not in CONCEALERS:
            raise ValueError(f"no concealment {settings.concealment}; there are {', '.join(CONCEALERS)}")
        self.far_end = FarEnd()
        self.jitter = JitterBuffer()
        self.processor = AudioProcessor(settings.filters, on_bypass=on_bypass)
        self._concealer = CONCEALERS[settings.concealment]()
        self._quality = LineQuality()

    def hear(self, packet: Packet, now_ms: float) -> list[Heard]:
        """Takes a packet that arrives at `now_ms`; returns the blocks that it completes, in order.

        In order, a packet of 20 ms is one block at once. What came out of order, twice, late or not at all is
        set right as JitterBuffer says; blocks that are lost for good are concealed and marked.
        """
        self.jitter.push(packet, now_ms)
        slots = self.jitter.pop(now_ms)
        return [self._hear(slot, slots[n + 1 : n + 2]) for n, slot in enumerate(slots)]

    def played(self, mark: str, at: int) -> None:
        """The carrier's receipt `mark` came when the trainee's audio had reached `at`, in samples."""
        moved = self.far_end.played(mark, at)
        canceller = self.processor.canceller
        if moved and canceller is not None:
            canceller.far_end_moved(moved)

    def line_report(self) -> LineReport:
        """What is wrong with the line, by all that arrived so far."""
        return self._quality.report()

    def figures(self) -> dict[str, float | None]:
        """What was measured of the line so far, by name with its unit; None is what could not be measured."""
        report = asdict(self._quality.report())
        found = {name: value for name, value in report.items() if name != "faults"}
        found |= {f"packets_{name}": value for name, value in asdict(self.jitter.counts).items()}
        canceller = self.processor.canceller
        if canceller is not None and canceller.echo_seen:
            found["echo_erle_db"] = round(canceller.erle_db, 1)
            if canceller.delay_ms is not None:
                found["echo_delay_ms"] = canceller.delay_ms - _LOOK_AHEAD * 1_000 / RATE_HZ
        return found

    def close(self) -> None:
        """Gives back what filters hold outside Python."""
        self.processor.close()

    def _hear(self, slot: Slot, following: list[Slot]) -> Heard:
        lost = slot.samples is None
        block = (
            self._concealed(following)
            if slot.samples is None
            else self._concealer.good(to_block(slot.samples))
        )
        self._quality.process(block, lost=lost)
        canceller = self.processor.canceller
        if canceller is not None:
            canceller.reference_settled = self.far_end.is_settled(slot.start)
        far = self.far_end.read(slot.start + _LOOK_AHEAD)
        return self.processor.process(Heard.of(block, slot.start, lost=lost), far)

    def _concealed(self, following: list[Slot]) -> Block:
        known = following[0].samples if following else None
        return self._concealer.lost(None if known is None else to_block(known))


def warm_up(settings: FrontEndSettings) -> None:
    """Runs everything once, so that no call waits for compiled code.

    Half a minute where nothing was compiled before; then two seconds, in which what was is read from disk.
    """
    echo.warm_up()
    concealment.warm_up()
    front_end = FrontEnd(settings, on_bypass=lambda _name, _why: None)
    noise = np.random.default_rng(0).integers(-6_000, 6_000, (_WARM_UP_BLOCKS, BLOCK)).astype(np.int16)
    for number, samples in enumerate(noise):
        front_end.hear(Packet(number, number * BLOCK, samples), float(number * BLOCK_MS))
    front_end.close()
