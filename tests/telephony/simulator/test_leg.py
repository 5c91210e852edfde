import json
from typing import Any

import numpy as np
from streamdouble.protocol import MediaStreamEncoder
from streamdouble.protocol import StreamIdentity as JudgedIdentity

from telephony.simulator.handset import Handset
from telephony.simulator.leg import StreamLeg
from telephony.simulator.line import Line, Prompt
from telephony.simulator.messages import StreamIdentity
from telephony.simulator.playout import PlayoutLog
from tests.telephony.simulator.test_playout import mark, media

IDENTITY = StreamIdentity("AC1", "CA1", "MZ1", parameters={"token": "t"})


def leg(*, bidirectional: bool = True, tracks: tuple[str, ...] = ("inbound",)) -> StreamLeg:
    identity = StreamIdentity("AC1", "CA1", "MZ1", tracks=tracks)
    return StreamLeg(identity, bidirectional=bidirectional, start_ms=0, log=PlayoutLog())


def said(byte: int) -> bytes:
    return bytes([byte]) * 160


def read(messages: list[str]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]


def test_a_stream_opens_with_the_documented_messages() -> None:
    stream = StreamLeg(IDENTITY, bidirectional=True, start_ms=0, log=PlayoutLog())
    assert read(stream.opening()) == [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": "MZ1",
            "start": {
                "accountSid": "AC1",
                "callSid": "CA1",
                "streamSid": "MZ1",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": "t"},
            },
        },
    ]


def test_counters_are_strings_and_count_messages_and_media_apart() -> None:
    stream = leg()
    stream.opening()
    messages = [m for byte in range(3) for m in stream.tick(said(byte), said(9))]
    messages += stream.dtmf("5") + stream.tick(said(3), said(9)) + [stream.stop()]
    assert [(m["event"], m["sequenceNumber"]) for m in read(messages)] == [
        ("media", "2"),
        ("media", "3"),
        ("dtmf", "4"),
        ("media", "5"),
        ("stop", "6"),
    ]
    assert [
        (m["media"]["chunk"], m["media"]["timestamp"]) for m in read(messages) if m["event"] == "media"
    ] == [("1", "0"), ("2", "20"), ("3", "40")]


def test_a_frame_leaves_only_when_it_has_been_said() -> None:
    stream = leg()
    assert stream.tick(said(1), said(9)) == []
    assert "AQEB" in stream.tick(said(2), said(9))[0]


def test_a_fork_carries_both_tracks_at_the_same_times() -> None:
    fork = leg(bidirectional=False, tracks=("inbound", "outbound"))
    fork.tick(said(1), said(2))
    tracks = [m["media"] for m in read(fork.tick(said(1), said(2)))]
    assert [(m["track"], m["chunk"], m["timestamp"]) for m in tracks] == [
        ("inbound", "1", "0"),
        ("outbound", "2", "0"),
    ]


def test_whatever_is_sent_on_a_fork_is_an_error() -> None:
    fork = leg(bidirectional=False)
    assert fork.receive(media(said(1)), 0) == []
    assert fork.warnings == {31924}


def test_forks_hear_of_no_keys() -> None:
    assert leg(bidirectional=False).dtmf("1") == []


def test_the_dtmf_track_has_the_name_of_the_documentation() -> None:
    assert read(leg().dtmf("7"))[0]["dtmf"] == {"track": "inbound_track", "digit": "7"}


class _Loopback:
    """An application in the place of a stream's socket: plays back what it receives."""

    def __init__(self) -> None:
        self.stream = leg()
        self.marks: list[str] = []

    def play(self) -> bytes:
        heard, receipts = self.stream.play()
        self.marks += [json.loads(receipt)["mark"]["name"] for receipt in receipts]
        return heard

    def frame(self, said: bytes, heard: bytes) -> None:
        for message in self.stream.tick(said, heard):
            payload = json.loads(message)["media"]["payload"]
            echo = {"event": "media", "streamSid": "MZ1", "media": {"payload": payload}}
            self.stream.receive(json.dumps(echo), 0)


def test_ten_minutes_of_line_stay_sample_exact() -> None:
    handset = Handset(noise_dbfs=-50.0, seed=3)
    line = Line(handset)
    loopback = _Loopback()
    line.source = loopback
    line.attach(loopback)
    handset.start_media_clock(0)
    for _ in range(30_000):
        line.tick()
    loopback.stream.receive(mark("end"), 600_000)
    assert len(handset.said) == len(handset.heard) == 600 * 8_000
    # Said in tick n, sent at n + 1, played at n + 2.
    assert np.array_equal(handset.heard[320:], handset.said[:-320])
    assert handset.underruns == []


def test_a_prompt_is_played_once_and_says_when() -> None:
    handset = Handset()
    line = Line(handset)
    prompt = Prompt(said(1) + said(2)[:80])
    line.source = prompt
    line.tick()
    line.tick()
    assert not prompt.done.is_set()
    line.tick()
    assert prompt.done.is_set()
    assert np.count_nonzero(handset.line_heard) == 240


def test_an_independent_simulator_words_a_stream_the_same_way() -> None:
    judge = MediaStreamEncoder(JudgedIdentity(stream_sid="MZ1", account_sid="AC1", call_sid="CA1"))
    tracks = ["inbound", "outbound"]
    expected = [judge.connected(), judge.start(tracks=tracks, custom_parameters={})]
    for byte in range(3):
        expected += [judge.media(said(byte)), judge.media(said(9), track="outbound")]
    expected += [judge.stop()]
    fork = leg(bidirectional=False, tracks=("inbound", "outbound"))
    messages = fork.opening() + [m for byte in range(4) for m in fork.tick(said(byte), said(9))]
    assert read([*messages, fork.stop()]) == expected


def test_an_independent_simulator_words_keys_and_receipts_the_same_way() -> None:
    judge = MediaStreamEncoder(JudgedIdentity(stream_sid="MZ1", account_sid="AC1", call_sid="CA1"))
    stream = leg()
    judge.start()
    stream.opening()
    assert read(stream.dtmf("7") + stream.receive(mark("end"), 0)) == [judge.dtmf("7"), judge.mark("end")]
