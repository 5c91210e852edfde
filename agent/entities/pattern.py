"""What a rule for a detail is made of: a pattern for spaCy's Matcher, and a reading of what it matched."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from agent.entities.tokens import Token
from agent.scenario_parts import EntityKind
from agent.spoken_tables import word_set

SURE: Final = 0.95
LIKELY: Final = 0.8
POSSIBLE: Final = 0.6
GUESS: Final = 0.4
"""How often what a rule takes for a detail is one: estimates, not measured on calls.

SURE: the form says what it is ("412 Harlan Street", "$4,000", "my name is"). LIKELY: form and words around
it agree. POSSIBLE: only the words around it tell. GUESS: other readings are as good.
"""

Element = dict[str, object]
"""One element of a pattern, see spaCy's documentation of Matcher."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule's pattern matched: `tokens[first:last]` is the detail, the others are around it."""

    tokens: Sequence[Token]
    first: int
    last: int
    cased: bool

    @property
    def part(self) -> Sequence[Token]:
        """The tokens of the detail."""
        return self.tokens[self.first : self.last]

    @property
    def forms(self) -> list[str]:
        """The detail's tokens as the rules see them."""
        return [token.form for token in self.part]

    def before(self, count: int = 1) -> list[str]:
        """The forms of up to `count` tokens right before the detail."""
        return [token.form for token in self.tokens[max(0, self.first - count) : self.first]]

    @property
    def next(self) -> Token | None:
        """The token behind the detail."""
        return self.tokens[self.last] if self.last < len(self.tokens) else None

    def near(self, words: Collection[str], before: int = 10, behind: int = 5) -> bool:
        """Whether one of `words` is among so many tokens of the same sentence."""
        left = self.tokens[max(0, self.first - before) : self.first]
        right = self.tokens[self.last : self.last + behind]
        start = next((at for at in range(len(left), 0, -1) if left[at - 1].kind == "END"), 0)
        end = next((at for at, token in enumerate(right) if token.kind == "END"), len(right))
        return any(token.form in words for token in (*left[start:], *right[:end]))

    @property
    def ends_phrase(self) -> bool:
        """Whether no noun can follow that the detail would only qualify: "at ten", not "at ten offices"."""
        return self.next is None or self.next.kind in ("END", "PUNCT") or self.next.form in _AFTER_A_PHRASE

    @property
    def is_sentence(self) -> bool:
        """Whether the detail is all that is said in its sentence."""
        starts = self.first == 0 or self.tokens[self.first - 1].kind == "END"
        return starts and (self.next is None or self.next.kind == "END")


Reading = Callable[[Found], str | None]
"""Returns the normalised value, None if what was found is no such detail after all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Finds one kind of detail.

    The detail begins with what the pattern's element number `begins` matched, and ends before what number
    `ends` matched (None: at the end).
    """

    kind: EntityKind
    confidence: float
    pattern: tuple[Element, ...]
    reading: Reading
    begins: int = 0
    ends: int | None = None


def one(*words: str, op: str = "") -> Element:
    """One of these words."""
    return _element({"ORTH": {"IN": sorted(words)}}, op)


def among(words: Collection[str], op: str = "") -> Element:
    """One of these words."""
    return one(*words, op=op)


def nearly(*words: str) -> Element:
    """One of these words, give or take a letter."""
    return {"ORTH": {"FUZZY1": {"IN": sorted(words)}}}


def of_class(*kinds: str, op: str = "") -> Element:
    """A token of one of these classes, see `agent.entities.tokens.Token`."""
    return _element({"TAG": {"IN": sorted(kinds)}}, op)


def _element(what: Element, op: str) -> Element:
    return {**what, "OP": op} if op else what


NUM: Final = of_class("NUM")
ORD: Final = of_class("ORD")
COMMA: Final = one(",", op="?")

_AFTER_A_PHRASE: Final = word_set("""
a all am an and are as at be because before but by can come could did do does down cash each everything
for from he good great have how i if in instead is it last later left let may maybe my next not of okay on
or per please pm right sharp she so sound sounds than that the then there they this though to today
tomorrow tonight until was we were when which will with work works would yes you your
""")
