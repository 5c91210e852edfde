"""Rules for who is spoken of: names, ages, how many, what they carry, what is wrong with them."""

from typing import Final

from agent.entities.lexicon import (
    BETWEEN_COUNT_AND_NOUN,
    BODY,
    COUNTED,
    GIVEN_NAMES,
    HURT,
    INJURIES,
    INJURY_PHRASES,
    PEOPLE,
    QUESTION_VERBS,
    TITLES,
    WEAPON_PHRASES,
    WEAPONS,
    WITH_BODY_BEFORE,
    WITH_BODY_BEHIND,
)
from agent.entities.pattern import (
    COMMA,
    GUESS,
    LIKELY,
    NUM,
    POSSIBLE,
    SURE,
    Element,
    Found,
    Reading,
    Rule,
    among,
    of_class,
    one,
)
from agent.entities.tokens import Token, titled
from agent.entities.values import Count, read_age, read_count
from agent.spoken_tables import word_set

_NAMES: Final[Element] = {**of_class("WORD"), "OP": "{1,2}"}
_FULL_NAME: Final[Element] = {**of_class("WORD"), "OP": "{1,3}"}
_TITLE: Final = among(TITLES, op="?")
_GIVEN: Final = among(GIVEN_NAMES | {f"{name}'s" for name in GIVEN_NAMES})
_WEAK_TITLES: Final = frozenset({"miss", "chief", "nurse", "officer", "captain", "doctor", "ms", "dr"})
_TOO_MANY_PEOPLE: Final = 1000
_NOT_BEHIND_AN_AGE: Final = word_set("in on at to by a the of all")
_OLDEST_YEARS: Final = 120
_NOT_COUNTED_BEFORE: Final = word_set("no any some every each that this which another the")
_OF_AGE: Final = word_set("""
house building roof home company car furnace contract property office
""")
_QUESTION_TOKENS: Final = 10
_BEFORE_A_QUESTION: Final = frozenset(
    {"so", "and", "okay", "now", "but", "or", ",", "sir", "ma'am", "well", "then"}
)
_SUBJECTS: Final = word_set("he she they you anyone anybody someone somebody there")
_FIGURATIVE: Final = {"stroke": {"of"}, "bleeding": {"edge", "money"}}
_NEGATIONS: Final = frozenset({"not", "no", "without", "never"})


def _is_name(found: Found, *, strong: bool) -> bool:
    """Whether a name can be meant; without `strong` words around it a capital or a known name has to tell."""
    named = [token for token in found.part if token.form not in TITLES]
    if not named or any(len(token.form) < 2 for token in named):
        return False
    if named[0].form.removesuffix("'s") in GIVEN_NAMES or (
        found.cased and all(token.is_capitalised for token in named)
    ):
        return True
    return strong and not (found.cased and len(named) > 1)


def _name_of(found: Found) -> str:
    """ "Harold Harold Nyberg" is a name begun twice."""
    words = [form.removesuffix("'s") for form in found.forms]
    return titled(" ".join(word for at, word in enumerate(words) if words[at - 1 : at] != [word]))


def _strong_name(found: Found) -> str | None:
    return _name_of(found) if _is_name(found, strong=True) else None


def _weak_name(found: Found) -> str | None:
    return _name_of(found) if _is_name(found, strong=False) else None


def _bare_name(found: Found) -> str | None:
    """A known given name on its own, or with a surname in a capital behind it."""
    first, *others = found.part
    if first.form.removesuffix("'s") not in GIVEN_NAMES:
        return None
    told = first.is_capitalised and all(found.cased and token.is_capitalised for token in others)
    return _name_of(found) if told or found.is_sentence else None


def _uncased_name(found: Found) -> str | None:
    """A known given name where nothing is written with a capital."""
    return None if found.cased else _name_of(found)


def _titled_name(found: Found) -> str | None:
    title = found.forms[0]
    behind_article = bool(set(found.before()) & {"the", "a", "an", "your", "my", "our", "this", "not"})
    if behind_article or (title in _WEAK_TITLES and not (_capital_or_known(found, found.part[1]))):
        return None
    return _name_of(found)


def _capital_or_known(found: Found, token: Token) -> bool:
    known = token.form in GIVEN_NAMES
    told = token.is_capitalised if found.cased else found.forms[0] in ("doctor", "dr", "officer")
    return known or told


