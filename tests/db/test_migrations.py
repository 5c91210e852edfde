import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine, create_engine, inspect

from agent.account import Role
from agent.errors import StoreError
from agent.events import CallStarted
from db.address import Address
from db.database import _alembic_config as alembic_config
from db.database import migrate, open_database, open_migration, schema_is_current
from db.models import Base, new_id
from tests.db.history import whole_call
from tests.db.rows import execute, rows

PATIENCE_S = 30.0


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = create_engine(Address.parse(url).url)
    try:
        yield engine
    finally:
        engine.dispose()


def move(url: str, *revisions: str) -> None:
    """Down to each of these revisions, and up again in between."""
    config = alembic_config()
    with open_migration(url) as connection:
        config.attributes["connection"] = connection
        for revision in revisions:
            command.upgrade(config, "head")
            command.downgrade(config, revision)


@pytest.fixture
def migrated_url(empty_database_url: str) -> str:
    """A database whose schema the test may change."""
    migrate(empty_database_url)
    return empty_database_url


def record_a_call(url: str) -> None:
    with open_database(url) as database, database.calls() as calls:
        call_id = new_id()
        for seq, event in enumerate(whole_call()):
            calls.apply(call_id, seq, event)


def revisions() -> list[str]:
    history = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return [script.revision for script in history][::-1]


def schema_of(url: str) -> dict[str, Any]:
    """Tables with all that the databases themselves say about them."""
    with engine_of(url) as engine:
        seen = inspect(engine)
        return {
            table: {
                "columns": [{**column, "type": str(column["type"])} for column in seen.get_columns(table)],
                "primary key": seen.get_pk_constraint(table),
                "foreign keys": sorted(seen.get_foreign_keys(table), key=str),
                "unique": sorted(seen.get_unique_constraints(table), key=str),
                "checks": sorted(seen.get_check_constraints(table), key=str),
                "indexes": sorted(seen.get_indexes(table), key=str),
            }
            for table in seen.get_table_names()
            if table != "alembic_version"
        }


def test_the_history_has_one_beginning_and_one_end() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_migrating_makes_the_schema_current(empty_database_url: str) -> None:
    assert not schema_is_current(empty_database_url)
    migrate(empty_database_url)
    assert schema_is_current(empty_database_url)


def test_migrating_again_changes_nothing(database_url: str) -> None:
    before = schema_of(database_url)
    migrate(database_url)
    assert schema_of(database_url) == before


def test_migrations_and_models_make_the_same_schema(empty_database_url: str) -> None:
    migrate(empty_database_url)
    migrated = schema_of(empty_database_url)
    move(empty_database_url, "base")
    with engine_of(empty_database_url) as engine:
        Base.metadata.create_all(engine)
    assert schema_of(empty_database_url) == migrated


def test_autogenerate_finds_nothing_to_do(database_url: str) -> None:
    with engine_of(database_url) as engine, engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_every_step_goes_up_and_down_and_up_again(empty_database_url: str) -> None:
    move(empty_database_url, *revisions(), "base")
    migrate(empty_database_url)
    assert schema_is_current(empty_database_url)


def test_going_down_leaves_nothing_behind_also_with_calls_on_record(migrated_url: str) -> None:
    record_a_call(migrated_url)
    move(migrated_url, "base")
    with engine_of(migrated_url) as engine:
        assert inspect(engine).get_table_names() == ["alembic_version"]


def test_calls_outlive_their_accounts_when_those_are_migrated_away(migrated_url: str) -> None:
    with open_database(migrated_url) as database:
        with database.users() as users:
            ann = users.add("Ann", Role.TRAINEE, datetime.now(UTC))
            users.issue_token(ann, "", datetime.now(UTC), None)
        with database.calls() as calls:
            call_id = new_id()
            for seq, event in enumerate(whole_call()):
                event = replace(event, user_id=str(ann.id)) if isinstance(event, CallStarted) else event
                calls.apply(call_id, seq, event)
    kept = {table: rows(migrated_url, table) for table in ("turns", "call_events", "call_engines")}
    (before,) = rows(migrated_url, "calls")
    assert before.pop("user_id") is not None
    move(migrated_url, "0002")
    assert rows(migrated_url, "calls") == [before]
    migrate(migrated_url)
    assert rows(migrated_url, "calls") == [before | {"user_id": None}]
    assert rows(migrated_url, "users") == rows(migrated_url, "api_tokens") == []
    assert {table: rows(migrated_url, table) for table in kept} == kept


def test_rebuilding_a_table_keeps_what_refers_to_it(migrated_url: str) -> None:
    record_a_call(migrated_url)
    with open_migration(migrated_url) as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("calls") as batch:
            batch.alter_column("carrier", new_column_name="carried_by")
    assert [row["carried_by"] for row in rows(migrated_url, "calls")] == ["simulator"]
    assert len(rows(migrated_url, "turns")) == 4


def test_a_migration_happens_as_a_whole_or_not_at_all(empty_database_url: str) -> None:
    execute(empty_database_url, "CREATE TABLE turns (id INTEGER)")
    with pytest.raises(StoreError, match="turns"):
        migrate(empty_database_url)
    with engine_of(empty_database_url) as engine:
        assert inspect(engine).get_table_names() == ["turns"]


def test_a_migration_that_breaks_a_reference_is_refused(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database, database.calls() as calls:
        calls.apply(new_id(), 0, whole_call()[0])
    with (
        pytest.raises(StoreError, match="would break its references"),
        open_migration(sqlite_url) as connection,
    ):
        connection.exec_driver_sql("DELETE FROM scenarios")
    assert len(rows(sqlite_url, "scenarios")) == 1


def test_a_schema_of_a_newer_version_is_refused_with_a_way_out(migrated_url: str) -> None:
    execute(migrated_url, "UPDATE alembic_version SET version_num = '9999'")
    assert not schema_is_current(migrated_url)
    with pytest.raises(StoreError) as raised:
        migrate(migrated_url)
    assert "newer version of rolecall" in raised.value.hint


def test_a_migration_by_address_creates_what_is_missing(empty_database_url: str) -> None:
    config = alembic_config()
    config.attributes["url"] = empty_database_url
    command.upgrade(config, "head")
    assert schema_is_current(empty_database_url)


def test_a_migration_without_a_database_is_refused() -> None:
    with pytest.raises(CommandError, match="say which database"):
        command.upgrade(alembic_config(), "head")


def test_who_migrates_while_somebody_else_does_waits_and_finds_it_done(empty_database_url: str) -> None:
    config = alembic_config()
    second = threading.Thread(target=migrate, args=(empty_database_url,))
    with open_migration(empty_database_url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(PATIENCE_S)
    assert schema_is_current(empty_database_url)
