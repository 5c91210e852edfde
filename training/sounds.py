"""What a telephone line carries when nobody speaks: noise, tones, coughs, hold music; nothing is recorded."""

from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

Samples = NDArray[np.float32]
_Floats = NDArray[np.float64]

LINE_RATE_HZ = 8000
NOISES = ("white", "pink", "hum")
DTMF_ROWS_HZ = (697, 770, 852, 941)
DTMF_COLUMNS_HZ = (1209, 1336, 1477, 1633)
"""ITU-T Q.23."""
_CALL_PROGRESS_HZ = ((350, 440), (440, 480), (480, 620), (440, 440), (425, 425), (2100, 2100), (1400, 2060))
_MAJOR, _MINOR = (0, 4, 7, 12), (0, 3, 7, 12)


def noise_of(kind: str, count: int, rng: np.random.Generator) -> Samples:
    """Returns `count` samples at 8 kHz, of unit power."""
    if kind not in _MAKERS:
        raise ValueError(f"no noise called {kind}")
    noise = _MAKERS[kind](count, rng)
    return np.asarray(noise / (np.std(noise) + 1e-9), np.float32)


def _white(count: int, rng: np.random.Generator) -> _Floats:
    return rng.standard_normal(count)


def _pink(count: int, rng: np.random.Generator) -> _Floats:
    size = scipy.fft.next_fast_len(count, real=True)
    spectrum = scipy.fft.rfft(rng.standard_normal(size))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return np.asarray(scipy.fft.irfft(spectrum, size)[:count])


def _hum(count: int, rng: np.random.Generator) -> _Floats:
    return _tone(rng.choice([50, 60, 120, 180]), count) + 0.3 * _white(count, rng)


def _tones(count: int, rng: np.random.Generator) -> _Floats:
    """Call progress: dial, busy, ringing and fax tones, interrupted at a steady pace."""
    low, high = rng.choice(_CALL_PROGRESS_HZ)
    pace_hz, phase = rng.uniform(0.2, 4), rng.uniform(0, 6)
    keyed = np.sin(2 * np.pi * pace_hz * _time_s(count) + phase) > rng.uniform(-1.0, 0.3)
    return (_tone(low, count) + _tone(high, count)) * keyed + 0.001 * _white(count, rng)


def _dtmf(count: int, rng: np.random.Generator) -> _Floats:
    """Keys pressed one after the other, 50 to 400 ms each."""
    sound = 0.001 * _white(count, rng)
    at = int(rng.uniform(0, 0.3) * LINE_RATE_HZ)
    while at < count:
        length = int(rng.uniform(0.05, 0.4) * LINE_RATE_HZ)
        key = _tone(rng.choice(DTMF_ROWS_HZ), length) + _tone(rng.choice(DTMF_COLUMNS_HZ), length)
        sound[at : at + length] += key[: count - at]
        at += length + int(rng.uniform(0.04, 0.6) * LINE_RATE_HZ)
    return sound


def _clicks(count: int, rng: np.random.Generator) -> _Floats:
    """Taps on the microphone, keys of a keyboard."""
    sound = 0.01 * _white(count, rng)
    for at in rng.integers(0, count, 1 + int(count / LINE_RATE_HZ * rng.uniform(0.5, 6))):
        length = min(int(rng.uniform(0.003, 0.04) * LINE_RATE_HZ), count - at)
        sound[at : at + length] += rng.uniform(0.3, 3) * _burst(length, 0.1, rng)
    return sound


def _cough(count: int, rng: np.random.Generator) -> _Floats:
    """One to four explosions of air, the first the loudest, some of them ending in voice."""
    sound = 0.002 * _white(count, rng)
    at = int(rng.uniform(0, 0.5) * count * 0.5)
    for number in range(rng.integers(1, 5)):
        length = min(int(rng.uniform(0.12, 0.4) * LINE_RATE_HZ), count - at)
        if length <= 8:
            break
        burst = _resonant(_burst(length, rng.uniform(0.15, 0.4), rng), rng)
        if rng.random() < 0.4:
            glottis = np.sign(np.sin(2 * np.pi * rng.uniform(90, 260) * _time_s(length)))
            burst += rng.uniform(0.05, 0.5) * _resonant(glottis * np.linspace(0, 1, length) ** 2 * 0.3, rng)
        sound[at : at + length] += burst * 0.7**number
        at += length + int(rng.uniform(0.02, 0.3) * LINE_RATE_HZ)
    return sound


