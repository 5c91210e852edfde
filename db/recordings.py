"""Two-track recordings as WAV files, written by one thread while the calls go on."""

import asyncio
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO, RawIOBase
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import UUID

import numpy as np
import structlog
from numpy.typing import NDArray

from agent.errors import StoreError

CHANNELS: Final = 2
WAITING_LIMIT_BYTES: Final = 64 * 1024 * 1024
WRITE_EVERY_S: Final = 0.25

_FRAME_BYTES: Final = CHANNELS * 2
_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_STOP_S: Final = 10.0
_WAY_OUT: Final = "Choose another place with ROLECALL_HOME"

log = structlog.get_logger(__name__)

OpenFile = Callable[[Path], RawIOBase]


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """A finished recording. `key` is its place in the store (see `Recordings.path`), with forward slashes.

    Left channel: trainee; right: persona. `duration_ms` is on the media clock. Not `complete` means that
    sound is missing: silence stands in its place, and everything else is where it belongs. If the disk
    took nothing at all, there is no file.
    """

    key: str
    rate_hz: int
    duration_ms: int
    complete: bool
    format: str = "wav"
    channels: int = CHANNELS


class Recordings:
    """All recordings of this process; see `open_recordings`.

    `errors` counts writes that failed, `dropped` blocks that found the queue full; both mean silence in a
    recording that is then marked incomplete.
    """

    def __init__(self, folder: Path, open_file: OpenFile, waiting_limit_bytes: int) -> None:
        self.folder = folder
        self.errors = 0
        self.dropped = 0
        self._open_file = open_file
        self._limit = waiting_limit_bytes
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._waiting_bytes = 0
        self._urgent = False
        self._stopping = False
        self._over = False
        self._open: set[RecordingFile] = set()
        self._writer = threading.Thread(target=self._run, name="recordings", daemon=True)
        self._writer.start()

    def create(self, call_id: UUID, rate_hz: int) -> "RecordingFile":
        """A recording that begins at 0 ms of the call. Touches no disk itself, so it may run on the loop.

        Raises StoreError once the store is closed.
        """
        key = f"{datetime.now(UTC):%Y-%m-%d}/{call_id}.wav"
        recording = RecordingFile(self, key, self.path(key), rate_hz)
        with self._changed:
            if self._stopping:
                raise StoreError(f"the recordings in {self.folder} are closed")
            self._open.add(recording)
        return recording

    def path(self, key: str) -> Path:
        """The file of a recording. Raises StoreError for a key that leads out of the store."""
        place = PurePosixPath(key)
        if place.is_absolute() or ".." in place.parts:
            raise StoreError(f"'{key}' is not the key of a recording")
        return self.folder / place

    def _append(self, recording: "RecordingFile", start: int, samples: bytes) -> bool:
        with self._changed:
            if self._waiting_bytes + len(samples) > self._limit:
                self.dropped += 1
                return False
            self._waiting_bytes += len(samples)
            self._jobs.append(_Job(recording, start, samples))
            if len(self._jobs) == 1:
                self._changed.notify()
            return True

    def _close(self, recording: "RecordingFile", *, complete: bool) -> Future[RecordingInfo]:
        closed: Future[RecordingInfo] = Future()
        with self._changed:
            self._open.discard(recording)
            self._jobs.append(_Job(recording, recording.frames, b"", complete, closed))
            self._urgent = True
            self._changed.notify()
        return closed

    def _stop(self) -> None:
        with self._changed:
            self._stopping = True
            unfinished = tuple(self._open)
        for recording in unfinished:
            recording.abandon()
        with self._changed:
            self._over = self._urgent = True
            self._changed.notify()
        self._writer.join(_STOP_S)

    def _run(self) -> None:
        over = False
        while not over:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._over)
                # Small writes of many calls are gathered, unless somebody waits for the end of a file.
                self._changed.wait_for(lambda: self._urgent, timeout=WRITE_EVERY_S)
                jobs, self._jobs = self._jobs, deque()
                self._waiting_bytes, self._urgent, over = 0, False, self._over
            self._work(jobs)

    def _work(self, jobs: "deque[_Job]") -> None:
        runs: dict[RecordingFile, list[_Run]] = {}
        for job in jobs:
            if job.closed is None:
                known = runs.setdefault(job.recording, [])
                if not known or known[-1].end != job.start:
                    known.append(_Run(job.start, job.start))
                known[-1].add(job.samples)
        for recording, known in runs.items():
            for run in known:
                self._write(recording, run)
        for job in jobs:
            if job.closed is not None:
                self._finish(job, job.closed)

    def _write(self, recording: "RecordingFile", run: "_Run") -> None:
        try:
            recording.wav.write(self._open_file, run.start, b"".join(run.parts))
        except OSError as error:
            self._failed(recording, error)

    def _finish(self, job: "_Job", closed: Future[RecordingInfo]) -> None:
        recording = job.recording
        try:
            recording.wav.finish(self._open_file, job.start)
        except OSError as error:
            self._failed(recording, error)
        if closed.set_running_or_notify_cancel():
            closed.set_result(
                RecordingInfo(
                    key=recording.key,
                    rate_hz=recording.rate_hz,
                    duration_ms=recording.duration_ms,
                    complete=job.complete and not recording.damaged,
                )
            )

    def _failed(self, recording: "RecordingFile", error: OSError) -> None:
        self.errors += 1
        if not recording.damaged:
            log.error("recording_failed", key=recording.key, reason=error.strerror or str(error))
        recording.damaged = True


