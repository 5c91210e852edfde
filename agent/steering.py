"""What the persona does about the trainee's turn: answer, object, press, tell, end; and with which line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.call import Speaker
from agent.conditions import holds
from agent.events import PersonaDecided
from agent.lines import Draw, Line, draw_variant, has_sound
from agent.memory import Heard, PersonaState
from agent.noticing import CALLER_NAME, PROMISE
from agent.perception import OTHER, OUT_OF_ROLE, STOP, UNCLEAR, Perception
from agent.scenario import Ending, Scenario
from agent.scenario_parts import Closing, Fact, Mood, Move, Objection

STOP_ENDING: Final = "stop_word"
MOST_ANSWERS: Final = 2
"""How many questions of one turn are answered: the last ones."""
MOST_ADDITIONS: Final = 2
"""How much a persona says on top of an answer: an objection, a fact nobody asked for, an event."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What a model is told about this turn, and all it may know of the scenario's facts.

    `say`: the authored lines to put in its own words. `facts`: the truths of the facts that the trainee has
    heard or is being told now, and of the entry of the fact sheet that answers them; a locked fact is never
    among them. `manner` is that of the persona's mood, which may also limit the number of words.
    """

    say: tuple[str, ...]
    facts: tuple[str, ...]
    feelings: Mapping[str, float]
    ends_call: bool
    manner: str = ""
    words_at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the persona will say and why.

    `next_state` knows the trainee's turn but nothing of the reply: `agent.persona.remember` adds what was
    heard of it. `disclosed` is what the trainee knows once the whole reply has been heard. `filler` is what
    the persona says first if the words are long in coming, "" for nothing.
    """

    move: str
    lines: tuple[Line, ...]
    brief: Brief
    ending: Ending | None
    next_state: PersonaState
    perception: Perception
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
        """The authored words are the only ones that will do.

        Stepping out of role is no model's business, nor is a sound, nor what is said to somebody who tries to
        get behind the persona.
        """
        own = ("stop", "cut_off", "out_of_role")
        return all(line.kind in own for line in self.lines) or has_sound(self.authored)

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
        told = (telling.fact for line in self.lines for telling in line.tells)
        return tuple(dict.fromkeys([*self.next_state.disclosed, *told]))

    @property
    def open_objections(self) -> tuple[str, ...]:
        """The objections the trainee has yet to settle."""
        return self.next_state.unresolved

    def event(self, at_ms: int) -> PersonaDecided:
        """What is recorded of it."""
        return PersonaDecided(
            move=self.move,
            intent=self.intent,
            stage=self.stage,
            emotions=dict(self.emotions),
            disclosed=self.disclosed,
            open_objections=self.open_objections,
            at_ms=at_ms,
            moves=self.perception.moves,
            mood=self.next_state.mood,
            signals=self.perception.signals,
            details=self.perception.details,
            confirmed=self.perception.confirmed,
        )


def steer(scenario: Scenario, state: PersonaState, perception: Perception, heard: Heard) -> Decision:
    """Decides the reply; `state` is what `feel` returned. The first that applies:

    1. the stop word: step out and end kindly;
    2. an ending whose line the trainee talked over, unless they now say something that wants an answer;
    3. the scenario's endings, in their order, by their conditions;
    4. words to a machine: the persona does not know what that means;
    5. for a turn that was not understood: what is said then;
    6. an open objection that the turn left unsettled is pressed, once in a call;
    7. in a mood that refuses, a question gets no answer;
    8. the answer: the fact that the move unlocks and that was not told yet, or a word on why not; the
       reaction to a signal; the move's reply; what the fact sheet says; or that the persona does not know or
       does not see the point. After it at most two of these: an objection that is due (which replaces a mere
       reply if the very move raised it), a fact that is volunteered, an event that happens.
    """
    state = state.with_turn(Speaker.TRAINEE, heard.text, out_of_role=perception.move == OUT_OF_ROLE)
    draw = Draw(state)
    closing = _closing(scenario, state, perception)
    ending: Ending | None = None
    if perception.move == STOP:
        ending = Ending(STOP_ENDING, "open")
        lines = [draw.line("stop", "", scenario.lines.stop)]
    elif closing is not None:
        ending = Ending(closing.id, closing.outcome)
        lines = [draw.line("end", closing.id, closing.lines)]
    elif perception.move == OUT_OF_ROLE:
        lines = [draw.line("out_of_role", "", scenario.lines.out_of_role)]
    else:
        lines = _answer(scenario, state, perception, draw)
    next_state = replace(draw.state, cut_ending="")
    return Decision(
        perception.move,
        tuple(lines),
        _brief(scenario, next_state, perception, lines),
        ending,
        next_state,
        perception,
        _filler(scenario, next_state),
    )


