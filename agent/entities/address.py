"""Addresses in the United States as parts that can be compared: house number, streets, apartment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz, process

from agent.entities.lexicon import (
    DIRECTIONS,
    MISSPELT_STREETS,
    STREET_KINDS,
    UNITS,
    WITHOUT_KIND,
)
from agent.entities.tokens import Token, titled, tokens_of
from agent.spoken_tables import DIRECTIONS as DIRECTION_LETTERS
from agent.spoken_tables import STREETS

HOUSE_DIGITS_AT_MOST: Final = 5
_MISSPELT: Final = 80
_SAME_STREET: Final = 78
"""Likeness from which the names of two streets count as the same, one of them misheard: "Harland" and
"Harlan" have 92, "Harlem" and "Harlan" 67."""
_DIRECTION_NAMES: Final = {letters.lower(): name for letters, name in DIRECTION_LETTERS.items()}
_HIGHWAYS: Final = {
    "highway": "Highway",
    "hwy": "Highway",
    "route": "Route",
    "rte": "Route",
    "interstate": "Interstate",
    "marker": "Mile marker",
}
_JOINED_BY: Final = frozenset({"and", "&", "at", "with"})
_NO_NAME: Final = frozenset(
    {"the", "corner", "intersection", "of", "on", "at", "address", "is", "it", "number"}
)


@dataclass(frozen=True, slots=True)
class Street:
    """A street; `kind` is in full ("street"), `name` as the tokens have it ("harlan", "5th", "12")."""

    name: str
    kind: str = ""
    direction: str = ""

    def __str__(self) -> str:
        if self.kind in _HIGHWAYS.values():
            return " ".join(filter(None, (self.kind, self.name, self.direction.title())))
        return titled(f"{self.direction} {self.name} {self.kind}")


@dataclass(frozen=True, slots=True)
class Address:
    """An address, or the part of one that was said. Two streets are a crossing."""

    number: str = ""
    streets: tuple[Street, ...] = ()
    unit: str = ""
    floor: str = ""

    def __str__(self) -> str:
        where = " and ".join(map(str, self.streets))
        parts = [f"{self.number} {where}".strip()]
        if self.unit:
            parts.append(f"Apartment {self.unit.upper()}")
        if self.floor:
            parts.append(f"Floor {self.floor}")
        return ", ".join(filter(None, parts))


def read_address(text: str | Sequence[Token]) -> Address:
    """Reads what is known to be an address, or part of one, in digits or in words."""
    given = tokens_of(text) if isinstance(text, str) else list(text)
    tokens = [token for token in given if token.kind not in ("PUNCT", "END") or token.form == "#"]
    unit, tokens = _unit(tokens)
    floor, tokens = _floor(tokens)
    highway = _highway(tokens)
    if highway is not None:
        return Address("", (highway,), unit, floor)
    while tokens and tokens[0].kind != "NUM" and tokens[0].form in _NO_NAME:
        tokens = tokens[1:]
    count = next((at for at, token in enumerate(tokens) if token.kind != "NUM"), len(tokens))
    number = "".join(token.form for token in tokens[:count])
    streets = tuple(street for part in _parts(tokens[count:], number) if (street := _street(part)).name)
    return Address(number, streets, unit, floor)


def _unit(tokens: list[Token]) -> tuple[str, list[Token]]:
    for at, token in enumerate(tokens):
        if token.form not in UNITS and token.form != "#":
            continue
        end = at + 1
        while end < len(tokens) and tokens[end].form in ("number", "#", "is"):
            end += 1
        first = end
        while end < len(tokens) and tokens[end].kind in ("NUM", "LETTER"):
            end += 1
        if end > first:
            return "".join(part.form for part in tokens[first:end]), tokens[:at] + tokens[end:]
    return "", tokens


def _floor(tokens: list[Token]) -> tuple[str, list[Token]]:
    for at, token in enumerate(tokens[1:], 1):
        if token.form == "floor" and tokens[at - 1].kind == "ORD":
            number = tokens[at - 1].form.rstrip("stndrh")
            before = tokens[: at - 1]
            while before and before[-1].form in ("the", "on"):
                before = before[:-1]
            return number, before + tokens[at + 1 :]
    return "", tokens


def _highway(tokens: list[Token]) -> Street | None:
    for token, after in zip(tokens, tokens[1:], strict=False):
        if token.form in _HIGHWAYS and after.kind == "NUM":
            bound = (each.form.removesuffix("bound") for each in tokens)
            direction = next((way for way in bound if way in DIRECTIONS), "")
            return Street(after.form, _HIGHWAYS[token.form], direction)
    return None


def _parts(tokens: list[Token], number: str) -> list[list[Token]]:
    """The streets of a crossing apart from each other."""
    joint = next((at for at, token in enumerate(tokens) if token.form in _JOINED_BY and at > 0), None)
    if number or joint is None:
        return [tokens]
    return [tokens[:joint], tokens[joint + 1 :]]


def _street(tokens: list[Token]) -> Street:
    words = [token.form for token in tokens if token.form not in _NO_NAME]
    direction, kind = "", ""
    if len(words) > 1 and words[-1] in DIRECTIONS and words[-2] in STREET_KINDS:
        direction = words.pop()
    if len(words) > 1 and words[0] in DIRECTIONS and words[1] not in STREET_KINDS:
        direction = words.pop(0)
    for at, word in enumerate(words):
        kind = kind_of_street(word) if at else ""
        if kind:
            words = words[:at]
            break
    return Street(" ".join(words), kind, _DIRECTION_NAMES.get(direction, direction))


def kind_of_street(word: str) -> str:
    """Returns "street" for "st" and "streat", "" if the word is no kind of street."""
    if word in STREET_KINDS:
        return STREETS.get(word, word)
    found = process.extractOne(word, MISSPELT_STREETS, scorer=fuzz.ratio, score_cutoff=_MISSPELT)
    return found[0] if found and len(word) >= len(found[0]) - 1 else ""


def same_address(said: Address, truth: Address) -> bool | None:
    """True if every part that both have is the same, and the number and a street are among them.

    False if one contradicts the truth, None if too little was said. An apartment may be left out.
    """
    streets = _same_streets(said.streets, truth.streets)
    parts = [
        _same(said.number, truth.number),
        _same(said.unit.lower(), truth.unit.lower()),
        _same(said.floor, truth.floor),
        streets,
    ]
    if False in parts:
        return False
    has_number = bool(said.number) or not truth.number
    return True if streets and has_number and len(said.streets) >= len(truth.streets) else None


def _same(said: str, truth: str) -> bool | None:
    return said == truth if said and truth else None


def _same_streets(said: Sequence[Street], truth: Sequence[Street]) -> bool | None:
    if not said or not truth:
        return None
    return all(any(_same_street(one, other) for other in truth) for one in said)


def _same_street(said: Street, truth: Street) -> bool:
    if _same(said.kind, truth.kind) is False or _same(said.direction, truth.direction) is False:
        return False
    exact = said.name[:1].isdigit() or truth.name[:1].isdigit()
    if exact or said.name in WITHOUT_KIND:
        return said.name == truth.name
    return fuzz.ratio(said.name.replace(" ", ""), truth.name.replace(" ", "")) >= _SAME_STREET
