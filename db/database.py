"""The database: opening it, transactions, its schema. Synchronous; keep it off the event loop."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError, TimeoutError
from sqlalchemy.orm import sessionmaker

from agent.errors import StoreError
from db.address import Address
from db.calls import Calls
from db.errors import DatabaseAway, RecordRefused
from db.users import Users

CONNECT_TIMEOUT_S: Final = 5
BUSY_TIMEOUT_MS: Final = 5_000
MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "alembic"

_MIGRATION_LOCK: Final = 0x726F6C65  # any number, the same in every process that migrates
_POSTGRES_OPTIONS: Final[Mapping[str, object]] = {
    "application_name": "rolecall",
    # A peer that vanished without closing is noticed within 20 s, also while we wait for its answer.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}


class Database:
    """Transactions on one database; see `open_database`. Thread-safe."""

    def __init__(self, engine: Engine, address: Address) -> None:
        self.place = address.place
        self._address = address
        self._engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @contextmanager
    def calls(self) -> Iterator[Calls]:
        """One transaction: committed at the end of the block, rolled back if it raises.

        Raises DatabaseAway or RecordRefused. Never hold one across a call.
        """
        with _translated(self._address), self._sessions.begin() as session:
            yield Calls(session)

    @contextmanager
    def users(self) -> Iterator[Users]:
        """One transaction on accounts; as `calls`."""
        with _translated(self._address), self._sessions.begin() as session:
            yield Users(session)

    def ping(self) -> None:
        """One real round trip. Raises DatabaseAway."""
        # SQLite answers SELECT 1 without a look at the file.
        probe = "SELECT 1" if self._address.file is None else "PRAGMA schema_version"
        with _translated(self._address), self._engine.connect() as connection:
            connection.execute(text(probe))


@contextmanager
def open_database(
    url: str, *, connect_timeout_s: int = CONNECT_TIMEOUT_S, busy_timeout_ms: int = BUSY_TIMEOUT_MS
) -> Iterator[Database]:
    """A database that answers: `sqlite:///file` or `postgresql://user:password@host/name`.

    Its schema is the caller's concern, see `migrate`. Raises StoreError if the address is wrong or nothing
    answers there within `connect_timeout_s`. `busy_timeout_ms` is how long SQLite waits for another writer.
    """
    address = Address.parse(url)
    opened = _open_engine(address, connect_timeout_s=connect_timeout_s, busy_timeout_ms=busy_timeout_ms)
    with opened as engine:
        database = Database(engine, address)
        database.ping()
        yield database


def migrate(url: str) -> None:
    """Brings the schema to the newest revision, whole or not at all; creates a SQLite file and its folder.

    Any number of processes may do so at the same time. Raises StoreError, also for a schema that is newer
    than this program.
    """
    config = _alembic_config()
    with open_migration(url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def schema_is_current(url: str) -> bool:
    """Whether `migrate` would change nothing. Raises StoreError if the database cannot be asked."""
    address = Address.parse(url)
    if address.file is not None and not address.file.exists():
        return False
    newest = ScriptDirectory.from_config(_alembic_config()).get_heads()
    with _open_engine(address) as engine, _translated(address), engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == set(newest)


@contextmanager
def open_migration(url: str) -> Iterator[Connection]:
    """A transaction for changing the schema; only one process at a time can be in it. Raises StoreError.

    SQLite's foreign keys are off: rebuilding a table, which is how its columns change there, would delete
    the rows that refer to it (https://www.sqlite.org/lang_altertable.html#otheralter).
    """
    address = Address.parse(url)
    if address.file is not None:
        _make_folder(address.file.parent)
    with _open_engine(address, for_migration=True) as engine, _translated(address):
        try:
            with engine.begin() as connection:
                if address.file is None:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
                yield connection
                if address.file is not None and connection.execute(text("PRAGMA foreign_key_check")).first():
                    raise StoreError(f"a migration of the {address.place} would break its references")
        except CommandError as error:
            raise StoreError(
                f"the schema of the {address.place} cannot be brought up to date: {error}",
                hint="It was made by a newer version of rolecall; install that version",
            ) from error


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _open_engine(
    address: Address,
    *,
    connect_timeout_s: int = CONNECT_TIMEOUT_S,
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    for_migration: bool = False,
) -> Iterator[Engine]:
    sqlite_options = {"timeout": busy_timeout_ms / 1_000}
    postgres_options = {**_POSTGRES_OPTIONS, "connect_timeout": connect_timeout_s}
    engine = create_engine(
        address.url,
        connect_args=sqlite_options if address.file else postgres_options,
        pool_pre_ping=address.file is None,
        pool_timeout=CONNECT_TIMEOUT_S,
        hide_parameters=True,
        json_serializer=partial(json.dumps, allow_nan=False, ensure_ascii=False),
    )
    if address.file is not None:
        _prepare_sqlite(engine, for_migration=for_migration)
    try:
        yield engine
    finally:
        engine.dispose()


def _prepare_sqlite(engine: Engine, *, for_migration: bool) -> None:
    foreign_keys, begin = ("OFF", "BEGIN IMMEDIATE") if for_migration else ("ON", "BEGIN")
    pragmas = ("journal_mode = WAL", "synchronous = NORMAL", f"foreign_keys = {foreign_keys}")

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        # The driver's own BEGIN comes late and leaves reads and DDL outside of the transaction.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


@contextmanager
def _translated(address: Address) -> Iterator[None]:
    try:
        yield
    except (IntegrityError, DataError) as error:
        # Without its cause: below the first line PostgreSQL quotes the whole row.
        raise RecordRefused(f"the {address.place} refuses a record: {_first_line(error)}") from None
    except (DBAPIError, TimeoutError) as error:
        raise DatabaseAway(
            f"the {address.place} cannot be used: {_first_line(error)}",
            hint=address.way_out,
        ) from error
    except StatementError as error:
        raise RecordRefused(
            f"a record cannot be written to the {address.place}: {_first_line(error)}"
        ) from None


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, StatementError) and error.orig else error
    return next(iter(str(cause).splitlines()), type(cause).__name__)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the database folder {folder} cannot be made: {error.strerror}",
            hint="Choose another place with ROLECALL_HOME or DATABASE_URL",
        ) from error
