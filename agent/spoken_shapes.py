"""How a single written word is said that is more than letters: by its shape alone."""

import re
from collections.abc import Callable
from typing import Final

from agent.spoken_numbers import NUMBER, cardinal, clock, in_pairs, one_by_one, ordinal, without_digits, year
from agent.spoken_tables import (
    CURRENCIES,
    FRACTIONS,
    IN_ADDRESSES,
    MONTH_NAMES,
    PERIODS,
    PLURALS,
    READ_AS_WORDS,
    SCALES,
    SPELLED,
    SYMBOLS,
    UNITS,
    WEEKDAYS,
)

_MONEY: Final = re.compile(
    rf"(-)?(?:US|CA|A|C)?([{''.join(CURRENCIES)}])({NUMBER})(k|m|mm|b|bn)?(\+)?(?:/([a-z]+))?", re.IGNORECASE
)
_SIGNS: Final = {
    "-": "minus",
    "−": "minus",
    "+": "plus",
    "~": "about",
    "≈": "about",
    "±": "plus or minus",
    "<": "less than",
    ">": "more than",
    "≤": "at most",
    "≥": "at least",
    "#": "number",
}
_SIGN: Final = f"[{re.escape(''.join(_SIGNS))}]"
_MERIDIEM: Final = re.compile(r"([ap])\.?m\.?", re.IGNORECASE)
_RANGE: Final = re.compile(r"([$€£]?[\d.,:/]*\d(?:[ap]m|[km%])?)[-–—]([$€£]?\d.*)", re.IGNORECASE)
_INTERNET: Final = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+%-]+@[\w-]+(?:\.[\w-]+)+|(?:[a-z][a-z\d-]*\.)+(?:com|org|net|gov|edu|io|info)(?:/\S*)?",
    re.IGNORECASE,
)
_SPELLED_DOMAINS: Final = frozenset(("edu", "io", "uk", "us", "www"))
_RUNS: Final = re.compile(r"[^\W\d_]+|\d+|[^\w]|_")
_UNIT: Final = "|".join(
    f"(?i:{re.escape(name)})" if len(name) > 1 else name for name in sorted(UNITS, key=len, reverse=True)
)
_VOWELS: Final = frozenset("AEIOUYaeiouy")
_LONGEST_RANGE: Final = 40


def read_shape(core: str) -> str | None:
    """What is said for `core`, a word without the punctuation around it; None if it is said as written."""
    for shape, say in _SHAPES:
        if match := shape.fullmatch(core):
            return say(match)
    if core in FRACTIONS:
        return FRACTIONS[core]
    if any(c.isdigit() for c in core):
        return _range(core) or _compound(core) or read_code(core)
    return _initials(core)


def read_code(core: str) -> str:
    """Letters and digits run by run: short runs as numbers and letters, long ones digit by digit."""
    return " ".join(said for run in _RUNS.findall(core) if (said := _run(run)))


def meridiem(core: str) -> str | None:
    """Reads "p.m." as P-M; None if it is no such thing."""
    match = _MERIDIEM.fullmatch(core)
    return f"{match[1].upper()}-M" if match else None


def spelled(core: str) -> str | None:
    """Spells "CRM" as C-R-M, "APIs" as A-P-I's; None for what is read as a word, or shouted."""
    match = re.fullmatch(r"([A-Z]{2,6})(['’]?s)?", core)
    if not match or match[1] in READ_AS_WORDS or not (match[1] in SPELLED or _VOWELS.isdisjoint(match[1])):
        return None
    return "-".join(match[1]) + ("'s" if match[2] else "")


def amount(number: str, currency: str, *, scale: str = "", attributive: bool = False) -> str:
    """Reads ("4.50", "$") as four dollars and fifty cents; `attributive`: as in "a five dollar note"."""
    one, many, cent, cents = CURRENCIES[currency]
    whole, _, decimals = number.partition(".")
    unit = one if attributive or (number in ("1", "1.00") and not scale) else many
    if scale:
        return f"{cardinal(number)} {scale} {unit}"
    if len(decimals) != 2:
        return f"{cardinal(number)} {unit}"
    parts = [f"{cardinal(whole)} {unit if whole != '1' else one}"] if whole.strip("0,") else []
    if int(decimals):
        parts.append(f"{cardinal(str(int(decimals)))} {cent if int(decimals) == 1 else cents}")
    return " and ".join(parts) or f"zero {many}"


