"""What is wrong with a trainee's line, by what arrived over it."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.blocks import BLOCK, BLOCK_MS, Block
from audio.rumble import RumbleDetector

CLIPPING: Final = "clipping"
TOO_QUIET: Final = "too_quiet"
TOO_LOUD: Final = "too_loud"
NOISY: Final = "noisy"
DROPOUTS: Final = "dropouts"
PACKET_LOSS: Final = "packet_loss"
HUM: Final = "hum"
DC_OFFSET: Final = "dc_offset"
DEAD_LINE: Final = "dead_line"

CLIPPED_PERCENT: Final = 5.0
"""Of the blocks with speech. Our default: a single loud word does not make a bad line."""
QUIETEST_DBFS: Final = -40.0
"""Active speech level; 14 dB below that of telephone tests (ITU-T P.800): mu-law's own noise is heard."""
LOUDEST_DBFS: Final = -10.0
"""Active speech level above which peaks have no room left: speech has a crest of 12 dB and more."""
LEAST_SNR_DB: Final = 15.0
"""Speech over noise. Our default; recognisers begin to err there (docs/audio.md)."""
MOST_DROPOUTS_A_MINUTE: Final = 3.0
"""Of speech. Our default."""
MOST_LOST_PERCENT: Final = 3.0
"""Concealed packets; beyond that G.711 with concealment is no longer fair (ITU-T G.113, appendix I)."""
LONGEST_DEAD_S: Final = 45.0
"""Of digital silence. A carrier may suppress silence between words, but nobody listens for so long."""

_FEWEST_SPEECH: Final = 3_000 // BLOCK_MS
_FEWEST_BLOCKS: Final = 5_000 // BLOCK_MS
_LASTING: Final = 0.25
"""Of the call: an offset for a moment is a sound of the talker's."""
_NOISE_SHARE: Final = 0.1
_MUTE_SHARE: Final = 0.1
_NOISE_SPREAD_DB: Final = 2.0
_FULL_SCALE: Final = 32_000 / 32_768
"""Mu-law ends at 32124; a run of three samples there is a wave cut off."""
_RUN: Final = 3
_CLIPPED_POWER: Final = _RUN * _FULL_SCALE**2 / BLOCK
"""A block with such a run has at least that."""
_LOWEST_DBFS: Final = -96
_SPEECH_DBFS: Final = -50.0
_MARGIN_DB: Final = 15.9
_GAP_BLOCKS: Final = 500 // BLOCK_MS
_EDGE: Final = 40
_EDGE_POWER: Final = 10 ** (-30 / 10)


@dataclass(frozen=True, slots=True)
class LineReport:
    """What was found: `faults` are the codes above, none for a good line. None: there was too little to tell.

    `speech_s` is how much speech was heard, `speech_dbfs` its active level (ITU-T P.56), `noise_dbfs` that of
    what is between words. `dead_s` is the longest stretch of digital silence.
    """

    faults: tuple[str, ...]
    speech_s: float
    speech_dbfs: float | None
    noise_dbfs: float | None
    snr_db: float | None
    clipped_percent: float
    dropouts: int
    dead_s: float
    lost_percent: float
    dc_dbfs: float | None
    hum_hz: int | None


