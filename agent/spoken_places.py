"""Addresses as they are said: house numbers, streets, towns and states."""

import re
from typing import Final

from agent.spoken_numbers import in_pairs, one_by_one
from agent.spoken_tables import ALSO_WORDS, DIRECTIONS, STATES, STREETS
from agent.spoken_words import Word, Words

_ZIP: Final = re.compile(r"\d{5}(?:-\d{4})?")
_ORDINAL: Final = re.compile(r"\d+(?:st|nd|rd|th)")
_DOTTED_IN_STREETS: Final = frozenset((*DIRECTIONS, "St", "Mt", "Ft"))
_NAME_WORDS: Final = 4


def address(words: Words) -> list[str] | None:
    """A house number, perhaps a direction, a name, and the kind of street."""
    start = words[0]
    if start.trail.strip(".") or not (
        re.fullmatch(r"\d{1,5}[A-Za-z]?", start.core) or start.core in DIRECTIONS
    ):
        return None
    for count in range(1, _NAME_WORDS + 2):
        word = words[count]
        if count > 1 and word.low in STREETS and word.is_capitalised:
            return _said_address(words, count)
        named = word.is_capitalised or _ORDINAL.fullmatch(word.core)
        if not named or word.trail.removeprefix("." if word.core in _DOTTED_IN_STREETS else ""):
            return None
    return None


def _said_address(words: Words, last: int) -> list[str]:
    start, street, after = words[0], words[last], words[last + 1]
    first = DIRECTIONS.get(start.core) or _house_number(start.core)
    middle = [_in_street_name(words[n]) for n in range(1, last)]
    said = [start.said(first, dotted=True), *middle, street.said(STREETS[street.low], dotted=True)]
    if not street.trail.strip(".") and after.core in DIRECTIONS:
        said.append(after.said(DIRECTIONS[after.core], dotted=True))
    return said


def _house_number(core: str) -> str:
    return in_pairs(core) if core.isdecimal() else f"{in_pairs(core[:-1])} {core[-1].upper()}"


def _in_street_name(word: Word) -> str:
    if word.core in DIRECTIONS:
        return word.said(DIRECTIONS[word.core], dotted=True)
    return word.said("saint", dotted=True) if word.core == "St" else word.read()


def street_or_title(words: Words) -> list[str] | None:
    """St. and Dr. before and behind a name, and the kinds of street behind one."""
    word, after = words[0], words[1]
    is_street = _is_behind_name(words)
    is_before_name = after.is_capitalised and not word.trail.strip(".")
    if word.core == "Dr":
        return [word.said("Drive" if is_street and not is_before_name else "Doctor", dotted=True)]
    if word.core == "St":
        is_saint = is_before_name and not word.ends and not _ORDINAL.fullmatch(words[-1].core)
        return [word.said("Street" if is_street and not is_saint else "Saint", dotted=True)]
    if is_street and word.is_capitalised and word.low in STREETS and word.low not in STREETS.values():
        return [word.said(STREETS[word.low].capitalize(), dotted=True)]
    return None


def _is_behind_name(words: Words) -> bool:
    """Whether the word before can be the name of a street: "Main", "5th", not "Ask" at the start."""
    before = words[-1]
    if before.trail:
        return False
    return bool(_ORDINAL.fullmatch(before.core)) or (before.is_capitalised and not words.starts_sentence)


def state(words: Words) -> list[str] | None:
    """A state by its two letters, and the ZIP code behind it digit by digit."""
    word, before = words[0], words[-1]
    if _ZIP.fullmatch(word.core) and (before.core in STATES or before.core in STATES.values()):
        return [word.said(", ".join(map(one_by_one, word.core.split("-"))))]
    if word.core not in STATES:
        return None
    zipped = bool(_ZIP.fullmatch(words[1].core)) and not word.trail.strip(".,")
    behind_town = before.is_capitalised and before.trail == "," and word.core not in ALSO_WORDS
    return [word.said(STATES[word.core])] if zipped or behind_town else None
