"""Peers that are not Twilio, or not well: each is turned away or survived, counted, and disturbs no call."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.call import EndReason, Speaker
from agent.events import MessageRefused
from audio import ulaw
from db.records import CallRecord
from telephony.media_stream import MAX_MESSAGE_BYTES
from telephony.simulator import Call
from telephony.simulator.leg import StreamLeg
from telephony.simulator.measure import measure
from telephony.simulator.messages import StreamIdentity
from telephony.simulator.playout import PlayoutLog
from tests.phone import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLED,
    CALLER,
    PUBLIC_URL,
    Phone,
    open_phone,
    settings_for,
    spoken,
)
from tests.telephony.fakes import CONNECTED, Fields, sign
from tests.telephony.fakes import start as start_message

MEDIA_URL = "wss://voice.example.test/twilio/media"
TOO_LONG = "x" * (MAX_MESSAGE_BYTES + 1)
FRAME_S = 0.02
QUESTION = "Who do you order from today?"
FAREWELL = "Thank you for your time, goodbye."
CONVERSATION = [QUESTION, FAREWELL]


def handshake(phone: Phone, signature: str | None = None) -> connect:
    """A media socket, signed as Twilio signs it unless `signature` says otherwise ("" for not at all)."""
    signature = sign(MEDIA_URL, auth_token=AUTH_TOKEN) if signature is None else signature
    return connect(
        f"{phone.url.replace('http', 'ws')}/twilio/media",
        additional_headers={"X-Twilio-Signature": signature} if signature else {},
        compression=None,
        proxy=None,
        max_queue=None,
    )


async def post(phone: Phone, fields: Fields, **headers: str) -> httpx.Response:
    """A ring, as Twilio posts it."""
    signature = sign(f"{PUBLIC_URL}/twilio/voice", fields, auth_token=AUTH_TOKEN)
    signed = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(
            f"{phone.url}/twilio/voice", content=urlencode(list(fields)), headers=signed | headers
        )


def ring(call_sid: str) -> Fields:
    return [
        ("AccountSid", ACCOUNT_SID),
        ("CallSid", call_sid),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", CALLER),
        ("To", CALLED),
    ]


async def token_for(phone: Phone, call_sid: str) -> str:
    """The token that the server gives to a ringing call."""
    answer = await post(phone, ring(call_sid))
    (token,) = re.findall(r'name="token" value="([^"]+)"', answer.text)
    return str(token)


def start(token: str, call_sid: str, *, account_sid: str = ACCOUNT_SID, **changes: str) -> str:
    return start_message(token, call_sid=call_sid, account_sid=account_sid, **changes)


async def counted(phone: Phone) -> dict[str, int]:
    """What `/metrics` says: refusals by code, malformed messages as "messages", calls as "calls reason"."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{phone.url}/metrics")).text
    counts = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            match sample.name:
                case "rolecall_refusals_total":
                    counts[sample.labels["code"]] = int(sample.value)
                case "rolecall_media_messages_refused_total":
                    counts["messages"] = int(sample.value)
                case "rolecall_calls_total":
                    counts[f"calls {sample.labels['reason']}"] = int(sample.value)
    return counts


async def turned_away(phone: Phone, *messages: str | bytes) -> int | None:
    """The code with which a peer is shown out that says these things and then nothing."""
    async with handshake(phone) as wire:
        with suppress(ConnectionClosed):
            for message in messages:
                await wire.send(message)
            await asyncio.wait_for(wire.wait_closed(), 15)
    return wire.close_code


@asynccontextmanager
async def neighbour(phone: Phone) -> AsyncIterator[Call]:
    """A call that is well: it goes on while the block lasts, and then to its end."""
    call = await phone.dial()
    await call.handset.speech(200)
    async with asyncio.TaskGroup() as talking:
        talking.create_task(converse(call))
        yield call
    assert await asyncio.wait_for(call.ended, 30) == "completed"


async def converse(call: Call) -> None:
    for line in CONVERSATION:
        await call.handset.quiet(600)
        await call.handset.say(spoken(line))


async def is_undisturbed(phone: Phone, call: Call) -> None:
    record = await phone.record(call)
    assert (record.end_reason, record.ending) == (EndReason.PERSONA_ENDED, "farewell")
    assert [turn.text for turn in record.turns if turn.speaker is Speaker.TRAINEE] == CONVERSATION
    assert record.counters["messages_refused"] == 0
    assert measure(call.handset).choppiness.underruns == 0


