"""Voice and melody: Pipecat's detectors of speech and of complete turns, with models shared by all calls."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from agent.speech import RECOGNISER_RATE_HZ
from audio.levels import rms_dbfs
from audio.loudness import Loudness
from audio.unvoiced import UnvoicedSound

_SPEECH_CONFIDENCE: Final = 0.6
"""Silero's own probability. With no threshold of loudness beside it, onsets are found 0.1 to 0.3 s sooner."""
_ONSET_CONFIDENCE: Final = 0.4
"""Enough to begin with: onsets are soft, and no more noise gets through (docs/turn-taking.md)."""
_CERTAIN: Final = 0.9
"""Within speech Silero stays above this, also in the closure of a "p" or "t"."""
_BLOCK_MS: Final = 20
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


class VoiceDetector(SileroVADAnalyzer):
    """Tells block by block whether somebody speaks: voice by Silero, and loud enough to be heard.

    It has no model, thread or load of its own, and runs on the event loop: 0.1 ms every 32 ms, which is less
    than a hand-over to a thread costs. Pipecat's own states only decide when the model may be reset.
    `certain`: Silero had no doubt, when last asked, that this is speech.
    """

    def __init__(self, models: TurnModels) -> None:
        VADAnalyzer.__init__(self, params=VADParams(confidence=_SPEECH_CONFIDENCE, min_volume=0.0))
        self._model = _SharedSilero(models.vad)
        self._windows_since_reset = 0
        self._low_confidence_windows = 0
        self._unvoiced = UnvoicedSound(window_ms=_WINDOW_MS)
        self._loudness = Loudness(block_ms=_BLOCK_MS)
        self._is_voice = False
        self.certain = False
        self.set_sample_rate(RECOGNISER_RATE_HZ)

    def process(self, audio: bytes) -> bool:
        """Takes 20 ms of 16-bit mono PCM at 16 kHz; returns whether there is speech in it."""
        self._run_analyzer(audio)
        level_dbfs = rms_dbfs(np.frombuffer(audio, dtype=np.int16))
        return self._loudness.process(level_dbfs, is_voice=self._is_voice) and self._is_voice

    def voice_confidence(self, buffer: bytes) -> float:
        """Silero's confidence for one window; certainty where speech goes on without voice."""
        confidence = float(np.asarray(super().voice_confidence(buffer)).item())
        level_dbfs = rms_dbfs(np.frombuffer(buffer, dtype=np.int16))
        is_voice = confidence >= _SPEECH_CONFIDENCE
        self.certain = confidence >= _CERTAIN
        goes_on = self._unvoiced.process(level_dbfs, is_voice=is_voice)
        speaking = self._vad_state in (VADState.SPEAKING, VADState.STOPPING)
        self._is_voice = is_voice or (goes_on and speaking)
        return 1.0 if self._is_voice else confidence


class SmartTurn:
    """Smart turn v3: how complete a turn sounds. One model for all calls, on threads of its own."""

    def __init__(self, models: TurnModels) -> None:
        self._analyzer = _SharedSmartTurn(models.turn)
        self._thread = models.thread

    async def probability(self, audio: NDArray[np.float32]) -> float:
        """How likely it is, from melody and rhythm alone, that the turn in `audio` is complete.

        Takes float32 mono in [-1, 1] at 16 kHz; the model listens to the last 8 s.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.judge, audio)

    def judge(self, audio: NDArray[np.float32]) -> float:
        """The same, in the thread that asks."""
        return float(self._analyzer.predict(audio)["probability"])


class _SharedSmartTurn(LocalSmartTurnAnalyzerV3):
    """Pipecat's features and model, without a buffer, a thread or a load of its own."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        BaseSmartTurn.__init__(self, params=SmartTurnParams())
        self._session = session
        self._log_data = False

    def predict(self, audio: NDArray[np.float32]) -> dict[str, Any]:
        """Judges one turn; keeps nothing."""
        return self._predict_endpoint(audio)
