"""What the persona does about the trainee's turn: answer, object, press, end; and with which line."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.call import Speaker
from agent.conditions import holds
from agent.emotion import TRUST
from agent.memory import Heard, PersonaState
from agent.perception import OTHER, STOP, UNCLEAR, Perception
from agent.scenario import Closing, Ending, Fact, Objection, Scenario

LineKind = Literal[
    "tell_fact", "withhold_fact", "object", "press", "reply", "end", "stop", "unclear", "other", "cut_off"
]

STOP_ENDING = "stop_word"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to say, as authored. `subject` is the fact, objection, move or ending it is about.

    `told_by` holds the patterns by which a fact counts as told.
    """

    kind: LineKind
    subject: str
    text: str
    told_by: tuple[str, ...] = ()

    @property
    def intent(self) -> str:
        """`kind:subject`, or the kind alone where there is no subject."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


@dataclass(frozen=True, slots=True)
class Brief:
    """What a model is told about this turn, and all it may know of the scenario's facts.

    `say`: the authored lines to put in its own words. `facts`: the truths of the facts that the trainee has
    heard or is being told now; a locked fact is never among them.
    """

    say: tuple[str, ...]
    facts: tuple[str, ...]
    feelings: Mapping[str, float]
    ends_call: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What the persona will say and why.

    `next_state` knows the trainee's turn but nothing of the reply: `agent.persona.remember` adds what was
    heard of it. `disclosed` is what the trainee knows once the whole reply has been heard.
    """

    move: str
    lines: tuple[Line, ...]
    brief: Brief
    ending: Ending | None
    next_state: PersonaState
    filler: str = ""

    @property
    def authored(self) -> str:
        """The reply in the scenario's own words."""
        return " ".join(line.text for line in self.lines)

    @property
    def intent(self) -> str:
        """What the reply does, such as `tell_fact:volume` or `tell_fact:decider+object:price`."""
        return "+".join(line.intent for line in self.lines)

    @property
    def verbatim(self) -> bool:
        """The authored words are the only ones that will do: stepping out of role is no model's business."""
        return all(line.kind in ("stop", "cut_off") for line in self.lines)

    @property
    def stage(self) -> str:
        """The stage of the conversation."""
        return self.next_state.stage

    @property
    def emotions(self) -> Mapping[str, float]:
        """Each feeling, 0 to 1, after the trainee's turn."""
        return self.next_state.emotions

    @property
    def disclosed(self) -> tuple[str, ...]:
        """The facts told so far, this reply's included."""
        told = (line.subject for line in self.lines if line.kind == "tell_fact")
        return tuple(dict.fromkeys([*self.next_state.disclosed, *told]))

    @property
    def open_objections(self) -> tuple[str, ...]:
        """The objections the trainee has yet to settle."""
        return self.next_state.unresolved


def steer(scenario: Scenario, state: PersonaState, perception: Perception, heard: Heard) -> Decision:
    """Decides the reply; `state` is what `feel` returned. The first that applies:

    1. the stop word: step out and end kindly;
    2. an ending whose line the trainee talked over, unless they now say something that wants an answer;
    3. the scenario's endings, in their order, by their conditions;
    4. an open objection that the turn left unsettled is pressed, once in a call;
    5. the answer: the fact that the move unlocks and that was not told yet, or a word on why not, or the
       move's reply; and after it an objection that is due (which replaces a mere reply if the very move
       raised it);
    6. for a turn without a move: what is said when one did not understand, or does not see the point.
    """
    state = state.with_turn(Speaker.TRAINEE, heard.text)
    draw = _Draw(state)
    closing = _closing(scenario, state, perception)
    ending: Ending | None = None
    if perception.move == STOP:
        ending = Ending(STOP_ENDING, "open")
        lines = [draw.line("stop", "", scenario.lines.stop)]
    elif closing is not None:
        ending = Ending(closing.id, closing.outcome)
        lines = [draw.line("end", closing.id, closing.lines)]
    else:
        lines = _answer(scenario, state, perception, heard, draw)
    next_state = replace(draw.state, cut_ending="")
    return Decision(perception.move, tuple(lines), _brief(scenario, next_state, lines), ending, next_state)


