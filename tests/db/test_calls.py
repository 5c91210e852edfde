from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.orm import Session

from agent.call import EndReason, Speaker, Turn
from agent.events import CallEnded, CallStarted, EngineBroke, EngineChosen, Event, TurnTaken
from db.address import Address
from db.database import Database, open_database
from db.errors import RecordRefused
from db.models import Call, CallStatus, new_id
from db.recordings import RecordingInfo
from db.records import CallRecord, CallSummary, EngineUse
from tests.db.history import (
    ended,
    endings,
    events_within,
    persona_says,
    started,
    trainee_says,
    whole_call,
)
from tests.db.rows import execute, rows


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with open_database(database_url) as database:
        yield database


def record(database: Database, *events: Event) -> UUID:
    """Applies the events in one transaction and returns the call's id."""
    call_id = new_id()
    with database.calls() as calls:
        for seq, event in enumerate(events):
            assert calls.apply(call_id, seq, event)
    return call_id


def read(database: Database, call_id: UUID) -> CallRecord:
    with database.calls() as calls:
        call = calls.get(call_id)
    assert call is not None
    return call


def refused(database: Database, *events: Event) -> str:
    with pytest.raises(RecordRefused) as raised:
        record(database, *events)
    return str(raised.value)


def test_a_call_in_progress_has_no_result_yet(database: Database) -> None:
    call = read(database, record(database, started()))
    assert call.status is CallStatus.IN_PROGRESS
    assert call.started_at == datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert (call.ended_at, call.end_reason, call.duration_ms, call.outcome) == (None, None, None, "")


def test_a_call_that_is_over_says_how_it_ended(database: Database) -> None:
    call = read(database, record(database, started(), ended()))
    assert call.status is CallStatus.ENDED
    assert call.ended_at == datetime(2026, 11, 21, 9, 1, tzinfo=UTC)
    assert call.end_reason is EndReason.PERSONA_ENDED
    assert (call.ending, call.outcome, call.duration_ms) == ("meeting", "success", 60_000)
    assert call.counters == {"frames_refused": 2}


def test_turns_come_back_as_they_were_heard_and_in_order(database: Database) -> None:
    said = [persona_says(0, "Hello?", 1_000), trainee_says(1, "Hi, Dana – ¿qué tal? 🙂", 3_000)]
    call = read(database, record(database, started(), *reversed(said)))
    assert call.turns == tuple(event.turn for event in said)


def test_an_engine_that_breaks_hands_over_to_the_next_rung(database: Database) -> None:
    chosen = EngineChosen("wording", "ollama", "llama3", "it answers", (("vllm", "not configured"),), 0)
    broke = EngineBroke("wording", "ollama", "engine_failed", fallback="authored", at_ms=4_000)
    call = read(database, record(database, started(), chosen, broke))
    passed_over = (("vllm", "not configured"),)
    assert call.engines == (
        EngineUse("wording", "ollama", "llama3", "it answers", passed_over, 0, 4_000, "engine_failed"),
        EngineUse("wording", "authored", "", "ollama broke: engine_failed", (), 4_000, None, None),
    )


def test_an_engine_without_a_next_rung_is_marked_as_broken(database: Database) -> None:
    chosen = EngineChosen("text_to_speech", "espeak", "", "always there")
    broke = EngineBroke("text_to_speech", "espeak", "engine_failed", fallback="", at_ms=4_000)
    (engine,) = read(database, record(database, started(), chosen, broke)).engines
    assert (engine.broke_at_ms, engine.broke_code) == (4_000, "engine_failed")


def test_applying_an_event_again_changes_nothing(database: Database) -> None:
    history = whole_call()
    call_id = record(database, *history)
    before = read(database, call_id)
    with database.calls() as calls:
        assert [calls.apply(call_id, seq, event) for seq, event in enumerate(history)] == [False] * len(
            history
        )
    assert read(database, call_id) == before


