"""Who may see what."""

from typing import Final
from uuid import UUID

from agent.account import Role
from db.users import Account

EVERYBODY: Final = frozenset(Role)
STAFF: Final = frozenset({Role.TRAINER, Role.SUPERVISOR, Role.ADMIN})
"""Those who may know how a persona works."""

_SEE_ALL: Final = frozenset({Role.SUPERVISOR, Role.ADMIN})


def sees_all(account: Account) -> bool:
    """Whether the account sees everybody's calls, and not its own alone."""
    return account.role in _SEE_ALL


def may_see(account: Account, trainee: UUID | None) -> bool:
    """Whether the account sees a call of `trainee`, None for one who is not known."""
    return sees_all(account) or account.id == trainee
