import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.errors import ConfigError, ProtocolError
from telephony.form import Form
from telephony.signature import Signatures
from telephony.twilio import (
    MAX_BODY_BYTES,
    Apologise,
    CallStatus,
    Connect,
    NextStep,
    Reconnect,
    Refuse,
    StreamStatus,
    TwilioEdge,
)
from tests.telephony.fakes import (
    ACCOUNT,
    AUTH_TOKEN,
    CALL,
    CALLER,
    CONNECTED,
    EDGE,
    OTHER_CALL,
    PUBLIC_URL,
    STREAM,
    Carrier,
    Conversation,
    EchoDesk,
    conversation,
    in_process,
    on_loopback,
    report_fields,
    sign,
    start,
    started,
    voice_fields,
)

WEBHOOKS = ("/twilio/voice", "/twilio/after-stream", "/twilio/status", "/twilio/stream-status")


def verbs(document: str) -> list[tuple[str, str | None]]:
    return [(verb.tag, verb.text) for verb in ElementTree.fromstring(document)]


def parameters(document: str) -> dict[str, str]:
    found = ElementTree.fromstring(document).findall("Connect/Stream/Parameter")
    return {parameter.attrib["name"]: parameter.attrib["value"] for parameter in found}


@pytest.fixture
async def desk() -> EchoDesk:
    return EchoDesk()


@pytest.fixture
async def carrier(desk: EchoDesk) -> AsyncIterator[Carrier]:
    async with in_process(desk) as carrier:
        yield carrier


