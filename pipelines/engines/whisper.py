"""Whisper through faster-whisper and CTranslate2: recognition of whatever is said.

The weights, the features, the tokenizer and the decoder are faster-whisper's and CTranslate2's. Its
`transcribe()` is not used: it pads to 30 s, cuts what is longer in the middle of a word, and encodes once
more to find out the language.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-untyped]
from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-untyped]
from faster_whisper.transcribe import get_suppressed_tokens  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.sparse import csr_array

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Recognition
from pipelines.engines.hallucinations import Hypothesis, is_sound, understood
from pipelines.engines.spoken_language import ENOUGH_SPEECH_S, LanguageChoice
from pipelines.engines.whisper_models import choose_device

_TOKENS_PER_SECOND: Final = 12
_TOKENS_AT_LEAST: Final = 24
_TOKENS_AT_MOST: Final = 224

_FRAME: Final = RECOGNISER_RATE_HZ // 100
"""Samples for a column of the log-mel spectrogram, faster-whisper's `hop_length`."""
_FRAMES_PER_S: Final = 100
_FRAMES_PER_POSITION: Final = 2
_PAUSE_BELOW_DB: Final = 35.0
_LONGEST_PAUSE: Final = 12
"""In tenths of a second."""
_CUT_WITHIN: Final = 0.4
"""The last part of a piece in which it may be cut."""
_CUT_SAMPLES: Final = RECOGNISER_RATE_HZ // 10
_BEGINNING: Final = int(ENOUGH_SPEECH_S * RECOGNISER_RATE_HZ)
"""Samples by which a longer hearing of an utterance is known from another utterance."""


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """How a model is loaded. `device` is auto, cpu or cuda.

    `cpu_threads` work on one utterance, `parallel` utterances are transcribed at once; more wait.
    `padding_s`: what the encoder is shown behind an utterance, in seconds; None leaves it to the model's
    folder (see `Shape`).
    """

    device: str = "auto"
    cpu_threads: int = 1
    parallel: int = 1
    padding_s: float | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model was trained to be shown, in frames of 10 ms.

    `window`: the most that its encoder takes. `padding`: what it needs behind an utterance, None if always
    its whole window, as OpenAI's models do. `longest`: the longest utterance that it was trained on.
    """

    window: int
    padding: int | None
    longest: int

    def frames(self, utterance: int, mel_bands: int) -> int:
        """How many frames to show the encoder of an utterance of that many."""
        if self.padding is None:
            return self.window
        shown = min(self.window, utterance + self.padding)
        shown += shown % _FRAMES_PER_POSITION
        # An encoding of as many positions as there are bands is taken for features, and encoded again.
        return shown + _FRAMES_PER_POSITION if shown == mel_bands * _FRAMES_PER_POSITION else shown


class Whisper:
    """One model for all calls and threads."""

    engine = "whisper"
    remote = False

    def __init__(self, folder: Path, name: str, options: WhisperOptions) -> None:
        """Loads a CTranslate2 model from `folder` and tries it on silence. Raises EngineUnavailable."""
        self.model = name
        device = choose_device(options.device)
        if not (folder / "tokenizer.json").is_file():
            # faster-whisper would look for one on the hub, without a limit of time.
            raise EngineUnavailable(
                f"the Whisper model {folder} has no tokenizer.json", hint="Download the model again"
            )
        try:
            self._whisper = WhisperModel(
                str(folder),
                device=device,
                compute_type="float16" if device == "cuda" else "int8",
                cpu_threads=options.cpu_threads,
                num_workers=options.parallel,
                local_files_only=True,
            )
            # The bands overlap little: as a dense matrix they are 4 times the work, on all of BLAS's threads.
            extractor = self._whisper.feature_extractor
            extractor.mel_filters = csr_array(extractor.mel_filters)
            self._shape = _shape(folder, extractor.nb_max_frames, options.padding_s)
            self._prompts = self._find_prompts()
            # A CUDA library that is missing is only missed by the first inference.
            language = next(iter(self._prompts))
            self._hear(np.zeros(RECOGNISER_RATE_HZ, np.float32), LanguageChoice([language]), None)
        except Exception as error:  # noqa: BLE001 - a tokenizer that cannot be read raises a bare Exception
            raise EngineUnavailable(
                f"the Whisper model {folder} cannot be used on {device}: {error}",
                hint="Download the model again, or choose another device",
            ) from error

    @property
    def languages(self) -> frozenset[str]:
        """What the model understands, ISO 639."""
        return frozenset(self._prompts)

    def for_call(
        self, scenario_version: str, expected_lines: Sequence[str], languages: Sequence[str] = ("en",)
    ) -> Recogniser:
        """A recogniser that finds out which of `languages` is spoken. Raises EngineUnavailable."""
        for language in languages:
            if language not in self._prompts:
                what = "English only" if self.languages == {"en"} else f"{len(self._prompts)} languages"
                raise EngineUnavailable(
                    f"the Whisper model {self.model} understands {what}, not {language!r}",
                    hint="Name a multilingual model in speech_to_text.model, such as small or large-v3-turbo",
                )
        return WhisperCall(self, LanguageChoice(languages))

    def recognise(self, audio: NDArray[np.float32], choice: LanguageChoice) -> Recognition:
        """Understands float32 mono audio in [-1, 1] at 16 kHz, of any length. Raises EngineFailed.

        Long pauses are shortened, behind which words get lost. What is longer than the model was trained for
        is cut where it is quietest, and joined again.
        """
        if not is_sound(audio):
            return Recognition("", None)
        audio = without_long_pauses(audio)
        utterance = hash(audio[:_BEGINNING].tobytes())
        try:
            heard = [
                self._hear(piece, choice, utterance)
                for piece in pieces(audio, self._shape.longest * _FRAME)
                if is_sound(piece)
            ]
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineFailed(f"Whisper {self.model} could not transcribe: {error}") from error
        return understood((hypothesis for hypothesis, _ in heard), heard[-1][1] if heard else "")

    def _hear(
        self, audio: NDArray[np.float32], choice: LanguageChoice, utterance: object
    ) -> tuple[Hypothesis, str]:
        """What the model makes of one piece, and in which language."""
        encoded = self._whisper.encode(self._features(audio))
        seconds = audio.size / RECOGNISER_RATE_HZ
        language = choice.decided
        if choice.is_open:
            probabilities = {token[2:-2]: p for token, p in self._whisper.model.detect_language(encoded)[0]}
            language = choice.hear(probabilities, seconds, utterance)
        prompt = self._prompts[language]
        result = self._whisper.model.generate(
            encoded,
            [prompt.tokens],
            beam_size=1,
            max_length=len(prompt.tokens)
            + min(int(_TOKENS_AT_LEAST + _TOKENS_PER_SECOND * seconds), _TOKENS_AT_MOST),
            suppress_tokens=prompt.suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens: list[int] = result.sequences_ids[0]
        # CTranslate2's score is the mean over the text; the end of the text is one token more.
        mean = result.scores[0] * len(tokens) / (len(tokens) + 1)
        text = prompt.tokenizer.decode(tokens)
        return Hypothesis(text, seconds, len(tokens) + 1, mean, result.no_speech_prob), language

    def _features(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The log-mel spectrogram of `audio`, with as much behind it as the model wants to see."""
        # faster-whisper appends 10 ms of silence, whose column is not the utterance's.
        spectrogram = self._whisper.feature_extractor(audio)[:, :-1]
        bands, utterance = spectrogram.shape
        shown = np.zeros((bands, self._shape.frames(utterance, bands)), np.float32)
        shown[:, :utterance] = spectrogram[:, : shown.shape[1]]
        return shown

    def _find_prompts(self) -> "dict[str, _Prompt]":
        multilingual = self._whisper.model.is_multilingual
        vocabulary = self._whisper.hf_tokenizer
        spoken = [
            name
            for name in self._whisper.supported_languages
            if not multilingual or vocabulary.token_to_id(f"<|{name}|>") is not None
        ]
        tokenizers = {name: Tokenizer(vocabulary, multilingual, "transcribe", name) for name in spoken}
        # Encodes a hundred symbols; the same for every language.
        suppressed = list(get_suppressed_tokens(tokenizers[spoken[0]], [-1]))
        return {
            name: _Prompt(each, [*each.sot_sequence, each.no_timestamps], suppressed)
            for name, each in tokenizers.items()
        }