def _age(found: Found) -> str | None:
    age = read_age(found.part)
    if age is None or (not age.of and age.number > _OLDEST_YEARS) or found.near(_OF_AGE, before=4, behind=0):
        return None
    return str(age)


def _age_alone(found: Found) -> str | None:
    goes_on = found.next is not None and found.next.form in _NOT_BEHIND_AN_AGE
    return _age(found) if found.ends_phrase and not goes_on else None


def _age_of_named(found: Found) -> str | None:
    name = found.tokens[found.first - 2]
    return _age_alone(found) if name.form in GIVEN_NAMES or (found.cased and name.is_capitalised) else None


def _asked_age(found: Found) -> str | None:
    """ "How old is he? About forty?" """
    asked = [token.form for token in found.tokens[max(0, found.first - 10) : found.first]]
    is_asked = ("how", "old") in zip(asked, asked[1:], strict=False)
    return _age(found) if is_asked and found.ends_phrase else None


def _count(found: Found) -> str | None:
    count = read_count(found.part)
    if count is None or not count.number.is_integer() or count.number >= _TOO_MANY_PEOPLE:
        return None
    if set(found.before()) & _NOT_COUNTED_BEFORE and count.number == 1 or found.before() in (["$"], [","]):
        return None
    return str(count)


def _people(found: Found) -> str | None:
    """People whom nothing but a word about them tells: "four of us", "two are hurt"."""
    count = read_count(found.part)
    if count is None or not count.number.is_integer() or count.number >= _TOO_MANY_PEOPLE:
        return None
    if count.number == 1 and ("of" in found.forms or set(found.before()) & _NOT_COUNTED_BEFORE):
        return None
    return str(Count(count.number, "people"))


def _asked(found: Found) -> bool:
    """Whether the sentence only asks if there is such a thing: "is he", "does anyone", "was the man"."""
    start = found.first
    while start > 0 and found.first - start < _QUESTION_TOKENS and found.tokens[start - 1].kind != "END":
        start -= 1
    opening = [token.form for token in found.tokens[start : found.first]]
    while opening and opening[0] in _BEFORE_A_QUESTION:
        opening.pop(0)
    begins = start == 0 or found.tokens[start - 1].kind == "END"
    if begins and opening and opening[0] in QUESTION_VERBS:
        return True
    return any(
        verb in QUESTION_VERBS and subject in _SUBJECTS
        for verb, subject in zip(opening, opening[1:], strict=False)
    )


def _negated(found: Found, value: str) -> str:
    negated = set(found.before(3)) & _NEGATIONS and not value.startswith(("not", "no "))
    return f"no {value}" if negated else value


def _weapon(found: Found) -> str | None:
    words = tuple(found.forms)
    value = WEAPON_PHRASES.get(words) or WEAPONS.get(words[-1], "")
    return None if _asked(found) else _negated(found, value)


def _injury(found: Found) -> str | None:
    """What is wrong, and with which part of the body if that was said: "bleeding (head)"."""
    forms = found.forms
    phrase = next((said for words, said in INJURY_PHRASES.items() if tuple(forms[: len(words)]) == words), "")
    others = {**INJURIES, **WITH_BODY_BEFORE, **WITH_BODY_BEHIND}
    value = phrase or next((others[form] for form in forms if form in others), "")
    body = next((form for form in forms if form in BODY), "")
    figurative = found.next is not None and found.next.form in _FIGURATIVE.get(value, ())
    if _asked(found) or not value or figurative:
        return None
    return _negated(found, f"{value} ({body})" if body else value)


def _name(
    confidence: float, *pattern: Element, reading: Reading, begins: int = 0, ends: int | None = None
) -> Rule:
    return Rule("name", confidence, pattern, reading, begins, ends)


_TO_HIS: Final = (
    one("from", "in", "on", "to", "of", op="?"),
    one("the", "his", "her", "your", "their", "my", "its", op="?"),
    one("left", "right", "lower", "upper", op="?"),
    among(BODY),
)
_IN_BODY: Final = (one("from", "in", "on", "to"), *_TO_HIS[1:])