def _closing(scenario: Scenario, state: PersonaState, perception: Perception) -> Closing | None:
    if perception.move == STOP:
        return None
    if perception.move in (UNCLEAR, OTHER) or perception.repeated:
        for closing in scenario.endings:
            if closing.id == state.cut_ending:
                return closing
    return next((each for each in scenario.endings if holds(scenario, each.when, state, perception)), None)


def _answer(scenario: Scenario, state: PersonaState, perception: Perception, draw: Draw) -> list[Line]:
    if perception.move == UNCLEAR:
        if "interrupted" in perception.signals:
            return [draw.line("cut_off", "", scenario.lines.cut_off)]
        return [draw.line("unclear", "", scenario.lines.unclear)]
    pressing = _to_press(scenario, state)
    if pressing is not None:
        return [draw.line("press", pressing.id, pressing.pressed)]
    mood = scenario.mood(state.mood)
    asks = perception.question or _kind(scenario, perception) == "question"
    if mood is not None and mood.refuses and asks:
        lines = [draw.line("refuse", mood.id, mood.refuses)]
        return [*lines, *_additions(scenario, state, perception, draw, told=())]
    due = _due(scenario, state)
    lines = _direct_answer(scenario, state, perception, draw)
    mere_reply = all(line.kind in ("reply", "other") for line in lines)
    if due is not None and mere_reply and set(due.raised_by.move) & set(perception.moves):
        lines = []
    told = tuple(telling.fact for line in lines for telling in line.tells)
    lines += _additions(scenario, state, perception, draw, told=told)
    return [*_opener(mood, state, draw), *lines]


def _direct_answer(scenario: Scenario, state: PersonaState, perception: Perception, draw: Draw) -> list[Line]:
    asked = _asked_for(scenario, state, perception)
    if asked:
        return [_fact_line(scenario, fact, state, perception, draw) for fact in asked]
    reaction = _reaction(scenario, perception, draw)
    if reaction is not None:
        return [reaction]
    move = scenario.move(perception.move)
    if move is not None:
        return [_reply_line(scenario, move, state, perception, draw)]
    return _unmoved_answer(scenario, state, perception, draw)


def _unmoved_answer(
    scenario: Scenario, state: PersonaState, perception: Perception, draw: Draw
) -> list[Line]:
    """The answer to a turn in which no move was recognised."""
    topic = perception.topic
    if topic == CALLER_NAME and state.caller_name:
        return [draw.line("recall", topic, scenario.lines.knows_name)]
    if topic == PROMISE and state.promises:
        return [draw.line("recall", topic, scenario.lines.knows_promise)]
    entry = next((each for each in scenario.knowledge if each.id == topic), None)
    if entry is not None:
        answer = draw.line("know", entry.id, entry.lines)
        if entry.id in state.topics:
            return [draw.line("told_already", entry.id, scenario.lines.told_already), answer]
        return [answer]
    if perception.question:
        return [draw.line("dont_know", "", scenario.lines.dont_know)]
    return [draw.line("other", "", scenario.lines.other)]


