"""The trainee's side of the pipeline: turns, recognised and judged in the silence behind them.

To Pipecat this is a speech-to-text service with turn detection of its own that predicts ends of turns: the
user aggregator takes its proposals, and the persona drafts an answer to a predicted turn.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.turns.eager_end_of_turn_mixin import EagerEndOfTurnSTTServiceMixin
from pipecat.utils.time import time_now_iso8601

from agent.conversation import Conversation
from agent.errors import EngineError
from agent.events import Event, TraineeSaying
from agent.partials import Agreement
from agent.speech import RECOGNISER_RATE_HZ, Recognition
from agent.turn_end import Step, TurnTaker, TurnTiming, leaves_open
from pipelines.along import ServiceWords, joined
from pipelines.engines.rungs import CallRecogniser
from pipelines.line import TraineeAudioFrame
from pipelines.turns import SmartTurn, VoiceDetector

_BYTES_PER_MS: Final = RECOGNISER_RATE_HZ * 2 // 1_000
_BLOCK_BYTES: Final = 20 * _BYTES_PER_MS
_LEAD_MS: Final = 500
"""Of sound before a turn was noticed, for the recogniser: an onset is softer than what follows it."""
_KEPT_MS: Final = 30_000
_LONG_MS: Final = 8_000
"""From here on a pause within a turn settles what was said before it: a recogniser's window is finite."""
_WITHIN_PAUSE_MS: Final = 80
"""So long before the trainee is known to go on, they were silent."""
_GLANCE_MS: Final = 1_500
_QUICK_S: Final = 0.25
"""An engine that takes longer than this is not asked between pauses: it is needed for the pauses."""
_JUDGED_MS: Final = 8_000
"""What smart turn listens to."""


class _Tape:
    """The last half minute of the trainee's audio, 16-bit PCM at 16 kHz, addressed in ms since it began."""

    def __init__(self) -> None:
        self._audio = bytearray()
        self._dropped = 0

    @property
    def end_ms(self) -> int:
        """Where the tape has got to."""
        return (self._dropped + len(self._audio)) // _BYTES_PER_MS

    def append(self, audio: bytes) -> None:
        """Takes the next audio."""
        self._audio += audio
        surplus = len(self._audio) - _KEPT_MS * _BYTES_PER_MS
        if surplus > 0:
            del self._audio[:surplus]
            self._dropped += surplus

    def since(self, start_ms: int) -> NDArray[np.float32]:
        """What was heard since `start_ms`, as far back as it is kept: float32 in [-1, 1]."""
        start = max(0, start_ms * _BYTES_PER_MS - self._dropped)
        return np.frombuffer(self._audio[start:], np.int16).astype(np.float32) / np.float32(32_768.0)


@dataclass(slots=True)
class _Pause:
    """What is known of the turn up to a pause; times on the media clock."""

    silent_since_ms: int
    recognition: Recognition | None = None
    probability: float | None = None
    judged_ms: int = 0