class TestVoice:
    async def test_a_call_is_connected_to_the_stream_and_asks_again_when_it_ends(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        desk.admission = Connect(token="t0", parameters={"scenario": "cold-call"})
        answer = await carrier.post("/twilio/voice", voice_fields())
        stream = ElementTree.fromstring(answer.text).find("Connect/Stream")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
        assert verbs(answer.text) == [
            ("Connect", None),
            ("Redirect", "https://voice.example.com/twilio/after-stream"),
        ]
        assert stream is not None
        assert stream.attrib == {
            "url": "wss://voice.example.com/twilio/media",
            "statusCallback": "https://voice.example.com/twilio/stream-status",
            "statusCallbackMethod": "POST",
        }
        assert parameters(answer.text) == {"scenario": "cold-call", "token": "t0"}

    async def test_the_desk_learns_who_calls(self, desk: EchoDesk, carrier: Carrier) -> None:
        await carrier.post("/twilio/voice", voice_fields())
        [call] = desk.admitted
        assert (call.call_sid, call.caller, call.called) == (CALL, CALLER, "+15550100999")
        assert (call.direction, call.status, call.repeated) == ("inbound", "ringing", False)

    async def test_an_announcement_is_spoken_before_the_stream(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        desk.admission = Connect(token="t0", announcement="This call is <recorded>.")
        answer = await carrier.post("/twilio/voice", voice_fields())
        assert verbs(answer.text)[:2] == [("Say", "This call is <recorded>."), ("Connect", None)]

    async def test_a_refused_caller_hears_why(self, desk: EchoDesk, carrier: Carrier) -> None:
        desk.admission = Refuse(text="All lines are busy.", reason="full")
        answer = await carrier.post("/twilio/voice", voice_fields())
        assert verbs(answer.text) == [("Say", "All lines are busy."), ("Hangup", None)]

    async def test_a_parameter_never_replaces_the_token(self, desk: EchoDesk, carrier: Carrier) -> None:
        desk.admission = Connect(token="t0", parameters={"token": "mine"})
        answer = await carrier.post("/twilio/voice", voice_fields())
        assert parameters(answer.text) == {"token": "t0"}


class TestAfterStream:
    @pytest.mark.parametrize(
        ("step", "spoken"),
        [
            (None, [("Hangup", None)]),
            (Apologise("Please call again."), [("Say", "Please call again."), ("Hangup", None)]),
        ],
    )
    async def test_the_call_ends(
        self,
        desk: EchoDesk,
        carrier: Carrier,
        step: NextStep | None,
        spoken: list[tuple[str, str | None]],
    ) -> None:
        desk.next_step = step or desk.next_step
        answer = await carrier.post("/twilio/after-stream", voice_fields())
        assert verbs(answer.text) == spoken

    async def test_a_call_that_lost_its_stream_gets_another(self, desk: EchoDesk, carrier: Carrier) -> None:
        desk.next_step = Reconnect(token="t1", attempt=2)
        answer = await carrier.post("/twilio/after-stream", voice_fields())
        assert [tag for tag, _ in verbs(answer.text)] == ["Connect", "Redirect"]
        assert parameters(answer.text) == {"attempt": "2", "token": "t1"}

    async def test_each_stream_that_is_lost_may_be_replaced_though_twilio_asks_in_the_same_words(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        for attempt in (1, 2):
            desk.next_step = Reconnect(token=f"t{attempt}", attempt=attempt)
            answer = await carrier.post("/twilio/after-stream", voice_fields())
            assert parameters(answer.text)["token"] == f"t{attempt}"


class TestReports:
    async def test_a_calls_progress_is_reported(self, desk: EchoDesk, carrier: Carrier) -> None:
        answer = await carrier.post("/twilio/status", report_fields())
        assert (answer.status_code, answer.content) == (204, b"")
        assert desk.reports == [CallStatus(CALL, "completed", 3, 71, 200, None)]

    async def test_a_streams_progress_is_reported(self, desk: EchoDesk, carrier: Carrier) -> None:
        fields = [
            ("AccountSid", ACCOUNT),
            ("CallSid", CALL),
            ("StreamSid", STREAM),
            ("StreamEvent", "stream-error"),
            ("StreamError", "31920 - Stream - WebSocket - Handshake Error"),
        ]
        answer = await carrier.post("/twilio/stream-status", fields)
        assert answer.status_code == 204
        assert desk.reports == [
            StreamStatus(STREAM, CALL, "stream-error", "31920 - Stream - WebSocket - Handshake Error")
        ]


class TestSignature:
    @pytest.mark.parametrize("path", WEBHOOKS)
    async def test_every_webhook_refuses_what_twilio_did_not_sign(
        self, desk: EchoDesk, carrier: Carrier, path: str
    ) -> None:
        fields, url = voice_fields(), PUBLIC_URL + path
        without_empty = [(name, value) for name, value in fields if value]
        forged = [
            "AAAA",
            sign(url, fields, auth_token="f" * 32),
            sign(url.replace("https", "http"), fields),
            sign(url + "/", fields),
            sign(f"http://127.0.0.1:8000{path}", fields),
            sign(url, without_empty),
            sign(url, [*fields[:-1], ("To", "+15550100000")]),
            sign(url),
        ]
        answers = [await carrier.post(path, fields, signature=signature) for signature in forged]
        assert {answer.status_code for answer in answers} == {403}
        assert desk.refusals == {"wrong_signature": len(answers)}
        assert (desk.admitted, desk.reports) == ([], [])

    @pytest.mark.parametrize("path", WEBHOOKS)
    async def test_every_webhook_refuses_what_nobody_signed(
        self, desk: EchoDesk, carrier: Carrier, path: str
    ) -> None:
        answer = await carrier.post(path, voice_fields(), signature="")
        assert answer.status_code == 403
        assert desk.refusals == {"unsigned": 1}

    async def test_an_empty_field_that_was_dropped_on_the_way_breaks_the_signature(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        signature = sign(f"{PUBLIC_URL}/twilio/status", [*report_fields(), ("ErrorCode", "")])
        answer = await carrier.post("/twilio/status", report_fields(), signature=signature)
        assert answer.status_code == 403

    async def test_the_query_is_signed_as_it_stands(self, desk: EchoDesk, carrier: Carrier) -> None:
        path = "/twilio/status?b=2&a=%20+&empty="
        assert (await carrier.post(path, report_fields())).status_code == 204
        signature = sign(f"{PUBLIC_URL}{path}", report_fields())
        answer = await carrier.post("/twilio/status?a=%20+&b=2&empty=", report_fields(), signature=signature)
        assert answer.status_code == 403

    @pytest.mark.parametrize("host", ["evil.example", "[", ""])
    async def test_the_host_that_a_request_names_does_not_matter(
        self, desk: EchoDesk, carrier: Carrier, host: str
    ) -> None:
        headers = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "http"}
        answer = await carrier.post("/twilio/status", report_fields(), headers=headers)
        assert answer.status_code == 204

    @given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=12))
    def test_whatever_fields_twilio_invents_are_part_of_the_signature(
        self, fields: list[tuple[str, str]]
    ) -> None:
        encodable = [(name, value) for name, value in fields if (name + value).isprintable()]
        signature = sign(f"{PUBLIC_URL}/twilio/status", encodable)
        form = Form.parse(urlencode(encodable).encode())
        Signatures(AUTH_TOKEN, PUBLIC_URL).require_request("/twilio/status", "", form, signature)


class TestForm:
    async def test_another_accounts_request_is_refused(self, desk: EchoDesk, carrier: Carrier) -> None:
        answer = await carrier.post("/twilio/status", report_fields(AccountSid="AC" + "9" * 32))
        assert (answer.status_code, desk.refusals) == (403, {"wrong_account": 1})

    async def test_only_forms_are_read(self, desk: EchoDesk, carrier: Carrier) -> None:
        answer = await carrier.post(
            "/twilio/status", report_fields(), headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, desk.refusals) == (415, {"content_type": 1})

    @pytest.mark.parametrize("path", WEBHOOKS)
    async def test_a_body_over_64_kb_is_not_read(self, desk: EchoDesk, carrier: Carrier, path: str) -> None:
        answer = await carrier.post(path, [*voice_fields(), ("Padding", "x" * MAX_BODY_BYTES)])
        assert (answer.status_code, desk.refusals) == (413, {"oversized": 1})

    async def test_a_body_that_does_not_arrive_is_not_waited_for(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        async def stalled() -> AsyncIterator[bytes]:
            yield b"AccountSid="
            await asyncio.Event().wait()

        headers = {"X-Twilio-Signature": "AAAA", "Content-Type": "application/x-www-form-urlencoded"}
        answer = await carrier.http.post("/twilio/status", content=stalled(), headers=headers)
        assert (answer.status_code, desk.refusals) == (408, {"silent": 1})

    @pytest.mark.parametrize(
        "changes",
        [
            {"CallSid": ""},
            {"CallSid": CALL + "\n"},
            {"CallSid": "CA../../etc/passwd"},
            {"CallStatus": "<script>"},
            {"SequenceNumber": "-1"},
            {"SequenceNumber": "٣"},
            {"CallDuration": "9" * 5000},
        ],
    )
    async def test_a_field_that_twilio_would_not_send_is_refused(
        self, desk: EchoDesk, carrier: Carrier, changes: dict[str, str]
    ) -> None:
        answer = await carrier.post("/twilio/status", report_fields(**changes))
        assert (answer.status_code, desk.refusals) == (400, {"malformed": 1})
        assert desk.reports == []

    async def test_a_field_with_two_values_is_refused(self, desk: EchoDesk, carrier: Carrier) -> None:
        answer = await carrier.post("/twilio/status", [*report_fields(), ("CallSid", OTHER_CALL)])
        assert (answer.status_code, desk.refusals) == (400, {"malformed": 1})

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_form_or_refused(self, body: bytes) -> None:
        with suppress(ProtocolError):
            Form.parse(body)


class TestReplay:
    async def test_a_replayed_report_is_acknowledged_and_counted_but_delivered_once(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        answers = [await carrier.post("/twilio/status", report_fields()) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [204, 204, 204]
        assert (len(desk.reports), desk.refusals) == (1, {"replayed": 2})

    async def test_a_new_idempotency_token_does_not_make_a_replay_new(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        for token in ("first", "second"):
            await carrier.post(
                "/twilio/status", report_fields(), headers={"I-Twilio-Idempotency-Token": token}
            )
        assert (len(desk.reports), desk.refusals) == (1, {"replayed": 1})

    async def test_fields_cut_anew_under_the_same_signature_are_a_replay(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        signature = sign(f"{PUBLIC_URL}/twilio/status", report_fields())
        recut = [
            ("SipResponseCode200", "") if name == "SipResponseCode" else (name, value)
            for name, value in report_fields()
        ]
        repeated = [*report_fields(), ("CallSid", CALL)]
        for fields in (report_fields(), recut, repeated):
            answer = await carrier.post("/twilio/status", fields, signature=signature)
            assert answer.status_code == 204
        assert (len(desk.reports), desk.refusals) == (1, {"replayed": 2})

    async def test_a_retry_that_twilio_names_is_delivered_once_even_if_its_words_differ(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        for sequence in ("3", "4"):
            await carrier.post(
                "/twilio/status",
                report_fields(SequenceNumber=sequence),
                headers={"I-Twilio-Idempotency-Token": "same"},
            )
        assert (len(desk.reports), desk.refusals) == (1, {"replayed": 1})

    async def test_different_reports_of_one_call_are_all_delivered(
        self, desk: EchoDesk, carrier: Carrier
    ) -> None:
        for sequence in ("0", "1", "2"):
            await carrier.post("/twilio/status", report_fields(SequenceNumber=sequence))
        assert (len(desk.reports), desk.refusals) == (3, {})


class TestEdge:
    @pytest.mark.parametrize(
        "url",
        [
            "voice.example.com",
            "wss://voice.example.com",
            "https://",
            "https://voice.example.com/path",
            "https://voice.example.com?x",
            "https://me:secret@voice.example.com",
            "https://voice.example.com:0",
            "https://voice.example.com:65536",
            "https://voice.example.com\n",
            "https://[::1",
            "https://[:::::]",
        ],
    )
    def test_a_public_url_that_is_no_origin_stops_the_start(self, url: str) -> None:
        with pytest.raises(ConfigError):
            TwilioEdge(ACCOUNT, AUTH_TOKEN, url)

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8000", "https://[::1]:8443", "https://voice.example.com/"]
    )
    def test_an_origin_may_have_a_port_and_a_slash(self, url: str) -> None:
        assert TwilioEdge(ACCOUNT, AUTH_TOKEN, url).public_url == url.rstrip("/")

    def test_an_empty_auth_token_would_let_anybody_sign(self) -> None:
        with pytest.raises(ConfigError):
            Signatures("", PUBLIC_URL)

    def test_secrets_are_not_shown(self) -> None:
        assert AUTH_TOKEN not in repr(EDGE)
        assert "t0" not in repr(Connect(token="t0", parameters={"token": "t0"}))


async def closing_code(wire: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await wire.recv()
    return wire.close_code


async def outcome(carrier: Carrier, token: str) -> int | None:
    """How a short call that brings `token` is closed."""
    async with started(carrier, token) as caller:
        await caller.press("#")
        return await closing_code(caller.socket)


class TestStream:
    @pytest.mark.parametrize("path", ["/twilio/media", "/twilio/media/"])
    @pytest.mark.parametrize("signed", ["/twilio/media", "/twilio/media/"])
    async def test_a_caller_is_heard_and_hears(self, desk: EchoDesk, path: str, signed: str) -> None:
        async with (
            on_loopback(desk) as carrier,
            carrier.dial(path=path, signature=sign(f"wss://voice.example.com{signed}")) as wire,
        ):
            await wire.send(CONNECTED)
            await wire.send('{"event":"weather","is":"fine"}')
            await wire.send(start(desk.issue(CALL)))
            assert await Conversation(wire).hears_itself()
        assert (desk.held, desk.refusals) == ([CALL], {})

    async def test_a_call_from_ring_to_hang_up(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier:
            answer = await carrier.post("/twilio/voice", voice_fields())
            async with started(carrier, parameters(answer.text)["token"]) as caller:
                assert await caller.hears_itself()
                await caller.hang_up()
                assert await closing_code(caller.socket) == 1000
        assert (desk.held, desk.refusals) == ([CALL], {})

    async def test_the_socket_is_closed_when_the_call_is_over(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier, conversation(carrier, desk) as caller:
            await caller.press("#")
            assert await closing_code(caller.socket) == 1000

    async def test_a_caller_who_vanishes_ends_only_that_call(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier, conversation(carrier, desk, OTHER_CALL) as neighbour:
            async with conversation(carrier, desk) as caller:
                assert await caller.hears_itself()
                caller.socket.transport.abort()
                await desk.over.wait()
            assert await neighbour.hears_itself()

    @pytest.mark.parametrize(
        ("signature", "code"),
        [
            ("", "unsigned"),
            ("AAAA", "wrong_signature"),
            (sign("https://voice.example.com/twilio/media"), "wrong_signature"),
            (sign("ws://voice.example.com/twilio/media"), "wrong_signature"),
            (sign("wss://127.0.0.1/twilio/media"), "wrong_signature"),
            (sign("wss://voice.example.com/twilio/other"), "wrong_signature"),
            (sign("wss://voice.example.com/twilio/media", auth_token="f" * 32), "wrong_signature"),
        ],
    )
    async def test_a_handshake_that_twilio_did_not_sign_is_refused_before_it_is_accepted(
        self, desk: EchoDesk, signature: str, code: str
    ) -> None:
        async with on_loopback(desk) as carrier, conversation(carrier, desk, OTHER_CALL) as neighbour:
            assert await neighbour.hears_itself()
            with pytest.raises(InvalidStatus) as refusal:
                await carrier.dial(signature=signature)
            assert refusal.value.response.status_code == 403
            assert desk.refusals == {code: 1}
            assert await neighbour.hears_itself()

    @pytest.mark.parametrize(
        ("messages", "close_code", "code"),
        [
            pytest.param([], 1008, "silent", id="says nothing"),
            pytest.param([CONNECTED], 1008, "silent", id="never starts"),
            pytest.param(["hello"], 1008, "malformed", id="not JSON"),
            pytest.param(["[" * 60_000], 1008, "malformed", id="bottomless JSON"),
            pytest.param([b"\xff" * 160], 1008, "malformed", id="binary"),
            pytest.param([CONNECTED, CONNECTED], 1008, "malformed", id="connected twice"),
            pytest.param([start("t")], 1008, "malformed", id="not connected"),
            pytest.param(
                [CONNECTED, start("t", encoding="audio/x-l16")], 1008, "malformed", id="wrong format"
            ),
            pytest.param(
                [CONNECTED, start("t", account_sid="AC" + "9" * 32)], 1008, "wrong_account", id="account"
            ),
            pytest.param([CONNECTED, start("")], 1008, "token", id="no token"),
            pytest.param([CONNECTED, start("guess")], 1008, "token", id="wrong token"),
            pytest.param(["x" * 65_537], 1009, "oversized", id="oversized"),
        ],
    )
    async def test_a_peer_that_misbehaves_is_shown_out_and_disturbs_nobody(
        self, desk: EchoDesk, messages: list[str | bytes], close_code: int, code: str
    ) -> None:
        async with on_loopback(desk) as carrier, conversation(carrier, desk, OTHER_CALL) as neighbour:
            assert await neighbour.hears_itself()
            async with carrier.dial() as wire:
                for message in messages:
                    await wire.send(message)
                assert await closing_code(wire) == close_code
            assert (desk.refusals, desk.held) == ({code: 1}, [OTHER_CALL])
            assert await neighbour.hears_itself()

    async def test_a_peer_that_chatters_without_starting_is_silent_too(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier, carrier.dial() as wire:
            with pytest.raises(ConnectionClosed):
                while True:
                    await wire.send('{"event":"weather"}')
                    await asyncio.sleep(0.01)
            assert (wire.close_code, desk.refusals) == (1008, {"silent": 1})

    async def test_a_peer_that_leaves_during_the_handshake_is_counted(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier:
            async with carrier.dial() as wire:
                await wire.send(CONNECTED)
            async with carrier.dial() as wire:
                wire.transport.abort()
        assert desk.refusals == {"disconnected": 2}

    async def test_a_token_is_worth_one_stream(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier:
            token = desk.issue(CALL)
            assert [await outcome(carrier, token) for _ in range(2)] == [1000, 1008]
        assert (desk.held, desk.refusals) == ([CALL], {"token": 1})

    async def test_a_token_of_another_call_opens_nothing(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier:
            assert await outcome(carrier, desk.issue(OTHER_CALL)) == 1008
        assert (desk.held, desk.refusals) == ([], {"token": 1})

    async def test_twilios_retry_of_a_ring_still_connects_and_the_lost_answer_does_not(
        self, desk: EchoDesk
    ) -> None:
        async with on_loopback(desk) as carrier:
            answers = [await carrier.post("/twilio/voice", voice_fields()) for _ in range(2)]
            lost, retried = [parameters(answer.text)["token"] for answer in answers]
            assert [await outcome(carrier, token) for token in (lost, retried)] == [1008, 1000]
        assert [call.repeated for call in desk.admitted] == [False, True]

    async def test_a_ring_replayed_after_its_stream_began_gets_no_second_stream(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier:
            answer = await carrier.post("/twilio/voice", voice_fields())
            await outcome(carrier, parameters(answer.text)["token"])
            replay = await carrier.post(
                "/twilio/voice", voice_fields(), headers={"I-Twilio-Idempotency-Token": "another"}
            )
        assert verbs(replay.text) == [("Hangup", None)]
        assert desk.refusals == {"replayed": 1}

    async def test_a_call_that_fails_is_closed_and_its_neighbour_goes_on(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier, conversation(carrier, desk, OTHER_CALL) as neighbour:
            async with conversation(carrier, desk) as caller:
                await caller.press("*")
                assert await closing_code(caller.socket) == 1011
            assert await neighbour.hears_itself()

    async def test_a_store_that_is_away_is_our_failure_and_not_the_carriers(self, desk: EchoDesk) -> None:
        desk.store_is_away = True
        with capture_logs() as logs:
            async with on_loopback(desk) as carrier:
                assert await outcome(carrier, desk.issue(CALL)) == 1011
        assert [(entry["event"], entry["code"]) for entry in logs] == [("call_failed", "store")]
        assert desk.refusals == {}

    async def test_a_failure_is_logged_with_its_place_and_nothing_personal(self, desk: EchoDesk) -> None:
        with capture_logs() as logs:
            async with on_loopback(desk) as carrier, conversation(carrier, desk) as caller:
                await caller.press("*")
                await closing_code(caller.socket)
        [failure] = [entry for entry in logs if entry["event"] == "call_failed"]
        public = {name: value for name, value in failure.items() if not name.startswith("pii_")}
        assert "RuntimeError" in failure["traceback"]
        assert "in hold" in failure["traceback"]
        assert CALLER not in str(public)
        assert desk.issued[0] not in str(public)

    async def test_the_log_holds_neither_numbers_nor_tokens(self, desk: EchoDesk) -> None:
        with capture_logs() as logs:
            async with on_loopback(desk) as carrier:
                answer = await carrier.post("/twilio/voice", voice_fields())
                token = parameters(answer.text)["token"]
                await carrier.post("/twilio/voice", voice_fields(), signature="AAAA")
                async with started(carrier, token, OTHER_CALL) as caller:
                    await closing_code(caller.socket)
        assert [entry["event"] for entry in logs] == ["webhook_refused", "stream_refused"]
        assert token not in str(logs)
        assert "+1555" not in str(logs)

    async def test_an_oversized_webhook_disturbs_nobody(self, desk: EchoDesk) -> None:
        async with on_loopback(desk) as carrier, conversation(carrier, desk) as neighbour:
            assert await neighbour.hears_itself()
            answer = await carrier.post("/twilio/status", [*report_fields(), ("Padding", "x" * 70_000)])
            assert (answer.status_code, desk.refusals) == (413, {"oversized": 1})
            assert await neighbour.hears_itself()
