"""The sentences that the recogniser learns: the scenarios' lines, phrase grammars, and word salad."""

import random
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from training.slots import VALUES, filled, in_words, slots

PHRASES = Path(__file__).parent / "phrases"
FILLERS = ("um", "uh", "um", "uh", "er", "well", "you know", "I mean")

_DOMAINS = ("dispatch", "dispatch", "real-estate", "real-estate", "selling", "numbers")
_SLOT_IN_TEMPLATE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[A-Za-z']+")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_CLAUSE_END = re.compile(r"(?<=[.?!,])\s+")
# "two", "ten" and "noon" may be a time or a number; "ordering" must not match "orders".
_VARIED = {
    "name": VALUES["name"],
    "company": VALUES["company"],
    "number": tuple(map(in_words, (*range(1, 20), *range(20, 100, 10)))),
    "day": VALUES["day"],
    "supply": VALUES["supply"],
}  # fmt: skip
_MAX_CHARACTERS = 105
_HELD_OUT_ONE_IN = 12


def is_held_out(text: str) -> bool:
    """Holds out a fixed twelfth of all made-up sentences, whoever generates them."""
    return zlib.crc32(normalise(text).encode()) % _HELD_OUT_ONE_IN == 0


def normalise(text: str) -> str:
    """Lower case, words only."""
    return " ".join(_WORD.findall(text.lower()))


def capitalise(text: str) -> str:
    """Leaves all but the first letter as it is."""
    return text[:1].upper() + text[1:]


def sentences_of(text: str) -> list[str]:
    """Keeps the punctuation; one space lay between each two."""
    return _SENTENCE_END.split(text)


def phrases(name: str) -> list[str]:
    """The lines of a file of `phrases/`."""
    lines = (PHRASES / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


class Sentences:
    """Draws training sentences for the scenarios in a folder."""

    def __init__(self, scenarios: Path) -> None:
        documents = [yaml.safe_load(path.read_text()) for path in sorted(scenarios.glob("*.yaml"))]
        self.expected = _distinct(line for each in documents for line in _simulated(each))
        self.said = _distinct(line for each in documents for line in _examples(each))
        self.heard = _distinct(line for each in documents for line in each.get("opening", []))
        self.backchannels = phrases("backchannels")
        self.unseen = phrases("unseen")
        self._control = phrases("control")
        self._templates = {name: phrases(name) for name in set(_DOMAINS)}

    @cached_property
    def vocabulary(self) -> list[str]:
        """Every word, proper names as they are written, others in lower case."""
        slot_values = [value for values in VALUES.values() for value in values]
        proper = {word for value in slot_values for word in value.split() if word[0].isupper()} | {"I"}
        texts = [*self.expected, *self.said, *self.heard, *self.backchannels, *self._control]
        texts += [line for lines in self._templates.values() for line in lines]
        texts += [*slot_values, *map(in_words, range(100)), *phrases("words")]
        plain = (word for text in texts for word in _WORD.findall(_SLOT_IN_TEMPLATE.sub(" ", text)))
        return sorted({word if word in proper else word.lower() for word in plain} - {"'"})

    def draw(self, rng: random.Random) -> str:
        """Returns one sentence, or two; a line of a scenario comes as written about one time in eight."""
        kind = rng.random()
        if kind < 0.06:
            return rng.choice(self.expected)
        if kind < 0.12:
            return rng.choice(self.said)
        if kind < 0.13:
            return rng.choice(self.heard)
        if kind < 0.17:
            return rng.choice(self._control)
        if kind < 0.24:
            return rng.choice(self.backchannels)
        return self._made_up(rng)

    def held_out(self, count: int, seed: int = 99) -> list[str]:
        """Returns filled templates and varied lines that `draw` never returns."""
        rng = random.Random(seed)
        found: dict[str, None] = {}
        while len(found) < count:
            text = self._filled(rng) if rng.random() < 0.75 else self._varied(rng)
            if is_held_out(text) and text not in self._fixed and len(text) <= _MAX_CHARACTERS:
                found[text] = None
        return list(found)

    @cached_property
    def _fixed(self) -> frozenset[str]:
        whole = [*self.expected, *self.said, *self.heard, *self.backchannels, *self._control]
        whole += [line for lines in self._templates.values() for line in lines]
        return frozenset([*whole, *(part for text in whole for part in sentences_of(text))])

    def _made_up(self, rng: random.Random) -> str:
        makers = {
            self._filled: 0.30,
            self._salad: 0.25,
            self._spliced: 0.15,
            self._substituted: 0.10,
            self._joined: 0.08,
            self._varied: 0.07,
            self._part: 0.05,
        }
        while True:
            maker = rng.choices(list(makers), list(makers.values()))[0]
            text = maker(rng)
            if len(text) > _MAX_CHARACTERS or self._is_reserved(text):
                continue
            return hesitant(text, rng) if maker != self._salad and rng.random() < 0.15 else text

    def _is_reserved(self, text: str) -> bool:
        """Whether it is, or contains, a sentence that is kept for the evaluation."""
        return any(t not in self._fixed and is_held_out(t) for t in (text, *sentences_of(text)))

    def _line(self, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.25:
            return rng.choice(self.expected)
        return rng.choice(self.said) if kind < 0.5 else self._filled(rng)

    def _varied(self, rng: random.Random) -> str:
        """Replaces the names, companies, numbers and days of a line by others."""
        text = rng.choice(self.expected if rng.random() < 0.4 else self.said)
        for values in _VARIED.values():
            pattern = "|".join(sorted(map(re.escape, values), key=len, reverse=True))
            parts = re.split(rf"\b({pattern})\b", text)
            # Every second part is what the group matched.
            parts[1::2] = [rng.choice(values) if rng.random() < 0.7 else old for old in parts[1::2]]
            text = "".join(parts)
        return capitalise(text)

    def _filled(self, rng: random.Random) -> str:
        template = rng.choice(self._templates[rng.choice(_DOMAINS)])
        return capitalise(_SLOT_IN_TEMPLATE.sub(lambda slot: filled(slot[1], rng), template))

    def _joined(self, rng: random.Random) -> str:
        """Two sentences in one breath."""
        kind = rng.random()
        if kind < 0.3:
            first = rng.choice(self.backchannels)
        else:
            first = rng.choice(self._control) if kind < 0.5 else self._line(rng)
        return f"{first} {self._varied(rng) if rng.random() < 0.3 else self._filled(rng)}"

    def _part(self, rng: random.Random) -> str:
        """What is left when a pause splits a line in two."""
        clauses = _CLAUSE_END.split(self._line(rng))
        first = rng.randrange(len(clauses))
        return " ".join(clauses[first : rng.randint(first, len(clauses)) + 1]).rstrip(",")

    def _spliced(self, rng: random.Random) -> str:
        """The beginning of one sentence and the end of another: no ending can be foreseen."""
        first, second = self._line(rng).split(" "), self._line(rng).split(" ")
        words = first[: rng.randint(1, len(first))] + second[rng.randrange(len(second)) :]
        return capitalise(" ".join(words))

    def _substituted(self, rng: random.Random) -> str:
        """A word or two are others than those that belong there."""
        words = self._line(rng).split(" ")
        for at in rng.sample(range(len(words)), min(len(words), rng.randint(1, 2))):
            mark = words[at][-1] if not words[at][-1].isalnum() else ""
            words[at] = rng.choice(self.vocabulary) + mark
        return capitalise(" ".join(words))

    def _salad(self, rng: random.Random) -> str:
        """Words in random order leave nothing to guess: the decoder has to listen."""
        words: list[str] = []
        for _ in range(rng.randint(1, 8)):
            if rng.random() < 0.25:
                words.append(filled(rng.choice(slots()), rng))
            else:
                words.append(rng.choice(self.vocabulary))
        text = " ".join(words)
        if len(words) > 4 and rng.random() < 0.3:
            text = text.replace(" ", ", ", 1)
        return capitalise(text) + rng.choice("..?")


def hesitant(text: str, rng: random.Random) -> str:
    """Puts a filler somewhere, or says a word twice."""
    words = text.split(" ")
    at = rng.randrange(len(words))
    if rng.random() < 0.25:
        again = words[at].rstrip(",.?!")
        words[at : at + 1] = [again + rng.choice(["", ","]), words[at] if at else words[at].lower()]
        words[0] = capitalise(words[0])
        return " ".join(words).replace(" i ", " I ")
    filler = rng.choice(FILLERS)
    if at == 0:
        return f"{capitalise(filler)}, {text}"
    words[at - 1] = words[at - 1].rstrip(",") + ("," if words[at - 1][-1].isalpha() else "")
    words.insert(at, filler + rng.choice([",", ",", ""]))
    return " ".join(words)


def _simulated(document: dict[str, Any]) -> Iterator[str]:
    for line in document.get("simulation", {}).get("lines", []):
        yield line["say"]


def _examples(document: dict[str, Any]) -> Iterator[str]:
    for move in document.get("moves", []):
        yield from move.get("examples", [])


def _distinct(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
