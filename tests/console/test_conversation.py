"""A call in writing over HTTP: what the trainee gets, and what goes on record."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent import persona
from agent.account import Role
from agent.call import EndReason, Speaker
from agent.events import CallEnded, CallStarted, EngineChosen, PersonaDecided, TurnTaken
from db.models import CallStatus
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording
from graphs.written import WrittenRehearsal
from tests.console.practice import SCENARIO, Client, Practice, open_practice, said_in, streamed

GREETING = "Hi Dana, this is Alex from Northwind Supply."
QUESTION = "Who do you order from today?"
FAREWELL = "Thank you for your time, goodbye."


def secrets_of_the_scenario() -> list[str]:
    """What a trainee has to find out."""
    return [text for fact in SCENARIO.facts for text in (fact.truth, *fact.lines)]


async def test_scenarios_are_told_without_what_the_persona_knows(trainee: Client) -> None:
    answer = await trainee.get("/scenarios")
    assert answer.json() == {
        "scenarios": [
            {
                "id": "cold-call",
                "title": SCENARIO.title,
                "domain": SCENARIO.domain,
                "difficulty": SCENARIO.difficulty,
                "briefing": SCENARIO.briefing,
                "content_warning": SCENARIO.safety.content_warning,
                "version": SCENARIO.version,
            }
        ]
    }
    assert not any(secret in answer.text for secret in secrets_of_the_scenario())


async def test_a_call_begins_with_what_the_trainee_must_know_and_the_personas_first_words(
    trainee: Client,
) -> None:
    opened = await trainee.start()
    assert opened.pop("opening") in SCENARIO.opening
    UUID(opened["id"])
    assert opened == {
        "id": opened["id"],
        "channel": "text",
        "scenario_id": "cold-call",
        "scenario_version": SCENARIO.version,
        "seed": 3,
        "briefing": SCENARIO.briefing,
        "content_warning": SCENARIO.safety.content_warning,
        "stop_word": SCENARIO.safety.stop_word,
    }


async def test_a_new_call_says_where_it_is(trainee: Client) -> None:
    answer = await trainee.post("/calls", {"channel": "text", "scenario_id": "cold-call"})
    assert answer.headers["Location"] == f"/api/v1/calls/{answer.json()['id']}"
    assert (await trainee.http.get(answer.headers["Location"])).status_code == 200


async def test_an_answer_comes_in_pieces_then_whole_and_says_that_it_is_done(trainee: Client) -> None:
    call = await trainee.start()
    events = await trainee.say(call["id"], GREETING)
    names = [name for name, _ in events]
    assert names == ["piece"] * (len(names) - 2) + ["turn", "done"]
    assert len(names) > 3
    assert said_in(events)


async def test_a_written_call_is_the_rehearsal_of_the_terminal(trainee: Client) -> None:
    rehearsal = WrittenRehearsal(
        PersonaGraph(SCENARIO, AuthoredWording()), persona.begin(SCENARIO, 7), lambda event: None
    )
    call = await trainee.start(seed=7)
    assert call["opening"] == rehearsal.open()
    for line in (GREETING, QUESTION, "What happens when an order arrives late?", FAREWELL):
        said = "".join([item async for item in rehearsal.answer(line) if isinstance(item, str)])
        rehearsal.heard(said, complete=True)
        events = await trainee.say(call["id"], line)
        assert said_in(events) == said.strip()
        assert (events[-1][0] == "ended") == rehearsal.over


async def test_the_persona_ends_the_call_and_it_is_on_record_like_a_phone_call(
    practice: Practice, trainee: Client
) -> None:
    call = await trainee.start()
    await trainee.say(call["id"], GREETING)
    ending = (await trainee.say(call["id"], FAREWELL))[-1]
    assert ending == ("ended", {"reason": "persona_ended", "ending": "farewell", "outcome": "open"})

    record = practice.record(call["id"])
    assert (record.carrier, record.channel, record.status) == ("text", "text", CallStatus.ENDED)
    assert (record.end_reason, record.ending, record.outcome) == (
        EndReason.PERSONA_ENDED,
        "farewell",
        "open",
    )
    assert [turn.speaker for turn in record.turns] == [
        Speaker.PERSONA,
        *(Speaker.TRAINEE, Speaker.PERSONA) * 2,
    ]
    assert [turn.index for turn in record.turns] == [0, 1, 2, 3, 4]
    assert [turn.text for turn in record.turns][1::2] == [GREETING, FAREWELL]
    assert [engine.engine for engine in record.engines] == ["authored"]
    kinds = [type(event) for event in practice.events(call["id"])]
    exchange = [TurnTaken, PersonaDecided, TurnTaken]
    assert kinds == [CallStarted, EngineChosen, TurnTaken, *exchange * 2, CallEnded]
    assert practice.observed == practice.events(call["id"])


async def test_what_is_written_takes_the_time_in_which_it_would_be_said(
    practice: Practice, trainee: Client
) -> None:
    call = await trainee.start()
    await trainee.say(call["id"], GREETING)
    turns = practice.record(call["id"]).turns
    assert [turn.end_ms - turn.start_ms for turn in turns] == [400 * len(turn.text.split()) for turn in turns]
    assert [turn.start_ms for turn in turns] == [0, *(turn.end_ms for turn in turns[:-1])]
    await trainee.post(f"/calls/{call['id']}/end")
    assert practice.record(call["id"]).duration_ms == turns[-1].end_ms


async def test_the_stop_word_ends_the_exercise(trainee: Client) -> None:
    call = await trainee.start()
    assert (await trainee.say(call["id"], SCENARIO.safety.stop_word))[-1] == (
        "ended",
        {"reason": "stop_word", "ending": "stop_word", "outcome": "open"},
    )


async def test_the_trainee_hangs_up_once(practice: Practice, trainee: Client) -> None:
    call = await trainee.start()
    answer = await trainee.post(f"/calls/{call['id']}/end")
    assert (answer.status_code, answer.json()) == (
        200,
        {"reason": "trainee_hung_up", "ending": "", "outcome": ""},
    )
    assert practice.record(call["id"]).end_reason is EndReason.TRAINEE_HUNG_UP
    for again in (
        await trainee.post(f"/calls/{call['id']}/end"),
        await trainee.post(f"/calls/{call['id']}/messages", {"text": "Hello?"}),
    ):
        assert (again.status_code, again.json()["code"]) == (409, "call_ended")


async def test_a_call_that_takes_too_long_is_ended_by_the_persona(sqlite_url: str) -> None:
    async with (
        open_practice(sqlite_url, longest_s=5) as practice,
        practice.client(practice.token("Alex", Role.TRAINEE)) as trainee,
    ):
        call = await trainee.start()
        assert (await trainee.say(call["id"], GREETING))[-1] == ("done", {})
        events = await trainee.say(call["id"], QUESTION)
        assert said_in(events) in SCENARIO.lines.time_up
        assert events[-1] == ("ended", {"reason": "time_limit", "ending": "", "outcome": ""})
        assert practice.record(call["id"]).turns[-2].text == QUESTION


async def test_staff_may_see_how_the_persona_decides(supervisor: Client, trainer: Client) -> None:
    for staff in (supervisor, trainer):
        call = await staff.start()
        (name, decision), *rest = await staff.say(call["id"], QUESTION, detail=True)
        assert name == "decision"
        assert set(decision) == {"move", "intent", "stage", "emotions", "disclosed"}
        assert decision["move"] == "ask_supplier"
        assert [name for name, _ in rest][-1] == "done"
        assert "decision" not in dict(await staff.say(call["id"], GREETING))


async def test_a_trainee_never_sees_how_the_persona_decides(trainee: Client) -> None:
    call = await trainee.start()
    path = f"/calls/{call['id']}/messages"
    refused = await trainee.post(path, {"text": QUESTION}, detail=True)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    answer = await trainee.post(path, {"text": QUESTION})
    assert {name for name, _ in streamed(answer.text)} == {"piece", "turn", "done"}
    record = (await trainee.get(f"/calls/{call['id']}")).json()
    assert (record["engines"], record["line"]) == (None, None)
    told = json.dumps([call, answer.text, record])
    assert not any(word in told for word in ("emotions", "disclosed", "intent", "trust"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"channel": "phone", "scenario_id": "cold-call"}, "channel_unavailable"),
        ({"channel": "text", "scenario_id": "nobody"}, "scenario"),
        ({"channel": "text", "scenario_id": "cold-call", "seed": -1}, "invalid_request"),
        ({"channel": "text", "scenario_id": "cold-call", "seed": 2**63}, "invalid_request"),
        ({"channel": "text", "scenario_id": "cold-call", "facts": True}, "invalid_request"),
        ({"channel": "text"}, "invalid_request"),
        ([], "invalid_request"),
    ],
)
async def test_a_call_that_cannot_be_started_says_why(trainee: Client, body: Any, code: str) -> None:
    answer = await trainee.post("/calls", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert set(answer.json()) == {"code", "message", "hint"}
    assert (await trainee.get("/calls")).json()["calls"] == []


@pytest.mark.parametrize("text", ["", " \n\t", "x" * 2_001, None, 7, "half \ud800 a letter"])
async def test_a_message_that_is_none_says_why(trainee: Client, text: Any) -> None:
    call = await trainee.start()
    body = json.dumps({"text": text}).encode()
    headers = {"Content-Type": "application/json"}
    answer = await trainee.http.post(f"/api/v1/calls/{call['id']}/messages", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "text" in answer.json()["message"]


async def test_the_longest_message_of_the_oddest_characters_is_taken(
    practice: Practice, trainee: Client
) -> None:
    call = await trainee.start()
    text = "🙂" * 2_000
    assert (await trainee.say(call["id"], text))[-1][0] == "done"
    await trainee.say(call["id"], "a\0b\r\ndata: c\n\nevent: ended")
    assert practice.record(call["id"]).turns[1].text == text


async def test_a_body_that_is_too_large_is_not_read(trainee: Client) -> None:
    call = await trainee.start()
    for path in ("/calls", f"/calls/{call['id']}/messages"):
        answer = await trainee.post(path, {"text": "x" * 40_000})
        assert answer.status_code == 413
        assert set(answer.json()) == {"code", "message", "hint"}


async def test_a_call_that_nobody_knows_is_not_found(trainee: Client) -> None:
    for answer in (
        await trainee.get(f"/calls/{uuid4()}"),
        await trainee.post(f"/calls/{uuid4()}/messages", {"text": "Hello?"}),
        await trainee.post(f"/calls/{uuid4()}/end"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = await trainee.get("/calls/not-an-id")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    answer = await trainee.get("/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = await trainee.http.delete("/api/v1/calls")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"]
