"""Rules for addresses in the United States, as they are said and as a recogniser writes them."""

from typing import Final

from agent.entities.address import HOUSE_DIGITS_AT_MOST, kind_of_street, read_address
from agent.entities.lexicon import (
    DIRECTIONS,
    KNOWN_STREETS,
    MISSPELT_STREETS,
    STREET_KINDS,
    UNITS,
    UNMISTAKABLE_STREETS,
    WITHOUT_KIND,
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
    nearly,
    of_class,
    one,
)
from agent.spoken_tables import word_set

_NO_STREET_BEFORE: Final = word_set("""
a an any another each every her his my our same some that their these this what which your
""")
_NO_STREET: Final = word_set("""
busy quiet side back dead cross next private dirt gravel narrow wide residential one nearest whole public
country open long high old new service access
""")
_NEVER_A_STREET: Final = word_set("cross side next nearest one whole same other")
_ADDRESSES: Final = word_set("address house live lives located location")

_HOUSE: Final[Element] = {**NUM, "OP": "{1,5}"}
_READ_OUT: Final = (NUM, one(","), NUM, one(","), NUM, one(",", op="?"), {**NUM, "OP": "?"})
_DIRECTION: Final = among(DIRECTIONS, op="?")
_NAME: Final[Element] = {**of_class("WORD"), "OP": "{1,3}"}
_SHORT_NAME: Final[Element] = {**of_class("WORD"), "OP": "{1,2}"}
_KIND: Final = among(STREET_KINDS)
_MISSPELT_KIND: Final = nearly(*MISSPELT_STREETS)
_UNMISTAKABLE: Final = among(UNMISTAKABLE_STREETS)
_UNIT: Final[tuple[Element, ...]] = (
    COMMA,
    one(".", op="?"),
    among(UNITS | {"#"}),
    one("number", "#", op="?"),
    of_class("NUM", "LETTER", op="{1,4}"),
)
_FLOOR: Final[tuple[Element, ...]] = (COMMA, one("on", op="?"), one("the", op="?"), ORD, one("floor"))


def _is_cut(found: Found) -> bool:
    """Whether the number began earlier, or two were taken for one: "that one 318 Chestnut Street"."""
    street = next((at for at, token in enumerate(found.part) if token.kind in ("WORD", "ORD")), 0)
    numbers = [token for token in found.part[:street] if token.kind == "NUM"]
    written = [token.raw[:1].isdigit() for token in numbers]
    before = found.tokens[found.first - 1] if found.first else None
    began_earlier = before is not None and before.kind == "NUM" and [before.raw[:1].isdigit()] == written[:1]
    if len(set(written)) > 1 or not written or began_earlier:
        return True
    return "," in found.forms[:2] and len(numbers) > 1 and any(len(token.form) > 1 for token in numbers)


def _house(found: Found) -> str | None:
    """A house number, a street, perhaps an apartment."""
    address = read_address(found.part)
    if not 1 <= len(address.number) <= HOUSE_DIGITS_AT_MOST or not address.number.isdecimal():
        return None
    if _is_cut(found):
        return None
    street = address.streets[0] if address.streets else None
    if street is None or address.number.startswith("0"):
        return None
    plain = street.kind in ("way", "place", "drive", "court", "circle", "square", "trail", "crossing", "loop")
    if (plain and len(address.number) < 2) or street.name in _NEVER_A_STREET:
        return None
    return str(address)


def _house_without_kind(found: Found) -> str | None:
    """ "412 Harlan": only if the number is no amount of anything."""
    address = read_address(found.part)
    name = found.part[-1]
    if not 3 <= len(address.number) <= HOUSE_DIGITS_AT_MOST or address.number.startswith("0"):
        return None
    is_name = (found.cased and name.is_capitalised) or found.near(_ADDRESSES) or name.form in KNOWN_STREETS
    next_is_unit = found.next is not None and found.next.form in UNITS
    return str(address) if is_name and (found.ends_phrase or next_is_unit) else None


def _house_behind(found: Found) -> str | None:
    """ "Willow Lane, fourteen sixty." """
    name = next(at for at, token in enumerate(found.part) if token.kind == "NUM")
    numbers, street = found.part[name:], found.part[:name]
    address = read_address([*numbers, *street])
    digits = len(address.number)
    if not found.ends_phrase or not 2 <= digits <= HOUSE_DIGITS_AT_MOST or address.number.startswith("0"):
        return None
    return str(address) if address.streets and address.streets[0].name not in _NO_STREET else None