def test_the_first_end_of_a_call_counts(database: Database) -> None:
    second = ended(61_000, EndReason.FAILED, ending="", outcome="")
    call_id = record(database, started(), ended(), second)
    assert read(database, call_id).end_reason is EndReason.PERSONA_ENDED
    with database.calls() as calls:
        assert calls.events(call_id, after_seq=1) == ((2, second),)


def test_events_are_read_from_where_a_watcher_left_off(database: Database) -> None:
    history = whole_call()
    call_id = record(database, *history)
    with database.calls() as calls:
        assert calls.events(call_id) == tuple(enumerate(history))
        assert calls.events(call_id, after_seq=3) == tuple(enumerate(history))[4:]
        assert calls.events(new_id()) == ()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=st.lists(events_within, max_size=6), end=endings)
def test_whatever_happens_in_a_call_is_read_back_as_it_was(
    database: Database, events: list[Event], end: CallEnded
) -> None:
    call_id, turns = new_id(), set()
    kept: list[Event] = [started(carrier_call_id=str(call_id))]
    for event in events:
        if isinstance(event, TurnTaken) and event.turn.index in turns:
            continue
        turns |= {event.turn.index} if isinstance(event, TurnTaken) else set()
        kept.append(event)
    with database.calls() as calls:
        for seq, event in enumerate([*kept, end]):
            calls.apply(call_id, seq, event)
    with database.calls() as calls:
        read_back = calls.events(call_id)
    assert read_back == tuple(enumerate([*kept, end]))


def test_what_postgresql_cannot_keep_in_a_text_is_replaced_not_lost(database: Database) -> None:
    odd = trainee_says(0, "a\0b\ud800c", 1_000)
    (turn,) = read(database, record(database, started(), odd)).turns
    assert turn.text == "a\N{REPLACEMENT CHARACTER}b?c"


def test_a_call_is_found_by_the_carriers_id(database: Database) -> None:
    call_id = record(database, started("CA7"))
    with database.calls() as calls:
        found = calls.by_carrier_id("CA7")
        assert found is not None
        assert found.id == call_id
        assert calls.by_carrier_id("CA8") is None


def test_only_a_call_that_is_over_is_finished(database: Database) -> None:
    record(database, started("CA1"))
    record(database, started("CA2"), ended())
    with database.calls() as calls:
        assert [calls.is_finished(sid) for sid in ("CA1", "CA2", "CA3")] == [False, True, False]


def test_a_recording_is_part_of_the_record(database: Database) -> None:
    call_id = record(database, started())
    recording = RecordingInfo("2026-11-21/x.wav", rate_hz=8_000, duration_ms=60_000, complete=True)
    with database.calls() as calls:
        calls.save_recording(call_id, RecordingInfo("2026-11-21/x.wav", 8_000, 10, complete=False))
        calls.save_recording(call_id, recording)
    assert read(database, call_id).recording == recording


def test_a_call_that_is_not_on_record_is_none(database: Database) -> None:
    with database.calls() as calls:
        assert calls.get(new_id()) is None


def test_the_call_log_is_paged_from_the_newest_on(database: Database) -> None:
    ids = [record(database, started(f"CA{number}")) for number in range(5)]
    with database.calls() as calls:
        pages = [calls.list(2), calls.list(2, before=ids[3]), calls.list(2, before=ids[1])]
    assert [[call.id for call in page] for page in pages] == [ids[4:2:-1], ids[2:0:-1], ids[:1]]


