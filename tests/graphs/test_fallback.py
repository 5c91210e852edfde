"""One call's wording: who takes over from whom, when, and what is said meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.breaker import Breaker, Breakers
from agent.errors import EngineFailed
from agent.lines import Line
from agent.persona import Decision, Heard, begin, decide
from agent.scenario import Scenario
from graphs.ladder import ModelsWording, for_call
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording, FallbackWording, Wording
from tests.chat_server import Behaviour, ChatServer, after, refuses, says, sends
from tests.graphs.conftest import ASKS_SUPPLIER
from tests.graphs.models import (
    LONGEST_SILENCE_S,
    OLLAMA,
    SERVER,
    Kind,
    heard,
    of_each_kind,
    open_model,
    reply_of,
)

FILLER = "Hm, let me think."
REPLY = "We order from Delmar Medical."
Told = list[tuple[str, str, str]]


@asynccontextmanager
async def two_models(
    server: Behaviour, ollama: Behaviour, breakers: Breakers | None = None
) -> AsyncIterator[tuple[Wording, Told, ChatServer, ChatServer]]:
    """A call's wording by a server, Ollama and authored lines, and what the call is told."""
    told: Told = []
    async with open_model(SERVER, server) as (first, upper), open_model(OLLAMA, ollama) as (then, lower):
        wording = for_call(ModelsWording((upper, lower)), lambda *what: told.append(what), breakers)
        yield wording, told, first, then


async def test_authored_words_are_the_line_itself(scenario: Scenario) -> None:
    decision = decide(scenario, begin(scenario, seed=1), Heard("Who do you order from?"))
    pieces = [piece async for piece in AuthoredWording().words(scenario, decision)]

    assert "".join(pieces) == decision.authored
    assert len(pieces) == len(decision.authored.split())


def test_authored_lines_need_no_fallback() -> None:
    assert isinstance(for_call(AuthoredWording(), lambda *what: None), AuthoredWording)


@of_each_kind
async def test_a_model_that_breaks_off_leaves_the_sentence_and_the_line_is_said_afresh(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, sends("Well, ", kind.failure)) as (_, wording):
        said = await reply_of(for_call(wording, lambda *what: None), scenario, decision)

    assert said == f"Well,... {decision.authored}"


@of_each_kind
async def test_a_model_that_breaks_off_with_everything_said_only_has_its_sentence_ended(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, sends("We order from Delmar ", "and", kind.failure)) as (_, wording):
        said = await reply_of(for_call(wording, lambda *what: None), scenario, decision)

    assert said == "We order from Delmar."


