import asyncio
import base64
import json

import numpy as np
import pytest
from twilio.rest import Client

from telephony.simulator import Call, HungUp, LineConditions, Simulator
from telephony.simulator.measure import measure
from telephony.simulator.sound import noise
from tests.telephony.simulator.application import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    ON_THE_MODULES_LOOP,
    PUBLIC_URL,
    TRAINEE,
    Application,
    Connection,
    connect_stream,
    open_carrier,
)

pytestmark = ON_THE_MODULES_LOOP

BURST = noise(300, -20.0, seed=1)
LOUD = base64.b64encode(b"\x10" * 160).decode()


@pytest.fixture(autouse=True)
def connected_streams(application: Application) -> None:
    application.twiml["/twilio/voice"] = connect_stream(statusCallback=f"{PUBLIC_URL}/stream")


async def dial(carrier: Simulator) -> Call:
    return await carrier.dial(TRAINEE, NUMBER)


def stream_events(application: Application) -> list[str]:
    return [r.fields["StreamEvent"] for r in application.at("/stream")]


def verbs(call: Call) -> list[str]:
    return [entry.detail for entry in call.log if entry.kind == "verb"]


async def echo(connection: Connection) -> None:
    """Sends everything that is heard straight back."""
    await connection.until("start")
    while True:
        message = await connection.next()
        if message["event"] == "media":
            await connection.send("media", media={"payload": message["media"]["payload"]})


async def close_at_once(connection: Connection) -> None:
    await connection.until("start")


async def test_the_handshake_is_signed_and_comes_from_no_browser(
    application: Application, carrier: Simulator
) -> None:
    application.media = close_at_once
    application.twiml["/twilio/voice"] = connect_stream().replace("/media", "/media?token=dropped")
    call = await dial(carrier)
    assert await call.ended == "completed"
    (connection,) = application.connections
    headers = connection.socket.headers
    assert connection.signed
    assert connection.socket.url.query == ""
    assert (headers["host"], headers["user-agent"]) == ("voice.example.test", "Twilio.TmeWs/1.0")
    assert not {"origin", "sec-websocket-protocol", "sec-websocket-extensions"} & set(headers)
    assert connection.start["start"]["callSid"] == call.sid
    assert connection.start["start"]["customParameters"] == {"token": "t1"}


async def test_an_echo_is_heard_whole_and_not_before_it_can_be(
    application: Application, carrier: Simulator
) -> None:
    application.media = echo
    call = await dial(carrier)
    await call.handset.connected()
    spoken = await call.handset.say(BURST)
    await call.handset.wait(100)
    call.handset.hang_up()
    await call.ended
    said, heard = call.handset.said, call.handset.heard
    assert np.array_equal(heard[heard != 0], said[said != 0])
    assert measure(call.handset).persona[0].start_ms >= spoken.start_ms + 40
    media = application.connections[0].of("media")
    assert [m["media"]["timestamp"] for m in media] == [str(20 * n) for n in range(len(media))]


async def test_delay_is_added_in_both_directions(application: Application) -> None:
    application.media = echo
    conditions = LineConditions(delay_up_ms=60, delay_down_ms=100, first_frame_ms=60)
    async with open_carrier(application, conditions=conditions) as carrier:
        call = await dial(carrier)
        await call.handset.connected()
        spoken = await call.handset.say(BURST)
        await call.handset.quiet(200, within_ms=2_000)
        call.handset.hang_up()
        await call.ended
    assert 200 <= measure(call.handset).persona[0].start_ms - spoken.start_ms <= 400


async def test_a_stall_on_the_way_down_is_heard_as_a_hole(application: Application) -> None:
    application.media = echo
    conditions = LineConditions.parse("stall=200@300/down")
    async with open_carrier(application, conditions=conditions) as carrier:
        call = await dial(carrier)
        await call.handset.connected()
        await call.handset.say(noise(600, -20.0, seed=2))
        await call.handset.wait(300)
        call.handset.hang_up()
        await call.ended
    choppiness = measure(call.handset).choppiness
    assert min(choppiness.underruns, choppiness.dropouts) >= 1
    assert 100 <= choppiness.underrun_ms <= 400


async def test_marks_end_speech_and_clear_ends_it_early(application: Application, carrier: Simulator) -> None:
    async def media(connection: Connection) -> None:
        await connection.until("start")
        for name in ("first", "second", "third"):
            for _ in range(10):
                await connection.send("media", media={"payload": LOUD})
            await connection.send("mark", mark={"name": name})
        await connection.until("mark")
        await connection.send("clear")
        await connection.until("mark")
        await connection.until("mark")

    application.media = media
    call = await dial(carrier)
    await call.ended
    marks = call.handset.mark_log
    assert [(mark.name, mark.why) for mark in marks] == [
        ("first", "played"),
        ("second", "cleared"),
        ("third", "cleared"),
    ]
    assert marks[0].echoed_ms - marks[0].received_ms >= 100
    assert "clear" in [event.kind for event in call.handset.events]


