import base64
import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamdouble import protocol as double  # type: ignore[import-untyped]

from agent.errors import ProtocolError
from telephony.media_stream import (
    MAX_AHEAD_MS,
    MAX_BEHIND_MS,
    MAX_MESSAGE_BYTES,
    MAX_TIMESTAMP_MS,
    Audio,
    Connected,
    Digit,
    Event,
    MediaStream,
    Played,
    Started,
    Stopped,
)

ACCOUNT, CALL, STREAM = "AC" + "1" * 32, "CA" + "2" * 32, "MZ" + "6" * 32
EVENTS = Connected | Started | Audio | Played | Digit | Stopped | None

CONNECTED: dict[str, Any] = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": STREAM,
    "start": {
        "accountSid": ACCOUNT,
        "callSid": CALL,
        "streamSid": STREAM,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "b0Qx", "resume": "0"},
    },
}
MEDIA: dict[str, Any] = {
    "event": "media",
    "sequenceNumber": "2",
    "streamSid": STREAM,
    "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "/38A"},
}
MARK: dict[str, Any] = {
    "event": "mark",
    "sequenceNumber": "3",
    "streamSid": STREAM,
    "mark": {"name": "u12:end"},
}
DTMF: dict[str, Any] = {
    "event": "dtmf",
    "sequenceNumber": "4",
    "streamSid": STREAM,
    "dtmf": {"track": "inbound_track", "digit": "7"},
}
STOP: dict[str, Any] = {
    "event": "stop",
    "sequenceNumber": "5",
    "streamSid": STREAM,
    "stop": {"accountSid": ACCOUNT, "callSid": CALL},
}
CALL_MESSAGES = (CONNECTED, START, MEDIA, MARK, DTMF, STOP)

MISSING = object()


