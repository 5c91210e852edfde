"""Noise beds: what is heard behind a speaker, made of numbers and nothing recorded.

Each bed is a loop of 64 s. Everything in it is made or laid on a circle (spectra by the inverse FFT, events
across its end), so that the end leads to the beginning like any sample to the next.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from audio.band import sections
from audio.blocks import BLOCK, RATE_HZ, Block
from audio.murmur import murmur

Sound = NDArray[np.float64]

_SECONDS: Final = 64
_LENGTH: Final = _SECONDS * RATE_HZ
_SEED: Final = 64
_LEVELLED_S: Final = 8.0
_ROUNDS: Final = 4
_CREST: Final = 6.0
"""A bed's peaks in terms of its RMS, at most: they are rounded off there."""
_TINY: Final = 1e-9


class NoiseBed:
    """The noise of one call: a place sounds the same to everybody, but each seed begins at another moment."""

    def __init__(self, name: str, dbfs: float, *, band: str = "", seed: int) -> None:
        """`name`: one of BEDS. `dbfs`: RMS, within 1 dB over any 10 s. `band`: of `audio.band.BANDS`, or "".

        The first of a bed and band in a process takes most of a second, see `loop`.
        """
        self._loop = loop(name, band)
        self._gain = np.float32(10 ** (dbfs / 20))
        self._at = int(np.random.default_rng(seed).integers(_LENGTH // BLOCK)) * BLOCK

    def next(self) -> Block:
        """Returns the next 20 ms."""
        block = self._loop[self._at : self._at + BLOCK] * self._gain
        self._at = (self._at + BLOCK) % _LENGTH
        return block


@lru_cache(maxsize=16)
def loop(name: str, band: str = "") -> Block:
    """Returns 64 s of a bed, read-only float32 with an RMS of 1, as a band lets it through.

    Two megabytes each; the last 16 are kept. ValueError if there is no such bed.
    """
    if name not in BEDS:
        raise ValueError(f"no noise bed '{name}'; there are {', '.join(BEDS)}")
    sound = BEDS[name](np.random.default_rng(_SEED))
    if band:
        hz = np.maximum(_hz(), 1.0)
        _, response = signal.sosfreqz(sections(band), hz, fs=RATE_HZ)
        sound = fft.irfft(fft.rfft(sound) * np.abs(response), _LENGTH)
    made = _levelled(sound).astype(np.float32)
    made.flags.writeable = False
    return made


def _levelled(sound: Sound) -> Sound:
    """The sound with an RMS near 1 over any stretch of some seconds, and no peaks far above."""
    window = np.hanning(round(_LEVELLED_S * RATE_HZ))
    spread = fft.rfft(np.roll(np.pad(window / window.sum(), (0, _LENGTH - len(window))), -(len(window) // 2)))
    for _ in range(_ROUNDS):
        sound = sound - sound.mean()
        power = fft.irfft(fft.rfft(sound**2) * spread, _LENGTH)
        sound = sound / np.sqrt(np.maximum(power, _TINY))
        sound = _CREST * np.tanh(sound / _CREST)
    return _at_rms(sound)


def _hz() -> Sound:
    return np.asarray(fft.rfftfreq(_LENGTH, 1 / RATE_HZ))


def _noise(random: np.random.Generator, shape: Callable[[Sound], Sound]) -> Sound:
    """Noise with an RMS of 1 and the magnitude `shape(hz)`."""
    hz = _hz()
    phase = random.standard_normal(len(hz)) + 1j * random.standard_normal(len(hz))
    spectrum = phase * shape(np.maximum(hz, hz[1]))
    spectrum[0] = 0
    sound = fft.irfft(spectrum, _LENGTH)
    return _at_rms(sound)


def _slope(corner_hz: float, octave_db: float, low_hz: float = 30.0) -> Callable[[Sound], Sound]:
    """Flat from `low_hz` to `corner_hz`, falling by `octave_db` an octave above and by 12 dB below."""
    order = octave_db / 6.02
    return lambda hz: np.asarray((1 + (hz / corner_hz) ** 2) ** (-order / 2) / (1 + (low_hz / hz) ** 2))


def _hump(centre_hz: float, octaves: float) -> Callable[[Sound], Sound]:
    """A bell over the octaves."""
    return lambda hz: np.asarray(np.exp(-0.5 * (np.log2(hz / centre_hz) / octaves) ** 2))


def _wander(random: np.random.Generator, period_s: float, depth_db: float) -> Sound:
    """A gain that wanders about 1 at the pace of `period_s`."""
    return np.asarray(10 ** (_drift(random, period_s) * depth_db / 20))


def _drift(random: np.random.Generator, period_s: float) -> Sound:
    """Up and down about 0 with an RMS of 1, no faster than `period_s`."""
    return _noise(random, lambda hz: np.where(hz * period_s <= 1, 1.0, 0.0))


def _apart_s(at_s: float) -> Sound:
    """Each sample's distance in time from a moment on the circle, in s, -32 to 32."""
    return np.asarray((np.arange(_LENGTH) / RATE_HZ - at_s + _SECONDS / 2) % _SECONDS - _SECONDS / 2)


def _scattered(random: np.random.Generator, per_s: float, spread: float) -> Sound:
    """Impulses at random, with log-normal heights."""
    count = round(per_s * _SECONDS)
    impulses = np.zeros(_LENGTH)
    np.add.at(impulses, random.integers(_LENGTH, size=count), random.lognormal(0, spread, count))
    return np.asarray(impulses * random.choice((-1.0, 1.0), _LENGTH))


def _ringing(impulses: Sound, partials: Mapping[float, float]) -> Sound:
    """Each impulse as a knock that rings at some pitches in Hz, each dying away by e in so many ms."""
    at_s = np.arange(round(max(partials.values()) * 8 * RATE_HZ / 1_000)) / RATE_HZ
    rings = [np.sin(2 * np.pi * hz * at_s) * np.exp(-at_s * 1_000 / ms) for hz, ms in partials.items()]
    return np.asarray(fft.irfft(fft.rfft(impulses) * fft.rfft(np.sum(rings, axis=0), _LENGTH), _LENGTH))


def _echoing(random: np.random.Generator, sound: Sound, decay_s: float, direct: float) -> Sound:
    """As heard in a room or between houses: what is reflected dies away by 60 dB in `decay_s`."""
    at_s = np.arange(round(decay_s * RATE_HZ)) / RATE_HZ
    room = random.standard_normal(len(at_s)) * 10 ** (-3 * at_s / decay_s)
    room /= np.sqrt(np.sum(room**2))
    room[0] += direct
    return np.asarray(fft.irfft(fft.rfft(sound) * fft.rfft(room, _LENGTH), _LENGTH))


def _at_rms(sound: Sound, rms: float = 1.0) -> Sound:
    return np.asarray(sound * (rms / np.sqrt(np.mean(sound**2))))


def _street(random: np.random.Generator) -> Sound:
    """Traffic far off, and cars that pass every few seconds: tyres, brighter the nearer, and an engine.

    An engine sounds 4 % higher while it comes and lower when it goes (Doppler, 50 km/h).
    """
    far = _noise(random, _slope(150, 7)) * _wander(random, 4, 2)
    dull, bright = _noise(random, _hump(500, 0.9)), _noise(random, _hump(1_300, 1.0))
    street = 0.45 * far
    at_s = 0.0
    while at_s < _SECONDS - 2:
        apart = _apart_s(at_s + random.uniform(-1, 1))
        near = 1 / (1 + (apart / random.uniform(0.5, 1.3)) ** 2)
        cycles = random.uniform(70, 130) * (apart - 0.04 * np.log(np.cosh(apart)))
        engine = np.sin(2 * np.pi * cycles)
        car = dull * near + 0.7 * bright * near**2 + 0.25 * (engine + 0.5 * engine**3) * near
        street = street + random.lognormal(0, 0.4) * car
        at_s += random.uniform(3, 9)
    return street


def _office(random: np.random.Generator) -> Sound:
    """Air conditioning, voices across the room, and keys."""
    turns = 2 * np.pi * np.arange(_LENGTH) / RATE_HZ
    hum = np.sin(100 * turns) + 0.4 * np.sin(200 * turns + 1) + 0.15 * np.sin(300 * turns + 2)
    air = _noise(random, _slope(250, 8))
    voices = _echoing(random, murmur(random, _LENGTH, voices=3, copies=1), 0.5, 0.3)
    typing = np.clip(_drift(random, 3), 0, None)
    keys = _ringing(_scattered(random, 6, 0.5) * typing, {1_700: 3, 2_300: 2.5, 3_100: 2})
    keyboard = _echoing(random, keys, 0.3, 1.0)
    return 0.2 * hum + 0.7 * air + _at_rms(voices, 0.7) + _at_rms(keyboard, 0.25)


def _cafe(random: np.random.Generator) -> Sound:
    """Many who talk at once, and now and then a cup."""
    voices = _echoing(random, murmur(random, _LENGTH, voices=5, copies=2), 0.7, 0.8)
    china = _echoing(random, _ringing(_scattered(random, 0.7, 0.6), {2_150: 25, 3_270: 15}), 0.6, 1.0)
    return _at_rms(voices) + _at_rms(china, 0.12) + 0.2 * _noise(random, _slope(300, 6))


def _car(random: np.random.Generator) -> Sound:
    """Inside a car: the engine, the road, the wind, and joints in the road under the wheels."""
    rate = 48 + 3 * _drift(random, 8)
    cycles = np.cumsum(rate) / RATE_HZ
    turn = 2 * np.pi * cycles * (round(cycles[-1]) / cycles[-1])
    engine = np.sum([np.sin(k * turn + k) / k**0.8 for k in (1, 2, 3, 4, 6)], axis=0)
    road = _noise(random, _slope(120, 10)) * _wander(random, 2, 1.5)
    wind = _noise(random, _slope(400, 6, 200)) * _wander(random, 1.5, 2)
    joints = _ringing(_scattered(random, 0.8, 0.3), {55: 30})
    return np.asarray(0.35 * engine + road + 0.35 * wind + _at_rms(joints, 0.3))


def _rain(random: np.random.Generator) -> Sound:
    """A shower on a roof or an umbrella: a rush, and the drops that fall near."""
    rush = _noise(random, _slope(2_500, 4, 300)) * _wander(random, 3, 1)
    pitches = (900, 1_300, 1_800, 2_300, 2_800, 3_400)
    drops = np.sum([_ringing(_scattered(random, 25, 0.8), {hz: 1_500 / hz}) for hz in pitches], axis=0)
    return rush + _at_rms(drops, 0.8) + 0.4 * _noise(random, _slope(150, 8))


def _hiss(random: np.random.Generator) -> Sound:
    """An old line or a weak signal: white noise."""
    return _noise(random, np.ones_like)


def _siren(random: np.random.Generator) -> Sound:
    """An ambulance in the streets around, near and far: it wails, yelps for a while, and wails again."""
    at_s = np.arange(_LENGTH) / RATE_HZ
    wail = 0.5 - 0.5 * np.cos(2 * np.pi * at_s * 14 / _SECONDS)
    yelp = (at_s * 3.5) % 1
    yelp = np.where(yelp < 0.25, yelp * 4, (1 - yelp) / 0.75)
    yelping = np.clip(2 - np.abs(_apart_s(37)) / 3, 0, 1)
    pitch_hz = 650 + 750 * (wail**1.3 * (1 - yelping) + yelp * yelping)
    cycles = np.cumsum(pitch_hz) / RATE_HZ
    turn = 2 * np.pi * cycles * (round(cycles[-1]) / cycles[-1])
    horn = (
        np.sin(turn) + 0.35 * np.sin(2 * turn) + 0.2 * np.sin(3 * turn) * np.clip(13 - pitch_hz / 100, 0, 1)
    )
    heard = _echoing(random, horn * _wander(random, 8, 3), 1.5, 0.8)
    return _at_rms(heard) + 0.35 * _noise(random, _slope(150, 7)) * _wander(random, 4, 2)


BEDS: Final[Mapping[str, Callable[[np.random.Generator], Sound]]] = {
    "street": _street,
    "office": _office,
    "cafe": _cafe,
    "car": _car,
    "rain": _rain,
    "hiss": _hiss,
    "siren": _siren,
}
"""What there is to be heard behind a speaker, and how it is made."""