async def test_when_the_server_closes_the_next_verb_runs(
    application: Application, carrier: Simulator
) -> None:
    application.media = close_at_once
    callback = f"{PUBLIC_URL}/stream"
    application.twiml["/twilio/voice"] = connect_stream("<Redirect>/next</Redirect>", statusCallback=callback)
    call = await dial(carrier)
    await call.ended
    assert len(application.at("/next")) == 1
    assert stream_events(application) == ["stream-started", "stream-stopped"]
    assert all(received.signed for received in application.received)
    assert call.errors == [31921]
    assert application.connections[0].of("stop") == []


async def test_when_the_server_closes_the_action_comes_before_the_next_verb(
    application: Application, carrier: Simulator
) -> None:
    application.media = close_at_once
    twiml = connect_stream("<Redirect>/next</Redirect>")
    application.twiml["/twilio/voice"] = twiml.replace("<Connect>", '<Connect action="/after?x=1">')
    call = await dial(carrier)
    await call.ended
    assert len(application.at("/after")) == 1
    assert application.at("/after")[0].signed
    assert application.at("/next") == []


async def test_a_refused_handshake_falls_through(application: Application, carrier: Simulator) -> None:
    application.admit = False
    application.twiml["/twilio/voice"] = connect_stream(
        "<Redirect>/next</Redirect>", statusCallback=f"{PUBLIC_URL}/stream"
    )
    call = await dial(carrier)
    await call.ended
    assert call.errors == [31920]
    assert [r.fields["StreamEvent"] for r in application.at("/stream")] == ["stream-error"]
    assert application.at("/stream")[0].fields["StreamError"].startswith("31920")
    assert len(application.at("/next")) == 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://voice.example.test/media", 31922),
        ("ws://voice.example.test/media", 31922),
        ("wss://elsewhere.test/media", 31901),
    ],
)
async def test_a_url_that_cannot_be_dialled_falls_through(
    application: Application, carrier: Simulator, url: str, code: int
) -> None:
    application.twiml["/twilio/voice"] = connect_stream().replace("wss://voice.example.test/media", url)
    call = await dial(carrier)
    assert await call.ended == "completed"
    assert call.errors == [code]
    assert application.connections == []


async def test_a_relative_url_is_dialled_at_the_documents_host(
    application: Application, carrier: Simulator
) -> None:
    application.media = close_at_once
    application.twiml["/twilio/voice"] = connect_stream().replace(
        "wss://voice.example.test/media", "/relative"
    )
    call = await dial(carrier)
    await call.ended
    assert application.connections[0].socket.url.path == "/relative"


async def test_a_lost_connection_is_recovered_on_a_new_stream(application: Application) -> None:
    async def media(connection: Connection) -> None:
        if len(application.connections) == 1:
            await connection.listen()
        await connection.until("media")

    application.media = media
    application.twiml["/twilio/voice"] = connect_stream(
        "<Redirect>/twilio/voice</Redirect>", statusCallback=f"{PUBLIC_URL}/stream"
    )
    conditions = LineConditions(disconnect_at_ms=100, reattach_ms=60)
    async with open_carrier(application, conditions=conditions) as carrier:
        call = await dial(carrier)
        while len(application.connections) < 2 or not application.connections[1].of("media"):
            await call.handset.wait(20)
        call.handset.hang_up()
        await call.ended
    first, second = application.connections[:2]
    assert first.close_code in (1005, 1006)
    assert first.of("stop") == []
    assert first.sid != second.sid
    assert second.of("media")[0]["media"]["timestamp"] == "0"
    assert call.errors[0] == 31903
    assert stream_events(application)[:3] == ["stream-started", "stream-error", "stream-stopped"]
    reattached = [e.at_ms for e in call.handset.events if e.kind == "stream_started"][1]
    assert reattached >= 160


async def test_hanging_up_stops_the_stream_and_nothing_else_runs(
    application: Application, carrier: Simulator
) -> None:
    application.twiml["/twilio/voice"] = connect_stream("<Redirect>/next</Redirect>")
    call = await dial(carrier)
    await call.handset.connected()
    await call.handset.wait(100)
    call.handset.hang_up()
    assert await call.ended == "completed"
    assert application.connections[0].messages[-1]["event"] == "stop"
    assert application.connections[0].close_code == 1000
    assert application.at("/next") == []
    assert call.errors == []


