"""Which of a scenario's facts a text tells, by the words that nothing but the fact itself would bring up."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from rapidfuzz import fuzz

from agent.open_texts import follows, open_texts
from agent.scenario import Scenario
from agent.scenario_parts import Fact
from agent.spoken_tables import MONTH_NAMES, STREETS, word_set
from agent.words import normalise

COVERED: Final = 0.4
"""Share of the weight of a fact's wording from which a text tells it."""
AT_LEAST: Final = 4.0
"""Weight below which nothing is told by likeness: two names, or four ordinary words."""
_NAME, _LONG_NUMBER, _NUMBER, _DAY, _WORD = 3.0, 3.0, 2.0, 2.0, 1.0
_SHORTEST_NAME: Final = 3
_SHORTEST_MISSPELLED: Final = 5
_MISSPELLED: Final = 80


@dataclass(frozen=True, slots=True)
class Content:
    """What a text is about: its words with their weights, and the names and exact numbers among them.

    Ordinary words have their endings cut off; a number is its digits, however it was said. `joined` has the
    words that its spelled letters, or two words that follow each other, make together.
    """

    weights: Mapping[str, float]
    names: frozenset[str]
    joined: frozenset[str]
    numbers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Secret:
    """A fact by what gives it away.

    `wordings` are its truth, its lines, and each clause of them, as weights by word, without the words that
    are in what the persona may say at any time. `names` and `numbers` give it away alone.
    """

    fact: str
    patterns: tuple[re.Pattern[str], ...]
    wordings: tuple[Mapping[str, float], ...]
    names: frozenset[str]
    numbers: frozenset[str]

    def without(self, allowed: Content) -> "Secret":
        """Returns what still gives the fact away where the `allowed` words and numbers may be said."""
        words = allowed.weights.keys() | _parts_of(allowed.numbers, self.numbers)
        wordings = (_left(wording, words) for wording in self.wordings)
        return replace(
            self,
            wordings=tuple(wording for wording in wordings if sum(wording.values()) >= AT_LEAST),
            names=self.names - words,
            numbers=self.numbers - words,
        )

    def is_told(self, text: Content) -> bool:
        """Whether the text tells the fact, whatever its patterns say.

        One proper name that only the fact knows is enough, however it is spelled, and so is a number of
        three digits or more that is not round. Else some wording must be covered by `COVERED` of its
        weight, and by `AT_LEAST` of weight: numbers and names count two or three times as much as words.
        """
        if not self.numbers.isdisjoint(text.numbers) or not self.names.isdisjoint(text.joined):
            return True
        if any(_is_name(told, name) for name in self.names for told in text.names):
            return True
        return any(_is_covered(wording, text.weights) for wording in self.wordings)


@lru_cache(maxsize=64)
def secrets(scenario: Scenario) -> tuple[Secret, ...]:
    """Returns the scenario's facts in their order."""
    return tuple(_secret(scenario, fact) for fact in scenario.facts)


def content(text: str) -> Content:
    """Returns what a text is about."""
    weights: dict[str, float] = {}
    numbers: set[str] = set()
    names = _names(text)
    for word, number in _units(text):
        if number:
            weights[number] = _weight_of(number)
            if len(number) > 2 and not number.endswith("00"):
                numbers.add(number)
        elif word in _DAYS or (word in names.midst and word in _MONTHS):
            weights[word] = _DAY
        elif word in names.midst and word not in _GENERIC:
            weights[word] = _NAME
        elif len(word) >= _SHORTEST_NAME and word not in _COMMON:
            weights[_stem(word)] = _WORD
    return Content(weights, names.anywhere, names.joined, frozenset(numbers))


def _secret(scenario: Scenario, fact: Fact) -> Secret:
    known = content("\n".join(_always_open(scenario, fact)))
    known_words = known.weights.keys() | {_stem(word) for word in known.weights}
    texts = (fact.truth, *fact.lines)
    wordings = []
    for text in dict.fromkeys([*texts, *(clause for each in texts for clause in _CLAUSE.split(each))]):
        wording = _left(content(text).weights, known_words)
        if sum(wording.values()) >= AT_LEAST:
            wordings.append(wording)
    told = [content(text) for text in texts]
    names = {word for each in told for word, weight in each.weights.items() if weight == _NAME}
    names -= known_words
    return Secret(
        fact.id,
        tuple(re.compile(pattern, re.IGNORECASE) for pattern in fact.told_by),
        tuple(wordings),
        frozenset(name for name in names if name.isalpha()),
        frozenset(number for each in told for number in each.numbers) - known_words,
    )


def _always_open(scenario: Scenario, fact: Fact) -> Iterator[str]:
    """Everything that the persona, or the trainee's briefing, may say without the fact being told."""
    yield from (scenario.title, scenario.briefing, scenario.persona.name)
    yield from (text for _, text in open_texts(scenario, fact))
    yield from (text for each in scenario.objections for text in (*each.lines, *each.pressed))
    yield from (text for each in scenario.endings if not follows(each.when, fact) for text in each.lines)


def _parts_of(numbers: Iterable[str], candidates: Iterable[str]) -> set[str]:
    said = " ".join(numbers)
    return {number for number in candidates if number in said}


def _left(wording: Mapping[str, float], known: Container[str]) -> dict[str, float]:
    return {word: weight for word, weight in wording.items() if word not in known}


def _is_covered(wording: Mapping[str, float], said: Container[str]) -> bool:
    shared = sum(weight for word, weight in wording.items() if word in said)
    return shared >= AT_LEAST and shared >= COVERED * sum(wording.values())


