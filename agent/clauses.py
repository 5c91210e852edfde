"""Cuts a reply that is still being worded into clauses that can already be spoken."""

import re
from typing import Final

_END_OF_CLAUSE: Final = re.compile(
    r"""(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)(?<!\bSt)[.!?…]+["')\]]*\s|[,;:—]\s"""
)
_TOO_LONG: Final = 180


class Clauses:
    """Takes pieces of text as they come and gives back whole clauses.

    The first clause may be short, because the trainee is waiting for it; the ones after it are cut at ends
    of sentences, because a voice reads whole sentences better. A text without punctuation is cut at a space.
    """

    def __init__(self, *, shortest_first: int = 12) -> None:
        self._shortest_first = shortest_first
        self._text = ""
        self._first = True

    def feed(self, piece: str) -> list[str]:
        """Adds `piece`; returns the clauses that are complete by now."""
        self._text += piece
        clauses = []
        while (cut := self._cut()) is not None:
            clause, self._text = self._text[:cut].strip(), self._text[cut:].lstrip()
            if clause:
                clauses.append(clause)
                self._first = False
        return clauses

    def rest(self) -> list[str]:
        """The reply is over: returns what is left of it, if anything."""
        clause, self._text = self._text.strip(), ""
        return [clause] if clause else []

    def _cut(self) -> int | None:
        for end in _END_OF_CLAUSE.finditer(self._text):
            sentence = self._text[end.start()] not in ",;:—"
            if sentence or (self._first and end.start() >= self._shortest_first):
                return end.end()
        if len(self._text) > _TOO_LONG:
            space = self._text.rfind(" ", 0, _TOO_LONG)
            return space + 1 if space > 0 else _TOO_LONG
        return None
