"""Text as people in the United States say it on the phone, aligned with the text as written."""

import re
from collections.abc import Callable
from typing import Final

from agent.spoken_numbers import NUMBER, cardinal, in_pairs, one_by_one, ordinal, without_digits, year
from agent.spoken_places import address, state, street_or_title
from agent.spoken_shapes import amount, date, meridiem, read_code, read_shape, unit
from agent.spoken_tables import (
    ALONE_UNMISTAKABLE,
    ALWAYS,
    BEFORE_NUMBERS,
    CAPITALISED,
    CURRENCIES,
    DOTTED,
    FRACTIONS,
    MONTH_NAMES,
    MONTHS,
    SAID_IN_PAIRS,
    SAID_ONE_BY_ONE,
    SCALE_WORDS,
    UNDOTTED,
    word_set,
)
from agent.spoken_words import Word, Words

_DAY: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_YEAR: Final = re.compile(r"[12]\d{3}")
_EMERGENCY: Final = frozenset(("211", "311", "411", "511", "611", "711", "811", "911", "988"))
_PHONE: Final = re.compile(
    r"(?:\+?1[-. ])?(?:\d{3}[)]?[-. ]?)\d{3}[-. ]\d{4}|\d{3}-\d{4}|\+\d{1,3}(?: \d{2,4}){2,4}"
    r"|(?:1[-. ])?8\d\d[-. ][A-Za-z]{5,8}"
)
_PHONE_WORDS: Final = 5
_BEFORE_DATES: Final = word_set("on by before until till since from after through")
_BEFORE_YEARS: Final = word_set("in since until by of year from before after during around late early")
_AFTER_AMOUNTS: Final = word_set("""
a an and as at but by down each every for from if in is more of off on or per plus than that to was
were with
""")


def spoken(text: str, language: str = "en") -> list[tuple[str, str]]:
    """Each word of `text`, as split at white space, with what is said for it: any number of words.

    Numbers, amounts, dates, addresses, abbreviations and the like become words, without any digit left;
    what is words already stays as it is, punctuation included. A word that is said with the one before it
    has nothing of its own to say. Only English (`language` en, or en-US and so on) is changed.
    """
    words = Words(text)
    if language.lower().partition("-")[0] != "en":
        return [(word.text, word.text) for word in words.words]
    pairs: list[tuple[str, str]] = []
    while words.at < len(words.words):
        found = None
        if not words[0].is_plain:
            found = next((reading for rule in _RULES if (reading := rule(words))), None)
        for said in found or [words[0].read()]:
            pairs.append((words[0].text, without_digits(said) if _has_digit(said) else said))
            words.at += 1
    return pairs


def _has_digit(text: str) -> bool:
    return any(c.isdigit() for c in text)


def _fixed(words: Words) -> list[str] | None:
    word = words[0]
    if word.low in ALWAYS:
        return [word.said(ALWAYS[word.low])]
    if word.core in _EMERGENCY:
        return [word.said(one_by_one(word.core))]
    if word.low in BEFORE_NUMBERS and words[1].core.lstrip("#")[:1].isdigit() and word.trail in ("", "."):
        return [word.said(BEFORE_NUMBERS[word.low], dotted=True)]
    meant = word.trail.startswith(".") or word.low in UNDOTTED
    if not meant or word.low not in DOTTED or (word.low in CAPITALISED and not word.is_capitalised):
        return None
    said = DOTTED[word.low]
    return [word.said(said if word.is_capitalised else said.lower(), dotted=True)]


def _phone(words: Words) -> list[str] | None:
    for count in range(_PHONE_WORDS, 0, -1):
        window = [words[n] for n in range(count)]
        if any(word.trail not in ("", ")") for word in window[:-1]):
            continue
        if _PHONE.fullmatch(" ".join(word.core for word in window)):
            return [_phone_part(word, last=n == count - 1) for n, word in enumerate(window)]
    return None


def _phone_part(word: Word, *, last: bool) -> str:
    groups = re.findall(r"\d+|[A-Za-z]+", word.core)
    said = ", ".join(_phone_group(group) for group in groups)
    plus = "plus " if word.core.startswith("+") else ""
    return f"{plus}{said}{word.trail if last else ','}"


def _phone_group(group: str) -> str:
    if group.isalpha():
        return group.lower()
    return "eight hundred" if group == "800" else one_by_one(group)


