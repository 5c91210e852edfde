"""Runs migrations on `config.attributes["connection"]`, or on the database of `alembic -x url=…`."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from db.database import open_migration
from db.models import Base, Utc


def render_item(kind: str, item: object, autogen: AutogenContext) -> str | Literal[False]:
    # A migration stays as it was when the models change, so it names no type of ours.
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Utc) else False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite cannot alter a table: it is rebuilt
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    if context.is_offline_mode():
        raise CommandError("migrations run on a database, not as a script")
    given = context.config.attributes.get("connection")
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    if isinstance(given, Connection):
        run(given)
    elif isinstance(given, Engine):
        with given.begin() as connection:
            run(connection)
    elif isinstance(url, str):
        with open_migration(url) as connection:
            run(connection)
    else:
        raise CommandError("say which database: alembic -x url=sqlite:///file.db …")


main()
