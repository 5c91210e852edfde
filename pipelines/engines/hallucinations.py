"""What Whisper models write where nobody spoke, and how it is told from speech.

A Whisper model was trained on captions of videos: of silence, noise and music it makes what stands there.
OpenAI's `transcribe.py` gave the thresholds; the phrases are those that its users report again and again.
"""

import math
import re
import string
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.speech import RECOGNISER_RATE_HZ, Recognition

_SHORTEST_S: Final = 0.1
_SILENCE_RMS: Final = 0.001

_NO_SPEECH: Final = 0.6
_NO_SPEECH_SUSPECTED: Final = 0.3
_LOG_PROBABILITY_AT_LEAST: Final = -1.0
_COMPRESSION_AT_MOST: Final = 2.4
"""The thresholds of OpenAI's own `transcribe.py`: a text that zlib shrinks further repeats itself."""

_WORDS_AT_LEAST: Final = 4
_WORDS_PER_S: Final = 6.0
"""Nobody says more words in the time that the sound takes; hurried speech has four a second."""

_LOOP: Final = re.compile(r"\b(?:(\w+)(?: \1){7,}|(\w+(?: \w+){1,9})(?: \2){3,})\b")
"""A word eight times, or a phrase of two to ten words four times, one after another."""

_ANNOTATION: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪[^♪]*♪?|[♩♫♬]+")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?。])\s+")
_WITHOUT_PUNCTUATION: Final = str.maketrans("_-", "  ", re.sub("[_-]", "", string.punctuation) + "’“”‘¡¿…。")

PHANTOMS: Final = frozenset(
    (
        "thank you for watching",
        "thanks for watching",
        "thank you so much for watching",
        "thank you very much for watching",
        "thanks for watching this video",
        "thank you for watching this video",
        "thanks for listening",
        "please subscribe",
        "please subscribe to my channel",
        "like and subscribe",
        "dont forget to like and subscribe",
        "dont forget to subscribe",
        "see you in the next video",
        "ill see you in the next video",
        "ill see you next time",
        "well be right back",
        "to be continued",
        "subtitles by",
        "transcription by castingwords",
        "captions by",
        "music",
        "upbeat music",
        "music playing",
        "applause",
        "laughter",
        "silence",
        "blank audio",
        "inaudible",
        "beep",
        "phone ringing",
        "foreign",
        "gracias por ver el video",
        "gracias por ver el vídeo",
        "gracias por ver",
        "suscríbete al canal",
        "suscríbete",
        "música",
        "merci davoir regardé cette vidéo",
        "abonnezvous",
        "sous titrage société radio canada",
        "musique",
        "vielen dank fürs zuschauen",
        "untertitelung des zdf 2020",
        "untertitelung des zdf für funk 2017",
        "untertitel im auftrag des zdf für funk 2017",
        "musik",
        "obrigado por assistir",
        "grazie per la visione",
        "sottotitoli e revisione a cura di qtss",
        "bedankt voor het kijken",
        "dziękuję za uwagę",
    )
)
"""Sentences that nobody says on a call, in lower case and without punctuation."""

_PHANTOM_NAMES: Final = ("amaraorg", "zeoranger", "castingwords")
"""Makers of captions: a sentence with one of them comes from a video."""

SUSPECTS: Final = frozenset(
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
        "okay",
        "yeah",
        "hmm",
        "mm hmm",
        "im sorry",
        "gracias",
        "merci",
        "danke",
        "vielen dank",
        "tschüss",
        "adiós",
    )
)
"""The same, but also said by people: believed only where the model hears speech."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a Whisper model makes of `seconds` of sound.

    `mean_log_probability` is that of a token, `tokens` says of how many; `no_speech` is the probability of
    the model's token for it, 0 to 1.
    """

    text: str
    seconds: float
    tokens: int
    mean_log_probability: float
    no_speech: float


def is_sound(audio: NDArray[np.float32]) -> bool:
    """Whether a recogniser need be asked: 0.1 s at 16 kHz or more, above -60 dBFS, and all of it finite."""
    if audio.size < _SHORTEST_S * RECOGNISER_RATE_HZ:
        return False
    rms = math.sqrt(float(np.mean(np.square(audio, dtype=np.float64))))
    return _SILENCE_RMS < rms < math.inf


def understood(hypotheses: Iterable[Hypothesis], language: str = "") -> Recognition:
    """Joins what is believable of the pieces of one utterance.

    The confidence is the exponential of the mean log probability of a token (the geometric mean of the
    tokens' probabilities) over the pieces that are believed; None if no words are left.
    """
    believed = [(text, each) for each in hypotheses if (text := believable(each))]
    if not believed:
        return Recognition("", None)
    weights = [max(1, each.tokens) for _, each in believed]
    total = sum(w * each.mean_log_probability for w, (_, each) in zip(weights, believed, strict=True))
    return Recognition(" ".join(text for text, _ in believed), _probability(total / sum(weights)), language)


def believable(hypothesis: Hypothesis) -> str:
    """Returns the text without what is known not to be speech; "" if nothing of it can be believed."""
    heard = " ".join(_ANNOTATION.sub(" ", hypothesis.text).split())
    text = " ".join(sentence for sentence in _SENTENCE_END.split(heard) if not _is_phantom(plain(sentence)))
    words = plain(text)
    if not words or _is_runaway(text, words, hypothesis.seconds):
        return ""
    if words in SUSPECTS and hypothesis.no_speech > _NO_SPEECH_SUSPECTED:
        return ""
    if hypothesis.no_speech > _NO_SPEECH and hypothesis.mean_log_probability < _LOG_PROBABILITY_AT_LEAST:
        return ""
    return text


def plain(text: str) -> str:
    """Lower case, without punctuation, one space between words."""
    return " ".join(text.lower().translate(_WITHOUT_PUNCTUATION).split())


def _is_phantom(words: str) -> bool:
    return not words or words in PHANTOMS or any(name in words.replace(" ", "") for name in _PHANTOM_NAMES)


def _is_runaway(text: str, words: str, seconds: float) -> bool:
    """Whether the decoder is caught in a loop: it repeats itself, or says more than there is time for."""
    count = words.count(" ") + 1
    encoded = text.encode()
    return (
        count > _WORDS_AT_LEAST + _WORDS_PER_S * seconds
        or len(encoded) > _COMPRESSION_AT_MOST * len(zlib.compress(encoded))
        or _LOOP.search(words) is not None
    )


def _probability(log_probability: float) -> float | None:
    if math.isnan(log_probability):
        return None
    return math.exp(min(0.0, log_probability))