class WhisperCall:
    """Recogniser of one call: it remembers which language the trainee speaks."""

    engine = "whisper"
    remote = False

    def __init__(self, whisper: Whisper, choice: LanguageChoice) -> None:
        self.model = whisper.model
        self._whisper = whisper
        self._choice = choice

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """Understands float32 mono audio in [-1, 1] at 16 kHz. Raises EngineFailed."""
        return self._whisper.recognise(audio, self._choice)


@dataclass(frozen=True, slots=True)
class _Prompt:
    tokenizer: Tokenizer
    tokens: list[int]
    suppressed: list[int]


def without_long_pauses(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same speech, with every pause of more than 1.2 s made as short as that.

    A pause is what lies 35 dB below the loudest tenth of a second: speech spans about 30 dB.
    """
    count = audio.size // _CUT_SAMPLES
    spans = audio[: count * _CUT_SAMPLES].reshape(count, _CUT_SAMPLES)
    power = np.square(spans).mean(axis=1)
    quiet = power < power.max(initial=0.0) * 10 ** (-_PAUSE_BELOW_DB / 10)
    if not quiet.any():
        return audio
    since_sound = np.zeros(count, np.int64)
    for index in range(count):
        since_sound[index] = since_sound[index - 1] + 1 if quiet[index] and index else int(quiet[index])
    kept = spans[since_sound <= _LONGEST_PAUSE]
    return np.concatenate([kept.reshape(-1), audio[count * _CUT_SAMPLES :]])


def pieces(audio: NDArray[np.float32], longest: int) -> Iterator[NDArray[np.float32]]:
    """Cuts audio into pieces of `longest` samples at most, each where the end of a piece is quietest."""
    while audio.size > longest:
        first = int(longest * (1 - _CUT_WITHIN)) // _CUT_SAMPLES * _CUT_SAMPLES
        spans = audio[first : first + (longest - first) // _CUT_SAMPLES * _CUT_SAMPLES]
        energies = np.square(spans.reshape(-1, _CUT_SAMPLES)).sum(axis=1)
        cut = first + int(energies.argmin()) * _CUT_SAMPLES + _CUT_SAMPLES // 2
        yield audio[:cut]
        audio = audio[cut:]
    yield audio


def _shape(folder: Path, window: int, padding_s: float | None) -> Shape:
    """Reads the key "rolecall" of `preprocessor_config.json`, which faster-whisper passes over.

    Raises ValueError for what no model can have been trained with.
    """
    path = folder / "preprocessor_config.json"
    own = json.loads(path.read_text("utf-8")).get("rolecall", {}) if path.is_file() else {}
    longest_s, model_padding_s = own.get("longest_s", window / _FRAMES_PER_S), own.get("padding_s")
    padding_s = model_padding_s if padding_s is None else padding_s
    if not 1 <= longest_s <= window / _FRAMES_PER_S or not (padding_s is None or 0 < padding_s <= 30):
        raise ValueError(f"{path} has a longest_s or padding_s that cannot be")
    padding = None if padding_s is None else round(padding_s * _FRAMES_PER_S)
    return Shape(window, padding, int(longest_s * _FRAMES_PER_S))
