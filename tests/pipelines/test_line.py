"""One caller's line: what the carrier's messages become, and what the persona's audio does."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
)

from agent.conversation import Conversation
from agent.events import Event, KeyPressed, MessageRefused
from agent.playback import HeardReply, Playback
from agent.speech import SpokenWord
from audio import ulaw
from audio.front_end import FrontEnd, FrontEndSettings
from audio.realism import LineRealism, LineRealismSettings
from audio.recorder import Recorder, Track
from pipelines.line import Line
from pipelines.transport import CHUNK_MS
from tests.pipelines.carrier import STREAM, key, mark, media, started, stop

CHUNK = CHUNK_MS * 8


class OneCall:
    """A line with everything behind it, and a monotonic clock that a test moves."""

    def __init__(self, realism: LineRealismSettings | None = None) -> None:
        self.now_s = 500.0
        self.events: list[Event] = []
        self.replies: list[HeardReply] = []
        self.hang_ups = 0
        self.broken: list[tuple[str, str]] = []
        self.front_end = FrontEnd(FrontEndSettings(), on_bypass=lambda *broken: self.broken.append(broken))
        self.recorder = Recorder()
        self.playback = Playback()
        self.line = Line(
            started(),
            front_end=self.front_end,
            realism=LineRealism(realism or LineRealismSettings(), seed=0),
            recorder=self.recorder,
            playback=self.playback,
            conversation=Conversation(self.events.append, lambda *_: None),
            emit=self.events.append,
            listener=self,
            now_s=lambda: self.now_s,
        )

    def reply_heard(self, reply: HeardReply) -> None:
        self.replies.append(reply)

    def hung_up(self) -> None:
        self.hang_ups += 1

    def listen(self, until_ms: int) -> None:
        """The trainee is silent up to `until_ms`, in real time."""
        for timestamp_ms in range(self.line.at_ms, until_ms, 20):
            self.now_s = 500.0 + (timestamp_ms + 20) / 1_000
            self.line.receive(media(timestamp_ms))

    def begin(self, *words: str) -> None:
        """The persona begins a reply: each word is one chunk of sound."""
        self.playback.begin()
        for word in words:
            self.playback.script([SpokenWord(word, 0, CHUNK_MS)], CHUNK)

    def speak(self, level: int = 8_000) -> list[dict[str, Any]]:
        """The next chunk leaves the synthesiser; returns what goes to the carrier."""
        chunk = np.full(CHUNK, level, np.int16).tobytes()
        return [json.loads(message) for message in self.line.messages(OutputAudioRawFrame(chunk, 8_000, 1))]

    def cut(self) -> list[str]:
        """The trainee interrupts; returns the events that go to the carrier."""
        return [json.loads(message)["event"] for message in self.line.messages(InterruptionFrame())]


@pytest.fixture
def call() -> OneCall:
    return OneCall()


def totals(call: OneCall) -> list[int]:
    """The counts that were reported of refused messages."""
    return [event.total for event in call.events if isinstance(event, MessageRefused)]


def test_the_trainees_audio_comes_out_at_the_recognisers_rate_and_goes_on_the_recording(
    call: OneCall,
) -> None:
    said = np.full(160, 4_000, np.int16)
    frame = call.line.receive(media(0, said))
    assert isinstance(frame, InputAudioRawFrame)
    assert (frame.sample_rate, frame.num_channels, len(frame.audio)) == (16_000, 1, 2 * 2 * 160)
    assert np.array_equal(
        call.recorder.take(everything=True)[:, Track.TRAINEE], ulaw.decode(ulaw.encode(said))
    )


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "[]",
        '{"event":"media"}',
        '{"event":"media","streamSid":NaN}',
        "[" * 20_000,
        b"\xff\xfe",
        media(0).replace(STREAM, "MZ" + "9" * 32),
        media(0).replace('"payload": "', '"payload": "!'),
        key("X"),
        "x" * 70_000,
    ],
)
def test_a_malformed_message_is_counted_dropped_and_forgotten(call: OneCall, message: str | bytes) -> None:
    assert call.line.receive(message) is None
    assert (call.line.refused, totals(call)) == (1, [1])
    assert call.line.receive(media(0)) is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
payloads = st.dictionaries(
    st.sampled_from(["track", "timestamp", "chunk", "payload", "name", "digit"]),
    st.sampled_from(["inbound", "1", "1:1", "//8=", "", "#", 7, -1]) | json_values,
)
hostile_messages = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["connected", "start", "media", "mark", "dtmf", "stop", "clear"])
        | json_values
    },
    optional={
        "streamSid": st.just(STREAM) | json_values,
        "sequenceNumber": st.just("2") | json_values,
        "start": payloads,
        "media": payloads,
        "mark": payloads,
        "dtmf": payloads,
        "stop": payloads,
    },
)


@given(st.lists(hostile_messages.map(json.dumps) | st.text() | st.binary(), max_size=12))
def test_whatever_a_peer_sends_the_line_goes_on(messages: list[str | bytes]) -> None:
    call = OneCall()
    call.begin("hello")
    call.speak()
    for message in messages:
        call.line.receive(message)
    assert call.line.refused <= len(messages)
    assert call.line.receive(media(0)) is not None


def test_a_flood_is_reported_one_by_one_at_first_and_then_by_the_hundred(call: OneCall) -> None:
    for _ in range(250):
        call.line.receive("not a message")
    assert call.line.refused == 250
    assert totals(call) == [*range(1, 11), 100, 200]


def test_what_a_report_says_holds_nothing_of_the_message(call: OneCall) -> None:
    call.line.receive("my name is Alex")
    (report,) = call.events
    assert "Alex" not in str(report)


def test_audio_from_the_future_is_refused_and_moves_neither_clock_nor_recording(call: OneCall) -> None:
    call.listen(until_ms=1_000)
    assert call.line.receive(media(11_001)) is None
    assert (call.line.refused, call.line.at_ms, call.recorder.duration_ms) == (1, 1_000, 1_000)


def test_after_audio_from_the_future_the_trainee_is_still_heard(call: OneCall) -> None:
    call.listen(until_ms=1_000)
    call.line.receive(media(11_001))
    assert call.line.receive(media(1_000)) is not None


def test_audio_that_was_held_up_on_its_way_is_taken_in_its_place(call: OneCall) -> None:
    call.listen(until_ms=1_000)
    call.now_s += 3.0
    assert call.line.receive(media(1_000)) is not None
    assert call.line.refused == 0
    assert call.recorder.duration_ms == 1_020


def test_a_key_is_an_event_at_its_time(call: OneCall) -> None:
    call.listen(until_ms=300)
    call.line.receive(key("#"))
    assert call.events == [KeyPressed("#", 300)]


def test_a_stop_is_a_hang_up_and_what_comes_after_it_is_refused(call: OneCall) -> None:
    call.line.receive(stop())
    call.line.receive(stop())
    call.line.receive(media(0))
    assert (call.hang_ups, call.line.refused) == (1, 2)


def test_each_chunk_is_followed_by_a_mark_of_its_own(call: OneCall) -> None:
    call.begin("good", "morning")
    messages = [*call.speak(), *call.speak()]
    assert [message["event"] for message in messages] == ["media", "mark", "media", "mark"]
    assert len({message["mark"]["name"] for message in messages if "mark" in message}) == 2


def test_audio_that_comes_after_a_cut_is_not_sent(call: OneCall) -> None:
    call.begin("good", "morning")
    call.speak()
    assert call.cut() == ["clear"]
    assert call.speak() == []


def test_audio_that_belongs_to_no_reply_is_not_sent(call: OneCall) -> None:
    assert call.speak() == []


def test_a_cut_clears_only_what_the_carrier_still_holds_and_only_once(call: OneCall) -> None:
    assert call.cut() == []
    call.begin("good", "morning")
    assert call.cut() == []

    call = OneCall()
    call.begin("good", "morning")
    _, sent = call.speak()
    call.listen(until_ms=100)
    call.line.receive(mark(sent["mark"]["name"]))
    assert call.cut() == []

    call = OneCall()
    call.begin("good", "morning")
    call.speak()
    assert [call.cut(), call.cut()] == [["clear"], []]


def test_a_reply_is_over_when_its_last_mark_has_come_back(call: OneCall) -> None:
    call.begin("good", "morning")
    names = [call.speak()[1]["mark"]["name"] for _ in range(2)]
    call.line.messages(LLMFullResponseEndFrame())
    call.listen(until_ms=CHUNK_MS + 20)
    call.line.receive(mark(names[0]))
    assert call.replies == []
    call.listen(until_ms=2 * CHUNK_MS + 20)
    call.line.receive(mark(names[1]))
    (reply,) = call.replies
    assert (reply.text, reply.complete, reply.interrupted) == ("good morning", True, False)


def test_a_reply_without_any_sound_is_over_when_it_is_worded(call: OneCall) -> None:
    call.begin()
    call.line.messages(LLMFullResponseEndFrame())
    (reply,) = call.replies
    assert (reply.text, reply.complete, reply.start_ms) == ("", False, None)


def test_a_mark_that_nobody_sent_ends_nothing(call: OneCall) -> None:
    call.begin("good")
    call.speak()
    call.line.messages(LLMFullResponseEndFrame())
    call.line.receive(mark("1:99"))
    assert call.replies == []
    assert call.line.refused == 0


def test_receipts_that_never_come_are_settled_by_the_clock(call: OneCall) -> None:
    call.begin("good", "morning")
    call.speak()
    call.speak()
    call.line.messages(LLMFullResponseEndFrame())
    call.listen(until_ms=1_500)
    call.line.tick()
    assert call.replies == []
    call.listen(until_ms=3_000)
    call.line.tick()
    (reply,) = call.replies
    assert (reply.text, reply.complete) == ("good morning", True)


def test_a_reply_in_mid_speech_is_settled_with_what_can_have_been_heard(call: OneCall) -> None:
    call.listen(until_ms=1_000)
    call.begin("good", "morning", "Alex")
    for _ in range(3):
        call.speak()
    call.listen(until_ms=1_000 + CHUNK_MS + CHUNK_MS * 2 // 3)
    call.line.settle()
    (reply,) = call.replies
    assert (reply.text, reply.complete, reply.interrupted) == ("good morning", False, True)
    assert (reply.start_ms, reply.end_ms) == (1_000, 1_100)
    heard = call.recorder.take(everything=True)[:, Track.PERSONA]
    assert np.flatnonzero(heard).tolist() == list(range(8_000, 8_800))


def test_settling_between_replies_tells_nobody_anything(call: OneCall) -> None:
    call.line.settle()
    call.begin("good")
    call.speak()
    call.line.settle()
    call.line.settle()
    assert len(call.replies) == 1


def test_after_settling_the_next_reply_begins_afresh(call: OneCall) -> None:
    call.begin("good", "morning")
    call.speak()
    call.line.settle()
    call.begin("yes")
    (_, sent) = call.speak()
    call.line.messages(LLMFullResponseEndFrame())
    call.listen(until_ms=300)
    call.line.receive(mark(sent["mark"]["name"]))
    assert [reply.text for reply in call.replies] == ["", "yes"]


NOISY = LineRealismSettings(bed="street", bed_dbfs=-40.0)


def media_of(messages: list[dict[str, Any]]) -> np.ndarray:
    """The sound in messages to the carrier."""
    payloads = [message["media"]["payload"] for message in messages if message["event"] == "media"]
    return ulaw.decode(b"".join(base64.b64decode(payload) for payload in payloads))


def pause(call: OneCall) -> list[dict[str, Any]]:
    return [json.loads(message) for message in call.line.pause()]


def test_on_a_clean_line_pauses_are_silent_and_speech_goes_out_as_it_is(call: OneCall) -> None:
    assert pause(call) == []
    call.begin("hello")
    said = np.full(CHUNK, 8_000, np.int16)
    assert np.array_equal(media_of(call.speak()), ulaw.decode(ulaw.encode(said)))


def test_the_noise_of_the_place_goes_on_while_the_persona_is_silent_and_is_on_record() -> None:
    call = OneCall(NOISY)
    call.listen(100)
    messages = pause(call)
    assert [message["event"] for message in messages] == ["media", "mark"]
    noise = media_of(messages)
    assert -46 < 20 * np.log10(noise.std() / 32_768) < -34
    call.listen(200)
    call.line.receive(mark(messages[1]["mark"]["name"]))
    persona = call.recorder.take(everything=True)[:, Track.PERSONA]
    assert np.array_equal(persona[persona != 0], noise[noise != 0])


def test_no_more_noise_is_sent_than_bridges_the_way() -> None:
    call = OneCall(NOISY)
    call.listen(100)
    sent = [pause(call) for _ in range(5)]
    assert [bool(messages) for messages in sent] == [True, True, False, False, False]


def test_speech_does_not_wait_behind_the_noise_and_is_heard_over_it() -> None:
    call = OneCall(NOISY)
    call.listen(100)
    pause(call)
    call.begin("hello", "there")
    first, second = call.speak(), call.speak()
    assert [message["event"] for message in first] == ["clear", "media", "mark"]
    assert [message["event"] for message in second] == ["media", "mark"]
    assert media_of(second).astype(float).std() > 100


def test_noise_that_comes_behind_speech_does_not_have_it_cleared() -> None:
    call = OneCall(NOISY)
    call.listen(100)
    call.begin("hello", "there")
    call.speak()
    call.listen(140)
    assert pause(call)
    assert [message["event"] for message in call.speak()] == ["media", "mark"]


def test_a_filter_that_breaks_does_not_end_the_call(call: OneCall) -> None:
    call.front_end.processor.switch("echo", on=True)
    canceller = call.front_end.processor.canceller
    assert canceller is not None
    canceller.close()
    canceller.process = None  # type: ignore[assignment,method-assign]
    call.listen(200)
    assert [name for name, _ in call.broken] == ["echo"]
    assert len(call.recorder.take(everything=True)) == 200 * 8
