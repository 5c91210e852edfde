"""English numbers as they are said in the United States: without "and", hyphens or commas."""

import re
import unicodedata
from typing import Final

from num2words import num2words  # type: ignore[import-untyped]

NUMBER: Final = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)"
"""A number as it is written: 7, 4,500, 3.5, .5."""

_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MOST_DIGITS: Final = 15


def cardinal(number: str) -> str:
    """Reads "4,500" as four thousand five hundred, "3.50" as three point five zero, "007" digit by digit."""
    whole, point, decimals = number.replace(",", "").partition(".")
    if point:
        return f"{cardinal(whole or '0')} point {one_by_one(decimals)}"
    if len(whole) > _MOST_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        return one_by_one(whole)
    return _plain(num2words(int(whole)))


def ordinal(number: str) -> str:
    """Reads "21" as twenty first."""
    digits = number.replace(",", "")[:_MOST_DIGITS]
    return _plain(num2words(int(digits), to="ordinal"))


def year(digits: str) -> str:
    """Reads "1905" as nineteen oh five, "2026" as twenty twenty six."""
    return _plain(num2words(int(digits), to="year"))


def one_by_one(digits: str) -> str:
    """Reads "4807" as four eight zero seven. Whatever is no digit is left out."""
    return " ".join(_DIGITS[unicodedata.digit(c)] for c in digits if c.isdigit())


def in_pairs(digits: str) -> str:
    """As the numbers of houses, rooms and flights are said: "1420" is fourteen twenty, "204" two oh four."""
    if len(digits) <= 2 or digits.startswith("0"):
        return cardinal(digits)
    if len(digits) > 4:
        return one_by_one(digits)
    hundreds, rest = digits[:-2], digits[-2:]
    if rest == "00":
        return cardinal(digits) if hundreds.endswith("0") else f"{cardinal(hundreds)} hundred"
    return f"{cardinal(hundreds)} {_after_hours(rest)}"


def clock(hour: str, minute: str) -> str:
    """Reads ("10", "05") as ten oh five, ("10", "00") as ten o'clock, ("15", "00") fifteen hundred."""
    said = cardinal(str(int(hour)))
    if int(minute):
        return f"{said} {_after_hours(minute)}"
    return f"{said} o'clock" if 1 <= int(hour) <= 12 else f"{said} hundred"


def without_digits(text: str) -> str:
    """The same text with a word for each digit of whatever script."""
    return re.sub(r"\s+", " ", "".join(f" {one_by_one(c)} " if c.isdigit() else c for c in text)).strip()


def _after_hours(two_digits: str) -> str:
    return f"oh {cardinal(two_digits[1])}" if two_digits.startswith("0") else cardinal(two_digits)


def _plain(words: str) -> str:
    return re.sub(r",| and\b", "", words).replace("-", " ")
