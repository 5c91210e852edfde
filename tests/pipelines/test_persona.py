"""The persona in the pipeline: answers, drafts of answers, and what an interruption leaves of them."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from loguru import logger as loguru_logger
from pipecat.frames.frames import (
    AggregatedTextFrame,
    EagerEndOfTurnCancelFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType
from pipecat.workers.runner import WorkerRunner

from agent.call import Speaker
from agent.conversation import Conversation
from agent.events import Event, PersonaDecided, PersonaResumed, TurnTaken
from agent.persona import begin
from agent.playback import HeardReply, Playback
from agent.scenario import Scenario
from agent.speech import SpokenWord
from agent.steering import Decision
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording, Wording
from pipelines.persona import CueFrame, MoodFrame, PersonaProcessor
from pipelines.role import Occasion, Role
from tests.agent.scenarios import cold_call

SCENARIO = cold_call()
LIMIT_S = 20


def role(wording: Wording | None = None) -> Role:
    return Role(PersonaGraph(SCENARIO, wording or AuthoredWording()), begin(SCENARIO, seed=3))


class Hesitant:
    """A wording that says its first clause, then thinks until it is stopped."""

    engine = "hesitant"
    model = ""

    def __init__(self) -> None:
        self.thinking = asyncio.Event()
        self.stopped = asyncio.Event()
        self.asked = 0

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        self.asked += 1
        try:
            yield "Let me think about that. "
            self.thinking.set()
            await asyncio.Event().wait()
        finally:
            self.stopped.set()


class Sink(FrameProcessor):
    """Keeps what comes out of the persona."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self._arrived = asyncio.Condition()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        async with self._arrived:
            self.frames.append(frame)
            self._arrived.notify_all()
        await self.push_frame(frame, direction)

    @property
    def clauses(self) -> list[str]:
        return [frame.text for frame in self.frames if isinstance(frame, AggregatedTextFrame)]

    async def until(self, kind: type[Frame], count: int = 1) -> None:
        """Returns when `count` frames of a kind have arrived."""
        async with asyncio.timeout(LIMIT_S), self._arrived:
            await self._arrived.wait_for(lambda: sum(isinstance(each, kind) for each in self.frames) >= count)


class Rehearsal:
    """A persona processor in a pipeline, with a mouth and a carrier that a test plays."""

    def __init__(self, wording: Wording | None = None) -> None:
        self.events: list[Event] = []
        self.settled = 0
        self.prepared: list[str] = []
        self.drafted = asyncio.Event()
        self.role = role(wording)
        self.playback = Playback()
        self.sink = Sink()
        self.processor = PersonaProcessor(
            self.role,
            conversation=Conversation(self.events.append, lambda *_: None),
            playback=self.playback,
            prepare=self.prepare,
            settle=self.settle,
            emit=self.events.append,
            at_ms=lambda: 0,
        )
        self.worker = PipelineWorker(
            Pipeline([self.processor, self.sink]), enable_rtvi=False, idle_timeout_secs=None
        )
        self._context = LLMContext()

    def settle(self) -> None:
        """Whatever is being said ends here."""
        self.settled += 1
        self.playback.interrupt(0)
        self.playback.expire(math.inf)
        reply = self.playback.close()
        if reply is not None:
            self.role.heard(reply)

    async def trainee_says(self, text: str) -> None:
        """A turn, as Pipecat's aggregator hands it on."""
        self._context.add_message({"role": "user", "content": text})
        await self.worker.queue_frame(LLMContextFrame(self._context))

    async def trainee_may_have_said(self, text: str) -> None:
        """A turn that may not be over."""
        context = LLMContext([{"role": "user", "content": text}])
        await self.worker.queue_frame(LLMContextFrame(context, speculation=True))

    async def prepare(self, decision: Decision, clause: str) -> None:
        """The mouth is asked for a clause ahead."""
        self.prepared.append(clause)
        self.drafted.set()

    async def is_drafting(self) -> None:
        """Returns once a clause is drafted."""
        async with asyncio.timeout(LIMIT_S):
            await self.drafted.wait()

    async def hears(self, words: int) -> None:
        """The trainee hears the first `words` of the reply, and breaks in."""
        said = " ".join(self.sink.clauses).split()
        spoken = [SpokenWord(word, 100 * at, 100 * at + 100) for at, word in enumerate(said)]
        self.playback.script(spoken, 800 * len(said))
        mark = self.playback.send(800 * words, 0)
        assert mark is not None
        self.playback.receipt(mark, 100 * words)
        await self.send(InterruptionFrame())
        await self.sink.until(InterruptionFrame)

    async def send(self, frame: Frame) -> None:
        await self.worker.queue_frame(frame)


