"""The fact sheet of a scenario: which of its entries answers a question, however the question is put."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from agent.scenario import Scenario
from agent.scenario_parts import Knowledge
from agent.spoken_tables import word_set
from agent.words import normalise, words

MAX_CHARACTERS: Final = 2000
ANSWERS: Final = 0.45
"""Score from which an entry answers a question.

Measured on 106 entries of 13 scenarios. The right entry: for all of their own questions; for 93 in 100 of
those with a tenth of the words lost and a seventh misspelt; for 76 in 100 put in other words (2 get a wrong
one). Any entry: for 4 in 100 questions of scenarios of other domains, for 2 in 100 about nothing of the kind.
"""
_THE_SAME: Final = 85
"""Likeness of letters from which a question is one of those that the entry gives."""
_SAME_WORD: Final = 80
_SHORTEST_MISHEARD: Final = 4
_QUESTION_WORD_WEIGHT: Final = 0.3
_TRUTH_SHARE: Final = 0.22
"""What counts as met of an entry's questions if none of their words are: the words may be in its truth."""

_NO_CONTENT: Final = word_set("""
a about actually all also am an and any anything anyway are as ask at be because been being bit but by can
could did do does doing exactly for from get give go going had has have having he hear her here hers him
his i if in into is it its just kind know let like liked lot many may maybe me mean might mine much must
my need no not of off oh ok okay on one or our out over please question quick quickly really right said
say see she should so some something sort tell than that the their them then there these they thing think
this those thought to too us very want was way we well were will with wonder wondering would yeah yes you
your yours
""")
_QUESTION_WORDS: Final = word_set("how what when where which who whose why long often far old big")


class FactSheet:
    """The entries of a fact sheet, found by BM25 over their questions and truths.

    BM25: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009).

    A score is the geometric mean of two shares: how much of the question, weighted by BM25, is in the entry,
    and how much of one of the entry's own questions is in the question. Words are compared by their stems,
    misheard ones by their likeness. The first one in a process takes a second, for bm25s has to be loaded.
    """

    def __init__(self, entries: Sequence[Knowledge]) -> None:
        self._ids = [entry.id for entry in entries]
        self._scores = _scores([_content("\n".join((*entry.asked, entry.truth))) for entry in entries])
        self._vocabulary = [word for word in self._scores if word not in _QUESTION_WORDS]
        self._weights = {word: self._weight(word) for word in self._scores}
        self._unknown = max(self._weights.values(), default=0.0)
        self._asked = [[tuple(dict.fromkeys(_content(asked))) for asked in entry.asked] for entry in entries]
        self._phrases = {normalise(asked): at for at, entry in enumerate(entries) for asked in entry.asked}
        self._near = lru_cache(maxsize=2048)(self._nearest)

    def best(self, question: str) -> str | None:
        """Returns the id of the entry that answers the trainee's turn, None if none does.

        In a turn of several sentences only the questions count, if there are any. Never raises; only the
        first `MAX_CHARACTERS` characters are looked at.
        """
        entry, score = self.closest(question)
        return entry if score >= ANSWERS else None

    def closest(self, question: str) -> tuple[str | None, float]:
        """Returns the entry with the best score, 0 to 1, and its score; (None, 0) if nothing is shared."""
        sentences = list(_sentences(question[:MAX_CHARACTERS]))
        asked = [sentence for sentence in sentences if is_question(sentence)]
        found = [self._score(sentence) for sentence in asked or sentences]
        at, score = max(found, key=lambda each: each[1], default=(0, 0.0))
        return (self._ids[at], score) if score > 0 else (None, 0.0)

    def _score(self, sentence: str) -> tuple[int, float]:
        plain = normalise(sentence).replace("\n", " ")
        same = process.extractOne(plain, self._phrases.keys(), scorer=fuzz.ratio, score_cutoff=_THE_SAME)
        if same is not None:
            return self._phrases[same[0]], 1.0
        total, most = np.zeros(len(self._ids)), 0.0
        heard: dict[str, float] = {}
        for stem in dict.fromkeys(_content(plain)):
            near = self._near(stem)
            if near:
                weight = _QUESTION_WORD_WEIGHT if stem in _QUESTION_WORDS else 1.0
                scores = [likeness * self._scores[word] for word, likeness in near.items()]
                total += weight * np.max(scores, axis=0)
                heard |= {word: max(likeness, heard.get(word, 0.0)) for word, likeness in near.items()}
                most += max(self._weights[word] for word in near)
            elif stem not in _QUESTION_WORDS:
                most += self._unknown
        if heard.keys() <= _QUESTION_WORDS:
            return 0, 0.0
        shares = total / most
        scored = [float(share * self._met(at, heard)) ** 0.5 for at, share in enumerate(shares.tolist())]
        return max(enumerate(scored), key=lambda each: each[1])

    def _met(self, at: int, heard: Mapping[str, float]) -> float:
        """How much of the entry's question that is met best was heard."""
        shares = [
            sum(self._weights[word] * heard.get(word, 0.0) for word in asked)
            / sum(self._weights[word] for word in asked)
            for asked in self._asked[at]
            if asked
        ]
        return max((_TRUTH_SHARE, *shares))

    def _weight(self, word: str) -> float:
        highest = float(self._scores[word].max())
        return highest * _QUESTION_WORD_WEIGHT if word in _QUESTION_WORDS else highest

    def _nearest(self, stem: str) -> Mapping[str, float]:
        """The words of the fact sheet that the stem may stand for, with their likeness, 0 to 1."""
        if stem in self._scores:
            return {stem: 1.0}
        if len(stem) < _SHORTEST_MISHEARD:
            return {}
        found = process.extract(
            stem, self._vocabulary, scorer=fuzz.ratio, score_cutoff=_SAME_WORD, limit=None
        )
        return {word: ratio / 50 - 1 for word, ratio, _ in found}


