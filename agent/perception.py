"""What the persona makes of the trainee's words: which moves are in them, if they were understood at all."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rapidfuzz import fuzz, process

from agent.memory import Detail, Heard, PersonaState
from agent.noticing import notice, topic_of
from agent.scenario import Scenario
from agent.scenario_parts import Signal
from agent.words import normalise, words

UNCLEAR, OTHER, OUT_OF_ROLE, STOP = "unclear", "other", "out_of_role", "stop"

MAX_CHARACTERS = 2000
UNCLEAR_BELOW = 0.3
"""Recogniser confidence under which a turn is asked for again, unless it is nearly an expected line."""
ALIKE = 0.5
"""Likeness from which a sentence counts as a move; with 20 % of its words lost or altered an example still
reaches 0.73 in 95 of 100 cases, sentences from outside a scenario stay under 0.4."""
NEARLY_THE_SAME = 0.85
_SAME_WORD = 70
_STOP_WORD_RATIO = 88


@dataclass(frozen=True, slots=True)
class Perception:
    """The trainee's turn as the persona takes it.

    `moves` has each recognised move once, in the order they were made; `move` is the one that the persona
    answers: the last, or "unclear", "other", "out_of_role", "stop". `likeness` (0 to 1) says how sure that
    is; a pattern counts 1. `repeated`: it was made just before, or asks for what was told already.
    `signals` are what is noticed in any scenario, `details` the entities in the turn, `confirmed` the
    wanted ones that it reads back correctly. `question`: it asks something. `topic` is what answers a
    question that no move stands for: an entry of the fact sheet, "caller_name" or "promise"; "" if nothing
    does.
    """

    move: str
    moves: tuple[str, ...] = ()
    likeness: float = 0.0
    repeated: bool = False
    signals: tuple[Signal, ...] = ()
    details: tuple[Detail, ...] = ()
    confirmed: tuple[str, ...] = ()
    question: bool = False
    topic: str = ""


@dataclass(frozen=True, slots=True)
class _Hit:
    move: str
    start: int
    end: int
    likeness: float


def perceive(scenario: Scenario, state: PersonaState, heard: Heard, *, taken_for: str = "") -> Perception:
    """Recognises moves by the scenario's patterns, sentence by sentence, else by likeness to its examples.

    `taken_for` is the move that a model takes the turn for; it counts only where neither finds one. Never
    raises, whatever the text; only its first `MAX_CHARACTERS` characters are looked at.
    """
    said = heard.text[:MAX_CHARACTERS]
    text = normalise(said)
    if says_stop_word(scenario, text):
        return Perception(STOP, likeness=1.0)
    if not text:
        return _unclear(heard)
    likeness = _likeness_of(scenario)
    hits = _hits(scenario, likeness, text)
    doubtful = heard.confidence is not None and heard.confidence < UNCLEAR_BELOW
    if doubtful and max(likeness.to_moves(text).values(), default=0.0) < NEARLY_THE_SAME:
        return _unclear(heard)
    topic = topic_of(scenario, said, text) if _is_vague(hits) else ""
    if topic:
        hits = []
    moves = tuple(dict.fromkeys(hit.move for hit in hits))
    if not moves and not topic and scenario.move(taken_for) is not None:
        moves = (taken_for,)
    noticed = notice(scenario, state, heard, moves)
    if "out_of_role" in noticed.signals:
        return Perception(OUT_OF_ROLE, signals=noticed.signals, likeness=1.0)
    seen = Perception(
        moves[-1] if moves else OTHER,
        moves,
        hits[-1].likeness if hits else 0.0,
        bool(moves) and _is_repeated(scenario, state, moves[-1]),
        noticed.signals,
        noticed.details,
        noticed.confirmed,
        noticed.question,
        topic,
    )
    return replace(seen, signals=(*seen.signals, "asked_again")) if _asks_again(scenario, seen) else seen


def _unclear(heard: Heard) -> Perception:
    return Perception(UNCLEAR, signals=("interrupted",) if heard.interrupted_persona else ())


def says_stop_word(scenario: Scenario, text: str) -> bool:
    """Tells whether the stop word is anywhere in `text`, give or take a misheard letter or two."""
    wanted = words(scenario.safety.stop_word)
    found = words(text)
    size = len(wanted)
    windows = (" ".join(found[at : at + size]) for at in range(max(1, len(found) - size + 1)))
    return any(fuzz.ratio(window, " ".join(wanted)) >= _STOP_WORD_RATIO for window in windows)


def _hits(scenario: Scenario, likeness: "_Likeness", text: str) -> list[_Hit]:
    """Every move in the text, in the order in which they end."""
    hits: list[_Hit] = []
    at = 0
    for sentence in text.split("\n"):
        alike = likeness.to_moves(sentence)
        found = _strongest(_matches(scenario, sentence, at), alike)
        if not found and alike:
            move = max(alike, key=alike.__getitem__)
            if alike[move] >= ALIKE:
                found = [_Hit(move, at, at + len(sentence), alike[move])]
        hits += found
        at += len(sentence) + 1
    if not hits and "\n" in text:
        return _hits(scenario, likeness, text.replace("\n", " "))
    return sorted(hits, key=lambda hit: (hit.end, hit.start))


def _matches(scenario: Scenario, sentence: str, at: int) -> list[_Hit]:
    return [
        _Hit(move, at + match.start(), at + match.end(), 1.0)
        for move, pattern in _patterns_of(scenario)
        for match in pattern.finditer(sentence)
        if match.end() > match.start()
    ]


def _strongest(matches: Iterable[_Hit], alike: Mapping[str, float]) -> list[_Hit]:
    """Of matches that overlap only one stays: the move whose examples the sentence is most like."""
    kept: list[_Hit] = []
    for match in sorted(matches, key=lambda hit: alike.get(hit.move, 0.0), reverse=True):
        if all(other.move == match.move or _apart(other, match) for other in kept):
            kept.append(match)
    return kept


def _apart(one: _Hit, other: _Hit) -> bool:
    return one.end <= other.start or other.end <= one.start


def _is_repeated(scenario: Scenario, state: PersonaState, move_id: str) -> bool:
    """A question is repeated if its answers were heard, anything else if it was done just before.

    To say a directive again is no repetition: that is how directives work.
    """
    move = scenario.move(move_id)
    asks_for = [fact.id for fact in scenario.facts if move_id in fact.unlocked_by.move]
    if move is not None and move.kind == "directive":
        return False
    if asks_for and move is not None and move.kind == "question":
        return all(fact in state.disclosed for fact in asks_for)
    return move_id == state.last_move


def _is_vague(hits: Sequence[_Hit]) -> bool:
    """Whether a question may rather be one for the fact sheet: no pattern, and no example that is near."""
    return all(hit.likeness < NEARLY_THE_SAME for hit in hits)


def _asks_again(scenario: Scenario, seen: Perception) -> bool:
    move = scenario.move(seen.move)
    return seen.repeated and move is not None and move.kind == "question"


class _Likeness:
    """How like the examples of each move a sentence is, by the words they share.

    The share is counted both ways (harmonic mean), words that few moves use weigh more, and a misheard word
    counts by its likeness in letters to the word it stands for.
    """

    def __init__(self, scenario: Scenario) -> None:
        examples = {move.id: [words(example) for example in move.examples] for move in scenario.moves}
        # Dictionaries, not sets: the order of a sum of floats must not depend on Python's hash seed.
        self._examples = [
            (move, dict.fromkeys(each)) for move, some in examples.items() for each in some if each
        ]
        self._vocabulary = sorted({word for _, each in self._examples for word in each})
        self._used_by = {
            word: sum(any(word in each for each in some) for some in examples.values())
            for word in self._vocabulary
        }
        self._moves = len(examples)
        self._near = lru_cache(maxsize=2048)(self._nearest)

    def to_moves(self, sentence: str) -> dict[str, float]:
        """Returns the likeness (0 to 1) to each move's closest example; moves with none are left out."""
        heard = [(self._weight(word), self._near(word)) for word in words(sentence)]
        total = sum(weight for weight, _ in heard)
        understood: dict[str, float] = {}
        for _, near in heard:
            for word, ratio in near.items():
                understood[word] = max(ratio, understood.get(word, 0.0))
        best: dict[str, float] = {}
        for move, example in self._examples:
            if understood.keys().isdisjoint(example):
                continue
            heard_share = sum(weight * _best(near, example) for weight, near in heard) / total
            weights = [(self._weight(word), word) for word in example]
            example_share = sum(weight * understood.get(word, 0.0) for weight, word in weights)
            example_share /= sum(weight for weight, _ in weights)
            likeness = 2 * heard_share * example_share / (heard_share + example_share)
            best[move] = max(likeness, best.get(move, 0.0))
        return best

    def _weight(self, word: str) -> float:
        return math.log(1 + self._moves / (self._used_by.get(word) or 1))

    def _nearest(self, word: str) -> Mapping[str, float]:
        found = process.extract(
            word, self._vocabulary, scorer=fuzz.ratio, score_cutoff=_SAME_WORD, limit=None
        )
        return {near: ratio / 100 for near, ratio, _ in found}


def _best(near: Mapping[str, float], expected: Mapping[str, None]) -> float:
    return max((ratio for word, ratio in near.items() if word in expected), default=0.0)


@lru_cache(maxsize=64)
def _likeness_of(scenario: Scenario) -> _Likeness:
    return _Likeness(scenario)


@lru_cache(maxsize=64)
def _patterns_of(scenario: Scenario) -> list[tuple[str, re.Pattern[str]]]:
    return [
        (move.id, re.compile(pattern, re.IGNORECASE)) for move in scenario.moves for pattern in move.patterns
    ]
