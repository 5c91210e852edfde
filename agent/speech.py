"""Ports of the speech engines: text in, sound out, and the reverse. Blocking; run them off the loop."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RECOGNISER_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was understood. Empty `text` means: no speech.

    `confidence` is in 0..1 and comes from the engine's own probabilities; None if it has none. `language` is
    the one understood (ISO 639), "" if the engine does not say.
    """

    text: str
    confidence: float | None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Voice:
    """How a speaker sounds: for each engine the names of voices, best first, and the manner engines share.

    A name that an engine cannot use gives way to the next one. `rate_wpm` is words a minute; `pitch` and
    `energy` (loudness and liveliness) are 0 to 99 with 50 for neutral. `pause_ms` is added between sentences,
    whatever the engine. `language` is what the voice speaks (ISO 639).
    """

    espeak: tuple[str, ...] = ("en-us",)
    piper: tuple[str, ...] = ()
    coqui: tuple[str, ...] = ()
    elevenlabs: tuple[str, ...] = ()
    rate_wpm: int = 170
    pitch: int = 50
    energy: int = 50
    pause_ms: int = 0
    language: str = "en"


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word and where its sound starts and ends within the speech it belongs to."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A clause as sound: int16 mono samples at `rate_hz`, and its words in order."""

    samples: NDArray[np.int16]
    rate_hz: int
    words: tuple[SpokenWord, ...]


class Recogniser(Protocol):
    """Speech to text for one call; thread-safe, shared models behind it.

    `remote` engines wait for another process and are given threads of their own.
    """

    engine: str
    model: str
    remote: bool

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """Understands float32 mono audio in [-1, 1] at 16 kHz. Raises EngineFailed."""


class Synthesiser(Protocol):
    """Text to speech; thread-safe, shared models behind it. `remote`: see `Recogniser`.

    An engine that `costs` is paid for what it speaks, and is only asked for what somebody will hear.
    """

    engine: str
    model: str
    remote: bool
    costs: bool

    def synthesise(self, text: str, voice: Voice) -> Speech:
        """Speaks one clause. Raises EngineFailed."""
