"""Rules for amounts of money, days and times, and for vehicles."""

from typing import Final

from agent.entities.lexicon import (
    COLOURS,
    CURRENCY_SIGNS,
    DAYPARTS,
    MAKES,
    MAKES_ALONE,
    MODELS,
    MONEY_CONTEXT,
    MONEY_NAMES,
    MONTH_NAMES,
    NATO,
    VEHICLES,
    WEEKDAY_NAMES,
)
from agent.entities.pattern import (
    COMMA,
    GUESS,
    LIKELY,
    NUM,
    ORD,
    POSSIBLE,
    SURE,
    Element,
    Found,
    Rule,
    among,
    of_class,
    one,
)
from agent.entities.tokens import Token
from agent.entities.values import read_day, read_money, read_time

_BARE_MONEY_AT_LEAST: Final = 100
_NAMED_MONEY_AT_LEAST: Final = 1000
_MINUTES_SAID_ALONE: Final = frozenset({"15", "30", "45"})
_HOURS: Final = frozenset(map(str, range(1, 13)))
_PLATE_CHARACTERS: Final = range(4, 9)


def _money(found: Found) -> str | None:
    amounts = read_money(found.part)
    return str(amounts[-1]) if amounts else None


def _bare_money(found: Found) -> str | None:
    """ "Four fifty", "two hundred thousand": an amount only if the words around it speak of money."""
    return _round_money(found) if found.near(MONEY_CONTEXT) and found.before() != ["#"] else None


def _round_money(found: Found) -> str | None:
    amounts = read_money(found.part)
    if len(amounts) != 1 or not found.ends_phrase:
        return None
    amount = amounts[0]
    round_enough = amount.amount % 10 == 0 and amount.amount >= _BARE_MONEY_AT_LEAST
    return str(amount) if round_enough else None


def _large_half(found: Found) -> str | None:
    """ "A million and a half"."""
    amounts = read_money(found.part)
    return str(amounts[0]) if amounts and amounts[0].amount >= _NAMED_MONEY_AT_LEAST else None


def _large_money(found: Found) -> str | None:
    """Thousands with nothing counted behind them."""
    amounts = read_money(found.part)
    if len(amounts) != 1 or not found.ends_phrase or amounts[0].amount < _NAMED_MONEY_AT_LEAST:
        return None
    word = found.part[-1].raw.lower().split()[-1]
    named = word in ("thousand", "million", "hundred") or "," in word
    return str(amounts[0]) if named and amounts[0].amount % 100 == 0 else None


def _day(found: Found) -> str | None:
    day = read_day(found.part)
    said = day.weekday or day.relative or (day.month and day.day) or day.day
    return str(day) if said else None


def _month(found: Found) -> str | None:
    return str(read_day(found.part)) if found.ends_phrase else None


def _month_and_day(found: Found) -> str | None:
    day = read_day(found.part)
    return str(day) if day.day else None


def _ordinal_day(found: Found) -> str | None:
    """ "By the fifteenth", unless it is the fifteenth of something else."""
    return _day(found) if found.ends_phrase else None


def _lone_ordinal_day(found: Found) -> str | None:
    return _day(found) if found.is_sentence else None


def _written_day(found: Found) -> str | None:
    day = read_day(found.part)
    certain = (
        day.year or found.before() in (["on"], ["by"], ["before"], ["until"]) or "0" in found.forms[0][:1]
    )
    return str(day) if day.month and day.day and certain else None


def _time(found: Found) -> str | None:
    clock = read_time(found.part)
    return str(clock) if clock else None


def _hour(found: Found) -> str | None:
    """An hour that only a preposition tells, and no noun follows."""
    numbers = [token.form for token in found.part if token.kind == "NUM"]
    is_hour = numbers[0].isdecimal() and 1 <= int(numbers[0]) <= 12 and not numbers[0].startswith("0")
    is_minute = len(numbers) == 1 or (
        len(numbers[1]) == 2 and numbers[1].isdecimal() and int(numbers[1]) < 60
    )
    of_something = found.next is not None and found.next.form == "of"
    return _time(found) if is_hour and is_minute and found.ends_phrase and not of_something else None


def _hour_to(found: Found) -> str | None:
    """ "Ten to five", not "ten to twenty people"."""
    return _time(found) if found.ends_phrase and found.part[-1].form in _HOURS else None