@asynccontextmanager
async def rehearsal(wording: Wording | None = None) -> AsyncIterator[Rehearsal]:
    loguru_logger.disable("pipecat")
    rehearsing = Rehearsal(wording)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(rehearsing.worker)
    async with asyncio.TaskGroup() as tasks:
        running: asyncio.Task[Any] = tasks.create_task(runner.run())
        yield rehearsing
        await rehearsing.worker.cancel()
        await running


async def test_a_turn_is_answered_clause_by_clause_between_the_marks_of_a_reply() -> None:
    async with rehearsal() as call:
        await call.trainee_says("Hi Dana, this is Alex from Northwind Supply.")
        await call.sink.until(LLMFullResponseEndFrame)
        kinds = [type(frame) for frame in call.sink.frames]
        first, last = kinds.index(LLMFullResponseStartFrame), kinds.index(LLMFullResponseEndFrame)
        assert kinds[first + 1] is MoodFrame
        assert set(kinds[first + 2 : last]) == {AggregatedTextFrame}
        assert len(call.sink.clauses) >= 2

        taken, decided = call.events
        assert isinstance(taken, TurnTaken) and isinstance(decided, PersonaDecided)
        assert taken.turn.text == "Hi Dana, this is Alex from Northwind Supply."
        assert (decided.move, decided.intent) == ("introduce", "object:busy")


async def test_each_turn_is_answered_once_and_settles_the_reply_before_it() -> None:
    async with rehearsal() as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(LLMFullResponseEndFrame)
        await call.hears(words=3)
        await call.trainee_says("How often do you order?")
        await call.sink.until(LLMFullResponseEndFrame, 2)
        assert call.settled == 2
        assert [event.turn.text for event in call.events if isinstance(event, TurnTaken)] == [
            "Who do you order from today?",
            "How often do you order?",
        ]
        assert call.role.state.last_move == "ask_supplier", "the second answer is not heard yet"


async def test_a_cue_is_spoken_as_it_is() -> None:
    async with rehearsal() as call:
        await call.send(CueFrame(Occasion.OPENING))
        await call.sink.until(LLMFullResponseEndFrame)
        assert " ".join(call.sink.clauses) in SCENARIO.opening
        assert (call.settled, call.events) == (1, [])


@pytest.mark.parametrize("occasion", [Occasion.SILENCE, Occasion.CUT_OFF, Occasion.GONE, Occasion.TIME_UP])
async def test_nobody_is_given_the_word_or_sent_away_while_they_speak(occasion: Occasion) -> None:
    async with rehearsal() as call:
        await call.send(UserStartedSpeakingFrame())
        await call.sink.until(UserStartedSpeakingFrame)
        await call.send(CueFrame(occasion))
        await call.send(UserStoppedSpeakingFrame())
        await call.sink.until(UserStoppedSpeakingFrame)
        await call.send(CueFrame(occasion))
        await call.sink.until(LLMFullResponseEndFrame)
        starts = [frame for frame in call.sink.frames if isinstance(frame, LLMFullResponseStartFrame)]
        assert len(starts) == 1
        assert call.sink.frames.index(starts[0]) > 1


