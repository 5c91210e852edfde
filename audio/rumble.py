"""What a power supply adds to a line: a constant offset and mains hum, found and taken off."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Block

MAINS_HZ: Final = (50, 60)
_HARMONICS: Final = 5
_LINES_HZ: Final = tuple(mains * n for mains in MAINS_HZ for n in range(1, _HARMONICS + 1))

_WINDOW: Final = 500 // BLOCK_MS
_WINDOWS: Final = 6
_LOUD: Final = 10 ** (-50 / 20)
"""As an RMS; what is below is not noticed on a telephone."""
_STEADY: Final = math.pi / 4
_QUALITY: Final = 12.0
_POLE: Final = 0.995
_OFFSET_BLOCKS: Final = 1_000 // BLOCK_MS
_GONE_WINDOWS: Final = 10

_angles = -2j * np.pi * np.outer(np.arange(BLOCK), _LINES_HZ) / RATE_HZ
_ANALYSIS: Final[NDArray[np.complex64]] = (np.exp(_angles) * 2 / BLOCK).astype(np.complex64)
_ADVANCE: Final[NDArray[np.complex128]] = np.exp(-2j * np.pi * BLOCK * np.array(_LINES_HZ) / RATE_HZ)


class RumbleDetector:
    """Finds a constant offset and mains hum beneath speech.

    Hum is a line of the mains or one of its first harmonics that lasts: three seconds in which neither its
    strength nor its phase gives way. A voice of the same pitch begins anew with every word.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        """The constant part of the sound, re full scale, once it was steady for three seconds; else 0."""
        self.hum_hz: int | None = None
        """50 or 60, while there is hum."""
        self._means = np.zeros(_OFFSET_BLOCKS, np.float32)
        self._sums = np.zeros(len(_LINES_HZ), np.complex128)
        self._turn = np.ones(len(_LINES_HZ), np.complex128)
        self._lines = np.zeros((_WINDOWS, len(_LINES_HZ)), np.complex128)
        self._blocks = 0
        self._missed = 0
        self._offset_for = 0

    def process(self, block: Block) -> None:
        """Takes the next 20 ms."""
        self._means[self._blocks % _OFFSET_BLOCKS] = block.sum() / BLOCK
        self._sums += (block @ _ANALYSIS) * self._turn
        self._turn *= _ADVANCE
        self._blocks += 1
        if self._blocks % _WINDOW == 0:
            self._turn /= np.abs(self._turn)
            self._lines[:-1] = self._lines[1:]
            self._lines[-1] = self._sums / _WINDOW
            self._sums[:] = 0
            self._judge()

    def lines_hz(self) -> tuple[int, ...]:
        """The lines of the hum that are worth taking off."""
        if self.hum_hz is None:
            return ()
        first = MAINS_HZ.index(self.hum_hz) * _HARMONICS
        strength = np.abs(self._lines[:, first : first + _HARMONICS]).min(axis=0) / math.sqrt(2)
        return tuple(self.hum_hz * (n + 1) for n in range(_HARMONICS) if strength[n] > _LOUD / 4)

    def _judge(self) -> None:
        offset = self._steady_offset()
        self._offset_for = min(max(self._offset_for + (1 if offset else -1), 0), _GONE_WINDOWS)
        if self._offset_for >= _WINDOWS:
            self.offset = offset or self.offset
        elif not self._offset_for:
            self.offset = 0.0
        found = self._find_hum()
        self._missed = 0 if found is not None else self._missed + 1
        if found is not None or self._missed >= _GONE_WINDOWS:
            self.hum_hz = found

    def _steady_offset(self) -> float:
        if self._blocks < _OFFSET_BLOCKS:
            return 0.0
        mean, parts = float(self._means.mean()), self._means.reshape(5, -1).mean(axis=1)
        steady = float(np.abs(parts - mean).max()) < abs(mean) / 2
        return mean if steady and abs(mean) > _LOUD else 0.0

    def _find_hum(self) -> int | None:
        if self._blocks < _WINDOW * _WINDOWS:
            return None
        weakest = np.abs(self._lines).min(axis=0) / math.sqrt(2)
        line = int(weakest.argmax())
        if weakest[line] < _LOUD:
            return None
        steps = np.angle(self._lines[1:, line] / self._lines[:-1, line])
        wander = np.angle(np.exp(1j * (steps - np.median(steps))))
        return MAINS_HZ[line // _HARMONICS] if float(np.abs(wander).max()) < _STEADY else None


class RumbleFilter:
    """Takes a constant offset and mains hum off; changes nothing, bit for bit, while there is neither."""

    delay_samples: Final = 0

    def __init__(self) -> None:
        self._detector = RumbleDetector()
        self._lines: tuple[int, ...] = ()
        self._sections: NDArray[np.float64] = np.zeros((0, 6))
        self._state: NDArray[np.float64] = np.zeros((0, 2))

    @property
    def engaged(self) -> tuple[str, ...]:
        """What is taken off: "dc", "hum 50" and the like."""
        return tuple("dc" if hz == 0 else f"hum {hz}" for hz in self._lines)

    def process(self, block: Block) -> Block:
        """Takes and returns 20 ms, float32."""
        self._detector.process(block)
        hum_hz = self._detector.lines_hz()
        if self._detector.hum_hz is not None and set(hum_hz) <= set(self._lines):
            hum_hz = tuple(hz for hz in self._lines if hz)
        wanted = ((0,) if self._detector.offset else ()) + hum_hz
        if wanted != self._lines:
            return self._change(block, wanted)
        return self._filtered(block)

    def _change(self, block: Block, wanted: tuple[int, ...]) -> Block:
        """Goes over from the filter of before to another, or to none, within a block."""
        before = self._filtered(block)
        self._lines, self._sections = wanted, _sections(wanted)
        if wanted:
            self._state = signal.sosfilt_zi(self._sections) * float(block[0])
        return before + (self._filtered(block) - before) * _FADE

    def _filtered(self, block: Block) -> Block:
        if not self._lines:
            return block
        found, self._state = signal.sosfilt(self._sections, block, zi=self._state)
        kept: Block = np.clip(found, -1.0, 1.0).astype(np.float32)
        return kept


_FADE: Final[Block] = (np.arange(1, BLOCK + 1) / BLOCK).astype(np.float32)


def _sections(lines_hz: tuple[int, ...]) -> NDArray[np.float64]:
    """Second-order sections: a blocker of direct current for 0 Hz, a narrow notch for any other line."""
    sections = []
    for hz in lines_hz:
        if hz == 0:
            sections.append([1.0, -1.0, 0.0, 1.0, -_POLE, 0.0])
        else:
            b, a = signal.iirnotch(hz, _QUALITY, fs=RATE_HZ)
            sections.append([*b, *a])
    return np.array(sections).reshape(-1, 6)
