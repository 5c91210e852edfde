"""The written words of a text, taken apart for reading."""

import re
from dataclasses import dataclass
from typing import Final

from agent.spoken_shapes import read_shape
from agent.spoken_tables import BEFORE_NUMBERS, DOTTED, OPENERS

_PARTS: Final = re.compile(r"([(\[{\"'“‘*_`]*)(.*?)([.,;:!?)\]}\"'”’…*_`]*)", re.DOTALL)
_EMPHASIS: Final = str.maketrans("", "", "*_`")
_HEIGHT: Final = re.compile(r"\d['’]\d{1,2}")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as written: the punctuation before it, the word, the punctuation behind it.

    `ends` says that a sentence ends behind it if there is a full stop at all, be it an abbreviation's.
    """

    text: str
    lead: str
    core: str
    trail: str
    ends: bool

    @property
    def low(self) -> str:
        """The core in lower case."""
        return self.core.lower()

    @property
    def is_capitalised(self) -> bool:
        """Whether the core begins with a capital."""
        return self.core[:1].isupper()

    @property
    def is_plain(self) -> bool:
        """Whether this can be nothing but a word of the language."""
        core = self.core
        return core.isalpha() and core.islower() and core not in DOTTED and core not in BEFORE_NUMBERS

    def said(self, core: str, *, dotted: bool = False) -> str:
        """`core` with the punctuation around it; `dotted`: the full stop is only that of an abbreviation."""
        trail = self.trail.removeprefix(".") if dotted and not self.ends else self.trail
        return f"{self.lead}{core}{trail}".translate(_EMPHASIS)

    def read(self) -> str:
        """What is said for the word by itself."""
        said = None if self.is_plain else read_shape(self.core)
        if said is None:
            return self.text.translate(_EMPHASIS)
        if _HEIGHT.fullmatch(self.core):
            inches = self.trail.removeprefix('"')
            return f"{self.lead}{said}{inches}"
        return self.said(said, dotted="." in self.core)


_NOTHING: Final = Word("", "", "", "", ends=True)


class Words:
    """The words of a text, seen from the one at `at`; beyond the ends there are empty ones."""

    def __init__(self, text: str) -> None:
        split = text.split()
        following = [*split[1:], ""]
        self.words = [_taken_apart(word, upcoming) for word, upcoming in zip(split, following, strict=False)]
        self.at = 0

    def __getitem__(self, offset: int) -> Word:
        index = self.at + offset
        return self.words[index] if 0 <= index < len(self.words) else _NOTHING

    @property
    def starts_sentence(self) -> bool:
        """Whether the word before this one starts a sentence."""
        return self.at < 2 or self[-2].trail[:1] in (".", "!", "?")


def _taken_apart(text: str, upcoming: str) -> Word:
    match = _PARTS.fullmatch(text)
    lead, core, trail = match.groups() if match else ("", text, "")
    ends = not upcoming or upcoming.strip("\"'“‘(,.!?") in OPENERS
    return Word(text, lead, core, trail, ends)
