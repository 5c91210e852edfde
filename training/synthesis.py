"""Speech as a telephone delivers it: espeak-ng, mu-law at 8 kHz, noise, levels; then log-mel features."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import soxr
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from audio import ulaw
from audio.resample import Upsampler
from training.espeak import Espeak, Phoneme, Speech, Voice
from training.sounds import LINE_RATE_HZ, Samples, noise_of

Pcm = NDArray[np.int16]

MODEL_RATE_HZ = 16000
OF_A_CALL = "of a call"
# `audio_position` of espeak's last words can lie behind the audible end.
_AUDIBLE = 300
_TAIL_S = 0.05
_CONCEALED_MS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """How an utterance reaches the recogniser."""

    level_dbfs: float = -20.0
    snr_db: float | None = None
    noise: str = "white"
    lead_s: float = 0.25
    trail_s: float = 0.3
    clipped_s: float = 0.0
    """Removed from the start of the speech, as by a voice activity detector that reacts late."""
    lost_blocks: int = 0
    up_sampler: str = OF_A_CALL
    """That of a call, or a quality of soxr."""

    def carry(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """8 kHz in, 16 kHz out."""
        speech = samples[int(self.clipped_s * LINE_RATE_HZ) :]
        rms = float(np.sqrt(np.mean(speech**2))) + 1e-9
        sent = np.concatenate(
            [
                np.zeros(int(self.lead_s * LINE_RATE_HZ), np.float32),
                speech * np.float32(10 ** (self.level_dbfs / 20) / rms),
                np.zeros(int(self.trail_s * LINE_RATE_HZ), np.float32),
            ]
        )
        if self.snr_db is not None:
            gain = 10 ** ((self.level_dbfs - self.snr_db) / 20)
            sent = sent + noise_of(self.noise, len(sent), rng) * np.float32(gain)
        coded = ulaw.encode((np.clip(sent, -1.0, 1.0) * 32767).astype(np.int16))
        received = _conceal(ulaw.decode(coded), self.lost_blocks, rng)
        if self.up_sampler == OF_A_CALL:
            up = Upsampler().process(received)
        else:
            up = soxr.resample(received, LINE_RATE_HZ, MODEL_RATE_HZ, quality=self.up_sampler)
        return np.asarray(up / 32768, np.float32)


def _conceal(samples: Pcm, lost_blocks: int, rng: np.random.Generator) -> Pcm:
    """Replaces lost packets by a faded repetition of the one before."""
    size = LINE_RATE_HZ * _CONCEALED_MS // 1000
    blocks = len(samples) // size
    repaired = samples.copy()
    if blocks < 2:
        return repaired
    for block in rng.integers(1, blocks, lost_blocks):
        start = int(block) * size
        repaired[start : start + size] = repaired[start - size : start] * 0.7
    return repaired


class Studio:
    """Speaks, and hands out what the far end of a telephone line hears."""

    def __init__(self) -> None:
        self._espeak = Espeak()
        self._extract = FeatureExtractor()
        self._window = np.hanning(self._extract.n_fft + 1)[:-1].astype(np.float32)

    def say(self, text: str, voice: Voice) -> Speech:
        """Speaks into the microphone, with nothing in between."""
        return self._espeak.say(text, voice)

    def say_with_pauses(self, sentences: list[str], voice: Voice, pauses_ms: list[int]) -> Speech:
        """Speaks sentences one by one, as somebody who thinks in between."""
        samples: list[Pcm] = []
        word_starts: list[tuple[int, int]] = []
        phonemes: list[Phoneme] = []
        position, rate_hz = 0, self._espeak.sample_rate_hz
        for sentence, pause_ms in zip(sentences, [*pauses_ms, 0], strict=True):
            said = self.say(sentence, voice)
            offset_ms = sum(map(len, samples)) * 1000 // rate_hz
            audible = np.flatnonzero(np.abs(said.samples.astype(np.int32)) > _AUDIBLE)
            end = int(audible[-1]) if len(audible) else 0
            samples += [said.samples[:end], np.zeros(pause_ms * rate_hz // 1000, np.int16)]
            word_starts += [(position + at, offset_ms + ms) for at, ms in said.word_starts]
            phonemes += [
                Phoneme(offset_ms + p.start_ms, p.name)
                for p in said.phonemes
                if p.start_ms < end * 1000 // rate_hz
            ]
            phonemes.append(Phoneme(offset_ms + end * 1000 // rate_hz, "_"))
            position += len(sentence) + 1
        return Speech(np.concatenate(samples), word_starts, phonemes)

    def warped(self, speech: Speech, factor: float) -> Speech:
        """As from a vocal tract shorter by `factor`, that much faster and higher."""
        rate_hz = self._espeak.sample_rate_hz
        return Speech(
            soxr.resample(speech.samples, rate_hz * factor, rate_hz, quality="LQ"),
            [(position, round(ms / factor)) for position, ms in speech.word_starts],
            [Phoneme(round(p.start_ms / factor), p.name) for p in speech.phonemes],
        )

    def to_line_rate(self, speech: Speech, end_s: float | None = None) -> Samples:
        """Ends at `end_s`, or just behind the last audible sample."""
        rate_hz = self._espeak.sample_rate_hz
        audible = np.flatnonzero(np.abs(speech.samples.astype(np.int32)) > _AUDIBLE)
        end = int(audible[-1] + _TAIL_S * rate_hz) if len(audible) else len(speech.samples)
        if end_s is not None:
            end = min(end, int(end_s * rate_hz))
        samples = speech.samples[:end].astype(np.float32) / 32768
        return np.asarray(soxr.resample(samples, rate_hz, LINE_RATE_HZ), np.float32)

    def speak(self, text: str, voice: Voice, line: Line, rng: np.random.Generator) -> Samples:
        """Returns 16 kHz samples as received."""
        return line.carry(self.to_line_rate(self.say(text, voice)), rng)

    def features(self, samples: Samples) -> NDArray[np.float16]:
        """80 log-mel bands by one column per 10 ms: faster-whisper's, five times as fast."""
        size, hop = self._extract.n_fft, self._extract.hop_length
        padded = np.pad(np.pad(samples, (0, hop)), size // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:-2]
        power = np.abs(scipy.fft.rfft(frames * self._window)) ** 2
        mel = np.log10(np.maximum(self._extract.mel_filters.astype(np.float32) @ power.T, 1e-10))
        return np.asarray((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0, np.float16)


def shifted(phonemes: list[Phoneme], line: Line, end_s: float) -> list[tuple[float, str]]:
    """Returns start in seconds and name of each phoneme as received; the last one is the silence behind."""
    offset_s = line.lead_s - line.clipped_s
    heard = [(p.start_ms / 1000, p.name) for p in phonemes if p.start_ms / 1000 < end_s]
    return [(max(0.0, start + offset_s), name) for start, name in [*heard, (end_s, "_")]]
