"""One caller's line: carrier messages in, frames out, and the reverse; all of it on the media clock."""

import math
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
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
from audio import ulaw
from audio.clock import MediaClock
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


class LineListener(Protocol):
    """What a line tells the call that it belongs to."""

    def reply_heard(self, reply: HeardReply) -> None:
        """A reply of the persona is over, as heard."""

    def hung_up(self) -> None:
        """The carrier says that the call is over."""


class Line:
    """Joins the carrier's protocol, the media clock, the recording and the receipts of one call.

    `now_s` is a monotonic clock in seconds. Malformed messages are counted and dropped: they never end a
    call.
    """

    def __init__(
        self,
        stream: media_stream.MediaStream,
        *,
        recorder: Recorder,
        playback: Playback,
        conversation: Conversation,
        emit: Callable[[Event], None],
        listener: LineListener,
        now_s: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._recorder = recorder
        self._playback = playback
        self._conversation = conversation
        self._emit = emit
        self._listener = listener
        self._now_s = now_s
        self._clock = MediaClock()
        self._upsampler = Upsampler()
        self._sent: dict[str, NDArray[np.int16]] = {}
        self.refused = 0
        self._began_s = self.received_s = now_s()

    @property
    def at_ms(self) -> int:
        """Where the carrier's media clock stands."""
        return self._clock.at_ms(self._now_s())

    def receive(self, data: str | bytes) -> Frame | None:
        """Takes one message of the carrier; returns the trainee's audio, 16 kHz PCM, if it holds some."""
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
                self._place(self._playback.receipt(mark, self._clock.heard_ms + _HALF_A_BLOCK_MS))
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

    def _hear(self, audio: media_stream.Audio) -> Frame:
        samples = ulaw.decode(audio.ulaw)
        self._clock.heard(audio.timestamp_ms + len(samples) * 1_000 // ulaw.RATE_HZ, self._now_s())
        self._recorder.place(Track.TRAINEE, audio.timestamp_ms, samples)
        wide = self._upsampler.process(samples)
        return InputAudioRawFrame(wide.tobytes(), sample_rate=2 * ulaw.RATE_HZ, num_channels=1)

    def _speak(self, samples: NDArray[np.int16]) -> list[str]:
        mark = self._playback.send(len(samples), self.at_ms)
        if mark is None:
            return []
        self._conversation.first_sent(self.at_ms)
        chunk = ulaw.encode(samples)
        self._sent[mark] = ulaw.decode(chunk)
        return [self._stream.play(chunk), self._stream.mark(mark)]

    def _cut(self) -> list[str]:
        if not self._playback.interrupt(self.at_ms):
            return []
        self._conversation.barged_in(self.at_ms)
        return [self._stream.clear()]

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