def _date(words: Words) -> list[str] | None:
    word, after = words[0], words[1]
    month = MONTHS.get(word.core)
    day = _DAY.fullmatch(after.core)
    if month and word.trail in ("", ".") and day and 1 <= int(day[1]) <= 31:
        said = [word.said(month, dotted=True), after.said(ordinal(day[1]))]
        if after.trail in ("", ",") and _YEAR.fullmatch(words[2].core):
            said.append(words[2].said(year(words[2].core)))
        return said
    if month and word.trail in ("", ".") and _YEAR.fullmatch(after.core):
        return [word.said(month, dotted=True), after.said(year(after.core))]
    number = re.fullmatch(r"\d{1,2}", word.core)
    if number and not word.trail and after.core in MONTHS and 1 <= int(word.core) <= 31:
        the = "" if words[-1].low == "the" else "the "
        return [
            word.said(f"{the}{ordinal(word.core)} of"),
            after.said(MONTHS[after.core], dotted=after.core not in MONTH_NAMES),
        ]
    if _YEAR.fullmatch(word.core) and words[-1].low in _BEFORE_YEARS and not words[-1].trail:
        return [word.said(year(word.core))]
    return None


def _slash(words: Words) -> list[str] | None:
    """3/4 is a part of something, a day, or so many out of so many."""
    word = words[0]
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", word.core)
    if not match:
        return None
    day = date(*match.groups()) if len(match[2]) < 3 and len(match[1]) < 3 else None
    if day and (words[-1].low in _BEFORE_DATES or int(match[2]) > 12 and word.core not in FRACTIONS):
        return [word.said(day)]
    return [word.said(FRACTIONS.get(word.core) or f"{cardinal(match[1])} out of {cardinal(match[2])}")]


def _money(words: Words) -> list[str] | None:
    """An amount with its scale behind it, or as part of a name: "$4.5 million", "a $500 deposit"."""
    word, after = words[0], words[1]
    match = re.fullmatch(rf"([{''.join(CURRENCIES)}])({NUMBER})", word.core)
    if not match or word.trail:
        return None
    if after.low in SCALE_WORDS:
        return [word.said(cardinal(match[2])), after.said(f"{after.low} {CURRENCIES[match[1]][1]}")]
    named = after.core.isalpha() and after.core.islower() and after.low not in _AFTER_AMOUNTS
    if words[-1].low in ("a", "an") and not words[-1].trail and named:
        return [word.said(amount(match[2], match[1], attributive=True))]
    return None


def _time(words: Words) -> list[str] | None:
    word, after = words[0], words[1]
    half = meridiem(after.core)
    if word.trail or half is None or not re.fullmatch(r"\d{1,2}(?::[0-5]\d)?", word.core):
        return None
    said = read_shape(word.core) or word.core
    return [word.said(said.removesuffix(" o'clock")), after.said(half, dotted="." in after.core)]


def _measure(words: Words) -> list[str] | None:
    word, after = words[0], words[1]
    if word.trail or after.low not in ALONE_UNMISTAKABLE or not re.fullmatch(NUMBER, word.core):
        return None
    said = unit(word.core, after.low)
    return [word.said(cardinal(word.core)), after.said(said, dotted=True)]


def _labelled(words: Words) -> list[str] | None:
    """Numbers of rooms in pairs, those of accounts digit by digit."""
    word = words[0]
    number = word.core.removeprefix("#")
    if not number.isdecimal() and not re.fullmatch(r"\d+[A-Za-z]|[A-Za-z]-?\d+", number):
        return None
    label = next(
        (words[-n].low for n in (1, 2, 3) if words[-n].low not in ("number", "no", "is", "#", "")), ""
    )
    if label in SAID_ONE_BY_ONE:
        return [word.said(one_by_one(number) if number.isdecimal() else read_code(number))]
    if words[-1].low in SAID_IN_PAIRS and not words[-1].trail.strip("."):
        return [word.said(_in_pairs_or_code(number))]
    return None


def _in_pairs_or_code(number: str) -> str:
    if number.isdecimal():
        return in_pairs(number)
    runs = re.findall(r"\d+|[A-Za-z]", number)
    return " ".join(in_pairs(run) if run.isdecimal() else run.upper() for run in runs)


_RULES: Final[tuple[Callable[[Words], list[str] | None], ...]] = (
    _fixed,
    _phone,
    address,
    street_or_title,
    state,
    _date,
    _slash,
    _money,
    _time,
    _measure,
    _labelled,
)
