"""Text on its way to a synthesiser: what can be spoken, and when each word of it sounds."""

import bisect
import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from agent.speech import SpokenWord
from agent.spoken_text import spoken

_WORD = re.compile(r"\S+")
_LETTER_A = re.compile(r"(?<!\S)A(?=\s|$)")
_PHONEME_BLOCKS = str.maketrans("[]", "  ")
_FIRST_PICTOGRAM = "\u2190"


def speakable(text: str) -> str:
    """The same text with a space for each character that an engine would misread or read out as a picture.

    Positions are kept: the result is as long as `text`. Control characters can carry espeak-ng's embedded
    commands, `[[…]]` carries Piper's raw phonemes, and espeak-ng says "grinning face" for an emoji.
    """
    return "".join(" " if _is_unspeakable(c) else c for c in text).translate(_PHONEME_BLOCKS)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as it is read out: each word as written, and what is said for it (any number of words)."""

    pairs: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """What an engine is to say; its words are separated by single spaces."""
        return " ".join(said for _, said in self.pairs if said)

    def timed(self, said: Sequence[SpokenWord]) -> tuple[SpokenWord, ...]:
        """The words as written, with the times of what was said for them; a silent one has no duration.

        `said` are the words of `text` in order.
        """
        remaining, end_ms = iter(said), 0
        words = []
        for word, reading in self.pairs:
            heard = list(itertools.islice(remaining, len(reading.split())))
            start_ms, end_ms = (heard[0].start_ms, heard[-1].end_ms) if heard else (end_ms, end_ms)
            words.append(SpokenWord(word, start_ms, end_ms))
        return tuple(words)


def read_out(text: str, language: str) -> Reading:
    """How `text` is read in `language` (ISO 639): numbers, amounts and abbreviations as words, in English.

    For engines that ask espeak-ng for phonemes: it would take the letter in "three A is" for the article.
    """
    return Reading(tuple((word, _readable(word, said)) for word, said in spoken(text, language)))


def _readable(word: str, said: str) -> str:
    spelled = _LETTER_A.sub("eigh", said) if said != word else said
    return " ".join(speakable(spelled).split())


def split_words(text: str) -> list[tuple[int, str]]:
    """The words of `text`, split at white space, each with its position."""
    return [(match.start(), match.group()) for match in _WORD.finditer(text)]


def in_proportion(words: Sequence[str], start_ms: int, end_ms: int) -> list[SpokenWord]:
    """Gives each word a share of the time by its length; mere punctuation gets none."""
    weights = [_weight(word) for word in words]
    total = sum(weights) or 1
    spoken, sum_before = [], 0
    for word, weight in zip(words, weights, strict=True):
        bounds = [start_ms + (end_ms - start_ms) * s // total for s in (sum_before, sum_before + weight)]
        spoken.append(SpokenWord(word, *bounds))
        sum_before += weight
    return spoken


def from_spans(words: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[SpokenWord]:
    """Gives each word but mere punctuation one span, (start, end) in ms; [] if they do not pair up."""
    if sum(1 for word in words if _weight(word)) != len(spans):
        return []
    spoken, remaining, end_ms = [], iter(spans), 0
    for word in words:
        start_ms, end_ms = next(remaining) if _weight(word) else (end_ms, end_ms)
        spoken.append(SpokenWord(word, start_ms, end_ms))
    return spoken


def from_marks(
    text: str, marks: Sequence[tuple[int, int]], pauses_ms: Sequence[int], end_ms: int
) -> list[SpokenWord]:
    """Times the words of `text` by an engine's marks.

    `marks` are (position in `text`, start in ms) in order of time; `pauses_ms` are the starts of pauses, in
    order. An engine may pass over a word ("of the" is one mark) or mark a part of one ("4,000" is two):
    words without a mark share the time of the marked word before them.
    """
    words = split_words(text)
    positions = [position for position, _ in words]
    groups: list[tuple[int, int]] = []
    for position, at_ms in marks:
        index = max(0, bisect.bisect_right(positions, position) - 1)
        if not groups or (index > groups[-1][0] and at_ms >= groups[-1][1]):
            groups.append((index if groups else 0, min(at_ms, end_ms)))
    groups = groups or [(0, 0)]
    spoken: list[SpokenWord] = []
    for (first, start_ms), (last, next_ms) in zip(groups, [*groups[1:], (len(words), end_ms)], strict=True):
        pause = bisect.bisect_right(pauses_ms, start_ms)
        stop_ms = min(next_ms, pauses_ms[pause]) if pause < len(pauses_ms) else next_ms
        spoken += in_proportion([word for _, word in words[first:last]], start_ms, stop_ms)
    return spoken


def _is_unspeakable(character: str) -> bool:
    category = unicodedata.category(character)
    return (
        category in ("Cc", "Cf", "Cs", "Co", "Cn")
        or (category in ("So", "Sk", "Sm") and character >= _FIRST_PICTOGRAM)
        or "\ufe00" <= character <= "\ufe0f"
    )


def _weight(word: str) -> int:
    # A digit is read out as a word.
    return sum(4 if c.isdigit() else 1 for c in word if c.isalnum())
