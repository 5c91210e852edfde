"""The sentences that the recogniser learns: the scenarios' lines, their variations, and word salad."""

import random
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from training.phrases import CONTROL, DOMAINS

SLOTS: dict[str, tuple[str, ...]] = {
    "name": (
        "Alex", "Dana", "Maria", "John", "Sarah", "David", "Karen", "Michael", "Anna", "Peter",
        "Linda", "James", "Susan", "Robert", "Emily", "Doctor Reyes", "Mister Cole", "Jordan",
    ),
    "company": (
        "Northwind Supply", "Northwind", "Harbor Dental", "Delmar Medical", "Acme Software",
        "Blue River", "City Power", "Green Bank", "Summit Office", "Bright Smile",
    ),
    "agency": ("Lakeview Realty", "Oak Tree Homes", "Harbor Realty", "Keystone Homes"),
    "number": (
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "eighteen", "twenty", "twenty five",
        "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "one hundred",
    ),
    "day": (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "tomorrow",
        "Monday morning", "Friday afternoon",
    ),
    "time": (
        "noon", "nine", "ten", "eleven", "two", "three", "four thirty", "half past ten",
        "nine in the morning", "two in the afternoon", "five o'clock", "a quarter to four",
    ),
    "street": (
        "Main Street", "Oak Avenue", "Park Road", "Lake Drive", "Hill Street", "Mill Lane",
        "Maple Court", "Elm Street",
    ),
    "room": ("kitchen", "bedroom", "garage", "basement", "bathroom", "living room", "house"),
    "person": ("he", "she", "your husband", "your mother", "the patient", "the baby", "the driver"),
    "body": ("chest", "leg", "arm", "head", "back", "stomach", "neck"),
    "supply": ("supplies", "gloves", "masks", "boxes", "orders", "needles", "towels", "cups"),
}  # fmt: skip

_SLOT_IN_TEMPLATE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[A-Za-z']+")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_CLAUSE_END = re.compile(r"(?<=[.?!,])\s+")
# "two", "ten" and "noon" may be a time or a number; "ordering" must not match "orders".
_VARIED_SLOTS = ("name", "company", "number", "day", "supply")
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


class Sentences:
    """Draws training sentences for the scenarios in a folder."""

    def __init__(self, scenarios: Path) -> None:
        documents = [yaml.safe_load(path.read_text()) for path in sorted(scenarios.glob("*.yaml"))]
        self.expected = _distinct(line for each in documents for line in _simulated(each))
        self.said = _distinct(line for each in documents for line in _examples(each))
        self.heard = _distinct(line for each in documents for line in each.get("opening", []))
        self._templates = [template for domain in DOMAINS for template in domain]

    @cached_property
    def vocabulary(self) -> list[str]:
        """Every word, proper names as they are written, others in lower case."""
        proper = {w for slot in SLOTS.values() for v in slot for w in v.split() if w[0].isupper()}
        proper.add("I")
        texts = [*self.expected, *self.said, *self.heard, *self._templates, *CONTROL]
        texts += [value for slot in SLOTS.values() for value in slot]
        plain = (word for text in texts for word in _WORD.findall(_SLOT_IN_TEMPLATE.sub(" ", text)))
        return sorted({word if word in proper else word.lower() for word in plain} - {"'"})

    def draw(self, rng: random.Random) -> str:
        """Returns one sentence, or two; lines of a scenario come as written about one time in three."""
        kind = rng.random()
        if kind < 0.20:
            return rng.choice(self.expected)
        if kind < 0.33:
            return rng.choice(self.said)
        if kind < 0.36:
            return rng.choice(self.heard)
        if kind < 0.41:
            return rng.choice(CONTROL)
        return self._made_up(rng)

    def held_out(self, count: int, seed: int = 99) -> list[str]:
        """Returns filled templates and varied lines that `draw` never returns."""
        rng = random.Random(seed)
        found: dict[str, None] = {}
        while len(found) < count:
            text = self._filled(rng) if rng.random() < 0.5 else self._varied(rng)
            if is_held_out(text) and text not in self._fixed:
                found[text] = None
        return list(found)

    @cached_property
    def _fixed(self) -> frozenset[str]:
        whole = [*self.expected, *self.said, *self.heard, *CONTROL, *self._templates]
        return frozenset([*whole, *(part for text in whole for part in sentences_of(text))])

    def _made_up(self, rng: random.Random) -> str:
        makers = (self._varied, self._filled, self._joined, self._part, self._reordered, self._salad)
        weights = (0.19, 0.22, 0.13, 0.07, 0.06, 0.33)
        while True:
            text = rng.choices(makers, weights)[0](rng)
            if len(text) <= _MAX_CHARACTERS and not self._is_reserved(text):
                return text

    def _is_reserved(self, text: str) -> bool:
        """Whether it is, or contains, a sentence that is kept for the evaluation."""
        return any(t not in self._fixed and is_held_out(t) for t in (text, *sentences_of(text)))

    def _line(self, rng: random.Random) -> str:
        return rng.choice(self.expected if rng.random() < 0.5 else self.said)

    def _varied(self, rng: random.Random) -> str:
        """Replaces the names, companies, numbers and days of a line by others."""
        text = self._line(rng)
        for slot in _VARIED_SLOTS:
            pattern = "|".join(sorted(map(re.escape, SLOTS[slot]), key=len, reverse=True))
            parts = re.split(rf"\b({pattern})\b", text)
            # Every second part is what the group matched.
            parts[1::2] = [rng.choice(SLOTS[slot]) if rng.random() < 0.7 else old for old in parts[1::2]]
            text = "".join(parts)
        return capitalise(text)

    def _filled(self, rng: random.Random) -> str:
        template = rng.choice(self._templates)
        return capitalise(_SLOT_IN_TEMPLATE.sub(lambda slot: rng.choice(SLOTS[slot[1]]), template))

    def _joined(self, rng: random.Random) -> str:
        """Two sentences in one breath."""
        first = rng.choice(CONTROL) if rng.random() < 0.3 else self._line(rng)
        return f"{first} {self._varied(rng) if rng.random() < 0.6 else self._filled(rng)}"

    def _part(self, rng: random.Random) -> str:
        """What is left when a pause splits a line in two."""
        clauses = _CLAUSE_END.split(self._line(rng))
        first = rng.randrange(len(clauses))
        return " ".join(clauses[first : rng.randint(first, len(clauses)) + 1]).rstrip(",")

    def _reordered(self, rng: random.Random) -> str:
        clauses = [c for _ in range(2) for c in _CLAUSE_END.split(self._line(rng))]
        rng.shuffle(clauses)
        text = " ".join(clauses[: rng.randint(1, 3)])
        return capitalise(text.rstrip(",.?!")) + rng.choice(".?")

    def _salad(self, rng: random.Random) -> str:
        """Words in random order leave nothing to guess: the decoder has to listen."""
        words: list[str] = []
        for _ in range(rng.randint(2, 8)):
            if rng.random() < 0.2:
                words.append(rng.choice(rng.choice(list(SLOTS.values()))))
            else:
                words.append(rng.choice(self.vocabulary))
        text = " ".join(words)
        if len(words) > 4 and rng.random() < 0.3:
            text = text.replace(" ", ", ", 1)
        return capitalise(text) + rng.choice("..?")


def _simulated(document: dict[str, Any]) -> Iterator[str]:
    for line in document.get("simulation", {}).get("lines", []):
        yield line["say"]


def _examples(document: dict[str, Any]) -> Iterator[str]:
    for move in document.get("moves", []):
        yield from move.get("examples", [])


def _distinct(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
