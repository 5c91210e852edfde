"""deploy/coqui's own server with a speaker that needs no model, on a socket, in a thread."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import uvicorn
from numpy.typing import NDArray

from deploy.coqui.server import Limits, Speaker, create_app

TOKEN = "token-of-the-tests"


@dataclass
class FakeSpeaker:
    """Says a word with a tone of 0.1 s, after and before a silence; `go_on` keeps it waiting."""

    model: str = "vctk"
    rate_hz: int = 22_050
    voices: tuple[str, ...] = ("p225", "p226")
    languages: tuple[str, ...] = ("en",)
    said: list[tuple[str, str, str, float]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    go_on: threading.Event = field(default_factory=threading.Event)
    sound: Callable[[NDArray[np.float32]], NDArray[np.float32]] = staticmethod(lambda sound: sound)

    def __post_init__(self) -> None:
        self.go_on.set()

    def speak(self, text: str, voice: str, language: str, rate: float) -> NDArray[np.float32]:
        """As the port says."""
        self.said.append((text, voice, language, rate))
        self.threads.add(threading.get_ident())
        self.go_on.wait()
        size = int(self.rate_hz * 0.1 * len(text.split()) / rate)
        tone = 0.5 * np.sin(np.arange(size) * 2 * np.pi * 440 / self.rate_hz)
        silence = np.zeros(self.rate_hz // 5)
        return self.sound(np.concatenate([silence, tone, silence]).astype(np.float32))


@contextmanager
def open_server(
    load: Callable[[], Speaker],
    limits: Limits | None = None,
    token: str = "",
    on_broken: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Yields its address as soon as it answers; the model may still be loading."""
    app = create_app(load, limits or Limits(), token, on_broken)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        serving.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            serving.join()


def until(true: Callable[[], bool]) -> None:
    """Returns once it is true; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.005)
