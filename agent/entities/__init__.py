"""Details in what a trainee said: addresses, telephone numbers, names, amounts, times and so on, by rules.

The rules are patterns for spaCy's Matcher over tokens in which every number is written in digits, see
`agent.entities.tokens`; no model is involved. `agrees` compares a detail with the truth.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Final, cast

from agent.entities.agreement import agrees
from agent.entities.contacts import contacts
from agent.entities.pattern import Found, Rule
from agent.entities.people import PEOPLE_RULES
from agent.entities.places import PLACES
from agent.entities.quantities import DAYS, MONEY, TIMES, VEHICLES_RULES
from agent.entities.tokens import Token, is_cased, tokens_of
from agent.memory import Detail
from agent.scenario_parts import EntityKind

MAX_CHARACTERS: Final = 2000
_RULES: Final[tuple[Rule, ...]] = (*PLACES, *MONEY, *DAYS, *TIMES, *VEHICLES_RULES, *PEOPLE_RULES)
_MOST_SPECIFIC_FIRST: Final[tuple[EntityKind, ...]] = (
    "email",
    "phone",
    "address",
    "money",
    "date",
    "time",
    "age",
    "vehicle",
    "weapon",
    "injury",
    "number",
    "name",
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    kind: EntityKind
    first: int
    last: int
    value: str
    confidence: float


def find_details(text: str, confidence: float | None, turn: int) -> tuple[Detail, ...]:
    """Returns the details in a turn's text, in the order in which they were said; they never overlap.

    `confidence` is the recogniser's, 0 to 1, None if it has none. Of readings that overlap the longest
    counts, then the most specific kind. Only the first `MAX_CHARACTERS` characters are looked at. Never
    raises, whatever the text. The first call in a process takes seconds, see `prepare`.
    """
    text = text[:MAX_CHARACTERS]
    tokens = tokens_of(text)
    if not tokens:
        return ()
    kept = _kept(tokens, [*_matched(tokens), *_contacts(tokens)])
    heard = 1.0 if confidence is None else min(1.0, max(0.0, confidence))
    return tuple(
        Detail(
            kind=each.kind,
            text=text[tokens[each.first].start : tokens[each.last - 1].end],
            value=each.value,
            confidence=round(each.confidence * heard, 3),
            turn=turn,
        )
        for each in kept
    )


def prepare() -> None:
    """Loads what `find_details` needs, which takes seconds, so that no turn of a call waits for it."""
    find_details("four twelve Harlan Street, 555-0142", None, 0)


def _matched(tokens: Sequence[Token]) -> Iterator[_Candidate]:
    cased = is_cased(tokens)
    for rule, start, end, alignment in _engine().matches(tokens):
        first = start + sum(element < rule.begins for element in alignment)
        last = end if rule.ends is None else start + sum(element < rule.ends for element in alignment)
        if first >= last:
            continue
        value = rule.reading(Found(tokens, first, last, cased))
        if value:
            yield _Candidate(rule.kind, first, last, value, rule.confidence)


def _contacts(tokens: Sequence[Token]) -> Iterator[_Candidate]:
    return (_Candidate(*contact) for contact in contacts(tokens))


def _kept(tokens: Sequence[Token], candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The longest first, then the most specific, then the surest."""

    def rank(each: _Candidate) -> tuple[float, ...]:
        length = tokens[each.last - 1].end - tokens[each.first].start
        return -length, _MOST_SPECIFIC_FIRST.index(each.kind), -each.confidence, each.first

    kept: list[_Candidate] = []
    taken = [False] * len(tokens)
    for each in sorted(candidates, key=rank):
        if not any(taken[each.first : each.last]):
            kept.append(each)
            taken[each.first : each.last] = [True] * (each.last - each.first)
    return sorted(kept, key=lambda each: each.first)


class _Engine:
    """spaCy's Matcher with every rule; one per process, used by one thread at a time."""

    def __init__(self) -> None:
        from spacy.matcher import Matcher
        from spacy.tokens import Doc
        from spacy.vocab import Vocab

        self._lock = Lock()
        self._doc = Doc
        self._vocab = Vocab()
        self._matcher = Matcher(self._vocab)
        for number, rule in enumerate(_RULES):
            self._matcher.add(str(number), [list(rule.pattern)])

    def matches(self, tokens: Sequence[Token]) -> list[tuple[Rule, int, int, list[int]]]:
        """Returns each match: its rule, where it begins and ends, and which element matched each token."""
        # What a caller says must not stay in the vocabulary, which would grow for ever.
        with self._lock, self._vocab.memory_zone():
            doc = self._doc(
                self._vocab,
                words=[token.form for token in tokens],
                tags=[token.kind for token in tokens],
            )
            found = cast("list[tuple[int, int, int, list[int]]]", self._matcher(doc, with_alignments=True))
            rules = [_RULES[int(self._vocab.strings[key])] for key, *_ in found]
        return [(rule, *match[1:]) for rule, match in zip(rules, found, strict=True)]


def _engine() -> _Engine:
    with _building:
        return _built()


@cache
def _built() -> _Engine:
    return _Engine()


_building: Final = Lock()

__all__ = ["MAX_CHARACTERS", "agrees", "find_details", "prepare"]
