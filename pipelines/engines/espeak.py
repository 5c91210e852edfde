"""espeak-ng in this process: text to sound with the times of its words, and words to phonemes.

API: espeak-ng 1.52 `speak_lib.h` and `espeak_ng.h`.
"""

import ctypes
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import espeakng_loader  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import Speech, Voice
from pipelines.engines.words import Reading, from_marks, read_out, speakable

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_BUFFER_MS = 60
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PHONEMES_IPA = 0x02
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7

_AUDIBLE = 64
"""Of int16 full scale, -54 dBFS: espeak-ng's pauses are digital silence, its softest fricatives are above."""
_TAIL_MS = 40
_NEUTRAL_VOLUME = 70
"""Some voices clip at espeak-ng's own default, 100."""
_ENERGY_DB = 3.0


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("phoneme", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(slots=True)
class _Utterance:
    """What the library's callback delivers, piece by piece; positions count from 0."""

    chunks: list[bytes] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    pauses: list[int] = field(default_factory=list)
    """Marks are (position in the text, sample), pauses are samples."""
    error: BaseException | None = None


class Espeak:
    """One engine for any number of threads, which take turns: its state is global to the library.

    An utterance holds it for about a thousandth of its duration.
    """

    engine = "espeak"
    remote = False
    costs = False
    model = ""

    def __init__(self, library: ctypes.CDLL, data: Path) -> None:
        self._lock = threading.Lock()
        self._library: ctypes.CDLL | None = library
        self._variants = frozenset(path.name for path in (data / "voices" / "!v").iterdir())
        self._utterance = _Utterance()
        # ctypes does not keep the callback alive.
        self._callback = _Callback(self._receive)
        self.rate_hz = int(
            library.espeak_Initialize(
                _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, str(data.parent).encode(), _INITIALIZE_DONT_EXIT
            )
        )
        if self.rate_hz <= 0:
            raise EngineUnavailable(
                f"espeak-ng cannot use its data in {data}", hint="Install espeakng-loader again"
            )
        library.espeak_ng_SetPhonemeEvents(1, 0)
        library.espeak_SetSynthCallback(self._callback)

    def synthesise(self, text: str, voice: Voice) -> Speech:
        """Speaks `text` at 22 050 Hz, without silence before it and with 40 ms behind it.

        Numbers and abbreviations are said as people say them, and timed as they are written. `voice.energy`
        widens the intonation and raises the level by 3 dB at most.
        Emoji and control characters are not spoken; text with nothing to say gives no samples and no words.
        Raises EngineFailed, also for a voice that espeak-ng does not have.
        """
        reading = read_out(text, voice.language)
        encoded = reading.text.encode() + b"\0"
        with self._lock:
            library = self._with_voice(voice.espeak)
            for parameter, value in _parameters(voice):
                library.espeak_SetParameter(parameter, value, 0)
            utterance = self._utterance = _Utterance()
            size = ctypes.c_size_t(len(encoded))
            status = library.espeak_Synth(encoded, size, 0, 0, 0, _CHARS_UTF8, None, None)
        if utterance.error is not None:
            raise utterance.error
        if status != 0:
            raise EngineFailed(f"espeak-ng could not speak (status {status})")
        return self._speech(reading, utterance)

    def phonemes(self, text: str, voice_name: str = "en-us") -> str:
        """How `text` is said, in IPA with stress marks, `_` between the phonemes. Raises EngineFailed."""
        encoded = ctypes.create_string_buffer(speakable(text).encode())
        pointer = ctypes.cast(encoded, ctypes.c_void_p)
        clauses: list[str] = []
        with self._lock:
            library = self._with_voice((voice_name,))
            to_phonemes = library.espeak_TextToPhonemes
            to_phonemes.restype = ctypes.c_char_p
            # The library moves the pointer past each clause and clears it after the last.
            while pointer:
                said = to_phonemes(ctypes.byref(pointer), _CHARS_UTF8, ord("_") << 8 | _PHONEMES_IPA)
                clauses.append((said or b"").decode("utf-8", "replace"))
        return " ".join(clauses)

    def close(self) -> None:
        """Frees the library's memory; whatever is being spoken is finished first."""
        with self._lock:
            if self._library is not None:
                self._library.espeak_Terminate()
                self._library = None

    def _with_voice(self, names: Sequence[str]) -> ctypes.CDLL:
        """Selects the first of these voices that there is; the lock is held."""
        if self._library is None:
            raise EngineFailed("espeak-ng is closed")
        if not any(self._select(self._library, name) for name in names):
            raise EngineFailed(
                f"espeak-ng has no voice {' or '.join(map(repr, names)) or 'without a name'}",
                hint="Voices are a language and perhaps a variant, such as en-us, en-gb or en-us+f3",
            )
        return self._library

    def _select(self, library: ctypes.CDLL, name: str) -> bool:
        language, _, variant = name.partition("+")
        # The library takes any variant and says nothing about one that it does not have. It knows British
        # English as "en" only.
        if variant and variant not in self._variants:
            return False
        selected = "+".join(filter(None, ("en" if language.lower() == "en-gb" else language, variant)))
        status: int = library.espeak_SetVoiceByName(selected.encode("utf-8", "replace"))
        return status == 0

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        """The library's callback; 1 ends the utterance."""
        utterance = self._utterance
        try:
            if samples and count > 0:
                utterance.chunks.append(ctypes.string_at(samples, count * 2))
            index = 0
            while events and events[index].type != _EVENT_LIST_TERMINATED:
                event = events[index]
                if event.type == _EVENT_WORD:
                    utterance.marks.append((event.text_position - 1, event.sample))
                elif event.type == _EVENT_PHONEME and event.phoneme.startswith(b"_"):
                    utterance.pauses.append(event.sample)
                index += 1
        except BaseException as error:  # noqa: BLE001 - C cannot carry it: synthesise() raises it
            utterance.error = error
            return 1
        return 0

    def _speech(self, reading: Reading, utterance: _Utterance) -> Speech:
        samples, cut = _trim(np.frombuffer(b"".join(utterance.chunks), np.int16), self.rate_hz)
        if not samples.size:
            return Speech(samples, self.rate_hz, ())

        def to_ms(sample: int) -> int:
            return max(0, sample - cut) * 1000 // self.rate_hz

        said = from_marks(
            reading.text,
            [(position, to_ms(sample)) for position, sample in utterance.marks],
            [to_ms(sample) for sample in utterance.pauses],
            samples.size * 1000 // self.rate_hz,
        )
        return Speech(samples, self.rate_hz, reading.timed(said))


@contextmanager
def open_espeak() -> Iterator[Espeak]:
    """Opens an engine of one's own. Raises EngineUnavailable.

    espeak-ng keeps its state in globals, and two users of one loaded library crash each other. The dynamic
    loader tells libraries apart by file, so a copy of the file has globals of its own.
    """
    data = Path(espeakng_loader.get_data_path())
    try:
        with tempfile.TemporaryDirectory(prefix="espeak-", ignore_cleanup_errors=True) as folder:
            library = ctypes.CDLL(shutil.copy(espeakng_loader.get_library_path(), folder))
    except OSError as error:
        raise EngineUnavailable(
            f"espeak-ng cannot be loaded from a temporary file: {error}",
            hint="TMPDIR must name a folder that is writable and not mounted noexec",
        ) from error
    espeak = Espeak(library, data)
    try:
        yield espeak
    finally:
        espeak.close()


def _parameters(voice: Voice) -> Iterator[tuple[int, int]]:
    energy = min(max(voice.energy, 0), 99)
    yield _RATE, min(max(voice.rate_wpm, 80), 450)
    yield _PITCH, min(max(voice.pitch, 0), 99)
    yield _RANGE, energy
    yield _VOLUME, round(_NEUTRAL_VOLUME * 10 ** ((energy - 50) / 50 * _ENERGY_DB / 20))


def _trim(samples: NDArray[np.int16], rate_hz: int) -> tuple[NDArray[np.int16], int]:
    """Cuts the silence before speech and leaves 40 ms behind it; also returns how many samples went first."""
    audible = np.flatnonzero((samples > _AUDIBLE) | (samples < -_AUDIBLE))
    if not audible.size:
        return samples[:0], 0
    first = int(audible[0])
    tail = np.zeros(_TAIL_MS * rate_hz // 1000, np.int16)
    return np.concatenate([samples[first : int(audible[-1]) + 1], tail]), first
