"""Telephone sound as the simulator makes it: G.711 mu-law, wav files, keys, and a stand-in for speech.

The coder is built from the decision values of ITU-T G.711 (1988), table 2a, and is the simulator's own,
so that a fault in the product's coder is heard.
"""

import io
import math
import wave
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt

from agent.errors import TelephonyError

Samples = NDArray[np.int16]

RATE_HZ: Final = 8_000
BYTES_PER_MS: Final = 8
FRAME_MS: Final = 20
FRAME_BYTES: Final = FRAME_MS * BYTES_PER_MS
SILENCE: Final = b"\xff"
SILENT_FRAME: Final = SILENCE * FRAME_BYTES
FULL_SCALE: Final = 32_768.0

_KEYS: Final = {
    key: (row_hz, column_hz)
    for row_hz, keys in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for column_hz, key in zip((1209, 1336, 1477, 1633), keys, strict=True)
}
_KEY_MS: Final = 100
_KEY_PAUSE_MS: Final = 100
_WAIT_MS: Final = {"w": 500, "W": 1_000}


def _positive_levels() -> NDArray[np.int32]:
    step = np.arange(128, dtype=np.int32)
    segment, interval = step >> 4, step & 15
    return ((2 * interval + 33) << (segment + 2)) - 132


_LEVELS: Final = _positive_levels()
_DECISIONS: Final = (_LEVELS[:-1] + _LEVELS[1:]) / 2
_DECODED: Final = np.concatenate((-_LEVELS[::-1], _LEVELS[::-1])).astype(np.int16)
_POWER: Final = np.square(_DECODED.astype(np.float64) / FULL_SCALE)


def encode_ulaw(samples: Samples) -> bytes:
    """Returns one byte an int16 sample."""
    step = np.searchsorted(_DECISIONS, np.abs(samples.astype(np.int32)), side="right")
    return np.where(samples < 0, 0x7F - step, 0xFF - step).astype(np.uint8).tobytes()


def decode_ulaw(ulaw: bytes | bytearray | memoryview) -> Samples:
    """Returns one int16 sample a byte."""
    return _DECODED[np.frombuffer(ulaw, dtype=np.uint8)]


def frame_power(ulaw: bytes) -> float:
    """Mean square of mu-law bytes, full scale being 1."""
    return 0.0 if ulaw == SILENT_FRAME else float(_POWER[np.frombuffer(ulaw, dtype=np.uint8)].mean())


def to_power(dbfs: float) -> float:
    """A level in dBFS as a mean square, full scale being 1."""
    return float(10 ** (dbfs / 10))


def noise(duration_ms: int, dbfs: float, seed: int) -> Samples:
    """Gaussian noise in the telephone band at an RMS of `dbfs`."""
    count = duration_ms * BYTES_PER_MS
    white = np.random.default_rng(seed).standard_normal(count + RATE_HZ // 10)
    band = sosfilt(butter(2, (300, 3_400), "bandpass", fs=RATE_HZ, output="sos"), white)[-count:]
    if not count:
        return np.zeros(0, dtype=np.int16)
    scaled = band / np.sqrt(np.mean(band**2)) * FULL_SCALE * math.sqrt(to_power(dbfs))
    samples: Samples = np.clip(np.rint(scaled), -32_768, 32_767).astype(np.int16)
    return samples


def speech_burst(text: str) -> Samples:
    """A stand-in for speech that needs no engine: noise with syllables, as long as `text` takes to say.

    int16 at 8 kHz, about 15 characters a second, at -20 dBFS, the same for the same text.
    """
    duration_ms = max(300, len(text) * 65)
    burst = noise(duration_ms, -20.0, seed=len(text)).astype(np.float64)
    time_s = np.arange(len(burst)) / RATE_HZ
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s)
    edge = np.minimum(1.0, np.minimum(time_s, time_s[::-1]) / 0.01)
    return np.rint(burst * syllables * edge).astype(np.int16)


def key_tones(digits: str) -> Samples:
    """The tones of `<Play digits>` (ITU-T Q.23): 100 ms a key; `w` waits half a second, `W` a whole one."""
    pieces = [np.zeros(0, dtype=np.int16)]
    for digit in digits:
        if digit in _WAIT_MS:
            pieces.append(np.zeros(_WAIT_MS[digit] * BYTES_PER_MS, dtype=np.int16))
        elif digit in _KEYS:
            time_s = np.arange(_KEY_MS * BYTES_PER_MS) / RATE_HZ
            tone = sum(np.sin(2 * np.pi * hz * time_s) for hz in _KEYS[digit])
            pieces.append(np.rint(tone * 4_000).astype(np.int16))
            pieces.append(np.zeros(_KEY_PAUSE_MS * BYTES_PER_MS, dtype=np.int16))
    return np.concatenate(pieces)


def read_wav(body: bytes) -> Samples:
    """Reads 16-bit PCM wav bytes as mono int16 at 8 kHz. Raises TelephonyError for anything else."""
    try:
        with wave.open(io.BytesIO(body)) as file:
            width, channels, rate_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise TelephonyError(f"not a wav file: {error}", hint="play 16-bit PCM wav") from error
    if width != 2 or channels < 1 or rate_hz < 1:
        raise TelephonyError(f"a wav file of {8 * width} bits", hint="play 16-bit PCM wav")
    whole = len(data) // (2 * channels) * 2 * channels
    mono = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, channels).mean(axis=1)
    divisor = math.gcd(rate_hz, RATE_HZ)
    resampled = resample_poly(mono, RATE_HZ // divisor, rate_hz // divisor) if rate_hz != RATE_HZ else mono
    return np.clip(np.rint(resampled), -32_768, 32_767).astype(np.int16)
