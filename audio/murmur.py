"""Voices too far off to be understood: syllables of vowels and fricatives that say nothing."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.blocks import RATE_HZ

Sound = NDArray[np.float64]

_VOWELS_HZ: Final = (
    (270, 2_290, 3_010),
    (390, 1_990, 2_550),
    (530, 1_840, 2_480),
    (660, 1_720, 2_410),
    (730, 1_090, 2_440),
    (570, 840, 2_410),
    (440, 1_020, 2_240),
    (300, 870, 2_240),
    (640, 1_190, 2_390),
    (490, 1_350, 1_690),
)
"""Formants of American vowels (Peterson and Barney, JASA 24, 1952), men."""
_WIDTHS_HZ: Final = (80, 110, 160)
_HIGHEST_HZ: Final = 3_600.0


def murmur(random: np.random.Generator, length: int, *, voices: int, copies: int) -> Sound:
    """Returns people who talk, `voices`, each `copies` times at once: a loop of `length`, float64, RMS 1.

    A voice is a row of syllables with pauses, on the source-filter model: harmonics of a falling pitch,
    weighed by the formants of a vowel; noise for a consonant.
    """
    talk = np.zeros(length)
    for voice in range(voices):
        own = _talker(random, length, 105.0 if voice % 2 else 195.0, 1.0 if voice % 2 else 1.16)
        own *= random.uniform(0.5, 1.0)
        for _ in range(copies):
            talk += np.roll(own, int(random.integers(length)))
    return np.asarray(talk / np.sqrt(np.mean(talk**2)))


def _talker(random: np.random.Generator, length: int, pitch_hz: float, tract: float) -> Sound:
    pitch_hz *= random.uniform(0.9, 1.1)
    sound = np.zeros(length)
    at = int(random.integers(RATE_HZ))
    while at < length:
        syllables = int(random.integers(3, 14))
        for n in range(syllables):
            top = pitch_hz * (1.15 - 0.3 * n / syllables) * random.uniform(0.93, 1.07)
            spoken = _syllable(random, top, tract)
            _lay(sound, spoken, at)
            at += round(len(spoken) * random.uniform(0.8, 1.0))
        at += round(random.uniform(0.2, 1.4) * RATE_HZ)
    return sound


def _lay(sound: Sound, piece: Sound, at: int) -> None:
    """Adds a piece to a loop."""
    where = (at + np.arange(len(piece))) % len(sound)
    sound[where] += piece


def _syllable(random: np.random.Generator, pitch_hz: float, tract: float) -> Sound:
    length = round(random.uniform(0.11, 0.26) * RATE_HZ)
    vowel = _VOWELS_HZ[int(random.integers(len(_VOWELS_HZ)))]
    spoken = _vowel(length, pitch_hz, [hz * tract for hz in vowel]) * random.uniform(0.5, 1.0)
    if random.random() < 0.35:
        hissing = np.diff(random.standard_normal(round(random.uniform(0.04, 0.1) * RATE_HZ) + 1))
        hissing *= np.hanning(len(hissing)) * 0.15
        spoken = np.concatenate([hissing, spoken])
    return spoken


def _vowel(length: int, pitch_hz: float, formants_hz: list[float]) -> Sound:
    glide = pitch_hz * (1 - 0.08 * np.arange(length) / length)
    turn = np.exp(2j * np.pi * np.cumsum(glide) / RATE_HZ)
    harmonic = np.ones(length, np.complex128)
    sound = np.zeros(length)
    for n in range(1, int(_HIGHEST_HZ / pitch_hz) + 1):
        harmonic *= turn
        sound += _weight(n * pitch_hz, formants_hz) / n * harmonic.imag
    edge = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.03 * RATE_HZ))
    return np.asarray(sound / np.sqrt(np.mean(sound**2)) * np.sin(np.pi / 2 * edge) ** 2)


def _weight(hz: float, formants_hz: list[float]) -> float:
    """How much of a harmonic the mouth lets through: resonances in a row (Klatt, JASA 67, 1980)."""
    gain = 1.0
    for formant, width in zip(formants_hz, _WIDTHS_HZ, strict=True):
        gain *= formant**2 / np.hypot(formant**2 - hz**2, width * hz)
    return float(gain)
