"""The persona as a graph: perceive, feel, steer, speak, guard, remember."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agent.emotion import feel
from agent.guard import Breach, Guard
from agent.memory import Heard, PersonaState
from agent.perception import OTHER, Perception, perceive
from agent.persona import conveyed, remember
from agent.phrases import clauses_of
from agent.scenario import Scenario
from agent.steering import Decision, steer
from graphs.wording import AuthoredWording, Wording

Reply = Decision | Breach | str
"""What comes out of a turn: the decision first, then the reply clause by clause, spaces included."""


class Classifier(Protocol):
    """Says which move a sentence is that neither patterns nor examples know."""

    async def move(self, scenario: Scenario, state: PersonaState, text: str) -> str:
        """Returns the id of one of the scenario's moves, "" for none; never raises, and is never slow."""


_LONG_TURN = 400
"""Characters from which a turn takes so long to perceive that the sound of other calls would wait for it."""


@dataclass(frozen=True, slots=True)
class _Cast:
    """What a run needs besides its state: the part to play, who finds the words, who knows moves by them."""

    scenario: Scenario
    wording: Wording
    classifier: Classifier | None = None


class _Turn(TypedDict, total=False):
    """What the nodes hand on; each adds its own key, `feel` and `remember` replace `persona`."""

    persona: PersonaState
    heard: Heard
    perception: Perception
    decision: Decision
    words: AsyncGenerator[str, None] | None
    said: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A whole turn in text: the decision, the reply, and the state once all of the reply was read."""

    decision: Decision
    reply: str
    state: PersonaState


class PersonaGraph:
    """One persona and one wording; keeps nothing between turns, so any number of calls share it."""

    def __init__(self, scenario: Scenario, wording: Wording, classifier: Classifier | None = None) -> None:
        self._cast = _Cast(scenario, wording, classifier)
        self._graph = _compile()

    @property
    def scenario(self) -> Scenario:
        """The scenario played."""
        return self._cast.scenario

    def with_wording(self, wording: Wording, classifier: Classifier | None = None) -> "PersonaGraph":
        """Returns the same persona in other words, such as one call's `FallbackWording`; shares the graph."""
        other = copy(self)
        other._cast = replace(self._cast, wording=wording, classifier=classifier)
        return other

    async def reply(self, state: PersonaState, heard: Heard) -> AsyncGenerator[Reply, None]:
        """Yields the decision, then the reply clause by clause, each with the space behind it.

        A `Breach` among them says that a model said what must not be said, which nobody hears: authored words
        follow in its place.

        The caller adds what was heard of it: `agent.persona.remember(scenario, decision, heard_text,
        complete)`. Closing the generator stops the model, with its connection, before `aclose` returns.

        Raises:
            EngineError: from the wording, after the decision; not with a `FallbackWording`.
        """
        turn = _Turn(persona=state, heard=heard)
        run: Any = self._graph.astream(turn, context=self._cast, stream_mode="custom")
        async with aclosing(run) as pieces:
            async for piece in pieces:
                yield piece

    async def exchange(self, state: PersonaState, heard: Heard) -> Exchange:
        """Returns a turn of which all is heard, as in text.

        Raises:
            EngineError: see `reply`.
        """
        turn = await self._graph.ainvoke(_Turn(persona=state, heard=heard), context=self._cast)
        return Exchange(turn["decision"], turn["said"], turn["persona"])


async def _perceive(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    scenario, classifier = runtime.context.scenario, runtime.context.classifier
    persona, heard = state["persona"], state["heard"]
    if len(heard.text) > _LONG_TURN:
        perception = await asyncio.to_thread(perceive, scenario, persona, heard)
    else:
        perception = perceive(scenario, persona, heard)
    if perception.move == OTHER and not perception.topic and classifier is not None:
        taken_for = await classifier.move(scenario, persona, heard.text)
        if taken_for:
            perception = perceive(scenario, persona, heard, taken_for=taken_for)
    return {"perception": perception}


async def _feel(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    scenario = runtime.context.scenario
    return {"persona": feel(scenario, state["persona"], state["perception"], state["heard"])}


async def _steer(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    decision = steer(runtime.context.scenario, state["persona"], state["perception"], state["heard"])
    runtime.stream_writer(decision)
    return {"decision": decision}


async def _speak(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    """Begins the stream of words; `guard` reads it."""
    decision, wording = state["decision"], runtime.context.wording
    if decision.verbatim or isinstance(wording, AuthoredWording):
        return {"words": None}
    return {"words": wording.words(runtime.context.scenario, decision)}


async def _guard(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    """Hands on what may be said. What a model must not say ends its reply; authored words take its place.

    Authored words are the scenario's own, which `agent.scenario_rules` has checked.
    """
    scenario, decision = runtime.context.scenario, state["decision"]
    said: list[str] = []

    def say(clauses: Iterable[str]) -> None:
        for clause in clauses:
            said.append(clause)
            runtime.stream_writer(clause)

    words = state["words"]
    if words is None:
        say(_with_spaces(decision.authored))
        return {"said": "".join(said)}
    guard = Guard(scenario, decision)
    async with aclosing(words):
        async for piece in words:
            say(guard.feed(piece))
            if guard.breach is not None:
                break
    say(guard.finish())
    if guard.breach is not None:
        runtime.stream_writer(guard.breach)
        if not conveyed(decision, "".join(said)):
            say(_with_spaces(decision.authored))
    return {"said": "".join(said)}


def _with_spaces(text: str) -> Iterator[str]:
    *clauses, last = clauses_of(text)
    yield from (f"{clause} " for clause in clauses)
    yield last


async def _remember(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    """What holds if all of the reply is heard; on the telephone the carrier has the last word on that."""
    scenario = runtime.context.scenario
    return {"persona": remember(scenario, state["decision"], state["said"], complete=True)}


@cache
def _compile() -> CompiledStateGraph[_Turn, _Cast, _Turn, _Turn]:
    graph = StateGraph(_Turn, context_schema=_Cast)
    graph.add_node("perceive", _perceive)
    graph.add_node("feel", _feel)
    graph.add_node("steer", _steer)
    graph.add_node("speak", _speak)
    graph.add_node("guard", _guard)
    graph.add_node("remember", _remember)
    order = (START, "perceive", "feel", "steer", "speak", "guard", "remember", END)
    for before, after in zip(order, order[1:], strict=False):
        graph.add_edge(before, after)
    return graph.compile()