def _additions(
    scenario: Scenario, state: PersonaState, perception: Perception, draw: Draw, *, told: tuple[str, ...]
) -> list[Line]:
    lines: list[Line] = []
    due = _due(scenario, state)
    if due is not None:
        lines.append(draw.line("object", due.id, due.lines))
    mood = scenario.mood(state.mood)
    if mood is None or not mood.refuses:
        for fact in scenario.facts:
            known = fact.id in state.disclosed or fact.id in told
            when = fact.volunteered_when
            if not known and when is not None and holds(scenario, when, state, perception):
                lines.append(draw.fact(fact))
                break
    for event in scenario.events:
        new = event.when is not None and event.id not in state.happened
        if new and event.when is not None and holds(scenario, event.when, state, perception):
            lines.append(draw.event(scenario, event))
            break
    return lines[:MOST_ADDITIONS]


def _opener(mood: Mood | None, state: PersonaState, draw: Draw) -> list[Line]:
    """Every other reply of a mood begins with one."""
    if mood is None or not mood.openers or state.turns % 2:
        return []
    return [draw.line("opener", mood.id, mood.openers)]


def _to_press(scenario: Scenario, state: PersonaState) -> Objection | None:
    for objection in scenario.objections:
        is_open = state.objections.get(objection.id) == "open"
        if is_open and objection.pressed and objection.id not in state.pressed:
            return objection
    return None


def _asked_for(scenario: Scenario, state: PersonaState, perception: Perception) -> list[Fact]:
    """The untold facts that were asked for, at most two, in the order of the questions.

    A question followed by a kind word is still a question. Of several facts that one move unlocks, it is the
    first that may be told now, else the first. Where one may be told and another not, only the former counts.
    """
    asked: list[Fact] = []
    for move in perception.moves:
        untold = [
            fact
            for fact in scenario.facts
            if move in fact.unlocked_by.move and fact.id not in state.disclosed and fact not in asked
        ]
        free = (fact for fact in untold if holds(scenario, fact.unlocked_by, state, perception))
        if untold:
            asked.append(next(free, untold[0]))
    told = [fact for fact in asked if holds(scenario, fact.unlocked_by, state, perception)]
    return told[-MOST_ANSWERS:] or asked[-1:]


def _fact_line(
    scenario: Scenario, fact: Fact, state: PersonaState, perception: Perception, draw: Draw
) -> Line:
    if holds(scenario, fact.unlocked_by, state, perception):
        return draw.fact(fact)
    return draw.line("withhold_fact", fact.id, fact.withheld)


def _reaction(scenario: Scenario, perception: Perception, draw: Draw) -> Line | None:
    for signal in perception.signals:
        reaction = scenario.reactions.get(signal)
        if reaction is not None and reaction.lines:
            return draw.line("react", signal, reaction.lines)
    return None


def _reply_line(
    scenario: Scenario, move: Move, state: PersonaState, perception: Perception, draw: Draw
) -> Line:
    for index, answer in enumerate(move.answers):
        if holds(scenario, answer.when, state, perception):
            return draw.line("reply", move.id, answer.lines, key=f"answer:{move.id}/{index}")
    return draw.line("reply", move.id, move.replies)


def _kind(scenario: Scenario, perception: Perception) -> str:
    move = scenario.move(perception.move)
    return move.kind if move else ""


def _due(scenario: Scenario, state: PersonaState) -> Objection | None:
    due = (each for each in scenario.objections if state.objections.get(each.id) == "due")
    return next(due, None)


def _filler(scenario: Scenario, state: PersonaState) -> str:
    return draw_variant(state, f"thinking/{state.turns}", scenario.lines.thinking)[0]


def _brief(scenario: Scenario, state: PersonaState, perception: Perception, lines: Sequence[Line]) -> Brief:
    told = {telling.fact for line in lines for telling in line.tells} | set(state.disclosed)
    known = {line.subject for line in lines if line.kind == "know"} | set(state.topics)
    facts = [fact.truth for fact in scenario.facts if fact.id in told]
    facts += [entry.truth for entry in scenario.knowledge if entry.id in known]
    mood = scenario.mood(state.mood)
    return Brief(
        say=tuple(line.text for line in lines),
        facts=tuple(facts),
        feelings=state.emotions,
        ends_call=any(line.kind in ("end", "stop") for line in lines),
        manner=mood.manner if mood else "",
        words_at_most=mood.words_at_most if mood else None,
    )
