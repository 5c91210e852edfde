"""Databases on the test server: made for one test, and taken away from it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, delete, text

from db.address import Address
from db.models import Base


@contextmanager
def new_database(server_url: str) -> Iterator[str]:
    """Yields the URL of a new database, dropped afterwards."""
    name = f"rolecall_test_{secrets.token_hex(6)}"
    with as_admin(server_url) as admin:
        admin.execute(text(f"CREATE DATABASE {name}"))
    try:
        url = Address.parse(server_url).url.set(drivername="postgresql", database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with as_admin(server_url) as admin:
            admin.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def empty(url: str) -> None:
    """Deletes every row; creating a database for each test takes ten times as long."""
    with as_admin(url) as connection:
        connection.execute(text("SET lock_timeout = '10s'"))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))


@contextmanager
def taken_away(server_url: str, url: str) -> Iterator[None]:
    """Meanwhile nobody is or gets connected to the database `url`."""
    name = Address.parse(url).url.database
    with as_admin(server_url) as admin:
        admin.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"))
        disconnect = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        admin.execute(disconnect, {"name": name})
        try:
            yield
        finally:
            admin.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"))


@contextmanager
def as_admin(server_url: str) -> Iterator[Connection]:
    """A connection to the server's own database, outside of any transaction."""
    engine = create_engine(Address.parse(server_url).url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
