"""Amounts, days, times, ages and counts as values that can be compared and written one way."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.entities.lexicon import (
    COUNTED,
    CURRENCY_SIGNS,
    MONEY_NAMES,
    MONTH_NAMES,
    PEOPLE,
    WEEKDAY_NAMES,
)
from agent.entities.tokens import Token

_RELATIVE: Final = frozenset({"today", "tomorrow", "tonight", "yesterday"})
_PERIODS: Final = frozenset({"day", "week", "weekend", "month", "year"})
_DAYS_OF_MONTH: Final = range(1, 32)
_YEARS: Final = range(1900, 2100)
_SINGULAR: Final = {"people": "person", "children": "child", "men": "man", "women": "woman"}
_PAST_OR_TO: Final = frozenset({"past", "after", "to", "till", "of"})
_GRAND: Final = 1000


@dataclass(frozen=True, slots=True)
class Money:
    """An amount; `bare` if no unit was said, so that "four fifty" may mean 450 or 450,000 dollars."""

    amount: float
    bare: bool = False

    def __str__(self) -> str:
        digits = f"{self.amount:,.2f}".removesuffix(".00")
        return digits.replace(",", "") if self.bare else f"${digits}"


@dataclass(frozen=True, slots=True)
class Day:
    """A day as it was said, empty where nothing was; `relative` is "tomorrow", "next week", "in 2 weeks"."""

    weekday: str = ""
    month: str = ""
    day: int = 0
    year: int = 0
    relative: str = ""

    def __str__(self) -> str:
        day = str(self.day) if self.month else ordinal(self.day)
        parts = (self.relative, self.weekday, self.month, day if self.day else "", str(self.year or ""))
        return " ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day; `half` is "am", "pm" or, if it was left out, empty. Or minutes ago."""

    hour: int = 0
    minute: int = 0
    half: str = ""
    minutes_ago: int = 0

    def __str__(self) -> str:
        if self.minutes_ago:
            return f"{self.minutes_ago} minutes ago"
        return f"{self.hour}:{self.minute:02} {self.half}".strip()


@dataclass(frozen=True, slots=True)
class Count:
    """A number of something: of years or months in an age, of people, of rooms; `of` may be empty."""

    number: float
    of: str = ""

    def __str__(self) -> str:
        of = _SINGULAR.get(self.of, self.of.removesuffix("s")) if self.number == 1 else self.of
        return f"{self.number:g} {of}".strip()


