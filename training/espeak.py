"""espeak-ng in this process, with the times of words and phonemes."""

import ctypes
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

_SYNCHRONOUS = 2
_BUFFER_MS = 60
_DONT_EXIT = 0x8000
_UTF8_WITH_END_PAUSE = 0x1001
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class Voice:
    """The default is the voice of the simulated trainee."""

    name: str = "en-us"
    rate_wpm: int = 165
    pitch: int = 45
    pitch_range: int = 50
    word_gap_10ms: int = 0


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One sound in espeak's notation, stress marks included."""

    start_ms: int
    name: str


@dataclass(frozen=True, slots=True)
class Speech:
    """Samples at espeak's own rate, and when what is heard."""

    samples: NDArray[np.int16]
    word_starts: list[tuple[int, int]]
    """Position of the word in the text, and its start in milliseconds."""
    phonemes: list[Phoneme]


class Espeak:
    """One engine; not for use by several threads at once.

    The library keeps its state in globals. A private copy of the file has globals of its own, so that
    another user of espeak-ng in this process is not disturbed.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(espeakng_loader.get_library_path(), Path(folder) / "espeak.so")
            self._library = ctypes.CDLL(str(copy))
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, _DONT_EXIT))
        if self.sample_rate_hz <= 0:
            raise RuntimeError("espeak-ng could not be initialised")
        self._library.espeak_ng_SetPhonemeEvents(1, 0)
        # ctypes does not keep the callback alive.
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)
        self._chunks: list[bytes] = []
        self._events: list[tuple[int, int, int, bytes]] = []

    def say(self, text: str, voice: Voice) -> Speech:
        """Speaks at once; nothing is played."""
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice.name}")
        for parameter, value in (
            (_RATE, voice.rate_wpm),
            (_PITCH, voice.pitch),
            (_RANGE, voice.pitch_range),
            (_WORD_GAP, voice.word_gap_10ms),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks, self._events = [], []
        encoded = text.encode() + b"\0"
        size = ctypes.c_size_t(len(encoded))
        status = self._library.espeak_Synth(encoded, size, 0, 0, 0, _UTF8_WITH_END_PAUSE, None, None)
        if status != 0:
            raise RuntimeError(f"espeak_Synth returned {status}")
        return Speech(
            samples=np.frombuffer(b"".join(self._chunks), np.int16),
            word_starts=[
                # espeak counts characters from one.
                (position - 1, start_ms)
                for kind, position, start_ms, _ in self._events
                if kind == _EVENT_WORD
            ],
            phonemes=[
                Phoneme(start_ms, name.decode("utf-8", "replace"))
                for kind, _, start_ms, name in self._events
                if kind == _EVENT_PHONEME
            ],
        )

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        index = 0
        while events and events[index].type != _EVENT_END:
            event = events[index]
            self._events.append((event.type, event.text_position, event.audio_position, event.id))
            index += 1
        return 0
