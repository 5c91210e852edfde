"""The persona as a graph: perceive, feel, steer, speak, remember."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agent.emotion import feel
from agent.memory import Heard, PersonaState
from agent.perception import Perception, perceive
from agent.persona import remember
from agent.scenario import Scenario
from agent.steering import Decision, steer
from graphs.wording import AuthoredWording, Wording


@dataclass(frozen=True, slots=True)
class _Cast:
    """What a run needs besides its state: the part to play and who finds the words."""

    scenario: Scenario
    wording: Wording


class _Turn(TypedDict, total=False):
    """What the nodes hand on; each adds its own key, `feel` and `remember` replace `persona`."""

    persona: PersonaState
    heard: Heard
    perception: Perception
    decision: Decision
    said: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A whole turn in text: the decision, the reply, and the state once all of the reply was read."""

    decision: Decision
    reply: str
    state: PersonaState


class PersonaGraph:
    """One persona and one wording; keeps nothing between turns, so any number of calls share it."""

    def __init__(self, scenario: Scenario, wording: Wording) -> None:
        self._cast = _Cast(scenario, wording)
        self._graph = _compile()

    @property
    def scenario(self) -> Scenario:
        """The scenario played."""
        return self._cast.scenario

    def with_wording(self, wording: Wording) -> "PersonaGraph":
        """Returns the same persona in other words, such as one call's `FallbackWording`; shares the graph."""
        other = copy(self)
        other._cast = replace(self._cast, wording=wording)
        return other

    async def reply(self, state: PersonaState, heard: Heard) -> AsyncGenerator[Decision | str, None]:
        """Yields the decision, then the reply in pieces that include their spaces.

        The caller adds what was heard of it: `agent.persona.remember(decision, heard_text, complete)`.
        Closing the generator stops the model, with its connection, before `aclose` returns.

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
    return {"perception": perceive(runtime.context.scenario, state["persona"], state["heard"])}


async def _feel(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    scenario, interrupted = runtime.context.scenario, state["heard"].interrupted_persona
    return {"persona": feel(scenario, state["persona"], state["perception"], interrupted=interrupted)}


async def _steer(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    decision = steer(runtime.context.scenario, state["persona"], state["perception"], state["heard"])
    runtime.stream_writer(decision)
    return {"decision": decision}


async def _speak(state: _Turn, runtime: Runtime[_Cast]) -> _Turn:
    decision = state["decision"]
    wording = AuthoredWording() if decision.verbatim else runtime.context.wording
    said = []
    async with aclosing(wording.words(runtime.context.scenario, decision)) as pieces:
        async for piece in pieces:
            said.append(piece)
            runtime.stream_writer(piece)
    return {"said": "".join(said)}


async def _remember(state: _Turn) -> _Turn:
    """What holds if all of the reply is heard; on the telephone the carrier has the last word on that."""
    return {"persona": remember(state["decision"], state["said"], complete=True)}


def _compile() -> CompiledStateGraph[_Turn, _Cast, _Turn, _Turn]:
    graph = StateGraph(_Turn, context_schema=_Cast)
    graph.add_node("perceive", _perceive)
    graph.add_node("feel", _feel)
    graph.add_node("steer", _steer)
    graph.add_node("speak", _speak)
    graph.add_node("remember", _remember)
    order = (START, "perceive", "feel", "steer", "speak", "remember", END)
    for before, after in zip(order, order[1:], strict=False):
        graph.add_edge(before, after)
    return graph.compile()
