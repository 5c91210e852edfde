"""Whether a detail as it was said agrees with what is true, give or take what a recogniser mishears."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from rapidfuzz import fuzz

from agent.entities.address import read_address, same_address
from agent.entities.contacts import contacts
from agent.entities.lexicon import (
    BODY,
    COLOURS,
    INJURIES,
    INJURY_PHRASES,
    MAKES,
    MODELS,
    TITLES,
    VEHICLES,
    WEAPON_PHRASES,
    WEAPONS,
    WITH_BODY_BEFORE,
    WITH_BODY_BEHIND,
)
from agent.entities.tokens import Token, tokens_of
from agent.entities.values import Count, Money, read_age, read_count, read_day, read_money, read_time
from agent.scenario_parts import EntityKind

MAX_CHARACTERS: Final = 2000
_LOCAL_DIGITS: Final = 7
_NAME_LIKENESS: Final = ((4, 80.0), (6, 78.0), (99, 70.0))
"""Likeness from which names of up to so many letters count as the same: longer ones are misheard more."""
_NEARLY_AN_EMAIL: Final = 85
_NEARLY: Final = 85
_FIREARMS: Final = frozenset({"gun", "handgun", "rifle", "shotgun"})
_NEGATIONS: Final = frozenset({"no", "not", "without", "never"})
_SAME_COLOUR: Final = {"grey": "gray", "golden": "gold"}
_SAME_VEHICLE: Final = {"chevy": "chevrolet", "motorbike": "motorcycle", "bike": "bicycle", "cab": "taxi"}

Verdict = bool | None


def agrees(kind: EntityKind, value_or_text: str, truth: str, also: Iterable[str] = ()) -> Verdict:
    """Tells whether what was said is the truth, in one of the ways in which it may be said (`truth`, `also`).

    `value_or_text` is a detail's value or its words; for a name it may be a whole turn. True: it is the
    truth, and all of it that matters: an apartment or an area code may be left out. False: it contradicts
    the truth. None: it is only part of it, or cannot be compared. Names may be misheard, numbers not.
    """
    said = value_or_text[:MAX_CHARACTERS]
    verdicts = [_COMPARISONS[kind](said, expected[:MAX_CHARACTERS]) for expected in (truth, *also)]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _addresses(said: str, truth: str) -> Verdict:
    return same_address(read_address(said), read_address(truth))


def _phones(said: str, truth: str) -> Verdict:
    one, other = _digits(said), _digits(truth)
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) < _LOCAL_DIGITS:
        return None
    return longer.endswith(shorter)


def _digits(text: str) -> str:
    tokens = tokens_of(text)
    found = next((contact.value for contact in contacts(tokens) if contact.kind == "phone"), "")
    digits = found or "".join(token.form for token in tokens if token.kind == "NUM")
    return "".join(character for character in digits if character in "0123456789")[-10:]


def _names(said: str, truth: str) -> Verdict:
    spoken, expected = _name_words(said), _name_words(truth)
    if not spoken or not expected:
        return None
    if fuzz.ratio("".join(spoken), "".join(expected)) >= _NEARLY:
        return True
    known = [any(_alike(word, name) for word in spoken) for name in expected]
    if all(known):
        return True
    only_known = all(any(_alike(word, name) for name in expected) for word in spoken)
    return None if only_known or len(spoken) > len(expected) + 1 else False


def _name_words(text: str) -> list[str]:
    words = (
        token.form.removesuffix("'s") for token in tokens_of(text) if token.kind in ("WORD", "LETTER", "STOP")
    )
    return [word for word in words if word not in TITLES]


def _alike(said: str, name: str) -> bool:
    least = next(least for letters, least in _NAME_LIKENESS if len(name) <= letters or letters == 99)
    return fuzz.ratio(said, name) >= least


def _amounts(said: str, truth: str) -> Verdict:
    spoken, expected = read_money(tokens_of(said)), read_money(tokens_of(truth))
    if not spoken or not expected:
        return None
    met = [any(_same_amount(amount, wanted) for amount in spoken) for wanted in expected]
    if all(met):
        return True
    return None if any(met) else False


def _same_amount(said: Money, truth: Money) -> bool:
    if said.amount == truth.amount:
        return True
    return said.bare and said.amount < 1000 and said.amount * 1000 == truth.amount


def _days(said: str, truth: str) -> Verdict:
    one, other = read_day(tokens_of(said)), read_day(tokens_of(truth))
    same = [
        _same(one.weekday, other.weekday),
        _same(one.month, other.month),
        _same(one.day, other.day),
        _same(one.year, other.year),
        _same(_relative(one.relative), _relative(other.relative)),
    ]
    if False in same:
        return False
    day_is_open = bool(other.day) and not one.day and same[0] is None
    return True if True in same and not day_is_open else None


def _relative(said: str) -> str:
    return "" if said == "next" else said


def _same(one: object, other: object) -> Verdict:
    return one == other if one and other else None


def _times(said: str, truth: str) -> Verdict:
    one, other = read_time(tokens_of(said)), read_time(tokens_of(truth))
    if one is None or other is None or bool(one.minutes_ago) != bool(other.minutes_ago):
        return None
    if _same(one.half, other.half) is False:
        return False
    return (one.hour, one.minute, one.minutes_ago) == (other.hour, other.minute, other.minutes_ago)


def _ages(said: str, truth: str) -> Verdict:
    return _counts_agree(read_age(tokens_of(said)), read_age(tokens_of(truth)), exact=True)


def _numbers(said: str, truth: str) -> Verdict:
    return _counts_agree(read_count(tokens_of(said)), read_count(tokens_of(truth)), exact=False)


def _counts_agree(said: Count | None, truth: Count | None, *, exact: bool) -> Verdict:
    if said is None or truth is None:
        return None
    if exact:
        return said == truth
    rooms = ("bedrooms", "bathrooms", "pets", "dogs", "cats")
    if said.of and truth.of and said.of != truth.of and (said.of in rooms or truth.of in rooms):
        return None
    return said.number == truth.number


def _weapons(said: str, truth: str) -> Verdict:
    one, other = _weapon(tokens_of(said)), _weapon(tokens_of(truth))
    if not one or not other:
        return True if fuzz.ratio(said.lower(), truth.lower()) >= _NEARLY else None
    if one[1] != other[1]:
        return False
    firearms = {one[0], other[0]} <= _FIREARMS and "gun" in (one[0], other[0])
    return one[0] == other[0] or firearms


def _weapon(tokens: Sequence[Token]) -> tuple[str, bool] | None:
    """The weapon, and whether there is none."""
    forms = [token.form for token in tokens]
    words = {**WEAPONS, "bat": "bat", "pipe": "pipe", "bottle": "bottle"}
    named = _phrase(forms, WEAPON_PHRASES) or next((words[form] for form in forms if form in words), "")
    return (named, bool(_NEGATIONS & set(forms))) if named else None


def _injuries(said: str, truth: str) -> Verdict:
    one, other = tokens_of(said), tokens_of(truth)
    spoken, expected = _injury_names(one), _injury_names(other)
    if not spoken & expected:
        return True if fuzz.token_set_ratio(said.lower(), truth.lower()) >= _NEARLY else None
    if bool(_negated(one)) != bool(_negated(other)):
        return False
    places = ({token.form for token in tokens} & BODY for tokens in (one, other))
    here, there = places
    return not here or not there or bool(here & there)


def _injury_names(tokens: Sequence[Token]) -> set[str]:
    forms = [token.form for token in tokens]
    words = {**INJURIES, **WITH_BODY_BEFORE, **WITH_BODY_BEHIND}
    words |= {value: value for value in words.values()}
    names = {words[form] for form in forms if form in words}
    phrases: dict[tuple[str, ...], str] = {tuple(said.split()): said for said in INJURY_PHRASES.values()}
    phrases |= INJURY_PHRASES
    return names | {said for phrase, said in phrases.items() if _contains(forms, phrase)}


def _negated(tokens: Sequence[Token]) -> bool:
    """Whether it is said that somebody has no such injury; "not breathing" is one."""
    forms = [token.form for token in tokens]
    own = any(_contains(forms, phrase) for phrase in INJURY_PHRASES if phrase[0] in _NEGATIONS)
    return bool(_NEGATIONS & set(forms)) and not own


def _contains(forms: Sequence[str], phrase: Sequence[str]) -> bool:
    size = len(phrase)
    return any(tuple(forms[at : at + size]) == tuple(phrase) for at in range(len(forms) - size + 1))


def _phrase(forms: Sequence[str], phrases: Mapping[tuple[str, ...], str]) -> str:
    return next((said for phrase, said in phrases.items() if _contains(forms, phrase)), "")


def _vehicles(said: str, truth: str) -> Verdict:
    one, other = _vehicle(said), _vehicle(truth)
    same = {part: one[part] & other[part] for part in one if one[part] and other[part]}
    if any(not shared for shared in same.values()):
        return False
    told = [part for part in other if other[part]]
    return True if "plate" in same or len(same) >= min(2, len(told)) and same else None


def _vehicle(text: str) -> dict[str, set[str]]:
    tokens = tokens_of(text)
    forms = [_SAME_COLOUR.get(token.form) or _SAME_VEHICLE.get(token.form, token.form) for token in tokens]
    at = next((at for at, form in enumerate(forms) if form in ("plate", "plates", "license")), len(forms))
    plate = "".join(
        token.form for token in tokens[at + 1 :] if token.kind in ("NUM", "LETTER") or len(token.form) <= 3
    )
    kinds = {_SAME_VEHICLE.get(kind, kind) for kind in VEHICLES}
    makes = {_SAME_VEHICLE.get(make, make) for make in MAKES}
    return {
        "colour": set(forms) & COLOURS,
        "make": set(forms) & makes,
        "model": set(forms) & MODELS,
        "kind": set(forms) & (kinds - {"pickup"} if "pickup" in forms and "truck" in forms else kinds),
        "plate": {plate} if any(character.isdigit() for character in plate) else set(),
    }


def _emails(said: str, truth: str) -> Verdict:
    one, other = _email(said), _email(truth)
    if not one or not other:
        return None
    if one == other:
        return True
    return None if fuzz.ratio(one, other) >= _NEARLY_AN_EMAIL else False


def _email(text: str) -> str:
    """The address without what is easily lost in the local part: dots, dashes, underscores."""
    found = next((contact.value for contact in contacts(tokens_of(text)) if contact.kind == "email"), "")
    local, _, domain = found.rpartition("@")
    return f"{local.translate({ord(mark): None for mark in '._-'})}@{domain}" if found else ""


_COMPARISONS: Final[Mapping[EntityKind, Callable[[str, str], Verdict]]] = {
    "address": _addresses,
    "phone": _phones,
    "name": _names,
    "money": _amounts,
    "date": _days,
    "time": _times,
    "age": _ages,
    "number": _numbers,
    "weapon": _weapons,
    "injury": _injuries,
    "vehicle": _vehicles,
    "email": _emails,
}
