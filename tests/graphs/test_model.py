"""What a model's words are, whichever server it is behind."""

import asyncio
from contextlib import aclosing

import pytest

from agent.errors import EngineError
from agent.persona import Decision, Heard, begin, decide
from agent.scenario import Scenario
from graphs.persona import PersonaGraph
from tests.chat_server import END, HangUp, in_turn, refuses, says, sends
from tests.graphs.conftest import ASKS_SUPPLIER
from tests.graphs.models import Kind, of_each_kind, open_model, reply_of

SEED_OF = {"ollama": lambda request: request["options"]["seed"], "server": lambda request: request["seed"]}


@of_each_kind
async def test_a_reply_is_streamed_word_by_word(kind: Kind, scenario: Scenario, decision: Decision) -> None:
    async with open_model(kind, says("Delmar Medical, for six years.")) as (_, wording):
        pieces = [piece async for piece in wording.words(scenario, decision)]

    assert pieces == ["Delmar", " Medical,", " for", " six", " years."]
    assert (wording.engine, wording.model) == (kind.engine, kind.model)


@of_each_kind
async def test_the_first_word_is_there_before_the_last_is_worded(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with (
        open_model(kind, sends("Delmar", " Medical,", hangs=True)) as (_, wording),
        aclosing(wording.words(scenario, decision)) as pieces,
    ):
        assert await anext(pieces) == "Delmar"


@of_each_kind
async def test_the_same_call_sends_the_same_seed_for_the_same_turn(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    later = decide(scenario, decision.next_state, ASKS_SUPPLIER)
    async with open_model(kind) as (fake, wording):
        for each in (decision, decision, later):
            assert await reply_of(wording, scenario, each)

    first, again, other = map(SEED_OF[kind.engine], fake.requests)
    assert first == again != other


@of_each_kind
async def test_the_connection_is_kept_from_turn_to_turn(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, says("Delmar Medical.")) as (fake, wording):
        for _ in range(3):
            assert await reply_of(wording, scenario, decision) == "Delmar Medical."
        assert (len(fake.requests), fake.connections) == (3, 1)


@of_each_kind
async def test_a_server_that_does_not_end_what_the_model_ended_is_not_waited_for(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, sends("Delmar.", END, hangs=True)) as (_, wording), asyncio.timeout(5):
        assert await reply_of(wording, scenario, decision) == "Delmar."


@of_each_kind
async def test_closing_the_words_closes_the_connection(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, sends("Delmar", " Medical", hangs=True)) as (fake, wording):
        words = wording.words(scenario, decision)
        assert await anext(words) == "Delmar"
        assert not fake.was_abandoned
        await words.aclose()
        await fake.abandoned()


@of_each_kind
async def test_closing_the_graphs_reply_closes_the_connection(kind: Kind, scenario: Scenario) -> None:
    async with open_model(kind, sends("Delmar", " Medical. ", "Six years ", hangs=True)) as (fake, wording):
        reply = PersonaGraph(scenario, wording).reply(begin(scenario, seed=1), ASKS_SUPPLIER)
        assert isinstance(await anext(reply), Decision)
        assert await anext(reply) == "Delmar Medical. "
        await reply.aclose()
        await fake.abandoned()


@of_each_kind
async def test_closing_the_graphs_reply_before_the_first_word_closes_the_connection(
    kind: Kind, scenario: Scenario
) -> None:
    async with open_model(kind, silent=True) as (fake, wording):
        reply = PersonaGraph(scenario, wording).reply(begin(scenario, seed=1), ASKS_SUPPLIER)
        assert isinstance(await anext(reply), Decision)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(reply), 0.2)
        await reply.aclose()
        await fake.abandoned()


@of_each_kind
async def test_cancelling_the_reader_closes_the_connection(kind: Kind, scenario: Scenario) -> None:
    async with open_model(kind, sends("Delmar", " Medical", hangs=True)) as (fake, wording):
        graph = PersonaGraph(scenario, wording)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                async for _ in graph.reply(begin(scenario, seed=1), ASKS_SUPPLIER):
                    pass
        await fake.abandoned()


@of_each_kind
async def test_a_reply_that_is_long_enough_closes_the_connection(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    behaviour = sends(*(f"Sentence {n}. " for n in range(9)), hangs=True)
    async with open_model(kind, behaviour) as (fake, wording):
        said = await reply_of(wording, scenario, decision)
        await fake.abandoned()

    assert said == "Sentence 0. Sentence 1. Sentence 2."


@of_each_kind
@pytest.mark.parametrize(
    "stumble",
    [refuses(500, "out of memory"), refuses(502), refuses(503, "busy"), refuses(429), sends(then=HangUp())],
    ids=["500", "502", "503", "429", "hangs up"],
)
async def test_a_request_that_fails_in_a_way_that_passes_is_made_once_more(
    kind: Kind, stumble: object, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, in_turn(stumble, says("Delmar."))) as (fake, wording):  # type: ignore[arg-type]
        assert await reply_of(wording, scenario, decision) == "Delmar."
        assert len(fake.requests) == 2


@of_each_kind
async def test_a_request_is_made_no_third_time(kind: Kind, scenario: Scenario, decision: Decision) -> None:
    async with open_model(kind, refuses(500, "out of memory")) as (fake, wording):
        with pytest.raises(EngineError, match="500: out of memory"):
            await reply_of(wording, scenario, decision)
        assert len(fake.requests) == 2


@of_each_kind
@pytest.mark.parametrize(
    "failure",
    [sends("Well, ", then=HangUp()), refuses(404, "no such model"), refuses(400, "bad")],
    ids=["in mid-reply", "404", "400"],
)
async def test_what_would_only_fail_again_or_was_begun_is_not_tried_again(
    kind: Kind, failure: object, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, failure) as (fake, wording):  # type: ignore[arg-type]
        with pytest.raises(EngineError):
            await reply_of(wording, scenario, decision)
        assert len(fake.requests) == 1


@of_each_kind
async def test_without_a_fallback_the_error_reaches_the_reader_after_the_decision(
    kind: Kind, scenario: Scenario
) -> None:
    async with open_model(kind, models=("another:1b",)) as (_, wording):
        reply = PersonaGraph(scenario, wording).reply(begin(scenario, seed=1), ASKS_SUPPLIER)
        assert isinstance(await anext(reply), Decision)
        with pytest.raises(EngineError, match=f"has no model '{kind.model}'"):
            await anext(reply)


@of_each_kind
async def test_the_stop_word_is_answered_by_no_model(kind: Kind, scenario: Scenario) -> None:
    async with open_model(kind, says("I will never stop.")) as (fake, wording):
        exchange = await PersonaGraph(scenario, wording).exchange(
            begin(scenario, seed=1), Heard("Stop the exercise.")
        )

    assert exchange.reply == exchange.decision.authored
    assert fake.requests == []


@of_each_kind
async def test_any_number_of_calls_share_one_wording(kind: Kind, scenario: Scenario) -> None:
    async with open_model(kind, says("Delmar Medical.")) as (fake, wording):
        graph = PersonaGraph(scenario, wording)
        async with asyncio.TaskGroup() as calls:
            exchanges = [
                calls.create_task(graph.exchange(begin(scenario, seed), ASKS_SUPPLIER)) for seed in range(20)
            ]

    assert {exchange.result().reply for exchange in exchanges} == {"Delmar Medical."}
    assert len(fake.requests) == 20
