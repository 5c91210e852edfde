"""Half an hour of conversation: what a model is told stays small, and what matters is not forgotten."""

from collections.abc import AsyncGenerator

import pytest

from agent.persona import Heard, PersonaState, begin
from agent.prompt import prompt
from agent.scenario import Scenario
from agent.steering import Decision
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording
from graphs.written import WrittenRehearsal
from tests.agent.scenarios import cold_call

HALF_AN_HOUR_MS = 30 * 60_000
SMALL_TALK = (
    "The weather has been terrible this week, with all that rain and the wind from the north side.",
    "I was thinking about something else, you know how it is on a day like this one.",
    "We were at the lake on Sunday with the whole family, and it was lovely there.",
    "My colleague told me a long story this morning about his car and the garage.",
)


class Secretary:
    """Says the authored lines, and keeps what a model would have been told."""

    engine = "secretary"
    model = ""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.last = ""

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        self.last = "\n".join(message.text for message in prompt(scenario, decision))
        self.sizes.append(len(self.last))
        async for piece in AuthoredWording().words(scenario, decision):
            yield piece


def patient() -> Scenario:
    """The cold call with somebody who has all the time in the world."""
    scenario = cold_call()
    patience = scenario.patience.model_copy(update={"drain_per_turn": 0.0, "drain_repeat": 0.0})
    return scenario.model_copy(update={"patience": patience, "events": ()})


async def half_an_hour(wording: object) -> WrittenRehearsal:
    """The trainee says who they are and promises something, and then there is small talk for half an hour."""
    graph = PersonaGraph(patient(), wording)  # type: ignore[arg-type]
    rehearsal = WrittenRehearsal(graph, begin(graph.scenario, seed=1), lambda event: None)
    rehearsal.open()
    await say(rehearsal, "Hi Dana, my name is Alex Morgan and I am calling from Northwind Supply.")
    await say(rehearsal, "I will send you two references by Friday.")
    turn = 0
    while rehearsal.at_ms < HALF_AN_HOUR_MS:
        assert not rehearsal.over
        await say(rehearsal, SMALL_TALK[turn % len(SMALL_TALK)])
        turn += 1
    assert turn > 100
    return rehearsal


async def say(rehearsal: WrittenRehearsal, line: str) -> str:
    said = "".join([item async for item in rehearsal.answer(line) if isinstance(item, str)])
    rehearsal.heard(said, complete=True)
    return said


async def test_the_prompt_stays_small_and_still_has_the_callers_name_and_promise() -> None:
    secretary = Secretary()
    await half_an_hour(secretary)

    assert max(secretary.sizes) < 12_000
    assert secretary.sizes[-1] < 1.1 * max(secretary.sizes[20:40])
    assert "Alex Morgan" in secretary.last
    assert "two references by Friday" in secretary.last


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Do you remember my name?", "Alex Morgan"),
        ("What did I promise you?", "two references by Friday"),
    ],
)
async def test_the_persona_can_be_asked_for_the_callers_name_and_promise(question: str, answer: str) -> None:
    rehearsal = await half_an_hour(AuthoredWording())

    assert answer in await say(rehearsal, question)


async def test_the_state_stays_small() -> None:
    rehearsal = await half_an_hour(AuthoredWording())

    assert len(rehearsal.state.to_json()) < 60_000
    assert PersonaState.from_json(rehearsal.state.to_json()) == rehearsal.state


async def test_somebody_who_never_said_their_name_is_not_given_one() -> None:
    graph = PersonaGraph(cold_call(), AuthoredWording())
    exchange = await graph.exchange(begin(graph.scenario, seed=1), Heard("Do you remember my name?"))

    assert exchange.decision.intent == "dont_know"
