"""The trainee's turns through the real detectors: begun, expected to be over, gone on with, ended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest
from loguru import logger as loguru_logger
from numpy.typing import NDArray
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InputAudioRawFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.conversation import Conversation
from agent.errors import EngineFailed
from agent.events import Event, TraineeSaying
from agent.speech import Recognition
from agent.turn_end import TurnTiming
from pipelines.along import ServiceWords
from pipelines.engines.rungs import CallRecogniser
from pipelines.listening import Listener
from pipelines.turns import SmartTurn, TurnModels, VoiceDetector, load_turn_models
from tests.pipelines.test_along import Service, final
from tests.pipelines.trainee_audio import COMPLETE, UNFINISHED, blocks, wide

LIMIT_S = 20
PATIENT = TurnTiming(shortest_ms=600, longest_ms=2_000)
Understand = Callable[[NDArray[np.float32]], Recognition]


@pytest.fixture(scope="module")
def models() -> Iterator[TurnModels]:
    with ThreadPoolExecutor(1) as thread:
        yield load_turn_models(thread)


class Understanding:
    """The engines of a call, which understand what a test says; keeps how much they were given, in s.

    A pause within a word may have them asked more often than a test would think.
    """

    engine = "fake"
    model = "none"

    def __init__(self, says: str | Exception | Callable[[float], str]) -> None:
        self._says = says
        self.heard_s: list[float] = []
        self.release = asyncio.Event()
        self.release.set()

    async def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        self.heard_s.append(len(audio) / 16_000)
        await self.release.wait()
        if isinstance(self._says, Exception):
            raise self._says
        text = self._says if isinstance(self._says, str) else self._says(self.heard_s[-1])
        return Recognition(text, 0.8 if text else None)


class Sink(FrameProcessor):
    """Keeps what the Listener says; its audio aside."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self._arrived = asyncio.Condition()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            async with self._arrived:
                self.frames.append(frame)
                self._arrived.notify_all()
        await self.push_frame(frame, direction)

    def all(self, kind: type[Frame]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def until(self, kind: type[Frame], count: int = 1) -> None:
        async with asyncio.timeout(LIMIT_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.all(kind)) >= count)


class Call:
    """A Listener in a pipeline, and the trainee whom it listens to."""

    def __init__(
        self, models: TurnModels, understanding: Understanding, timing: TurnTiming, speculate: bool
    ) -> None:
        self.events: list[Event] = []
        self.conversation = Conversation(self.events.append, lambda *_: None)
        self.sink = Sink()
        self.fed_ms = 0
        self.listener = Listener(
            cast(CallRecogniser, understanding),
            VoiceDetector(models),
            SmartTurn(models),
            timing=timing,
            speculate=speculate,
            conversation=self.conversation,
            emit=self.events.append,
            persona_audible=lambda: False,
            at_ms=lambda: self.fed_ms,
        )
        self.worker = PipelineWorker(
            Pipeline([self.listener, self.sink]),
            params=PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=8_000),
            enable_rtvi=False,
            idle_timeout_secs=None,
        )

    async def says(self, text: str) -> None:
        """The trainee says `text`; a tenth of a second of silence follows."""
        await self._feed(wide(text))

    async def is_silent(self, ms: int) -> None:
        await self._feed(bytes(32 * ms))

    async def _feed(self, audio: bytes) -> None:
        for block in blocks(audio):
            self.fed_ms += 20
            await self.listener.process_frame(InputAudioRawFrame(block, 16_000, 1), FrameDirection.DOWNSTREAM)
            await asyncio.sleep(0)

    async def is_considered(self) -> None:
        """Returns once the pause is judged and understood."""
        considering = self.listener._considering
        assert considering is not None, "there is a pause"
        await asyncio.wait([considering], timeout=LIMIT_S)

    @property
    def ended(self) -> list[str]:
        return [frame.text for frame in self.sink.all(TranscriptionFrame)]


@asynccontextmanager
async def listening(
    models: TurnModels,
    understanding: Understanding,
    timing: TurnTiming = PATIENT,
    *,
    speculate: bool = True,
) -> AsyncIterator[Call]:
    loguru_logger.disable("pipecat")
    call = Call(models, understanding, timing, speculate)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    async with asyncio.TaskGroup() as tasks:
        running: asyncio.Task[Any] = tasks.create_task(runner.run())
        await call.worker.queue_frame(TranscriptionFrame("ready", "", ""))
        await call.sink.until(TranscriptionFrame)
        call.sink.frames.clear()
        yield call
        await call.worker.cancel()
        await running


async def test_a_turn_is_understood_and_expected_to_be_over_before_it_is(models: TurnModels) -> None:
    async with listening(models, Understanding(COMPLETE)) as call:
        await call.says(COMPLETE)
        await call.is_considered()
        await call.sink.until(EagerTranscriptionFrame)
        assert {frame.text for frame in call.sink.all(EagerTranscriptionFrame)} == {COMPLETE}
        assert call.ended == []
        assert call.conversation.confidence == 0.8
        await call.is_silent(1_000)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.ended == [COMPLETE]
        kinds = [type(frame) for frame in call.sink.frames]
        assert kinds.index(TranscriptionFrame) < kinds.index(ProposedUserStoppedSpeakingFrame)


async def test_what_is_understood_so_far_is_shown_to_who_watches(models: TurnModels) -> None:
    async with listening(models, Understanding(COMPLETE)) as call:
        await call.says(COMPLETE)
        await call.is_considered()
        assert {event.text for event in call.events if isinstance(event, TraineeSaying)} == {COMPLETE}


