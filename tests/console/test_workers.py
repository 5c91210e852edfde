"""Calls in writing that several processes serve, that outlive them, and that nobody goes on with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.account import Role
from agent.call import EndReason
from agent.events import CallEnded, CallStarted
from db.live import Live, open_live
from db.models import CallStatus
from tests.console.practice import (
    SCENARIO,
    Client,
    Practice,
    closed_to_writers,
    open_practice,
    said_in,
)
from tests.servers import own_redis

QUESTIONS = ("Who do you order from today?", "What happens when an order arrives late?", "And the price?")


@pytest.fixture(params=["in this process", "on a server"])
async def live(request: pytest.FixtureRequest) -> AsyncIterator[Live]:
    url = None if request.param == "in this process" else request.getfixturevalue("redis_url")
    async with open_live(url) as live:
        yield live


@asynccontextmanager
async def trainee_of(practice: Practice, *, known: bool = False) -> AsyncIterator[Client]:
    token = practice.token("Alex", None if known else Role.TRAINEE)
    async with practice.client(token) as client:
        yield client


async def test_any_process_answers_the_next_message(database_url: str, redis_url: str) -> None:
    async with (
        open_practice(database_url, redis_url) as one,
        open_practice(database_url, redis_url) as other,
        open_practice(database_url) as alone,
        trainee_of(one) as at_one,
        trainee_of(other, known=True) as at_other,
        trainee_of(alone, known=True) as at_alone,
    ):
        call, same = await at_one.start(), await at_alone.start()
        for question, client in zip(QUESTIONS, (at_other, at_one, at_other), strict=True):
            answer = said_in(await client.say(call["id"], question))
            assert answer == said_in(await at_alone.say(same["id"], question))
        await at_one.post(f"/calls/{call['id']}/end")
        assert (await at_other.post(f"/calls/{call['id']}/end")).json()["code"] == "call_ended"
        assert one.record(call["id"]).turns == alone.record(same["id"]).turns
        assert len(one.events(call["id"])) == len(alone.events(same["id"])) + 1


async def test_of_many_who_speak_in_a_call_at_once_one_is_answered(sqlite_url: str, live: Live) -> None:
    async with (
        open_practice(sqlite_url, live=live) as one,
        open_practice(sqlite_url, live=live) as other,
        trainee_of(one) as at_one,
        trainee_of(other, known=True) as at_other,
    ):
        call = await at_one.start()
        path = f"/calls/{call['id']}/messages"
        answers = await asyncio.gather(
            *(client.post(path, {"text": QUESTIONS[0]}) for client in (at_one, at_other) * 4)
        )
        taken = [answer.status_code for answer in answers].count(200)
        assert taken >= 1
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert len(one.record(call["id"]).turns) == 1 + 2 * taken


async def test_a_restart_on_a_real_redis_loses_nothing(sqlite_url: str, redis_url: str) -> None:
    async with open_practice(sqlite_url, redis_url) as before, trainee_of(before) as trainee:
        call = await trainee.start()
        await trainee.say(call["id"], QUESTIONS[0])
    async with open_practice(sqlite_url, redis_url) as after, trainee_of(after, known=True) as trainee:
        assert (await trainee.say(call["id"], QUESTIONS[1]))[-1] == ("done", {})
        assert [turn.index for turn in after.record(call["id"]).turns] == [0, 1, 2, 3, 4]
        assert len(after.events(call["id"])) == 3 + 3 + 3


async def test_what_a_process_died_before_writing_down_the_next_one_writes(
    sqlite_url: str, live: Live
) -> None:
    async with (
        open_practice(sqlite_url, live=live, capacity=0) as dying,
        open_practice(sqlite_url, live=live) as other,
        trainee_of(dying) as at_dying,
        trainee_of(other, known=True) as at_other,
    ):
        call = await at_dying.start()
        assert dying.book.dropped == 3
        first = said_in(await at_other.say(call["id"], QUESTIONS[0]))
        await at_dying.say(call["id"], QUESTIONS[1])
        assert len(other.record(call["id"]).turns) == 3
        await at_other.post(f"/calls/{call['id']}/end")
        record = other.record(call["id"])
        assert [turn.text for turn in record.turns][:3] == [call["opening"], QUESTIONS[0], first]
        assert record.turns[3].text == QUESTIONS[1]
        assert record.end_reason is EndReason.TRAINEE_HUNG_UP
        events = other.events(call["id"])
        assert (type(events[0]), type(events[-1])) == (CallStarted, CallEnded)


async def test_an_end_that_a_process_could_not_write_down_before_it_died_is_written_by_the_sweep(
    sqlite_url: str, live: Live
) -> None:
    with closed_to_writers(sqlite_url) as closed:
        async with open_practice(sqlite_url, live=live) as dying, trainee_of(dying) as trainee:
            call = await trainee.start()
            closed.begin()
            assert (await trainee.post(f"/calls/{call['id']}/end")).status_code == 200
            assert dying.book.trouble
    async with open_practice(sqlite_url, live=live, keep_s=0.01) as other:
        assert other.record(call["id"]).status is CallStatus.IN_PROGRESS
        await other.text_calls.sweep()
        assert other.record(call["id"]).end_reason is EndReason.TRAINEE_HUNG_UP
        assert await live.call_state(call["id"]) is None


async def test_a_call_in_which_nothing_is_said_any_more_is_ended_by_the_sweep(
    sqlite_url: str, live: Live
) -> None:
    async with (
        open_practice(sqlite_url, live=live) as practice,
        open_practice(sqlite_url, live=live, keep_s=0.01) as sweeping,
        trainee_of(practice) as trainee,
    ):
        silent, going_on = await trainee.start(), await trainee.start()
        await live.forget_call(silent["id"])
        assert await practice.text_calls.sweep() == 0, "nobody can be silent for an hour in a call so young"
        assert await sweeping.text_calls.sweep() == 1
        assert await sweeping.text_calls.sweep() == 0
        record = practice.record(silent["id"])
        assert record.end_reason is EndReason.TRAINEE_SILENT
        assert record.duration_ms == record.turns[-1].end_ms
        assert sweeping.observed == practice.events(silent["id"])[-1:]
        assert practice.record(going_on["id"]).status is CallStatus.IN_PROGRESS
        answer = await trainee.post(f"/calls/{silent['id']}/messages", {"text": "Hello?"})
        assert (answer.status_code, answer.json()["code"]) == (409, "call_ended")


async def test_each_message_keeps_a_call_alive(sqlite_url: str) -> None:
    async with open_practice(sqlite_url, keep_s=2.0) as practice, trainee_of(practice) as trainee:
        call = await trainee.start()
        for question in QUESTIONS:
            await asyncio.sleep(0.8)
            assert (await trainee.say(call["id"], question))[-1] == ("done", {})
        assert await practice.text_calls.sweep() == 0


async def test_a_call_that_the_live_state_forgot_has_lost_its_connection(sqlite_url: str) -> None:
    async with open_practice(sqlite_url) as before, trainee_of(before) as trainee:
        spoken_in, left = await trainee.start(), await trainee.start()
        await trainee.say(left["id"], QUESTIONS[0])
    async with (
        open_practice(sqlite_url, keep_s=0.01) as after,
        trainee_of(after, known=True) as trainee,
    ):
        answer = await trainee.post(f"/calls/{spoken_in['id']}/messages", {"text": "Hello?"})
        assert (answer.status_code, answer.json()["code"]) == (409, "call_ended")
        assert await after.text_calls.sweep() == 1
        for call, turns in ((spoken_in, 1), (left, 3)):
            record = after.record(call["id"])
            assert (record.end_reason, len(record.turns)) == (EndReason.CONNECTION_LOST, turns)
            assert record.duration_ms == record.turns[-1].end_ms
            assert after.events(call["id"])[-1].kind == "call_ended"


async def test_the_sweep_goes_on_after_live_state_was_away(sqlite_url: str) -> None:
    with own_redis() as redis:
        async with open_practice(sqlite_url, redis.url) as practice:
            redis.stop()
            async with asyncio.timeout(20):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(practice.text_calls.sweep_for_ever(), 0.3)


async def test_a_call_of_a_scenario_that_was_changed_meanwhile_is_over(sqlite_url: str, live: Live) -> None:
    async with open_practice(sqlite_url, live=live) as before, trainee_of(before) as trainee:
        call = await trainee.start()
    changed = SCENARIO.model_copy(update={"title": "Another"})
    changed.__dict__.pop("version", None)
    assert changed.version != SCENARIO.version
    async with (
        open_practice(sqlite_url, live=live, scenarios={changed.id: changed}) as after,
        trainee_of(after, known=True) as trainee,
    ):
        answer = await trainee.post(f"/calls/{call['id']}/messages", {"text": "Hello?"})
        assert (answer.status_code, answer.json()["code"]) == (409, "call_ended")
        assert "scenario" in answer.json()["message"]
        assert after.record(call["id"]).end_reason is EndReason.FAILED


async def test_a_state_that_this_version_cannot_read_is_a_lost_call(sqlite_url: str, live: Live) -> None:
    async with open_practice(sqlite_url, live=live) as practice, trainee_of(practice) as trainee:
        call = await trainee.start()
        await live.keep_call(call["id"], '{"state": "of another version"}', 30)
        answer = await trainee.post(f"/calls/{call['id']}/end")
        assert (answer.status_code, answer.json()["code"]) == (409, "call_ended")
        assert practice.record(call["id"]).end_reason is EndReason.CONNECTION_LOST