def _lone_time(found: Found) -> str | None:
    alone = found.is_sentence and found.forms[-1] in _MINUTES_SAID_ALONE
    return _hour(found) if alone else None


def _vehicle(found: Found) -> str | None:
    return " ".join(found.forms)


def _plate(found: Found) -> str | None:
    plate = "".join(form[0] if form in NATO else form for form in found.forms).upper()
    if not all(_is_on_plate(token, first=at == 0) for at, token in enumerate(found.part)):
        return None
    told = any(each.isdigit() for each in plate) and len(plate) in _PLATE_CHARACTERS
    return f"plate {plate}" if told and plate.isalnum() else None


def _is_on_plate(token: Token, *, first: bool) -> bool:
    """A letter, a digit, a word of the spelling alphabet, or letters that were written together."""
    together = first and token.kind == "WORD" and len(token.form) in (2, 3)
    return token.kind == "NUM" or len(token.form) == 1 or token.form in NATO or together


_WEEKDAY: Final = among(WEEKDAY_NAMES)
_MONTH: Final = among(MONTH_NAMES)
_PART: Final = among(DAYPARTS, op="?")
_THE: Final = one("the", op="?")
_YEAR: Final[tuple[Element, ...]] = (COMMA, NUM)
_HALF: Final[tuple[tuple[Element, ...], ...]] = (
    (one("am", "pm"),),
    (one("in"), one("the"), one("morning", "afternoon", "evening")),
    (one("at"), one("night")),
    (one("this"), one("morning", "afternoon", "evening")),
    (one("tonight"),),
)
_MILLION: Final = one("1000000")
_DOLLARS: Final = among(MONEY_NAMES)
_OCLOCK: Final = one("o'clock", "oclock")
_SHADE: Final = one("dark", "light", "bright", op="?")
_MODEL: Final = among(MODELS, op="?")
_CHARACTERS: Final[Element] = {"TAG": {"IN": ["LETTER", "NUM", "STOP", "WORD"]}, "OP": "{1,8}"}

MONEY: Final[tuple[Rule, ...]] = (
    Rule("money", SURE, (among(CURRENCY_SIGNS), of_class("NUM", "SUM")), _money),
    Rule("money", SURE, (of_class("NUM", "SUM"), among(MONEY_NAMES)), _money),
    Rule("money", SURE, (NUM, one("grand")), _money),
    Rule("money", LIKELY, (of_class("SUM"),), _money),
    Rule("money", LIKELY, (one("half", "quarter"), one("of", op="?"), one("a", op="?"), _MILLION), _money),
    Rule(
        "money",
        SURE,
        (one("half", "quarter"), one("of", op="?"), one("a", op="?"), _MILLION, _DOLLARS),
        _money,
    ),
    Rule("money", LIKELY, (NUM, one("and"), one("a"), one("half"), among(MONEY_NAMES, op="?")), _large_half),
    Rule("money", POSSIBLE, (NUM, NUM), _bare_money),
    Rule("money", LIKELY, (NUM,), _bare_money),
    Rule("money", POSSIBLE, (NUM,), _large_money),
    Rule("money", GUESS, (one("under", "over", "below", "above", "between"), NUM), _round_money, 1),
    Rule("money", GUESS, (one("under", "over", "below", "above"), NUM, NUM), _round_money, 1),
)

