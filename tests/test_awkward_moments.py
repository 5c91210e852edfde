"""What happens while somebody is speaking: the network stalls, or the longest time is reached."""

import asyncio
from pathlib import Path

from agent.call import EndReason, Speaker
from db.records import CallRecord
from telephony.simulator import LineConditions
from tests.phone import open_phone, settings_for, spoken

QUESTION = "What happens when an order arrives late?"
REQUEST = "Do you have a minute to talk?"


def said_by(record: CallRecord, speaker: Speaker) -> list[str]:
    return [turn.text for turn in record.turns if turn.speaker is speaker]


async def test_a_network_that_stalls_in_mid_word_does_not_end_the_turn(tmp_path: Path) -> None:
    conditions = LineConditions.parse("stall=1500@3200/up")
    async with open_phone(settings_for(tmp_path), conditions) as phone:
        call = await phone.dial()
        await call.handset.quiet(600)
        said = await call.handset.say(spoken(QUESTION))
        assert said.start_ms < 3_200 < said.end_ms, "the stall falls into the question"
        await call.handset.speech(200)
        call.handset.hang_up()
        await asyncio.wait_for(call.ended, 10)
        record = await phone.record(call)
    assert said_by(record, Speaker.TRAINEE) == [QUESTION]
    (question,) = [turn for turn in record.turns if turn.speaker is Speaker.TRAINEE]
    assert abs(question.start_ms - said.start_ms) <= 200
    assert abs(question.end_ms - said.end_ms) <= 200


async def test_a_trainee_who_is_speaking_when_time_is_up_is_answered_before_the_goodbye(
    tmp_path: Path,
) -> None:
    async with open_phone(settings_for(tmp_path, turns={"max_call_s": 3})) as phone:
        call = await phone.dial()
        await call.handset.quiet(600)
        said = await call.handset.say(spoken(REQUEST))
        assert said.start_ms < 3_000 < said.end_ms, "time is up in mid-sentence"
        await asyncio.wait_for(call.ended, 30)
        record = await phone.record(call)
    assert record.end_reason is EndReason.TIME_LIMIT
    assert said_by(record, Speaker.TRAINEE) == [REQUEST]
    _, answer, goodbye = said_by(record, Speaker.PERSONA)
    assert answer.startswith(("Thirty seconds", "You have half a minute"))
    assert goodbye == "I have to go, I have patients waiting. Goodbye."
    assert not any(turn.interrupted for turn in record.turns)