async def test_a_turn_without_pauses_is_shown_too_as_far_as_two_glances_agree(models: TurnModels) -> None:
    def says(heard_s: float) -> str:
        return " ".join(f"word{number}" for number in range(int(heard_s * 2)))

    impatient_never = TurnTiming(eager_ms=2_000, shortest_ms=2_500, longest_ms=3_000)
    async with listening(models, Understanding(says), impatient_never) as call:
        for _ in range(4):
            await call.says("We help dental offices spend less time ordering supplies")
        texts = [event.text for event in call.events if isinstance(event, TraineeSaying)]
    assert len(texts) >= 2
    assert all(later.startswith(sooner) for sooner, later in zip(texts, texts[1:], strict=False))


async def test_who_goes_on_takes_the_expectation_back_and_is_understood_as_a_whole(
    models: TurnModels,
) -> None:
    whole = f"We sell gloves. {COMPLETE}"
    understanding = Understanding(lambda heard_s: whole if heard_s > 2.2 else "We sell gloves")
    async with listening(models, understanding) as call:
        await call.says("We sell gloves")
        await call.is_considered()
        await call.says(COMPLETE)
        assert call.sink.all(EagerEndOfTurnCancelFrame)
        await call.is_considered()
        await call.is_silent(2_000)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.ended == [whole]


async def test_words_that_leave_a_sentence_open_are_not_answered_in_a_draft(models: TurnModels) -> None:
    async with listening(models, Understanding(UNFINISHED)) as call:
        await call.says(UNFINISHED)
        await call.is_considered()
        await call.is_silent(1_500)
        assert call.sink.all(EagerTranscriptionFrame) == []
        assert call.ended == []
        await call.is_silent(600)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.ended == [UNFINISHED]


async def test_nothing_is_expected_where_nobody_wants_drafts(models: TurnModels) -> None:
    async with listening(models, Understanding(COMPLETE), speculate=False) as call:
        await call.says(COMPLETE)
        await call.is_considered()
        await call.is_silent(2_000)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.sink.all(EagerTranscriptionFrame) == []
        assert call.ended == [COMPLETE]


@pytest.mark.parametrize("nothing", ["", EngineFailed("out of order")])
async def test_a_turn_without_words_ends_too(models: TurnModels, nothing: str | Exception) -> None:
    async with listening(models, Understanding(nothing)) as call:
        await call.says("Hm")
        await call.is_considered()
        await call.is_silent(2_000)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.ended == [""]
        assert call.sink.all(EagerTranscriptionFrame) == []


async def test_a_turn_waits_for_its_words(models: TurnModels) -> None:
    understanding = Understanding(COMPLETE)
    understanding.release.clear()
    async with listening(models, understanding) as call:
        await call.says(COMPLETE)
        await call.is_silent(3_000)
        assert call.ended == []
        understanding.release.set()
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.ended == [COMPLETE]


async def test_turn_follows_turn(models: TurnModels) -> None:
    async with listening(models, Understanding(COMPLETE)) as call:
        for number in (1, 2):
            await call.says(COMPLETE)
            await call.is_considered()
            await call.is_silent(2_000)
            await call.sink.until(ProposedUserStoppedSpeakingFrame, number)
        assert call.ended == [COMPLETE, COMPLETE]
        assert len(call.sink.all(ProposedUserStartedSpeakingFrame)) == 2


async def test_a_long_turn_is_settled_piece_by_piece_at_its_pauses(models: TurnModels) -> None:
    numbers = count()
    understanding = Understanding(lambda heard_s: f"Sentence {next(numbers)}.")
    async with listening(models, understanding) as call:
        for _ in range(10):
            await call.says("We help dental offices spend less time ordering supplies")
            await call.is_considered()
        await call.is_silent(2_000)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        (text,) = call.ended
    assert max(understanding.heard_s) < 16
    said = [int(number) for number in text.replace("Sentence", "").replace(".", "").split()]
    assert len(said) >= 2
    assert said == sorted(said)
    assert said[-1] == len(understanding.heard_s) - 1


async def test_silence_costs_no_recognition(models: TurnModels) -> None:
    understanding = Understanding("")
    async with listening(models, understanding) as call:
        await call.is_silent(20_000)
        assert understanding.heard_s == []
        assert call.sink.frames == []


class NoOpinion:
    """A turn model that nobody is to ask."""

    def run(self, *_: object) -> None:
        raise AssertionError("the model was asked")


async def test_where_any_silence_is_the_end_intonation_is_not_asked(models: TurnModels) -> None:
    deaf = TurnModels(models.vad, cast(onnxruntime.InferenceSession, NoOpinion()), models.thread)
    timing = TurnTiming(shortest_ms=200, longest_ms=200)
    async with listening(deaf, Understanding(UNFINISHED), timing) as call:
        await call.says(UNFINISHED)
        await call.is_considered()
        await call.is_silent(200)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)


async def test_the_words_of_a_service_that_listens_along_come_first(models: TurnModels) -> None:
    understanding = Understanding("of the ladder")
    async with listening(models, understanding) as call:
        call.listener._along = ServiceWords(Service())
        await call.says(COMPLETE)
        await call.worker.queue_frame(final("Of the service.", 0.7))
        await call.is_considered()
        await call.is_silent(2_000)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.ended == ["Of the service."]
        assert understanding.heard_s == []


async def test_a_turn_of_which_the_service_says_nothing_is_understood_by_the_ladder(
    models: TurnModels,
) -> None:
    async with listening(models, Understanding("Of the ladder.")) as call:
        call.listener._along = ServiceWords(Service(usable=False))
        await call.says(COMPLETE)
        await call.is_considered()
        await call.is_silent(2_000)
        await call.sink.until(ProposedUserStoppedSpeakingFrame)
        assert call.ended == ["Of the ladder."]
