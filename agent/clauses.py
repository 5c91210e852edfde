"""Cuts a reply that is still being worded into clauses that can already be spoken."""

import re
from collections.abc import Iterator
from typing import Final

from agent.spoken_tables import BEFORE_NUMBERS, CAPITALISED, DOTTED, MONTHS, OPENERS, STREETS

_LONGEST: Final = 180
_LOOK_AHEAD: Final = 30
_SHORTEST_PART: Final = 60
_LETTERS_AT_LEAST: Final = 2

_MARK: Final = re.compile(
    r"(?P<sound>(?:^|(?<=\s))\[[a-z]+\])(?=\s)|(?P<end>[.!?…]+[\"'”’)\]*_]*)(?=\s)|[,;:][\"'”’)\]*_]*(?=\s)|—(?=\S)|(?<=\s)[-–—](?=\s)"
)
_CONJUNCTION: Final = re.compile(
    r"\s(?=(?:and|but|or|so|because|which|who|that|when|while|where|if|then|unless|until|though)\s)"
)
_SPACE: Final = re.compile(r"\s")
_NEXT: Final = re.compile(r"\s*(\S+)(\s+\S?)?")
_ABBREVIATED: Final = re.compile(r"([^\s(\[\"“]+)\.[\"'”’)\]*_]*$")
_INITIALS: Final = re.compile(r"[A-HJ-Z]|[A-Za-z]{1,2}(?:\.[A-Za-z])+")
_CLOSERS: Final = "\"'”’)]*_"
_ENDERS: Final = tuple(".!?…")
_TITLES: Final = frozenset(("Dr", "Mr", "Mrs", "Ms", "Prof"))
_OPENING_QUOTE: Final = re.compile(r"(?<!\d)\"")


class Clauses:
    """Takes pieces of text as they come and gives back whole clauses: the same for whatever pieces.

    The first clause may be a word or two before a comma or a dash, because the trainee is waiting for it,
    unless the sentence ends with the next word ("Hi, Dana." sounds torn in two). The ones after it are
    sentences, because a voice reads whole sentences better; a sound (`[breath]`) is a clause. A sentence of
    more than 180 characters is cut where one would breathe. Numbers, abbreviations, addresses and what
    stands in quotes are not cut, save where 180 characters offer nothing else.
    """

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def feed(self, piece: str) -> list[str]:
        """Adds `piece`; returns the clauses that are complete by now."""
        self._text += piece
        return list(self._complete(is_over=False))

    def rest(self) -> list[str]:
        """The reply is over: returns what is left of it, if anything."""
        return list(self._complete(is_over=True))

    def _complete(self, *, is_over: bool) -> Iterator[str]:
        self._text = self._text.lstrip()
        while self._text:
            window = self._text[: _LONGEST + _LOOK_AHEAD]
            if (cut := _cut(window, first=self._first, is_over=is_over)) is None:
                return
            clause, self._text = self._text[:cut].rstrip(), self._text[cut:].lstrip()
            self._first = False
            yield clause


def _cut(text: str, *, first: bool, is_over: bool) -> int | None:
    """Where the first clause of `text` ends; None while that depends on what follows.

    More than the window does not follow into the decision, or it would depend on the pieces.
    """
    can_wait = not is_over and len(text) < _LONGEST + _LOOK_AHEAD
    for mark in _MARK.finditer(text, 0, _LONGEST + 1):
        if _is_in_quotes(text, mark.end()):
            continue
        is_end = _is_end(text, mark, first=first)
        if is_end is None and can_wait:
            return None
        if is_end:
            return mark.end()
    if len(text) > _LONGEST and not can_wait:
        return _breath(text)
    return len(text) if is_over else None


def _is_end(text: str, mark: re.Match[str], *, first: bool) -> bool | None:
    """Whether a clause ends at this mark; None if the text does not reach far enough to tell."""
    follows = text[mark.end() :]
    if mark["sound"]:
        return True
    if mark["end"]:
        return _ends_sentence(text[: mark.end()], follows)
    if not first or sum(c.isalpha() for c in text[: mark.start()]) < _LETTERS_AT_LEAST:
        return False
    return _goes_on(follows)


def _goes_on(follows: str) -> bool | None:
    """Whether at least three more words belong to the sentence, the first of them no number."""
    words = follows.split()
    if words and (words[0][0].isdigit() or words[0][0] in "$€£"):
        return False
    complete = words if follows[-1:].isspace() else words[:-1]
    if any(word.rstrip(_CLOSERS)[-1:] in _ENDERS for word in complete[:2]):
        return False
    return True if len(words) > 2 else None


def _ends_sentence(before: str, follows: str) -> bool | None:
    upcoming = follows.lstrip()
    if before[-1] in "\"'”’":
        return not upcoming[0].islower() if upcoming else None
    match = _ABBREVIATED.search(before)
    if not match:
        return True
    word = match[1].lstrip("'“‘*_")
    low = word.lower()
    if word in _TITLES or before.rstrip(_CLOSERS + ".").isdigit():
        return False
    if low in BEFORE_NUMBERS and low not in DOTTED:
        return not upcoming[0].isdigit() if upcoming else None
    if not (_INITIALS.fullmatch(word) or _is_abbreviation(word)):
        return True
    upcoming_word = _NEXT.match(follows)
    if not upcoming_word or upcoming_word[2] is None:
        return None
    return upcoming_word[1].strip("\"'“‘(,.!?") in OPENERS


def _is_abbreviation(word: str) -> bool:
    low, is_capitalised = word.lower(), word[:1].isupper()
    if low in DOTTED:
        return is_capitalised or low not in CAPITALISED
    if not is_capitalised:
        return False
    return STREETS.get(low, low) != low or MONTHS.get(word, word) != word


def _is_in_quotes(text: str, end: int) -> bool:
    straight = len(_OPENING_QUOTE.findall(text, 0, end))
    return straight % 2 == 1 or text.count("“", 0, end) > text.count("”", 0, end)


def _breath(text: str) -> int:
    """Where a sentence that is too long is cut: behind a comma, before a conjunction, between words."""
    for in_quotes in (False, True):
        for pattern in (_MARK, _CONJUNCTION, _SPACE):
            cuts = [match.end() for match in pattern.finditer(text, _SHORTEST_PART, _LONGEST + 1)]
            for cut in reversed(cuts):
                if _may_part(text, cut) and (in_quotes or not _is_in_quotes(text, cut)):
                    return cut
    spaces = [match.end() for match in _SPACE.finditer(text, 1, _LONGEST + 1)]
    return spaces[-1] if spaces else _LONGEST


def _may_part(text: str, cut: int) -> bool:
    """Whether neither a number nor an abbreviation and its name would be parted."""
    before, after = text[:cut].rstrip(), text[cut:].lstrip()
    if before[-1:].isdigit() or before.endswith(")"):
        return not (after[:1].isdigit() or after.startswith("("))
    return _ends_sentence(before, after) is not False