class Listener(EagerEndOfTurnSTTServiceMixin, STTService):
    """Notices turns, has each recognised and judged while the trainee falls silent, and ends it.

    A turn is recognised as a whole, up to each of its pauses; what the trainee says after a pause takes the
    place of what was understood before it. `speculate` has the persona draft answers to turns that may not
    be over. The words are those of `along`, a service before this one in the pipeline, where it has some.
    """

    def __init__(
        self,
        recogniser: CallRecogniser,
        voice: VoiceDetector,
        smart_turn: SmartTurn,
        *,
        timing: TurnTiming,
        speculate: bool,
        along: ServiceWords | None = None,
        conversation: Conversation,
        emit: Callable[[Event], None],
        persona_audible: Callable[[], bool],
        at_ms: Callable[[], int],
    ) -> None:
        super().__init__(
            enable_eager_end_of_turn=speculate,
            sample_rate=RECOGNISER_RATE_HZ,
            settings=STTSettings(model=recogniser.model, language=None),
        )
        self._recogniser = recogniser
        self._voice = voice
        self._smart_turn = smart_turn
        self._timing = timing
        self._along = along
        self._conversation = conversation
        self._emit = emit
        self._persona_audible = persona_audible
        self._at_ms = at_ms
        self._turn = TurnTaker(timing)
        self._tape = _Tape()
        self._voice_audio = b""
        self._turn_ms = self._from_ms = self._over_ms = 0
        self._settled: list[Recognition] = []
        self._pause = _Pause(0)
        self._considering: asyncio.Task[None] | None = None
        self._agreement = Agreement()
        self._glanced_ms = 0
        self._glancing: asyncio.Task[None] | None = None
        self._took_s = 0.0

    @property
    def supports_ttfs(self) -> bool:
        """Turns are detected here: nobody waits for a transcript after them."""
        return False

    async def cleanup(self) -> None:
        """Stops considering."""
        await self._stop_considering()
        await self._stop_glancing()
        self._tape = _Tape()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Besides what an STTService does: takes the words of a service that listens along."""
        if self._along is not None and direction is FrameDirection.DOWNSTREAM and self._along.take(frame):
            return
        await super().process_frame(frame, direction)

    async def process_audio_frame(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        """Besides what an STTService does: notes what the detector of voice is to hear."""
        self._voice_audio = frame.voice if isinstance(frame, TraineeAudioFrame) else frame.audio
        await super().process_audio_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Takes whole blocks of 20 ms, 16-bit mono PCM at 16 kHz."""
        for at in range(0, len(audio), _BLOCK_BYTES):
            block = slice(at, at + _BLOCK_BYTES)
            await self._listen(audio[block], self._voice_audio[block])
        yield None

    async def _listen(self, audio: bytes, voice: bytes) -> None:
        self._tape.append(audio)
        sounding = self._voice.process(voice)
        audible = self._persona_audible()
        await self._take(
            self._turn.hear(sounding=sounding, certain=self._voice.certain, persona_audible=audible)
        )
        if self._turn.speaking and self._tape.end_ms - self._glanced_ms >= _GLANCE_MS:
            self._glance()

    async def _take(self, step: Step | None) -> None:
        match step:
            case Step.BEGINS:
                await self._begin()
            case Step.PAUSES:
                await self._consider()
            case Step.RESUMES:
                await self._go_on()
            case Step.ENDS:
                await self._end()

    async def _begin(self) -> None:
        noticed_after_ms = self._timing.barge_in_ms if self._persona_audible() else self._timing.start_ms
        self._turn_ms = self._from_ms = max(self._over_ms, self._tape.end_ms - noticed_after_ms - _LEAD_MS)
        self._settled = []
        self._agreement, self._glanced_ms = Agreement(), self._tape.end_ms
        if self._along is not None:
            self._along.begin()
        self._conversation.voice_started(self._at_ms())
        await self.broadcast_frame(VADUserStartedSpeakingFrame, start_secs=noticed_after_ms / 1_000)
        await self.broadcast_frame(ProposedUserStartedSpeakingFrame)

    def _glance(self) -> None:
        """Has a turn that goes on and on understood so far, for whoever watches."""
        self._glanced_ms = self._tape.end_ms
        if self._took_s <= _QUICK_S and (self._glancing is None or self._glancing.done()):
            self._glancing = self.create_task(self._show_stable(), "glancing")

    async def _show_stable(self) -> None:
        stable, _ = self._agreement.update((await self._recognise()).text)
        if stable:
            self._emit(TraineeSaying(joined([*self._settled, Recognition(stable, None)]).text, self._at_ms()))

    async def _consider(self) -> None:
        await self._stop_glancing()
        self._conversation.voice_stopped(self._at_ms())
        self._pause = _Pause(self._at_ms() - self._timing.eager_ms)
        if self._along is not None:
            self._along.pause()
        await self.broadcast_frame(VADUserStoppedSpeakingFrame, stop_secs=self._timing.eager_ms / 1_000)
        self._considering = self.create_task(self._weigh(self._pause), "considering a pause")

    async def _go_on(self) -> None:
        await self._stop_considering()
        await self._cancel_eager_end_of_turn()  # type: ignore[no-untyped-call]
        self._conversation.voice_started(self._at_ms())
        understood = self._pause.recognition
        if understood is not None and self._tape.end_ms - self._from_ms > _LONG_MS:
            self._settled.append(understood)
            self._agreement = Agreement()
            self._from_ms = self._tape.end_ms - _WITHIN_PAUSE_MS
        await self.broadcast_frame(VADUserStartedSpeakingFrame)

    async def _end(self) -> None:
        self._considering = None
        self._over_ms = self._tape.end_ms
        self._clear_eager_end_of_turn()  # type: ignore[no-untyped-call]
        pause, said = self._pause, self._so_far()
        self._conversation.turn_judged(max(pause.judged_ms, pause.silent_since_ms + self._turn.needed_ms))
        await self.push_frame(TranscriptionFrame(said.text, self._user_id, time_now_iso8601()))
        await self.broadcast_frame(ProposedUserStoppedSpeakingFrame)

    async def _weigh(self, pause: _Pause) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._judge(pause), name="judge")
            tasks.create_task(self._understand(pause), name="understand")

    async def _judge(self, pause: _Pause) -> None:
        if self._timing.longest_ms <= self._timing.shortest_ms:
            pause.probability = 1.0
        else:
            start_ms = max(self._turn_ms, self._tape.end_ms - _JUDGED_MS)
            pause.probability = await self._smart_turn.probability(self._tape.since(start_ms))
        pause.judged_ms = self._at_ms()
        await self._expect_end(pause)
        await self._take(self._turn.judged(pause.probability))

    async def _understand(self, pause: _Pause) -> None:
        pause.recognition = await self._recognise()
        so_far = self._so_far()
        self._conversation.understood(so_far, self._at_ms())
        if so_far.text:
            self._emit(TraineeSaying(so_far.text, self._at_ms()))
        await self._expect_end(pause)
        await self._take(self._turn.understood(so_far.text))

    async def _recognise(self) -> Recognition:
        if self._along is not None and (said := await self._along.words()).text:
            # It has heard the whole turn, so nothing of it is settled apart.
            self._settled = []
            return said
        now_s = asyncio.get_running_loop().time
        began_s = now_s()
        try:
            return await self._recogniser.recognise(self._tape.since(self._from_ms))
        except EngineError:
            # The engines have reported it; the persona says that they did not understand.
            return Recognition("", None)
        finally:
            self._took_s = now_s() - began_s

    async def _expect_end(self, pause: _Pause) -> None:
        """Has an answer drafted, once the pause is judged and what was said could be all."""
        if pause.probability is None or pause.recognition is None:
            return
        said = self._so_far().text
        if said and not leaves_open(said):
            await self._push_eager_end_of_turn(said, user_id=self._user_id)

    def _so_far(self) -> Recognition:
        """The whole turn: what earlier pauses settled, and what was understood up to this one."""
        understood = self._pause.recognition
        return joined([*self._settled, understood] if understood else self._settled)

    async def _stop_glancing(self) -> None:
        glancing, self._glancing = self._glancing, None
        if glancing is not None:
            await self.cancel_task(glancing)

    async def _stop_considering(self) -> None:
        considering, self._considering = self._considering, None
        if considering is not None:
            await self.cancel_task(considering)