async def test_a_redirect_cancels_the_document_before_the_stream(
    application: Application, carrier: Simulator
) -> None:
    application.twiml["/twilio/voice"] = connect_stream("<Redirect>/next</Redirect>")
    application.twiml["/new"] = "<Response><Say>Hello again.</Say></Response>"
    call = await dial(carrier)
    await call.handset.connected()
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = carrier.base_url
    await asyncio.to_thread(lambda: client.calls(call.sid).update(url=f"{PUBLIC_URL}/new"))
    await call.ended
    assert application.connections[0].messages[-1]["event"] == "stop"
    assert application.at("/next") == []
    assert len(application.at("/new")) == 1
    assert verbs(call) == ["Connect", "Say"]


async def test_keys_reach_the_stream(application: Application, carrier: Simulator) -> None:
    async def media(connection: Connection) -> None:
        await connection.until("dtmf")

    application.media = media
    call = await dial(carrier)
    await call.handset.connected()
    await call.handset.press("5")
    await call.ended
    assert application.connections[0].of("dtmf")[0]["dtmf"] == {"track": "inbound_track", "digit": "5"}


async def test_bad_messages_are_counted_and_the_stream_goes_on(
    application: Application, carrier: Simulator
) -> None:
    async def media(connection: Connection) -> None:
        await connection.until("start")
        await connection.socket.send_bytes(b"\x00")
        await connection.socket.send_text("ping")
        await connection.socket.send_text("ping")
        await connection.socket.send_text(json.dumps({"event": "clear", "streamSid": "MZ0"}))
        await connection.send("mark", mark={"name": "still here"})
        await connection.until("mark")

    application.media = media
    call = await dial(carrier)
    await call.ended
    kinds = [e.kind for e in call.handset.events if not e.kind.startswith("stream")]
    assert kinds == ["refused", "refused", "refused", "wrong_stream"]
    assert call.errors == [31924, 31950, 31951, 31921]


async def test_a_fork_hears_both_sides_and_outlives_the_conversation(
    application: Application, carrier: Simulator
) -> None:
    async def media(connection: Connection) -> None:
        if connection.socket.url.path == "/fork":
            await connection.listen()
        await connection.until("start")
        for _ in range(5):
            await connection.until("media")
            await connection.send("media", media={"payload": LOUD})
        for _ in range(3):
            await connection.until("media")

    application.media = media
    fork = '<Start><Stream name="ear" url="wss://voice.example.test/fork" track="both_tracks"/></Start>'
    application.twiml["/twilio/voice"] = connect_stream(
        '<Pause length="0"/><Stop><Stream name="ear"/></Stop><Say>Bye.</Say>'
    ).replace("<Connect>", f"{fork}<Connect>")
    call = await dial(carrier)
    await call.ended
    ear = next(c for c in application.connections if c.socket.url.path == "/fork")
    assert ear.start["start"]["tracks"] == ["inbound", "outbound"]
    outbound = [m for m in ear.of("media") if m["media"]["track"] == "outbound"]
    inbound = [m for m in ear.of("media") if m["media"]["track"] == "inbound"]
    assert len(outbound) == len(inbound)
    assert sum(m["media"]["payload"] == LOUD for m in outbound) >= 3
    assert ear.messages[-1]["event"] == "stop"
    assert ear.close_code == 1000


async def test_calls_do_not_disturb_each_other(application: Application, carrier: Simulator) -> None:
    application.media = echo

    async def converse(call: Call) -> bool:
        await call.handset.connected()
        await call.handset.say(noise(1_000, -20.0, seed=2))
        await call.handset.wait(100)
        call.handset.hang_up()
        await call.ended
        return bool(np.any(call.handset.heard))

    calls = [await dial(carrier) for _ in range(5)]
    async with asyncio.TaskGroup() as tasks:
        heard = [tasks.create_task(converse(call)) for call in calls]
    assert all(task.result() for task in heard)
    assert len({connection.sid for connection in application.connections}) == 5


async def test_closing_the_simulator_hangs_up_and_leaves_nothing_running(application: Application) -> None:
    before = asyncio.all_tasks()
    async with open_carrier(application) as carrier:
        call = await dial(carrier)
        await call.handset.connected()
    assert call.status == "completed"
    assert application.connections[0].messages[-1]["event"] == "stop"
    with pytest.raises(HungUp):
        await call.handset.wait(20)
    await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if "simulat" in task.get_name()} == set()
