"""The persona's clauses as telephone speech, through engines shared by all calls."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

import numpy as np
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from agent.errors import EngineError
from agent.manner import manner
from agent.playback import Playback
from agent.scenario import Scenario
from agent.speech import Speech, SpokenWord
from agent.steering import Decision
from audio import ulaw
from audio.sounds import SOUNDS, sound
from pipelines.engines.rungs import CallSynthesiser
from pipelines.persona import MoodFrame
from pipelines.transport import CHUNK_MS

_CHUNK_SAMPLES: Final = CHUNK_MS * ulaw.RATE_HZ // 1_000
_SOUND: Final = re.compile(r"(\[[a-z]+\])")
_SENTENCE_END: Final = re.compile(r"[.?!\u2026][\"'\u2019\])]*$")


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
        self._paused_in = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Besides what a TTSService does: what follows is spoken in the mood that a frame names."""
        if isinstance(frame, MoodFrame):
            self._manner = manner(self._scenario, frame.emotions)
        await super().process_frame(frame, direction)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speaks one clause; 16-bit mono PCM at 8 kHz."""
        try:
            speech = await self._spoken(text)
        except EngineError:
            if self._failed:
                self._on_failure()
            self._failed = True
            return
        self._failed = False
        if context_id == self._paused_in:
            speech = _after_pause(speech, self._manner.pause_ms)
        self._paused_in = context_id if _SENTENCE_END.search(text) else ""
        padding = -len(speech.samples) % _CHUNK_SAMPLES
        samples = np.pad(speech.samples, (0, padding))
        self._playback.script(speech.words, len(samples))
        yield TTSAudioRawFrame(samples.tobytes(), ulaw.RATE_HZ, 1, context_id=context_id)

    async def _spoken(self, text: str) -> Speech:
        """The clause as sound: what is in brackets is a sound of its own, the rest is spoken."""
        parts: list[Speech] = []
        for part in _SOUND.split(text):
            name = part[1:-1]
            if _SOUND.fullmatch(part) and name in SOUNDS:
                parts.append(_sounding(name))
            elif part.strip():
                covered_s = self._playback.unheard_ms / 1_000
                parts.append(await self._synthesiser.speak(part.strip(), self._manner, covered_s=covered_s))
        return parts[0] if len(parts) == 1 else _joined(parts)

    async def prepare(self, decision: Decision, clause: str) -> None:
        """Has a clause that may be spoken soon made ready, in the mood of its decision."""
        if not _SOUND.search(clause):
            await self._synthesiser.prepare(clause, manner(self._scenario, decision.emotions))


def _sounding(name: str) -> Speech:
    samples = sound(name)
    length_ms = len(samples) * 1_000 // ulaw.RATE_HZ
    return Speech(samples, ulaw.RATE_HZ, (SpokenWord(f"[{name}]", 0, length_ms),))


def _joined(parts: Sequence[Speech]) -> Speech:
    words: list[SpokenWord] = []
    before_ms = 0
    for part in parts:
        words += _shifted(part.words, before_ms)
        before_ms += len(part.samples) * 1_000 // ulaw.RATE_HZ
    samples = np.concatenate([part.samples for part in parts]) if parts else np.zeros(0, np.int16)
    return Speech(samples, ulaw.RATE_HZ, tuple(words))


def _after_pause(speech: Speech, pause_ms: int) -> Speech:
    samples = np.pad(speech.samples, (pause_ms * ulaw.RATE_HZ // 1_000, 0))
    return Speech(samples, speech.rate_hz, tuple(_shifted(speech.words, pause_ms)))


def _shifted(words: Sequence[SpokenWord], by_ms: int) -> list[SpokenWord]:
    return [SpokenWord(word.text, word.start_ms + by_ms, word.end_ms + by_ms) for word in words]
