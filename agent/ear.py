"""Makes a model's stream of text fit to be spoken: words only, and not too many of them."""

import re
import unicodedata

MAX_WORDS = 45
MAX_SENTENCES = 3
_HARD_MAX_WORDS = 60
_LONGEST_ASIDE_WORDS = 14
_THOUGHT = "</think>"

_CLOSES = {"(": ")", "[": "]", "{": "}", "*": "*"}
_MARKUP = re.compile(r"[*_~`#|<>\\^=(){}\[\]\"\u201c\u201d\u00ab\u00bb]+")
_BULLET = re.compile(r"^(?:[-\u2022\u2013*+]+|\d{1,2}[.)])$")
_CLAUSE_END = re.compile(r"[,;:.?!\u2026\u2013\u2014-]+['\u2019]?$")
_SENTENCE_END = re.compile(r"[.?!\u2026]+['\u2019]?$")
_ABBREVIATIONS = frozenset(
    ("dr.", "mr.", "mrs.", "ms.", "st.", "a.m.", "p.m.", "e.g.", "i.e.", "u.s.", "vs.")
)
_OWN_LABELS = ("persona", "assistant", "me")
_OTHER_LABELS = ("caller", "trainee", "user", "human", "you", "system", "note")


class SpokenWords:
    """Takes text in pieces of any size and returns what of it is to be spoken, sans IO.

    Left out: stage directions (*sighs*, (laughs), [pause]), thoughts between think tags, markup, list
    marks, emoji, quotation marks, the persona's name as a label. The reply ends (`done`) with the third
    sentence, with the first clause after 45 words, or where the model goes on with the other party's part.
    Pieces are single words, each but the first with a space before it; `finish` closes the last sentence.
    """

    def __init__(self, persona_name: str) -> None:
        name = persona_name.casefold()
        self._own = {tuple(label.split()) for label in (name, name.split()[0], *_OWN_LABELS)}
        self._other = {(label,) for label in _OTHER_LABELS}
        self._partial = ""
        self._line_start = True
        self._label: list[str] = []
        self._aside: list[str] = []
        self._closes = ""
        self._last = ""
        self._words = 0
        self._sentences = 0
        self.done = False

    @property
    def empty(self) -> bool:
        """Nothing has been spoken yet."""
        return not self._last

    def feed(self, text: str) -> str:
        """Returns what can be spoken now; a word is held back until it is known to be whole."""
        pieces = re.split(r"(\s+)", self._partial + text)
        self._partial = pieces.pop()
        spoken = ""
        for piece in pieces:
            if piece.strip():
                spoken += self._word(piece)
                self._line_start = False
            elif "\n" in piece:
                spoken += self._release_label()
                self._line_start = True
        return spoken

    def finish(self) -> str:
        """Returns the rest; what was spoken then ends as a sentence does, unless it is empty."""
        spoken = self.feed("\n")
        held, self._aside, thinking = self._aside, [], self._closes == _THOUGHT
        self._closes = ""
        if not thinking:
            spoken += "".join(self._plain(word) for word in held)
        if not self.done and self._last and not _SENTENCE_END.search(self._last):
            spoken += "."
        self.done = True
        return spoken

    def _word(self, word: str) -> str:
        if self.done:
            return ""
        if self._closes:
            return self._in_aside(word)
        if "<think>" in word.casefold():
            self._closes = _THOUGHT
            return self._in_aside(word)
        opener = word.lstrip("\"'\u201c_")[:1]
        if opener in _CLOSES and not word.startswith("**") and word.strip("*"):
            self._closes = _CLOSES[opener]
            return self._in_aside(word, start=word.index(opener) + 1)
        return self._at_line_start(word) if self._line_start or self._label else self._plain(word)

    def _in_aside(self, word: str, start: int = 0) -> str:
        end = word.casefold().find(self._closes, start)
        if end >= 0:
            rest = word[end + len(self._closes) :]
            self._aside, self._closes = [], ""
            return self._word(rest) if rest.strip(".,;:!?*_") else ""
        if self._closes == _THOUGHT:
            return ""
        self._aside.append(word)
        if len(self._aside) <= _LONGEST_ASIDE_WORDS:
            return ""
        held, self._aside, self._closes = self._aside, [], ""
        return "".join(self._plain(each) for each in held)

    def _at_line_start(self, word: str) -> str:
        if not self._label and _BULLET.match(word):
            return ""
        self._label.append(word)
        label = tuple(_MARKUP.sub("", each).rstrip(":").casefold() for each in self._label)
        if _MARKUP.sub("", word).endswith(":"):
            if label in self._own:
                self._label = []
                return ""
            if label in self._other:
                self._label = []
                self.done = not self.empty
                return self._close() if self.done else ""
        elif any(label == own[: len(label)] and label != own for own in self._own):
            return ""
        return self._release_label()

    def _release_label(self) -> str:
        held, self._label = self._label, []
        return "".join(self._plain(word) for word in held)

    def _plain(self, word: str) -> str:
        spoken = "".join(char for char in _MARKUP.sub("", word) if _is_spoken(char)).strip()
        if self.done or not any(char.isalnum() for char in spoken):
            return ""
        space = " " if self._last else ""
        self._last = spoken
        self._words += 1
        if _SENTENCE_END.search(spoken) and spoken.casefold() not in _ABBREVIATIONS:
            self._sentences += 1
            self.done = self._sentences >= MAX_SENTENCES or self._words >= MAX_WORDS
        elif self._words >= _HARD_MAX_WORDS or (self._words >= MAX_WORDS and _CLAUSE_END.search(spoken)):
            self.done = True
            spoken = _CLAUSE_END.sub("", spoken) + "."
        return space + spoken

    def _close(self) -> str:
        return "" if _SENTENCE_END.search(self._last) else "."


def _is_spoken(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LNP" or category in ("Sc", "Sm", "Mn", "Mc") and char != "\ufe0f"
