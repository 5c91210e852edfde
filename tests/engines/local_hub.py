"""A model hub on this machine: one that answers, one that never does, and an address where none is."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def open_hub(files: Mapping[str, bytes], *, broken_off: bool = False) -> Iterator[str]:
    """Serves `files`, by "owner/name/file"; `broken_off` ends each of them half-way. Yields its address."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            repository = self.path.removeprefix("/api/models/")
            if repository != self.path:
                names = [
                    path.removeprefix(f"{repository}/") for path in files if path.startswith(f"{repository}/")
                ]
                self.answer(json.dumps({"siblings": [{"rfilename": name} for name in names]}).encode())
            elif (content := files.get(self.path[1:].replace("/resolve/main/", "/"))) is not None:
                self.answer(content)
            else:
                self.send_error(404)

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if broken_off else content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
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
