"""An OpenAI-compatible speech-to-text server on this machine, which answers as it is told."""

import email.parser
import email.policy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its path and key, the fields of its form, and the file in it."""

    path: str
    authorization: str | None
    fields: dict[str, str]
    file_name: str
    file: bytes


Reply = tuple[int, bytes]
Answer = Callable[[Asked], Reply]


def said(text: str, **more: object) -> Reply:
    """A proper answer."""
    return 200, json.dumps({"text": text, **more}).encode()


def segment(text: str, avg_logprob: object = -0.1, **more: object) -> dict[str, object]:
    """A segment of a verbose answer."""
    return {"text": text, "avg_logprob": avg_logprob, "no_speech_prob": 0.01, "tokens": [1, 2]} | more


@dataclass(slots=True)
class FakeSpeechServer:
    """`answer` is given each request; until it is set, every answer is an empty text."""

    url: str
    answer: Answer = lambda asked: said("", segments=[])
    asked: list[Asked] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)

    def stall(self, asked: Asked) -> Reply:
        """An answer that comes only when the test is over."""
        self.stalled.wait(30)
        return said("too late")


@contextmanager
def open_fake_speech_server() -> Iterator[FakeSpeechServer]:
    """Listens on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = _read(self)
            fake.asked.append(asked)
            status, body = fake.answer(asked)
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                # The recogniser did not wait for it.
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeSpeechServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.stalled.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _read(request: BaseHTTPRequestHandler) -> Asked:
    body = request.rfile.read(int(request.headers["Content-Length"]))
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    fields: dict[str, str] = {}
    file_name, file = "", b""
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename():
            file_name, file = str(part.get_filename()), content
        else:
            fields[name] = content.decode()
    return Asked(request.path, request.headers["Authorization"], fields, file_name, file)