def changed(message: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """`message` with another value at a dotted path, or without it."""
    copy = deepcopy(message)
    *parents, name = path.split(".")
    fields = copy
    for parent in parents:
        fields = fields[parent]
    if value is MISSING:
        del fields[name]
    else:
        fields[name] = value
    return copy


def heard(stream: MediaStream, *messages: dict[str, Any]) -> list[Event | None]:
    return [stream.receive(json.dumps(message)) for message in messages]


def started(**parameters: str) -> MediaStream:
    stream = MediaStream()
    heard(stream, CONNECTED, changed(START, "start.customParameters", parameters))
    return stream


def media(timestamp_ms: int, **changes: object) -> dict[str, Any]:
    message = changed(MEDIA, "media.timestamp", str(timestamp_ms))
    for name, value in changes.items():
        message["media"][name] = value
    return message


class TestConversation:
    def test_a_call_from_connected_to_stop(self) -> None:
        assert heard(MediaStream(), *CALL_MESSAGES) == [
            Connected("1.0.0"),
            Started(STREAM, CALL, ACCOUNT, ("inbound",), {"token": "b0Qx", "resume": "0"}),
            Audio(b"\xff\x7f\x00", timestamp_ms=0, sequence=2, chunk=1, track="inbound"),
            Played("u12:end"),
            Digit("7"),
            Stopped(CALL),
        ]

    def test_an_independent_simulator_is_understood(self) -> None:
        identity = double.StreamIdentity(account_sid=ACCOUNT, call_sid=CALL, stream_sid=STREAM)
        messages = (
            double.build_connected(),
            double.build_start(identity, 1, custom_parameters={"token": "t"}),
            double.build_media(identity, 2, 1, 0, b"\xff" * 160),
            double.build_mark(identity, 3, "m"),
            double.build_dtmf(identity, 4, "#"),
            double.build_stop(identity, 5),
        )
        assert heard(MediaStream(), *messages) == [
            Connected("1.0.0"),
            Started(STREAM, CALL, ACCOUNT, ("inbound",), {"token": "t"}),
            Audio(b"\xff" * 160, timestamp_ms=0, sequence=2, chunk=1, track="inbound"),
            Played("m"),
            Digit("#"),
            Stopped(CALL),
        ]

    def test_an_independent_simulator_understands_us(self) -> None:
        stream = started()
        sent = [
            double.parse_outbound(text) for text in (stream.play(b"\x01"), stream.mark("m"), stream.clear())
        ]
        assert sent == [
            double.InboundMedia(STREAM, b"\x01"),
            double.InboundMark(STREAM, "m"),
            double.InboundClear(STREAM),
        ]

    def test_the_stream_remembers_whose_call_it_is(self) -> None:
        stream = MediaStream()
        assert stream.started is None
        assert heard(stream, CONNECTED, START)[1] == stream.started

    def test_neither_token_nor_voice_is_shown(self) -> None:
        assert "b0Qx" not in repr(heard(MediaStream(), *CALL_MESSAGES))
        assert "xff" not in repr(heard(MediaStream(), *CALL_MESSAGES))


class TestTolerance:
    @pytest.mark.parametrize(
        ("message", "path", "value"),
        [
            (START, "start.mediaFormat.sampleRate", "8000"),
            (START, "start.mediaFormat.channels", "1"),
            (START, "sequenceNumber", MISSING),
            (START, "start.streamSid", MISSING),
            (CONNECTED, "protocol", MISSING),
            (MEDIA, "sequenceNumber", 2),
            (MEDIA, "media.chunk", 1),
            (MEDIA, "media.timestamp", 0),
            (DTMF, "dtmf.track", 17),
            (STOP, "stop.accountSid", MISSING),
        ],
    )
    def test_numbers_may_be_strings_and_unused_fields_anything(
        self, message: dict[str, Any], path: str, value: object
    ) -> None:
        calls = [changed(each, path, value) if each is message else each for each in CALL_MESSAGES]
        assert heard(MediaStream(), *calls) == heard(MediaStream(), *CALL_MESSAGES)

    def test_custom_parameters_may_stand_beside_start(self) -> None:
        beside = changed(START, "start.customParameters", MISSING) | {"customParameters": {"token": "t"}}
        event = heard(MediaStream(), CONNECTED, beside)[1]
        assert isinstance(event, Started)
        assert event.parameters == {"token": "t"}

    def test_custom_parameters_may_be_absent(self) -> None:
        event = heard(MediaStream(), CONNECTED, changed(START, "start.customParameters", MISSING))[1]
        assert isinstance(event, Started)
        assert event.parameters == {}

    def test_an_unknown_event_is_ignored_and_counted_at_any_time(self) -> None:
        stream = MediaStream()
        weather = {"event": "weather", "is": "fine"}
        assert heard(stream, weather, CONNECTED, weather, START, weather, MEDIA)[::2] == [None] * 3
        assert stream.ignored == 3

    def test_only_the_callers_voice_is_delivered(self) -> None:
        stream = started()
        assert heard(stream, media(0, track="outbound"), media(0))[0] is None
        assert stream.ignored == 1

    @given(st.binary(min_size=1, max_size=4000))
    def test_a_payload_may_have_any_size(self, ulaw: bytes) -> None:
        [event] = heard(started(), media(0, payload=base64.b64encode(ulaw).decode()))
        assert isinstance(event, Audio)
        assert event.ulaw == ulaw

    def test_gaps_and_repetitions_are_shown_and_not_judged(self) -> None:
        messages = [
            changed(media(20 * chunk, chunk=str(chunk)), "sequenceNumber", str(chunk + 1))
            for chunk in (1, 2, 5, 5, 4)
        ]
        events = [event for event in heard(started(), *messages) if isinstance(event, Audio)]
        assert [(event.chunk, event.sequence, event.timestamp_ms) for event in events] == [
            (1, 2, 20),
            (2, 3, 40),
            (5, 6, 100),
            (5, 6, 100),
            (4, 5, 80),
        ]


class TestRefusal:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "hello",
            "\ufeff{}",
            "[]",
            "null",
            '"connected"',
            "{}",
            '{"event": null}',
            '{"event": ["connected"]}',
            "{'event': 'connected'}",
            '{"event": "weather", "celsius": NaN}',
            '{"event": "weather", "celsius": -Infinity}',
            '{"event": "weather", "celsius": ' + "9" * 5000 + "}",
            '{"event": "weather", "deep": ' + "[" * 30_000 + "]" * 30_000 + "}",
            '{"event": "weather"} {}',
            '{"event": "weather", "long": "' + "x" * MAX_MESSAGE_BYTES + '"}',
            '{"event": "weather", "long": "' + "ä" * (MAX_MESSAGE_BYTES // 2) + '"}',
        ],
    )
    def test_what_is_no_message_is_refused(self, text: str) -> None:
        with pytest.raises(ProtocolError):
            MediaStream().receive(text)

    def test_the_longest_message_is_read(self) -> None:
        text = json.dumps({"event": "weather", "long": ""})
        stream = MediaStream()
        stream.receive(text.replace('""', '"' + "x" * (MAX_MESSAGE_BYTES - len(text)) + '"'))
        assert stream.ignored == 1

    def test_a_binary_frame_is_refused(self) -> None:
        with pytest.raises(ProtocolError, match="binary"):
            MediaStream().receive(json.dumps(CONNECTED).encode())

    @pytest.mark.parametrize(
        ("message", "path", "value"),
        [
            (CONNECTED, "version", MISSING),
            (CONNECTED, "version", 1),
            (START, "streamSid", MISSING),
            (START, "streamSid", "../etc"),
            (START, "streamSid", "x" * 65),
            (START, "start", MISSING),
            (START, "start", []),
            (START, "start.streamSid", "MZ" + "7" * 32),
            (START, "start.callSid", MISSING),
            (START, "start.callSid", f"{CALL}\n"),
            (START, "start.accountSid", 17),
            (START, "start.tracks", "inbound"),
            (START, "start.tracks", [1]),
            (START, "start.mediaFormat", MISSING),
            (START, "start.mediaFormat.encoding", "audio/x-l16"),
            (START, "start.mediaFormat.sampleRate", 16000),
            (START, "start.mediaFormat.sampleRate", 8000.0),
            (START, "start.mediaFormat.channels", 2),
            (START, "start.mediaFormat.channels", True),
            (START, "start.customParameters", ["token"]),
            (START, "start.customParameters", {"token": 1}),
            (START, "start.customParameters", {"token": "\ud800"}),
            (MEDIA, "streamSid", MISSING),
            (MEDIA, "streamSid", "MZ" + "7" * 32),
            (MEDIA, "sequenceNumber", MISSING),
            (MEDIA, "sequenceNumber", "two"),
            (MEDIA, "media", MISSING),
            (MEDIA, "media.track", MISSING),
            (MEDIA, "media.chunk", "-1"),
            (MEDIA, "media.chunk", -1),
            (MEDIA, "media.chunk", 2**53 + 1),
            (MEDIA, "media.chunk", "٣"),
            (MEDIA, "media.timestamp", "1_0"),
            (MEDIA, "media.timestamp", " 1"),
            (MEDIA, "media.timestamp", 1.5),
            (MEDIA, "media.timestamp", True),
            (MEDIA, "media.timestamp", MAX_AHEAD_MS + 1),
            (MEDIA, "media.timestamp", MAX_TIMESTAMP_MS + 1),
            (MEDIA, "media.payload", MISSING),
            (MEDIA, "media.payload", ""),
            (MEDIA, "media.payload", "===="),
            (MEDIA, "media.payload", "/38"),
            (MEDIA, "media.payload", "/3 8A"),
            (MEDIA, "media.payload", "_38A"),
            (MEDIA, "media.payload", "ÿ38A"),
            (MEDIA, "media.payload", [255]),
            (MARK, "streamSid", "MZ" + "7" * 32),
            (MARK, "mark.name", MISSING),
            (MARK, "mark.name", 12),
            (DTMF, "dtmf.digit", "12"),
            (DTMF, "dtmf.digit", "x"),
            (DTMF, "dtmf.digit", 7),
            (STOP, "streamSid", MISSING),
            (STOP, "stop", MISSING),
            (STOP, "stop.callSid", "CA" + "3" * 32),
        ],
    )
    def test_a_malformed_message_is_refused_and_the_call_goes_on(
        self, message: dict[str, Any], path: str, value: object
    ) -> None:
        stream = MediaStream()
        events = []
        for each in CALL_MESSAGES:
            if each is message:
                with pytest.raises(ProtocolError):
                    heard(stream, changed(message, path, value))
            events += heard(stream, each)
        assert events == heard(MediaStream(), *CALL_MESSAGES)

    @pytest.mark.parametrize(
        ("before", "message"),
        [
            ([], START),
            ([], MEDIA),
            ([CONNECTED], MEDIA),
            ([CONNECTED], MARK),
            ([CONNECTED], DTMF),
            ([CONNECTED], STOP),
            ([CONNECTED], CONNECTED),
            ([CONNECTED, START], CONNECTED),
            ([CONNECTED, START], START),
            *(([CONNECTED, START, STOP], message) for message in CALL_MESSAGES),
            ([CONNECTED, START, STOP], {"event": "weather"}),
        ],
    )
    def test_a_message_out_of_order_is_refused(
        self, before: list[dict[str, Any]], message: dict[str, Any]
    ) -> None:
        stream = MediaStream()
        heard(stream, *before)
        with pytest.raises(ProtocolError):
            heard(stream, message)

    def test_audio_may_be_late_and_leave_holes_within_reason(self) -> None:
        stream = started()
        heard(stream, media(MAX_AHEAD_MS), media(MAX_AHEAD_MS - MAX_BEHIND_MS), media(2 * MAX_AHEAD_MS))
        for timestamp_ms in (0, 2 * MAX_AHEAD_MS - MAX_BEHIND_MS - 1, 3 * MAX_AHEAD_MS + 1):
            with pytest.raises(ProtocolError, match="timestamp"):
                heard(stream, media(timestamp_ms))
        assert len(heard(stream, media(2 * MAX_AHEAD_MS + 20))) == 1

    def test_an_error_quotes_nothing_that_was_said(self) -> None:
        with pytest.raises(ProtocolError) as error:
            started().receive('{"event":"media","media":{"payload":"c2VjcmV0"')
        assert (error.value.__cause__, error.value.__suppress_context__) == (None, True)
        assert "c2VjcmV0" not in str(error.value)