class _Draw:
    """Draws authored variants: none comes again before all have been used; the same under the same seed."""

    def __init__(self, state: PersonaState) -> None:
        self.state = state

    def line(
        self, kind: LineKind, subject: str, variants: Sequence[str], told_by: tuple[str, ...] = ()
    ) -> Line:
        text, self.state = draw_variant(self.state, f"{kind}:{subject}", variants)
        return Line(kind, subject, text, told_by)


def draw_variant(state: PersonaState, key: str, variants: Sequence[str]) -> tuple[str, PersonaState]:
    """Returns a variant and the state that remembers the draw."""
    drawn = state.spoken.get(key, 0)
    rounds, at = divmod(drawn, len(variants))
    order: list[int] = []
    for number in range(rounds + 1):
        last = order[-1:]
        order = _shuffled(f"{state.seed}/{key}/{number}", len(variants))
        if last == order[:1]:
            order = order[1:] + order[:1]
    return variants[order[at]], replace(state, spoken={**state.spoken, key: drawn + 1})


def _shuffled(seed: str, size: int) -> list[int]:
    """A permutation that depends on nothing but its arguments, on any machine."""
    return sorted(range(size), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest())


def _closing(scenario: Scenario, state: PersonaState, perception: Perception) -> Closing | None:
    if perception.move == STOP:
        return None
    if perception.move in (UNCLEAR, OTHER) or perception.repeated:
        for closing in scenario.endings:
            if closing.id == state.cut_ending:
                return closing
    return next((each for each in scenario.endings if holds(scenario, each.when, state, perception)), None)


def _answer(
    scenario: Scenario, state: PersonaState, perception: Perception, heard: Heard, draw: _Draw
) -> list[Line]:
    if perception.move == UNCLEAR:
        if heard.interrupted_persona:
            return [draw.line("cut_off", "", scenario.lines.cut_off)]
        return [draw.line("unclear", "", scenario.lines.unclear)]
    pressing = _to_press(scenario, state)
    if pressing is not None:
        return [draw.line("press", pressing.id, pressing.pressed)]
    fact = _asked_for(scenario, state, perception)
    due = _due(scenario, state)
    lines: list[Line] = []
    if fact is not None:
        lines.append(_fact_line(fact, state, draw))
    elif due is None or not set(due.raised_by.move) & set(perception.moves):
        lines.append(_reply_line(scenario, perception, draw))
    if due is not None:
        lines.append(draw.line("object", due.id, due.lines))
    return lines


def _to_press(scenario: Scenario, state: PersonaState) -> Objection | None:
    for objection in scenario.objections:
        is_open = state.objections.get(objection.id) == "open"
        if is_open and objection.pressed and objection.id not in state.pressed:
            return objection
    return None


def _asked_for(scenario: Scenario, state: PersonaState, perception: Perception) -> Fact | None:
    """The untold fact that was asked for last; a question followed by a kind word is still a question."""
    for move in reversed(perception.moves):
        for fact in scenario.facts:
            if move in fact.unlocked_by.move and fact.id not in state.disclosed:
                return fact
    return None


def _fact_line(fact: Fact, state: PersonaState, draw: _Draw) -> Line:
    if state.emotions[TRUST] >= fact.unlocked_by.at_least.get(TRUST, 0.0):
        return draw.line("tell_fact", fact.id, fact.lines, fact.told_by)
    return draw.line("withhold_fact", fact.id, fact.withheld)


def _reply_line(scenario: Scenario, perception: Perception, draw: _Draw) -> Line:
    move = scenario.move(perception.move)
    if move is None:
        return draw.line("other", "", scenario.lines.other)
    return draw.line("reply", move.id, move.replies)


def _due(scenario: Scenario, state: PersonaState) -> Objection | None:
    due = (each for each in scenario.objections if state.objections.get(each.id) == "due")
    return next(due, None)


def _brief(scenario: Scenario, state: PersonaState, lines: Sequence[Line]) -> Brief:
    told = {line.subject for line in lines if line.kind == "tell_fact"} | set(state.disclosed)
    return Brief(
        say=tuple(line.text for line in lines),
        facts=tuple(fact.truth for fact in scenario.facts if fact.id in told),
        feelings=state.emotions,
        ends_call=any(line.kind in ("end", "stop") for line in lines),
    )
