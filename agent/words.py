"""English words as they are compared: lower case, nothing contracted, numbers spelled, no disfluencies."""

import re
import unicodedata
from functools import lru_cache

_SENTENCE_END = re.compile(r"[.?!;]+(?=\s|$)|\n+")
_WORD = re.compile(r"\d{1,3}(?:,\d{3})+|[^\W_]+(?:'[^\W_]+)*")
_FALSE_START = re.compile(
    r"\b([^\W\d_]{1,5})[-\u2010-\u2015]+\s+(?=\1)|\b(i|[^\W\d_aeiouy]{1,3})[-\u2010-\u2015]+(?=\2)"
)
"""The beginning of a word before the word: "w- what", "th-the"; "co-operate" and "re-read" are none."""
_ASIDE = re.compile(r"(?:^|(?<=[,.?!;\u2010-\u2015]))\s*(?:i mean|you know)\s*(?:,|\.\.\.)")
_FILLERS = frozenset({"um", "umm", "uh", "uhm", "erm", "er", "hm", "hmm", "mm", "mhm", "ah"})
_IRREGULAR = {"won't": "will not", "can't": "can not", "cannot": "can not", "let's": "let us"}
_ENDINGS = {"n't": " not", "'m": " am", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would"}
_IS = frozenset(
    {"it's", "that's", "what's", "who's", "there's", "here's", "he's", "she's", "where's", "how's"}
)
# fmt: off
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
# fmt: on
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMERALS = frozenset({*_ONES, *_TENS, "oh", "hundred", "thousand", "million", "double", "triple"})


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Returns words separated by spaces and sentences by line breaks (which `.` in a pattern stops at).

    "I'm calling, um, for 15 minutes. OK?" becomes "i am calling for fifteen minutes\\nok". Of a word said
    twice in a row (unless it is a number) one is kept, of a word cut off and said again the whole one, of
    "you know," and "I mean," nothing.
    """
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold()
    plain = _ASIDE.sub(" ", _FALSE_START.sub("", plain))
    sentences = (_sentence(part) for part in _SENTENCE_END.split(plain))
    return "\n".join(sentence for sentence in sentences if sentence)


def words(text: str) -> list[str]:
    """Returns the words of `normalise(text)` in order."""
    return normalise(text).split()


def _sentence(text: str) -> str:
    said = (_spelled(word) for word in _WORD.findall(text) if word not in _FILLERS)
    return " ".join(_said_once(" ".join(said).split()))


def _said_once(words: list[str]) -> list[str]:
    """Without immediate repetitions; the digits of a number may well be the same."""
    return [word for at, word in enumerate(words) if words[at - 1 : at] != [word] or _is_numeral(word)]


def _is_numeral(word: str) -> bool:
    return word in _NUMERALS or word.isdecimal()


def _spelled(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _IS:
        return word.removesuffix("'s") + " is"
    for ending, full in _ENDINGS.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + full
    if word.isascii() and word.isdigit() and len(word) <= 2:
        return _number(int(word))
    return word.replace(",", "")


def _number(value: int) -> str:
    if value < len(_ONES):
        return _ONES[value]
    tens, ones = divmod(value, 10)
    return _TENS[tens - 2] + (f" {_ONES[ones]}" if ones else "")
