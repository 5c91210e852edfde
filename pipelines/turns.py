"""When the trainee has begun and ended a turn: Pipecat's detectors with models shared by all calls."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np
import onnxruntime
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import BaseUserTurnStopStrategy

from agent.conversation import Conversation
from audio.levels import rms_dbfs
from audio.unvoiced import UnvoicedSound

_WINDOW_MS: Final = 32.0
"""Of Silero's, 512 samples at 16 kHz."""


@dataclass(frozen=True, slots=True)
class TurnModels:
    """The sessions of Silero VAD and smart turn v3, loaded once a process and shared by all calls.

    Sharing is safe: both take their recurrent state as an input. `thread` runs smart turn, so that a burst
    of turn ends queues instead of starving the event loop.
    """

    vad: onnxruntime.InferenceSession
    turn: onnxruntime.InferenceSession
    thread: ThreadPoolExecutor


def load_turn_models(thread: ThreadPoolExecutor) -> TurnModels:
    """Loads both models, which ship with Pipecat; takes about 0.2 s."""
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1

    def session(package: str, name: str) -> onnxruntime.InferenceSession:
        model = resources.files(package).joinpath(name).read_bytes()
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    return TurnModels(
        vad=session("pipecat.audio.vad.data", "silero_vad.onnx"),
        turn=session("pipecat.audio.turn.smart_turn.data", "smart-turn-v3.2-cpu.onnx"),
        thread=thread,
    )


class _SharedSilero(SileroOnnxModel):
    """Pipecat's wrapper around a session that is already loaded; the recurrent state is its own."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.sample_rates = [8_000, 16_000]
        self.reset_states()  # type: ignore[no-untyped-call]


class SharedVAD(SileroVADAnalyzer):
    """Silero VAD without a model, a thread or a load of its own.

    It runs on the event loop: 0.1 ms every 32 ms, which is less than a hand-over to a thread costs.
    """

    def __init__(self, models: TurnModels, params: VADParams) -> None:
        VADAnalyzer.__init__(self, params=params)
        self._model = _SharedSilero(models.vad)
        self._windows_since_reset = 0
        self._low_confidence_windows = 0
        self._unvoiced = UnvoicedSound(window_ms=_WINDOW_MS)

    def voice_confidence(self, buffer: bytes) -> float:
        """Silero's confidence for one window; certainty where speech goes on without voice."""
        confidence = float(np.asarray(super().voice_confidence(buffer)).item())
        level_dbfs = rms_dbfs(np.frombuffer(buffer, dtype=np.int16))
        goes_on = self._unvoiced.process(level_dbfs, is_voice=confidence >= self.params.confidence)
        speaking = self._vad_state in (VADState.SPEAKING, VADState.STOPPING)
        return 1.0 if goes_on and speaking else confidence

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Runs the model over `buffer`, 16-bit PCM at the analyzer's rate."""
        return self._run_analyzer(buffer)


class SharedSmartTurn(LocalSmartTurnAnalyzerV3):
    """Smart turn v3 without a model, a thread or a load of its own, and without its fixed silence."""

    def __init__(self, models: TurnModels) -> None:
        BaseSmartTurn.__init__(self, params=SmartTurnParams())
        self._stop_ms = math.inf
        self._session = models.turn
        self._log_data = False
        self._shared_thread = models.thread

    @property
    def _model_executor(self) -> ThreadPoolExecutor:
        return self._shared_thread

    async def probability(self) -> float:
        """How likely it is, from prosody alone, that the speech so far is a complete turn."""
        _, metrics = await self.analyze_end_of_turn()
        return metrics.probability if isinstance(metrics, TurnMetricsData) else 0.0


def wait_ms(probability: float, longest_ms: int) -> int:
    """How much more silence ends a turn that is complete with `probability`.

    None when the model takes it for complete; up to `longest_ms` the surer it is that it is not. A wrong
    verdict of the model then costs at most that, where waiting for a fixed silence costs it every time.
    """
    return 0 if probability >= 0.5 else round(longest_ms * (1.0 - 2.0 * probability))


class TurnEndStrategy(BaseUserTurnStopStrategy):
    """Ends the trainee's turn when the silence was judged and every stretch of speech was understood.

    A stretch that turns out to hold no words ends the turn too, so that a cough does not leave the persona
    waiting.
    """

    def __init__(
        self,
        smart_turn: SharedSmartTurn,
        *,
        longest_wait_ms: int,
        conversation: Conversation,
        at_ms: Callable[[], int],
    ) -> None:
        super().__init__()
        self._smart_turn = smart_turn
        self._longest_wait_ms = longest_wait_ms
        self._conversation = conversation
        self._at_ms = at_ms
        self._speaking = False
        self._judged = False
        self._stretches = 0
        self._understood = 0
        self._judging: asyncio.Task[Any] | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Tells the analyzer the rate of the trainee's audio."""
        await super().setup(setup)
        self._smart_turn.set_sample_rate(setup.audio_in_sample_rate)

    async def cleanup(self) -> None:
        """Stops judging."""
        await self._stop_judging()
        await self._smart_turn.cleanup()  # type: ignore[no-untyped-call]
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def handle_user_turn_stopped(self) -> None:
        """The turn is over, whoever ended it."""
        await self._stop_judging()
        self._judged = False
        self._stretches = self._understood = 0
        self._smart_turn.clear()  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Feeds audio, voice edges and transcripts to the decision."""
        if isinstance(frame, InputAudioRawFrame):
            self._smart_turn.append_audio(frame.audio, self._speaking)
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._speaking = True
            self._judged = False
            self._smart_turn.update_vad_start_secs(frame.start_secs)
            self._conversation.voice_started(self._at_ms())
            await self._stop_judging()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._speaking = False
            self._stretches += 1
            self._conversation.voice_stopped(self._at_ms())
            self._judging = self.task_manager.create_task(self._judge(), f"{self} judging")
        elif isinstance(frame, TranscriptionFrame):
            # What a turn that was broken off still owed is not this turn's.
            self._understood = min(self._understood + 1, self._stretches)
            await self._end_if_over()
        return ProcessFrameResult.CONTINUE

    async def _judge(self) -> None:
        clock = asyncio.get_running_loop().time
        silent_since_s = clock()
        if self._longest_wait_ms:
            probability = await self._smart_turn.probability()
            over_s = silent_since_s + wait_ms(probability, self._longest_wait_ms) / 1_000
            await asyncio.sleep(max(0.0, over_s - clock()))
        self._judging = None
        self._judged = True
        self._conversation.turn_judged(self._at_ms())
        await self._end_if_over()

    async def _end_if_over(self) -> None:
        if self._judged and not self._speaking and self._understood >= self._stretches:
            await self.trigger_user_turn_stopped()

    async def _stop_judging(self) -> None:
        judging, self._judging = self._judging, None
        if judging is not None and judging is not asyncio.current_task():
            await self.task_manager.cancel_task(judging)
