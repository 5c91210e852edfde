"""A real HTTP server on loopback whose answers a test decides, byte for byte."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Asked(BaseHTTPRequestHandler):
    """One connection; `body` is what was posted."""

    protocol_version = "HTTP/1.1"
    body = b""

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        """A whole answer; header names are written with underscores."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


Behaviour = Callable[[Asked], None]


@dataclass
class FakeService:
    """Where the server is, how it answers, and what it saw. `behave` may be changed between requests."""

    behave: Behaviour
    url: str = ""
    asked: list[str] = field(default_factory=list)
    connections: int = 0
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def open_fake_service(behave: Behaviour) -> Iterator[FakeService]:
    """Runs until the end of the block; a behaviour that waits for `closing` is let go then."""
    service = FakeService(behave)

    class Handler(Asked):
        def setup(self) -> None:
            super().setup()
            service.connections += 1

        def do_GET(self) -> None:
            self.serve()

        def do_POST(self) -> None:
            self.body = self.rfile.read(int(self.headers["Content-Length"]))
            self.serve()

        def serve(self) -> None:
            service.asked.append(f"{self.command} {self.path}")
            try:
                service.behave(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield service
        finally:
            service.closing.set()
            server.shutdown()
            serving.join()


def sends(status: int, content: bytes, **headers: str) -> Behaviour:
    """The same answer to whatever is asked."""
    return lambda asked: asked.answer(status, content, **headers)


def breaks_off(content: bytes, **headers: str) -> Behaviour:
    """Promises a longer answer than it sends."""

    def behave(asked: Asked) -> None:
        asked.send_response(200)
        for name, value in headers.items():
            asked.send_header(name.replace("_", "-"), value)
        asked.send_header("Content-Length", str(2 * len(content)))
        asked.end_headers()
        asked.wfile.write(content)
        asked.close_connection = True

    return behave


def never_ends(piece: bytes, **headers: str) -> Behaviour:
    """Sends `piece` again and again, as quickly as it is taken."""

    def behave(asked: Asked) -> None:
        asked.close_connection = True
        asked.send_response(200)
        for name, value in headers.items():
            asked.send_header(name.replace("_", "-"), value)
        asked.end_headers()
        while True:
            asked.wfile.write(piece)

    return behave
