"""Who uses a server, and what they may do."""

from enum import StrEnum


class Role(StrEnum):
    """What an account may do; docs/api.md says what that is."""

    TRAINEE = "trainee"
    TRAINER = "trainer"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
