"""A rehearsal in writing: the telephone's persona and events, without sound."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from agent import persona
from agent.call import EndReason, Speaker, Turn
from agent.emotion import WORD_MS
from agent.events import Event, EventHappened, PersonaCutIn, ReplyGuarded, TurnTaken
from agent.guard import Breach
from agent.persona import Cue, Decision, Ending, Heard, PersonaState
from agent.scenario import Scenario
from agent.scenario_parts import Happening, Interruption
from agent.steering import STOP_ENDING
from graphs.persona import PersonaGraph

SILENCES: Final = 2
"""How often the persona asks into a silence before it ends the call."""


def spoken_ms(text: str) -> int:
    """How long it would take to say `text`, which has one word at least."""
    return WORD_MS * max(1, len(text.split()))


class WrittenRehearsal:
    """One rehearsal between two messages; `state` and `turns` are all that has to be kept of it.

    On the call's clock, what is written takes the time in which it would be said; `turns` counts those of
    both parties. `emit` receives the events of a telephone call. With `longest_ms` the
    persona takes its leave in answer to the first message after that time.
    """

    def __init__(
        self,
        graph: PersonaGraph,
        state: PersonaState,
        emit: Callable[[Event], None],
        *,
        turns: int = 0,
        longest_ms: int | None = None,
    ) -> None:
        self.state = state
        self.turns = turns
        self.ending: Ending | None = None
        self.reason: EndReason | None = None
        self._graph = graph
        self._emit = emit
        self._longest_ms = longest_ms
        self._answered: Turn | None = None
        self._pending: Decision | Cue | None = None
        self._cut_in: Interruption | None = None
        self._breaches: list[Breach] = []
        self._silences = 0

    @property
    def scenario(self) -> Scenario:
        """The scenario played."""
        return self._graph.scenario

    @property
    def at_ms(self) -> int:
        """Where the call's clock stands."""
        return self.state.at_ms

    @property
    def over(self) -> bool:
        """Whether the persona, or the clock, has ended it."""
        return self.reason is not None

    def open(self) -> str:
        """Returns the words with which the persona picks up; they count as heard."""
        cue = persona.opening(self.scenario, self.state)
        return self._say(cue)

    def silent(self) -> str:
        """The trainee says nothing: returns what the persona says into the silence; it counts as heard."""
        self._silences += 1
        scenario = self.scenario
        if self._silences <= SILENCES:
            return self._say(persona.silence(scenario, self.state, self._silences))
        self.reason = EndReason.TRAINEE_SILENT
        return self._say(persona.gone(scenario, self.state))

    def happen(self, event: Happening) -> str:
        """Has an event of the scenario happen: returns what the persona says about it; it counts as heard."""
        return self._say(persona.happen(self.scenario, self.state, event))

    def answer(self, text: str) -> AsyncGenerator[Decision | str, None]:
        """The decision, then the reply clause by clause; only words where the persona cuts in.

        They cut in where the scenario says so, on a turn that takes too long to say: what was said up to
        there belongs to the next turn. Nothing has happened until `heard` is told what arrived of the
        reply. Close the generator before that.

        Raises:
            EngineError: while it is being read; see `PersonaGraph.reply`.
        """
        self._silences, self._breaches = 0, []
        end_ms = self.at_ms + spoken_ms(text)
        self._answered = Turn(self.turns, Speaker.TRAINEE, text, self.at_ms, end_ms)
        self._pending = self._cut_in = None
        if self._longest_ms is not None and self.at_ms >= self._longest_ms:
            self._pending = persona.time_up(self.scenario, self.state)
            return _whole(self._pending)
        self._cut_in = persona.interruption(self.scenario, self.state, end_ms - self.at_ms, end_ms)
        if self._cut_in is not None:
            return _whole(self._interrupt(self._answered, self._cut_in))
        return self._reply(self._heard(self._answered))

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
            pending = persona.decide(self.scenario, self.state, self._heard(answered))
        if not (text.strip() or _stops(pending)):
            return False
        end_ms = answered.end_ms
        self._emit(TurnTaken(answered, end_ms))
        self.turns = answered.index + 1
        if isinstance(pending, Decision):
            self._emit(pending.event(end_ms))
        for breach in self._breaches:
            self._emit(ReplyGuarded(breach.code, breach.subject, end_ms))
        if self._cut_in is not None:
            self._emit(PersonaCutIn(self._cut_in.id, end_ms))
        self._remember(pending, text.strip(), end_ms, complete=complete)
        if self._cut_in is not None:
            self.state = replace(self.state, unanswered=self._whole_turn(answered))
        elif isinstance(pending, Cue):
            self.reason = EndReason.TIME_LIMIT if complete else None
        else:
            self.state = replace(self.state, unanswered="")
        if isinstance(pending, Decision) and self.state.ended:
            self.ending = pending.ending
            self.reason = EndReason.STOP_WORD if _stops(pending) else EndReason.PERSONA_ENDED
        return True

    async def _reply(self, heard: Heard) -> AsyncGenerator[Decision | str, None]:
        async with aclosing(self._graph.reply(self.state, heard)) as reply:
            async for item in reply:
                if isinstance(item, Breach):
                    self._breaches.append(item)
                    continue
                if isinstance(item, Decision):
                    self._pending = item
                yield item

    def _heard(self, answered: Turn) -> Heard:
        return Heard(self._whole_turn(answered), at_ms=answered.end_ms)

    def _whole_turn(self, answered: Turn) -> str:
        return f"{self.state.unanswered} {answered.text}".strip()

    def _interrupt(self, answered: Turn, reason: Interruption) -> Cue:
        """The words that cut in; of the turn only what was said up to there is heard."""
        said = answered.text.split()[: max(1, round(1_000 * reason.after_s / WORD_MS))]
        end_ms = self.at_ms + spoken_ms(" ".join(said))
        self._answered = replace(answered, text=" ".join(said), end_ms=end_ms, interrupted=True)
        cue = persona.cut_in(self.scenario, self.state, reason)
        self._pending = cue
        return cue

    def _say(self, cue: Cue) -> str:
        self._remember(cue, cue.text, self.at_ms, complete=True)
        return cue.text

    def _remember(self, reply: Decision | Cue, text: str, start_ms: int, *, complete: bool) -> None:
        """The persona has said `text`, from `start_ms` on."""
        before = self.state.happened
        end_ms = start_ms + spoken_ms(text) if text else start_ms
        self.state = persona.remember(self.scenario, reply, text, complete, at_ms=end_ms)
        if text:
            turn = Turn(self.turns, Speaker.PERSONA, text, start_ms, end_ms, interrupted=not complete)
            self._emit(TurnTaken(turn, end_ms))
            self.turns += 1
        for event in self.state.happened:
            if event not in before:
                self._emit(EventHappened(event, end_ms))


async def _whole(cue: Cue) -> AsyncGenerator[Decision | str, None]:
    yield cue.text


def _stops(reply: Decision | Cue) -> bool:
    return isinstance(reply, Decision) and reply.ending is not None and reply.ending.id == STOP_ENDING
