import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.responses import RedirectResponse, Response
from twilio.request_validator import RequestValidator

from telephony.simulator.routes import Routes
from telephony.simulator.signature import sign
from telephony.simulator.webhooks import Failure, Fields, Overrides, Reply, Webhooks
from tests.telephony.simulator.application import AUTH_TOKEN, PUBLIC_URL, Application, open_application

Request = Callable[..., Awaitable[Reply | Failure]]
FIELDS: Fields = [("CallSid", "CA1"), ("From", "+15550001111"), ("FromCity", ""), ("Name", "Zoë & co")]


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    async with open_application() as application:
        yield application


@pytest.fixture
async def request_(application: Application) -> AsyncIterator[Request]:
    tokens = iter(f"token {n}" for n in range(100))
    async with httpx.AsyncClient() as client:
        routes = Routes({PUBLIC_URL: application.url})
        yield Webhooks(client, routes, AUTH_TOKEN, lambda: next(tokens)).request


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("url", [f"{PUBLIC_URL}/a?b=1&c=%20", "wss://voice.example.test/media"])
def test_the_official_library_accepts_our_signatures(url: str) -> None:
    assert RequestValidator(AUTH_TOKEN).validate(url, dict(FIELDS), sign(url, FIELDS, AUTH_TOKEN))


async def test_a_post_arrives_as_through_a_proxy_and_signed(
    application: Application, request_: Request
) -> None:
    reply = await request_(f"{PUBLIC_URL}/voice?x=1", "POST", FIELDS)
    assert isinstance(reply, Reply)
    (received,) = application.received
    assert received.signed
    assert received.fields == dict(FIELDS)
    assert {
        name: received.headers[name]
        for name in (
            "host",
            "x-forwarded-proto",
            "x-forwarded-host",
            "user-agent",
            "i-twilio-idempotency-token",
        )
    } == {
        "host": "voice.example.test",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "voice.example.test",
        "user-agent": "TwilioProxy/1.1",
        "i-twilio-idempotency-token": "token 0",
    }


async def test_a_get_carries_its_fields_in_the_signed_query(
    application: Application, request_: Request
) -> None:
    reply = await request_(f"{PUBLIC_URL}/voice?x=1", "GET", FIELDS)
    assert isinstance(reply, Reply)
    assert reply.url == f"{PUBLIC_URL}/voice?x=1"
    (received,) = application.received
    assert received.signed
    assert received.fields == {"x": "1", **dict(FIELDS)}


async def test_a_fragment_is_neither_sent_nor_signed(application: Application, request_: Request) -> None:
    reply = await request_(f"{PUBLIC_URL}/voice#rc=2&rp=5xx", "POST", FIELDS)
    assert isinstance(reply, Reply)
    assert reply.url == f"{PUBLIC_URL}/voice"
    assert application.received[0].signed


async def test_retries_carry_the_same_idempotency_token(application: Application, request_: Request) -> None:
    application.twiml["/voice"] = Response(status_code=503)
    outcome = await request_(f"{PUBLIC_URL}/voice#rc=2&rp=ct,5xx", "POST", FIELDS)
    assert isinstance(outcome, Failure)
    assert outcome.code == 11200
    assert [r.headers["i-twilio-idempotency-token"] for r in application.received] == ["token 0"] * 3


async def test_a_server_error_is_not_retried_unless_asked(
    application: Application, request_: Request
) -> None:
    application.twiml["/voice"] = Response(status_code=503)
    await request_(f"{PUBLIC_URL}/voice", "POST", FIELDS)
    assert len(application.received) == 1


async def test_a_server_that_comes_up_in_time_gets_the_retry() -> None:
    port, tries = free_port(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/xml\r\n\r\n")
        await writer.drain()
        writer.close()

    class StartsTheServerWhenRefused(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal tries
            tries += 1
            try:
                return await super().handle_async_request(request)
            except httpx.ConnectError:
                servers.append(await asyncio.start_server(serve, "127.0.0.1", port))
                raise

    servers: list[asyncio.Server] = []
    async with httpx.AsyncClient(transport=StartsTheServerWhenRefused()) as client:
        webhooks = Webhooks(client, Routes({PUBLIC_URL: f"http://127.0.0.1:{port}"}), AUTH_TOKEN, lambda: "t")
        outcome = await webhooks.request(f"{PUBLIC_URL}/voice", "POST", FIELDS)
    servers[0].close()
    assert isinstance(outcome, Reply)
    assert tries == 2


async def test_nobody_listening_is_11205(request_: Request) -> None:
    outcome = await request_(f"http://127.0.0.1:{free_port()}/voice", "POST", FIELDS)
    assert isinstance(outcome, Failure)
    assert (outcome.code, outcome.kind) == (11205, "ct")


async def test_nothing_leaves_the_machine(request_: Request) -> None:
    outcome = await request_("https://somewhere.else.test/voice", "POST", FIELDS)
    assert isinstance(outcome, Failure)
    assert outcome.code == 11210


async def test_a_server_that_never_answers_is_given_up(request_: Request) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        outcome = await request_(f"http://127.0.0.1:{mute.getsockname()[1]}/voice#rt=100", "POST", FIELDS)
        assert isinstance(outcome, Failure)
        assert (outcome.code, outcome.kind) == (11200, "rt")
        outcome = await request_(f"http://127.0.0.1:{mute.getsockname()[1]}/voice#tt=100", "POST", FIELDS)
        assert isinstance(outcome, Failure)
        assert (outcome.code, outcome.kind) == (11205, "rt")


async def test_redirects_are_followed_and_signed_anew(application: Application, request_: Request) -> None:
    application.twiml["/old"] = RedirectResponse("/new", 307)
    application.twiml["/loop"] = RedirectResponse("/loop", 307)
    reply = await request_(f"{PUBLIC_URL}/old", "POST", FIELDS)
    assert isinstance(reply, Reply)
    assert reply.url == f"{PUBLIC_URL}/new"
    assert [received.signed for received in application.received] == [True, True]
    endless = await request_(f"{PUBLIC_URL}/loop", "POST", FIELDS)
    assert isinstance(endless, Failure)
    assert endless.code == 11215


async def test_twiml_larger_than_64_kilobytes_is_refused(application: Application, request_: Request) -> None:
    application.twiml["/voice"] = "<Response>" + " " * 70_000 + "</Response>"
    outcome = await request_(f"{PUBLIC_URL}/voice", "POST", FIELDS)
    assert isinstance(outcome, Failure)
    assert outcome.code == 11750


def test_overrides_are_brought_into_their_bounds() -> None:
    assert Overrides.parse("ct=1&rt=99999&tt=5000&rc=9&rp=rt,5xx&e=ashburn") == Overrides(
        100, 15_000, 5_000, 5, frozenset({"rt", "5xx"})
    )
    assert Overrides.parse("ct=soon") == Overrides()
