"""What is on record, and who may read it."""

from uuid import uuid4

import httpx
import pytest

from agent.account import Role
from db.models import new_id
from tests.console.practice import Client, Practice
from tests.db.history import whole_call

QUESTION = "Who do you order from today?"


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [call["id"] for call in answer.json()["calls"]]


async def test_everybody_sees_their_own_calls_and_supervisors_all(
    practice: Practice, trainee: Client, other_trainee: Client, trainer: Client, supervisor: Client
) -> None:
    mine, theirs, trainers = [(await each.start())["id"] for each in (trainee, other_trainee, trainer)]
    async with practice.client(practice.token("Ada", Role.ADMIN)) as admin:
        assert ids(await admin.get("/calls")) == [trainers, theirs, mine]
    assert ids(await trainee.get("/calls")) == [mine]
    assert ids(await trainer.get("/calls")) == [trainers]
    assert ids(await supervisor.get("/calls")) == [trainers, theirs, mine]
    assert (await supervisor.get(f"/calls/{mine}")).json()["id"] == mine
    for stranger in (other_trainee, trainer):
        for answer in (
            await stranger.get(f"/calls/{mine}"),
            await stranger.post(f"/calls/{mine}/messages", {"text": QUESTION}),
            await stranger.post(f"/calls/{mine}/end"),
        ):
            unknown = await stranger.get(f"/calls/{uuid4()}")
            assert (answer.status_code, answer.json()["code"]) == (404, unknown.json()["code"])
    assert (await trainer.get(f"/calls/{mine}/events")).status_code == 404


async def test_a_call_that_is_over_stays_its_trainees_own(trainee: Client, other_trainee: Client) -> None:
    call = await trainee.start()
    await trainee.post(f"/calls/{call['id']}/end")
    for path in ("/messages", "/end"):
        own = await trainee.post(f"/calls/{call['id']}{path}", {"text": QUESTION})
        others = await other_trainee.post(f"/calls/{call['id']}{path}", {"text": QUESTION})
        assert (own.status_code, others.status_code) == (409, 404)


async def test_nobody_speaks_for_somebody_else(trainee: Client, supervisor: Client) -> None:
    call = await trainee.start()
    for path in ("/messages", "/end"):
        answer = await supervisor.post(f"/calls/{call['id']}{path}", {"text": QUESTION})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


async def test_a_record_has_what_was_said_and_for_staff_what_said_it(
    practice: Practice, trainee: Client, supervisor: Client
) -> None:
    call = await trainee.start()
    await trainee.say(call["id"], QUESTION)
    record = (await supervisor.get(f"/calls/{call['id']}")).json()
    own = (await trainee.get(f"/calls/{call['id']}")).json()
    assert record["engines"][0]["engine"] == "authored"
    assert own == record | {"engines": None, "line": None}
    assert (record["channel"], record["status"], record["seed"]) == ("text", "in_progress", 3)
    assert record["turns"][1] == {
        "index": 1,
        "speaker": "trainee",
        "text": QUESTION,
        "start_ms": record["turns"][0]["end_ms"],
        "end_ms": record["turns"][0]["end_ms"] + 2_400,
        "interrupted": False,
        "confidence": None,
        "response_gap_ms": None,
    }


async def test_events_are_for_staff_and_read_from_where_a_watcher_left_off(
    trainee: Client, supervisor: Client
) -> None:
    call = await trainee.start()
    await trainee.say(call["id"], QUESTION)
    events = (await supervisor.get(f"/calls/{call['id']}/events")).json()["events"]
    assert [event["seq"] for event in events] == list(range(6))
    assert events[4]["event"]["kind"] == "persona_decided"
    later = (await supervisor.get(f"/calls/{call['id']}/events", after=3)).json()["events"]
    assert later == events[4:]
    answer = await trainee.get(f"/calls/{call['id']}/events")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


async def test_the_call_log_is_read_page_by_page(trainee: Client) -> None:
    started = [(await trainee.start())["id"] for _ in range(5)]
    pages, before = [], {}
    while True:
        answer = await trainee.get("/calls", limit=2, **before)
        pages.append(ids(answer))
        if answer.json()["next"] is None:
            break
        before = {"before": answer.json()["next"]}
    assert pages == [started[4:2:-1], started[2:0:-1], started[:1]]


async def test_the_call_log_is_filtered(trainee: Client) -> None:
    over, going_on = [(await trainee.start())["id"] for _ in range(2)]
    await trainee.say(over, "Thank you for your time, goodbye.")
    assert ids(await trainee.get("/calls", outcome="open")) == [over]
    assert ids(await trainee.get("/calls", outcome="")) == [going_on]
    assert ids(await trainee.get("/calls", status="in_progress")) == [going_on]
    assert ids(await trainee.get("/calls", scenario_id="cold-call")) == [going_on, over]
    assert ids(await trainee.get("/calls", scenario_id="another")) == []


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 201}, {"outcome": "won"}, {"before": "x"}, {"scenario": "cold-call"}]
)
async def test_a_filter_that_is_none_is_an_error_and_not_left_out(
    trainee: Client, query: dict[str, str]
) -> None:
    answer = await trainee.get("/calls", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert next(iter(query)) in answer.json()["message"]


async def test_a_phone_call_is_on_the_same_log_and_nobody_can_write_in_it(
    practice: Practice, trainee: Client, supervisor: Client
) -> None:
    call_id = new_id()
    for event in whole_call():
        practice.book.note(call_id, event)
    assert practice.book.flush(20)
    record = (await supervisor.get(f"/calls/{call_id}")).json()
    assert (record["channel"], record["user_id"]) == ("phone", None)
    assert record["line"]["faults"] == ["too_quiet"]
    assert ids(await trainee.get("/calls")) == []
    for client in (trainee, supervisor):
        answer = await client.post(f"/calls/{call_id}/messages", {"text": QUESTION})
        assert answer.status_code == 404
