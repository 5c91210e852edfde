"""Sound with what makes speech speech, and no engine: gliding pitch, formants, syllables, hisses, pauses."""

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

RATE_HZ = 8_000


def speech_like(seconds: float, *, pitch_hz: float = 115.0, dbfs: float = -20.0, seed: int = 0) -> np.ndarray:
    """Float32 at 8 kHz: words of a third of a second or so, with digital silence between them."""
    random = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ))
    at = RATE_HZ // 10
    while at < len(sound):
        word = _word(round(random.uniform(0.2, 0.5) * RATE_HZ), pitch_hz * random.uniform(0.85, 1.2), random)
        piece = word[: len(sound) - at]
        sound[at : at + len(piece)] = piece
        at += len(word) + round(random.uniform(0.08, 0.4) * RATE_HZ)
    silent = sound == 0
    sound = sosfilt(butter(2, 150, "highpass", fs=RATE_HZ, output="sos"), sound)
    sound[silent] = 0
    loud = sound[~silent]
    return np.clip(sound * 10 ** (dbfs / 20) / np.sqrt(np.mean(loud**2)), -1, 1).astype(np.float32)


def _word(length: int, pitch_hz: float, random: np.random.Generator) -> np.ndarray:
    time_s = np.arange(length) / RATE_HZ
    phase = np.cumsum(
        pitch_hz * (1 + 0.12 * np.sin(2 * np.pi * 2.3 * time_s + random.uniform(0, 6))) / RATE_HZ
    )
    voice = np.diff(np.floor(phase), prepend=0.0)
    for formant_hz in (random.uniform(350, 750), random.uniform(1_000, 2_000), 2_600.0):
        radius, angle = 0.965, 2 * np.pi * formant_hz / RATE_HZ
        voice = lfilter([1.0], [1.0, -2 * radius * np.cos(angle), radius**2], voice)
    hiss = random.standard_normal(length) * np.abs(voice).max() * 0.06
    hiss[: length * 3 // 4] = 0
    swell = np.sin(np.pi * np.minimum(1, np.arange(length) / length)) ** 0.5
    return (voice / (np.abs(voice).max() + 1e-9) + hiss / (np.abs(voice).max() + 1e-9)) * swell


def blocks(sound: np.ndarray) -> list[np.ndarray]:
    whole = len(sound) // 160
    return list(sound[: whole * 160].astype(np.float32).reshape(whole, 160))


def level_dbfs(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2) + 1e-20))


def tone(hz: float, seconds: float, dbfs: float) -> np.ndarray:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (np.sqrt(2) * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def hiss(seconds: float, dbfs: float, seed: int = 9) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (noise * 10 ** (dbfs / 20)).astype(np.float32)