def ordinal(number: int) -> str:
    """Writes 15 as 15th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def read_money(tokens: Sequence[Token]) -> list[Money]:
    """Returns every amount in order; of "one million and a half" the whole."""
    found: list[Money] = []
    forms = [token.form for token in tokens]
    for at, token in enumerate(tokens):
        number = _float(token) if token.kind in ("NUM", "SUM") else None
        if number is None:
            continue
        follows = forms[at + 1 : at + 2]
        before = forms[max(0, at - 4) : at]
        if number >= _GRAND and token.raw.lower() in ("thousand", "million", "billion"):
            number *= _part_before(before)
        if forms[at + 1 : at + 4] == ["and", "a", "half"] and number >= _GRAND:
            number += 10.0 ** (len(str(int(number))) - 1) / 2
        if follows == ["grand"]:
            number *= _GRAND
        named = token.kind == "SUM" or before[-1:] and before[-1] in CURRENCY_SIGNS
        named = named or bool(follows) and follows[0] in (*MONEY_NAMES, "grand") or number >= _GRAND
        if found and found[-1].bare and not named and tokens[at - 1].kind == "NUM" and number < 100:
            found[-1] = Money(found[-1].amount * 100 + number, bare=True)
        else:
            found.append(Money(number, not named))
    return found


def _part_before(before: Sequence[str]) -> float:
    if "half" in before:
        return 0.5
    return 0.25 if "quarter" in before else 1.0


def read_day(tokens: Sequence[Token]) -> Day:
    """Reads one day, in whatever order its parts come."""
    weekday = month = relative = ""
    day = year = 0
    forms = [token.form for token in tokens]
    for at, token in enumerate(tokens):
        form = token.form
        if token.kind == "DAY":
            year, month, day = _written(form)
        elif form in WEEKDAY_NAMES:
            weekday = WEEKDAY_NAMES[form]
            if forms[at - 1 : at] == ["next"]:
                relative = "next"
        elif form in MONTH_NAMES:
            month = MONTH_NAMES[form]
        elif token.kind == "ORD" and _int(token) in _DAYS_OF_MONTH:
            day = _int(token)
        elif token.kind == "NUM" and _int(token) in _YEARS:
            year = _int(token)
        elif token.kind == "NUM" and forms[at + 1 : at + 2] and forms[at + 1].rstrip("s") in _PERIODS:
            relative = f"in {form} {forms[at + 1].rstrip('s')}{'' if form == '1' else 's'}"
        elif token.kind == "NUM" and month and not day and _int(token) in _DAYS_OF_MONTH:
            day = _int(token)
        elif form in _RELATIVE:
            relative = "day after tomorrow" if forms[max(0, at - 2) : at] == ["day", "after"] else form
        elif form in _PERIODS and forms[at - 1 : at] and forms[at - 1] in ("next", "this", "last"):
            relative = f"{forms[at - 1]} {form}"
        elif form in _PERIODS and "end" in forms[:at]:
            relative = f"end of the {form}"
    if not month and not day:
        day = next((_int(token) for token in tokens if token.kind == "NUM" and _bare_day(tokens, token)), 0)
    return Day(weekday, month, day, year, relative)


def _bare_day(tokens: Sequence[Token], token: Token) -> bool:
    return len(tokens) == 1 and _int(token) in _DAYS_OF_MONTH


def _written(form: str) -> tuple[int, str, int]:
    numbers = [int(part) for part in re.split(r"[-/]", form)]
    if "-" in form:
        year, month, day = numbers
    else:
        month, day, year = (*numbers, 0)[:3]
    names = list(dict.fromkeys(MONTH_NAMES.values()))
    year += 2000 if 0 < year < 100 else 0
    return year, names[month - 1] if 1 <= month <= 12 else "", day if day in _DAYS_OF_MONTH else 0


def read_time(tokens: Sequence[Token]) -> Clock | None:
    """Reads one time of day: 10:30, half past three, quarter to five, three in the afternoon, noon."""
    forms = [token.form for token in tokens]
    half = _half(forms)
    if "noon" in forms or "midday" in forms:
        return Clock(12, 0, "pm")
    if "midnight" in forms:
        return Clock(12, 0, "am")
    clock = next((token for token in tokens if token.kind == "CLOCK"), None)
    if clock is not None:
        hours, _, past = clock.form.partition(":")
        return _clock(int(hours), int(past), half)
    numbers = [_int(token) for token in tokens if token.kind == "NUM"]
    if not numbers:
        return None
    if forms[-1:] == ["ago"]:
        return Clock(minutes_ago=numbers[0] * (60 if "hour" in forms or "hours" in forms else 1))
    for at, form in enumerate(forms[1:-1], 1):
        minutes = _minutes(tokens[at - 1], tokens[:at])
        hour = _int(tokens[at + 1])
        if form in _PAST_OR_TO and minutes and tokens[at + 1].kind == "NUM":
            to = form in ("to", "till", "of")
            return _clock(hour - 1 or 12, 60 - minutes, half) if to else _clock(hour, minutes, half)
    return _clock(numbers[0], numbers[1] if len(numbers) > 1 else 0, half)


def _minutes(token: Token, before: Sequence[Token]) -> int:
    """How many minutes past or to the hour it stands for, 0 if for none."""
    if token.form in ("minute", "minutes") and len(before) > 1:
        token = before[-2]
    named = {"half": 30, "quarter": 15}.get(token.form, 0)
    return _int(token) if token.kind == "NUM" and 0 < _int(token) < 60 else named


def _half(forms: Sequence[str]) -> str:
    if "am" in forms or "morning" in forms:
        return "am"
    return "pm" if {"pm", "afternoon", "evening", "tonight", "night"} & set(forms) else ""


def _clock(hour: int, minute: int, half: str) -> Clock | None:
    if hour > 24 or minute > 59:
        return None
    if hour > 12 or hour == 0:
        half = half or ("pm" if 12 < hour < 24 else "am")
        hour = hour % 12 or 12
    return Clock(hour, minute, half)


def read_age(tokens: Sequence[Token]) -> Count | None:
    """Reads an age: 47 of years, 6 months."""
    forms = [token.form for token in tokens]
    number = next((_float(token) for token in tokens if token.kind == "NUM"), None)
    if number is None:
        return None
    unit = next(
        (form.rstrip("s") + "s" for form in forms if form.rstrip("s") in ("month", "week", "day")), ""
    )
    return Count(number, unit)


def read_count(tokens: Sequence[Token]) -> Count | None:
    """Reads a number of people, or of rooms or animals; "nobody" is none."""
    forms = [token.form for token in tokens]
    of = next(
        (COUNTED.get(form) or PEOPLE.get(form) for form in forms if form in COUNTED or form in PEOPLE), ""
    )
    number = next((_float(token) for token in tokens if token.kind == "NUM"), None)
    if number is None and {"nobody", "none"} & set(forms):
        return Count(0.0, "people")
    return Count(number, of or "") if number is not None else None


def _float(token: Token) -> float | None:
    return float(token.form) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,2})?", token.form) else None


def _int(token: Token) -> int:
    digits = re.match(r"[0-9]{1,9}", token.form)
    return int(digits[0]) if digits else -1
