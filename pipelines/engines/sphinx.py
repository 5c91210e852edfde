"""The built-in recogniser: PocketSphinx with a language model of what the scenario expects to hear.

It understands expected sentences, over a telephone and with nothing downloaded; it is no recogniser for
everything that people say.
"""

import itertools
import math
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pocketsphinx  # type: ignore[import-untyped]
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from agent.errors import EngineError, EngineFailed, EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Recognition
from pipelines.engines.espeak import Espeak, open_espeak
from pipelines.engines.hallucinations import is_sound
from pipelines.engines.language_model import TrigramModel
from pipelines.engines.pronunciation import dictionary, spoken_words

_SCENARIOS_KEPT = 8
_PIECE_BYTES = RECOGNISER_RATE_HZ // 25 * 2
"""40 ms: PocketSphinx keeps the interpreter to itself while it works, here for about 2 ms at a time."""
_LANGUAGE_WEIGHT = 8.0

_SPEECH_RMS = 0.06
_NOISE_RMS = 0.002
"""Its acoustic model has never heard digital silence, and errs between the words of a synthetic voice."""
_TELEPHONE_CEPSTRUM = "53.10,3.17,-9.61,7.52,-5.48,-8.09,-1.16,-9.07,0.27,-0.48,-1.85,2.88,-3.65"
"""The mean cepstrum of speech in the telephone band, measured half on people, half on espeak-ng's voices."""

_NEAR = 0.62
"""Similarity from which a hypothesis stands for an expected line. Measured on cold-call's lines in six
espeak-ng voices over the telephone: of 270 expected lines 93 % came as near, at most one of them to a wrong
line; of 48 sentences about something else none did.
"""

_CERTAIN = 0.6
"""Confidence from which an utterance is surely speech, and the caller's line may be learned from it."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a decoder makes of an utterance; `posterior` is its mean for a word, in 0..1."""

    words: str
    posterior: float


class SphinxRecognisers:
    """Compiles a language for each scenario version and keeps it for later calls."""

    engine = "sphinx"
    remote = False
    model = "en-us"

    def __init__(self, espeak: Espeak, folder: Path) -> None:
        """`folder` is for the compiled languages; `espeak` says how unknown words are pronounced."""
        self._espeak = espeak
        self._folder = folder
        self._languages: OrderedDict[str, _Language] = OrderedDict()
        self._names = itertools.count(1)
        self._compiling = threading.Lock()

    def for_call(
        self, scenario_version: str, expected_lines: Sequence[str], languages: Sequence[str] = ("en",)
    ) -> Recogniser:
        """A recogniser of `expected_lines`. The first call of a version takes about 0.1 s.

        Raises EngineUnavailable for another language than English, and if there is no line with a word in it.
        """
        if tuple(languages) != ("en",):
            raise EngineUnavailable(
                f"PocketSphinx comes with a model of English only, not of {' and '.join(languages)}",
                hint="Use whisper",
            )
        with self._compiling:
            language = self._languages.pop(scenario_version, None)
            if language is None:
                path = self._folder / str(next(self._names))
                language = _Language(expected_lines, path, self._espeak)
            self._languages[scenario_version] = language
            while len(self._languages) > _SCENARIOS_KEPT:
                self._languages.popitem(last=False)
        return SphinxRecogniser(language)


class SphinxRecogniser:
    """Recogniser of one call: it grows used to the caller's voice and line."""

    engine = "sphinx"
    remote = False
    model = "en-us"

    def __init__(self, language: "_Language") -> None:
        self._language = language
        self._cepstrum = _TELEPHONE_CEPSTRUM

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """Returns the nearest expected line, or the words as they were decoded if none is near.

        The confidence is the geometric mean of the decoder's posterior of a word and the similarity to the
        nearest line. Measured as for the similarity: below 0.4 one text in five was right, from 0.4 to 0.6
        one in two, above that 97 in a hundred.
        """
        if not is_sound(audio):
            return Recognition("", None)
        heard, cepstrum = self._language.decode(_as_trained(audio), self._cepstrum)
        recognition = self._language.nearest(heard)
        if recognition.confidence is not None and recognition.confidence > _CERTAIN:
            self._cepstrum = cepstrum
        return recognition