async def test_a_cue_does_not_cut_what_the_persona_is_saying() -> None:
    async with rehearsal() as call:
        await call.trainee_says("Who do you order from today?")
        await call.send(CueFrame(Occasion.TIME_UP))
        await call.send(TTSTextFrame("passes", TextType.WORD))
        await call.sink.until(TTSTextFrame)
        assert "Delmar" in " ".join(call.sink.clauses)
        assert call.settled == 1


async def test_who_cut_the_persona_off_at_the_end_is_given_the_word_at_once() -> None:
    async with rehearsal(Hesitant()) as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(AggregatedTextFrame)
        await call.hears(words=5)
        await call.send(CueFrame(Occasion.CUT_OFF))
        await call.sink.until(AggregatedTextFrame, 2)
        assert call.sink.clauses[-1] in SCENARIO.lines.cut_off


async def test_after_a_cough_the_persona_takes_up_what_they_were_saying() -> None:
    async with rehearsal() as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(LLMFullResponseEndFrame)
        answer = " ".join(call.sink.clauses)
        await call.hears(words=2)
        await call.send(CueFrame(Occasion.CUT_OFF))
        await call.sink.until(LLMFullResponseEndFrame, 2)
        assert answer.endswith(" ".join(call.sink.clauses)[len(answer) + 1 :])
        assert any(isinstance(event, PersonaResumed) for event in call.events)


async def test_who_says_uh_huh_is_told_the_rest() -> None:
    async with rehearsal() as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(LLMFullResponseEndFrame)
        answer = " ".join(call.sink.clauses)
        await call.hears(words=2)
        await call.trainee_says("Uh-huh.")
        await call.sink.until(LLMFullResponseEndFrame, 2)
        rest = " ".join(call.sink.clauses)[len(answer) + 1 :]
        assert rest and answer.endswith(rest)
        assert [event.turn.text for event in call.events if isinstance(event, TurnTaken)][-1] == "Uh-huh."
        assert len([event for event in call.events if isinstance(event, PersonaDecided)]) == 1


async def test_who_says_uh_huh_when_all_was_said_is_answered() -> None:
    async with rehearsal() as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(LLMFullResponseEndFrame)
        await call.trainee_says("Uh-huh.")
        await call.sink.until(LLMFullResponseEndFrame, 2)
        assert len([event for event in call.events if isinstance(event, PersonaDecided)]) == 2


async def test_a_draft_is_neither_spoken_nor_recorded_nor_remembered() -> None:
    async with rehearsal() as call:
        before = call.role.state
        await call.trainee_may_have_said("Who do you order from today?")
        await call.is_drafting()
        await call.send(EagerEndOfTurnCancelFrame())
        await call.sink.until(EagerEndOfTurnCancelFrame)
        assert call.prepared
        assert not [frame for frame in call.sink.frames if isinstance(frame, AggregatedTextFrame)]
        assert call.events == []
        assert call.role.state is before
        assert call.role.heard(HeardReply(1, "", None, None, complete=False, interrupted=True)) is None


@pytest.mark.parametrize("frame", [EagerEndOfTurnCancelFrame, InterruptionFrame])
async def test_the_model_stops_when_its_draft_is_thrown_away(frame: type[Frame]) -> None:
    wording = Hesitant()
    async with rehearsal(wording) as call, asyncio.timeout(LIMIT_S):
        await call.trainee_may_have_said("Who do you order from today?")
        await wording.thinking.wait()
        await call.send(frame())
        await wording.stopped.wait()


async def test_a_draft_that_comes_true_is_the_answer_and_the_model_is_asked_once() -> None:
    wording = Hesitant()
    async with rehearsal(wording) as call:
        await call.trainee_may_have_said("Who do you order from today?")
        await call.is_drafting()
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(AggregatedTextFrame)
        assert call.sink.clauses == call.prepared == ["Let me think about that."]
        assert wording.asked == 1
        kinds = [type(event) for event in call.events]
        assert kinds == [TurnTaken, PersonaDecided]


