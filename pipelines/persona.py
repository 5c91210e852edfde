"""The persona in the pipeline: the trainee's turns in, clauses to be spoken out."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ControlFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType

from agent import persona
from agent.call import EndReason
from agent.clauses import Clauses
from agent.conversation import Conversation
from agent.events import Event, PersonaDecided
from agent.persona import Cue, Decision, Ending, Heard, PersonaState
from agent.playback import HeardReply, Playback
from agent.steering import STOP_ENDING
from graphs.persona import PersonaGraph


class Occasion(StrEnum):
    """When the persona speaks without being spoken to."""

    OPENING = "opening"
    SILENCE = "silence"
    CUT_OFF = "cut_off"
    GONE = "gone"
    TIME_UP = "time_up"


_LAST: Final = {Occasion.GONE: EndReason.TRAINEE_SILENT, Occasion.TIME_UP: EndReason.TIME_LIMIT}


@dataclass
class CueFrame(ControlFrame):
    """Asks the persona for its line for `occasion`; `prompt` counts the silences since the trainee spoke."""

    occasion: Occasion
    prompt: int = 1


class Role:
    """The persona of one call: its state, and the reply that is on its way.

    What a reply discloses and how it ends the call takes effect when the trainee has heard it, not before.
    """

    def __init__(self, graph: PersonaGraph, state: PersonaState) -> None:
        self._graph = graph
        self.state = state
        self.ending: Ending | None = None
        self._pending: Decision | Cue | None = None
        self._occasion: Occasion | None = None

    def cue(self, occasion: Occasion, prompt: int) -> str:
        """Returns the line for `occasion`."""
        scenario = self._graph.scenario
        match occasion:
            case Occasion.SILENCE:
                cue = persona.silence(scenario, self.state, prompt)
            case Occasion.OPENING:
                cue = persona.opening(scenario, self.state)
            case Occasion.CUT_OFF:
                cue = persona.cut_off(scenario, self.state)
            case Occasion.GONE:
                cue = persona.gone(scenario, self.state)
            case Occasion.TIME_UP:
                cue = persona.time_up(scenario, self.state)
        self._pending, self._occasion = cue, occasion
        return cue.text

    async def answer(self, heard: Heard) -> AsyncGenerator[Decision | str, None]:
        """Yields the decision, then the answer in pieces as it is worded."""
        async with aclosing(self._graph.reply(self.state, heard)) as reply:
            async for item in reply:
                if isinstance(item, Decision):
                    self._pending = item
                yield item

    def heard(self, reply: HeardReply) -> EndReason | None:
        """The reply is over: remembers what was heard. Returns why the call is over, if it was the last."""
        pending, self._pending = self._pending, None
        occasion, self._occasion = self._occasion, None
        if pending is None:
            return None
        self.state = persona.remember(pending, reply.text, reply.complete)
        if isinstance(pending, Decision) and self.state.ended:
            self.ending = pending.ending
            return EndReason.STOP_WORD if self.state.ended == STOP_ENDING else EndReason.PERSONA_ENDED
        return _LAST.get(occasion) if occasion and reply.complete else None


class PersonaProcessor(FrameProcessor):
    """Answers each finished turn of the trainee through the persona graph, clause by clause.

    An interruption cancels it, and closing the graph's stream cancels the model behind it. It is none of
    Pipecat's LLMServices: these import a cloud provider's client and keep a context of their own.
    """

    def __init__(
        self,
        role: Role,
        *,
        conversation: Conversation,
        playback: Playback,
        settle: Callable[[], None],
        emit: Callable[[Event], None],
        at_ms: Callable[[], int],
    ) -> None:
        super().__init__()
        self._role = role
        self._conversation = conversation
        self._playback = playback
        self._settle = settle
        self._emit = emit
        self._at_ms = at_ms
        self._trainee_speaking = False
        self.interrupted = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speaks on a finished turn or a cue. The trainee's audio has no reader further on and ends here."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame)
        elif isinstance(frame, CueFrame):
            if self._has_the_floor(frame.occasion):
                self._settle()
                await self._speak(_pieces(self._role.cue(frame.occasion, frame.prompt)))
        elif isinstance(frame, InputAudioRawFrame):
            return
        else:
            if isinstance(frame, InterruptionFrame):
                self.interrupted = self._playback.speaking
            elif isinstance(frame, (UserStartedSpeakingFrame, UserStoppedSpeakingFrame)):
                self._trainee_speaking = isinstance(frame, UserStartedSpeakingFrame)
            await self.push_frame(frame, direction)

    def _has_the_floor(self, occasion: Occasion) -> bool:
        """Whether nobody has begun to speak since the cue was given; what was cut off may still be open."""
        if occasion is Occasion.OPENING:
            return True
        if self._trainee_speaking:
            return False
        return occasion is Occasion.CUT_OFF or not self._playback.speaking

    async def _answer(self, frame: LLMContextFrame) -> None:
        # More than one message: an interruption overtook the turn before this one.
        said = [message["content"] for message in frame.context.get_messages() if isinstance(message, dict)]
        text = " ".join(str(each) for each in said)
        frame.context.set_messages([])
        self._settle()
        turn = self._conversation.trainee_finished(text, self._at_ms())
        heard = Heard(text, turn.confidence if turn else None, self.interrupted)
        self.interrupted = False
        await self._speak(self._role.answer(heard))

    async def _speak(self, reply: AsyncGenerator[Decision | str, None]) -> None:
        clauses = Clauses()
        self._playback.begin()
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            async with aclosing(reply):
                async for item in reply:
                    if isinstance(item, Decision):
                        self._decided(item)
                        continue
                    for clause in clauses.feed(item):
                        await self._say(clause)
            for clause in clauses.rest():
                await self._say(clause)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())

    async def _say(self, clause: str) -> None:
        self._conversation.first_clause(self._at_ms())
        await self.push_frame(AggregatedTextFrame(clause, TextType.SENTENCE))

    def _decided(self, decision: Decision) -> None:
        self._emit(
            PersonaDecided(
                move=decision.move,
                intent=decision.intent,
                stage=decision.stage,
                emotions=dict(decision.emotions),
                disclosed=tuple(decision.disclosed),
                open_objections=tuple(decision.open_objections),
                at_ms=self._at_ms(),
            )
        )


async def _pieces(line: str) -> AsyncGenerator[Decision | str, None]:
    yield line
