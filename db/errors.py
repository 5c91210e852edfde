"""The two ways in which a database says no."""

from agent.errors import StoreError


class DatabaseAway(StoreError):
    """The database cannot be reached, or cannot work just now. The same work may succeed later."""


class RecordRefused(StoreError):
    """The database works, and will never take this record: it breaks a rule of the schema."""
