"""What no working engine answers: checks of results, so that a broken engine counts as one."""

import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np

from agent.errors import EngineFailed
from agent.speech import RECOGNISER_RATE_HZ, Recognition, Speech, SpokenWord

# People read at 15 letters a second, auctioneers at 30.
_LETTERS_AT_LEAST: Final = 80
_LETTERS_PER_S: Final = 50
# espeak-ng from 450 down to 80 words a minute: 0.03 to 0.18 s a letter; 1.3 s a digit or symbol at most, and
# 0.8 s a letter that is spelt. A letter of a script that it does not read is called by its name: 2.5 s.
_LONGEST_S: Final = 4.0
_LONGEST_PER_LETTER_S: Final = 0.4
_LONGEST_PER_SYMBOL_S: Final = 1.5
_LONGEST_PER_FOREIGN_LETTER_S: Final = 4.0
_SHORTEST_PER_LETTER_S: Final = 0.01
_SHORTEST_S: Final = 0.02
_RATES_HZ: Final = (4_000, 192_000)
_WORD_TIMES_OFF_MS: Final = 250
_NO_TEXT: Final = frozenset(("Cc", "Cs", "Co", "Cn"))


class EngineGarbage(EngineFailed):
    """An engine answered with what cannot be an answer."""

    code = "engine_garbage"


def check_recognition(recognition: Recognition, samples: int) -> Recognition:
    """Returns what `samples` samples at 16 kHz were understood as, if that can be. Raises EngineGarbage."""
    _require(isinstance(recognition, Recognition), "is no recognition")
    text, confidence = recognition.text, recognition.confidence
    _require(isinstance(text, str) and isinstance(recognition.language, str), "has a text that is no text")
    _require(all(_is_text(character) for character in text), "has control characters in its text")
    most = _LETTERS_AT_LEAST + _LETTERS_PER_S * samples / RECOGNISER_RATE_HZ
    _require(len(text) <= most, f"has {len(text)} letters for {samples / RECOGNISER_RATE_HZ:.1f} s of sound")
    _require(confidence is None or _is_between(confidence, 0.0, 1.0), f"has a confidence of {confidence!r}")
    return recognition


def check_speech(speech: Speech, text: str) -> Speech:
    """Returns `speech` if it can be the sound of `text`, at any rate. Raises EngineGarbage."""
    _require(isinstance(speech, Speech), "is no speech")
    samples, rate_hz = speech.samples, speech.rate_hz
    _require(isinstance(samples, np.ndarray), "has samples that are no array")
    _require(samples.dtype == np.int16 and samples.ndim == 1, "has samples that are not mono and int16")
    _require(isinstance(rate_hz, int) and _is_between(rate_hz, *_RATES_HZ), f"has a rate of {rate_hz!r} Hz")
    letters = sum(character.isalnum() for character in text)
    seconds = samples.size / rate_hz
    symbols = sum(not (character.isalpha() or character.isspace()) for character in text)
    foreign = sum(character.isalpha() and not character.isascii() for character in text)
    longest_s = _LONGEST_S + _LONGEST_PER_LETTER_S * letters + _LONGEST_PER_SYMBOL_S * symbols
    longest_s += _LONGEST_PER_FOREIGN_LETTER_S * foreign
    _require(seconds <= longest_s, f"has {seconds:.1f} s of sound for {len(text)} letters")
    if letters:
        _require(bool(samples.any()), "is silent")
        shortest_s = max(_SHORTEST_S, _SHORTEST_PER_LETTER_S * letters)
        _require(seconds >= shortest_s, f"has {seconds:.3f} s of sound for {letters} letters")
        _check_words(speech, seconds)
    return speech


def _check_words(speech: Speech, seconds: float) -> None:
    """What is heard of a clause is told by its words' times: they have to lie in it, and in order."""
    words = speech.words
    _require(isinstance(words, Sequence) and len(words) > 0, "has no words")
    _require(
        all(isinstance(word, SpokenWord) and isinstance(word.text, str) for word in words), "has no words"
    )
    last_ms = seconds * 1_000 + _WORD_TIMES_OFF_MS
    before_ms: float = 0
    for word in words:
        in_order = _is_between(word.start_ms, before_ms, last_ms)
        in_order = in_order and _is_between(word.end_ms, word.start_ms, last_ms)
        _require(in_order, "has words whose times are not in order, or not within it")
        before_ms = word.start_ms


def _is_text(character: str) -> bool:
    return character in " \n\t" or unicodedata.category(character) not in _NO_TEXT


def _is_between(value: float, least: float, most: float) -> bool:
    # NaN is in no order with anything.
    return isinstance(value, int | float | np.floating) and bool(least <= value <= most)


def _require(holds: bool, wrong: str) -> None:
    if not holds:
        raise EngineGarbage(f"what the engine answered {wrong}")
