import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.simulator.playout import CAPACITY_BYTES, PlayoutBuffer
from telephony.simulator.sound import SILENT_FRAME

SID = "MZ1"


def media(ulaw: bytes, sid: str = SID) -> str:
    return json.dumps(
        {"event": "media", "streamSid": sid, "media": {"payload": base64.b64encode(ulaw).decode()}}
    )


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": name}})


CLEAR = json.dumps({"event": "clear", "streamSid": SID})
FRAME = b"\x10" * 160


def ticks(buffer: PlayoutBuffer, count: int) -> tuple[bytes, list[str]]:
    played = [buffer.tick() for _ in range(count)]
    return b"".join(p.ulaw for p in played), [name for p in played for name in p.marks]


def test_audio_is_played_in_order_and_silence_follows() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(b"\x01" * 200), 0)
    buffer.receive(media(b"\x02" * 60), 0)
    ulaw, _ = ticks(buffer, 3)
    assert ulaw == b"\x01" * 200 + b"\x02" * 60 + b"\xff" * 220


def test_a_mark_comes_back_when_the_audio_before_it_has_been_played() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME * 2), 0)
    assert buffer.receive(mark("end"), 0) == []
    assert [buffer.tick().marks for _ in range(3)] == [[], [], ["end"]]


def test_a_mark_comes_back_at_once_when_nothing_is_buffered() -> None:
    buffer = PlayoutBuffer(SID)
    assert buffer.receive(mark("idle"), 5) == ["idle"]
    assert [(m.name, m.why) for m in buffer.log.marks] == [("idle", "empty")]


def test_a_mark_waits_for_the_frame_that_is_still_sounding() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME), 0)
    buffer.tick()
    assert buffer.receive(mark("end"), 10) == []
    assert buffer.tick().marks == ["end"]


def test_marks_keep_their_order_when_the_last_frame_is_half_full() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(b"\x10" * 80), 0)
    buffer.receive(mark("first"), 0)
    buffer.tick()
    assert buffer.receive(mark("second"), 15) == ["first", "second"]


def test_clear_drops_the_audio_and_returns_every_pending_mark() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME * 5), 0)
    buffer.receive(mark("a"), 0)
    buffer.receive(mark("b"), 0)
    buffer.tick()
    assert buffer.receive(CLEAR, 25) == ["a", "b"]
    assert buffer.tick() == (SILENT_FRAME, [])
    assert [(e.kind, e.at_ms, e.ms) for e in buffer.log.events] == [("clear", 25, 80.0)]


def test_audio_after_a_clear_is_played() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(b"\x01" * 160), 0)
    buffer.receive(CLEAR, 0)
    buffer.receive(media(b"\x02" * 160), 0)
    assert buffer.tick().ulaw == b"\x02" * 160


def test_more_than_ten_minutes_are_discarded_with_one_warning() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(b"\x10" * CAPACITY_BYTES), 0)
    buffer.receive(media(FRAME), 0)
    buffer.receive(media(FRAME), 0)
    assert buffer.buffered_ms == 600_000
    assert buffer.discarded_bytes == 320
    assert [e.code for e in buffer.log.events] == [31931]


def test_ten_minutes_play_to_the_last_byte() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(b"\x10" * CAPACITY_BYTES), 0)
    buffer.receive(mark("end"), 0)
    ulaw, marks = ticks(buffer, 30_001)
    assert ulaw == b"\x10" * CAPACITY_BYTES + SILENT_FRAME
    assert marks == ["end"]
    assert buffer.log.marks[0].echoed_ms == 600_000


def test_audio_that_comes_late_leaves_an_underrun() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME), 0)
    ticks(buffer, 4)
    buffer.receive(media(FRAME), 70)
    buffer.tick()
    assert [(u.at_ms, u.ms, u.after_mark) for u in buffer.log.underruns] == [(20, 60, False)]
    assert [e.kind for e in buffer.log.events] == ["underrun"]


def test_a_pause_behind_a_mark_is_no_event() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME), 0)
    buffer.receive(mark("end of clause"), 0)
    ticks(buffer, 4)
    buffer.receive(media(FRAME), 70)
    buffer.tick()
    assert [u.after_mark for u in buffer.log.underruns] == [True]
    assert buffer.log.events == []


