"""Whisper through faster-whisper and CTranslate2: recognition of whatever is said."""

import math
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import ctranslate2  # type: ignore[import-untyped]
import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-untyped]
from numpy.typing import NDArray

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Recognition
from pipelines.engines.whisper_models import choose_device

_SHORTEST_S = 0.1
_SILENCE_RMS = 0.001
_TOKENS_PER_SECOND = 12
_TOKENS_AT_LEAST = 24
_TOKENS_AT_MOST = 224

_NO_SPEECH = 0.6
_NO_SPEECH_SUSPECTED = 0.3
_LOG_PROBABILITY_AT_LEAST = -1.0
_COMPRESSION_AT_MOST = 2.4
"""The thresholds of OpenAI's own `transcribe.py`: a text that zlib shrinks further repeats itself."""

_WITHOUT_PUNCTUATION = str.maketrans("_", " ", string.punctuation.replace("_", "") + "’“”♪")

PHANTOMS = frozenset(
    (
        "thank you for watching",
        "thanks for watching",
        "thank you so much for watching",
        "thank you very much for watching",
        "please subscribe",
        "please subscribe to my channel",
        "like and subscribe",
        "dont forget to like and subscribe",
        "see you in the next video",
        "ill see you in the next video",
        "subtitles by the amaraorg community",
        "subtitles by",
        "transcription by castingwords",
        "captions by",
        "music",
        "applause",
        "silence",
        "blank audio",
    )
)
"""What Whisper's training on video captions makes of silence, noise and music; nobody says it on a call."""

SUSPECTS = frozenset(
    (
        "thank you",
        "thank you very much",
        "thanks",
        "you",
        "bye",
        "bye bye",
        "see you next time",
        "oh",
        "so",
        "the",
    )
)
"""The same, but also said by people: believed only where the model hears speech."""


class Segment(Protocol):
    """What is used of `faster_whisper.transcribe.Segment`."""

    text: str
    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """How a model is loaded. `device` is auto, cpu or cuda.

    `cpu_threads` work on one utterance, `parallel` utterances are transcribed at once; more wait.
    """

    language: str = "en"
    device: str = "auto"
    cpu_threads: int = 1
    parallel: int = 1


class _Windowed(WhisperModel):  # type: ignore[misc]
    """Encodes no more than the model's own window.

    faster-whisper pads every utterance to 30 s, also for a model whose `preprocessor_config.json` has a
    shorter `chunk_length`; the encoder is nearly all of the work.
    """

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        return super().encode(np.ascontiguousarray(features[..., : self.feature_extractor.nb_max_frames]))


class Whisper:
    """One model for all calls and threads; serves as recogniser of any call."""

    engine = "whisper"
    remote = False

    def __init__(self, folder: Path, name: str, options: WhisperOptions) -> None:
        """Loads a CTranslate2 model from `folder` and tries it on silence. Raises EngineUnavailable."""
        self.model = name
        self._language = options.language
        device = choose_device(options.device)
        if not (folder / "tokenizer.json").is_file():
            # faster-whisper would look for one on the hub, without a limit of time.
            raise EngineUnavailable(
                f"the Whisper model {folder} has no tokenizer.json", hint="Download the model again"
            )
        try:
            self._whisper = _Windowed(
                str(folder),
                device=device,
                compute_type="float16" if device == "cuda" else "int8",
                cpu_threads=options.cpu_threads,
                num_workers=options.parallel,
                local_files_only=True,
            )
            # A CUDA library that is missing is only missed by the first inference.
            self._transcribe(np.zeros(RECOGNISER_RATE_HZ, np.float32))
        except Exception as error:  # noqa: BLE001 - a tokenizer that cannot be read raises a bare Exception
            raise EngineUnavailable(
                f"the Whisper model {folder} cannot be used on {device}: {error}",
                hint="Download the model again, or choose another device",
            ) from error

    def for_call(self, scenario_version: str, expected_lines: Sequence[str]) -> Recogniser:
        """Itself: it understands whatever is said."""
        return self

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """Understands float32 mono audio in [-1, 1] at 16 kHz. Raises EngineFailed."""
        rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0
        if audio.size < _SHORTEST_S * RECOGNISER_RATE_HZ or not _SILENCE_RMS < rms < math.inf:
            return Recognition("", None)
        try:
            return understood(self._transcribe(audio))
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineFailed(f"Whisper {self.model} could not transcribe: {error}") from error

    def _transcribe(self, audio: NDArray[np.float32]) -> list[Segment]:
        seconds = audio.size / RECOGNISER_RATE_HZ
        segments, _ = self._whisper.transcribe(
            audio,
            language=self._language,
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
            max_new_tokens=min(int(_TOKENS_AT_LEAST + _TOKENS_PER_SECOND * seconds), _TOKENS_AT_MOST),
            # understood() judges: with these set, a second decoding or a silent skip hides the numbers.
            no_speech_threshold=None,
            log_prob_threshold=None,
            compression_ratio_threshold=None,
        )
        return list(segments)


def understood(segments: Iterable[Segment]) -> Recognition:
    """Joins the segments that are believable.

    The confidence is the exponential of the mean log probability of a token; None if nothing is left.
    """
    believed = [segment for segment in segments if _is_believable(segment)]
    text = " ".join(" ".join(segment.text for segment in believed).split())
    tokens = sum(max(1, len(segment.tokens)) for segment in believed)
    if not text:
        return Recognition("", None)
    mean = sum(segment.avg_logprob * max(1, len(segment.tokens)) for segment in believed) / tokens
    return Recognition(text, min(1.0, math.exp(mean)))


def _is_believable(segment: Segment) -> bool:
    said = segment.text.lower().translate(_WITHOUT_PUNCTUATION).split()
    phrase = " ".join(said)
    if not phrase or phrase in PHANTOMS or segment.compression_ratio > _COMPRESSION_AT_MOST:
        return False
    if phrase in SUSPECTS and segment.no_speech_prob > _NO_SPEECH_SUSPECTED:
        return False
    return segment.no_speech_prob <= _NO_SPEECH or segment.avg_logprob >= _LOG_PROBABILITY_AT_LEAST
