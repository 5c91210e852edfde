"""A line that is not good: what a bad mobile, a radio or a loud room does to a voice.

In the order in which it happens: the microphone's and the codec's band, packets that are lost or late,
stretches in which the voice is gone, and last the noise of the place. That goes on through all of it: a
telephone fills gaps with the background's noise.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from audio.band import BANDS, BandFilter
from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Block
from audio.concealment import CONCEALERS, Concealer
from audio.concealment import warm_up as warm_up_concealment
from audio.noise_bed import BEDS, NoiseBed
from audio.stretch import LONGEST, shorten

_LATE_EVERY_MS: Final = 2_000
"""How often a packet comes late on a line with jitter, on average."""
_QUIET_RMS: Final = 10 ** (-50 / 20)
_EDGE: Final = 5 * RATE_HZ // 1_000
_RISE: Final[Block] = (0.5 - 0.5 * np.cos(np.pi * (np.arange(_EDGE) + 0.5) / _EDGE)).astype(np.float32)
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRealismSettings:
    """What a line does; as it is made, nothing.

    Raises ValueError for a band, a bed or a number that there is not.
    """

    band: str = ""
    """One of `audio.band.BANDS`; none leaves the spectrum alone."""
    bed: str = ""
    """One of `audio.noise_bed.BEDS`; none is silence."""
    bed_dbfs: float = -45.0
    """Its level, RMS."""
    loss_percent: float = 0.0
    """Of the packets of 20 ms, up to 50."""
    loss_burst_ms: float = 20.0
    """How much is lost in a row, on average; at least a packet."""
    jitter_ms: float = 0.0
    """By how much the voice falls behind at the most; counted in whole packets, rounded up."""
    dropouts_per_minute: float = 0.0
    """Of speech, on average, up to 60."""
    dropout_ms: float = 400.0
    """How long the voice is gone each time; in whole packets, at least one."""

    def __post_init__(self) -> None:
        if self.band and self.band not in BANDS:
            raise ValueError(f"no band '{self.band}'; there are {', '.join(BANDS)}")
        if self.bed and self.bed not in BEDS:
            raise ValueError(f"no noise bed '{self.bed}'; there are {', '.join(BEDS)}")
        for name, low, high in _RANGES:
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} should be {low:g} to {high:g}, not {getattr(self, name):g}")

    @property
    def is_clean(self) -> bool:
        """Whether such a line leaves everything as it is."""
        return not (self.band or self.bed or self.loss_percent or self.jitter_ms or self.dropouts_per_minute)


_RANGES: Final = (
    ("bed_dbfs", -90, -10),
    ("loss_percent", 0, 50),
    ("loss_burst_ms", BLOCK_MS, 2_000),
    ("jitter_ms", 0, 500),
    ("dropouts_per_minute", 0, 60),
    ("dropout_ms", BLOCK_MS, 10_000),
)


class LineRealism:
    """One call's line. The same settings and seed make the same line, block for block.

    While somebody speaks, their blocks go through `process`; while nobody does, `bed` is what is heard. Every
    block that comes out is new, BLOCK long, finite and within [-1, 1], except that a clean line returns what
    it was given. The first line with a bed in a process takes most of a second to make: see `warm_up`.
    """

    def __init__(self, settings: LineRealismSettings, *, seed: int) -> None:
        self._is_clean = settings.is_clean
        self._band = BandFilter(settings.band) if settings.band else None
        self._packets = _Packets(settings, seed) if settings.loss_percent or settings.jitter_ms else None
        self._dropouts = _Dropouts(settings, seed) if settings.dropouts_per_minute else None
        bed_dbfs = settings.bed_dbfs
        self._bed = NoiseBed(settings.bed, bed_dbfs, band=settings.band, seed=seed) if settings.bed else None

    @property
    def has_bed(self) -> bool:
        """Whether something is heard while nobody speaks."""
        return self._bed is not None

    @property
    def holds_speech(self) -> bool:
        """Whether some speech is late. It comes with the next `bed`, or else with the next `process`."""
        return self._packets is not None and self._packets.held > 0

    def process(self, block: Block) -> Block:
        """Returns what is heard of 20 ms of speech, float32, BLOCK long, with the bed.

        Without jitter the sound stays where it is in time; with jitter it comes late by jitter_ms (in whole
        packets) at the most, and catches up as soon as it can.
        """
        if self._is_clean:
            return block
        out = block if self._band is None else self._band.process(block)
        if self._packets is not None:
            out = self._packets.next(out)
        return self._heard(out)

    def bed(self) -> Block:
        """Returns the next 20 ms without anything new from the speaker: the bed, over what was late, if any.

        The bed goes on from where `process` left it. Zeros without a bed.
        """
        if self._packets is not None and self._packets.held:
            return self._heard(self._packets.rest())
        if self._dropouts is not None:
            self._dropouts.pass_by()
        return np.zeros(BLOCK, np.float32) if self._bed is None else self._bed.next()

    def _heard(self, voice: Block) -> Block:
        if self._dropouts is not None:
            voice = self._dropouts.apply(voice)
        out = voice.copy() if self._bed is None else voice + self._bed.next()
        np.minimum(out, np.float32(1), out=out)
        return np.maximum(out, np.float32(-1), out=out)


class _Packets:
    """Packets on a mobile network: some are lost, some are late.

    Losses come in bursts (Gilbert, Bell System Technical Journal 39, 1960) and are concealed. When a packet
    is late, the listener's buffer has run dry: what stands in for a lost packet is heard first, and the voice
    is behind by that. It then catches up by a pitch period at a time, and in pauses, as a telephone does.
    """

    def __init__(self, settings: LineRealismSettings, seed: int) -> None:
        self._losses = random.Random(f"{seed} loss")
        self._lateness = random.Random(f"{seed} jitter")
        share = settings.loss_percent / 100
        self._recovers = BLOCK_MS / settings.loss_burst_ms
        self._breaks = self._recovers * share / (1 - share)
        self._losing = False
        self._latest = int(-(-settings.jitter_ms // BLOCK_MS))
        self._concealer: Concealer = CONCEALERS["waveform"]()
        self._held = np.zeros(0, np.float32)

    @property
    def held(self) -> int:
        """How many samples the voice is behind."""
        return len(self._held)

    def next(self, block: Block) -> Block:
        """Sends a packet, returns what is heard meanwhile."""
        pieces = [self._held]
        if self._is_lost():
            pieces.append(self._concealer.lost())
        else:
            pieces += [self._concealer.lost() for _ in range(self._late_packets())]
            pieces.append(self._concealer.good(block))
        if len(pieces) == 2 and not len(self._held):
            return pieces[1]
        sound = np.concatenate(pieces)
        if len(pieces) == 2:
            sound = _caught_up(sound)
        self._held = sound[BLOCK:]
        return sound[:BLOCK]

    def rest(self) -> Block:
        """Returns what is still to be heard, up to a block of it, and silence after it."""
        sound = self._held
        self._held = sound[BLOCK:]
        out = np.zeros(BLOCK, np.float32)
        out[: min(BLOCK, len(sound))] = sound[:BLOCK]
        return out

    def _is_lost(self) -> bool:
        if self._breaks:
            changes = self._recovers if self._losing else self._breaks
            self._losing ^= self._losses.random() < changes
        return self._losing

    def _late_packets(self) -> int:
        """How many packets' time this one is late: none, unless the voice has caught up."""
        if not self._latest or self._lateness.random() >= BLOCK_MS / _LATE_EVERY_MS or len(self._held):
            return 0
        return self._lateness.randint(1, self._latest)


