import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx
import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from telephony.simulator import Call, Destination, Outcome, Simulator
from tests.telephony.simulator.application import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    ON_THE_MODULES_LOOP,
    PUBLIC_URL,
    TRAINEE,
    Application,
    open_application,
    open_carrier,
)

Answer = TypeVar("Answer")
pytestmark = ON_THE_MODULES_LOOP

FROM, TO = NUMBER, TRAINEE
HOLD = "<Response><Pause length='60'/></Response>"


def client(carrier: Simulator, token: str = AUTH_TOKEN) -> Client:
    official = Client(ACCOUNT_SID, token)
    official.api.base_url = carrier.base_url
    return official


async def off_loop(work: Callable[[], Answer]) -> Answer:
    """The official client blocks, and the simulator is served by this very loop."""
    return await asyncio.to_thread(work)


async def refused(work: Callable[[], object]) -> tuple[int, int | None]:
    with pytest.raises(TwilioRestException) as caught:
        await off_loop(work)
    return caught.value.status, caught.value.code


async def test_a_call_is_created_queued_and_can_be_fetched(carrier: Simulator) -> None:
    calls = client(carrier).calls
    created = await off_loop(lambda: calls.create(to=TO, from_=FROM, twiml=HOLD))
    assert (created.status, created.to, created._from, created.direction) == (
        "queued",
        TO,
        FROM,
        "outbound-api",
    )
    assert created.queue_time == "0"
    assert isinstance(created.date_created, datetime)
    fetched = await off_loop(lambda: calls(created.sid or "").fetch())
    assert fetched.sid == created.sid
    assert fetched.status == "in-progress"
    assert isinstance(fetched.start_time, datetime)
    assert fetched.uri == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{created.sid}.json"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"to": "", "from_": FROM, "twiml": HOLD}, 21201),
        ({"to": TO, "from_": "", "twiml": HOLD}, 21213),
        ({"to": "12", "from_": FROM, "twiml": HOLD}, 21211),
        ({"to": TO, "from_": FROM}, 21205),
        ({"to": TO, "from_": FROM, "url": "not a url"}, 21205),
    ],
)
async def test_a_bad_request_is_refused_with_twilios_code(
    carrier: Simulator, arguments: dict[str, str], code: int
) -> None:
    assert await refused(lambda: client(carrier).calls.create(**arguments)) == (400, code)
    assert carrier.calls == {}


async def test_wrong_credentials_are_refused(carrier: Simulator) -> None:
    wrong = client(carrier, token="wrong")
    assert await refused(lambda: wrong.calls.create(to=TO, from_=FROM, twiml=HOLD)) == (401, 20003)
    with pytest.raises(TwilioException):
        await off_loop(lambda: wrong.calls.list())


async def test_errors_have_twilios_form(carrier: Simulator) -> None:
    async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as web:
        reply = await web.get(f"{carrier.base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/CA0.json")
    assert reply.status_code == 404
    assert reply.json() == {
        "code": 20404,
        "message": f"The requested resource /2010-04-01/Accounts/{ACCOUNT_SID}/Calls/CA0.json was not found",
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    }


async def test_an_api_key_is_as_good_as_the_token() -> None:
    keys = {"SK1": "secret"}
    async with open_application() as application, open_carrier(application, api_keys=keys) as carrier:
        official = Client("SK1", "secret", account_sid=ACCOUNT_SID)
        official.api.base_url = carrier.base_url
        created = await off_loop(lambda: official.calls.create(to=TO, from_=FROM, twiml=HOLD))
        assert created.status == "queued"


async def test_a_number_that_is_not_ours_cannot_call() -> None:
    ours = frozenset({FROM})
    async with open_application() as application, open_carrier(application, numbers=ours) as carrier:
        calls = client(carrier).calls
        assert await refused(lambda: calls.create(to=TO, from_="+15559999999", twiml=HOLD)) == (400, 21210)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning")
async def test_the_asynchronous_client_works_too(carrier: Simulator) -> None:
    http_client = AsyncTwilioHttpClient()
    try:
        official = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http_client)
        official.api.base_url = carrier.base_url
        created = await official.calls.create_async(to=TO, from_=FROM, twiml=HOLD)
        assert created.status == "queued"
    finally:
        await http_client.close()


async def test_listing_pages_and_filters(carrier: Simulator) -> None:
    calls = client(carrier).calls
    sids = []
    for number in ("+15550001001", "+15550001002", "+15550001001"):
        created = await off_loop(lambda to=number: calls.create(to=to, from_=FROM, twiml=HOLD))  # type: ignore[misc]
        sids.append(created.sid)
    listed = await off_loop(lambda: calls.list(page_size=1))
    assert [call.sid for call in listed] == sids[::-1]
    assert [c.sid for c in await off_loop(lambda: calls.list(to="+15550001001"))] == [sids[2], sids[0]]
    assert await off_loop(lambda: calls.list(status="completed")) == []
    now = datetime.now(UTC)
    assert len(await off_loop(lambda: calls.list(start_time_after=now - timedelta(minutes=1)))) == 3
    assert await off_loop(lambda: calls.list(start_time_after=now + timedelta(minutes=1))) == []
    assert len(await off_loop(lambda: calls.list(start_time_before=now + timedelta(minutes=1)))) == 3