def _breath(count: int, rng: np.random.Generator) -> _Floats:
    """Air that swells and fades."""
    phase = 2 * np.pi * rng.uniform(0.2, 1.2) * _time_s(count) + rng.uniform(0, 6)
    swell = np.clip(np.sin(phase), 0, 1) ** rng.uniform(1, 3)
    return _resonant(_white(count, rng) * swell, rng) + 0.003 * _white(count, rng)


def _music(count: int, rng: np.random.Generator) -> _Floats:
    """Hold music: a melody over chords in one key, plucked or bowed, perhaps with drums."""
    beat = int(rng.uniform(0.2, 0.7) * LINE_RATE_HZ)
    key_hz, plucked = rng.uniform(110, 330), rng.random() < 0.5
    partials = rng.uniform(0.1, 0.7) ** np.arange(5)
    sound = np.zeros(count + 4 * beat)
    for number, at in enumerate(range(0, count, beat)):
        chord = rng.choice([_MAJOR, _MINOR])
        voices = [(rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) + 12, beat * rng.integers(1, 3), 1.0)]
        if number % 4 == 0:
            root = rng.choice([0, 5, 7, 9])
            voices += [(root + step, 4 * beat, 0.4) for step in chord]
        for semitones, length, loudness in voices:
            note = _note(key_hz * 2 ** (semitones / 12), int(length), partials, plucked, rng)
            sound[at : at + length] += loudness * note
        if number % 2 == 0 and rng.random() < 0.6:
            length = beat // 2
            sound[at : at + length] += rng.uniform(0, 0.6) * _burst(length, 0.15, rng)
    return sound[:count]


def _note(hz: float, length: int, partials: _Floats, plucked: bool, rng: np.random.Generator) -> _Floats:
    time_s = _time_s(length)
    vibrato = rng.uniform(0, 0.004) * hz / 5 * np.sin(2 * np.pi * 5 * time_s)
    heard = [(n + 1, loud) for n, loud in enumerate(partials) if (n + 1) * hz < LINE_RATE_HZ / 2.2]
    tone = sum((loud * np.sin(n * (2 * np.pi * hz * time_s + vibrato)) for n, loud in heard), time_s * 0)
    attack = np.minimum(1, time_s / 0.01)
    fade = np.exp(-time_s * 4) if plucked else np.minimum(1, time_s[::-1] / 0.05)
    return np.asarray(tone * attack * fade)


def _burst(length: int, decay: float, rng: np.random.Generator) -> _Floats:
    """Noise that dies away; `decay` is a share of the length."""
    return _white(length, rng) * np.exp(-np.arange(length) / max(1.0, decay * length))


def _resonant(sound: _Floats, rng: np.random.Generator) -> _Floats:
    low_hz = rng.uniform(150, 1200)
    band = butter(2, [low_hz, min(3900.0, low_hz * rng.uniform(2, 6))], "bandpass", fs=LINE_RATE_HZ)
    return np.asarray(lfilter(*band, sound)) + 0.1 * sound


def _tone(hz: float, count: int) -> _Floats:
    return np.sin(2 * np.pi * hz * _time_s(count))


def _time_s(count: int) -> _Floats:
    return np.arange(count) / LINE_RATE_HZ


_MAKERS: dict[str, Callable[[int, np.random.Generator], _Floats]] = {
    "white": _white,
    "pink": _pink,
    "hum": _hum,
    "tones": _tones,
    "DTMF": _dtmf,
    "clicks": _clicks,
    "coughs": _cough,
    "breath": _breath,
    "hold music": _music,
}
NOT_SPEECH = tuple(_MAKERS)