async def test_who_may_not_come_in_is_turned_away_and_counted_while_a_call_goes_on(tmp_path: Path) -> None:
    call_sid, deaf = "CA" + secrets.token_hex(16), "audio/x-l16"
    wrong_signatures = ["AAAA", sign(MEDIA_URL, auth_token="another"), sign(f"{PUBLIC_URL}/twilio/media")]
    refused: list[tuple[str, int, Sequence[str | bytes]]] = [
        ("silent", 1008, []),
        ("silent", 1008, [CONNECTED]),
        ("malformed", 1008, ["hello"]),
        ("malformed", 1008, [b"\xff" * 160]),
        ("malformed", 1008, ["[" * 60_000]),
        ("malformed", 1008, ['{"event":"connected","version":NaN}']),
        ("malformed", 1008, [start("a token", call_sid)]),
        ("malformed", 1008, [CONNECTED, start("a token", call_sid, encoding=deaf)]),
        ("oversized", 1009, [TOO_LONG]),
        ("token", 1008, [CONNECTED, start("a guess", call_sid)]),
        ("wrong_account", 1008, [CONNECTED, start("a token", call_sid, account_sid="AC" + "9" * 32)]),
    ]
    async with open_phone(settings_for(tmp_path)) as phone:
        async with neighbour(phone) as call, asyncio.TaskGroup() as peers:
            for signature in ["", *wrong_signatures]:
                with pytest.raises(InvalidStatus) as refusal:
                    await handshake(phone, signature)
                assert refusal.value.response.status_code == 403
            shown_out = [
                (close_code, peers.create_task(turned_away(phone, *said))) for _, close_code, said in refused
            ]
        assert [task.result() for _, task in shown_out] == [close_code for close_code, _ in shown_out]
        counts = await counted(phone)
        expected = {"unsigned": 1, "wrong_signature": len(wrong_signatures)}
        for code, *_ in refused:
            expected[code] = expected.get(code, 0) + 1
        assert {code: counts[code] for code in expected} == expected
        await is_undisturbed(phone, call)


async def test_a_token_opens_one_stream_and_a_replayed_ring_none(tmp_path: Path) -> None:
    async with open_phone(settings_for(tmp_path)) as phone:
        call_sid = "CA" + secrets.token_hex(16)
        token = await token_for(phone, call_sid)
        other_call = "CA" + secrets.token_hex(16)
        stolen = await token_for(phone, other_call)
        async with handshake(phone) as wire:
            await wire.send(CONNECTED)
            await wire.send(start(token, call_sid))
            assert json.loads(await asyncio.wait_for(wire.recv(), 15))["event"] == "media"

            assert await turned_away(phone, CONNECTED, start(token, call_sid)) == 1008
            assert await turned_away(phone, CONNECTED, start(stolen, call_sid)) == 1008
            assert await turned_away(phone, CONNECTED, start(stolen, other_call)) == 1008
            replay = await post(phone, ring(call_sid))
            assert "<Hangup" in replay.text and "<Stream" not in replay.text
            assert json.loads(await asyncio.wait_for(wire.recv(), 15))["event"] in ("media", "mark")
        counts = await counted(phone)
    assert (counts["token"], counts["replayed"]) == (3, 1)