async def test_the_next_model_takes_over_from_one_that_fails_at_once(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(refuses(500), says(REPLY)) as (wording, told, _, _):
        assert (wording.engine, wording.model) == (SERVER.engine, SERVER.model)
        assert await reply_of(wording, scenario, decision) == REPLY
    assert told == [("server", "engine_failed", "ollama")]


async def test_the_next_model_takes_over_in_mid_sentence(scenario: Scenario, decision: Decision) -> None:
    async with two_models(sends("Well, ", SERVER.failure), says(REPLY)) as (wording, told, _, _):
        assert await reply_of(wording, scenario, decision) == f"Well,... {REPLY}"
    assert told == [("server", "engine_failed", "ollama")]


async def test_with_both_models_gone_there_are_still_the_authored_lines(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(refuses(503), refuses(404)) as (wording, told, _, _):
        assert await reply_of(wording, scenario, decision) == decision.authored
    assert told == [("server", "engine_busy", "ollama"), ("ollama", "model_missing", "authored")]


async def test_behind_a_filler_there_is_time_for_a_second_model(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(sends(hangs=True), after(0.4, says(REPLY))) as (wording, told, server, _):
        listener = await heard(wording, scenario, replace(decision, filler=FILLER))
        await server.abandoned()
    assert listener.text == f"{FILLER} {REPLY}"
    assert max(listener.silences_s) <= LONGEST_SILENCE_S
    assert told == [("server", "engine_late", "ollama")]


async def test_two_models_that_hang_cost_no_more_silence_than_one(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(sends(hangs=True), sends(hangs=True)) as (wording, told, _, _):
        listener = await heard(wording, scenario, replace(decision, filler=FILLER))
    assert listener.text == f"{FILLER} {decision.authored}"
    assert max(listener.silences_s) <= LONGEST_SILENCE_S
    assert told == [("server", "engine_late", "ollama"), ("ollama", "engine_late", "authored")]


async def test_a_second_model_that_has_no_time_left_is_passed_over(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(sends(hangs=True), says(REPLY)) as (wording, told, _, ollama):
        listener = await heard(wording, scenario, decision)
        assert ollama.requests == []
    assert listener.text == decision.authored
    assert max(listener.silences_s) <= LONGEST_SILENCE_S
    assert told == [("server", "engine_late", "authored")]


async def test_a_sentence_left_hanging_gives_the_next_model_time(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(sends("Hm. ", "That is ", hangs=True), says(REPLY)) as (wording, told, _, _):
        listener = await heard(wording, scenario, decision)
    assert listener.text == f"Hm. That is... {REPLY}"
    assert max(listener.silences_s) <= LONGEST_SILENCE_S
    assert told == [("server", "engine_stalled", "ollama")]


async def test_the_filler_is_no_part_of_what_the_model_got_across(
    scenario: Scenario, decision: Decision
) -> None:
    filler = "Hm, let me think about that for a little while longer."
    decision = replace(
        decision, lines=(Line("reply", "x", "That depends on a lot of things."),), filler=filler
    )
    async with open_model(SERVER, after(0.9, sends("Well, ", SERVER.failure))) as (_, wording):
        said = await reply_of(for_call(wording, lambda *what: None), scenario, decision)
    assert said == f"{filler} Well,... That depends on a lot of things."


async def test_the_filler_is_said_once_whoever_words_the_reply(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(after(0.8, refuses(500)), after(0.2, says(REPLY))) as (wording, _, _, _):
        said = await reply_of(wording, scenario, replace(decision, filler=FILLER))
    assert said == f"{FILLER} {REPLY}"


async def test_an_interruption_during_the_filler_stops_the_model(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(sends(hangs=True), says(REPLY)) as (wording, told, server, _):
        words = wording.words(scenario, replace(decision, filler=FILLER))
        assert await anext(words) == f"{FILLER} "
        assert not server.was_abandoned
        await words.aclose()
        await server.abandoned()
    assert told == []


async def test_closing_the_graphs_reply_stops_the_model_of_a_call(scenario: Scenario) -> None:
    async with two_models(sends(hangs=True), says(REPLY)) as (wording, told, server, _):
        reply = PersonaGraph(scenario, wording).reply(begin(scenario, seed=1), ASKS_SUPPLIER)
        assert isinstance(await anext(reply), Decision)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(reply), 0.2)
        await reply.aclose()
        await server.abandoned()
    assert told == []


async def test_an_interruption_is_not_a_failure(scenario: Scenario, decision: Decision) -> None:
    async with two_models(sends("Delmar ", hangs=True), says(REPLY)) as (wording, told, server, _):
        words = wording.words(scenario, decision)
        assert await anext(words) == "Delmar"
        await words.aclose()
        await server.abandoned()
    assert told == []


async def test_a_reader_that_is_cancelled_before_the_first_word_stops_the_model(
    scenario: Scenario, decision: Decision
) -> None:
    async with two_models(sends(hangs=True), says(REPLY)) as (wording, told, server, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reply_of(wording, scenario, replace(decision, filler=FILLER))
        await server.abandoned()
    assert told == []


async def test_after_three_failures_in_a_row_a_model_is_left_alone_by_all_calls(
    scenario: Scenario, decision: Decision
) -> None:
    breakers = Breakers()
    async with two_models(refuses(404), says(REPLY), breakers) as (wording, told, server, _):
        for _ in range(4):
            assert await reply_of(wording, scenario, decision) == REPLY
        assert len(server.requests) == 3
        circuit = ("server", "engine_circuit_open", "ollama")
        assert told == [("server", "model_missing", "ollama")] * 3 + [circuit]
        assert (wording.engine, wording.model) == (OLLAMA.engine, OLLAMA.model)

    async with two_models(says("No."), refuses(404), breakers) as (wording, told, server, _):
        for _ in range(5):
            assert await reply_of(wording, scenario, decision) == decision.authored
        assert server.requests == []
    assert told == [
        ("server", "engine_circuit_open", "ollama"),
        *[("ollama", "model_missing", "authored")] * 3,
        ("ollama", "engine_circuit_open", "authored"),
    ]
    assert (wording.engine, wording.model) == ("authored", "")


async def test_while_the_second_model_rests_the_first_has_all_the_time(
    scenario: Scenario, decision: Decision
) -> None:
    breakers = Breakers()
    for _ in range(3):
        breakers.of("ollama").failed(asyncio.get_running_loop().time())
    async with two_models(after(1.7, says(REPLY)), says("No."), breakers) as (wording, told, _, _):
        assert await reply_of(wording, scenario, replace(decision, filler=FILLER)) == f"{FILLER} {REPLY}"
    assert told == []


@of_each_kind
async def test_a_model_that_works_again_after_a_rest_serves_all_calls_again(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    breaker = Breaker(failures=1, rest_s=0.02)
    async with open_model(kind, refuses(404)) as (fake, model):
        calls = [FallbackWording(model, AuthoredWording(), lambda *what: None, breaker) for _ in range(2)]
        assert await reply_of(calls[0], scenario, decision) == decision.authored
        fake.behaviour = says("Delmar.")
        await asyncio.sleep(0.03)
        assert [await reply_of(call, scenario, decision) for call in calls] == ["Delmar."] * 2


@of_each_kind
async def test_one_good_reply_makes_up_for_the_failures_before_it(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind) as (fake, model):
        wording = for_call(model, lambda *what: None)
        for behaviour in (refuses(404), refuses(404), says("Delmar."), refuses(404), says("Yes.")):
            fake.behaviour = behaviour
            said = await reply_of(wording, scenario, decision)
        assert (said, len(fake.requests)) == ("Yes.", 5)


class Broken:
    """A wording that fails in its second word, without a clock."""

    engine = "broken"
    model = ""

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        yield "Well,"
        raise EngineFailed("broken")


async def test_any_wording_can_stand_anywhere_in_the_chain(scenario: Scenario, decision: Decision) -> None:
    told: Told = []
    chain: Wording = AuthoredWording()
    for _ in range(3):
        chain = FallbackWording(Broken(), chain, lambda *what: told.append(what), Breaker())
    assert await reply_of(chain, scenario, decision) == f"Well,... Well,... Well,... {decision.authored}"
    assert [taking_over for _, _, taking_over in told] == ["broken", "broken", "authored"]