class TestIntents:
    @given(st.binary(min_size=1))
    def test_audio_is_sent_as_it_is(self, ulaw: bytes) -> None:
        message = json.loads(started().play(ulaw))
        assert base64.b64decode(message["media"].pop("payload")) == ulaw
        assert message == {"event": "media", "streamSid": STREAM, "media": {}}

    @given(st.text(min_size=1).filter(str.isprintable))
    def test_a_mark_comes_back_under_its_name(self, name: str) -> None:
        stream = started()
        message = json.loads(stream.mark(name))
        assert message == {"event": "mark", "streamSid": STREAM, "mark": {"name": name}}
        assert heard(stream, message) == [Played(name)]

    def test_clear_names_the_stream(self) -> None:
        assert json.loads(started().clear()) == {"event": "clear", "streamSid": STREAM}

    @pytest.mark.parametrize("before", [[], [CONNECTED]])
    def test_nothing_can_be_sent_before_start(self, before: list[dict[str, Any]]) -> None:
        stream = MediaStream()
        heard(stream, *before)
        with pytest.raises(ProtocolError):
            stream.play(b"\xff")
        with pytest.raises(ProtocolError):
            stream.mark("m")
        with pytest.raises(ProtocolError):
            stream.clear()

    def test_neither_silence_of_no_length_nor_a_nameless_mark_is_sent(self) -> None:
        stream = started()
        with pytest.raises(ProtocolError):
            stream.play(b"")
        with pytest.raises(ProtocolError):
            stream.mark("")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def paths_of(message: dict[str, Any], prefix: str = "") -> list[str]:
    return [
        path
        for name, value in message.items()
        for path in (
            prefix + name,
            *(paths_of(value, f"{prefix}{name}.") if isinstance(value, dict) else ()),
        )
    ]