def test_the_call_log_is_filtered(database: Database) -> None:
    won = record(database, started("CA1", at="09:00"), ended())
    lost = record(database, started("CA2", at="10:00"), ended(ending="hung_up", outcome="failure"))
    gone = record(database, started("CA3", at="11:00"), ended(reason=EndReason.CONNECTION_LOST, outcome=""))
    going_on = record(database, started("CA4", scenario_id="hotline", at="12:00"))
    ten, eleven = (datetime(2026, 11, 21, hour, tzinfo=UTC) for hour in (10, 11))

    def ids(found: tuple[CallSummary, ...]) -> list[UUID]:
        return [call.id for call in found]

    with database.calls() as calls:
        assert ids(calls.list(scenario_id="hotline")) == [going_on]
        assert ids(calls.list(status=CallStatus.ENDED)) == [gone, lost, won]
        assert ids(calls.list(outcome="success")) == [won]
        assert ids(calls.list(outcome="failure", scenario_id="cold-call")) == [lost]
        assert ids(calls.list(end_reason=EndReason.CONNECTION_LOST)) == [gone]
        assert ids(calls.list(since=ten, until=eleven)) == [lost]


def test_a_version_of_a_scenario_never_changes(database: Database, database_url: str) -> None:
    for title in ("Cold call", "Something else"):
        with database.calls() as calls:
            calls.save_scenario("cold-call", "sha256:1", title, {"title": title})
    (scenario,) = rows(database_url, "scenarios")
    assert scenario["title"] == "Cold call"


def test_a_call_may_come_before_the_content_of_its_scenario(database: Database, database_url: str) -> None:
    record(database, started())
    assert [row["document"] for row in rows(database_url, "scenarios")] == [None]
    with database.calls() as calls:
        calls.save_scenario("cold-call", "sha256:0123456789ab", "Cold call", {"id": "cold-call"})
    (scenario,) = rows(database_url, "scenarios")
    assert scenario["title"] == "Cold call"
    assert scenario["document"] is not None


def test_deleting_a_call_deletes_all_that_hangs_on_it(database: Database, database_url: str) -> None:
    call_id = record(database, *whole_call())
    with database.calls() as calls:
        calls.save_recording(call_id, RecordingInfo("2026-11-21/x.wav", 8_000, 10, complete=True))
    execute(database_url, "DELETE FROM calls")
    tables = ("calls", "turns", "call_events", "call_engines", "recordings")
    assert {table: len(rows(database_url, table)) for table in tables} == dict.fromkeys(tables, 0)


def test_an_event_of_a_call_that_is_not_on_record_is_refused(database: Database) -> None:
    assert "foreign key" in refused(database, trainee_says(0, "Hello?", 1_000)).lower()


@pytest.mark.parametrize(
    ("turn", "rule"),
    [
        (Turn(0, Speaker.TRAINEE, "x", start_ms=-1, end_ms=5), "times_in_order"),
        (Turn(0, Speaker.TRAINEE, "x", start_ms=6, end_ms=5), "times_in_order"),
        (Turn(0, Speaker.TRAINEE, "x", 0, 5, confidence=1.01), "confidence_in_range"),
        (Turn(0, Speaker.PERSONA, "x", 0, 5, confidence=0.5), "confidence_is_trainees"),
        (Turn(0, Speaker.TRAINEE, "x", 0, 5, response_gap_ms=5), "gap_is_personas"),
        (Turn(-1, Speaker.TRAINEE, "x", 0, 5), "index_not_negative"),
    ],
)
def test_a_turn_that_cannot_have_been_is_refused_by_name_and_not_quoted(
    database: Database, turn: Turn, rule: str
) -> None:
    said = refused(database, started(), TurnTaken(turn, 5))
    assert rule in said
    assert "Failing row" not in said


def test_two_turns_cannot_have_one_place(database: Database) -> None:
    refused(database, started(), trainee_says(0, "Hello?", 1_000), trainee_says(0, "Hello?", 2_000))


def test_two_calls_cannot_have_one_carriers_id(database: Database) -> None:
    record(database, started("CA1"))
    refused(database, started("CA1"))


