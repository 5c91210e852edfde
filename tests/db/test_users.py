"""Accounts, their tokens, and whose call a call was."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.account import Role
from agent.errors import AccountError
from db.database import Database, open_database
from db.errors import RecordRefused
from db.models import new_id
from db.users import Account
from tests.db.history import started
from tests.db.rows import execute, rows

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with open_database(database_url) as database:
        yield database


def add(database: Database, name: str, role: Role = Role.TRAINEE) -> Account:
    with database.users() as users:
        return users.add(name, role, NOW)


def issue(database: Database, account: Account, expires_at: datetime | None = None) -> str:
    with database.users() as users:
        return users.issue_token(account, "laptop", NOW, expires_at)


def opens(database: Database, token: str, now: datetime = NOW) -> Account | None:
    with database.users() as users:
        opened = users.opened_by(token, now)
    return opened.account if opened else None


def test_an_account_is_found_by_its_name(database: Database) -> None:
    account = add(database, "Ann Smith", Role.SUPERVISOR)
    assert account == Account(account.id, "Ann Smith", Role.SUPERVISOR, NOW, None)
    with database.users() as users:
        assert users.find("Ann Smith") == account
        with pytest.raises(AccountError, match="no account 'ann smith'"):
            users.find("ann smith")


def test_a_name_is_taken_once(database: Database) -> None:
    add(database, "Ann")
    with pytest.raises(AccountError, match="'Ann' already"):
        add(database, "Ann", Role.ADMIN)


@pytest.mark.parametrize("name", ["", " Ann", "Ann ", "An\nn", "An\0n", "x" * 81])
def test_a_name_that_cannot_be_typed_is_none(database: Database, name: str) -> None:
    with pytest.raises(AccountError, match="1 to 80 printable characters"):
        add(database, name)


def test_a_role_is_one_of_four(database: Database, database_url: str) -> None:
    add(database, "Ann")
    with pytest.raises(Exception, match="role_known"):
        execute(database_url, "UPDATE users SET role = 'owner'")


def test_a_token_is_long_never_alike_and_only_its_digest_is_kept(
    database: Database, database_url: str
) -> None:
    account = add(database, "Ann")
    tokens = {issue(database, account) for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= len("rolecall_") + 43  # 256 bits in base64
    assert all(token.startswith("rolecall_") for token in tokens)
    kept = rows(database_url, "api_tokens")
    assert {bytes(row["digest"]) for row in kept} == {
        hashlib.sha256(token.encode()).digest() for token in tokens
    }
    assert not any(token in str(kept) for token in tokens)


def test_a_token_opens_its_account_until_it_ends(database: Database) -> None:
    account = add(database, "Ann")
    forever, for_a_while = issue(database, account), issue(database, account, LATER)
    other = issue(database, add(database, "Bob"))
    assert opens(database, forever, LATER) == opens(database, for_a_while) == account
    assert opens(database, for_a_while, LATER) is None
    assert opens(database, other) != account
    for wrong in ("", "rolecall_", forever[:-1], f"{forever} ", "\ud800", "a\0b"):
        assert opens(database, wrong) is None


def test_a_token_that_was_revoked_opens_nothing_others_do(database: Database) -> None:
    ann, bob = add(database, "Ann"), add(database, "Bob")
    tokens, bobs = [issue(database, ann) for _ in range(2)], issue(database, bob)
    with database.users() as users:
        assert users.revoke_tokens(ann, NOW) == 2
        assert users.revoke_tokens(ann, NOW) == 0
    assert [opens(database, token) for token in (*tokens, bobs)] == [None, None, bob]
    assert opens(database, issue(database, ann)) == ann


def test_a_disabled_account_has_no_tokens_and_gets_none(database: Database, database_url: str) -> None:
    account = add(database, "Ann")
    token = issue(database, account)
    execute(database_url, "UPDATE users SET disabled_at = created_at")
    assert opens(database, token) is None
    with pytest.raises(AccountError, match="'Ann' is disabled"):
        issue(database, replace(account, disabled_at=NOW))


def test_accounts_are_listed_with_the_tokens_that_work(database: Database) -> None:
    ann, bob = add(database, "Ann"), add(database, "Bob", Role.ADMIN)
    used, _, expired = issue(database, ann), issue(database, ann), issue(database, ann, NOW)
    assert opens(database, expired) is None
    with database.users() as users:
        opened = users.opened_by(used, NOW)
        assert opened is not None and opened.stale
        users.used(opened.token_id, NOW)
        again = users.opened_by(used, NOW + timedelta(minutes=1))
        assert again is not None and not again.stale
        listed = users.list(NOW)
    assert [(each.id, each.name, each.role, each.tokens, each.last_used_at) for each in listed] == [
        (ann.id, "Ann", Role.TRAINEE, 2, NOW),
        (bob.id, "Bob", Role.ADMIN, 0, None),
    ]


def test_a_call_belongs_to_an_account_and_outlives_it(database: Database, database_url: str) -> None:
    ann, bob = add(database, "Ann"), add(database, "Bob")
    issue(database, ann)
    anns, bobs, nobodys = new_id(), new_id(), new_id()
    with database.calls() as calls:
        calls.apply(anns, 0, replace(started("1"), user_id=str(ann.id)))
        calls.apply(bobs, 0, replace(started("2"), user_id=str(bob.id)))
        calls.apply(nobodys, 0, started("3"))
        assert [call.id for call in calls.list(user_id=ann.id)] == [anns]
    execute(database_url, "DELETE FROM users WHERE name = 'Ann'")
    with database.calls() as calls:
        assert [call.user_id for call in calls.list()] == [None, bob.id, None]
    assert rows(database_url, "api_tokens") == []


def test_a_call_of_an_account_that_is_gone_is_nobodys(database: Database) -> None:
    call_id = new_id()
    with database.calls() as calls:
        calls.apply(call_id, 0, replace(started(), user_id=str(new_id())))
        record = calls.get(call_id)
    assert record is not None and record.user_id is None


def test_a_call_of_an_account_that_cannot_be_is_refused(database: Database) -> None:
    with pytest.raises(RecordRefused, match="no UUID"), database.calls() as calls:
        calls.apply(new_id(), 0, replace(started(), user_id="Ann"))
