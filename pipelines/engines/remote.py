"""Engines in other processes: requests within limits, answers that are not trusted to be short or to end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from agent.errors import EngineFailed, EngineTimedOut

CONNECT_WITHIN_S = 1.0
CONNECTIONS = 64
KEPT_FOR_S = 60.0


File = tuple[str, bytes, str]
"""A file of a form: its name, its content, its media type."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def media_type(self) -> str:
        """Such as `audio/pcm`, without parameters."""
        return str(self.headers.get("content-type", "")).split(";")[0].strip().lower()


class Remote:
    """One engine's HTTP service; thread-safe, connections are kept and reused."""

    def __init__(self, client: httpx.Client, name: str, within_s: float) -> None:
        """`name` is what errors call it; `within_s` is how long one answer may take as a whole."""
        self.name = name
        self._client = client
        self._within_s = within_s

    def get(self, path: str, *, at_most_bytes: int) -> Answer:
        """Raises EngineTimedOut, and EngineFailed if there is no answer or one over `at_most_bytes`."""
        return self._ask("GET", path, at_most_bytes, {})

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        at_most_bytes: int,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends `body` as JSON; otherwise as `get`."""
        return self._ask("POST", path, at_most_bytes, {"json": dict(body), "params": query})

    def post_form(
        self, path: str, fields: Mapping[str, str], files: Mapping[str, File], *, at_most_bytes: int
    ) -> Answer:
        """Sends a form with files (multipart/form-data); otherwise as `get`."""
        return self._ask("POST", path, at_most_bytes, {"data": dict(fields), "files": dict(files)})

    def _ask(self, method: str, path: str, at_most_bytes: int, extra: Mapping[str, Any]) -> Answer:
        deadline = time.monotonic() + self._within_s
        try:
            with self._client.stream(method, path, **extra) as response:
                body = self._read(response, at_most_bytes, deadline)
                return Answer(response.status_code, response.headers, body)
        except httpx.TimeoutException as error:
            raise self._late() from error
        except httpx.HTTPError as error:
            # What breaks HTTP is quoted by the library, and could be anything.
            reason = str(error) if isinstance(error, httpx.NetworkError) else type(error).__name__
            raise EngineFailed(f"{self.name} broke the connection: {reason}") from error

    def _read(self, response: httpx.Response, at_most_bytes: int, deadline: float) -> bytes:
        """Reads what is sent as it is: compressed answers are not asked for, and could grow without limit."""
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > at_most_bytes:
                raise EngineFailed(f"{self.name} sends more than {at_most_bytes} bytes")
            if time.monotonic() > deadline:
                raise self._late()
        return bytes(body)

    def _late(self) -> EngineTimedOut:
        return EngineTimedOut(f"{self.name} has not answered within {self._within_s:g} s")


def is_sendable(secret: str) -> bool:
    """Whether it can stand in a header: printable ASCII without spaces."""
    return secret.isascii() and secret.isprintable() and " " not in secret


@contextmanager
def open_remote(url: str, name: str, within_s: float, headers: Mapping[str, str]) -> Iterator[Remote]:
    """Connects to `url` at the first request; proxies of the environment and redirects are not followed.

    A request gives up after `within_s` without a byte and, once its answer has begun, at the first byte
    after `within_s` in all.
    """
    with httpx.Client(
        base_url=url,
        headers={**headers, "Accept-Encoding": "identity"},
        trust_env=False,
        timeout=httpx.Timeout(within_s, connect=min(CONNECT_WITHIN_S, within_s)),
        limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEPT_FOR_S),
    ) as client:
        yield Remote(client, name, within_s)
