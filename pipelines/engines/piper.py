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
from pipelines.engines.words import from_spans, in_proportion, speakable, split_words

NATURAL_RATE_WPM = 170
"""At which a voice speaks with the length scale of its configuration."""

_ONNX_ERRORS: tuple[type[Exception], ...] = tuple(
    error for error in vars(onnx_errors).values() if isinstance(error, type) and issubclass(error, Exception)
)
_SYNTHESIS_ERRORS: tuple[type[Exception], ...] = (*_ONNX_ERRORS, RuntimeError, ValueError, ImportError)
_LOADING_ERRORS: tuple[type[Exception], ...] = (*_ONNX_ERRORS, OSError, ValueError, KeyError, TypeError)
_BETWEEN_WORDS = frozenset((" ", BOS, EOS, *".,;:!?"))
_AUDIBLE = 0.003
_HEAD_MS, _TAIL_MS = 5, 40


class Piper:
    """The voices of one folder, each loaded once and then shared by all threads."""

    engine = "piper"
    remote = False

    def __init__(self, models_folder: Path, default_voice: str, cpu_threads: int = 1) -> None:
        """`default_voice` speaks for a Voice that names none."""
        self.model = default_voice
        self._folder = models_folder
        self._cpu_threads = cpu_threads
        self._voices: dict[str, PiperVoice] = {}
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
        `voice.pitch` has no effect: a Piper voice has its pitch built in. Raises EngineFailed.
        """
        try:
            piper = self._voices.get(voice.piper or self.model) or self.load(voice.piper or self.model)
            scale = piper.config.length_scale * NATURAL_RATE_WPM / min(max(voice.rate_wpm, 80), 450)
            exact = len(piper.session.get_outputs()) > 1
            config = SynthesisConfig(length_scale=scale)
            chunks = list(piper.synthesize(speakable(text), config, include_alignments=exact))
        except EngineUnavailable as error:
            raise EngineFailed(error.message, hint=error.hint) from error
        except _SYNTHESIS_ERRORS as error:
            raise EngineFailed(f"Piper could not speak: {error}") from error
        return _speech(text, chunks, piper.config.sample_rate)

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


def _speech(text: str, chunks: Sequence[AudioChunk], rate_hz: int) -> Speech:
    samples = np.concatenate([np.zeros(0, np.int16), *(chunk.audio_int16_array for chunk in chunks)])
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) > _AUDIBLE * 32_768)
    if not audible.size:
        return Speech(samples[:0], rate_hz, ())
    first = max(0, int(audible[0]) - _HEAD_MS * rate_hz // 1000)
    samples = samples[first : int(audible[-1]) + 1 + _TAIL_MS * rate_hz // 1000]
    duration_ms = samples.size * 1000 // rate_hz

    def to_ms(sample: int) -> int:
        return min(max(0, sample - first) * 1000 // rate_hz, duration_ms)

    words = [word for _, word in split_words(text)]
    timed = from_spans(words, [(to_ms(start), to_ms(end)) for start, end in _word_spans(chunks)])
    return Speech(samples, rate_hz, tuple(timed or in_proportion(words, 0, max(0, duration_ms - _TAIL_MS))))


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
