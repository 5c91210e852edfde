"""Echo of a handset or of the line behind it: what is heard comes back, later, quieter and blurred."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from telephony.simulator.sound import (
    BYTES_PER_MS,
    FRAME_BYTES,
    RATE_HZ,
    SILENCE,
    SILENT_FRAME,
    decode_ulaw,
    encode_ulaw,
)

_DIES_AWAY_DB: Final = 60.0
_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class EchoPath:
    """What comes back: `loss_db` quieter (ITU-T G.122), `delay_ms` later, blurred over `tail_ms`."""

    loss_db: int
    delay_ms: int
    tail_ms: int = 30

    def taps(self) -> NDArray[np.float64]:
        """The blur as a filter at 8 kHz, not delayed: one reflection first, others die away by 60 dB."""
        length = max(1, self.tail_ms * RATE_HZ // 1_000)
        fading = 10 ** (-_DIES_AWAY_DB / 20 * np.arange(length) / length)
        taps = np.random.default_rng(_SEED).standard_normal(length) * fading
        taps[0] = 2.0
        loss = 10 ** (-self.loss_db / 20)
        return np.asarray(taps * loss / np.sqrt(np.sum(taps**2)))


class Echo:
    """Mixes the echo of what is heard into what is said, 20 ms of mu-law at a time."""

    def __init__(self, path: EchoPath) -> None:
        self._taps = path.taps()
        self._state = np.zeros(len(self._taps) - 1)
        delay = path.delay_ms * BYTES_PER_MS
        self._on_its_way = bytearray(SILENCE * delay)
        self._silent_frames = self._memory_frames = (delay + len(self._taps)) // FRAME_BYTES + 1

    def mix(self, said: bytes, heard: bytes) -> bytes:
        """Returns what the line carries away from the handset."""
        self._silent_frames = self._silent_frames + 1 if heard == SILENT_FRAME else 0
        if self._silent_frames > self._memory_frames:
            return said
        self._on_its_way += heard
        back = decode_ulaw(bytes(self._on_its_way[:FRAME_BYTES])).astype(np.float64)
        del self._on_its_way[:FRAME_BYTES]
        echo, self._state = lfilter(self._taps, [1.0], back, zi=self._state)
        mixed = np.rint(decode_ulaw(said) + echo)
        return encode_ulaw(np.clip(mixed, -32_768, 32_767).astype(np.int16))
