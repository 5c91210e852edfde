import asyncio
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from agent.errors import StoreError, TokenError
from db.live import Live, Scalar, open_live
from tests.servers import RedisServer, own_redis


@pytest.fixture(params=["in this process", "on a server"])
async def live(request: pytest.FixtureRequest) -> AsyncIterator[Live]:
    url = None if request.param == "in this process" else request.getfixturevalue("redis_url")
    async with open_live(url) as live:
        yield live


@pytest.fixture
def sid() -> str:
    return f"CA{secrets.token_hex(16)}"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with own_redis() as server:
        yield server


async def test_it_answers(live: Live) -> None:
    await live.ping()


async def test_a_token_gives_back_what_it_was_issued_with(live: Live, sid: str) -> None:
    payload: dict[str, Scalar] = {
        "scenario_id": "cold-call",
        "seed": 7,
        "recorded": True,
        "trainee": None,
        "speed": 0.5,
    }
    token = await live.issue_token(sid, payload)
    assert await live.redeem_token(token, sid) == payload


async def test_a_token_is_good_for_one_use(live: Live, sid: str) -> None:
    token = await live.issue_token(sid, {})
    await live.redeem_token(token, sid)
    with pytest.raises(TokenError, match="unknown, used or expired"):
        await live.redeem_token(token, sid)


async def test_of_many_who_use_a_token_at_once_one_succeeds(live: Live, sid: str) -> None:
    token = await live.issue_token(sid, {})
    attempts = [live.redeem_token(token, sid) for _ in range(10)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["TokenError"] * 9 + ["dict"]


async def test_another_calls_token_is_refused_and_burnt(live: Live, sid: str) -> None:
    token = await live.issue_token(sid, {})
    with pytest.raises(TokenError, match="another call"):
        await live.redeem_token(token, "CA-another")
    with pytest.raises(TokenError, match="unknown, used or expired"):
        await live.redeem_token(token, sid)


async def test_a_token_expires(live: Live, sid: str) -> None:
    token = await live.issue_token(sid, {}, ttl_s=0.02)
    await asyncio.sleep(0.05)
    with pytest.raises(TokenError, match="unknown, used or expired"):
        await live.redeem_token(token, sid)


@pytest.mark.parametrize("token", ["", "guessed", "\ud800", "a\0b", "*", "x" * 100_000])
async def test_a_token_that_was_never_issued_is_refused(live: Live, sid: str, token: str) -> None:
    with pytest.raises(TokenError):
        await live.redeem_token(token, sid)


async def test_tokens_are_long_and_never_alike(live: Live, sid: str) -> None:
    tokens = {await live.issue_token(sid, {}) for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 43  # 256 bits in base64


async def test_a_stored_token_cannot_be_read_back(redis_url: str, sid: str) -> None:
    async with open_live(redis_url) as live, Redis.from_url(redis_url, decode_responses=True) as redis:
        token = await live.issue_token(sid, {})
        digest = hashlib.sha256(token.encode()).hexdigest()
        assert await redis.exists(f"rolecall:token:{digest}") == 1
        assert [key async for key in redis.scan_iter(f"*{token}*")] == []
        assert token not in str(await redis.get(f"rolecall:token:{digest}"))
        assert 0 < await redis.pttl(f"rolecall:token:{digest}") <= 30_000


async def test_what_is_repeated_is_noticed(live: Live, sid: str) -> None:
    assert [await live.first_time(f"{sid}:answered") for _ in range(3)] == [True, False, False]
    assert await live.first_time(f"{sid}:completed")


async def test_a_repetition_is_forgotten_in_time(live: Live, sid: str) -> None:
    assert await live.first_time(sid, ttl_s=0.02)
    await asyncio.sleep(0.05)
    assert await live.first_time(sid)


async def test_what_was_seen_can_be_asked_without_seeing_it(live: Live, sid: str) -> None:
    assert not await live.seen(sid)
    assert await live.first_time(sid)
    assert await live.seen(sid)
    assert not await live.seen(f"{sid}-other")


async def test_two_embedded_states_share_nothing(sid: str) -> None:
    async with open_live(None) as one, open_live(None) as other:
        assert await one.first_time(sid)
        assert await other.first_time(sid)


async def refusal(url: str) -> StoreError:
    with pytest.raises(StoreError) as raised:
        async with open_live(url):
            pass
    assert "REDIS_URL" in raised.value.hint
    return raised.value


@pytest.mark.parametrize(
    "url", ["http://:s3cret@host", "redis://:s3cret@host:port", "redis://:12/cret@host", "s3cret", ""]
)
async def test_a_wrong_address_is_refused_without_its_password(url: str) -> None:
    error = await refusal(url)
    assert error.message == "the Redis address cannot be read"


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = await refusal(f"redis://:s3cret@127.0.0.1:{port}/0")
    assert error.message.startswith(f"the Redis at 127.0.0.1:{port} cannot be used: ")
    assert "s3cret" not in str(error)


async def test_a_server_that_accepts_and_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refusal(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
    assert "Redis at 127.0.0.1" in error.message


async def test_a_wrong_password_is_said_and_not_shown(server: RedisServer) -> None:
    error = await refusal(f"redis://:s3cret@127.0.0.1:{server.port}/0")
    assert "password" in error.message
    assert "s3cret" not in str(error)


async def test_a_server_that_goes_is_an_error_and_comes_back_by_itself(server: RedisServer, sid: str) -> None:
    async with open_live(server.url) as live:
        await live.ping()
        server.stop()
        for attempt in (
            live.ping(),
            live.first_time(sid),
            live.issue_token(sid, {}),
            live.seen(sid),
        ):
            with pytest.raises(StoreError, match="cannot be used"):
                await attempt
        server.start()
        assert await live.first_time(sid)
