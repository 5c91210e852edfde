"""What is in a database, read without the code under test."""

from typing import Any

from sqlalchemy import create_engine, text

from db.address import Address


def rows(url: str, table: str) -> list[dict[str, Any]]:
    engine = create_engine(Address.parse(url).url)
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]
    finally:
        engine.dispose()


def execute(url: str, statement: str) -> None:
    engine = create_engine(Address.parse(url).url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA foreign_keys = ON"))
            connection.execute(text(statement))
    finally:
        engine.dispose()
