"""Engines that stand in for each other in mid-call."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.errors import EngineFailed
from agent.speech import Recogniser, Recognition, Speech, Synthesiser, Voice


class _Engine(Protocol):
    engine: str
    model: str


E = TypeVar("E", bound=_Engine)
T = TypeVar("T")

OnBroke = Callable[[str, str, str], None]
"""Called with the engine that broke, the error's code, and the engine that takes over ("" if none)."""


class _Fallback(Generic[E]):
    """One call's engines, best first. The one that served last serves next; a broken one is not tried again.

    `engine` and `model` are those of the engine that serves now.
    """

    def __init__(self, engines: Sequence[E], on_broke: OnBroke) -> None:
        """`on_broke` is called in the thread that noticed, once for each engine that breaks."""
        assert engines, "somebody has to do the work"
        self._rungs = list(engines)
        self._on_broke = on_broke
        self._stepping = threading.Lock()
        self.engine = self._rungs[0].engine
        self.model = self._rungs[0].model

    def give_up(self, code: str) -> bool:
        """Hands over to the next engine although nothing was raised: the serving one took too long.

        Returns whether there is a next one; the last engine stays.
        """
        return self._step(self._rungs[0], code)

    def _first_that_works(self, work: Callable[[E], T]) -> T:
        while True:
            serving = self._rungs[0]
            try:
                return work(serving)
            except EngineFailed as error:
                if not self._step(serving, error.code):
                    raise

    def _step(self, broken: E, code: str) -> bool:
        with self._stepping:
            if broken is not self._rungs[0]:
                return True
            if len(self._rungs) > 1:
                del self._rungs[0]
                self.engine, self.model = self._rungs[0].engine, self._rungs[0].model
            taking_over = self._rungs[0] if self._rungs[0] is not broken else None
        self._on_broke(broken.engine, code, taking_over.engine if taking_over else "")
        return taking_over is not None


class FallbackRecogniser(_Fallback[Recogniser]):
    """A Recogniser that goes on with the next engine where one fails."""

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """As the engine that serves. Raises EngineFailed if the last one fails."""
        return self._first_that_works(lambda recogniser: recogniser.recognise(audio))


class FallbackSynthesiser(_Fallback[Synthesiser]):
    """A Synthesiser that goes on with the next engine where one fails."""

    def synthesise(self, text: str, voice: Voice) -> Speech:
        """As the engine that serves. Raises EngineFailed if the last one fails."""
        return self._first_that_works(lambda synthesiser: synthesiser.synthesise(text, voice))
