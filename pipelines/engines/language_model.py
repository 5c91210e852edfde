"""The language of a few expected sentences as a trigram model in ARPA format."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

_ORDER = 3
_START, _END = "<s>", "</s>"
_LOG10_NEVER = -99.0

Gram = tuple[str, ...]


class TrigramModel:
    """Interpolated Witten-Bell smoothing: what was never seen after a history gets a share that grows with
    the number of different words seen after it (Chen and Goodman, An Empirical Study of Smoothing
    Techniques for Language Modeling, 1998, section 2.5).
    """

    def __init__(self, sentences: Sequence[Sequence[str]]) -> None:
        """Counts `sentences`, each a sequence of words; there must be one word at least."""
        self._counts: list[Counter[Gram]] = [Counter() for _ in range(_ORDER)]
        for words in sentences:
            line = (_START, *words, _END)
            for length, counts in enumerate(self._counts, start=1):
                counts.update(line[at : at + length] for at in range(len(line) - length + 1))
        self._following: dict[Gram, list[str]] = defaultdict(list)
        for counts in self._counts:
            for gram in counts:
                if gram != (_START,):
                    self._following[gram[:-1]].append(gram[-1])
        self._tokens_after = {
            history: sum(self._count((*history, word)) for word in words)
            for history, words in self._following.items()
        }

    def probability(self, gram: Gram) -> float:
        """Of the last word of `gram` after the words before it, in 0..1."""
        history, words = gram[:-1], self._following.get(gram[:-1])
        if words is None:
            return self.probability(gram[1:])
        types, tokens = len(words), self._tokens_after[history]
        # Below the unigrams lies the uniform distribution.
        shorter = self.probability(gram[1:]) if history else 1 / types
        return (self._count(gram) + types * shorter) / (tokens + types)

    def arpa(self) -> str:
        """The model as text, in the format of Paul and Baker 1992 as SRILM's ngram-format(5) defines it."""
        lines = ["\\data\\", *(f"ngram {n}={len(c)}" for n, c in enumerate(self._counts, start=1))]
        for length, counts in enumerate(self._counts, start=1):
            lines += ["", f"\\{length}-grams:"]
            for gram in sorted(counts):
                log = _LOG10_NEVER if gram == (_START,) else math.log10(self.probability(gram))
                backoff = f"\t{math.log10(self._backoff(gram)):.5f}" if length < _ORDER else ""
                lines.append(f"{log:.5f}\t{' '.join(gram)}{backoff}")
        return "\n".join([*lines, "", "\\end\\", ""])

    def _backoff(self, history: Gram) -> float:
        """What the shorter history's probabilities are multiplied with for words not seen after `history`.

        With interpolation that is the share that Witten-Bell keeps for the shorter history.
        """
        words = self._following.get(history)
        return len(words) / (self._tokens_after[history] + len(words)) if words else 1.0

    def _count(self, gram: Gram) -> int:
        return self._counts[len(gram) - 1][gram]
