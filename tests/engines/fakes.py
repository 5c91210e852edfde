"""Engines at the port: they work, break, hang or answer nonsense when they are told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from agent.errors import EngineFailed
from agent.speech import Recognition, Speech, SpokenWord, Voice

Behaviour = Callable[[], None]


def works() -> None:
    """Nothing is wrong."""


def fails() -> None:
    raise EngineFailed("out of memory")


def crashes() -> None:
    raise ZeroDivisionError("a bug")


def exits() -> None:
    raise SystemExit(1)


class Hang:
    """Engines that begin to hang here go on when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self._over = threading.Event()

    def __call__(self) -> None:
        self.begun.release()
        self._over.wait()

    def let_go(self) -> None:
        self._over.set()


@contextmanager
def hanging() -> Iterator[Hang]:
    hang = Hang()
    try:
        yield hang
    finally:
        hang.let_go()


class FakeEngine:
    """`behaviour` is what happens before it answers; `asked` counts."""

    model = ""

    def __init__(self, engine: str, behaviour: Behaviour = works, *, remote: bool = False) -> None:
        self.engine = engine
        self.behaviour = behaviour
        self.remote = remote
        self.costs = False
        self.asked = 0
        self.on_threads: set[str] = set()

    def _ask(self) -> None:
        self.asked += 1
        self.on_threads.add(threading.current_thread().name)
        self.behaviour()


class FakeRecogniser(FakeEngine):
    """Understands its own name, or `answer`."""

    answer: object = None

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        self._ask()
        return Recognition(self.engine, 0.9) if self.answer is None else self.answer  # type: ignore[return-value]


class FakeSynthesiser(FakeEngine):
    """Every letter is a hum of 60 ms; or `answer`, whatever the text."""

    answer: object = None

    def synthesise(self, text: str, voice: Voice) -> Speech:
        self._ask()
        return hum(text) if self.answer is None else self.answer  # type: ignore[return-value]


def hum(text: str, rate_hz: int = 16_000) -> Speech:
    """Sound of the length that a text usually has."""
    words = text.split()
    length = 60 * rate_hz // 1_000 * sum(map(len, words))
    samples = (8_000 * np.sin(np.arange(length) * (400 * np.pi / rate_hz))).astype(np.int16)
    spoken, at_ms = [], 0
    for word in words:
        spoken.append(SpokenWord(word, at_ms, at_ms + 60 * len(word)))
        at_ms += 60 * len(word)
    return Speech(samples, rate_hz, tuple(spoken))
