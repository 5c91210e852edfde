"""Sound for the benchmarks of the front end: speech, rooms, noises, codecs, all at 8 kHz, and what judges it.

Float64 mono in [-1, 1] unless told otherwise. Speech is espeak-ng's, in several voices, or a folder of
recordings.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import gcd
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from scipy import signal

from agent.errors import ConfigError
from agent.speech import Voice
from audio import ulaw
from audio.blocks import BLOCK, RATE_HZ, to_block, to_samples
from pipelines.engines.espeak import open_espeak
from pipelines.engines.telephone import speech_level_dbfs, to_telephone

Sound = NDArray[np.float64]

SPEECH_DBFS: Final = -26.0
"""Active speech level of telephone tests (ITU-T P.56, P.800)."""

_VOICES: Final = ("en-us", "en-us+f3", "en+m3", "en-us+m7", "en+f1", "en-us+f4", "en+m1")
_SENTENCES: Final = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well. These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls. The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us. A large size in stockings is hard to sell.",
    "The boy was there when the sun rose. A rod is used to catch pink salmon.",
    "The source of the huge river is the clear spring. Kick the ball straight and follow through.",
)
"""Of the Harvard sentences (IEEE 297-1969, list 1 and 2)."""


@dataclass(frozen=True)
class Corpus:
    """Speech of several talkers, each a few sentences at SPEECH_DBFS over the telephone band."""

    talkers: tuple[Sound, ...]

    def speech(self, talker: int, seconds: float, *, pause_s: float = 0.0) -> Sound:
        """`seconds` of one talker, who begins again when done; `pause_s` of silence between the rounds."""
        own = self.talkers[talker % len(self.talkers)]
        round_ = np.concatenate([own, np.zeros(round(pause_s * RATE_HZ))])
        length = round(seconds * RATE_HZ)
        return np.tile(round_, length // len(round_) + 1)[:length]

    @cached_property
    def babble(self) -> Sound:
        """All talkers at once, each from another place in their speech, twice over."""
        length = max(len(talker) for talker in self.talkers)
        voices = [
            np.roll(self.speech(talker, length / RATE_HZ), round(length * part))
            for talker in range(len(self.talkers))
            for part in (0.21 + 0.07 * talker, 0.63 + 0.05 * talker)
        ]
        return np.sum(voices, axis=0)


def synthetic_corpus() -> Corpus:
    """Seven voices of espeak-ng, two Harvard sentences each. Takes about a second."""
    with ExitStack() as stack:
        espeak = stack.enter_context(open_espeak())
        return Corpus(
            tuple(
                at_speech_level(
                    to_block(
                        to_telephone(espeak.synthesise(text, Voice(espeak=(name,), rate_wpm=165))).samples
                    )
                )
                for name, text in zip(_VOICES, _SENTENCES, strict=True)
            )
        )


def recorded_corpus(folder: Path) -> Corpus:
    """Every audio file in `folder`, each a talker. Raises ConfigError if there is none."""
    paths = [path for path in sorted(folder.glob("*")) if path.suffix in (".wav", ".flac", ".mp3", ".ogg")]
    if not paths:
        raise ConfigError(f"no recording in {folder}", hint="Name a folder with WAV or FLAC files of speech")
    return Corpus(tuple(at_speech_level(_telephone_band(*_read(path))) for path in paths))


def _read(path: Path) -> tuple[Sound, int]:
    with av.open(path) as file:
        stream = file.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono")
        pieces = [out.to_ndarray()[0] for frame in file.decode(stream) for out in resampler.resample(frame)]
        return np.concatenate(pieces).astype(np.float64), stream.rate


def _telephone_band(sound: Sound, rate_hz: int) -> Sound:
    divisor = gcd(rate_hz, RATE_HZ)
    narrow = signal.resample_poly(sound, RATE_HZ // divisor, rate_hz // divisor)
    band = signal.butter(4, (200, 3_500), "bandpass", fs=RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(band, narrow))


def at_speech_level(sound: NDArray[np.floating], dbfs: float = SPEECH_DBFS) -> Sound:
    """The same speech with its active level at `dbfs`."""
    loud = sound.astype(np.float64) / (np.abs(sound).max() + 1e-12) * 0.9
    return loud * 10 ** ((dbfs - speech_level_dbfs(to_samples(loud.astype(np.float32)))) / 20)


def at_level(sound: Sound, dbfs: float) -> Sound:
    """The same sound with an RMS of `dbfs`."""
    return sound * 10 ** (dbfs / 20) / (np.sqrt(np.mean(sound**2)) + 1e-12)


def noise(kind: str, samples: int, corpus: Corpus, *, seed: int = 0) -> Sound:
    """`white`, `car` (engine, tyres and mains hum below 300 Hz) or `babble`, with an RMS of 1."""
    random = np.random.default_rng(seed)
    if kind == "babble":
        found = np.resize(np.roll(corpus.babble, seed * 4_001), samples)
    elif kind == "car":
        rumble = signal.sosfilt(
            signal.butter(2, 250, fs=RATE_HZ, output="sos"), random.standard_normal(samples)
        )
        time_s = np.arange(samples) / RATE_HZ
        hum = sum(np.sin(2 * np.pi * hz * time_s) / n for n, hz in enumerate((100, 200, 300), 1))
        hiss = random.standard_normal(samples)
        found = rumble / rumble.std() + 0.5 * hum + 0.15 * hiss
    else:
        assert kind == "white", kind
        found = random.standard_normal(samples)
    return np.asarray(found / np.sqrt(np.mean(found**2)))


def through_ulaw(sound: Sound) -> Sound:
    """As the carrier codes it: clipped, and companded by G.711 mu-law."""
    return to_block(ulaw.decode(ulaw.encode(to_samples(sound.astype(np.float32))))).astype(np.float64)


def room(tail_ms: float, *, seed: int = 0) -> Sound:
    """An echo path: exponentially decaying noise over `tail_ms` (60 dB down at its end), of unit energy."""
    length = round(tail_ms * RATE_HZ / 1_000)
    taps = np.random.default_rng(seed).standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    taps[0] = 2.0
    return taps / np.sqrt(np.sum(taps**2))


def echo_of(far: Sound, path: Sound, *, loss_db: float, delay_ms: float = 0.0) -> Sound:
    """`far` returned over `path`, `loss_db` quieter than it went out (echo return loss), and later."""
    delay = round(delay_ms * RATE_HZ / 1_000)
    returned = np.convolve(np.concatenate([np.zeros(delay), far]), path)[: len(far)]
    return returned * 10 ** (-loss_db / 20)


def vocoder(sound: Sound, codec: str = "amr") -> Sound:
    """Coded and decoded as on a mobile leg, aligned with the input: AMR-NB at 12.2 kbit/s, or Opus at 12."""
    if codec == "amr":
        return _coded(sound, "libopencore_amrnb", "amrnb", rate_hz=RATE_HZ, bit_rate=12_200, delay=40)
    assert codec == "opus", codec
    wide = signal.resample_poly(sound, 6, 1)
    return np.asarray(
        signal.resample_poly(
            _coded(wide, "libopus", "libopus", rate_hz=48_000, bit_rate=12_000, delay=0), 1, 6
        )
    )[: len(sound)]


def _coded(sound: Sound, encoder: str, decoder: str, *, rate_hz: int, bit_rate: int, delay: int) -> Sound:
    writer = av.CodecContext.create(encoder, "w")
    writer.sample_rate, writer.layout, writer.bit_rate = rate_hz, "mono", bit_rate
    writer.format = "s16"
    writer.time_base = Fraction(1, rate_hz)
    writer.open()
    reader = av.CodecContext.create(decoder, "r")
    if writer.extradata:
        reader.extradata = writer.extradata
    reader.sample_rate, reader.layout = rate_hz, "mono"
    padded = np.concatenate([sound, np.zeros(rate_hz // 2)])
    size, pieces = writer.frame_size, []
    for at in range(0, len(padded) - size, size):
        samples = to_samples(padded[at : at + size].astype(np.float32))
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, at, writer.time_base
        for packet in writer.encode(frame):
            pieces += [_mono(decoded) for decoded in reader.decode(packet)]
    return np.concatenate(pieces)[delay : delay + len(sound)]


def _mono(frame: av.AudioFrame) -> Sound:
    data = frame.to_ndarray().astype(np.float64).reshape(-1)
    return data / 32_768 if frame.format.name.startswith("s16") else data


def blocks(sound: Sound) -> NDArray[np.float32]:
    """The sound as whole blocks, shape (n, BLOCK), float32."""
    whole = len(sound) // BLOCK
    return sound[: whole * BLOCK].astype(np.float32).reshape(whole, BLOCK)


def erle_db(echo: Sound, residual: Sound) -> float:
    """Echo return loss enhancement: how much quieter the echo is after cancelling (ITU-T G.168)."""
    return float(10 * np.log10((np.mean(echo**2) + 1e-20) / (np.mean(residual**2) + 1e-20)))


def snr_db(clean: Sound, mixed: Sound) -> float:
    """How far what was added to `clean` lies below it."""
    return float(10 * np.log10((np.mean(clean**2) + 1e-20) / (np.mean((mixed - clean) ** 2) + 1e-20)))


def si_sdr_db(clean: Sound, found: Sound) -> float:
    """Scale-invariant signal to distortion ratio (Le Roux et al., ICASSP 2019)."""
    target = clean * (np.dot(found, clean) / (np.dot(clean, clean) + 1e-20))
    return float(10 * np.log10((np.sum(target**2) + 1e-20) / (np.sum((found - target) ** 2) + 1e-20)))


def pesq_nb(clean: Sound, found: Sound) -> float:
    """Perceptual quality, narrowband, 1.0 to 4.5 (ITU-T P.862, P.862.1)."""
    from pesq import pesq

    return float(pesq(RATE_HZ, clean.astype(np.float32), found.astype(np.float32), "nb"))


def stoi(clean: Sound, found: Sound) -> float:
    """Short-time objective intelligibility, 0 to 1 (Taal et al., IEEE TASLP 2011)."""
    from pystoi import stoi as intelligibility

    return float(intelligibility(clean, found, RATE_HZ))


def mean(values: Sequence[float]) -> float:
    """Of figures that all count the same."""
    return float(np.mean(values)) if len(values) else float("nan")
