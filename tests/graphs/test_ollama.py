import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from agent.breaker import Breaker
from agent.errors import EngineError
from agent.persona import Decision, Heard, begin, decide
from agent.scenario import Scenario
from graphs.ollama import Budgets, OllamaWording
from graphs.persona import PersonaGraph
from graphs.wording import Wording, for_call
from tests.agent.scenarios import cold_call
from tests.fake_ollama import (
    Behaviour,
    FakeOllama,
    HangUp,
    Request,
    content,
    done,
    drips,
    failure,
    open_fake_ollama,
    refuses,
    says,
    sends,
)

SHORT = Budgets(connect_s=5.0, first_word_s=0.5, first_clause_s=0.6, pause_s=0.3, turn_s=5.0)
ROOMY = Budgets(connect_s=5.0, first_word_s=30.0, first_clause_s=30.0, pause_s=30.0, turn_s=60.0)
ASKS_SUPPLIER = Heard("Who do you order from today?")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return cold_call()


@pytest.fixture
def decision(scenario: Scenario) -> Decision:
    return decide(scenario, begin(scenario, seed=1), ASKS_SUPPLIER)


@asynccontextmanager
async def wording_for(
    behaviour: Behaviour, budgets: Budgets = ROOMY, **server: object
) -> AsyncIterator[tuple[FakeOllama, OllamaWording]]:
    fake = FakeOllama(behaviour=behaviour, **server)  # type: ignore[arg-type]
    async with open_fake_ollama(fake):
        wording = OllamaWording(fake.host, "llama3.2:3b", budgets=budgets)
        try:
            yield fake, wording
        finally:
            await wording.aclose()


async def reply_to(
    behaviour: Behaviour, scenario: Scenario, decision: Decision, budgets: Budgets = ROOMY
) -> tuple[str, list[str]]:
    """The reply of a call whose model behaves like that, and the codes of what broke."""
    broke: list[str] = []
    async with wording_for(behaviour, budgets) as (_, ollama):
        wording = for_call(ollama, lambda engine, code, fallback: broke.append(code))
        said = [piece async for piece in wording.words(scenario, decision)]
    return "".join(said), broke


async def test_a_reply_is_streamed_word_by_word(scenario: Scenario, decision: Decision) -> None:
    async with wording_for(says("Delmar Medical, for six years.")) as (_, wording):
        pieces = [piece async for piece in wording.words(scenario, decision)]

    assert pieces == ["Delmar", " Medical,", " for", " six", " years."]


async def test_the_first_word_is_there_before_the_last_is_worded(
    scenario: Scenario, decision: Decision
) -> None:
    behaviour = sends(content("Delmar"), content(" Medical,"), hangs=True)
    async with (
        wording_for(behaviour) as (_, wording),
        aclosing(wording.words(scenario, decision)) as pieces,
    ):
        assert await anext(pieces) == "Delmar"


async def test_the_model_is_told_not_to_think_and_to_stay_loaded(
    scenario: Scenario, decision: Decision
) -> None:
    async with wording_for(says("Delmar."), thinking=("llama3.2:3b",)) as (fake, wording):
        said = [piece async for piece in wording.words(scenario, decision)]

    (request,) = fake.requests
    assert said == ["Delmar."]
    assert request["think"] is False
    assert request["keep_alive"] == -1
    assert request["stream"] is True
    assert request["options"]["num_ctx"] == 4096
    assert request["options"]["num_predict"] == 90


async def test_the_same_call_sends_the_same_seed_for_the_same_turn(
    scenario: Scenario, decision: Decision
) -> None:
    later = decide(scenario, decision.next_state, ASKS_SUPPLIER)
    async with wording_for(says("Delmar.")) as (fake, wording):
        for each in (decision, decision, later):
            assert [piece async for piece in wording.words(scenario, each)]

    first, again, other = (request["options"]["seed"] for request in fake.requests)
    assert first == again != other


async def test_loading_uses_the_options_of_the_replies(scenario: Scenario, decision: Decision) -> None:
    async with wording_for(says("Delmar.")) as (fake, wording):
        await wording.load()
        assert [piece async for piece in wording.words(scenario, decision)]

    load, reply = fake.requests
    assert load["messages"] == []
    assert load["options"] == {key: reply["options"][key] for key in load["options"]}
    assert load["keep_alive"] == -1


async def test_closing_the_words_closes_the_connection(scenario: Scenario, decision: Decision) -> None:
    async with wording_for(sends(content("Delmar"), content(" Medical"), hangs=True)) as (fake, wording):
        words = wording.words(scenario, decision)
        assert await anext(words) == "Delmar"
        assert not fake.was_abandoned
        await words.aclose()
        await fake.abandoned()


async def test_closing_the_graphs_reply_closes_the_connection(scenario: Scenario) -> None:
    async with wording_for(sends(content("Delmar"), content(" Medical"), hangs=True)) as (fake, wording):
        graph = PersonaGraph(scenario, wording)
        reply = graph.reply(begin(scenario, seed=1), ASKS_SUPPLIER)
        assert isinstance(await anext(reply), Decision)
        assert await anext(reply) == "Delmar"
        await reply.aclose()
        await fake.abandoned()


