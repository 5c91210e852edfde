"""Which of several languages a trainee speaks, decided from a recogniser's probabilities."""

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from agent.errors import ConfigError

ENOUGH_SPEECH_S: Final = 1.5
"""Shorter utterances ("hello?", a name) sound alike in many languages."""
_SURE: Final = 0.8
_UTTERANCES_AT_MOST: Final = 3
"""So many utterances without a sure one, and their mean decides."""
_STRONG: Final = 0.95
_STRONG_UTTERANCES: Final = 2
"""A language that was decided on gives way to one of this probability in so many utterances in a row."""


class LanguageChoice:
    """The language of one call, out of `allowed` (ISO 639, the likeliest first). Thread-safe.

    An eager recogniser hears an utterance several times, longer each time: what is said of one `utterance`
    counts once, by its latest probabilities.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        if not allowed:
            raise ConfigError("a call needs a language", hint="Set the scenario's language")
        self.allowed = tuple(dict.fromkeys(allowed))
        self._lock = threading.Lock()
        self._decided = self.allowed[0] if len(self.allowed) == 1 else ""
        self._evidence: dict[object, dict[str, float]] = {}

    @property
    def decided(self) -> str:
        """The language that the call is in; "" as long as that is open."""
        return self._decided

    @property
    def is_open(self) -> bool:
        """Whether `hear` can still change anything."""
        return len(self.allowed) > 1

    def hear(self, probabilities: Mapping[str, float], speech_s: float, utterance: object) -> str:
        """Takes a model's probabilities of an utterance; returns the language to understand it in.

        Languages that are not allowed share nothing: the allowed ones are weighed against each other.
        """
        with self._lock:
            weighed = self._weighed(probabilities)
            if speech_s >= ENOUGH_SPEECH_S and weighed:
                self._evidence.pop(utterance, None)
                self._evidence[utterance] = weighed
                self._decide()
            return self._decided or max(weighed, key=weighed.__getitem__, default=self.allowed[0])

    def _weighed(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        allowed = {language: probabilities.get(language, 0.0) for language in self.allowed}
        total = sum(allowed.values())
        # Also false for NaN.
        return {language: each / total for language, each in allowed.items()} if total > 0.0 else {}

    def _decide(self) -> None:
        latest = list(self._evidence.values())
        best = _best(latest[-1])
        if self._decided:
            recent = latest[-_STRONG_UTTERANCES:]
            if len(recent) == _STRONG_UTTERANCES and all(one[best] >= _STRONG for one in recent):
                self._decided = best
        elif latest[-1][best] >= _SURE:
            self._decided = best
        elif len(latest) >= _UTTERANCES_AT_MOST:
            self._decided = _best({name: sum(one[name] for one in latest) for name in self.allowed})
        for old in list(self._evidence)[:-_UTTERANCES_AT_MOST]:
            del self._evidence[old]


def _best(weights: Mapping[str, float]) -> str:
    return max(weights, key=weights.__getitem__)
