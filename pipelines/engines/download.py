"""One file from a web server: resumed, limited in time and length, verified, and never half there."""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import filelock
import httpx

from agent.errors import EngineUnavailable

T = TypeVar("T")
WEB_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError)
"""What a request ends in where the other side is away or does not speak HTTP properly."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a server is waited for, and how often it is asked again after it broke off.

    Less than `least_bytes` within `stalled_after_s` count as nothing. `answer_s` is from the request to the
    end of the headers, name resolution and redirects included. So many `attempts` in a row may bring less
    than a MiB; between them there is a pause, which doubles.
    """

    answer_s: float = 20.0
    stalled_after_s: float = 10.0
    least_bytes: int = 16_384
    attempts: int = 4
    pause_s: float = 1.0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the hub lists it: `sha256` of its content, or else `git_sha1`, git's name of the blob."""

    url: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


class Cancelled(EngineUnavailable):
    """The download was called off; what has arrived is kept."""

    code = "cancelled"


class _Broke(Exception):
    """This attempt failed in a way that the next one may not."""


def download(
    client: httpx.Client,
    file: RemoteFile,
    target: Path,
    *,
    on_bytes: Callable[[int], None],
    cancelled: threading.Event,
    limits: Limits,
) -> None:
    """Brings `file` to `target`, which appears only once it is whole and its checksum is right. Blocking.

    `target`.part keeps what has arrived, also for later runs, and is resumed with a Range; it must never be
    used for another `file`. (If-Range would not do: the hub redirects to hosts whose ETags are their own.)
    `on_bytes` is told how many bytes there are by now.

    Raises:
        EngineUnavailable: the server has it not, or not properly; Cancelled; or a checksum is wrong.
        OSError: the disk.
    """
    if target.exists():
        on_bytes(file.size)
        return
    part = target.with_name(f"{target.name}.part")
    left, best, why = limits.attempts, _kept(part, file), ""
    while left > 0:
        try:
            _attempt(client, file, part, on_bytes, cancelled, limits)
            break
        except (_Broke, httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
            why = str(error) or type(error).__name__
        except WEB_ERRORS as error:
            raise EngineUnavailable(f"{file.url} cannot be downloaded: {error}") from error
        left -= 1
        if (now := _kept(part, file)) >= best + 2**20:
            left, best = limits.attempts, now
        if left and cancelled.wait(limits.pause_s * 2.0 ** (limits.attempts - 1 - left)):
            raise Cancelled(f"{file.url} was called off")
    else:
        raise EngineUnavailable(f"{file.url} cannot be downloaded: {why}", hint=_KEPT)
    _verify(file, part)
    part.replace(target)


_KEPT = "Try again later: what has arrived is kept"


def _kept(part: Path, file: RemoteFile) -> int:
    try:
        size = part.stat().st_size
    except FileNotFoundError:
        return 0
    if size > file.size:
        part.unlink()
        return 0
    return size


def _attempt(
    client: httpx.Client,
    file: RemoteFile,
    part: Path,
    on_bytes: Callable[[int], None],
    cancelled: threading.Event,
    limits: Limits,
) -> None:
    have = _kept(part, file)
    if have == file.size and part.exists():
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    request = client.build_request("GET", file.url, headers=headers)
    response = within(limits.answer_s, lambda: client.send(request, stream=True))
    # Unbuffered: whatever ends this process, the part keeps what has arrived.
    with _closing(response), part.open("ab", buffering=0) as out:
        if (at := _first_byte(response, file, have)) is None:
            out.truncate(0)
            raise _Broke(f"it does not go on at byte {have} (status {response.status_code})")
        out.truncate(at)
        since, came = time.monotonic(), 0
        for chunk in response.iter_raw():
            if cancelled.is_set():
                raise Cancelled(f"{file.url} was called off")
            if at + len(chunk) > file.size:
                out.truncate(0)
                raise EngineUnavailable(f"{file.url} does not end after its {file.size} bytes")
            _write(out.fileno(), chunk)
            at, came = at + len(chunk), came + len(chunk)
            on_bytes(at)
            if time.monotonic() - since >= limits.stalled_after_s:
                if came < limits.least_bytes:
                    raise _Broke(f"only {came} bytes came in {limits.stalled_after_s:g} s")
                since, came = time.monotonic(), 0
    if at != file.size:
        raise _Broke(f"it broke off at {at} of {file.size} bytes")


def _first_byte(response: httpx.Response, file: RemoteFile, have: int) -> int | None:
    """Where in the file the body begins: a server may send all of it although a range was asked for.

    None if it sends another range than that, or none.
    """
    status, told = response.status_code, response.headers
    if status == 416:
        return None
    if status in (408, 425, 429) or status >= 500:
        raise _Broke(f"it answered {status}")
    if status in (401, 403):
        raise EngineUnavailable(f"{file.url} is refused ({status})", hint="Set HF_TOKEN if it needs one")
    if status not in (200, 206) or told.get("Content-Encoding", "identity") != "identity":
        raise EngineUnavailable(f"{file.url} cannot be downloaded: the server answered {status}")
    start = have if status == 206 else 0
    if status == 206 and not re.fullmatch(
        rf"bytes {have}-{file.size - 1}/({file.size}|\*)", told.get("Content-Range", "").strip()
    ):
        return None
    length = told.get("Content-Length")
    if length is not None and length != str(file.size - start):
        what = told.get("Content-Type", "something").partition(";")[0][:80]
        raise EngineUnavailable(
            f"{file.url} cannot be downloaded: the server answers with {length[:20]} bytes of {what!r}, "
            f"not with {file.size - start}"
        )
    return start


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _verify(file: RemoteFile, part: Path) -> None:
    """What is on the disk counts, not what passed by."""
    with part.open("rb") as content:
        if file.sha256:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        else:
            blob = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
            found = hashlib.file_digest(content, lambda: blob).hexdigest()
        os.fsync(content.fileno())
    if found != (file.sha256 or file.git_sha1):
        part.unlink()
        kind = "sha256" if file.sha256 else "git sha1"
        raise EngineUnavailable(
            f"{file.url} does not have the checksum that the hub tells: its {kind} is {found}",
            hint="Try again; if it stays so, the mirror or a proxy alters files",
        )


@contextmanager
def _closing(response: httpx.Response) -> Iterator[None]:
    try:
        yield
    finally:
        response.close()


def within(limit_s: float, work: Callable[[], T]) -> T:
    """Runs `work` and returns its result. Raises what it raises, and httpx.ReadTimeout if it takes longer.

    Time-outs of a socket end neither name resolution nor headers that drip in byte by byte; a thread that is
    left behind does.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 the boundary of the thread: raised again in the caller's
            errors.append(error)

    thread = threading.Thread(target=run, name="hub request", daemon=True)
    thread.start()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not results:
        raise httpx.ReadTimeout(f"no answer within {limit_s:g} s")
    return results[0]


@contextmanager
def alone(lock: Path, watched: Path, *, cancelled: threading.Event, patience_s: float) -> Iterator[None]:
    """Keeps other processes and threads out; waits for them as long as the folder `watched` grows.

    The lock is the operating system's (flock), so that it ends with its process. Raises EngineUnavailable.
    """
    held = filelock.FileLock(lock)
    size, changed = -1, time.monotonic()
    while not held.is_locked:
        try:
            held.acquire(timeout=0.2)
        except filelock.Timeout:
            if cancelled.is_set():
                raise Cancelled(f"waiting for {lock} was called off") from None
            if (now := _size(watched)) != size:
                size, changed = now, time.monotonic()
            elif time.monotonic() - changed > patience_s:
                raise EngineUnavailable(
                    f"another process holds {lock} and downloads nothing", hint="End it, or try again later"
                ) from None
    try:
        yield
    finally:
        held.release()


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
