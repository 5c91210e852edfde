"""The persona's clauses as telephone speech, through engines shared by all calls."""

from collections.abc import AsyncGenerator, Callable

import numpy as np
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from agent.errors import EngineError
from agent.manner import manner
from agent.playback import Playback
from agent.scenario import Scenario
from agent.steering import Decision
from audio import ulaw
from pipelines.engines.rungs import CallSynthesiser
from pipelines.persona import MoodFrame
from pipelines.transport import CHUNK_MS

_CHUNK_SAMPLES = CHUNK_MS * ulaw.RATE_HZ // 1_000


class Mouth(TTSService):
    """Speaks each clause as soon as it is worded, and tells the playback which word lies where.

    Clauses come out at the carrier's rate and padded to whole messages, so that the transport neither
    resamples nor pads: the playback counts on sending exactly what was scripted. `on_failure` is called when
    no engine could speak twice in a row: a persona without a voice cannot go on.
    """

    def __init__(
        self,
        synthesiser: CallSynthesiser,
        scenario: Scenario,
        *,
        playback: Playback,
        on_failure: Callable[[], None],
    ) -> None:
        super().__init__(
            sample_rate=ulaw.RATE_HZ,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=synthesiser.model, voice=None, language=None),
        )
        self._synthesiser = synthesiser
        self._scenario = scenario
        self._manner = manner(scenario, {name: felt.start for name, felt in scenario.emotions.items()})
        self._playback = playback
        self._on_failure = on_failure
        self._failed = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Besides what a TTSService does: what follows is spoken in the mood that a frame names."""
        if isinstance(frame, MoodFrame):
            self._manner = manner(self._scenario, frame.emotions)
        await super().process_frame(frame, direction)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speaks one clause; 16-bit mono PCM at 8 kHz."""
        try:
            speech = await self._synthesiser.speak(
                text, self._manner, covered_s=self._playback.unheard_ms / 1_000
            )
        except EngineError:
            if self._failed:
                self._on_failure()
            self._failed = True
            return
        self._failed = False
        padding = -len(speech.samples) % _CHUNK_SAMPLES
        samples = np.pad(speech.samples, (0, padding))
        self._playback.script(speech.words, len(samples))
        yield TTSAudioRawFrame(samples.tobytes(), ulaw.RATE_HZ, 1, context_id=context_id)

    async def prepare(self, decision: Decision, clause: str) -> None:
        """Has a clause that may be spoken soon made ready, in the mood of its decision."""
        await self._synthesiser.prepare(clause, manner(self._scenario, decision.emotions))
