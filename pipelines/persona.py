"""The persona in the pipeline: the trainee's turns in, clauses to be spoken out."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ControlFrame,
    EagerEndOfTurnCancelFrame,
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

from agent.backchannel import leaves_the_floor
from agent.conversation import Conversation
from agent.events import Event, PersonaCutIn, PersonaResumed, ReplyGuarded
from agent.guard import Breach
from agent.memory import Heard
from agent.phrases import clauses_of
from agent.playback import Playback
from agent.scenario_parts import Happening, Interruption
from agent.steering import Decision
from graphs.persona import Reply
from pipelines.draft import Draft, Prepare
from pipelines.role import Occasion, Role


@dataclass
class CueFrame(ControlFrame):
    """Asks the persona for its line for `occasion`; `prompt` counts the silences since the trainee spoke."""

    occasion: Occasion
    prompt: int = 1


@dataclass
class HappeningFrame(ControlFrame):
    """Has an event of the scenario happen, or the persona cut in on the trainee, if it still can."""

    reason: Happening | Interruption


@dataclass
class MoodFrame(ControlFrame):
    """What the persona says from here on is coloured by these emotions, 0 to 1 by name."""

    emotions: dict[str, float]


class PersonaProcessor(FrameProcessor):
    """Answers each finished turn of the trainee through the persona graph, clause by clause.

    A turn that may be over is answered in a draft, which becomes the answer if the turn ends with the same
    words, and is thrown away otherwise. An interruption cancels both, and with them the model behind them.
    It is none of Pipecat's LLMServices: these import a cloud provider's client and keep a context of their
    own.
    """

    def __init__(
        self,
        role: Role,
        *,
        conversation: Conversation,
        playback: Playback,
        prepare: Prepare,
        settle: Callable[[], None],
        emit: Callable[[Event], None],
        at_ms: Callable[[], int],
    ) -> None:
        super().__init__()
        self._role = role
        self._conversation = conversation
        self._playback = playback
        self._prepare = prepare
        self._settle = settle
        self._emit = emit
        self._at_ms = at_ms
        self._trainee_speaking = False
        self._draft: tuple[Draft, asyncio.Task[None]] | None = None
        self.interrupted = False

    async def cleanup(self) -> None:
        """Stops drafting."""
        await self._throw_away()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speaks on a finished turn or a cue. The trainee's audio has no reader further on and ends here."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await (self._begin_draft(frame) if frame.speculation else self._answer(frame))
        elif isinstance(frame, CueFrame):
            await self._cue(frame)
        elif isinstance(frame, HappeningFrame):
            await self._happen(frame.reason)
        elif isinstance(frame, InputAudioRawFrame):
            return
        else:
            if isinstance(frame, InterruptionFrame):
                self.interrupted = self._playback.speaking
                await self._throw_away()
            elif isinstance(frame, EagerEndOfTurnCancelFrame):
                await self._throw_away()
            elif isinstance(frame, (UserStartedSpeakingFrame, UserStoppedSpeakingFrame)):
                self._trainee_speaking = isinstance(frame, UserStartedSpeakingFrame)
            await self.push_frame(frame, direction)

    async def _cue(self, frame: CueFrame) -> None:
        if not self._has_the_floor(frame.occasion):
            return
        self._settle()
        cut, self.interrupted = self.interrupted, False
        if cut and frame.occasion is Occasion.CUT_OFF and (rest := self._role.take_up()):
            await self._resume(rest)
        else:
            await self._speak(_pieces(self._role.cue(frame.occasion, frame.prompt)))

    async def _happen(self, reason: Happening | Interruption) -> None:
        if self._playback.speaking:
            return
        self._settle()
        over = isinstance(reason, Interruption) or reason.interrupts
        if self._trainee_speaking and over:
            await self._throw_away()
            self._emit(PersonaCutIn(reason.id, self._at_ms()))
            await self._speak(_pieces(self._role.cut_in(reason, self._at_ms())))
        elif isinstance(reason, Happening) and not self._trainee_speaking:
            await self._speak(_pieces(self._role.happen(reason, self._at_ms())))

    def _has_the_floor(self, occasion: Occasion) -> bool:
        """Whether nobody has begun to speak since the cue was given; what was cut off may still be open."""
        if occasion is Occasion.OPENING:
            return True
        if self._trainee_speaking:
            return False
        return occasion is Occasion.CUT_OFF or not self._playback.speaking

    async def _begin_draft(self, frame: LLMContextFrame) -> None:
        await self._throw_away()
        if self._is_cutting_in:
            return
        self._settle()
        text = _text(frame)
        if self._wants_more(text):
            return
        heard = self._role.whole(Heard(text, self._conversation.confidence, self.interrupted, self._at_ms()))
        draft = Draft(heard, self._role.state, self._role.reply(heard), self._prepare)
        self._draft = draft, self.create_task(draft.word(), "drafting an answer")

    async def _throw_away(self) -> None:
        drafted, self._draft = self._draft, None
        if drafted is not None:
            await self.cancel_task(drafted[1])

    async def _answer(self, frame: LLMContextFrame) -> None:
        text = _text(frame)
        frame.context.set_messages([])
        if not self._is_cutting_in:
            self._settle()
        turn = self._conversation.trainee_finished(text, self._at_ms())
        if self._wants_more(text) and (rest := self._role.take_up()):
            self.interrupted = False
            await self._resume(rest)
            return
        confidence = turn.confidence if turn else None
        heard = self._role.whole(Heard(text, confidence, self.interrupted, self._at_ms()))
        self.interrupted = False
        if self._is_cutting_in:
            await self._throw_away()
            self._role.leave_unanswered(heard)
            return
        drafted = self._draft[0] if self._draft else None
        if drafted is not None and drafted.heard == heard and drafted.state is self._role.state:
            await self._speak(drafted.items(), heard)
        else:
            await self._throw_away()
            await self._speak(self._role.reply(heard), heard)

    @property
    def _is_cutting_in(self) -> bool:
        return self._role.cutting_in and self._playback.speaking

    def _wants_more(self, text: str) -> bool:
        """Whether the trainee, who spoke over the persona, only meant to say that they are listening."""
        rest = self._role.left_unsaid
        return self.interrupted and bool(rest) and leaves_the_floor(text, rest)

    async def _resume(self, rest: str) -> None:
        self._emit(PersonaResumed(self._at_ms()))
        await self._speak(_pieces(rest))

    async def _speak(self, reply: AsyncGenerator[Reply, None], heard: Heard | None = None) -> None:
        self._playback.begin()
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            async with aclosing(reply):
                async for item in reply:
                    if isinstance(item, Decision):
                        assert heard is not None, "a decision answers something"
                        await self._decided(item, heard)
                        continue
                    if isinstance(item, Breach):
                        self._emit(ReplyGuarded(item.code, item.subject, self._at_ms()))
                        continue
                    await self._say(item.strip())
        finally:
            await self._throw_away()
            await self.push_frame(LLMFullResponseEndFrame())

    async def _say(self, clause: str) -> None:
        self._conversation.first_clause(self._at_ms())
        self._role.says(clause)
        await self.push_frame(AggregatedTextFrame(clause, TextType.SENTENCE))

    async def _decided(self, decision: Decision, heard: Heard) -> None:
        self._role.decided(decision, heard)
        await self.push_frame(MoodFrame(dict(decision.emotions)))
        self._emit(decision.event(self._at_ms()))


def _text(frame: LLMContextFrame) -> str:
    # More than one message: an interruption overtook the turn before this one.
    said = [message["content"] for message in frame.context.get_messages() if isinstance(message, dict)]
    return " ".join(str(each) for each in said)


async def _pieces(line: str) -> AsyncGenerator[Reply, None]:
    for clause in clauses_of(line):
        yield clause
