"""Ten minutes of a call on virtual time: all lies where it was said and heard, whatever the network did."""

from collections.abc import Iterator

import numpy as np
import pytest
from pipecat.frames.frames import LLMFullResponseEndFrame, OutputAudioRawFrame

from agent.conversation import Conversation
from agent.events import Event
from agent.playback import HeardReply, Playback
from agent.speech import SpokenWord
from audio import ulaw
from audio.front_end import FrontEnd, FrontEndSettings
from audio.realism import LineRealism, LineRealismSettings
from audio.recorder import Recorder, Track
from pipelines.line import Line
from pipelines.transport import CHUNK_MS, LEAD_MS
from telephony.media_stream import MediaStream
from telephony.simulator.conditions import DelayLine, Direction, LineConditions
from telephony.simulator.leg import StreamLeg
from telephony.simulator.messages import StreamIdentity
from telephony.simulator.playout import PlayoutLog

TEN_MINUTES_MS = 600_000
CHUNK = CHUNK_MS * 8


class Rehearsal:
    """A carrier, a network and our line, stepped together; `now_ms` is the carrier's clock."""

    def __init__(self, conditions: LineConditions) -> None:
        identity = StreamIdentity("AC" + "1" * 32, "CA" + "1" * 32, "MZ" + "1" * 32)
        self.leg = StreamLeg(identity, bidirectional=True, start_ms=0.0, log=PlayoutLog())
        self.up: DelayLine[str] = DelayLine(conditions, Direction.UP)
        self.down: DelayLine[str] = DelayLine(conditions, Direction.DOWN)
        self.now_ms = 0.0
        self.recorder = Recorder()
        self.playback = Playback()
        self.events: list[Event] = []
        self.replies: list[HeardReply] = []
        self.heard = bytearray()
        self.frames: list[np.ndarray] = []
        self.front_end = FrontEnd(FrontEndSettings(), on_bypass=lambda *_: None)
        self.line = Line(
            MediaStream(),
            front_end=self.front_end,
            realism=LineRealism(LineRealismSettings(), seed=0),
            recorder=self.recorder,
            playback=self.playback,
            conversation=Conversation(self.events.append, lambda *_: None),
            emit=self.events.append,
            listener=self,
            now_s=lambda: 1_000 + self.now_ms / 1_000,
        )
        for message in self.leg.opening():
            self.line.receive(message)

    def reply_heard(self, reply: HeardReply) -> None:
        self.replies.append(reply)

    def hung_up(self) -> None:
        raise AssertionError("nobody hangs up")

    def send(self, frame: object) -> None:
        for message in self.line.messages(frame):  # type: ignore[arg-type]
            self.down.push(message, self.now_ms)

    def run(self, said: bytes, speech: Iterator[bytes]) -> None:
        """Ten minutes in steps of 5 ms; our side sends as its transport does, LEAD_MS ahead of real time."""
        due_ms = 0.0
        for step in range(TEN_MINUTES_MS // 5):
            self.now_ms = step * 5.0
            if step % 4 == 0:
                self._tick(said[step // 4 * 160 : step // 4 * 160 + 160])
            for message in self.down.pop_due(self.now_ms):
                for echo in self.leg.receive(message, self.now_ms):
                    self.up.push(echo, self.now_ms)
            for message in self.up.pop_due(self.now_ms):
                self.line.receive(message)
            while due_ms < self.now_ms + LEAD_MS and (chunk := next(speech, None)) is not None:
                due_ms = max(due_ms, self.now_ms) + CHUNK_MS
                self.send(OutputAudioRawFrame(chunk, 8_000, 1))
            if step % 20 == 0:
                self.line.tick()
                self.frames.append(self.recorder.take())
        self.frames.append(self.recorder.take(everything=True))

    def _tick(self, said: bytes) -> None:
        heard, echoes = self.leg.play()
        self.heard += heard
        for message in (*echoes, *self.leg.tick(said, heard)):
            self.up.push(message, self.now_ms)


def clicks(length_ms: int, every_ms: int = 1_000) -> np.ndarray:
    """A click of 2 ms every second."""
    samples = np.zeros(length_ms * 8, np.int16)
    for start in range(every_ms * 8, len(samples) - 16, every_ms * 8):
        samples[start : start + 16] = 20_000
    return samples


def onsets_ms(samples: np.ndarray) -> np.ndarray:
    loud = np.abs(samples.astype(np.int32)) > 10_000
    return np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]])) / 8


def speech_of(rehearsal: Rehearsal, samples: np.ndarray) -> Iterator[bytes]:
    """The persona's audio, clause by clause, as the transport gets it."""
    rehearsal.playback.begin()
    for clause in np.array_split(samples, len(samples) // (CHUNK * 50)):
        clause = np.pad(clause, (0, -len(clause) % CHUNK))
        words = [SpokenWord("tick", 0, len(clause) // 8)]
        rehearsal.playback.script(words, len(clause))
        for start in range(0, len(clause), CHUNK):
            yield clause[start : start + CHUNK].tobytes()


@pytest.mark.parametrize(
    "conditions",
    [
        "",
        "delay=80,jitter=60",
        "delay=50/120,jitter=40,stall=400@90000,stall=2500@300000,stall=900@480000/down",
    ],
)
def test_a_click_train_through_ten_minutes_lies_in_its_place_on_both_tracks(conditions: str) -> None:
    rehearsal = Rehearsal(LineConditions.parse(conditions))
    said = clicks(TEN_MINUTES_MS)
    rehearsal.run(ulaw.encode(said), speech_of(rehearsal, clicks(TEN_MINUTES_MS - 20_000)))
    recording = np.concatenate(rehearsal.frames)

    trainee = onsets_ms(recording[:, Track.TRAINEE])
    assert np.array_equal(trainee, onsets_ms(said)[: len(trainee)]) and len(trainee) >= 597

    persona = onsets_ms(recording[:, Track.PERSONA])
    at_the_ear = onsets_ms(ulaw.decode(bytes(rehearsal.heard)))
    assert len(persona) == len(at_the_ear) >= 570
    assert np.abs(persona - at_the_ear).max() <= 20
    assert rehearsal.recorder.lost_samples == 0


def test_a_reply_is_known_to_be_heard_to_its_end_within_a_block_of_the_truth() -> None:
    rehearsal = Rehearsal(LineConditions.parse("delay=100,jitter=50"))
    speech = speech_of(rehearsal, clicks(30_000))

    def then_the_end() -> Iterator[bytes]:
        yield from speech
        rehearsal.send(LLMFullResponseEndFrame())

    rehearsal.run(ulaw.encode(np.zeros(TEN_MINUTES_MS * 8, np.int16)), then_the_end())
    (reply,) = rehearsal.replies
    last_ms = onsets_ms(ulaw.decode(bytes(rehearsal.heard)))[-1]
    assert reply.complete and not reply.interrupted
    assert reply.end_ms is not None and 0 <= reply.end_ms - last_ms <= 1_000 + CHUNK_MS + 20