class LineQuality:
    """Listens to a whole call, block by block, in a few kilobytes however long it is."""

    def __init__(self) -> None:
        self._rumble = RumbleDetector()
        self._levels = np.zeros(-_LOWEST_DBFS + 1, np.int64)
        self._blocks = self._lost = self._clipped = self._dropouts = self._mute = 0
        self._silent = self._longest_silent = 0
        self._fell_from_speech = False
        self._previous: Block = np.zeros(BLOCK, np.float32)
        self._offset = 0.0
        self._offset_blocks = 0
        self._hum_hz: int | None = None

    def process(self, block: Block, *, lost: bool) -> None:
        """Takes the next 20 ms as they came over the line, before any filter; `lost` ones are concealment."""
        self._blocks += 1
        if lost:
            self._lost += 1
            return
        power = float(np.dot(block, block)) / BLOCK
        self._rumble.process(block)
        self._hum_hz = self._rumble.hum_hz or self._hum_hz
        if self._rumble.offset:
            self._offset = self._rumble.offset
            self._offset_blocks += 1
        if power == 0.0 or (block[0] == block[-1] and float(np.ptp(block)) == 0.0):
            self._note_silence()
        else:
            self._note_sound(block, power)
        self._previous = block

    def report(self) -> LineReport:
        """What is wrong with the line, by all that came so far."""
        speech, speech_dbfs, noise_dbfs = self._speech_and_noise()
        snr_db = None if speech_dbfs is None or noise_dbfs is None else speech_dbfs - noise_dbfs
        clipped = 100 * self._clipped / speech if speech else 0.0
        lost = 100 * self._lost / self._blocks if self._blocks else 0.0
        dead_s = max(self._silent, self._longest_silent) * BLOCK_MS / 1_000
        speech_s = speech * BLOCK_MS / 1_000
        found = {
            CLIPPING: speech_dbfs is not None and clipped > CLIPPED_PERCENT,
            TOO_QUIET: speech_dbfs is not None and speech_dbfs < QUIETEST_DBFS,
            TOO_LOUD: speech_dbfs is not None and speech_dbfs > LOUDEST_DBFS,
            NOISY: snr_db is not None and snr_db < LEAST_SNR_DB,
            DROPOUTS: self._dropouts > max(1.0, MOST_DROPOUTS_A_MINUTE * speech_s / 60),
            PACKET_LOSS: self._blocks >= _FEWEST_BLOCKS and lost > MOST_LOST_PERCENT,
            HUM: self._hum_hz is not None,
            DC_OFFSET: self._offset_blocks > _LASTING * self._blocks,
            DEAD_LINE: dead_s > LONGEST_DEAD_S,
        }
        return LineReport(
            faults=tuple(code for code, is_there in found.items() if is_there),
            speech_s=round(speech_s, 1),
            speech_dbfs=_rounded(speech_dbfs),
            noise_dbfs=_rounded(noise_dbfs),
            snr_db=_rounded(snr_db),
            clipped_percent=round(clipped, 1),
            dropouts=self._dropouts,
            dead_s=round(dead_s, 1),
            lost_percent=round(lost, 1),
            dc_dbfs=_rounded(20 * math.log10(abs(self._offset))) if self._offset else None,
            hum_hz=self._hum_hz,
        )

    def _note_silence(self) -> None:
        self._mute += 1
        if not self._silent:
            self._fell_from_speech = _ends_loud(self._previous)
        self._silent += 1
        self._longest_silent = max(self._longest_silent, self._silent)

    def _note_sound(self, block: Block, power: float) -> None:
        if self._silent and self._fell_from_speech and self._silent <= _GAP_BLOCKS:
            self._dropouts += _ends_loud(block[::-1])
        self._silent, self._fell_from_speech = 0, False
        dbfs = 10 * math.log10(power)
        self._levels[min(max(round(dbfs) - _LOWEST_DBFS, 0), len(self._levels) - 1)] += 1
        if power > _CLIPPED_POWER:
            self._clipped += _is_cut_off(block)

    def _speech_and_noise(self) -> tuple[int, float | None, float | None]:
        """How many blocks of speech there are, their level, and that of the noise between them."""
        levels_dbfs = np.arange(_LOWEST_DBFS, 1)
        powers = 10 ** (levels_dbfs / 10)
        threshold = _SPEECH_DBFS
        for _ in range(8):
            heard = np.where(levels_dbfs >= threshold, self._levels, 0)
            if not heard.sum():
                return 0, None, None
            mean_dbfs = 10 * math.log10(float(heard @ powers) / float(heard.sum()))
            threshold = max(_SPEECH_DBFS, mean_dbfs - _MARGIN_DB)
        speech = int(heard.sum())
        if speech < _FEWEST_SPEECH:
            return speech, None, None
        return speech, mean_dbfs, self._noise_dbfs(levels_dbfs)

    def _noise_dbfs(self, levels_dbfs: NDArray[np.int64]) -> float | None:
        """The level that a tenth of the sound stays below, pauses being in it; None if they are mute."""
        sounding = int(self._levels.sum())
        if sounding < _FEWEST_BLOCKS or self._mute > _MUTE_SHARE * sounding:
            return None
        shares = (_NOISE_SHARE / 2 * sounding, _NOISE_SHARE * sounding)
        softer_dbfs, soft_dbfs = levels_dbfs[np.searchsorted(np.cumsum(self._levels), shares)]
        # Noise is of one level; the softest tenth of speech without pauses is not.
        return float(soft_dbfs) if soft_dbfs - softer_dbfs <= _NOISE_SPREAD_DB else None


def _ends_loud(block: Block) -> bool:
    """Whether sound is loud right up to where it ends in the block; what follows within it is silence."""
    sounding = np.flatnonzero(block)
    if not len(sounding):
        return False
    edge = block[max(0, sounding[-1] + 1 - _EDGE) : sounding[-1] + 1]
    return float(np.dot(edge, edge)) / _EDGE > _EDGE_POWER


def _is_cut_off(block: Block) -> bool:
    full = np.abs(block) >= _FULL_SCALE
    runs = full[: -_RUN + 1].copy()
    for ahead in range(1, _RUN):
        runs &= full[ahead : len(full) - _RUN + 1 + ahead]
    return bool(runs.any())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
