"""The persona's clauses as telephone speech, through an engine shared by all calls."""

from collections.abc import AsyncGenerator, Callable

import numpy as np
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from agent.errors import EngineError
from agent.playback import Playback
from agent.speech import Speech, Synthesiser, Voice
from audio import ulaw
from pipelines.engines.telephone import to_telephone
from pipelines.engines.workers import Workers
from pipelines.transport import CHUNK_MS

_CHUNK_SAMPLES = CHUNK_MS * ulaw.RATE_HZ // 1_000


class Mouth(TTSService):
    """Speaks each clause as soon as it is worded, and tells the playback which word lies where.

    Clauses come out at the carrier's rate and padded to whole messages, so that the transport neither
    resamples nor pads: the playback counts on sending exactly what was scripted. `on_failure` is called when
    no engine can speak any more: a persona without a voice cannot go on.
    """

    def __init__(
        self,
        synthesiser: Synthesiser,
        voice: Voice,
        workers: Workers,
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
        self._voice = voice
        self._workers = workers
        self._playback = playback
        self._on_failure = on_failure

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speaks one clause; 16-bit mono PCM at 8 kHz."""
        try:
            speech = await self._workers.run(self._speak, text)
        except EngineError:
            self._on_failure()
            return
        padding = -len(speech.samples) % _CHUNK_SAMPLES
        samples = np.pad(speech.samples, (0, padding))
        self._playback.script(speech.words, len(samples))
        yield TTSAudioRawFrame(samples.tobytes(), ulaw.RATE_HZ, 1, context_id=context_id)

    def _speak(self, text: str) -> Speech:
        return to_telephone(self._synthesiser.synthesise(text, self._voice))
