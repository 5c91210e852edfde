"""The trainee's speech as text: stretches between voice edges, through an engine shared by all calls."""

from collections.abc import AsyncGenerator, Callable

import numpy as np
from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.utils.time import time_now_iso8601

from agent.conversation import Conversation
from agent.errors import EngineError
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Recognition
from pipelines.engines.workers import Workers

_TYPICAL_RECOGNITION_S = 1.0


class Ear(SegmentedSTTService):
    """Recognises each stretch of speech off the event loop and off the audio path.

    An empty transcript is passed on too: it tells the turn's end that nothing more is to be waited for.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        workers: Workers,
        *,
        conversation: Conversation,
        at_ms: Callable[[], int],
    ) -> None:
        super().__init__(
            sample_rate=RECOGNISER_RATE_HZ,
            ttfs_p99_latency=_TYPICAL_RECOGNITION_S,
            settings=STTSettings(model=recogniser.model, language=None),
        )
        self._recogniser = recogniser
        self._workers = workers
        self._conversation = conversation
        self._at_ms = at_ms

    @property
    def wants_wav_segments(self) -> bool:
        """The engines take bare samples."""
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Recognises one stretch: 16-bit mono PCM at 16 kHz."""
        samples = np.frombuffer(audio, dtype=np.int16).astype(np.float32) / 32_768.0
        try:
            recognition = await self._workers.run(self._recogniser.recognise, samples)
        except EngineError:
            # The engines have reported it; the persona says that they did not understand.
            recognition = Recognition("", None)
        self._conversation.understood(recognition, self._at_ms())
        yield TranscriptionFrame(recognition.text, self._user_id, time_now_iso8601())
