"""Self-play: simulated trainees rehearse a scenario in writing, and what they have seen of it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from agent import persona
from agent.call import EndReason, Speaker
from agent.events import Event, PersonaDecided, TurnTaken
from agent.memory import PersonaState
from agent.protocol import Verdict, check_protocol
from agent.scenario import Scenario
from agent.scenario_parts import Closing, Happening
from agent.self_play import MOST_TURNS, SimulatedTrainee, Style, in_rotation
from agent.words import normalise
from graphs.persona import PersonaGraph
from graphs.written import WrittenRehearsal


@dataclass(frozen=True, slots=True)
class PlayedCall:
    """One call of a simulated trainee. `ending` is "" if the persona did not end it; `leaks` should be
    empty.
    """

    style: Style
    seed: int
    goal: str
    turns: tuple[tuple[Speaker, str], ...]
    moves: tuple[str, ...]
    intents: tuple[str, ...]
    stages: tuple[str, ...]
    moods: tuple[str, ...]
    signals: tuple[str, ...]
    facts: tuple[str, ...]
    events: tuple[str, ...]
    objections: tuple[str, ...]
    topics: tuple[str, ...]
    ending: str
    reason: EndReason | None
    leaks: tuple[str, ...]
    protocol: tuple[Verdict, ...]
    at_ms: int


@dataclass(slots=True)
class Coverage:
    """What of a scenario was seen in all calls: how often each, 0 for what never was."""

    stages: dict[str, int] = field(default_factory=dict)
    moves: dict[str, int] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    objections: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    moods: dict[str, int] = field(default_factory=dict)
    knowledge: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)

    def missing(self) -> dict[str, list[str]]:
        """What never was, by kind; kinds of which nothing is missing are left out."""
        kinds = {name: [each for each, seen in getattr(self, name).items() if not seen] for name in _KINDS}
        return {name: missing for name, missing in kinds.items() if missing}


_SUPERVISED_FROM = 8
"""Turns of a call after which an event that only a supervisor can bring about is brought about."""
_KINDS = ("stages", "moves", "facts", "objections", "events", "moods", "knowledge", "endings")


async def play(
    graph: PersonaGraph, calls: int, *, seed: int = 0, styles: Sequence[Style] = tuple(Style)
) -> list[PlayedCall]:
    """Plays so many calls, one after the other: the same ones under the same seed, with authored lines.

    Raises:
        EngineError: from a wording that has no authored lines to fall back on.
    """
    plan = in_rotation(calls, styles, graph.scenario.endings)
    return [await play_call(graph, style, seed + number, goal) for number, (style, goal) in enumerate(plan)]


async def play_call(graph: PersonaGraph, style: Style, seed: int, goal: str = "") -> PlayedCall:
    """Plays one call to its end, or for at most `agent.self_play.MOST_TURNS` turns of the trainee."""
    scenario = graph.scenario
    events: list[Event] = []
    rehearsal = WrittenRehearsal(graph, persona.begin(scenario, seed), events.append)
    trainee = SimulatedTrainee(scenario, style, seed, goal=goal)
    watch = _Watch(scenario)
    rehearsal.open()
    for turn in range(MOST_TURNS):
        if rehearsal.over:
            break
        if (event := _wanted_event(scenario, rehearsal.state, trainee.goal, turn)) is not None:
            rehearsal.happen(event)
            continue
        line = trainee.next_line(rehearsal.state)
        before = rehearsal.state
        said = await _exchange(rehearsal, line) if line else rehearsal.silent()
        watch.heard(said, {*before.disclosed, *rehearsal.state.disclosed})
        watch.saw(rehearsal.state.stage, rehearsal.state.mood)
    state = rehearsal.state
    decided = [event for event in events if isinstance(event, PersonaDecided)]
    turns = [event.turn for event in events if isinstance(event, TurnTaken)]
    return PlayedCall(
        style=style,
        seed=seed,
        goal=goal,
        turns=tuple((turn.speaker, turn.text) for turn in turns),
        moves=tuple(move for event in decided for move in event.moves),
        intents=tuple(event.intent for event in decided),
        stages=tuple(watch.stages),
        moods=tuple(watch.moods),
        signals=tuple(signal for event in decided for signal in event.signals),
        facts=state.disclosed,
        events=state.happened,
        objections=tuple(state.objections),
        topics=state.topics,
        ending=state.ended,
        reason=rehearsal.reason,
        leaks=tuple(watch.leaks),
        protocol=check_protocol(scenario, state.timeline),
        at_ms=rehearsal.at_ms,
    )


def coverage(scenario: Scenario, calls: Sequence[PlayedCall]) -> Coverage:
    """Counts in how many calls each part of the scenario was seen."""
    return Coverage(
        stages=_seen((stage.id for stage in scenario.stages), (call.stages for call in calls)),
        moves=_seen((move.id for move in scenario.moves), (call.moves for call in calls)),
        facts=_seen((fact.id for fact in scenario.facts), (call.facts for call in calls)),
        objections=_seen((each.id for each in scenario.objections), (call.objections for call in calls)),
        events=_seen(
            (event.id for event in scenario.events if event.when is not None), (call.events for call in calls)
        ),
        moods=_seen((mood.id for mood in scenario.moods), (call.moods for call in calls)),
        knowledge=_seen((entry.id for entry in scenario.knowledge), (call.topics for call in calls)),
        endings=_seen((ending.id for ending in scenario.endings), ([call.ending] for call in calls)),
    )


def _seen(ids: Iterable[str], calls: Iterable[Sequence[str]]) -> dict[str, int]:
    counts = Counter(each for call in calls for each in set(call))
    return {each: counts[each] for each in ids}


def _wanted_event(scenario: Scenario, state: PersonaState, goal: Closing, turn: int) -> Happening | None:
    """What a supervisor would have to bring about for the goal, late enough to be believed."""
    for event in scenario.events:
        new = event.when is None and event.id in goal.when.happened and event.id not in state.happened
        if new and turn >= _SUPERVISED_FROM and set(goal.when.told) <= set(state.disclosed):
            return event
    return None


async def _exchange(rehearsal: WrittenRehearsal, line: str) -> str:
    said = ""
    async with aclosing(rehearsal.answer(line)) as reply:
        async for item in reply:
            if isinstance(item, str):
                said += item
    rehearsal.heard(said, complete=True)
    return said


class _Watch:
    """Looks over the persona's shoulder: stages, moods, and facts that slip out while they are locked."""

    def __init__(self, scenario: Scenario) -> None:
        self._told_by = [
            (fact.id, [re.compile(pattern) for pattern in fact.told_by]) for fact in scenario.facts
        ]
        self.stages: list[str] = [scenario.stages[0].id]
        self.moods: list[str] = []
        self.leaks: list[str] = []

    def heard(self, text: str, disclosed: set[str]) -> None:
        plain = normalise(text).replace("\n", " ")
        for fact, patterns in self._told_by:
            if fact not in disclosed and any(pattern.search(plain) for pattern in patterns):
                self.leaks.append(fact)

    def saw(self, stage: str, mood: str) -> None:
        if stage not in self.stages:
            self.stages.append(stage)
        if mood and mood not in self.moods:
            self.moods.append(mood)
