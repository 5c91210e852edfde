"""A persona with a life of their own, on the telephone: events, cutting in, sounds, moods."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agent.call import Speaker
from agent.errors import ScenarioError
from agent.events import Event, EventHappened, PersonaCutIn, PersonaDecided
from db.records import CallRecord
from tests.agent.scenarios import COLD_CALL
from tests.phone import Phone, open_phone, settings_for, spoken

LONG = (
    "We help dental offices spend less time ordering supplies, and we keep dental offices stocked, "
    "and we work with dental offices that are tired of counting boxes, and we deliver every week, "
    "and you do not have to sign anything, and the first month is free for you, and you can stop any month."
)


def scenarios(folder: Path, **parts: Any) -> dict[str, Any]:
    """A folder with the cold call, these parts of it replaced."""
    document = yaml.safe_load(COLD_CALL.read_text()) | parts
    folder.mkdir()
    (folder / "cold-call.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return {"folder": folder}


def events_of(phone: Phone, record: CallRecord, kind: type[Event]) -> list[Any]:
    with phone.services.database.calls() as calls:
        return [event for _, event in calls.events(record.id) if isinstance(event, kind)]


def persona_said(record: CallRecord) -> list[str]:
    return [turn.text for turn in record.turns if turn.speaker is Speaker.PERSONA]


async def test_a_timed_event_breaks_the_silence_and_is_on_record(tmp_path: Path) -> None:
    event = {
        "id": "delivery",
        "title": "a delivery",
        "when": {"after_s": 4},
        "lines": ["Hold on, a delivery is here.", "Just a second, a delivery."],
    }
    changed = scenarios(tmp_path / "scenarios", events=[event], interruptions=[])
    async with open_phone(settings_for(tmp_path, scenarios=changed)) as phone:
        call = await phone.dial()
        await call.handset.quiet(600)
        await call.handset.speech(300)
        await call.handset.speech(1_000)
        await call.handset.quiet(800)
        call.handset.hang_up()
        await asyncio.wait_for(call.ended, 10)
        record = await phone.record(call)
        (happened,) = events_of(phone, record, EventHappened)

    assert "delivery" in persona_said(record)[1]
    assert happened.event == "delivery"
    assert 4_000 <= record.turns[1].start_ms < 6_000


async def test_the_persona_cuts_in_on_a_trainee_who_talks_on(tmp_path: Path) -> None:
    rule = {
        "id": "point",
        "after_s": 6,
        "lines": ["Sorry, what is your question?", "Sorry, what is your question?"],
    }
    changed = scenarios(tmp_path / "scenarios", interruptions=[rule], events=[])
    async with open_phone(settings_for(tmp_path, scenarios=changed)) as phone:
        call = await phone.dial()
        await call.handset.quiet(600)
        speech = spoken(LONG)
        talking = asyncio.ensure_future(call.handset.say(speech))
        await call.handset.speech(700)
        began = len(call.handset.said)
        talking.cancel()
        await call.handset.quiet(700)
        await call.handset.say(spoken("Who do you order from today?"))
        await call.handset.quiet(700)
        call.handset.hang_up()
        await asyncio.wait_for(call.ended, 15)
        record = await phone.record(call)
        (cut,) = events_of(phone, record, PersonaCutIn)
        decided = events_of(phone, record, PersonaDecided)

    assert cut.reason == "point"
    cut_in = next(turn for turn in record.turns if turn.text == "Sorry, what is your question?")
    trainee = next(turn for turn in record.turns if turn.speaker is Speaker.TRAINEE)
    assert trainee.start_ms + 5_200 < cut_in.start_ms < trainee.end_ms, "it began while the trainee spoke"
    assert began > 0
    assert "ask_supplier" in decided[-1].moves, "what was said before and after counts as one turn"
    assert "give_reason" in decided[-1].moves


async def test_sounds_are_heard_and_stand_in_the_transcript(tmp_path: Path) -> None:
    changed = scenarios(tmp_path / "scenarios", opening=["[breath] [tap] [tap]"], events=[])
    async with open_phone(settings_for(tmp_path, scenarios=changed)) as phone:
        call = await phone.dial()
        await call.handset.quiet(1_500)
        call.handset.hang_up()
        await asyncio.wait_for(call.ended, 10)
        record = await phone.record(call)

    assert persona_said(record) == ["[breath] [tap] [tap]"]
    heard = np.asarray(call.handset.heard, np.float64)
    assert np.abs(heard).max() > 2_000, "the tap is audible"


@pytest.mark.parametrize("pause_ms", [0, 900])
async def test_a_mood_lengthens_the_pauses_between_sentences(tmp_path: Path, pause_ms: int) -> None:
    changed = scenarios(
        tmp_path / "scenarios",
        opening=["Hello. This is Dana."],
        emotions={"trust": {"start": 1.0, "voice": {"pause_ms": pause_ms}}, "patience": {"start": 0.7}},
        events=[],
    )
    async with open_phone(settings_for(tmp_path, scenarios=changed)) as phone:
        call = await phone.dial()
        await call.handset.quiet(1_400)
        call.handset.hang_up()
        await asyncio.wait_for(call.ended, 10)
        record = await phone.record(call)

    (opening,) = record.turns
    heard = np.abs(np.asarray(call.handset.heard, np.float64)) > 300
    loud = np.flatnonzero(heard)
    longest_ms = np.diff(loud).max() / 8
    assert bool(longest_ms > 850) is (pause_ms > 0)
    assert opening.text == "Hello. This is Dana."


async def test_an_event_that_somebody_brings_about_is_said_when_the_persona_can(tmp_path: Path) -> None:
    event = {"id": "drill", "title": "a drill", "lines": ["That is a fire drill.", "It is only a drill."]}
    changed = scenarios(tmp_path / "scenarios", events=[event], interruptions=[])
    async with open_phone(settings_for(tmp_path, scenarios=changed)) as phone:
        call = await phone.dial()
        await call.handset.quiet(600)
        await asyncio.to_thread(phone.services.book.flush, 10.0)
        with phone.services.database.calls() as calls:
            (going_on,) = calls.list()
        assert phone.services.desk.bring_about(going_on.id, "drill")
        with pytest.raises(ScenarioError, match="no event 'flood'"):
            phone.services.desk.bring_about(going_on.id, "flood")
        await call.handset.quiet(600)
        call.handset.hang_up()
        await asyncio.wait_for(call.ended, 10)
        record = await phone.record(call)
        happened = events_of(phone, record, EventHappened)
        assert not phone.services.desk.bring_about(going_on.id, "drill"), "it is over"

    assert "drill" in persona_said(record)[1]
    assert [each.event for each in happened] == ["drill"]
