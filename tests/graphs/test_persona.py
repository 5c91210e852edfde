import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from agent.guard import Breach
from agent.persona import Decision, Ending, Heard, PersonaState, begin, decide, remember
from agent.scenario import Scenario
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording
from tests.agent.scenarios import cold_call

SCENARIO = cold_call()


@pytest.fixture(scope="module")
def graph() -> PersonaGraph:
    return PersonaGraph(SCENARIO, AuthoredWording())


async def scripted_call(graph: PersonaGraph, seed: int) -> tuple[list[str], list[str], PersonaState]:
    """Plays the scripted trainee to the end: what the persona said, what it intended, how it ended up."""
    state, said, intents = begin(SCENARIO, seed), [], []
    for line in SCENARIO.simulation.lines:
        async with aclosing(graph.reply(state, Heard(line.say))) as reply:
            decision, *pieces = [item async for item in reply]
        assert isinstance(decision, Decision)
        text = "".join(str(piece) for piece in pieces)
        state = remember(SCENARIO, decision, text, complete=True)
        said.append(text)
        intents.append(decision.intent)
    return said, intents, state


@pytest.mark.parametrize("seed", range(50))
async def test_the_scripted_trainee_gets_the_meeting_through_the_graph(
    graph: PersonaGraph, seed: int
) -> None:
    said, intents, state = await scripted_call(graph, seed)

    assert state.ended == "meeting"
    assert set(state.disclosed) == {fact.id for fact in SCENARIO.facts}
    assert set(state.objections) == {objection.id for objection in SCENARIO.objections}
    assert state.unresolved == ()
    assert intents[-1] == "end:meeting"
    assert said[-1] in SCENARIO.endings[0].lines


async def test_the_same_seed_says_the_same_words(graph: PersonaGraph) -> None:
    calls = [(await scripted_call(graph, seed))[0] for seed in (7, 7, 8)]

    assert calls[0] == calls[1] != calls[2]


async def test_the_graph_decides_as_the_pure_functions_do(graph: PersonaGraph) -> None:
    state = begin(SCENARIO, seed=3)
    heard = Heard("Who do you order from today?")
    async with aclosing(graph.reply(state, heard)) as reply:
        assert await anext(reply) == decide(SCENARIO, state, heard)


async def test_a_reply_is_the_decision_and_then_its_words(graph: PersonaGraph) -> None:
    async with aclosing(graph.reply(begin(SCENARIO, seed=3), Heard("Bye."))) as reply:
        decision, *pieces = [item async for item in reply]

    assert isinstance(decision, Decision)
    assert decision.ending == Ending("farewell", "open")
    assert pieces in (["Okay. ", "Goodbye then."], ["Right. ", "Bye."])


async def test_an_exchange_in_text_is_heard_to_its_end(graph: PersonaGraph) -> None:
    state = begin(SCENARIO, seed=3)
    exchange = await graph.exchange(state, Heard("Who do you order from today?"))

    assert exchange.reply == exchange.decision.authored
    assert exchange.state == remember(SCENARIO, exchange.decision, exchange.reply, complete=True)
    assert exchange.state.disclosed == ("supplier",)


async def test_calls_at_the_same_time_do_not_mix(graph: PersonaGraph) -> None:
    alone = [await scripted_call(graph, seed) for seed in range(8)]
    async with asyncio.TaskGroup() as calls:
        together = [calls.create_task(scripted_call(graph, seed)) for seed in range(8)]

    assert [call.result() for call in together] == alone


class Watched:
    """A wording that notes whether it was stopped, and speaks for ever."""

    engine = "watched"
    model = ""

    def __init__(self) -> None:
        self.stopped = False

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        try:
            yield "Well. "
            while True:
                await asyncio.sleep(0)
                yield "Well. "
        finally:
            self.stopped = True


async def test_closing_the_reply_stops_the_wording_before_it_returns() -> None:
    wording = Watched()
    reply = PersonaGraph(SCENARIO, wording).reply(begin(SCENARIO, seed=1), Heard("Hello?"))
    assert isinstance(await anext(reply), Decision)
    assert await anext(reply) == "Well. "
    assert not wording.stopped

    await reply.aclose()
    assert wording.stopped


async def test_another_wording_leaves_the_behaviour_alone(graph: PersonaGraph) -> None:
    state, heard = begin(SCENARIO, seed=1), Heard("Who do you order from?")
    async with aclosing(graph.with_wording(Watched()).reply(state, heard)) as reply:
        assert await anext(reply) == decide(SCENARIO, state, heard)
        assert await anext(reply) == "Well. "
    assert (await graph.exchange(state, heard)).reply == decide(SCENARIO, state, heard).authored


class Paraphrasing:
    """A model of many words: other ones each time, that tell what the lines tell."""

    engine = "paraphrasing"
    model = ""

    def __init__(self, manner: str) -> None:
        self._manner = manner

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        yield f"{self._manner} "
        async for piece in AuthoredWording().words(scenario, decision):
            yield piece


async def test_with_a_model_the_same_seed_and_lines_lead_to_the_same_state(graph: PersonaGraph) -> None:
    states = []
    for wording in (AuthoredWording(), Paraphrasing("Well, you know."), Paraphrasing("Look.")):
        _, intents, state = await scripted_call(graph.with_wording(wording), seed=5)
        states.append((intents, state.stage, state.emotions, state.disclosed, state.objections, state.ended))

    assert states[0] == states[1] == states[2]


class Knowing:
    """A model that takes every sentence for the same move, and counts how often it is asked."""

    def __init__(self, move: str) -> None:
        self._move = move
        self.asked: list[str] = []

    async def move(self, scenario: Scenario, state: PersonaState, text: str) -> str:
        self.asked.append(text)
        return self._move


async def test_a_model_is_asked_for_the_move_of_what_neither_patterns_nor_examples_know() -> None:
    knowing = Knowing("ask_supplier")
    graph = PersonaGraph(SCENARIO, AuthoredWording(), knowing)
    state = begin(SCENARIO, seed=1)
    strange = await graph.exchange(state, Heard("Whose name is on the boxes in your stockroom then"))
    plain = await graph.exchange(state, Heard("Who else decides about suppliers?"))

    assert strange.decision.intent == "tell_fact:supplier"
    assert plain.decision.move == "ask_decision"
    assert len(knowing.asked) == 1


async def test_a_move_that_the_scenario_does_not_have_is_none() -> None:
    graph = PersonaGraph(SCENARIO, AuthoredWording(), Knowing("fly_away"))
    exchange = await graph.exchange(begin(SCENARIO, seed=1), Heard("It rained on the lake all day long"))

    assert exchange.decision.move == "other"


async def test_what_a_model_must_not_say_is_not_said_and_reported(graph: PersonaGraph) -> None:
    class Leaking(Paraphrasing):
        async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
            for piece in [
                "It",
                "is",
                "what",
                "it",
                "is.",
                "By",
                "the",
                "way,",
                "Delmar",
                "is",
                "our",
                "supplier.",
            ]:
                yield f"{piece} "

    state = begin(SCENARIO, seed=1)
    async with aclosing(
        graph.with_wording(Leaking("")).reply(state, Heard("That sounds stressful."))
    ) as reply:
        decision, *items = [item async for item in reply]
    said = "".join(item for item in items if isinstance(item, str))

    assert isinstance(decision, Decision)
    assert [item for item in items if isinstance(item, Breach)] == [Breach("leak", "supplier")]
    assert "Delmar" not in said
    assert said.startswith("It is what it is. ")