mutations = st.sampled_from(CALL_MESSAGES).flatmap(
    lambda message: st.builds(
        changed,
        st.just(message),
        st.sampled_from(paths_of(message)),
        st.just(MISSING) | json_values | st.sampled_from(["0", "-1", "9" * 400, "\ud800", CALL, STREAM]),
    )
)
hostile = (
    st.text()
    | st.binary()
    | json_values.map(json.dumps)
    | st.text(alphabet='{}[]":,\\0eE-"', max_size=60)
    | mutations.map(json.dumps)
)


def is_no_goodbye(text: str | bytes) -> bool:
    return not isinstance(text, str) or '"stop"' not in text


class TestHostility:
    @given(
        st.lists(hostile | st.sampled_from([json.dumps(message) for message in CALL_MESSAGES]), max_size=12)
    )
    def test_whatever_comes_is_an_event_or_ignored_or_refused(self, messages: list[str | bytes]) -> None:
        stream = MediaStream()
        for message in messages:
            try:
                event = stream.receive(message)
            except ProtocolError:
                continue
            assert isinstance(event, EVENTS)
            repr(event).encode()

    @given(st.lists(hostile.filter(is_no_goodbye), max_size=8))
    def test_a_call_survives_whatever_comes_in_the_middle_of_it(self, messages: list[str | bytes]) -> None:
        stream = started()
        latest_ms = 0
        for message in messages:
            try:
                event = stream.receive(message)
            except ProtocolError:
                continue
            if isinstance(event, Audio):
                latest_ms = max(latest_ms, event.timestamp_ms)
        assert isinstance(heard(stream, media(latest_ms))[0], Audio)
        assert heard(stream, MARK, DTMF, STOP) == [Played("u12:end"), Digit("7"), Stopped(CALL)]
