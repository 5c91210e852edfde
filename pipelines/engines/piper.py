"""Piper: neural voices as ONNX files, through piper-tts (an optional package under GPL-3.0)."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors
from piper import AudioChunk, PiperVoice, SynthesisConfig
from piper.config import PiperConfig
from piper.const import BOS, EOS

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import Speech, Voice
from pipelines.engines.piper_voices import voice_file
from pipelines.engines.silence import TAIL_MS, audible_part
from pipelines.engines.words import Reading, from_spans, in_proportion, read_out

NATURAL_RATE_WPM = 170
"""At which a voice speaks with the length scale of its configuration."""

_ONNX_ERRORS: tuple[type[Exception], ...] = tuple(
    error for error in vars(onnx_errors).values() if isinstance(error, type) and issubclass(error, Exception)
)
_SYNTHESIS_ERRORS: tuple[type[Exception], ...] = (*_ONNX_ERRORS, RuntimeError, ValueError, ImportError)
_LOADING_ERRORS: tuple[type[Exception], ...] = (*_ONNX_ERRORS, OSError, ValueError, KeyError, TypeError)
_BETWEEN_WORDS = frozenset((" ", BOS, EOS, *".,;:!?"))
_LIVELINESS = 0.4
_ENERGY_DB = 3.0


class Piper:
    """The voices of one folder, each loaded once and then shared by all threads."""

    engine = "piper"
    remote = False
    costs = False

    def __init__(self, models_folder: Path, default_voice: str, cpu_threads: int = 1) -> None:
        """`default_voice` speaks for a Voice that names none."""
        self.model = default_voice
        self._folder = models_folder
        self._cpu_threads = cpu_threads
        self._voices: dict[str, PiperVoice] = {}
        self._unusable: dict[str, EngineUnavailable] = {}
        self._loading = threading.Lock()

    def load(self, name: str) -> PiperVoice:
        """Loads `<models>/<name>.onnx` with its `.onnx.json`. Raises EngineUnavailable."""
        with self._loading:
            if name not in self._voices:
                self._voices[name] = self._open(name)
            return self._voices[name]

    def synthesise(self, text: str, voice: Voice) -> Speech:
        """Speaks `text` at the voice's own rate, with at most 5 ms of silence before it and 40 ms behind.

        Words have exact times where the voice file reports durations
        (`python -m piper.patch_voice_with_alignment`), otherwise times in proportion to their length.
        Numbers and abbreviations are said as people say them, and timed as they are written. `voice.pitch`
        has no effect: a Piper voice has its pitch built in. `voice.energy` makes it livelier, and louder by 3
        dB at most. Raises EngineFailed.
        """
        reading = read_out(text, voice.language)
        try:
            piper = self._first_usable(voice.piper or (self.model,))
            exact = len(piper.session.get_outputs()) > 1
            chunks = list(
                piper.synthesize(reading.text, _config(piper.config, voice), include_alignments=exact)
            )
        except _SYNTHESIS_ERRORS as error:
            raise EngineFailed(f"Piper could not speak: {error}") from error
        return _speech(reading, chunks, piper.config.sample_rate)

    def _first_usable(self, names: Sequence[str]) -> PiperVoice:
        """The first of these voices that can be loaded; one that cannot be is not tried again."""
        for name in names:
            if (loaded := self._voices.get(name)) is not None:
                return loaded
            if name not in self._unusable:
                try:
                    return self.load(name)
                except EngineUnavailable as error:
                    self._unusable[name] = error
        why = self._unusable[names[0]]
        raise EngineFailed(why.message, hint=why.hint) from why

    def _open(self, name: str) -> PiperVoice:
        path = voice_file(self._folder, name)
        if not path.is_file():
            raise EngineUnavailable(
                f"the Piper voice {name} is not in {self._folder}",
                hint=f"Put {path.name} and {path.name}.json there, or allow downloads",
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._cpu_threads
        options.inter_op_num_threads = 1
        # A spinning thread takes its core from the other calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # PiperVoice.load() does the same, but starts a thread on every core.
            config = PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
            session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except _LOADING_ERRORS as error:
            raise EngineUnavailable(
                f"the Piper voice {path} cannot be loaded: {error}", hint="Download the voice again"
            ) from error
        return PiperVoice(session=session, config=config, download_dir=self._folder)


def _config(own: PiperConfig, voice: Voice) -> SynthesisConfig:
    energy = (min(max(voice.energy, 0), 99) - 50) / 50
    liveliness = 1 + _LIVELINESS * energy
    return SynthesisConfig(
        length_scale=own.length_scale * NATURAL_RATE_WPM / min(max(voice.rate_wpm, 80), 450),
        noise_scale=own.noise_scale * liveliness,
        noise_w_scale=own.noise_w_scale * liveliness,
        # Chunks are brought to full scale before: what is above 1 would clip.
        volume=10 ** (_ENERGY_DB * (energy - 1) / 20),
    )


def _speech(reading: Reading, chunks: Sequence[AudioChunk], rate_hz: int) -> Speech:
    samples = np.concatenate([np.zeros(0, np.int16), *(chunk.audio_int16_array for chunk in chunks)])
    heard = audible_part(samples, rate_hz)
    first, samples = int(heard.start), samples[heard]
    if not samples.size:
        return Speech(samples, rate_hz, ())
    duration_ms = samples.size * 1000 // rate_hz

    def to_ms(sample: int) -> int:
        return min(max(0, sample - first) * 1000 // rate_hz, duration_ms)

    words = reading.text.split()
    timed = from_spans(words, [(to_ms(start), to_ms(end)) for start, end in _word_spans(chunks)])
    said = timed or in_proportion(words, 0, max(0, duration_ms - TAIL_MS))
    return Speech(samples, rate_hz, reading.timed(said))


def _word_spans(chunks: Sequence[AudioChunk]) -> list[tuple[int, int]]:
    """First and last sample of each spoken word; empty where a chunk has no alignments."""
    spans: list[tuple[int, int]] = []
    at, in_word = 0, False
    for chunk in chunks:
        if chunk.phoneme_alignments is None:
            return []
        for aligned in chunk.phoneme_alignments:
            if aligned.phoneme in _BETWEEN_WORDS:
                in_word = False
            else:
                start = spans.pop()[0] if in_word else at
                spans.append((start, at + int(aligned.num_samples)))
                in_word = True
            at += int(aligned.num_samples)
    return spans
