"""The persona in the pipeline: what takes effect when, and what an interruption leaves of it."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from loguru import logger as loguru_logger
from pipecat.frames.frames import (
    AggregatedTextFrame,
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

from agent.call import EndReason, Speaker
from agent.conversation import Conversation
from agent.events import Event, PersonaDecided, TurnTaken
from agent.persona import Heard, begin
from agent.playback import HeardReply, Playback
from agent.scenario import Scenario
from agent.steering import Decision
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording, Wording
from pipelines.persona import CueFrame, Occasion, PersonaProcessor, Role
from tests.agent.scenarios import cold_call

SCENARIO = cold_call()
LIMIT_S = 20
LAST_WORDS = [
    (Occasion.GONE, EndReason.TRAINEE_SILENT),
    (Occasion.TIME_UP, EndReason.TIME_LIMIT),
]


def role(wording: Wording | None = None) -> Role:
    return Role(PersonaGraph(SCENARIO, wording or AuthoredWording()), begin(SCENARIO, seed=3))


async def reply_to(persona: Role, text: str) -> str:
    """The persona's whole answer to `text`."""
    return "".join([item async for item in persona.answer(Heard(text)) if not isinstance(item, Decision)])


def heard(text: str, *, complete: bool = True) -> HeardReply:
    return HeardReply(1, text, 0, 1_000, complete=complete, interrupted=not complete)


async def test_a_fact_is_told_when_it_was_heard_and_not_before() -> None:
    persona = role()
    answer = await reply_to(persona, "Who do you order from today?")
    assert persona.state.disclosed == ()
    assert persona.heard(heard(answer)) is None
    assert persona.state.disclosed == ("supplier",)


async def test_a_fact_that_was_talked_over_was_not_told_and_can_be_asked_for_again() -> None:
    persona = role()
    await reply_to(persona, "Who do you order from today?")
    assert persona.heard(heard("We", complete=False)) is None
    assert persona.state.disclosed == ()
    assert "Delmar" in await reply_to(persona, "Who do you order from today?")


async def test_what_the_trainee_said_counts_though_nothing_of_the_answer_was_heard() -> None:
    persona = role()
    await reply_to(persona, "Who do you order from today?")
    persona.heard(HeardReply(1, "", None, None, complete=False, interrupted=True))
    assert persona.state.last_move == "ask_supplier"
    assert [said.speaker for said in persona.state.dialogue] == [Speaker.TRAINEE]


async def test_the_call_is_over_when_the_ending_was_heard() -> None:
    persona = role()
    answer = await reply_to(persona, "Thank you for your time, goodbye.")
    assert persona.ending is None
    assert persona.heard(heard(answer)) is EndReason.PERSONA_ENDED
    assert persona.ending is not None
    assert (persona.ending.id, persona.ending.outcome) == ("farewell", "open")


async def test_an_ending_that_was_talked_over_ends_nothing() -> None:
    persona = role()
    await reply_to(persona, "Thank you for your time, goodbye.")
    assert persona.heard(heard("", complete=False)) is None
    assert persona.ending is None


async def test_the_stop_word_ends_the_call_even_if_nothing_more_was_heard() -> None:
    persona = role()
    assert SCENARIO.safety.stop_word
    await reply_to(persona, f"Please {SCENARIO.safety.stop_word}.")
    assert persona.heard(heard("", complete=False)) is EndReason.STOP_WORD


@pytest.mark.parametrize(("occasion", "reason"), LAST_WORDS)
def test_last_words_end_the_call_when_they_were_heard_to_their_end(
    occasion: Occasion, reason: EndReason
) -> None:
    persona = role()
    line = persona.cue(occasion, 1)
    assert persona.heard(heard(line)) is reason


@pytest.mark.parametrize(("occasion", "_reason"), LAST_WORDS)
def test_a_trainee_who_speaks_into_the_last_words_keeps_the_call(
    occasion: Occasion, _reason: EndReason
) -> None:
    persona = role()
    line = persona.cue(occasion, 1)
    assert persona.heard(heard(line[:6], complete=False)) is None


@pytest.mark.parametrize("occasion", [Occasion.OPENING, Occasion.SILENCE, Occasion.CUT_OFF])
def test_other_cues_are_remembered_and_end_nothing(occasion: Occasion) -> None:
    persona = role()
    line = persona.cue(occasion, 1)
    assert persona.heard(heard(line)) is None
    (said,) = persona.state.dialogue
    assert (said.speaker, said.text, said.cut) == (Speaker.PERSONA, line, False)


def test_a_persona_asks_into_silence_in_other_words_the_second_time() -> None:
    persona = role()
    lines = []
    for prompt in (1, 2):
        lines.append(persona.cue(Occasion.SILENCE, prompt))
        persona.heard(heard(lines[-1]))
    assert set(lines) == set(SCENARIO.lines.silence)


def test_a_reply_that_nobody_began_changes_nothing() -> None:
    persona = role()
    before = persona.state
    assert persona.heard(heard("Hello?")) is None
    assert persona.state == before


class Hesitant:
    """A wording that says its first clause, then thinks until it is stopped."""

    engine = "hesitant"
    model = ""

    def __init__(self) -> None:
        self.thinking = asyncio.Event()
        self.stopped = asyncio.Event()

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        try:
            yield "Let me think about that, "
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
        self.role = role(wording)
        self.playback = Playback()
        self.sink = Sink()
        self.processor = PersonaProcessor(
            self.role,
            conversation=Conversation(self.events.append, lambda *_: None),
            playback=self.playback,
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
        assert set(kinds[first + 1 : last]) == {AggregatedTextFrame}
        assert len(call.sink.clauses) >= 2

        taken, decided = call.events
        assert isinstance(taken, TurnTaken) and isinstance(decided, PersonaDecided)
        assert taken.turn.text == "Hi Dana, this is Alex from Northwind Supply."
        assert (decided.move, decided.intent) == ("introduce", "object:busy")


async def test_each_turn_is_answered_once_and_settles_the_reply_before_it() -> None:
    async with rehearsal() as call:
        for number, text in enumerate(("Who do you order from today?", "How often do you order?"), 1):
            await call.trainee_says(text)
            await call.sink.until(LLMFullResponseEndFrame, number)
            assert call.settled == number
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


async def test_who_cut_the_persona_off_is_given_the_word_at_once() -> None:
    async with rehearsal(Hesitant()) as call:
        await call.trainee_says("Who do you order from today?")
        await call.sink.until(AggregatedTextFrame)
        await call.send(InterruptionFrame())
        await call.send(CueFrame(Occasion.CUT_OFF))
        await call.sink.until(AggregatedTextFrame, 2)
        assert call.sink.clauses[-1] in SCENARIO.lines.cut_off


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
        assert call.sink.clauses == ["Let me think about that,"]
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