@lru_cache(maxsize=64)
def fact_sheet_of(scenario: Scenario) -> FactSheet:
    """Returns the scenario's fact sheet, built once."""
    return FactSheet(scenario.knowledge)


def is_question(text: str) -> bool:
    """Whether something is asked, by a question mark or by the words a question begins with.

    `text` is what the recogniser wrote, with or without punctuation.
    """
    text = text[:MAX_CHARACTERS]
    return "?" in text or any(_QUESTION.search(sentence) for sentence in normalise(text).split("\n"))


_OPENERS: Final = r"""
(?:(?:and|but|so|or|okay|ok|well|now|then|right|sure|sorry|yes|no|all right|excuse me|i see|thanks|oh
|thank you|please|great|good|mister \w+|miss \w+|sir|ma'am|nine one one|911) 
|(?:hi|hello|hey|good (?:morning|afternoon|evening)) (?:(?!(?:this|it|that|my|i|we|you) )\w+ )?)*
"""
_BEGINNINGS: Final = r"""
(?:(?:what|why|how|who|whose|where|when) (?!(?:i|we|you|he|she|they|it|a|an|the|my|our|your)\b
|is (?:why|what|when|where|good|great|fine)\b)|(?:why|how|who|what|where|when)$
|which (?!(?:i|we|you|he|she|they|it|means|makes|is)\b)|(?:what|how) (?:the \w+ (?:is|are|do|does)|about)\b
|(?:is|are|was|were|does|did|has|could|would|should|shall|may|am) (?!not\b)\w+
|(?:can|have|had|do|will) (?:not )?(?:you|we|i|they|he|she|it|anyone|anybody|someone|somebody|there|any
|your|his
|her|their|the|these|those|this|that|people)\b
|tell me (?:\w+ )?(?:what|where|who|how|when|why|which|if|whether)\b|(?:any|anything|anyone|anybody) \w+)
"""
_INSIDE: Final = r"""
\b(?:what|where|who|when|why|how|which)(?: \w+){0,2} (?:do|does|did|is|are|was|were|can|could|will|would
|should|have
|has) (?:you|he|she|it|they|we|i|there|anybody|anyone)\b
|\b(?:do|does|did|are|is|can|could|would|will|have) (?:you|anyone|anybody) (?:have|know|see|hear|want|need
|like|think
|tell|give|get|still|ever|any|alone|there|hurt|safe|sure|able)\b
|\bam i (?:speaking|talking)\b|\b(?:is that|am i|are they|is it) (?:right|correct|okay)$
"""
_QUESTION: Final = re.compile(f"^{_OPENERS}{_BEGINNINGS}|{_INSIDE}".replace("\n", ""))


def _sentences(text: str) -> Iterator[str]:
    for match in re.finditer(r"[^.?!;\n]+[.?!;]*", text):
        if match[0].strip():
            yield match[0]


def _content(text: str) -> list[str]:
    """The stems of the words that say what a text is about."""
    return [_stem(word) for word in words(text) if word not in _NO_CONTENT]


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    # A stemmer of its own for each word: they are cheap, and may not be shared by threads.
    import Stemmer

    return str(Stemmer.Stemmer("english").stemWord(word))


def _scores(texts: Sequence[Sequence[str]]) -> dict[str, NDArray[np.float64]]:
    """What each word of the texts is worth in each of them."""
    vocabulary = sorted({word for text in texts for word in text})
    if not vocabulary:
        return {}
    import bm25s

    index = bm25s.BM25(method="lucene")
    index.index([list(text) for text in texts], show_progress=False)
    return {word: np.asarray(index.get_scores([word]), dtype=np.float64) for word in vocabulary}