def unit(number: str, name: str) -> str:
    """Names ("1", "mg") milligram, ("5", "mg") milligrams."""
    said = UNITS[name.lower()]
    if number == "1":
        return said
    head, space, tail = said.partition(" ")
    return PLURALS.get(said) or f"{head}s{space}{tail}"


def _money(match: re.Match[str]) -> str:
    minus, currency, number, scale, plus, period = match.groups()
    said = amount(number, currency, scale=SCALES.get((scale or "").lower(), ""))
    per = f"per {PERIODS.get(period.lower(), period)}" if period else ""
    return " ".join(filter(None, ("minus" if minus else "", said, "plus" if plus else "", per)))


def _number(match: re.Match[str]) -> str:
    sign, number, plus = match.groups()
    said = in_context_free(number) if not sign else cardinal(number)
    if sign == "#" and number.isdigit() and len(number) > 3:
        said = one_by_one(number)
    return " ".join(filter(None, (_SIGNS.get(sign or ""), said, "plus" if plus else "")))


def in_context_free(number: str) -> str:
    """A number about which nothing is known: a year if it looks like one of our time."""
    if re.fullmatch(r"(?:19|20)\d\d", number):
        return year(number)
    if re.fullmatch(r"1[1-8]00", number):
        return in_pairs(number)
    if number.isdigit() and len(number) > 6 and not number.endswith("000"):
        return _grouped(number)
    return cardinal(number)


def _percent(match: re.Match[str]) -> str:
    return " ".join(filter(None, (_SIGNS.get(match[1] or ""), cardinal(match[2]), "percent")))


def _time(match: re.Match[str]) -> str:
    half = meridiem(match[4]) if match[4] else None
    if match[3]:
        return " ".join(cardinal(str(int(part))) for part in match.group(1, 2, 3))
    said = clock(match[1], match[2])
    bare = said.removesuffix(" o'clock")
    return f"{bare} {half}" if half else said


def _decade(match: re.Match[str]) -> str:
    century = f"{cardinal(match[1])} " if match[1] else ""
    tens = cardinal(match[2]) if match[2] != "00" else "hundred"
    return century + (f"{tens[:-1]}ies" if tens.endswith("y") else f"{tens}s")


def date(month: str, day: str, of_year: str | None = None) -> str | None:
    """Reads ("3", "14", "2026") as March fourteenth twenty twenty six; None if there is no such day."""
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    said = f"{MONTH_NAMES[int(month) - 1]} {ordinal(day)}"
    if of_year is None:
        return said
    return f"{said} {year(of_year if len(of_year) == 4 else f'20{of_year}')}"


def _us_date(match: re.Match[str]) -> str:
    return date(match[1], match[2], match[3]) or read_code(match[0])


def _iso_date(match: re.Match[str]) -> str:
    return date(match[2], match[3], match[1]) or read_code(match[0])


def _dotted(match: re.Match[str]) -> str:
    parts = match[2].split(".")
    between = " dot " if len(parts) == 4 and not match[1] else " point "
    return ("version " if match[1] else "") + between.join(one_by_one(part) for part in parts)


