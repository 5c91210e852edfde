"""When the trainee's turn is over, and that all calls share the models that say so."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.audio.turn.smart_turn import base_smart_turn
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.vad_analyzer import VADParams, VADState
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.utils.asyncio.task_manager import TaskManager

from agent.conversation import Conversation
from audio.resample import Upsampler
from pipelines.turns import SharedSmartTurn, SharedVAD, TurnEndStrategy, TurnModels, load_turn_models, wait_ms
from tests.phone import spoken

COMPLETE = "Who do you order from today?"
UNFINISHED = "I wanted to ask you about the"
LIMIT_S = 20
NEVER_MS = 10_000
"""Longer than any of these tests takes."""

probabilities = st.floats(0.0, 1.0)
limits_ms = st.integers(0, 10_000)


@given(probabilities, limits_ms)
def test_nobody_waits_longer_than_allowed(probability: float, longest_ms: int) -> None:
    assert 0 <= wait_ms(probability, longest_ms) <= longest_ms


@given(st.floats(0.5, 1.0), limits_ms)
def test_a_turn_that_sounds_complete_is_not_waited_for(probability: float, longest_ms: int) -> None:
    assert wait_ms(probability, longest_ms) == 0


@given(probabilities, probabilities, limits_ms)
def test_the_surer_the_model_that_more_will_come_the_longer_the_wait(
    one: float, other: float, longest_ms: int
) -> None:
    assert wait_ms(min(one, other), longest_ms) >= wait_ms(max(one, other), longest_ms)


@given(limits_ms)
def test_who_has_certainly_not_finished_gets_all_the_time_there_is(longest_ms: int) -> None:
    assert wait_ms(0.0, longest_ms) == longest_ms


@cache
def wide(text: str) -> bytes:
    """`text` as the detectors hear it: 16-bit PCM at 16 kHz, with silence around."""
    silence = np.zeros(1_600, np.int16)
    return Upsampler().process(np.concatenate([silence, spoken(text), silence])).tobytes()


@pytest.fixture(scope="module")
def models() -> Iterator[TurnModels]:
    with ThreadPoolExecutor(1) as thread:
        yield load_turn_models(thread)


class NoOpinion:
    """A turn model that nobody is to ask."""

    def run(self, *_: object) -> None:
        raise AssertionError("the model was asked")


class Listener(SharedSmartTurn):
    """The real analyzer; says when it has judged."""

    def __init__(self, models: TurnModels) -> None:
        super().__init__(models)
        self.judged = asyncio.Event()

    async def probability(self) -> float:
        probability = await super().probability()
        self.judged.set()
        return probability


@dataclass
class Detector:
    """A strategy as a pipeline drives it. `over` is set once a turn has ended."""

    strategy: TurnEndStrategy
    smart_turn: Listener
    turns: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def speech(self, text: str) -> None:
        """The trainee says `text` and falls silent."""
        await self.starts()
        for block in blocks(wide(text)):
            await self._feed(InputAudioRawFrame(block, 16_000, 1))
        await self._feed(VADUserStoppedSpeakingFrame(stop_secs=0.2))

    async def starts(self) -> None:
        await self._feed(VADUserStartedSpeakingFrame(start_secs=0.1))

    async def transcript(self, text: str) -> None:
        await self._feed(TranscriptionFrame(text, "", ""))

    async def ends(self) -> None:
        """Returns when the turn is over."""
        await asyncio.wait_for(self.over.wait(), LIMIT_S)

    async def _feed(self, frame: Frame) -> None:
        await self.strategy.process_frame(frame)


def blocks(audio: bytes) -> list[bytes]:
    return [audio[at : at + 640] for at in range(0, len(audio), 640)]


@asynccontextmanager
async def detector(models: TurnModels, *, longest_wait_ms: int) -> AsyncIterator[Detector]:
    """What Pipecat's turn controller does around a strategy, and no more."""
    smart_turn = Listener(models)
    strategy = TurnEndStrategy(
        smart_turn,
        longest_wait_ms=longest_wait_ms,
        conversation=Conversation(lambda _event: None, lambda *_: None),
        at_ms=lambda: 0,
    )
    running = Detector(strategy, smart_turn)

    async def stopped(*_: object) -> None:
        await strategy.handle_user_turn_stopped()
        running.turns += 1
        running.over.set()

    strategy.add_event_handler("on_user_turn_stopped", stopped)
    await strategy.setup(
        FrameProcessorSetup(clock=SystemClock(), task_manager=TaskManager(), pipeline_worker=cast(Any, None))
    )
    try:
        yield running
    finally:
        await strategy.cleanup()


async def test_a_turn_that_sounds_complete_ends_as_soon_as_it_is_understood(models: TurnModels) -> None:
    async with detector(models, longest_wait_ms=NEVER_MS) as call:
        await call.speech(COMPLETE)
        await call.smart_turn.judged.wait()
        assert call.turns == 0
        await call.transcript(COMPLETE)
        await call.ends()


async def test_a_turn_that_is_understood_before_it_is_judged_ends_with_the_judgement(
    models: TurnModels,
) -> None:
    async with detector(models, longest_wait_ms=NEVER_MS) as call:
        await call.speech(COMPLETE)
        await call.transcript(COMPLETE)
        assert call.turns == 0
        await call.ends()


async def test_a_turn_that_sounds_unfinished_ends_after_the_wait_all_the_same(models: TurnModels) -> None:
    async with detector(models, longest_wait_ms=50) as call:
        await call.speech(UNFINISHED)
        await call.transcript(UNFINISHED)
        await call.ends()


