"""Database addresses: which are understood, and how they are named without their password."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from agent.errors import StoreError

_WAY_OUT: Final = (
    "Give DATABASE_URL as sqlite:///folder/file.db or postgresql://user:password@host/database, "
    "with special characters in the password percent-encoded"
)
_POSTGRES: Final = {"postgres", "postgresql", "postgresql+psycopg2"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is. `file` is SQLite's, None for PostgreSQL.

    `place` is fit to be shown and logged; `way_out` says what to look at when the database does not answer.
    """

    url: URL
    file: Path | None
    place: str
    way_out: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Raises StoreError, which never quotes more of the address than host and database."""
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            # Without its cause: make_url quotes what it read, which may be the password.
            raise StoreError("the database address cannot be read", hint=_WAY_OUT) from None
        if url.drivername in {"sqlite", "sqlite+pysqlite"}:
            return cls._sqlite(url)
        if url.drivername in _POSTGRES:
            return cls._postgres(url)
        raise StoreError(f"'{url.drivername}' is not a database that rolecall works with", hint=_WAY_OUT)

    @classmethod
    def _sqlite(cls, url: URL) -> "Address":
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise StoreError("a SQLite address without a file keeps nothing", hint=_WAY_OUT)
        file = Path(url.database)
        way_out = "Check that the file and its folder can be written, and run `rolecall migrate`"
        return cls(url.set(drivername="sqlite+pysqlite"), file, f"SQLite file {file}", way_out)

    @classmethod
    def _postgres(cls, url: URL) -> "Address":
        host = url.host or _first(url.query.get("host")) or "localhost"
        if "@" in host:
            raise StoreError("the database address has more than one @", hint=_WAY_OUT)
        place = f"PostgreSQL database {url.database or url.username or ''} at {host}:{url.port or 5432}"
        way_out = "Check DATABASE_URL and that the server is running, and run `rolecall migrate`"
        return cls(url.set(drivername="postgresql+psycopg2"), None, place, way_out)


def _first(value: str | tuple[str, ...] | None) -> str:
    if isinstance(value, tuple):
        return value[0]
    return value or ""
