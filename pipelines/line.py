"""One caller's line: carrier messages in, frames out, and the reverse; all of it on the media clock."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    OutputAudioRawFrame,
)

from agent.conversation import Conversation
from agent.errors import ProtocolError
from agent.events import Event, KeyPressed, MessageRefused
from agent.playback import HeardReply, Playback, Played
from agent.scenario import Scenario
from audio import ulaw
from audio.blocks import BLOCK, RATE_HZ, Samples, to_block, to_samples
from audio.clock import MediaClock
from audio.front_end import FrontEnd
from audio.jitter import Packet
from audio.processor import Heard
from audio.realism import LineRealism, LineRealismSettings
from audio.recorder import Recorder, Track
from audio.resample import Upsampler
from telephony import media_stream

_AHEAD_OF_TIME_MS: Final = 4_000
"""Less than the recorder holds back, so that a wrong time displaces no audio that is still to come."""
_HALF_A_BLOCK_MS: Final = 10
"""A mark lies somewhere between two of the carrier's 20 ms blocks."""
_MESSAGE_TOO_BIG: Final = 1009
_REPORTED_ONE_BY_ONE: Final = 10
_REPORTED_EVERY: Final = 100
_PER_MS: Final = RATE_HZ // 1_000
_BED_BLOCKS: Final = 3
_BED_AHEAD_S: Final = 0.08
"""So much of a pause's noise lies at the carrier: enough to bridge its way, too little to be missed."""


@dataclass
class TraineeAudioFrame(InputAudioRawFrame):
    """Whole blocks of 20 ms of the trainee, 16-bit PCM at 16 kHz.

    `audio` is for whoever understands; `voice`, as long, for whoever only asks if somebody speaks: the
    persona's echo is cut out of it, and with it now and then a sound of the trainee.
    """

    voice: bytes = b""


def line_realism(scenario: Scenario) -> LineRealismSettings:
    """What a scenario's line does to the persona's voice."""
    return LineRealismSettings(**scenario.line.plain())  # type: ignore[arg-type]


class LineListener(Protocol):
    """What a line tells the call that it belongs to."""

    def reply_heard(self, reply: HeardReply) -> None:
        """A reply of the persona is over, as heard."""

    def hung_up(self) -> None:
        """The carrier says that the call is over."""


