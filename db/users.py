"""Every query about accounts and the tokens that open them. Never commits."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, func, select, update
from sqlalchemy.orm import Session

from agent.account import Role
from agent.errors import AccountError
from db.models import ApiToken, User, new_id

LONGEST_NAME: Final = 80
TOKEN_PREFIX: Final = "rolecall_"
"""By which scanners for leaked secrets, and people, know a token."""
COARSE: Final = timedelta(minutes=15)
"""How exactly a token's last use is known: each request is not worth a write."""

_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in, unless `disabled_at` says since when they may not."""

    id: UUID
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountSummary(Account):
    """An account as a list shows it: how many of its tokens work, and when one was last used, coarsely."""

    tokens: int
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenedBy:
    """Whose token it was. `stale`: its last use on record is longer ago than `COARSE`."""

    account: Account
    token_id: UUID
    stale: bool


class Users:
    """Accounts within one transaction; whoever opened it commits. See `Database.users`.

    Every method may raise DatabaseAway. `now` is an aware datetime.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, name: str, role: Role, now: datetime) -> Account:
        """Makes an account. Raises AccountError if the name is taken or cannot be one."""
        if not name.isprintable() or name != name.strip() or not 0 < len(name) <= LONGEST_NAME:
            raise AccountError(
                "an account's name is 1 to 80 printable characters, without spaces at its ends",
                hint="Choose another name",
            )
        if self._row(name) is not None:
            raise AccountError(f"there is an account '{name}' already", hint="See 'rolecall users list'")
        row = User(id=new_id(), name=name, role=role, created_at=now, disabled_at=None)
        self._session.add(row)
        self._session.flush()
        return _account(row)

    def find(self, name: str) -> Account:
        """Raises AccountError if there is no such account."""
        row = self._row(name)
        if row is None:
            raise AccountError(f"there is no account '{name}'", hint="See 'rolecall users list'")
        return _account(row)

    def list(self, now: datetime) -> tuple[AccountSummary, ...]:
        """Every account, by name."""
        rows = self._session.execute(
            select(User, func.count(ApiToken.id).filter(*_works(now)), func.max(ApiToken.last_used_at))
            .outerjoin(ApiToken, ApiToken.user_id == User.id)
            .group_by(User.id)
            .order_by(User.name)
        )
        return tuple(
            AccountSummary(user.id, user.name, user.role, user.created_at, user.disabled_at, tokens, used)
            for user, tokens, used in rows
        )

    def issue_token(self, account: Account, label: str, now: datetime, expires_at: datetime | None) -> str:
        """Returns a new secret of 256 bits, which cannot be read again. Raises AccountError if disabled."""
        if account.disabled_at is not None:
            raise AccountError(f"the account '{account.name}' is disabled")
        token = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        self._session.add(
            ApiToken(
                user_id=account.id,
                digest=_digest(token),
                label=label,
                created_at=now,
                expires_at=expires_at,
            )
        )
        self._session.flush()
        return token

    def revoke_tokens(self, account: Account, now: datetime) -> int:
        """No token issued so far opens the account any more. Returns how many did until now."""
        working = update(ApiToken).where(ApiToken.user_id == account.id, *_works(now))
        result = self._session.execute(working.values(revoked_at=now))
        assert isinstance(result, CursorResult)
        return result.rowcount

    def opened_by(self, token: str, now: datetime) -> OpenedBy | None:
        """Whose token this is; None if it opens nothing."""
        digest = _digest(token)
        found = self._session.execute(
            select(ApiToken, User)
            .join(User, User.id == ApiToken.user_id)
            .where(ApiToken.digest == digest, User.disabled_at.is_(None), *_works(now))
        ).one_or_none()
        # The index compares byte by byte, but digests, and nobody can choose those.
        if found is None or not hmac.compare_digest(found.ApiToken.digest, digest):
            return None
        used = found.ApiToken.last_used_at
        return OpenedBy(_account(found.User), found.ApiToken.id, used is None or now - used > COARSE)

    def used(self, token_id: UUID, now: datetime) -> None:
        """Notes that a token was used."""
        self._session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))

    def _row(self, name: str) -> User | None:
        return self._session.scalar(select(User).where(User.name == name))


def _works(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ApiToken.revoked_at.is_(None), ApiToken.expires_at.is_(None) | (ApiToken.expires_at > now)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="backslashreplace")).digest()


def _account(row: User) -> Account:
    return Account(row.id, row.name, row.role, row.created_at, row.disabled_at)