PEOPLE_RULES: Final[tuple[Rule, ...]] = (
    _name(SURE, one("name"), one("is", "was"), COMMA, _TITLE, _FULL_NAME, reading=_strong_name, begins=3),
    _name(LIKELY, one("name"), COMMA, _TITLE, _FULL_NAME, reading=_weak_name, begins=2),
    _name(
        SURE,
        one("this"),
        one("is"),
        COMMA,
        _TITLE,
        _NAMES,
        COMMA,
        one("from", "with", "calling", "speaking", "here", "at", "over"),
        reading=_strong_name,
        begins=3,
        ends=5,
    ),
    _name(LIKELY, one("this"), one("is"), COMMA, _TITLE, _NAMES, reading=_weak_name, begins=3),
    _name(
        SURE,
        one("speaking", "speak", "talking", "talk", "spoke"),
        one("to", "with"),
        _TITLE,
        _NAMES,
        reading=_strong_name,
        begins=2,
    ),
    _name(LIKELY, one("is"), one("this", op="?"), _TITLE, _NAMES, reading=_weak_name, begins=2),
    _name(
        GUESS, one("is"), _NAMES, one("there", "available", "home"), reading=_strong_name, begins=1, ends=2
    ),
    _name(
        LIKELY,
        one("i", "it", "its"),
        one("am", "is", op="?"),
        COMMA,
        _NAMES,
        COMMA,
        one("from", "with", "calling", "over", "at"),
        reading=_weak_name,
        begins=3,
        ends=4,
    ),
    _name(LIKELY, _NAMES, one("speaking", "here"), reading=_weak_name, ends=1),
    _name(LIKELY, among(TITLES), of_class("WORD"), reading=_titled_name),
    _name(
        LIKELY,
        among(word_set("hi hello hey morning afternoon evening you thanks okay listen bye goodbye")),
        COMMA,
        _NAMES,
        reading=_weak_name,
        begins=2,
    ),
    _name(LIKELY, one("call", "ask"), one("me", "for"), _NAMES, reading=_weak_name, begins=2),
    _name(POSSIBLE, _GIVEN, reading=_bare_name),
    _name(LIKELY, among(GIVEN_NAMES), of_class("WORD"), reading=_bare_name),
    _name(GUESS, _GIVEN, reading=_uncased_name),
    Rule(
        "age",
        SURE,
        (NUM, one("year", "years", "month", "months", "week", "weeks", "day", "days"), one("old")),
        _age,
    ),
    Rule(
        "age",
        LIKELY,
        (one("age", "aged"), one("is", "of", ",", op="?"), one("about", op="?"), NUM),
        _age_alone,
        3,
    ),
    Rule(
        "age",
        POSSIBLE,
        (
            among(word_set("he she patient caller husband wife mother father son daughter baby")),
            one("is", "was"),
            one("about", "around", "almost", "only", "maybe", "now", op="?"),
            NUM,
        ),
        _age_alone,
        3,
    ),
    Rule(
        "age", POSSIBLE, (one("you", "i"), one("are", "am"), one("only", "about", op="?"), NUM), _age_alone, 3
    ),
    Rule("age", GUESS, (of_class("WORD"), one("is", "was"), NUM), _age_of_named, 2),
    Rule("age", POSSIBLE, (NUM,), _asked_age),
    Rule("number", LIKELY, (NUM, among(BETWEEN_COUNT_AND_NOUN, op="?"), among(PEOPLE)), _count),
    Rule("number", LIKELY, (NUM, among(COUNTED)), _count),
    Rule("number", LIKELY, (NUM, one("of"), one("us", "you")), _people),
    Rule("number", GUESS, (NUM, one("of"), one("them")), _people),
    Rule("number", LIKELY, (one("family", "group", "party"), one("of"), NUM), _people, 2),
    Rule("number", POSSIBLE, (NUM, one("are", "were", "is", op="?"), among(HURT)), _people),
    Rule("number", LIKELY, (one("nobody", "none"), one("is", "was", op="?"), among(HURT)), _people),
    *(Rule("weapon", SURE, tuple(map(one, words)), _weapon) for words in WEAPON_PHRASES),
    Rule("weapon", LIKELY, (among(WEAPONS),), _weapon),
    *(
        Rule("injury", LIKELY, (*map(one, words), *body), _injury)
        for words in INJURY_PHRASES
        for body in ((), _IN_BODY)
    ),
    Rule("injury", POSSIBLE, (among(INJURIES),), _injury),
    Rule("injury", LIKELY, (among(INJURIES), *_IN_BODY), _injury),
    Rule("injury", LIKELY, (among(WITH_BODY_BEHIND), *_TO_HIS), _injury),
    Rule("injury", LIKELY, (among(BODY), among(WITH_BODY_BEFORE)), _injury),
    Rule("injury", LIKELY, (among(WITH_BODY_BEFORE), *_IN_BODY), _injury),
)
