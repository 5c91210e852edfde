import asyncio
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

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
            live.keep_call(sid, "", 30),
            live.call_state(sid),
            live.claim_call(sid, 30),
            live.settle_call(sid, "", "", 30),
            live.leave_call(sid, ""),
            live.forget_call(sid),
            live.remembers_since(),
        ):
            with pytest.raises(StoreError, match="cannot be used"):
                await attempt
        server.start()
        assert await live.first_time(sid)


async def test_a_calls_state_is_what_was_kept_last(live: Live, sid: str) -> None:
    assert await live.call_state(sid) is None
    await live.keep_call(sid, "opened", ttl_s=30)
    claim = await live.claim_call(sid, ttl_s=30)
    assert claim is not None
    assert await live.settle_call(sid, claim, "answered", ttl_s=30)
    assert await live.call_state(sid) == "answered"
    await live.forget_call(sid)
    assert await live.call_state(sid) is None


async def test_of_many_who_claim_a_call_at_once_one_has_it_until_it_is_settled_or_left(
    live: Live, sid: str
) -> None:
    claims = await asyncio.gather(*(live.claim_call(sid, ttl_s=30) for _ in range(10)))
    (claim,) = filter(None, claims)
    assert await live.claim_call(sid, ttl_s=30) is None
    await live.settle_call(sid, claim, "answered", ttl_s=30)
    again = await live.claim_call(sid, ttl_s=30)
    assert again is not None and again != claim
    await live.leave_call(sid, again)
    assert await live.claim_call(sid, ttl_s=30) is not None
    assert await live.call_state(sid) == "answered"


async def test_who_held_a_call_for_too_long_cannot_undo_what_the_next_one_did(live: Live, sid: str) -> None:
    await live.keep_call(sid, "opened", ttl_s=30)
    late = await live.claim_call(sid, ttl_s=0.02)
    assert late is not None
    await asyncio.sleep(0.05)
    assert not await live.settle_call(sid, late, "late", ttl_s=30)
    held = await live.claim_call(sid, ttl_s=30)
    assert held is not None
    assert not await live.settle_call(sid, late, "late", ttl_s=30)
    await live.leave_call(sid, late)
    assert await live.claim_call(sid, ttl_s=30) is None
    assert await live.settle_call(sid, held, "answered", ttl_s=30)
    assert await live.call_state(sid) == "answered"


async def test_a_call_that_nobody_goes_on_with_is_forgotten(live: Live, sid: str) -> None:
    await live.keep_call(sid, "opened", ttl_s=0.02)
    await asyncio.sleep(0.05)
    assert await live.call_state(sid) is None


async def test_a_memory_says_since_when_it_remembers(live: Live) -> None:
    since = await live.remembers_since()
    assert since <= datetime.now(UTC)
    assert await live.remembers_since() == since


async def test_a_server_that_lost_its_memory_says_so(server: RedisServer, sid: str) -> None:
    async with open_live(server.url) as live:
        await live.keep_call(sid, "opened", ttl_s=30)
        before = await live.remembers_since()
        server.stop()
        with pytest.raises(StoreError, match="cannot be used"):
            await live.ping()
        server.start()
        assert await live.call_state(sid) is None
        assert await live.remembers_since() > before
