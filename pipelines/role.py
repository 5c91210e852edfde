"""The persona's part in one call: its state, the reply on its way, and what the trainee heard of it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent import persona
from agent.backchannel import rest_of
from agent.call import EndReason
from agent.persona import Cue, Decision, Ending, Heard, PersonaState
from agent.playback import HeardReply
from agent.scenario_parts import Happening, Interruption
from agent.steering import STOP_ENDING
from graphs.persona import PersonaGraph, Reply


class Occasion(StrEnum):
    """When the persona speaks without being spoken to."""

    OPENING = "opening"
    SILENCE = "silence"
    CUT_OFF = "cut_off"
    CUT_IN = "cut_in"
    EVENT = "event"
    GONE = "gone"
    TIME_UP = "time_up"


_LAST: Final = {Occasion.GONE: EndReason.TRAINEE_SILENT, Occasion.TIME_UP: EndReason.TIME_LIMIT}


@dataclass(slots=True)
class _Reply:
    """What the persona is saying. `before`: what was heard of it before it was cut and taken up."""

    pending: Decision | Cue
    occasion: Occasion | None = None
    answers: Heard | None = None
    said: str = ""
    before: str = ""

    @property
    def ends_at_once(self) -> bool:
        """Whether it takes effect though nothing of it is heard."""
        return isinstance(self.pending, Cue) or (
            self.pending.ending is not None and self.pending.ending.id == STOP_ENDING
        )


class Role:
    """Plays one call. What a reply discloses and how it ends the call takes effect when it was heard.

    An answer of which nothing was heard did not happen: the trainee had not finished, and what they said
    then belongs to what they say next.
    """

    def __init__(self, graph: PersonaGraph, state: PersonaState) -> None:
        self._graph = graph
        self.state = state
        self.ending: Ending | None = None
        self._reply: _Reply | None = None
        self._cut: _Reply | None = None
        self._unanswered: Heard | None = None
        self.left_unsaid = ""

    @property
    def cutting_in(self) -> bool:
        """Whether what is being said cuts in on the trainee."""
        return self._reply is not None and self._reply.occasion is Occasion.CUT_IN

    def due_event(self, at_ms: int) -> Happening | None:
        """The event of the scenario that happens by itself now."""
        return persona.due_event(self._graph.scenario, self.state, at_ms)

    def interruption(self, speaking_ms: int, at_ms: int) -> Interruption | None:
        """How the persona cuts in on a trainee who has been speaking for `speaking_ms`, if they do."""
        return persona.interruption(self._graph.scenario, self.state, speaking_ms, at_ms)

    def cut_in(self, reason: Interruption | Happening, at_ms: int) -> str:
        """Returns the line with which the persona cuts in."""
        scenario = self._graph.scenario
        if isinstance(reason, Happening):
            cue = persona.happen(scenario, self.state, reason, at_ms)
        else:
            cue = persona.cut_in(scenario, self.state, reason)
        self._begin(_Reply(cue, Occasion.CUT_IN))
        return cue.text

    def happen(self, event: Happening, at_ms: int) -> str:
        """Returns the line for an event that happens while nobody speaks."""
        cue = persona.happen(self._graph.scenario, self.state, event, at_ms)
        self._begin(_Reply(cue, Occasion.EVENT))
        return cue.text

    def leave_unanswered(self, heard: Heard) -> None:
        """The trainee stopped because the persona cut in: what they said belongs to what they say next."""
        self._unanswered = heard

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
            case Occasion.CUT_IN | Occasion.EVENT:
                raise ValueError(f"{occasion} needs its reason: see cut_in and happen")
        self._begin(_Reply(cue, occasion))
        return cue.text

    def whole(self, heard: Heard) -> Heard:
        """The trainee's turn, with what they said before it and got no audible answer to."""
        before = self._unanswered
        if before is None:
            return heard
        confidences = [each for each in (before.confidence, heard.confidence) if each is not None]
        return Heard(
            f"{before.text} {heard.text}",
            min(confidences) if confidences else None,
            before.interrupted_persona,
            heard.at_ms,
        )

    def reply(self, heard: Heard) -> AsyncGenerator[Reply, None]:
        """The decision, then the answer in pieces as it is worded; nothing is remembered of it yet."""
        return self._graph.reply(self.state, heard)

    def decided(self, decision: Decision, heard: Heard) -> None:
        """`decision` answers `heard` and is about to be spoken."""
        self._begin(_Reply(decision, answers=heard))
        self._unanswered = None

    def says(self, clause: str) -> None:
        """The next clause of the reply is on its way to the voice."""
        if self._reply is not None:
            self._reply.said = f"{self._reply.said} {clause}".lstrip()

    def take_up(self) -> str:
        """Returns `left_unsaid` of the reply that was cut last; both parts of it count as one."""
        rest, cut = self.left_unsaid, self._cut
        if rest and cut is not None:
            self._begin(_Reply(cut.pending, cut.occasion, cut.answers, before=cut.before))
            self._unanswered = None
        return rest

    def heard(self, reply: HeardReply) -> EndReason | None:
        """The reply is over: remembers what was heard. Returns why the call is over, if it was the last."""
        spoken, self._reply = self._reply, None
        if spoken is None:
            return None
        pending = spoken.pending
        text = f"{spoken.before} {reply.text}".strip()
        if reply.interrupted:
            self._cut, self.left_unsaid = spoken, rest_of(spoken.said, reply.text)
            spoken.before = text
            if not text and not spoken.ends_at_once:
                self._unanswered = spoken.answers
                return None
        self.state = persona.remember(self._graph.scenario, pending, text, reply.complete, at_ms=reply.end_ms)
        if isinstance(pending, Decision) and self.state.ended:
            self.ending = pending.ending
            return EndReason.STOP_WORD if self.state.ended == STOP_ENDING else EndReason.PERSONA_ENDED
        return _LAST.get(spoken.occasion) if spoken.occasion and reply.complete else None

    def _begin(self, reply: _Reply) -> None:
        self._reply, self._cut, self.left_unsaid = reply, None, ""
