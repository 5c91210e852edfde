"""Phrases that were spoken before: kept by what was said, in which voice, by which engine."""

import dataclasses
import threading
from collections import OrderedDict
from typing import Final, NamedTuple

from agent.speech import Speech, Voice
from pipelines.engines.telephone import TELEPHONE_RATE_HZ

_MIB: Final = 1 << 20
_BYTES_PER_WORD: Final = 200
"""Of a SpokenWord with its text, and of an entry's own objects; rounded up from `sys.getsizeof`."""


class PhraseKey(NamedTuple):
    """All that decides how a phrase sounds."""

    engine: str
    model: str
    voice: Voice
    text: str


class Phrases:
    """Speech at 8 kHz, the least recently used going first; one for all calls and threads.

    `hits` and `misses` count the calls of `get`; `size_bytes` is what is held, `limit_bytes` the most.
    """

    def __init__(self, limit_bytes: int = 32 * _MIB) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[PhraseKey, Speech] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: PhraseKey) -> Speech | None:
        """The speech kept under `key`, its samples read-only; None if there is none."""
        with self._lock:
            speech = self._kept.get(key)
            if speech is None:
                self.misses += 1
                return None
            self.hits += 1
            self._kept.move_to_end(key)
            return speech

    def put(self, key: PhraseKey, speech: Speech) -> None:
        """Keeps a copy of `speech`, which must be at 8 kHz. What is larger than the limit is not kept."""
        assert speech.rate_hz == TELEPHONE_RATE_HZ, "phrases are kept as they are sent"
        samples = speech.samples.copy()
        samples.flags.writeable = False
        kept = dataclasses.replace(speech, samples=samples)
        with self._lock:
            if key in self._kept:
                self.size_bytes -= _size_bytes(key, self._kept.pop(key))
            size_bytes = _size_bytes(key, kept)
            if size_bytes > self.limit_bytes:
                return
            while self.size_bytes + size_bytes > self.limit_bytes:
                self.size_bytes -= _size_bytes(*self._kept.popitem(last=False))
            self._kept[key] = kept
            self.size_bytes += size_bytes


def _size_bytes(key: PhraseKey, speech: Speech) -> int:
    return speech.samples.nbytes + 4 * len(key.text) + _BYTES_PER_WORD * (1 + len(speech.words))