async def test_a_live_call_is_completed_and_a_finished_one_refuses_updates(carrier: Simulator) -> None:
    calls = client(carrier).calls
    created = await off_loop(lambda: calls.create(to=TO, from_=FROM, twiml=HOLD))
    call = carrier.calls[created.sid or ""]
    await call.handset.wait(20)
    assert await refused(lambda: calls(call.sid).delete()) == (409, 20009)
    await off_loop(lambda: calls(call.sid).update(status="completed"))
    assert await call.ended == "completed"
    finished = await off_loop(lambda: calls(call.sid).fetch())
    assert finished.status == "completed"
    assert int(finished.duration or 0) >= 1
    assert await refused(lambda: calls(call.sid).update(twiml=HOLD)) == (400, 21220)
    assert await refused(lambda: calls(call.sid).update(status="completed")) == (400, 21220)
    assert await off_loop(lambda: calls(call.sid).delete())
    assert await refused(lambda: calls(call.sid).fetch()) == (404, 20404)


async def test_a_ringing_call_can_be_cancelled_but_not_redirected(carrier: Simulator) -> None:
    carrier.expect(TO, Destination(ring_ms=30_000))
    calls = client(carrier).calls
    created = await off_loop(lambda: calls.create(to=TO, from_=FROM, twiml=HOLD))
    call = carrier.calls[created.sid or ""]
    assert await refused(lambda: calls(call.sid).update(twiml=HOLD)) == (400, 21220)
    await off_loop(lambda: calls(call.sid).update(status="canceled"))
    assert await call.ended == "canceled"


@pytest.mark.parametrize(
    ("outcome", "status", "sip"),
    [
        (Outcome.BUSY, "busy", "486"),
        (Outcome.NO_ANSWER, "no-answer", "487"),
        (Outcome.FAILED, "failed", "404"),
    ],
)
async def test_a_call_that_is_not_answered_says_why(
    outcome: Outcome, status: str, sip: str, application: Application, carrier: Simulator
) -> None:
    carrier.expect(TO, Destination(outcome, ring_ms=0))
    call = await place(carrier, status_callback=f"{PUBLIC_URL}/status")
    assert await call.ended == status
    (callback,) = application.at("/status")
    assert callback.signed
    assert callback.fields["CallStatus"] == status
    assert callback.fields["SipResponseCode"] == sip
    assert callback.fields["CallDuration"] == "0"


async def test_every_step_of_a_call_is_called_back_in_order(
    application: Application, carrier: Simulator
) -> None:
    application.twiml["/voice"] = "<Response><Hangup/></Response>"
    events = ["initiated", "ringing", "answered", "completed"]
    call = await place(
        carrier,
        url=f"{PUBLIC_URL}/voice",
        status_callback=f"{PUBLIC_URL}/s",
        status_callback_event=events,
    )
    assert await call.ended == "completed"
    assert [(r.fields["CallStatus"], r.fields["SequenceNumber"]) for r in application.at("/s")] == [
        ("initiated", "0"),
        ("ringing", "1"),
        ("in-progress", "2"),
        ("completed", "3"),
    ]
    (voice,) = application.at("/voice")
    assert (voice.fields["CallStatus"], voice.fields["Direction"]) == ("in-progress", "outbound-api")
    last = application.at("/s")[-1].fields
    assert int(last["CallDuration"]) >= 1
    assert (last["Duration"], last["CallbackSource"]) == ("1", "call-progress-events")


async def test_calls_beyond_the_rate_wait_in_a_queue(application: Application) -> None:
    async with open_carrier(application, cps=0.2) as carrier:
        calls = client(carrier).calls
        waits_ms = [
            int((await off_loop(lambda: calls.create(to=TO, from_=FROM, twiml=HOLD))).queue_time)
            for _ in range(3)
        ]
        assert waits_ms[0] == 0 < waits_ms[1] <= 5_000 < waits_ms[2] <= 10_000
        assert [call.status for call in carrier.calls.values()] == ["in-progress", "queued", "queued"]


async def test_the_answer_drives_the_handset_until_the_call_ends(carrier: Simulator) -> None:
    async def answer(call: Call) -> None:
        await call.handset.wait(60)
        call.handset.hang_up()
        await call.handset.wait(60_000)

    carrier.expect(TO, Destination(answer=answer))
    call = await place(carrier, twiml=HOLD)
    assert await call.ended == "completed"


async def test_a_broken_answer_is_not_hidden(application: Application) -> None:
    async def answer(call: Call) -> None:
        raise LookupError("the script has no such line")

    with pytest.raises(ExceptionGroup):
        async with open_carrier(application, elsewhere=Destination(answer=answer)) as carrier:
            await (await place(carrier)).ended


async def test_what_the_block_raises_comes_out_as_it_is(application: Application) -> None:
    with pytest.raises(LookupError):
        async with open_carrier(application):
            raise LookupError("a failing test")


async def test_a_time_limit_ends_the_call(carrier: Simulator) -> None:
    call = await place(carrier, twiml=HOLD, time_limit=1)
    assert await call.ended == "completed"
    assert call.ending == "time limit"


async def place(carrier: Simulator, **given: object) -> Call:
    arguments = given if "url" in given else {"twiml": HOLD} | given
    created = await off_loop(lambda: client(carrier).calls.create(to=TO, from_=FROM, **arguments))
    return carrier.calls[created.sid or ""]