async def test_closing_the_graphs_reply_before_the_first_word_closes_the_connection(
    scenario: Scenario,
) -> None:
    async with wording_for(says("Delmar."), silent=True) as (fake, wording):
        reply = PersonaGraph(scenario, wording).reply(begin(scenario, seed=1), ASKS_SUPPLIER)
        assert isinstance(await anext(reply), Decision)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(reply), 0.2)
        await reply.aclose()
        await fake.abandoned()


async def test_cancelling_the_reader_closes_the_connection(scenario: Scenario) -> None:
    async with wording_for(sends(content("Delmar"), content(" Medical"), hangs=True)) as (fake, wording):
        graph = PersonaGraph(scenario, wording)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                async for _ in graph.reply(begin(scenario, seed=1), ASKS_SUPPLIER):
                    pass
        await fake.abandoned()


async def test_a_reply_that_is_long_enough_closes_the_connection(
    scenario: Scenario, decision: Decision
) -> None:
    behaviour = sends(*(content(f"Sentence {n}. ") for n in range(9)), hangs=True)
    async with wording_for(behaviour) as (fake, wording):
        said = [piece async for piece in wording.words(scenario, decision)]
        await fake.abandoned()

    assert "".join(said) == "Sentence 0. Sentence 1. Sentence 2."


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        pytest.param(sends(hangs=True), "engine_late", id="never says a word"),
        pytest.param(
            sends(content("<think>"), content("So the"), hangs=True), "engine_late", id="thinks aloud"
        ),
        pytest.param(sends(content("*sighs*"), done()), "engine_mute", id="only a stage direction"),
        pytest.param(sends(done()), "engine_mute", id="nothing"),
        pytest.param(sends(done("load")), "engine_failed", id="only loads"),
        pytest.param(sends(), "engine_failed", id="an empty stream"),
        pytest.param(refuses(404, "model 'llama3.2:3b' not found"), "model_missing", id="404"),
        pytest.param(refuses(503, "server busy, please try again."), "engine_busy", id="503"),
        pytest.param(refuses(500, "out of memory"), "engine_failed", id="500"),
        pytest.param(sends(failure()), "engine_failed", id="an error as the first line"),
        pytest.param(sends(b"<html>\n"), "engine_failed", id="a web page"),
        pytest.param(sends(b"[1, 2]\n"), "engine_failed", id="a list"),
        pytest.param(sends(b"null\n"), "engine_failed", id="null"),
        pytest.param(sends(b"{}\n"), "engine_failed", id="an empty object"),
        pytest.param(sends(b'{"message": 3}\n'), "engine_failed", id="a message that is a number"),
        pytest.param(
            sends(b'{"message": {"role": "x", "content": null}}\n'), "engine_failed", id="no content"
        ),
        pytest.param(sends(b"[" * 100_000 + b"\n"), "engine_failed", id="nested a hundred thousand deep"),
        pytest.param(sends(b"\xff\xfe\x00\n"), "engine_failed", id="not text"),
        pytest.param(sends(then=HangUp()), "engine_failed", id="hangs up"),
    ],
)
async def test_a_model_that_says_nothing_is_replaced_by_the_authored_line(
    behaviour: Behaviour, code: str, scenario: Scenario, decision: Decision
) -> None:
    said, broke = await reply_to(behaviour, scenario, decision, SHORT)

    assert said == decision.authored
    assert broke == [code]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        pytest.param(sends(content("Well, "), hangs=True), "engine_stalled", id="stalls"),
        pytest.param(sends(content("Well, "), failure()), "engine_failed", id="an error in mid-stream"),
        pytest.param(sends(content("Well, "), b"garbage\n"), "engine_failed", id="garbage in mid-stream"),
        pytest.param(sends(content("Well, "), then=HangUp()), "engine_failed", id="hangs up"),
        pytest.param(sends(content("Well, ")), "engine_failed", id="ends without its last line"),
    ],
)
async def test_a_model_that_breaks_off_leaves_the_sentence_and_the_authored_line_says_it_afresh(
    behaviour: Behaviour, code: str, scenario: Scenario, decision: Decision
) -> None:
    said, broke = await reply_to(behaviour, scenario, decision, SHORT)

    assert said == f"Well,... {decision.authored}"
    assert broke == [code]


async def test_a_model_that_breaks_off_with_everything_said_only_has_its_sentence_ended(
    scenario: Scenario, decision: Decision
) -> None:
    behaviour = sends(content("We order from Delmar "), content("and"), failure())
    said, broke = await reply_to(behaviour, scenario, decision)

    assert said == "We order from Delmar."
    assert broke == ["engine_failed"]


async def test_nobody_listening_at_the_address_is_authored_words_too(
    scenario: Scenario, decision: Decision
) -> None:
    async with open_fake_ollama() as fake:
        host = fake.host
    broke: list[str] = []
    async with aclosing(OllamaWording(host, "llama3.2:3b")) as ollama:
        wording = for_call(ollama, lambda engine, code, fallback: broke.append(code))
        said = "".join([piece async for piece in wording.words(scenario, decision)])

    assert said == decision.authored
    assert broke == ["engine_unreachable"]