class RawPhone:
    """A caller on a socket of their own, in real time, who can send anything at all at any moment."""

    def __init__(self, phone: Phone) -> None:
        self.call_sid = "CA" + secrets.token_hex(16)
        self._phone = phone
        self._said: list[bytes] = []

    def say(self, text: str) -> None:
        chunk = ulaw.encode(spoken(text))
        self._said += [chunk[at : at + 160].ljust(160, ulaw.SILENCE) for at in range(0, len(chunk), 160)]

    async def hold(self, meanwhile: Callable[[ClientConnection, int], Awaitable[None]]) -> int | None:
        """Holds a call until the server closes it; `meanwhile` is called with each 20 ms tick.

        Returns the close code.
        """
        token = await token_for(self._phone, self.call_sid)
        stream_sid = "MZ" + secrets.token_hex(16)
        identity = StreamIdentity(ACCOUNT_SID, self.call_sid, stream_sid, parameters={"token": token})
        leg = StreamLeg(identity, bidirectional=True, start_ms=0.0, log=PlayoutLog())
        async with handshake(self._phone) as wire, asyncio.TaskGroup() as tasks:
            for message in leg.opening():
                await wire.send(message)
            hearing = tasks.create_task(self._hear(wire, leg))
            await self._talk(wire, leg, meanwhile)
            await hearing
        return wire.close_code

    async def _hear(self, wire: ClientConnection, leg: StreamLeg) -> None:
        with suppress(ConnectionClosed):
            async for message in wire:
                for echo in leg.receive(message, 0.0):
                    await self._send(wire, echo)

    async def _talk(
        self,
        wire: ClientConnection,
        leg: StreamLeg,
        meanwhile: Callable[[ClientConnection, int], Awaitable[None]],
    ) -> None:
        clock = asyncio.get_running_loop().time
        began_s, tick = clock(), 0
        while wire.close_code is None:
            heard, echoes = leg.play()
            said = self._said.pop(0) if self._said else ulaw.SILENCE * 160
            for message in (*echoes, *leg.tick(said, heard)):
                await self._send(wire, message)
            try:
                await meanwhile(wire, tick)
            except ConnectionClosed:
                break
            tick += 1
            await asyncio.sleep(max(0.0, began_s + tick * FRAME_S - clock()))

    async def _send(self, wire: ClientConnection, message: str) -> None:
        with suppress(ConnectionClosed):
            await wire.send(message)


def rubbish() -> list[str | bytes]:
    """What no carrier sends; none of it may end a call."""
    other_stream = "MZ" + "7" * 32
    audio = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "//8="}
    return [
        "hello",
        b"\xff" * 160,
        "[" * 60_000,
        '{"event":"media","media":{"timestamp":NaN}}',
        json.dumps({"event": "media", "sequenceNumber": "1", "streamSid": other_stream, "media": audio}),
        start("a token", "CA" + "8" * 32, encoding="audio/x-l16"),
    ]


def on_record(phone: Phone, caller: RawPhone) -> CallRecord:
    with phone.services.database.calls() as calls:
        record = calls.by_carrier_id(caller.call_sid)
    assert record is not None
    return record


def reported(phone: Phone, call: CallRecord) -> list[int]:
    """The totals at which refused messages were reported."""
    with phone.services.database.calls() as calls:
        events = calls.events(call.id)
    return [event.total for _, event in events if isinstance(event, MessageRefused)]


async def test_calls_in_which_the_peer_misbehaves_end_as_they_should_and_disturb_no_other(
    tmp_path: Path,
) -> None:
    async with open_phone(settings_for(tmp_path)) as phone:
        babbler, shouter, sleeper = RawPhone(phone), RawPhone(phone), RawPhone(phone)
        unwanted = rubbish() * 10

        async def babble(wire: ClientConnection, tick: int) -> None:
            if tick == 110:
                babbler.say(FAREWELL)
            if 60 <= tick < 60 + len(unwanted):
                await wire.send(unwanted[tick - 60])

        async def shout(wire: ClientConnection, tick: int) -> None:
            if tick == 30:
                await wire.send(TOO_LONG)

        async def sleep(wire: ClientConnection, tick: int) -> None:
            if tick == 30:
                await wire.wait_closed()

        async with neighbour(phone) as call, asyncio.timeout(60), asyncio.TaskGroup() as peers:
            babbling = peers.create_task(babbler.hold(babble))
            shouting = peers.create_task(shouter.hold(shout))
            sleeping = peers.create_task(sleeper.hold(sleep))
        assert [peer.result() for peer in (babbling, shouting, sleeping)] == [1000, 1009, 1000]
        await is_undisturbed(phone, call)

        held, cut, given_up = [on_record(phone, caller) for caller in (babbler, shouter, sleeper)]
        assert (held.end_reason, held.ending) == (EndReason.PERSONA_ENDED, "farewell")
        assert [turn.text for turn in held.turns if turn.speaker is Speaker.TRAINEE] == [FAREWELL]
        assert held.counters["messages_refused"] == len(unwanted) == 60
        assert reported(phone, held) == list(range(1, 11))
        assert held.recording is not None and held.recording.complete
        assert (cut.end_reason, cut.counters["messages_refused"]) == (EndReason.CONNECTION_LOST, 1)
        assert (given_up.end_reason, given_up.counters["messages_refused"]) == (EndReason.CONNECTION_LOST, 0)
        counts = await counted(phone)
        assert (counts["messages"], counts["calls connection_lost"]) == (61, 2)
