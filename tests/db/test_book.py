import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from agent.call import Speaker, Turn
from agent.events import Event, KeyPressed, TurnTaken
from db.book import Book, open_book
from db.database import Database, migrate, open_database
from db.models import new_id
from db.recordings import RecordingInfo
from tests.db.history import ended, started, trainee_says, whole_call
from tests.db.rows import rows
from tests.postgres import taken_away
from tests.servers import PostgresServer, own_postgres

PATIENCE_S = 30.0
QUICK = (0.02, 0.05)

Outage = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with open_database(database_url, busy_timeout_ms=20) as database:
        yield database


@pytest.fixture
def outage(database_url: str, request: pytest.FixtureRequest) -> Outage:
    """Takes the database away: PostgreSQL lets nobody in, SQLite's file is locked by somebody else."""
    if database_url.startswith("sqlite"):
        return lambda: locked(Path(database_url.removeprefix("sqlite:///")))
    return lambda: taken_away(request.getfixturevalue("postgres_url"), database_url)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def stored(database: Database, call_id: UUID) -> list[Event]:
    with database.calls() as calls:
        kept = calls.events(call_id)
    assert [seq for seq, _ in kept] == list(range(len(kept)))
    return [event for _, event in kept]


def tell(book: Book, call_id: UUID, events: list[Event]) -> None:
    for event in events:
        book.note(call_id, event)


def wait_for_trouble(book: Book) -> None:
    waiting = threading.Event()
    for _ in range(round(PATIENCE_S / 0.01)):
        if book.trouble:
            return
        waiting.wait(0.01)
    raise AssertionError("the book did not notice that the database is away")


def test_several_books_note_one_call_by_turns(database: Database) -> None:
    call_id, history = new_id(), whole_call()
    with open_book(database) as one, open_book(database) as other:
        for seq, event in enumerate(history):
            for book in (one, other) if seq % 3 else (other,):
                book.note_at(call_id, seq, event)
                assert book.flush(PATIENCE_S)
        assert stored(database, call_id) == history
        assert (one.refused, other.refused) == (0, 0)


def test_what_is_noted_is_stored_in_order(database: Database) -> None:
    call_id, history = new_id(), whole_call()
    with open_book(database) as book:
        tell(book, call_id, history)
        assert book.flush(PATIENCE_S)
        assert (book.behind, book.dropped, book.refused) == (0, 0, 0)
        assert stored(database, call_id) == history


def test_closing_the_book_stores_what_is_waiting(database: Database) -> None:
    call_id, history = new_id(), whole_call(exchanges=200)
    with open_book(database) as book:
        tell(book, call_id, history)
    assert stored(database, call_id) == history


def test_calls_at_the_same_time_keep_their_own_order(database: Database) -> None:
    ids = {new_id(): whole_call(f"CA{number}", exchanges=10) for number in range(10)}
    with open_book(database) as book:
        for events in zip(*ids.values(), strict=True):
            for call_id, event in zip(ids, events, strict=True):
                book.note(call_id, event)
    assert {call_id: stored(database, call_id) for call_id in ids} == ids


