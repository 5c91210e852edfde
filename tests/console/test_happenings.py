"""Staff have an event of the scenario happen in a call that is going on."""

from uuid import uuid4

from agent.events import EventHappened
from tests.console.practice import SCENARIO, Client, Practice

EVENT = SCENARIO.events[-1]


async def test_a_supervisor_has_an_event_happen_in_a_trainees_call(
    practice: Practice, trainee: Client, supervisor: Client
) -> None:
    call = await trainee.start()
    answer = await supervisor.post(f"/calls/{call['id']}/events", {"event": EVENT.id})
    said = answer.json()["said"]
    record = practice.record(call["id"])
    happened = [event for event in practice.events(call["id"]) if isinstance(event, EventHappened)]

    assert answer.status_code == 202
    assert said in EVENT.lines
    assert [turn.text for turn in record.turns] == [call["opening"], said]
    assert [event.event for event in happened] == [EVENT.id]


async def test_an_event_that_the_scenario_does_not_have_is_named_and_the_call_goes_on(
    trainee: Client, supervisor: Client
) -> None:
    call = await trainee.start()
    answer = await supervisor.post(f"/calls/{call['id']}/events", {"event": "flood"})

    assert (answer.status_code, answer.json()["code"]) == (422, "scenario")
    assert "flood" in answer.json()["message"]
    assert (await trainee.say(call["id"], "Is this a bad time?"))[-1] == ("done", {})


async def test_a_trainee_brings_nothing_about(trainee: Client) -> None:
    call = await trainee.start()
    answer = await trainee.post(f"/calls/{call['id']}/events", {"event": EVENT.id})

    assert answer.status_code == 403


async def test_nothing_happens_in_a_call_that_is_over_or_was_never(
    trainee: Client, supervisor: Client
) -> None:
    call = await trainee.start()
    await trainee.post(f"/calls/{call['id']}/end")
    over = await supervisor.post(f"/calls/{call['id']}/events", {"event": EVENT.id})
    never = await supervisor.post(f"/calls/{uuid4()}/events", {"event": EVENT.id})

    assert (over.status_code, over.json()["code"]) == (409, "call_ended")
    assert (never.status_code, never.json()["code"]) == (404, "not_found")