class _Language:
    """Expected lines, compiled; its decoders are lent to one utterance at a time."""

    def __init__(self, lines: Sequence[str], path: Path, espeak: Espeak) -> None:
        cmu_dictionary = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
        pronounced = dictionary(
            (word for line in lines for word in spoken_words(line)), cmu_dictionary, espeak.phonemes
        )
        said = {line: [word for word in spoken_words(line) if word in pronounced] for line in lines}
        self._lines = {" ".join(words): line for line, words in reversed(said.items()) if words}
        if not self._lines:
            raise EngineUnavailable(
                "PocketSphinx needs a scenario that says what trainees are expected to say",
                hint="Add examples to the scenario's moves, or use whisper",
            )
        self._model = path.with_suffix(".lm")
        model = TrigramModel([words for words in said.values() if words])
        self._model.write_text(model.arpa(), encoding="utf-8")
        self._dictionary = path.with_suffix(".dict")
        self._dictionary.write_text("".join(_dictionary_lines(pronounced)), encoding="utf-8")
        self._decoders = [self._open_decoder(EngineUnavailable)]

    def decode(self, audio: NDArray[np.int16], cepstrum: str) -> tuple[Hypothesis, str]:
        """Returns what was said and the mean cepstrum to begin the caller's next utterance with."""
        try:
            decoder = self._decoders.pop()
        except IndexError:
            decoder = self._open_decoder(EngineFailed)
        try:
            decoder.set_cmn(cepstrum)
            decoder.start_utt()
            sound = audio.tobytes()
            for at in range(0, len(sound), _PIECE_BYTES):
                decoder.process_raw(sound[at : at + _PIECE_BYTES])
                # Otherwise the event loop has to wait for its turn: 2 ms instead of 7 ms.
                time.sleep(0)
            decoder.end_utt()
            words = [segment for segment in decoder.seg() or () if segment.word[0] not in "<["]
            heard = _hypothesis(words)
            cepstrum = decoder.get_cmn(True)
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(f"PocketSphinx could not decode: {error}") from error
        self._decoders.append(decoder)
        return heard, cepstrum

    def nearest(self, heard: Hypothesis) -> Recognition:
        """The expected line that `heard` stands for, or its own words."""
        if not heard.words:
            return Recognition("", None)
        words, percent, _ = process.extractOne(heard.words, self._lines.keys(), scorer=fuzz.ratio)
        similarity = percent / 100
        text = self._lines[words] if similarity >= _NEAR else heard.words
        return Recognition(text, math.sqrt(similarity * heard.posterior), "en")

    def _open_decoder(self, error_class: type[EngineError]) -> pocketsphinx.Decoder:
        try:
            return pocketsphinx.Decoder(
                hmm=pocketsphinx.get_model_path("en-us/en-us"),
                lm=str(self._model),
                dict=str(self._dictionary),
                lw=_LANGUAGE_WEIGHT,
                # A second pass in one piece: it would hold the interpreter for 0.1 s and gains nothing here.
                fwdflat=False,
                loglevel="FATAL",
            )
        except (RuntimeError, ValueError) as error:
            raise error_class(f"PocketSphinx cannot load its model: {error}") from error


@contextmanager
def open_sphinx() -> Iterator[SphinxRecognisers]:
    """Opens the built-in recogniser with an espeak-ng of its own. Raises EngineUnavailable."""
    with open_espeak() as espeak, tempfile.TemporaryDirectory(prefix="sphinx-") as folder:
        yield SphinxRecognisers(espeak, Path(folder))


def _hypothesis(words: Sequence[pocketsphinx.Segment]) -> Hypothesis:
    text = " ".join(segment.word.partition("(")[0] for segment in words)
    logs = [math.log(min(max(segment.prob, 1e-6), 1.0)) for segment in words]
    return Hypothesis(text, math.exp(sum(logs) / len(logs)) if logs else 0.0)


def _as_trained(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    """Brings speech to the level and noise floor that the decoder is tuned for, as int16."""
    rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    noise = np.random.default_rng(0).normal(0.0, _NOISE_RMS, audio.size)
    return np.clip((audio * (_SPEECH_RMS / rms) + noise) * 32_767, -32_768, 32_767).astype(np.int16)


def _dictionary_lines(pronounced: dict[str, list[str]]) -> Iterator[str]:
    for word, alternatives in pronounced.items():
        for number, phonemes in enumerate(alternatives, start=1):
            yield f"{word}({number}) {phonemes}\n" if number > 1 else f"{word} {phonemes}\n"