class RecordingFile:
    """The recording of one call while it is made. Used from one thread."""

    def __init__(self, store: Recordings, key: str, path: Path, rate_hz: int) -> None:
        self.key = key
        self.path = path
        self.rate_hz = rate_hz
        self.frames = 0
        self.damaged = False
        self.wav = _Wav(path, rate_hz)
        self._store = store
        self._closed: Future[RecordingInfo] | None = None

    @property
    def duration_ms(self) -> int:
        """How much of the call has been appended."""
        return self.frames * 1_000 // self.rate_hz

    def append(self, frames: NDArray[np.int16]) -> None:
        """Adds the next frames: int16 of shape [n, 2], trainee left, persona right. Never blocks.

        If they cannot be kept, silence takes their place and the recording is marked incomplete.
        """
        assert frames.dtype == np.int16 and frames.ndim == 2 and frames.shape[1] == CHANNELS
        if self._closed is not None:
            raise ValueError("the recording is closed")
        start, self.frames = self.frames, self.frames + len(frames)
        if not self._store._append(self, start, frames.astype("<i2").tobytes()):
            if not self.damaged:
                log.error("recording_failed", key=self.key, reason="the disk is too slow")
            self.damaged = True

    async def close(self) -> RecordingInfo:
        """Ends the recording and returns when it is on the disk."""
        return await asyncio.shield(asyncio.wrap_future(self._end(complete=True)))

    def close_blocking(self, timeout_s: float | None = None) -> RecordingInfo:
        """The same as `close`, off the event loop. Raises TimeoutError."""
        return self._end(complete=True).result(timeout_s)

    def abandon(self) -> None:
        """Ends the recording as incomplete, without waiting for it."""
        self._end(complete=False)

    def _end(self, *, complete: bool) -> Future[RecordingInfo]:
        if self._closed is None:
            self._closed = self._store._close(self, complete=complete)
        return self._closed


@contextmanager
def open_recordings(
    folder: Path, *, open_file: OpenFile | None = None, waiting_limit_bytes: int = WAITING_LIMIT_BYTES
) -> Iterator[Recordings]:
    """A store of recordings in `folder`, which is made if need be. Raises StoreError if it cannot be used.

    `waiting_limit_bytes` bounds the sound that waits for a slow disk. Closing ends open recordings.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"\0")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"recordings cannot be kept in {folder}: {reason}", hint=_WAY_OUT) from error
    recordings = Recordings(folder.resolve(), open_file or _create, waiting_limit_bytes)
    try:
        yield recordings
    finally:
        recordings._stop()


def _create(path: Path) -> FileIO:
    """A new, unbuffered file that only its owner can read."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    return FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "r+")


@dataclass(slots=True)
class _Job:
    """Samples to be written at frame `start`; or, with `closed`, the end of a recording of `start` frames."""

    recording: RecordingFile
    start: int
    samples: bytes
    complete: bool = False
    closed: Future[RecordingInfo] | None = None


@dataclass(slots=True)
class _Run:
    """Samples that follow one another."""

    start: int
    end: int
    parts: list[bytes] = field(default_factory=list)

    def add(self, samples: bytes) -> None:
        self.parts.append(samples)
        self.end += len(samples) // _FRAME_BYTES


class _Wav:
    """A WAV file that is valid after every write: first the samples, then the header that counts them.

    Everything is written at its own place, so after a failed write the next one is still where it belongs;
    what was skipped reads as silence. (`wave` appends, and would shift the rest.)
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._path = path
        self._rate_hz = rate_hz
        self._file: RawIOBase | None = None
        self._frames = 0

    def write(self, open_file: OpenFile, start: int, samples: bytes) -> None:
        """Raises OSError."""
        file = self._opened(open_file)
        _write_at(file, _HEADER.size + start * _FRAME_BYTES, samples)
        self._frames = start + len(samples) // _FRAME_BYTES
        _write_at(file, 0, self._header())

    def finish(self, open_file: OpenFile, frames: int) -> None:
        """Makes the file exactly `frames` long and closes it. Raises OSError."""
        file = self._opened(open_file)
        try:
            file.truncate(_HEADER.size + frames * _FRAME_BYTES)
            self._frames = frames
            _write_at(file, 0, self._header())
            os.fsync(file.fileno())
        finally:
            file.close()

    def _opened(self, open_file: OpenFile) -> RawIOBase:
        if self._file is None:
            file = open_file(self._path)
            try:
                _write_at(file, 0, self._header())
            except OSError:
                file.close()
                self._path.unlink(missing_ok=True)
                raise
            self._file = file
        return self._file

    def _header(self) -> bytes:
        """RIFF/WAVE, 16 bit PCM: IBM and Microsoft, Multimedia Programming Interface 1.0, 1991."""
        data = min(self._frames * _FRAME_BYTES, 0xFFFF_FFFF - _HEADER.size)
        rate, per_second = self._rate_hz, self._rate_hz * _FRAME_BYTES
        form = (b"fmt ", 16, 1, CHANNELS, rate, per_second, _FRAME_BYTES, 16)
        return _HEADER.pack(b"RIFF", data + _HEADER.size - 8, b"WAVE", *form, b"data", data)


def _write_at(file: RawIOBase, place: int, data: bytes) -> None:
    """A raw file may write less than it was given, as when the disk is nearly full."""
    file.seek(place)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) or 0 :]
