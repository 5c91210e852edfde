"""A trainee's words as tokens for rules: lower case, numbers as digits, whatever the recogniser wrote.

"Four twelve, uh, Harlan Street" and "4 12 harlan street" are nearly the same to the rules; each token knows
which part of the text it stands for.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from text_to_num import find_numbers

from agent.entities.lexicon import ABBREVIATED, NOT_NAMES, UNITS
from agent.spoken_tables import word_set

_TOKEN: Final = re.compile(
    r"""
    (?P<EMAIL>[\w.+-]{1,64}@\w[\w-]{0,62}(?:\.\w[\w-]{0,62})+)
    | (?P<CLOCK>[0-9]{1,2}:[0-9]{2}(?![0-9]))
    | (?P<DAY>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?![0-9])|[0-9]{1,2}/[0-9]{1,2}(?:/[0-9]{2,4})?(?![0-9/]))
    | (?P<NUM>[0-9]{1,3}(?:,[0-9]{3}){1,4}(?:\.[0-9]{1,2})?(?!,?[0-9])|[0-9]{1,15}(?:\.[0-9]{1,2}(?![.0-9]))?)
      (?:st|nd|rd|th|[km])?(?![^\W_])
    | (?P<DIGITS>[0-9]+)
    | (?P<MERIDIEM>[ap]\.\s?m\b\.?)
    | (?P<WORD>[^\W\d_]+(?:'[^\W\d_]+)*)
    | (?P<END>[.?!;\n]+)
    | (?P<PUNCT>[,:$€£\#@_])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_APOSTROPHES: Final = str.maketrans("\u2019\u2018\u02bc", "'''")
_FILLERS: Final = word_set("um umm uh uhm erm er hm hmm mm mhm ah")
_ENDINGS: Final = {"n't": "not", "'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
_IS: Final = word_set("""
it that this what who there here he she where how name address number phone email plate price budget house
time age patient caller street apartment offer
""")
_TWO_WORDS: Final = {
    "im": ("i", "am"),
    "hes": ("he", "is"),
    "shes": ("she", "is"),
    "won't": ("will", "not"),
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "gonna": ("going", "to"),
}
_SAID_TWICE: Final = {"double": 2, "triple": 3}
_OH: Final = frozenset({"oh", "o"})
_DIGITS: Final = word_set("zero one two three four five six seven eight nine")
_COUNTED: Final = word_set("""
ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty
sixty seventy eighty ninety hundred thousand
""")
_SCALES: Final = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
CASED_AT_MOST: Final = 0.67
_LONGEST_NUMBER: Final = 6
_BETWEEN: Final = 10
_LONGEST_SCALED: Final = 9
_SUFFIXES: Final = {"k": 1_000, "m": 1_000_000}


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its class, its form for the rules, where it is in the text, and how it was written there.

    Classes: NUM (412, 2.5), ORD (15th), CLOCK (10:30), DAY (3/15, 2026-03-15), SUM (450k), EMAIL, LETTER,
    WORD, STOP (a word of no name), END (of a sentence), PUNCT.
    """

    kind: str
    form: str
    start: int
    end: int
    raw: str

    @property
    def is_capitalised(self) -> bool:
        """Whether the recogniser wrote it with a capital."""
        return self.raw[:1].isupper()


def tokens_of(text: str) -> list[Token]:
    """Returns the tokens of `text` in order, without fillers, with every number as digits."""
    # The apostrophes are of the same length: positions have to stay.
    raw = _raw_tokens(text.translate(_APOSTROPHES))
    return _with_names(_scaled(_numbers(list(_zeros(raw)))))


def titled(words: str) -> str:
    """Writes a name with capitals: "Maria O'Brien", "5th"."""
    return " ".join(map(_capital, words.split()))


def _capital(word: str) -> str:
    if word[1:2] == "'" and len(word) > 3:
        return f"{word[0].upper()}'{word[2].upper()}{word[3:]}"
    return word[:1].upper() + word[1:]


def _raw_tokens(text: str) -> list[Token]:
    found: list[Token] = []
    behind_filler = False
    for match in _TOKEN.finditer(text):
        kind, raw = match.lastgroup or "", match.group()
        if kind == "WORD" and raw.lower() in _FILLERS:
            found = found[:-1] if found and found[-1].form == "," else found
            behind_filler = True
        elif raw != "," or not (behind_filler or (found and found[-1].form == ",")):
            found += _made(match, kind, found[-1] if found else None)
            behind_filler = False
    return found


def _made(match: re.Match[str], kind: str, before: Token | None) -> Iterator[Token]:
    start, end, raw = match.start(), match.end(), match.group()
    form = raw.lower()
    if kind == "NUM":
        yield _number(match)
    elif kind == "DIGITS":
        yield Token("NUM", form, start, end, raw)
    elif kind == "MERIDIEM":
        yield Token("STOP", f"{form[0]}m", start, end, raw)
    elif kind == "WORD":
        yield from _words(form, start, raw)
    elif kind != "END":
        yield Token(kind, form, start, end, raw)
    elif form != "." or before is None or before.form not in ABBREVIATED or before.end != start:
        yield Token("END", form[0].replace("\n", "."), start, end, raw)


def _number(match: re.Match[str]) -> Token:
    digits = match["NUM"].replace(",", "")
    suffix = match.group()[len(match["NUM"]) :].lower()
    if suffix in _SUFFIXES and len(digits) <= _LONGEST_SCALED:
        kind, form = "SUM", _plain(float(digits) * _SUFFIXES[suffix])
    else:
        kind, form = ("ORD" if suffix else "NUM"), digits + suffix
    return Token(kind, form, match.start(), match.end(), match.group())


def _words(form: str, start: int, raw: str) -> Iterator[Token]:
    """One token, or the two of a contraction."""
    first, second, cut = _taken_apart(form)
    yield Token(_class_of(first), first, start, start + cut, raw[:cut])
    if second:
        yield Token(_class_of(second), second, start + cut, start + len(raw), raw[cut:])


def _taken_apart(form: str) -> tuple[str, str, int]:
    if form in _TWO_WORDS:
        first, second = _TWO_WORDS[form]
        return first, second, min(len(first), len(form) - 1)
    base, apostrophe, ending = form.rpartition("'")
    if apostrophe and ending == "s" and base in _IS:
        return base, "is", len(base)
    for short, full in _ENDINGS.items():
        if form.endswith(short) and len(form) > len(short):
            return form.removesuffix(short), full, len(form) - len(short)
    return form, "", len(form)


def _class_of(form: str) -> str:
    if form.removesuffix("'s") in NOT_NAMES:
        return "STOP"
    return "LETTER" if len(form) == 1 else "WORD"


def _zeros(tokens: list[Token]) -> Iterator[Token]:
    """Reads "oh" among digits as a zero, and "double five" as two fives."""
    for at, token in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.form in _OH and _is_zero(tokens[max(0, at - 2) : at], tokens[at + 1 : at + 3]):
            yield replace(token, kind="WORD", form="zero")
        elif token.form in _SAID_TWICE and after is not None and _is_digit(after):
            for _ in range(_SAID_TWICE[token.form] - 1):
                yield replace(after, start=token.start)
        else:
            yield token


def _is_zero(before: Sequence[Token], after: Sequence[Token]) -> bool:
    if before and (_is_digit(before[-1]) or before[-1].form in _COUNTED or before[-1].form in _OH):
        return True
    digits = [_is_digit(token) or token.form in _OH for token in after]
    behind_pause = (
        len(before) == 2 and before[1].form == "," and (_is_digit(before[0]) or before[0].form in _OH)
    )
    return all(digits) and len(digits) == 2 or behind_pause and digits[:1] == [True]


def _is_digit(token: Token) -> bool:
    return token.form in _DIGITS or token.kind == "NUM"


class _Spoken:
    """A token as text2num asks about it."""

    def __init__(self, token: Token, separated: bool) -> None:
        self._token = token
        self._separated = separated

    def text(self) -> str:
        return self._token.form

    def nt_separated(self, previous: "_Spoken") -> bool:
        """Whether it belongs to another number than the word before."""
        return self._separated

    def not_a_number_part(self) -> bool:
        return self._token.kind not in ("WORD", "STOP")


def _numbers(tokens: list[Token]) -> list[Token]:
    """Puts digits for every number in words: "four hundred and five" becomes 405, "fifteenth" 15th."""
    spoken = [_Spoken(token, _starts_afresh(tokens, at)) for at, token in enumerate(tokens)]
    folded: list[Token] = []
    done = 0
    for found in find_numbers(spoken, "en", threshold=0):
        folded += tokens[done : found.start]
        first, last = tokens[found.start], tokens[found.end - 1]
        kind = "ORD" if found.is_ordinal else "NUM"
        raw = " ".join(token.raw for token in tokens[found.start : found.end])
        folded.append(Token(kind, found.text, first.start, last.end, raw))
        done = found.end
    return folded + tokens[done:]


def _starts_afresh(tokens: list[Token], at: int) -> bool:
    """Whether a new number begins at a token that text2num would count to the one before.

    So in "eight hundred | five five five" and in "between four hundred and | six hundred".
    """
    before, following = tokens[max(0, at - 2) : at], tokens[at : at + _LONGEST_NUMBER]
    if not before or not following:
        return False
    if before[-1].form == "hundred":
        return len(following) > 1 and all(token.form in _DIGITS for token in following[:2])
    if before[-1].form != "and":
        return False
    scale = before[0].form
    if scale not in _SCALES or any(token.form == "between" for token in tokens[max(0, at - _BETWEEN) : at]):
        return True
    numerals = takewhile(lambda token: _is_digit(token) or token.form in {*_COUNTED, *_SCALES}, following)
    lower = takewhile(lambda token: _SCALES.get(token.form, 0) <= _SCALES[scale], numerals)
    return any(token.form == scale for token in lower)


def _scaled(tokens: list[Token]) -> list[Token]:
    """Multiplies what was written half in digits: "450 thousand", "2.5 million"."""
    scaled: list[Token] = []
    for token in tokens:
        scale = _SCALES.get(token.raw.lower())
        if scale and scaled and scaled[-1].kind == "NUM" and len(scaled[-1].form) <= _LONGEST_SCALED:
            last = scaled[-1]
            form = _plain(float(last.form) * scale)
            scaled[-1] = Token("NUM", form, last.start, token.end, f"{last.raw} {token.raw}")
        else:
            scaled.append(token)
    return scaled


def is_cased(tokens: Sequence[Token]) -> bool:
    """Whether capitals tell anything: of the words behind the first some have one, and not nearly all."""
    capitals = [token.is_capitalised for token in tokens[1:] if token.kind in ("WORD", "STOP", "LETTER")]
    return 0 < sum(capitals) <= CASED_AT_MOST * len(capitals)


def _with_names(tokens: list[Token]) -> list[Token]:
    """Sees the name in a capital behind one ("Alex Price") and the letter in "apartment a", "3A"."""
    cased = is_cased(tokens)
    named = list(tokens)
    for at in range(1, len(tokens)):
        before, token = named[at - 1], tokens[at]
        if token.kind != "STOP":
            continue
        if len(token.form) > 1:
            is_named = before.kind == "NUM" or (before.kind == "WORD" and before.is_capitalised)
            if cased and is_named and token.is_capitalised:
                named[at] = replace(token, kind="WORD")
        elif before.form in UNITS or (token.raw == "A" and before.kind in ("NUM", "LETTER")):
            named[at] = replace(token, kind="LETTER")
    return named


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() else str(round(number, 2))
