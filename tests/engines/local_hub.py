"""Model hubs on this machine: one that answers, one that misbehaves, one that never says a word."""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef" * 2 + "01234567"

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Answers one request for a file; is given the file's content."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that a hub has got."""

    path: str
    range: str | None
    authorization: str | None


@dataclass(slots=True)
class LocalHub:
    """`answers` are used up by one request for a file each, then files are sent properly."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def asked_for(self, name: str) -> list[Asked]:
        """The requests for one file, HEAD and listings aside."""
        return [each for each in self.asked if each.path.endswith(f"/{name}")]


def listing(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What the API tells of a repository with `?blobs=true`; text is kept by git, the rest by LFS."""
    siblings: list[dict[str, Any]] = []
    for name, content in files.items():
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"rfilename": name, "size": len(content), "blobId": blob}
        if not name.endswith((".json", ".txt", ".md")):
            entry["lfs"] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 134,
            }
        siblings.append(entry)
    return {"id": "owner/name", "sha": COMMIT, "siblings": siblings}


def send(handler: BaseHTTPRequestHandler, content: bytes, *, until: int | None = None) -> None:
    """Sends a file or the range of it that is asked for; the line breaks before byte `until` of the file."""
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    start = int(asked[1]) if asked else 0
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:until])


def broken_off(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Half of the file, then the line breaks."""
    send(handler, content, until=len(content) // 2)


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    """The same answer whatever is asked for; `headers` with _ for -."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@contextmanager
def open_faulty_hub(
    files: Mapping[str, bytes], *answers: Answer, told: Mapping[str, bytes] | None = None
) -> Iterator[LocalHub]:
    """Serves `files`, by "owner/name/file", and lists `told` instead where that is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append(Asked(path, self.headers["Range"], self.headers["Authorization"]))
            if repository := re.fullmatch(r"/api/models/(.+)/revision/main", path):
                prefix = f"{repository[1]}/"
                found = {
                    name.removeprefix(prefix): content
                    for name, content in (told or files).items()
                    if name.startswith(prefix)
                }
                send(self, json.dumps(listing(found)).encode())
            elif (content := files.get(path[1:].replace(f"/resolve/{COMMIT}/", "/"))) is None:
                self.send_error(404)
            else:
                answer = hub.answers.pop(0) if hub.answers else send
                with suppress(ConnectionError):
                    answer(self, content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub = LocalHub(f"http://127.0.0.1:{server.server_port}", list(answers))
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield hub
        finally:
            server.shutdown()
            serving.join()


@contextmanager
def open_hub(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serves `files`, by "owner/name/file". Yields its address."""
    with open_faulty_hub(files) as hub:
        yield hub.url


@contextmanager
def open_raw_server(answer: bytes) -> Iterator[str]:
    """Sends `answer` to whoever connects, whatever they ask, and closes. Yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            serving.join()


@contextmanager
def open_silent_hub() -> Iterator[str]:
    """Takes connections and never says a word, as a proxy without a network behind it does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def address_of_no_hub() -> str:
    """Where connections are refused."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"
