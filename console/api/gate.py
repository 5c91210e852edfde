"""Who is asking, and whether their role may."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Annotated

import structlog
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from agent.account import Role
from agent.errors import NotAllowed, NotSignedIn
from db.database import Database
from db.errors import DatabaseAway
from db.users import Account, OpenedBy

log = structlog.get_logger(__name__)

_BEARER = HTTPBearer(auto_error=False, description="A token of 'rolecall users token'.")


class Gate:
    """Lets requests through whose bearer token (RFC 6750) is an account's with the right role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admits(self, roles: Collection[Role]) -> Callable[..., Account]:
        """The rule of a route, as a dependency that gives the account; every route has one.

        It raises NotSignedIn or NotAllowed. It blocks, so that FastAPI runs it on a thread.
        """

        def account(
            credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        ) -> Account:
            if credentials is None:
                raise NotSignedIn("this needs a token", hint="Send 'Authorization: Bearer TOKEN'")
            account = self._opened_by(credentials.credentials)
            if account.role not in roles:
                raise NotAllowed(f"a {account.role} may not do this", hint="Ask an administrator")
            return account

        return account

    def _opened_by(self, token: str) -> Account:
        now = datetime.now(UTC)
        with self._database.users() as users:
            opened = users.opened_by(token, now)
        if opened is None:
            raise NotSignedIn("this token opens nothing", hint="It is unknown, expired or revoked")
        if opened.stale:
            self._used(opened, now)
        return opened.account

    def _used(self, opened: OpenedBy, now: datetime) -> None:
        try:
            with self._database.users() as users:
                users.used(opened.token_id, now)
        except DatabaseAway as error:
            log.warning("use_of_token_not_noted", reason=error.message)