def _grouped(digits: str) -> str:
    """Long numbers in groups of three and four, with a pause behind each."""
    sizes = {7: (3, 4), 10: (3, 3, 4), 11: (1, 3, 3, 4)}.get(len(digits), (3,) * (len(digits) // 3 + 1))
    groups, at = [], 0
    for size in sizes:
        groups.append(one_by_one(digits[at : at + size]))
        at += size
    return ", ".join(filter(None, groups))


def _internet(match: re.Match[str]) -> str:
    address = re.sub(r"^https?://", "", match[0], flags=re.IGNORECASE)
    runs = re.findall(r"[^\W\d_]+|\d|[^\w]|_", address)
    said = (IN_ADDRESSES.get(r) or (one_by_one(r) if r.isdigit() else _in_domain(r)) for r in runs)
    return " ".join(" ".join(said).split())


def _in_domain(run: str) -> str:
    return "-".join(run.upper()) if run.lower() in _SPELLED_DOMAINS else run


def _range(core: str) -> str | None:
    match = _RANGE.fullmatch(core) if len(core) <= _LONGEST_RANGE else None
    if not match:
        return None
    first, last = match.groups()
    if first[0] in CURRENCIES:
        last = last if last[0] in CURRENCIES else first[0] + last
        first = first[1:]
    left, right = _of_range(first), _of_range(last)
    return f"{left} to {right}" if left and right else None


def _of_range(part: str) -> str | None:
    """One end of a range, unless it is neither a number nor something like it."""
    for shape, say in _SHAPES:
        if (match := shape.fullmatch(part)) and say not in (_internet, _dotted):
            said = say(match)
            return said.removesuffix(" o'clock")
    return FRACTIONS.get(part)


def _compound(core: str) -> str | None:
    """Reads "3-year-old" as three year old."""
    parts = re.split("[-–—]", core)
    if len(parts) < 2 or not all(parts) or not any(part.isalpha() and len(part) > 1 for part in parts):
        return None
    return " ".join(read_shape(part) or part for part in parts)


def _initials(core: str) -> str | None:
    if re.fullmatch(r"[A-Za-z]{1,2}(?:\.[A-Za-z])+", core):
        return "-".join(core.replace(".", "").upper())
    if re.fullmatch(r"[A-Z]{1,2}&[A-Z]", core):
        return f"{'-'.join(core[:-2])} and {core[-1]}"
    first, dash, last = core.replace("–", "-").partition("-")
    if dash and first.lower() in WEEKDAYS and last.lower() in WEEKDAYS:
        return f"{WEEKDAYS[first.lower()]} to {WEEKDAYS[last.lower()]}"
    return spelled(core)


def _run(run: str) -> str:
    if run.isdecimal():
        return one_by_one(run) if len(run) > 2 or run.startswith("0") else cardinal(run)
    if run.isalpha():
        short = len(run) <= 3 and (run.isupper() or _VOWELS.isdisjoint(run))
        return "-".join(run.upper()) if short or run in SPELLED else run
    if run in FRACTIONS:
        return f"and {FRACTIONS[run]}"
    return SYMBOLS.get(run, "").strip() or without_digits("".join(c for c in run if c.isalnum()))


_SHAPES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (_INTERNET, _internet),
    (_MONEY, _money),
    (re.compile(rf"(\d{{1,2}}|{NUMBER})¢"), lambda match: f"{cardinal(match[1])} cents"),
    (re.compile(rf"({_SIGN})?({NUMBER})%"), _percent),
    (re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?([ap]\.?m\.?)?", re.IGNORECASE), _time),
    (
        re.compile(r"(\d{1,2})([ap]\.?m\.?)", re.IGNORECASE),
        lambda match: f"{cardinal(str(int(match[1])))} {meridiem(match[2])}",
    ),
    (re.compile(r"(\d[\d,]*)(?:st|nd|rd|th)", re.IGNORECASE), lambda match: ordinal(match[1])),
    (re.compile(r"['’]?(\d\d)?(\d0)['’]?s"), _decade),
    (re.compile(r"(\d{4})-(\d\d)-(\d\d)"), _iso_date),
    (re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d\d)"), _us_date),
    (re.compile(r"(\d)['’](\d{1,2})"), lambda match: f"{cardinal(match[1])} foot {cardinal(match[2])}"),
    (re.compile(r"(\d+)x(\d+)"), lambda match: f"{cardinal(match[1])} by {cardinal(match[2])}"),
    (re.compile(r"(\d+):(\d+)"), lambda match: f"{cardinal(match[1])} to {cardinal(match[2])}"),
    (
        re.compile(rf"({NUMBER})({_UNIT})"),
        lambda match: f"{cardinal(match[1])} {unit(match[1], match[2])}",
    ),
    (
        re.compile(rf"({NUMBER})(k|bn|M)"),
        lambda match: f"{cardinal(match[1])} {SCALES[match[2].lower()]}",
    ),
    (re.compile(r"(v)?(\d+(?:\.\d+){2,})"), _dotted),
    (re.compile(rf"(v)({NUMBER})"), _dotted),
    (
        re.compile(r"\d+(?:[-–—.]\d+){2,}|\d{5}-\d{4}"),
        lambda match: ", ".join(map(one_by_one, re.findall(r"\d+", match[0]))),
    ),
    (re.compile(rf"({_SIGN})?({NUMBER})(\+)?"), _number),
)
