"""The stores of a process, before they are opened."""

from agent.errors import StoreError
from db.database import migrate, schema_is_current
from rolecall.settings import Settings


def prepare_database(settings: Settings) -> None:
    """Brings an embedded database to the newest schema; a server's schema is its administrator's.

    Blocks. Raises StoreError, for a server without the newest schema among others.
    """
    url = settings.database_url.get_secret_value()
    if url.startswith("sqlite:"):
        migrate(url)
    elif not schema_is_current(url):
        raise StoreError("the database has an old schema or none", hint="Run `rolecall migrate` first")