def _caught_up(sound: Block) -> Block:
    """Cuts a piece out of sound that is longer than BLOCK, down to BLOCK at the least.

    A pause, a pitch period, or what is left in the end and is shorter than any.
    """
    behind = len(sound) - BLOCK
    quiet = float(np.dot(sound, sound)) < _QUIET_RMS**2 * len(sound)
    shorter = shorten(sound, most=behind, quiet=quiet)
    if shorter is sound and behind < LONGEST:
        shorter = shorten(sound, most=behind, quiet=True)
    return shorter


class _Dropouts:
    """Stretches without the voice, at random, of one length; it goes and comes back within 5 ms."""

    def __init__(self, settings: LineRealismSettings, seed: int) -> None:
        self._random = random.Random(f"{seed} dropouts")
        self._chance = settings.dropouts_per_minute * BLOCK_MS / _MINUTE_MS
        self._blocks = max(1, round(settings.dropout_ms / BLOCK_MS))
        self._left = 0
        self._was_gone = False

    def apply(self, voice: Block) -> Block:
        """Returns what is left of 20 ms of the voice."""
        if self._left == 0 and self._random.random() < self._chance:
            self._left = self._blocks
        was_gone, self._was_gone = self._was_gone, self._left > 0
        if self._left:
            self._left -= 1
            out = np.zeros(BLOCK, np.float32)
            if not was_gone:
                out[:_EDGE] = voice[:_EDGE] * _RISE[::-1]
            return out
        if was_gone:
            voice = voice.copy()
            voice[:_EDGE] *= _RISE
        return voice

    def pass_by(self) -> None:
        """Lets 20 ms pass in which nobody speaks."""
        self._left = max(0, self._left - 1)
        self._was_gone = self._left > 0


def warm_up(lines: Iterable[LineRealismSettings] = ()) -> None:
    """Runs everything once and makes the beds of `lines`, so that no call waits for it.

    Takes seconds at first, and most of a second for each bed and band, which are kept.
    """
    warm_up_concealment()
    block = np.sin(np.arange(BLOCK, dtype=np.float32))
    line = LineRealism(LineRealismSettings(band="radio", loss_percent=30, jitter_ms=40), seed=0)
    for _ in range(100):
        line.process(block)
    for settings in lines:
        LineRealism(settings, seed=0).bed()
