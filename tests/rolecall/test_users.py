"""`rolecall users`: accounts and tokens from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db.database import open_database
from db.users import Account
from rolecall import cli
from tests.db.rows import execute


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path: Path, bare_environment: None, logging_restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / '.rolecall' / 'rolecall.db'}"


def said(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["users", *arguments], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run(["users", *arguments])
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return code, line


def opened_by(url: str, token: str) -> Account | None:
    from datetime import UTC, datetime

    with open_database(url) as database, database.users() as users:
        opened = users.opened_by(token, datetime.now(UTC))
    return opened.account if opened else None


def listed() -> list[dict[str, Any]]:
    document: list[dict[str, Any]] = json.loads(said("list", "--json"))
    return document


def test_an_account_is_made_on_an_empty_machine_and_opened_by_the_token_it_is_given(url: str) -> None:
    assert "rolecall users add" in said("list")
    assert said("add", "Ann Smith", "--role", "supervisor").startswith("Ann Smith is a supervisor")
    token = said("token", "Ann Smith", "--label", "laptop").strip()
    account = opened_by(url, token)
    assert account is not None
    assert (account.name, account.role) == ("Ann Smith", "supervisor")


def test_a_token_is_told_once(url: str, tmp_path: Path) -> None:
    said("add", "ann", "--role", "trainee")
    token = said("token", "ann").strip()
    assert "\n" not in token
    assert token not in said("list") + said("list", "--json")
    assert all(token.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_token_is_good_for_as_long_as_it_was_issued_for(url: str) -> None:
    said("add", "ann", "--role", "trainee")
    token = said("token", "ann", "--days", "1").strip()
    assert opened_by(url, token) is not None
    execute(url, "UPDATE api_tokens SET expires_at = created_at")
    assert opened_by(url, token) is None


def test_revoking_ends_every_token_of_an_account_and_no_other(url: str) -> None:
    for name in ("ann", "bob"):
        said("add", name, "--role", "trainee")
    anns, bobs = [said("token", "ann").strip() for _ in range(2)], said("token", "bob").strip()
    assert said("revoke", "ann") == "2 revoked.\n"
    assert [opened_by(url, token) for token in anns] == [None, None]
    assert opened_by(url, bobs) is not None


def test_accounts_are_listed_for_people_and_for_programs() -> None:
    said("add", "bob", "--role", "admin")
    said("add", "ann", "--role", "trainee")
    said("token", "ann")
    assert said("list").splitlines() == [
        "ann  trainee     tokens 1, never used",
        "bob  admin       tokens 0, never used",
    ]
    ann, bob = listed()
    assert (ann["name"], ann["role"], ann["tokens"], ann["last_used_at"]) == ("ann", "trainee", 1, None)
    assert (bob["name"], bob["role"], bob["tokens"], bob["disabled_at"]) == ("bob", "admin", 0, None)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("add", "ann", "--role", "trainee"), 1, "there is an account 'ann' already"),
        (("add", " ann", "--role", "trainee"), 1, "1 to 80 printable characters"),
        (("add", "bob", "--role", "owner"), 2, "'owner' is not one of"),
        (("add", "bob"), 2, "--role"),
        (("token", "bob"), 1, "there is no account 'bob'"),
        (("token", "ann", "--days", "0"), 2, "--days"),
        (("revoke", "bob"), 1, "there is no account 'bob'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: tuple[str, ...], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said("add", "ann", "--role", "trainee")
    exit_code, line = complaint(capsys, *arguments)
    assert exit_code == code
    assert told in line


def test_a_server_database_without_our_schema_is_told_with_the_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    from tests.postgres import new_database

    with new_database(postgres_url) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        code, line = complaint(capsys, "list")
    assert code == 1
    assert "rolecall migrate" in line