async def test_a_turn_that_ends_in_other_words_than_its_draft_is_answered_afresh() -> None:
    wording = Hesitant()
    async with rehearsal(wording) as call, asyncio.timeout(LIMIT_S):
        await call.trainee_may_have_said("Who do you order from")
        await call.is_drafting()
        await call.trainee_says("Who do you order from today?")
        await wording.stopped.wait()
        await call.sink.until(AggregatedTextFrame)
        assert wording.asked == 2
        assert len([event for event in call.events if isinstance(event, PersonaDecided)]) == 1


async def test_a_draft_is_void_when_the_persona_has_changed_meanwhile() -> None:
    wording = Hesitant()
    async with rehearsal(wording) as call, asyncio.timeout(LIMIT_S):
        await call.trainee_may_have_said("Who do you order from today?")
        await call.is_drafting()
        call.role.state = call.role.state.with_turn(Speaker.PERSONA, "Hello?")
        await call.trainee_says("Who do you order from today?")
        await wording.stopped.wait()
        await call.sink.until(AggregatedTextFrame)
        assert wording.asked == 2


async def test_uh_huh_is_not_answered_in_a_draft() -> None:
    async with rehearsal() as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(LLMFullResponseEndFrame)
        call.prepared.clear()
        await call.hears(words=2)
        await call.trainee_may_have_said("Uh-huh.")
        await call.trainee_says("Uh-huh.")
        await call.sink.until(LLMFullResponseEndFrame, 2)
        assert call.prepared == []


async def test_an_interruption_stops_the_wording_and_closes_the_reply() -> None:
    wording = Hesitant()
    async with rehearsal(wording) as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(AggregatedTextFrame)
        async with asyncio.timeout(LIMIT_S):
            await wording.thinking.wait()
            await call.send(InterruptionFrame())
            await wording.stopped.wait()
        await call.sink.until(InterruptionFrame)
        assert call.sink.clauses == ["Let me think about that."]
        assert call.processor.interrupted


async def test_after_an_interruption_the_next_turn_is_answered() -> None:
    wording = Hesitant()
    async with rehearsal(wording) as call:
        await call.trainee_says("Who do you order from today?")
        async with asyncio.timeout(LIMIT_S):
            await wording.thinking.wait()
        await call.send(InterruptionFrame())
        await call.sink.until(InterruptionFrame)
        wording.thinking.clear()
        await call.trainee_says("Sorry. How often do you order?")
        async with asyncio.timeout(LIMIT_S):
            await wording.thinking.wait()
        moves = [event.move for event in call.events if isinstance(event, PersonaDecided)]
        assert moves == ["ask_supplier", "ask_volume"]
        assert not call.processor.interrupted
        await call.send(InterruptionFrame())


async def test_a_turn_that_was_cut_off_before_it_reached_the_persona_is_part_of_the_next() -> None:
    async with rehearsal() as call:
        call._context.add_message({"role": "user", "content": "Thank you for everything."})
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(LLMFullResponseEndFrame)
        (taken,) = [event for event in call.events if isinstance(event, TurnTaken)]
        assert taken.turn.text == "Thank you for everything. Who do you order from today?"


async def test_the_trainees_audio_ends_here_and_all_else_passes() -> None:
    async with rehearsal() as call:
        await call.send(InputAudioRawFrame(bytes(640), 16_000, 1))
        await call.send(TTSTextFrame("passes", TextType.WORD))
        await call.sink.until(TTSTextFrame)
        assert not [frame for frame in call.sink.frames if isinstance(frame, InputAudioRawFrame)]


async def test_who_speaks_while_nothing_is_being_said_interrupts_nobody() -> None:
    async with rehearsal() as call:
        await call.send(InterruptionFrame())
        await call.sink.until(InterruptionFrame)
        assert not call.processor.interrupted
