import socket
import threading
from pathlib import Path

import pytest

from agent.errors import StoreError
from db.database import migrate, open_database, schema_is_current
from db.errors import DatabaseAway
from tests.db.rows import rows


def refusal(url: str) -> StoreError:
    with pytest.raises(StoreError) as raised, open_database(url):
        pass
    assert raised.value.hint
    return raised.value


def test_a_database_that_was_migrated_opens_and_answers(database_url: str) -> None:
    with open_database(database_url) as database:
        database.ping()
        with database.calls() as calls:
            assert calls.list() == ()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_all_customary_names_of_postgresql_are_understood(postgres_url: str, scheme: str) -> None:
    with open_database(postgres_url.replace("postgresql://", f"{scheme}://")) as database:
        assert database.place.startswith("PostgreSQL database postgres at 127.0.0.1:")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://root:s3cret@host/db", "'mysql' is not a database that rolecall works with"),
        ("s3cret", "the database address cannot be read"),
        ("postgresql://me:s3cret@host:port/db", "the database address cannot be read"),
        ("postgresql://me:s3@cret@host/db", "the database address has more than one @"),
        ("sqlite://", "a SQLite address without a file keeps nothing"),
        ("sqlite:///:memory:", "a SQLite address without a file keeps nothing"),
    ],
)
def test_a_wrong_address_is_refused_in_one_sentence_without_its_password(url: str, said: str) -> None:
    error = refusal(url)
    assert error.message == said
    assert "cret" not in str(error)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = refusal(f"postgresql://me:s3cret@127.0.0.1:{port}/calls")
    assert error.message.startswith(f"the PostgreSQL database calls at 127.0.0.1:{port} cannot be used: ")
    assert "\n" not in str(error)
    assert "s3cret" not in str(error)


def test_a_wrong_password_is_said_and_not_shown(postgres_url: str) -> None:
    password = postgres_url.partition("@")[0].rpartition(":")[2]
    error = refusal(postgres_url.replace(password, "s3cret"))
    assert "password authentication failed" in str(error)
    assert "s3cret" not in str(error)


def test_a_server_that_accepts_and_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/calls?connect_timeout=60"
        with pytest.raises(StoreError) as raised, open_database(url, connect_timeout_s=2):
            pass
    assert "timeout expired" in str(raised.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are not the tables you are looking for\n" * 100)
    assert str(file) in refusal(f"sqlite:///{file}").message


def test_a_sqlite_file_in_a_folder_that_is_missing_is_refused_when_opened(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(f"sqlite:///{tmp_path}/missing/rolecall.db").message


def test_migrating_makes_the_folder_and_works_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    migrate("sqlite:///data/50% done/rolecall.db")
    assert schema_is_current(f"sqlite:///{tmp_path}/data/50% done/rolecall.db")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        migrate(f"sqlite:///{tmp_path}/file/rolecall.db")


def test_asking_whether_the_schema_is_current_creates_nothing(tmp_path: Path) -> None:
    assert not schema_is_current(f"sqlite:///{tmp_path}/rolecall.db")
    assert list(tmp_path.iterdir()) == []


def test_what_a_block_did_is_rolled_back_if_it_fails(database_url: str) -> None:
    with open_database(database_url) as database, pytest.raises(ZeroDivisionError), database.calls() as calls:
        calls.save_scenario("cold-call", "sha256:1", "Cold call", {"id": "cold-call"})
        raise ZeroDivisionError
    assert rows(database_url, "scenarios") == []


def test_a_database_without_tables_is_away_and_the_hint_names_the_command(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        with pytest.raises(DatabaseAway) as raised, database.calls() as calls:
            calls.list()
        assert "rolecall migrate" in raised.value.hint


def test_readers_of_sqlite_do_not_wait_for_a_writer(sqlite_url: str) -> None:
    with open_database(sqlite_url, busy_timeout_ms=1) as database, database.calls() as writing:
        writing.save_scenario("cold-call", "sha256:1", "Cold call", {})
        with database.calls() as reading:
            assert reading.list() == ()


def test_threads_write_side_by_side(database_url: str) -> None:
    with open_database(database_url) as database:

        def write(first: int) -> None:
            for number in range(first, first + 20):
                with database.calls() as calls:
                    calls.save_scenario("cold-call", f"sha256:{number}", "Cold call", {})

        writers = [threading.Thread(target=write, args=(20 * first,)) for first in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert len(rows(database_url, "scenarios")) == 80