DAYS: Final[tuple[Rule, ...]] = (
    Rule("date", SURE, (one("next", "this", "last", "coming", op="?"), _WEEKDAY, _PART), _day),
    Rule("date", SURE, (_WEEKDAY, COMMA, _THE, ORD), _day),
    Rule("date", SURE, (_WEEKDAY, COMMA, _MONTH, _THE, of_class("NUM", "ORD")), _day),
    Rule("date", SURE, (_MONTH, _THE, ORD), _day),
    Rule("date", SURE, (_MONTH, _THE, ORD, *_YEAR), _day),
    Rule("date", LIKELY, (_MONTH, NUM), _month_and_day),
    Rule("date", SURE, (_MONTH, NUM, *_YEAR), _month_and_day),
    Rule("date", SURE, (_THE, ORD, one("of"), _MONTH), _day),
    Rule(
        "date", LIKELY, (one("in", "by", "before", "until", "of", "since", "this", "next"), _MONTH), _month, 1
    ),
    Rule(
        "date",
        LIKELY,
        (one("by", "on", "before", "until", "till", "after", "from", "since", "for"), one("the"), ORD),
        _ordinal_day,
        2,
    ),
    Rule("date", GUESS, (one("the"), ORD), _lone_ordinal_day),
    Rule("date", SURE, (one("the", op="?"), one("day"), one("after"), one("tomorrow"), _PART), _day),
    Rule("date", SURE, (one("tomorrow", "yesterday"), _PART), _day),
    Rule("date", LIKELY, (one("tonight"),), _day),
    Rule("date", LIKELY, (one("by", "before", "until", "since"), one("today")), _day, 1),
    Rule("date", LIKELY, (one("next", "this", "last"), one("week", "weekend", "month", "year")), _day),
    Rule("date", LIKELY, (one("end"), one("of"), one("the"), one("week", "month", "year", "day")), _day),
    Rule(
        "date",
        LIKELY,
        (one("in", "within"), NUM, one("day", "days", "week", "weeks", "month", "months")),
        _day,
    ),
    Rule("date", LIKELY, (of_class("DAY"),), _written_day),
)

TIMES: Final[tuple[Rule, ...]] = (
    Rule("time", SURE, (of_class("CLOCK"),), _time),
    *(Rule("time", SURE, (of_class("CLOCK"), *half), _time) for half in _HALF),
    *(Rule("time", SURE, (NUM, NUM, *half), _time) for half in _HALF),
    *(Rule("time", SURE, (NUM, *half), _time) for half in _HALF),
    *(Rule("time", SURE, (NUM, _OCLOCK, *half), _time) for half in ((), *_HALF)),
    *(
        Rule(
            "time",
            SURE,
            (one("half", "quarter"), one("past", "to", "after", "till", "of"), NUM, *half),
            _time,
        )
        for half in ((), *_HALF)
    ),
    Rule(
        "time",
        LIKELY,
        (one("5", "10", "20", "25"), one("minutes", op="?"), one("past", "after", "till"), NUM),
        _time,
    ),
    Rule("time", POSSIBLE, (one("5", "10", "20", "25"), one("to"), NUM), _hour_to),
    Rule("time", SURE, (one("noon", "midnight", "midday"),), _time),
    Rule("time", LIKELY, (one("at"), NUM), _hour, 1),
    Rule("time", POSSIBLE, (one("by", "until", "till", "before"), NUM), _hour, 1),
    Rule(
        "time",
        LIKELY,
        (one("at", "by", "until", "till", "before", "around", "about", "for", "say"), NUM, NUM),
        _hour,
        1,
    ),
    Rule("time", LIKELY, (_WEEKDAY, _PART, NUM, {**NUM, "OP": "?"}), _hour, 2),
    Rule("time", SURE, (NUM, one("sharp")), _time),
    Rule("time", GUESS, (NUM, NUM), _lone_time),
    Rule("time", LIKELY, (NUM, one("minute", "minutes", "hour", "hours"), one("ago")), _time),
)

VEHICLES_RULES: Final[tuple[Rule, ...]] = (
    Rule("vehicle", SURE, (_SHADE, among(COLOURS), among(MAKES, op="?"), _MODEL, among(VEHICLES)), _vehicle),
    Rule("vehicle", SURE, (_SHADE, among(COLOURS), among(MAKES), _MODEL, among(VEHICLES, op="?")), _vehicle),
    Rule("vehicle", LIKELY, (_SHADE, among(COLOURS), among(MODELS)), _vehicle),
    Rule("vehicle", SURE, (among(MAKES), among(MODELS), among(VEHICLES, op="?")), _vehicle),
    Rule("vehicle", SURE, (among(MAKES), _MODEL, among(VEHICLES)), _vehicle),
    Rule("vehicle", LIKELY, (among(MAKES_ALONE),), _vehicle),
    Rule(
        "vehicle",
        LIKELY,
        (
            one("plate", "plates"),
            one("number", op="?"),
            one("is", "was", "reads", ",", ":", op="?"),
            _CHARACTERS,
        ),
        _plate,
        3,
    ),
)