@pytest.mark.parametrize("silence_ticks", [60, 51])
def test_audio_after_more_than_a_second_is_another_utterance(silence_ticks: int) -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME), 0)
    ticks(buffer, 1 + silence_ticks)
    buffer.receive(media(FRAME), 0)
    buffer.tick()
    assert buffer.log.underruns == []


def test_audio_after_a_clear_is_no_underrun() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME), 0)
    ticks(buffer, 2)
    buffer.receive(CLEAR, 40)
    buffer.receive(media(FRAME), 60)
    buffer.tick()
    assert buffer.log.underruns == []


def test_frames_for_another_stream_go_nowhere() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(FRAME, sid="MZ0"), 0)
    assert buffer.tick().ulaw == SILENT_FRAME
    assert [(e.kind, e.code) for e in buffer.log.events] == [("wrong_stream", 31951)]


@pytest.mark.parametrize(
    ("message", "codes"),
    [
        (b"\x00\x01", {31924, 31950}),
        ("hello", {31924, 31951}),
        ("[]", {31924, 31951}),
        ("[" * 100_000, {31924, 31951}),
        ('{"event": "pong", "streamSid": "MZ1"}', {31924, 31951}),
        ('{"event": "media", "media": {"payload": ""}}', {31924, 31951}),
        ('{"event": "media", "streamSid": "MZ1"}', {31924, 31951}),
        ('{"event": "media", "streamSid": "MZ1", "media": {"payload": 7}}', {31924, 31951}),
        ('{"event": "media", "streamSid": "MZ1", "media": {"payload": "a?b="}}', {31924, 31951}),
        ('{"event": "media", "streamSid": "MZ1", "media": {"payload": "é"}}', {31924, 31951}),
        ('{"event": "mark", "streamSid": "MZ1", "mark": {}}', {31924, 31951}),
    ],
)
def test_what_the_protocol_rules_out_is_refused(message: str | bytes, codes: set[int]) -> None:
    buffer = PlayoutBuffer(SID)
    assert buffer.receive(message, 3) == []
    assert [(e.kind, e.at_ms, e.code) for e in buffer.log.events] == [("refused", 3, 31924)]
    assert buffer.warnings == codes


def test_a_wav_header_in_a_payload_is_noticed_and_played_as_the_click_it_is() -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(media(b"RIFF" + b"\xff" * 156), 0)
    assert [e.kind for e in buffer.log.events] == ["file_header"]
    assert buffer.tick().ulaw.startswith(b"RIFF")


actions = st.lists(
    st.one_of(
        st.tuples(st.just("media"), st.integers(0, 700)),
        st.tuples(st.just("mark"), st.integers(0, 10**6)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("tick"), st.integers(1, 4)),
    ),
    max_size=60,
)


@given(actions)
def test_every_byte_and_every_mark_is_accounted_for(script: list[tuple[str, int]]) -> None:
    buffer = PlayoutBuffer(SID)
    sent_marks: list[str] = []
    returned: list[str] = []
    now_ms, sounded = 0, 0
    for action, value in script:
        if action == "media":
            buffer.receive(media(b"\x10" * value), now_ms)
        elif action == "clear":
            returned += buffer.receive(CLEAR, now_ms)
        elif action == "mark":
            sent_marks.append(f"{len(sent_marks)}-{value}")
            returned += buffer.receive(mark(sent_marks[-1]), now_ms)
        else:
            ulaw, marks = ticks(buffer, value)
            returned += marks
            sounded += ulaw.count(b"\x10")
            now_ms += value * 20
    accounted = buffer.played_bytes + buffer.cleared_bytes + buffer.discarded_bytes + buffer.buffered_bytes
    assert accounted == buffer.received_bytes
    assert sounded == buffer.played_bytes
    _, rest = ticks(buffer, 60 * 700 // 160 + 2)
    assert returned + rest == sent_marks
    assert [m.name for m in buffer.log.marks] == sent_marks


@given(st.one_of(st.text(), st.binary(), st.recursive(st.none() | st.text(), st.lists).map(json.dumps)))
def test_no_message_upsets_the_buffer(message: str | bytes) -> None:
    buffer = PlayoutBuffer(SID)
    buffer.receive(message, 0)
    assert len(buffer.tick().ulaw) == 160