class Line:
    """Joins protocol, media clock, front end, recording and receipts of one call.

    `realism` is what the scenario does to the persona's voice on its way. `now_s` is a monotonic clock in
    seconds. Malformed messages are counted and dropped: they never end a call.
    """

    def __init__(
        self,
        stream: media_stream.MediaStream,
        *,
        front_end: FrontEnd,
        realism: LineRealism,
        recorder: Recorder,
        playback: Playback,
        conversation: Conversation,
        emit: Callable[[Event], None],
        listener: LineListener,
        now_s: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._front_end = front_end
        self._realism = realism
        self._recorder = recorder
        self._playback = playback
        self._conversation = conversation
        self._emit = emit
        self._listener = listener
        self._now_s = now_s
        self._clock = MediaClock()
        self._upsampler = Upsampler()
        self._voice_upsampler: Upsampler | None = None
        """Only while the detector of voice hears another sound than the recogniser."""
        self._sent: dict[str, Samples] = {}
        self._beds: dict[str, Samples] = {}
        self._bed_marks = 0
        self._queued_until_s = 0.0
        self.refused = 0
        self._began_s = self.received_s = now_s()

    @property
    def at_ms(self) -> int:
        """Where the carrier's media clock stands."""
        return self._clock.at_ms(self._now_s())

    def receive(self, data: str | bytes) -> Frame | None:
        """Takes one message of the carrier; returns a TraineeAudioFrame if there is audio by now."""
        self.received_s = self._now_s()
        try:
            event = self._stream.receive(data, until_ms=self._elapsed_ms() + _AHEAD_OF_TIME_MS)
        except ProtocolError as error:
            self._refuse(error)
            return None
        match event:
            case media_stream.Audio():
                return self._hear(event)
            case media_stream.Played(mark=mark):
                played_ms = self._clock.heard_ms + _HALF_A_BLOCK_MS
                self._front_end.played(mark, played_ms * _PER_MS)
                self._place_bed(mark, played_ms)
                self._place(self._playback.receipt(mark, played_ms))
                self._close_reply()
            case media_stream.Digit(digit=digit):
                self._emit(KeyPressed(digit, self.at_ms))
            case media_stream.Stopped():
                self._listener.hung_up()
        return None

    def closed(self, code: int | None) -> None:
        """The socket is gone, with this code of RFC 6455. Too long a message (1009) is one more refused."""
        if code == _MESSAGE_TOO_BIG:
            self._refuse(ProtocolError("a message was too long to be read"))

    def messages(self, frame: Frame) -> list[str]:
        """What to send to the carrier for `frame`: audio with its mark, or a clear."""
        if isinstance(frame, OutputAudioRawFrame):
            return self._speak(np.frombuffer(frame.audio, dtype=np.int16))
        if isinstance(frame, InterruptionFrame):
            return self._cut()
        if isinstance(frame, LLMFullResponseEndFrame):
            self._playback.finish()
            self._close_reply()
        return []

    def pause(self) -> list[str]:
        """What to send so that the noise around a silent persona goes on; to be asked often."""
        surrounded = self._realism.has_bed or self._realism.holds_speech
        if not surrounded or self._queued_until_s > self._now_s() + _BED_AHEAD_S:
            return []
        self._bed_marks += 1
        mark = f"bed:{self._bed_marks}"
        noise = np.concatenate([to_samples(self._realism.bed()) for _ in range(_BED_BLOCKS)])
        messages, self._beds[mark] = self._send(noise, mark)
        return messages

    def tick(self) -> None:
        """Settles receipts that do not come. To be called several times a second."""
        for played in self._playback.expire(self.at_ms):
            self._place(played)
        self._close_reply()

    def settle(self) -> None:
        """Closes what the persona was saying, if anything, with what is known of it by now.

        Before another reply begins, and when the call is over.
        """
        self._playback.interrupt(self.at_ms)
        for played in self._playback.expire(math.inf):
            self._place(played)
        self._close_reply()

    def _elapsed_ms(self) -> int:
        return round((self._now_s() - self._began_s) * 1_000)

    def _hear(self, audio: media_stream.Audio) -> Frame | None:
        samples, now_s = ulaw.decode(audio.ulaw), self._now_s()
        self._clock.heard(audio.timestamp_ms + len(samples) // _PER_MS, now_s)
        packet = Packet(audio.chunk, audio.timestamp_ms * _PER_MS, samples)
        heard = self._front_end.hear(packet, now_s * 1_000)
        return self._frame(heard) if heard else None

    def _frame(self, heard: Sequence[Heard]) -> Frame:
        said = [to_samples(each.recogniser) for each in heard]
        for each, samples in zip(heard, said, strict=True):
            recorded = samples if each.recording is each.recogniser else to_samples(each.recording)
            self._recorder.place(Track.TRAINEE, each.start / _PER_MS, recorded)
        alike = all(each.voice is each.recogniser for each in heard)
        if alike:
            self._voice_upsampler = None
        elif self._voice_upsampler is None:
            self._voice_upsampler = copy.deepcopy(self._upsampler)
        audio = voice = _wide(self._upsampler, said)
        if self._voice_upsampler is not None:
            voice = _wide(self._voice_upsampler, [to_samples(each.voice) for each in heard])
        return TraineeAudioFrame(audio, sample_rate=2 * RATE_HZ, num_channels=1, voice=voice)

    def _speak(self, samples: Samples) -> list[str]:
        mark = self._playback.send(len(samples), self.at_ms)
        if mark is None:
            return []
        self._conversation.first_sent(self.at_ms)
        ahead = [] if self._sent else self._clear_bed()
        messages, self._sent[mark] = self._send(self._as_heard(samples), mark)
        return ahead + messages

    def _as_heard(self, samples: Samples) -> Samples:
        blocks = [samples[at : at + BLOCK] for at in range(0, len(samples), BLOCK)]
        return np.concatenate([to_samples(self._realism.process(to_block(block))) for block in blocks])

    def _send(self, samples: Samples, mark: str) -> tuple[list[str], Samples]:
        """The messages that carry `samples`, and what they are once coded."""
        chunk = ulaw.encode(samples)
        coded = ulaw.decode(chunk)
        self._queued_until_s = max(self._now_s(), self._queued_until_s) + len(samples) / RATE_HZ
        self._front_end.far_end.send(mark, coded, self.at_ms * _PER_MS)
        return [self._stream.play(chunk), self._stream.mark(mark)], coded

    def _clear_bed(self) -> list[str]:
        """Speech does not wait until the noise before it has been played."""
        if not self._beds:
            return []
        self._forget_queue()
        return [self._stream.clear()]

    def _cut(self) -> list[str]:
        if not self._playback.interrupt(self.at_ms):
            return []
        self._forget_queue()
        while self._realism.holds_speech:
            self._realism.bed()
        self._conversation.barged_in(self.at_ms)
        return [self._stream.clear()]

    def _forget_queue(self) -> None:
        self._front_end.far_end.cut(self.at_ms * _PER_MS)
        self._beds.clear()
        self._queued_until_s = 0.0

    def _place_bed(self, mark: str, played_ms: int) -> None:
        noise = self._beds.pop(mark, None)
        if noise is not None:
            self._recorder.place(Track.PERSONA, max(0, played_ms - len(noise) // _PER_MS), noise)

    def _place(self, played: Played | None) -> None:
        if played is None:
            return
        samples = self._sent.pop(played.mark)[: played.heard_samples]
        self._recorder.place(Track.PERSONA, played.start_ms, samples)

    def _close_reply(self) -> None:
        reply = self._playback.close()
        if reply is not None:
            self._sent.clear()
            self._listener.reply_heard(reply)

    def _refuse(self, error: ProtocolError) -> None:
        self.refused += 1
        if self.refused <= _REPORTED_ONE_BY_ONE or self.refused % _REPORTED_EVERY == 0:
            self._emit(MessageRefused(error.code, error.message, self.refused, self.at_ms))


def _wide(upsampler: Upsampler, blocks: Sequence[Samples]) -> bytes:
    return b"".join(upsampler.process(block).tobytes() for block in blocks)