def _street(found: Found) -> str | None:
    """A street alone."""
    address = read_address(found.part)
    street = address.streets[0] if address.streets else None
    if street is None or not street.kind or street.name.split()[-1] in _NO_STREET | STREET_KINDS:
        return None
    if (
        set(found.before()) & _NO_STREET_BEFORE
        or (street.name, street.kind) == ("main", "road")
        or not kind_of_street(found.forms[-1])
    ):
        return None
    return str(address)


def _crossing(found: Found) -> str | None:
    """Two streets: at least one says that it is one, or the words before do."""
    address = read_address(found.part)
    if len(address.streets) < 2 or any(street.name in _NEVER_A_STREET for street in address.streets):
        return None
    return str(address)


def _known_crossing(found: Found) -> str | None:
    """ "Fifth and Main"."""
    if any(
        token.kind == "WORD" and token.form not in KNOWN_STREETS
        for token in found.part
        if token.form != "and"
    ):
        return None
    at_street = bool(set(found.before()) & {"at", "on", "near", "by"})
    two_numbers = all(token.kind == "ORD" for token in (found.part[0], found.part[-1]))
    if not found.ends_phrase or (two_numbers and not at_street):
        return None
    return _crossing(found)


def _named_crossing(found: Found) -> str | None:
    """ "Harlan Street and Fifth": what follows "and" has to be a street as well."""
    last = found.part[-1]
    told = last.kind == "ORD" or last.form in KNOWN_STREETS or (found.cased and last.is_capitalised)
    return _crossing(found) if told and found.ends_phrase else None


def _whole(found: Found) -> str | None:
    return str(read_address(found.part)) or None


_BASES: Final[tuple[tuple[tuple[Element, ...], float], ...]] = (
    ((_HOUSE, COMMA, _DIRECTION, _NAME, _KIND, _DIRECTION), SURE),
    ((_HOUSE, COMMA, _DIRECTION, _NAME, _MISSPELT_KIND), LIKELY),
    ((_HOUSE, COMMA, _DIRECTION, ORD, _KIND, _DIRECTION), SURE),
    ((_HOUSE, COMMA, _DIRECTION, among(WITHOUT_KIND)), SURE),
    ((*_READ_OUT, COMMA, _DIRECTION, _NAME, _KIND), LIKELY),
)
_BOUND: Final = among(DIRECTIONS | {"northbound", "southbound", "eastbound", "westbound"}, op="?")
_EITHER: Final = of_class("WORD", "ORD")

PLACES: Final[tuple[Rule, ...]] = (
    *(
        Rule("address", confidence, (*base, *unit), _house)
        for base, confidence in _BASES
        for unit in ((), _UNIT, _FLOOR)
    ),
    Rule("address", POSSIBLE, (_HOUSE, COMMA, _DIRECTION, of_class("WORD")), _house_without_kind),
    Rule("address", LIKELY, (_HOUSE, COMMA, _DIRECTION, of_class("WORD"), *_UNIT), _house),
    Rule("address", LIKELY, (_DIRECTION, _SHORT_NAME, _UNMISTAKABLE), _street),
    Rule("address", LIKELY, (_DIRECTION, ORD, _UNMISTAKABLE), _street),
    Rule("address", LIKELY, (_SHORT_NAME, _UNMISTAKABLE, one(","), {**NUM, "OP": "{1,4}"}), _house_behind),
    Rule("address", POSSIBLE, (_SHORT_NAME, _MISSPELT_KIND), _street),
    Rule(
        "address",
        SURE,
        (
            one("corner", "intersection", "junction"),
            one("of"),
            _EITHER,
            among(STREET_KINDS, op="?"),
            one("and"),
            _EITHER,
            among(STREET_KINDS, op="?"),
        ),
        _crossing,
        begins=2,
    ),
    Rule("address", SURE, (_EITHER, _KIND, one("and", "at"), _EITHER, _KIND), _crossing),
    Rule(
        "address",
        LIKELY,
        (_EITHER, one("and"), _EITHER, one("street", "streets", "avenue", "avenues")),
        _crossing,
    ),
    Rule("address", LIKELY, (_EITHER, _UNMISTAKABLE, one("and"), _EITHER), _named_crossing),
    Rule("address", POSSIBLE, (_EITHER, one("and"), _EITHER), _known_crossing),
    Rule("address", SURE, (one("highway", "hwy", "route", "interstate"), NUM, _BOUND), _whole),
    Rule("address", SURE, (one("mile"), one("marker"), NUM), _whole),
    Rule("address", LIKELY, _UNIT[2:], _whole),
    Rule("address", GUESS, (ORD, one("floor")), _whole),
)