@pytest.mark.parametrize(
    "change",
    [
        "status = 'ended'",
        "ended_at = started_at",
        "end_reason = 'failed'",
        "status = 'ended', ended_at = started_at, duration_ms = 5",
        "status = 'ended', ended_at = started_at, duration_ms = -5, end_reason = 'failed'",
        "status = 'ended', ended_at = started_at, duration_ms = 5, end_reason = 'bored'",
        "status = 'paused'",
        "ending = 'meeting'",
        "outcome = 'success'",
    ],
)
def test_a_call_that_is_half_over_cannot_be_written(
    database: Database, database_url: str, change: str
) -> None:
    record(database, started())
    with pytest.raises(IntegrityError, match="ck_calls_"):
        execute(database_url, f"UPDATE calls SET {change}")


@pytest.mark.parametrize("instant", ["yesterday", ""])
def test_a_start_without_a_time_is_refused(database: Database, instant: str) -> None:
    event = CallStarted("cold-call", "sha256:1", "simulator", "CA1", 7, instant)
    assert "is not an instant" in refused(database, event)


def test_an_instant_in_another_zone_is_kept_in_utc(database: Database) -> None:
    event = CallStarted("cold-call", "sha256:1", "simulator", "CA1", 7, "2026-11-21T10:30:00.25+05:30")
    call = read(database, record(database, event))
    assert call.started_at.isoformat() == "2026-11-21T05:00:00.250000+00:00"


def test_a_filter_without_a_time_zone_is_refused(database: Database) -> None:
    with pytest.raises(RecordRefused, match="time zone"), database.calls() as calls:
        calls.list(since=datetime(2026, 11, 21))  # noqa: DTZ001


def test_an_event_that_could_not_be_read_back_is_not_written(database: Database) -> None:
    decided = EngineChosen("hearing", "whisper", "", "")  # type: ignore[arg-type]
    said = refused(database, started(), decided)
    assert "malformed at engine_chosen.part" in said


def test_ids_sort_in_the_order_in_which_they_are_made() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)


def test_a_relation_that_was_not_asked_for_is_an_error_not_a_query(
    database: Database, database_url: str
) -> None:
    record(database, *whole_call())
    engine = create_engine(Address.parse(database_url).url)
    with Session(engine) as session:
        call = session.scalars(select(Call)).one()
        with pytest.raises(InvalidRequestError, match="lazy='raise'"):
            _ = call.turns
    engine.dispose()


@pytest.mark.parametrize("seed", [-(2**63), 2**63 - 1])
def test_a_seed_has_64_bits(database: Database, seed: int) -> None:
    event = CallStarted("cold-call", "sha256:1", "simulator", "CA1", seed, "2026-11-21T09:00:00Z")
    assert read(database, record(database, event)).seed == seed


def test_calls_without_an_end_are_found_by_carrier_and_age(database: Database) -> None:
    old, ended_long_ago, young = (
        record(database, replace(started("1", at="09:00"), carrier="text")),
        record(database, replace(started("2", at="09:00"), carrier="text"), ended()),
        record(database, replace(started("3", at="11:00"), carrier="text")),
    )
    phone = record(database, started("4", at="09:00"))
    ten = datetime(2026, 11, 21, 10, tzinfo=UTC)
    with database.calls() as calls:
        found = calls.unfinished("text", ten)
        assert [call.id for call in found] == [old]
        assert [call.id for call in calls.unfinished("simulator", ten)] == [phone]
        assert calls.get(ended_long_ago) is not None and calls.get(young) is not None


def test_a_record_says_how_far_it_goes(database: Database) -> None:
    call_id = record(database, started(), persona_says(0, "Hello?", 1_000), trainee_says(1, "Hi.", 3_000))
    with database.calls() as calls:
        assert calls.reached(call_id) == (2, 3_000)
        assert calls.reached(new_id()) == (-1, 0)


@pytest.mark.parametrize(
    ("carrier", "channel"), [("text", "text"), ("twilio", "phone"), ("simulator", "phone")]
)
def test_a_calls_channel_follows_from_its_carrier(database: Database, carrier: str, channel: str) -> None:
    call = read(database, record(database, replace(started(), carrier=carrier)))
    assert call.channel == channel