def test_threads_may_note_side_by_side(database: Database) -> None:
    ids = {new_id(): whole_call(f"CA{number}", exchanges=20) for number in range(4)}
    with open_book(database) as book:
        threads = [threading.Thread(target=tell, args=(book, *call)) for call in ids.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {call_id: stored(database, call_id) for call_id in ids} == ids


def test_while_the_database_is_away_calls_go_on_and_then_all_arrives_once(
    database: Database, outage: Outage
) -> None:
    before, meanwhile, history = new_id(), new_id(), whole_call("CA2", exchanges=300)
    with open_book(database, retry_s=QUICK) as book:
        tell(book, before, whole_call("CA1"))
        assert book.flush(PATIENCE_S)
        with outage():
            tell(book, meanwhile, history)
            wait_for_trouble(book)
            assert not book.flush(0.05)
            assert book.behind == len(history)
        assert book.flush(PATIENCE_S)
        assert (book.trouble, book.behind, book.dropped, book.refused) == ("", 0, 0, 0)
        assert stored(database, meanwhile) == history
        assert stored(database, before) == whole_call("CA1")


def test_a_database_that_stays_away_loses_notes_loudly_and_does_not_hold_up_the_exit(
    database: Database, outage: Outage
) -> None:
    with capture_logs() as logs, outage():
        with open_book(database, retry_s=QUICK, drain_s=0.2) as book:
            tell(book, new_id(), whole_call())
        assert book.behind == len(whole_call())
    assert [log["event"] for log in logs] == ["database_away", "notes_lost"]


def test_a_server_that_is_killed_and_comes_back_has_every_event_once() -> None:
    with own_postgres() as server:
        migrate(server.url)
        survive_two_kills(server)


def survive_two_kills(server: PostgresServer) -> None:
    ids = {new_id(): whole_call(f"CA{number}", exchanges=50) for number in range(6)}
    with open_database(server.url) as database, open_book(database, retry_s=QUICK) as book:
        for number, (call_id, history) in enumerate(ids.items()):
            tell(book, call_id, history)
            if number % 3 == 1:
                server.kill()
                wait_for_trouble(book)
                server.start()
        assert book.flush(PATIENCE_S)
        assert {call_id: stored(database, call_id) for call_id in ids} == ids


def test_one_bad_note_is_refused_and_all_others_are_kept(database: Database) -> None:
    good, bad = new_id(), new_id()
    impossible = TurnTaken(Turn(0, Speaker.PERSONA, "secret words", 5, 1), 5)
    with capture_logs() as logs, open_book(database) as book:
        tell(book, bad, [started("CA1"), impossible, ended()])
        tell(book, good, whole_call("CA2"))
        assert book.flush(PATIENCE_S)
        assert book.refused == 1
    assert stored(database, good) == whole_call("CA2")
    with database.calls() as calls:
        assert [seq for seq, _ in calls.events(bad)] == [0, 2]
    (refusal,) = [log for log in logs if log["event"] == "note_refused"]
    assert refusal["call_id"] == str(bad)
    assert refusal["what"] == "turn_taken 1"
    assert "secret words" not in str(logs)


def test_an_event_of_a_call_that_never_started_is_refused(database: Database) -> None:
    with open_book(database) as book:
        book.note(new_id(), ended())
        assert (book.refused, book.behind) == (1, 0)


def test_events_after_the_end_of_a_call_are_kept_too(database: Database) -> None:
    call_id, late = new_id(), KeyPressed("#", 60_001)
    with open_book(database) as book:
        tell(book, call_id, [started(), ended(), late, late])
    assert stored(database, call_id) == [started(), ended(), late, late]


def test_a_full_book_drops_explanations_first_and_says_so(database: Database, outage: Outage) -> None:
    call_id = new_id()
    with capture_logs() as logs, open_book(database, capacity=20, retry_s=QUICK) as book:
        with outage():
            tell(book, call_id, [started(), *[KeyPressed("1", at_ms) for at_ms in range(15)]])
            assert (book.behind, book.dropped) == (10, 6)
            tell(book, call_id, [trainee_says(index, "Hello?", 1_000) for index in range(9)])
            assert (book.behind, book.dropped) == (19, 6)
            tell(book, call_id, [ended(), ended()])
            assert (book.behind, book.dropped) == (20, 7)
        assert book.flush(PATIENCE_S)
    with database.calls() as calls:
        assert [seq for seq, _ in calls.events(call_id)] == [*range(10), *range(16, 26)]
    assert [log["event"] for log in logs].count("notes_dropped") == 1


def test_scenario_call_and_recording_arrive_in_the_order_in_which_they_are_noted(
    database: Database, database_url: str
) -> None:
    call_id, recording = new_id(), RecordingInfo("2026-11-21/x.wav", 8_000, 60_000, complete=True)
    with open_book(database) as book:
        book.note_scenario("cold-call", "sha256:0123456789ab", "Cold call", {"id": "cold-call"})
        tell(book, call_id, [started(), ended()])
        book.note_recording(call_id, recording)
    with database.calls() as calls:
        call = calls.get(call_id)
    assert call is not None
    assert call.recording == recording
    assert [row["title"] for row in rows(database_url, "scenarios")] == ["Cold call"]


def test_notes_wait_for_a_schema_that_is_being_made(empty_database_url: str) -> None:
    call_id = new_id()
    with open_database(empty_database_url) as database, open_book(database, retry_s=QUICK) as book:
        tell(book, call_id, whole_call())
        wait_for_trouble(book)
        migrate(empty_database_url)
        assert book.flush(PATIENCE_S)
        assert stored(database, call_id) == whole_call()
