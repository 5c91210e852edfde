"""Trainees who go away while the persona answers, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from agent.account import Role
from agent.breaker import CIRCUIT_OPEN
from agent.events import EngineBroke, PersonaDecided, TurnTaken
from tests.chat_server import Behaviour, ChatServer, HangUp, refuses, says, sends
from tests.console.practice import (
    SCENARIO,
    Client,
    Pausing,
    Practice,
    client_of,
    open_practice,
    said_in,
    streamed,
)
from tests.graphs.models import OLLAMA, open_model
from tests.servers import own_redis

QUESTION = "What happens when an order arrives late?"
"""Answered in two sentences, of which the first tells nothing yet."""


@asynccontextmanager
async def trainee_on(practice: Practice) -> AsyncIterator[Client]:
    """A trainee on the other end of a real connection."""
    token = practice.token("Alex", Role.TRAINEE)
    async with practice.served() as url, client_of(url, token) as trainee:
        yield trainee


async def pieces_of(trainee: Client, call_id: str, text: str, number: int) -> str:
    """Says something, reads so many pieces of the answer, and hangs up on it."""
    read = ""
    async with trainee.saying(call_id, text) as lines:
        while read.count("\n\n") < number:
            read += await anext(lines) + "\n"
    return "".join(data["text"] for _, data in streamed(read))


async def test_what_the_trainee_did_not_stay_for_was_not_said(sqlite_url: str) -> None:
    wording = Pausing(pieces=1)
    async with open_practice(sqlite_url, wording=wording) as practice, trainee_on(practice) as trainee:
        call = await trainee.start()
        got = await pieces_of(trainee, call["id"], QUESTION, 1)
        wording.release.set()
        again = said_in(await trainee.say(call["id"], "Sorry, who?"))
        turns = practice.record(call["id"]).turns
        kinds = [type(event) for event in practice.events(call["id"])][3:]
    assert [(turn.text, turn.interrupted) for turn in turns[1:]] == [
        (QUESTION, False),
        (got.strip(), True),
        ("Sorry, who?", False),
        (again, False),
    ]
    assert got == "Honestly? "
    assert kinds == [TurnTaken, PersonaDecided, TurnTaken] * 2


async def test_a_fact_that_the_trainee_did_not_stay_for_is_told_when_they_ask_again(sqlite_url: str) -> None:
    wording = Pausing(pieces=1)
    async with open_practice(sqlite_url, wording=wording) as practice, trainee_on(practice) as trainee:
        call = await trainee.start()
        await pieces_of(trainee, call["id"], QUESTION, 1)
        wording.release.set()
        said = said_in(await trainee.say(call["id"], QUESTION))
    (late_gloves,) = [fact for fact in SCENARIO.facts if "ask_problem" in fact.unlocked_by.move]
    assert said in late_gloves.lines


async def test_a_message_of_which_not_one_piece_was_answered_may_be_said_again(sqlite_url: str) -> None:
    wording = Pausing(pieces=0)
    async with open_practice(sqlite_url, wording=wording) as practice, trainee_on(practice) as trainee:
        call = await trainee.start()
        async with trainee.saying(call["id"], QUESTION):
            pass
        wording.release.set()
        said = said_in(await trainee.say(call["id"], QUESTION))
        turns = practice.record(call["id"]).turns
    assert [turn.text for turn in turns[1:]] == [QUESTION, said]


async def test_the_stop_word_ends_the_exercise_even_if_nobody_stays_for_the_answer(sqlite_url: str) -> None:
    async with open_practice(sqlite_url) as practice, trainee_on(practice) as trainee:
        call = await trainee.start()
        async with trainee.saying(call["id"], SCENARIO.safety.stop_word):
            pass
        async with asyncio.timeout(20):
            while practice.record(call["id"]).end_reason is None:  # noqa: ASYNC110 nobody is told
                await asyncio.sleep(0.02)
        assert practice.record(call["id"]).end_reason == "stop_word"


async def test_while_the_persona_answers_nothing_else_can_be_said_or_done(sqlite_url: str) -> None:
    wording = Pausing(pieces=1)
    async with open_practice(sqlite_url, wording=wording) as practice, trainee_on(practice) as trainee:
        call = await trainee.start()
        async with trainee.saying(call["id"], QUESTION) as lines:
            await anext(lines)
            for path, body in ((f"/calls/{call['id']}/messages", {"text": "And?"}), ("/end", None)):
                path = path if body else f"/calls/{call['id']}/end"
                answer = await trainee.post(path, body)
                assert (answer.status_code, answer.json()["code"]) == (409, "call_busy")
            wording.release.set()
            assert [line async for line in lines][-2] == "data: {}"
        assert (await trainee.say(call["id"], "And?"))[-1] == ("done", {})
        assert [turn.interrupted for turn in practice.record(call["id"]).turns] == [False] * 5


@asynccontextmanager
async def trainee_of_a_model(
    database_url: str, behaviour: Behaviour
) -> AsyncIterator[tuple[ChatServer, Practice, Client]]:
    """A trainee whose persona is worded by a model of Ollama that behaves so."""
    async with (
        open_model(OLLAMA, behaviour) as (ollama, wording),
        open_practice(database_url, wording=wording) as practice,
        trainee_on(practice) as trainee,
    ):
        yield ollama, practice, trainee


async def test_a_model_is_stopped_when_the_trainee_goes(sqlite_url: str) -> None:
    hanging = sends("Well.", " That", " is a long", " story", hangs=True)
    async with trainee_of_a_model(sqlite_url, hanging) as (ollama, practice, trainee):
        call = await trainee.start()
        got = await pieces_of(trainee, call["id"], QUESTION, 1)
        await ollama.abandoned()
        ollama.behaviour = says("Late gloves. Twice last month.")
        assert said_in(await trainee.say(call["id"], QUESTION)) == "Late gloves. Twice last month."
        record = practice.record(call["id"])
    assert record.turns[2].text.startswith(got.strip())
    assert record.turns[2].interrupted
    assert [(engine.engine, engine.broke_code) for engine in record.engines] == [("ollama", None)]


async def test_a_model_that_breaks_is_replaced_in_mid_sentence_and_that_is_on_record(sqlite_url: str) -> None:
    breaking = sends("Well", " you", " see", then=HangUp())
    async with trainee_of_a_model(sqlite_url, breaking) as (_, practice, trainee):
        call = await trainee.start()
        events = await trainee.say(call["id"], QUESTION)
        broke = [event for event in practice.events(call["id"]) if isinstance(event, EngineBroke)]
        record = practice.record(call["id"])
    assert events[-1] == ("done", {})
    assert said_in(events) != "Well you see"
    assert [(event.part, event.engine, event.fallback) for event in broke] == [
        ("wording", "ollama", "authored")
    ]
    assert [engine.engine for engine in record.engines] == ["ollama", "authored"]


async def test_a_model_that_rests_after_its_failures_is_told_of_once_a_call(sqlite_url: str) -> None:
    async with trainee_of_a_model(sqlite_url, refuses(500, "out of memory")) as (_, practice, trainee):
        call = await trainee.start()
        for _ in range(6):
            await trainee.say(call["id"], QUESTION)
        codes = [event.code for event in practice.events(call["id"]) if isinstance(event, EngineBroke)]
    assert codes[-1] == CIRCUIT_OPEN
    assert codes.count(CIRCUIT_OPEN) == 1


async def test_live_state_that_goes_while_the_persona_answers_is_told_and_nothing_was_said(
    sqlite_url: str,
) -> None:
    wording = Pausing(pieces=1)
    with own_redis() as redis:
        async with (
            open_practice(sqlite_url, redis.url, wording=wording) as practice,
            trainee_on(practice) as trainee,
        ):
            call = await trainee.start()
            with capture_logs() as logs:
                async with trainee.saying(call["id"], QUESTION) as lines:
                    read = await anext(lines) + "\n"
                    redis.stop()
                    wording.release.set()
                    read += "".join([line + "\n" async for line in lines])
                    answer = await trainee.post(f"/calls/{call['id']}/end")
            name, error = streamed(read)[-1]
            assert (name, error["code"], answer.status_code) == ("error", "store", 503)
            assert error == answer.json()
            assert "127.0.0.1" not in str(error)
            assert any(entry["event"] == "store_away" and "127.0.0.1" in entry["reason"] for entry in logs)
            assert [turn.text for turn in practice.record(call["id"]).turns] == [call["opening"]]


@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_stream_that_is_abandoned_while_live_state_is_away_harms_nobody(
    sqlite_url: str, pieces: int
) -> None:
    wording = Pausing(pieces=pieces)
    with own_redis() as redis:
        async with (
            open_practice(sqlite_url, redis.url, wording=wording) as practice,
            trainee_on(practice) as trainee,
        ):
            call = await trainee.start()
            with capture_logs() as logs:
                async with trainee.saying(call["id"], QUESTION):
                    redis.stop()
                async with asyncio.timeout(20):
                    while not logs:  # noqa: ASYNC110 nobody is told
                        await asyncio.sleep(0.02)
            assert [entry["event"] for entry in logs] == ["store_away"]
            assert (await trainee.get("/scenarios")).status_code == 200
