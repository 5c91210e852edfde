"""Who gets in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from agent.account import Role
from db.users import COARSE
from tests.console.practice import Client, Practice, closed_to_writers, open_practice
from tests.db.rows import execute, rows
from tests.postgres import new_database, taken_away


@pytest.fixture
async def stranger(practice: Practice) -> AsyncIterator[Client]:
    async with practice.client(None) as client:
        yield client


async def knocks(practice: Practice, token: str) -> httpx.Response:
    async with practice.client(token) as client:
        return await client.get("/scenarios")


def told_to_sign_in(answer: httpx.Response) -> bool:
    return (
        answer.status_code == 401
        and answer.headers["WWW-Authenticate"].startswith("Bearer")
        and answer.json()["code"] == "not_signed_in"
        and set(answer.json()) == {"code", "message", "hint"}
    )


async def test_a_request_without_a_token_is_told_to_bring_one(stranger: Client) -> None:
    assert told_to_sign_in(await stranger.get("/scenarios"))


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic QWxhZGRpbg==", "Bearer rolecall_guess", "Bearer \xff\0", "x" * 9_999],
)
async def test_what_is_no_token_opens_nothing(stranger: Client, header: str) -> None:
    headers = {b"Authorization": header.encode("latin-1")}
    assert told_to_sign_in(await stranger.http.get("/api/v1/scenarios", headers=headers))


async def test_a_token_opens_what_its_account_may(practice: Practice) -> None:
    token = practice.token("Alex", Role.TRAINEE)
    assert (await knocks(practice, token)).status_code == 200
    assert told_to_sign_in(await knocks(practice, token[:-1]))
    assert told_to_sign_in(await knocks(practice, token.upper()))


async def test_a_token_ends_with_its_time(practice: Practice) -> None:
    now = datetime.now(UTC)
    with practice.database.users() as users:
        account = users.add("Alex", Role.TRAINEE, now)
        expired = users.issue_token(account, "", now, now - timedelta(seconds=1))
        good = users.issue_token(account, "", now, now + timedelta(minutes=1))
    assert told_to_sign_in(await knocks(practice, expired))
    assert (await knocks(practice, good)).status_code == 200


async def test_a_token_that_was_revoked_opens_nothing_and_a_new_one_does(practice: Practice) -> None:
    revoked = practice.token("Alex", Role.TRAINEE)
    with practice.database.users() as users:
        assert users.revoke_tokens(users.find("Alex"), datetime.now(UTC)) == 1
    assert told_to_sign_in(await knocks(practice, revoked))
    assert (await knocks(practice, practice.token("Alex"))).status_code == 200


async def test_a_disabled_account_opens_nothing(practice: Practice, sqlite_url: str) -> None:
    token = practice.token("Alex", Role.TRAINEE)
    execute(sqlite_url, "UPDATE users SET disabled_at = '2026-11-21 09:00:00.000000'")
    assert told_to_sign_in(await knocks(practice, token))


async def test_the_last_use_of_a_token_is_known_coarsely(practice: Practice, sqlite_url: str) -> None:
    token = practice.token("Alex", Role.TRAINEE)

    async def used() -> Any:
        assert (await knocks(practice, token)).status_code == 200
        return rows(sqlite_url, "api_tokens")[0]["last_used_at"]

    first = await used()
    assert first is not None and await used() == first
    long_ago = f"{datetime.now(UTC) - COARSE - timedelta(minutes=1):%Y-%m-%d %H:%M:%S.%f}"
    execute(sqlite_url, f"UPDATE api_tokens SET last_used_at = '{long_ago}'")
    assert await used() > first


async def test_a_database_that_cannot_be_written_keeps_nobody_out(
    practice: Practice, sqlite_url: str
) -> None:
    token = practice.token("Alex", Role.TRAINEE)
    with closed_to_writers(sqlite_url) as closed, capture_logs() as logs:
        closed.begin()
        assert (await knocks(practice, token)).status_code == 200
    assert [entry["event"] for entry in logs] == ["use_of_token_not_noted"]


async def test_a_database_that_is_away_lets_nobody_in_and_does_not_say_where_it_was(
    postgres_url: str,
) -> None:
    from db.database import migrate

    with new_database(postgres_url) as url:
        await asyncio.to_thread(migrate, url)
        async with open_practice(url) as practice:
            token = practice.token("Alex", Role.TRAINEE)
            with taken_away(postgres_url, url), capture_logs() as logs:
                answer = await knocks(practice, token)
            assert (answer.status_code, answer.json()["code"]) == (503, "store")
            assert "PostgreSQL" not in answer.text
            assert any("PostgreSQL" in entry.get("reason", "") for entry in logs)
            assert (await knocks(practice, token)).status_code == 200