def _is_name(told: str, name: str) -> bool:
    if told == name:
        return True
    could_be = told[:1] == name[:1] and min(len(told), len(name)) >= _SHORTEST_MISSPELLED
    return could_be and fuzz.ratio(told, name) >= _MISSPELLED


# Words, names and numbers of a text.


@dataclass(frozen=True, slots=True)
class _Names:
    """Words with a capital, in mid-sentence or anywhere, and those that are only so when put together."""

    midst: frozenset[str]
    anywhere: frozenset[str]
    joined: frozenset[str]


_WORD_AS_WRITTEN: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_SENTENCE: Final = re.compile(r"(?<=[.?!;:])\s+|\n")
_CLAUSE: Final = re.compile(r"(?<=[.?!;:,])\s+")
_LETTERS_APART: Final = re.compile(r"\b[A-Za-z](?:[\s,.\-]+[A-Za-z]\b){2,}")
_POSSESSIVE: Final = re.compile(r"['\u2019]s$")
_ONES: Final = {normalise(str(value)): value for value in range(20)}
_TENS: Final = {normalise(str(value)): value for value in range(20, 100, 10)}
_SCALES: Final = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_NUMERIC: Final = _ONES.keys() | _TENS.keys() | _SCALES.keys()
_MONTHS: Final = frozenset(month.lower() for month in MONTH_NAMES)
_DAYS: Final = word_set("monday tuesday wednesday thursday friday saturday sunday") | (
    _MONTHS - word_set("march may")
)
_GENERIC: Final = (
    word_set("""
doctor dr mister mr missus mrs miss ms professor officer aunt uncle saint north south east west apt apartment
suite unit building house office company inc medical dental supply realty group center hospital school county
city town state english spanish american internet okay christmas easter thanksgiving labor
""")
    | set(STREETS.values())
    | _MONTHS
    | _DAYS
)
"""Parts of names that say nothing by themselves."""
_COMMON: Final = word_set("""
a able about above actually after again all almost also always am among an and another any anybody anyone
anything are around as ask at away back be because been before behind being below best better between big
bit both but by call can come could day did do does doing done down each either else enough even ever every
everybody everything far few first for from get give go goes going gone good got had has have having he hear
hello help her here hers herself him himself his honestly how however i if in into is it its itself just
keep kind know last later least less let like little long look lot made make many may maybe me mean might
mine more most much must my myself need never new next no nobody none nor not nothing now of off often oh
okay old on once one only onto or other our ours out over own people perhaps place please put quite rather
really right said same say says see seem she should since so some somebody someone something sometimes soon
sorry still such sure take tell than thank thanks that the their theirs them themselves then there these
they thing think this those though through till time to today told too two under until up upon us use very
want was way we well went were what when where whether which while who whole whose why will with without
would yeah yes yet you your yours yourself
""")


_NO_NAMES: Final = _COMMON | _NUMERIC


def _names(text: str) -> _Names:
    midst: set[str] = set()
    anywhere: set[str] = set()
    joined: set[str] = set()
    for sentence in _SENTENCE.split(text):
        written = [_POSSESSIVE.sub("", word) for word in _WORD_AS_WRITTEN.findall(sentence)]
        for at, word in enumerate(written):
            low = word.lower()
            if word[0].isupper() and len(low) >= _SHORTEST_NAME and low not in _NO_NAMES:
                anywhere.add(low)
                if at:
                    midst.add(low)
        joined.update((one + two).lower() for one, two in zip(written, written[1:], strict=False))
    for spelled in _LETTERS_APART.findall(text):
        joined.add("".join(char for char in spelled.lower() if char.isalpha()))
    return _Names(frozenset(midst), frozenset(anywhere - _GENERIC), frozenset(joined))


def _units(text: str) -> Iterator[tuple[str, str]]:
    """Each word with "", and each number, of one or several words, as ("", its digits)."""
    for sentence in normalise(text).split("\n"):
        words = [_POSSESSIVE.sub("", word) for word in sentence.split()]
        at = 0
        while at < len(words):
            end = at
            while end < len(words) and _goes_on(words, at, end):
                end += 1
            if end == at:
                yield words[at], ""
            elif words[at:end] != ["one"]:
                yield "", _digits(words[at:end])
            at = max(end, at + 1)


def _goes_on(words: list[str], start: int, at: int) -> bool:
    word = words[at]
    if word in _NUMERIC or word.isdecimal():
        return True
    following = words[at + 1] if at + 1 < len(words) else ""
    is_within = at > start and (following in _NUMERIC or following.isdecimal())
    return is_within and (word == "oh" or (word == "and" and words[at - 1] in _SCALES))


def _digits(words: list[str]) -> str:
    """The digits of a number: of "two hundred and eighteen" and of "two eighteen" alike 218."""
    digits, thousands, value, last = "", 0, -1, ""
    for word in words:
        if word == "and":
            continue
        number = 0 if word == "oh" else _ONES.get(word, _TENS.get(word, -1))
        if word in _SCALES and _SCALES[word] > 100:
            thousands += (1 if value < 0 else value) * _SCALES[word]
            value, last = 0, word
        elif word == "hundred":
            value, last = (1 if value < 0 else value) * 100, word
        elif value >= 0 and (last in _SCALES or (last in _TENS and 0 < number < 10)) and number >= 0:
            value, last = value + number, word
        else:
            digits += _said(thousands, value)
            thousands, value, last = 0, number, word
            if number < 0:
                digits, value = digits + word, -1
    return digits + _said(thousands, value)


def _said(thousands: int, value: int) -> str:
    return str(thousands + value) if value >= 0 else ""


def _weight_of(number: str) -> float:
    return (_WORD, _NUMBER, _LONG_NUMBER)[min(len(number), 3) - 1]


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word
