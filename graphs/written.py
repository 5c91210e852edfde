"""A rehearsal in writing: the telephone's persona and events, without sound."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from agent import persona
from agent.call import EndReason, Speaker, Turn
from agent.events import Event, PersonaDecided, TurnTaken
from agent.persona import Cue, Decision, Ending, Heard, PersonaState
from agent.steering import STOP_ENDING
from graphs.persona import PersonaGraph

WORD_MS: Final = 400
"""What a word takes on the clock of a written call: 150 words a minute, as people talk."""


def spoken_ms(text: str) -> int:
    """How long it would take to say `text`, which has one word at least."""
    return WORD_MS * max(1, len(text.split()))


class WrittenRehearsal:
    """One rehearsal between two messages; `state`, `at_ms` and `turns` are all that has to be kept of it.

    `at_ms` is the call's clock, on which what is written takes the time in which it would be said; `turns`
    counts those of both parties. `emit` receives the events of a telephone call. With `longest_ms` the
    persona takes its leave in answer to the first message after that time.
    """

    def __init__(
        self,
        graph: PersonaGraph,
        state: PersonaState,
        emit: Callable[[Event], None],
        *,
        at_ms: int = 0,
        turns: int = 0,
        longest_ms: int | None = None,
    ) -> None:
        self.state = state
        self.at_ms = at_ms
        self.turns = turns
        self.ending: Ending | None = None
        self.reason: EndReason | None = None
        self._graph = graph
        self._emit = emit
        self._longest_ms = longest_ms
        self._answered: Turn | None = None
        self._pending: Decision | Cue | None = None

    @property
    def over(self) -> bool:
        """Whether the persona, or the clock, has ended it."""
        return self.reason is not None

    def open(self) -> str:
        """Returns the words with which the persona picks up; they count as heard."""
        cue = persona.opening(self._graph.scenario, self.state)
        self.state = persona.remember(cue, cue.text, complete=True)
        self._take(Speaker.PERSONA, cue.text)
        return cue.text

    def answer(self, text: str) -> AsyncGenerator[Decision | str, None]:
        """The decision, then the reply in pieces as it is worded.

        Nothing has happened until `heard` is told what arrived of it. Close the generator before that.

        Raises:
            EngineError: while it is being read; see `PersonaGraph.reply`.
        """
        end_ms = self.at_ms + spoken_ms(text)
        self._answered = Turn(self.turns, Speaker.TRAINEE, text, self.at_ms, end_ms)
        self._pending = None
        if self._longest_ms is not None and self.at_ms >= self._longest_ms:
            self._pending = persona.time_up(self._graph.scenario, self.state)
            return _whole(self._pending)
        return self._reply(Heard(text, at_ms=end_ms))

    def heard(self, text: str, *, complete: bool) -> bool:
        """The trainee got `text` of the reply, to its end if `complete`. Returns whether the turn took place.

        A reply of which nothing arrived did not happen, nor did what it answers: the trainee may say it
        again. Only the stop word takes effect all the same.
        """
        answered, self._answered = self._answered, None
        assert answered is not None, "something was answered"
        pending = self._pending
        if pending is None:
            # Nobody waited for the decision, which does not depend on that.
            heard = Heard(answered.text, at_ms=answered.end_ms)
            pending = persona.decide(self._graph.scenario, self.state, heard)
        if not (text.strip() or _stops(pending)):
            return False
        self.state = persona.remember(pending, text, complete)
        self._emit(TurnTaken(answered, answered.end_ms))
        self.turns, self.at_ms = answered.index + 1, answered.end_ms
        if isinstance(pending, Decision):
            self._emit(_decided(pending, self.at_ms))
        if text.strip():
            self._take(Speaker.PERSONA, text.strip(), interrupted=not complete)
        if isinstance(pending, Cue):
            self.reason = EndReason.TIME_LIMIT if complete else None
        elif self.state.ended:
            self.ending = pending.ending
            self.reason = EndReason.STOP_WORD if _stops(pending) else EndReason.PERSONA_ENDED
        return True

    async def _reply(self, heard: Heard) -> AsyncGenerator[Decision | str, None]:
        async with aclosing(self._graph.reply(self.state, heard)) as reply:
            async for item in reply:
                if isinstance(item, Decision):
                    self._pending = item
                yield item

    def _take(self, speaker: Speaker, text: str, *, interrupted: bool = False) -> None:
        end_ms = self.at_ms + spoken_ms(text)
        self._emit(TurnTaken(Turn(self.turns, speaker, text, self.at_ms, end_ms, interrupted), end_ms))
        self.turns += 1
        self.at_ms = end_ms


async def _whole(cue: Cue) -> AsyncGenerator[Decision | str, None]:
    yield cue.text


def _stops(reply: Decision | Cue) -> bool:
    return isinstance(reply, Decision) and reply.ending is not None and reply.ending.id == STOP_ENDING


def _decided(decision: Decision, at_ms: int) -> PersonaDecided:
    return PersonaDecided(
        move=decision.move,
        intent=decision.intent,
        stage=decision.stage,
        emotions=dict(decision.emotions),
        disclosed=tuple(decision.disclosed),
        open_objections=tuple(decision.open_objections),
        at_ms=at_ms,
    )