async def test_a_cough_ends_the_turn_though_it_holds_no_words(models: TurnModels) -> None:
    async with detector(models, longest_wait_ms=50) as call:
        await call.speech("Hm")
        await call.transcript("")
        await call.ends()


async def test_a_turn_in_two_stretches_waits_until_both_are_understood(models: TurnModels) -> None:
    async with detector(models, longest_wait_ms=NEVER_MS) as call:
        await call.speech(UNFINISHED)
        await call.speech(COMPLETE)
        await call.smart_turn.judged.wait()
        await call.transcript(UNFINISHED)
        assert call.turns == 0
        await call.transcript(COMPLETE)
        await call.ends()


async def test_a_trainee_who_goes_on_speaking_is_no_longer_judged(models: TurnModels) -> None:
    async with detector(models, longest_wait_ms=NEVER_MS) as call:
        await call.speech(UNFINISHED)
        await call.transcript(UNFINISHED)
        await call.smart_turn.judged.wait()
        call.smart_turn.judged.clear()
        await call.speech(COMPLETE)
        assert call.turns == 0
        await call.transcript(COMPLETE)
        await call.ends()


async def test_nothing_ends_while_the_trainee_speaks(models: TurnModels) -> None:
    async with detector(models, longest_wait_ms=NEVER_MS) as call:
        await call.speech(COMPLETE)
        await call.smart_turn.judged.wait()
        await call.starts()
        await call.transcript(COMPLETE)
        assert call.turns == 0


async def test_a_transcript_that_comes_after_its_turn_does_not_stand_in_for_the_next(
    models: TurnModels,
) -> None:
    async with detector(models, longest_wait_ms=NEVER_MS) as call:
        await call.speech(UNFINISHED)
        await call.strategy.handle_user_turn_stopped()
        await call.transcript(UNFINISHED)
        await call.speech(COMPLETE)
        await call.smart_turn.judged.wait()
        await asyncio.sleep(0)
        assert call.turns == 0
        await call.transcript(COMPLETE)
        await call.ends()


async def test_turn_follows_turn(models: TurnModels) -> None:
    async with detector(models, longest_wait_ms=50) as call:
        for number in range(1, 4):
            await call.speech(COMPLETE)
            await call.transcript(COMPLETE)
            await call.ends()
            call.over.clear()
            assert call.turns == number


async def test_without_any_wait_the_model_is_not_asked(models: TurnModels) -> None:
    silent = TurnModels(models.vad, cast(onnxruntime.InferenceSession, NoOpinion()), models.thread)
    async with detector(silent, longest_wait_ms=0) as call:
        await call.speech(UNFINISHED)
        await call.transcript(UNFINISHED)
        await call.ends()


def test_twenty_calls_add_no_model(models: TurnModels) -> None:
    for _ in range(20):
        assert SharedSmartTurn(models)._session is models.turn
        assert SharedVAD(models, VADParams())._model.session is models.vad


async def test_the_shared_turn_model_judges_as_pipecats_own_does(models: TurnModels) -> None:
    own = LocalSmartTurnAnalyzerV3()
    for text in (COMPLETE, UNFINISHED):
        shared = SharedSmartTurn(models)
        for analyzer in (own, shared):
            analyzer.clear()
            analyzer.set_sample_rate(16_000)
            for block in blocks(wide(text)):
                analyzer.append_audio(block, is_speech=True)
        _, metrics = await own.analyze_end_of_turn()
        assert isinstance(metrics, TurnMetricsData)
        assert await shared.probability() == pytest.approx(metrics.probability)
    await own.cleanup()


async def test_what_was_never_spoken_is_not_judged_complete(models: TurnModels) -> None:
    smart_turn = SharedSmartTurn(models)
    smart_turn.set_sample_rate(16_000)
    assert await smart_turn.probability() == 0.0


def test_silence_before_speech_is_not_kept_for_ever(
    models: TurnModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(base_smart_turn, "time", SimpleNamespace(monotonic=lambda: now_s))
    smart_turn = SharedSmartTurn(models)
    smart_turn.set_sample_rate(16_000)
    for _ in range(10 * 60 * 50):
        now_s += 0.02
        smart_turn.append_audio(bytes(640), is_speech=False)
    assert sum(len(samples) for _, samples in smart_turn._audio_buffer) < 15 * 16_000


async def test_callers_who_speak_at_the_same_time_are_heard_as_if_each_were_alone(
    models: TurnModels,
) -> None:
    params = VADParams(confidence=0.6, start_secs=0.1, stop_secs=0.2, min_volume=0.0)
    audio = [blocks(wide(text) + bytes(16_000)) for text in (COMPLETE, UNFINISHED)]
    alone = [await states(SharedVAD(models, params), each) for each in audio]

    shared = [SharedVAD(models, params) for _ in audio]
    for analyzer in shared:
        analyzer.set_sample_rate(16_000)
    heard: list[list[VADState]] = [[], []]
    for step in range(max(map(len, audio))):
        for caller, analyzer in enumerate(shared):
            if step < len(audio[caller]):
                heard[caller].append(await analyzer.analyze_audio(audio[caller][step]))
    assert heard == alone
    assert all(VADState.SPEAKING in each and each[-1] is VADState.QUIET for each in heard)


async def states(analyzer: SharedVAD, audio: list[bytes]) -> list[VADState]:
    analyzer.set_sample_rate(16_000)
    heard = [await analyzer.analyze_audio(block) for block in audio]
    await analyzer.cleanup()
    return heard