async def reply_of(wording: Wording, scenario: Scenario, decision: Decision) -> str:
    return "".join([piece async for piece in wording.words(scenario, decision)])


async def test_after_three_failures_in_a_row_the_model_is_left_alone_by_all_calls(
    scenario: Scenario, decision: Decision
) -> None:
    broke: list[tuple[str, str, str]] = []
    breaker = Breaker()
    async with wording_for(refuses(503, "server busy")) as (fake, ollama):
        for _ in range(2):
            wording = for_call(ollama, lambda *what: broke.append(what), breaker)
            for _ in range(4):
                assert await reply_of(wording, scenario, decision) == decision.authored

        assert len(fake.requests) == 3
        circuit = ("ollama", "engine_circuit_open", "authored")
        assert broke == [("ollama", "engine_busy", "authored")] * 3 + [circuit] * 2
        assert (wording.engine, wording.model) == ("authored", "")


async def test_a_model_that_works_again_after_a_rest_serves_all_calls_again(
    scenario: Scenario, decision: Decision
) -> None:
    breaker = Breaker(failures=1, rest_s=0.02)
    async with wording_for(refuses(503, "server busy")) as (fake, ollama):
        one, other = (for_call(ollama, lambda *what: None, breaker) for _ in range(2))
        assert await reply_of(one, scenario, decision) == decision.authored
        fake.behaviour = says("Delmar.")
        await asyncio.sleep(0.03)
        assert [await reply_of(each, scenario, decision) for each in (one, other)] == ["Delmar."] * 2


async def test_one_good_reply_makes_up_for_the_failures_before_it(
    scenario: Scenario, decision: Decision
) -> None:
    async with wording_for(refuses(503, "server busy")) as (fake, ollama):
        wording = for_call(ollama, lambda *what: None)
        for behaviour in (
            refuses(503, ""),
            refuses(503, ""),
            says("Delmar."),
            refuses(503, ""),
            says("Yes."),
        ):
            fake.behaviour = behaviour
            said = await reply_of(wording, scenario, decision)

    assert said == "Yes."
    assert len(fake.requests) == 5


async def test_a_model_that_is_slower_than_the_voice_is_not_waited_for_in_silence(
    scenario: Scenario, decision: Decision
) -> None:
    said, broke = await reply_to(
        drips("Well I would have to think about that before I say so", 0.1), scenario, decision, SHORT
    )

    assert said.startswith("Well I") and said.endswith(f"... {decision.authored}")
    assert broke == ["engine_stalled"]


async def test_a_model_may_pause_as_long_as_what_it_said_is_being_spoken(
    scenario: Scenario, decision: Decision
) -> None:
    async def behave(request: Request) -> AsyncIterator[bytes]:
        yield content("We order from Delmar Medical. For six")
        await asyncio.sleep(0.1)
        yield content(" years.")
        yield done()

    said, broke = await reply_to(behave, scenario, decision, replace(ROOMY, pause_s=0.0))

    assert said == "We order from Delmar Medical. For six years."
    assert broke == []


def test_a_model_that_hangs_is_given_up_within_two_seconds() -> None:
    usual = Budgets()
    assert usual.first_word_s <= usual.first_clause_s < 2.0
    assert usual.pause_s < 2.0


async def test_an_interruption_is_not_a_failure(scenario: Scenario, decision: Decision) -> None:
    broke: list[str] = []
    async with wording_for(sends(content("Delmar "), hangs=True)) as (fake, ollama):
        wording = for_call(ollama, lambda engine, code, fallback: broke.append(code))
        words = wording.words(scenario, decision)
        assert await anext(words) == "Delmar"
        await words.aclose()
        await fake.abandoned()

    assert broke == []


async def test_without_a_fallback_the_error_reaches_the_reader_after_the_decision(scenario: Scenario) -> None:
    async with wording_for(refuses(404, "model 'llama3.2:3b' not found")) as (_, wording):
        reply = PersonaGraph(scenario, wording).reply(begin(scenario, seed=1), ASKS_SUPPLIER)
        assert isinstance(await anext(reply), Decision)
        with pytest.raises(EngineError, match="ollama pull llama3.2:3b"):
            await anext(reply)


async def test_the_stop_word_is_answered_by_no_model(scenario: Scenario) -> None:
    async with wording_for(says("I will never stop.")) as (fake, wording):
        exchange = await PersonaGraph(scenario, wording).exchange(
            begin(scenario, seed=1), Heard("Stop the exercise.")
        )

    assert exchange.reply == exchange.decision.authored
    assert fake.requests == []


async def test_any_number_of_calls_share_one_wording(scenario: Scenario) -> None:
    async with wording_for(says("Delmar Medical.")) as (fake, wording):
        graph = PersonaGraph(scenario, wording)
        async with asyncio.TaskGroup() as calls:
            exchanges = [
                calls.create_task(graph.exchange(begin(scenario, seed), ASKS_SUPPLIER)) for seed in range(20)
            ]

    assert {exchange.result().reply for exchange in exchanges} == {"Delmar Medical."}
    assert len(fake.requests) == 20
