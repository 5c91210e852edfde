"""Live state in Redis, or in a Redis in this process: tokens, what was seen before, calls held by turns."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar, cast
from urllib.parse import urlsplit

from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError

from agent.errors import StoreError, TokenError

TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 2.0

_WAY_OUT: Final = (
    "Check that the server is running and that REDIS_URL is redis://:password@host:6379/0, "
    "with special characters in the password percent-encoded"
)
_TOKEN_WAY_OUT: Final = "The carrier gets a new token with each answer to its webhook"

Scalar = str | int | float | bool | None
T = TypeVar("T")


class Live:
    """What processes share about calls in progress; see `open_live`. Never awaited on the audio path.

    Every method raises StoreError if the server cannot be reached.
    """

    def __init__(self, redis: Redis, place: str) -> None:
        self.place = place
        self._redis = redis

    async def issue_token(self, call_sid: str, payload: Mapping[str, Scalar], ttl_s: float = 30) -> str:
        """A secret of 256 bits that opens `call_sid`'s stream once, within `ttl_s`; only its hash is kept."""
        token = secrets.token_urlsafe(32)
        content = json.dumps({"call_sid": call_sid, "payload": dict(payload)})
        with self._translated():
            await self._redis.set(_token_key(token), content, px=_ms(ttl_s))
        return token

    async def redeem_token(self, token: str, call_sid: str) -> dict[str, Scalar]:
        """The payload that the token was issued with. It is used up, also if it was another call's.

        Raises TokenError for a token that is unknown, used, expired or another call's.
        """
        with self._translated():
            content = await self._redis.getdel(_token_key(token))
        if content is None:
            raise TokenError("the stream token is unknown, used or expired", hint=_TOKEN_WAY_OUT)
        issued = json.loads(content)
        if issued["call_sid"] != call_sid:
            raise TokenError("the stream token was issued for another call", hint=_TOKEN_WAY_OUT)
        return cast(dict[str, Scalar], issued["payload"])

    async def first_time(self, key: str, ttl_s: float = 86_400) -> bool:
        """Whether `key` is seen for the first time within `ttl_s`: carriers repeat their requests."""
        with self._translated():
            return bool(await self._redis.set(_key("seen", key), "1", nx=True, px=_ms(ttl_s)))

    async def seen(self, key: str) -> bool:
        """Whether `first_time` was asked about `key` before, within its `ttl_s`."""
        with self._translated():
            return bool(await self._redis.exists(_key("seen", key)))

    async def remembers_since(self) -> datetime:
        """When this memory began: what was kept earlier is lost."""
        now = datetime.now(UTC).isoformat()
        with self._translated():
            await self._redis.set(_SINCE, now, nx=True)
            since = cast(str | None, await self._redis.get(_SINCE))
        return datetime.fromisoformat(since or now)

    async def keep_call(self, call_id: str, state: str, ttl_s: float) -> None:
        """Keeps the first state of a call, for `ttl_s` unless it is kept anew."""
        with self._translated():
            await self._redis.set(_key("call", call_id), state, px=_ms(ttl_s))

    async def call_state(self, call_id: str) -> str | None:
        """The state that was kept last; None if there is none, or no longer."""
        with self._translated():
            return cast(str | None, await self._redis.get(_key("call", call_id)))

    async def claim_call(self, call_id: str, ttl_s: float) -> str | None:
        """A claim to be the only one who changes the call's state; None while somebody else has it.

        It ends with `settle_call` or `leave_call`, or by itself after `ttl_s`.
        """
        claim = secrets.token_urlsafe(16)
        with self._translated():
            taken = await self._redis.set(_key("claim", call_id), claim, nx=True, px=_ms(ttl_s))
        return claim if taken else None

    async def settle_call(self, call_id: str, claim: str, state: str, ttl_s: float) -> bool:
        """Keeps the call's new state and ends the claim; False, and changes nothing, if it has ended."""
        return await self._while_claimed(call_id, claim, state, ttl_s)

    async def leave_call(self, call_id: str, claim: str) -> None:
        """Ends the claim; the call's state stays what it is."""
        await self._while_claimed(call_id, claim)

    async def forget_call(self, call_id: str) -> None:
        """Drops the state of a call that is over."""
        with self._translated():
            await self._redis.delete(_key("call", call_id))

    async def _while_claimed(
        self, call_id: str, claim: str, state: str | None = None, ttl_s: float = 0
    ) -> bool:
        key = _key("claim", call_id)
        with self._translated():
            async with self._redis.pipeline(transaction=True) as transaction:
                await transaction.watch(key)
                if await transaction.get(key) != claim:
                    return False
                transaction.multi()  # type: ignore[no-untyped-call]
                if state is not None:
                    transaction.set(_key("call", call_id), state, px=_ms(ttl_s))
                transaction.delete(key)
                try:
                    await transaction.execute()
                except WatchError:
                    return False
        return True

    async def ping(self) -> None:
        """One real round trip."""
        with self._translated():
            await self._redis.ping()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise StoreError(f"the {self.place} cannot be used: {_reason(error)}", hint=_WAY_OUT) from error


@asynccontextmanager
async def open_live(redis_url: str | None) -> AsyncIterator[Live]:
    """Live state on the Redis at `redis_url`, or for None in this process.

    Raises StoreError within `TIMEOUT_S` if the address is wrong or nothing answers there.
    """
    redis, place = _in_process() if redis_url is None else _server(redis_url)
    live = Live(redis, place)
    try:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await live.remembers_since()
        except TimeoutError as error:
            raise StoreError(f"the {place} does not answer", hint=_WAY_OUT) from error
        yield live
    finally:
        await redis.aclose()


def _in_process() -> tuple[Redis, str]:
    return FakeAsyncRedis(server=FakeServer(), decode_responses=True), "Redis in this process"


def _server(url: str) -> tuple[Redis, str]:
    try:
        parts = urlsplit(url)
        if "@" in parts.path + parts.query + parts.fragment:
            raise ValueError("a password that is not percent-encoded")
        place = f"Redis at {parts.hostname or parts.path}:{parts.port or 6379}"
        # A command is never sent twice: its first sending may have claimed the line or used the token.
        redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=COMMAND_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # Without its cause, which may quote the password.
        raise StoreError("the Redis address cannot be read", hint=_WAY_OUT) from None
    return redis, place


def _key(kind: str, name: str) -> bytes:
    return f"rolecall:{kind}:{name}".encode(errors="backslashreplace")


_SINCE: Final = "rolecall:since"


def _token_key(token: str) -> bytes:
    return _key("token", hashlib.sha256(token.encode(errors="backslashreplace")).hexdigest())


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1_000))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
