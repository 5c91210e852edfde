"""Accounts from the command line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import typer

from agent.account import Role
from db.database import Database, open_database
from db.users import AccountSummary
from rolecall.settings import Settings, make_home
from rolecall.stores import prepare_database


def run_add(settings: Settings, name: str, role: Role) -> int:
    """Makes an account. Raises RolecallError."""
    with _open(settings) as database, database.users() as users:
        account = users.add(name, role, datetime.now(UTC))
    typer.echo(f"{account.name} is a {account.role}. They need a token: rolecall users token {account.name}")
    return 0


def run_list(settings: Settings, *, as_json: bool) -> int:
    """Prints every account. Raises RolecallError."""
    with _open(settings) as database, database.users() as users:
        accounts = users.list(datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps([_document(account) for account in accounts], indent=2, ensure_ascii=False))
        return 0
    if not accounts:
        typer.echo("No account yet. Make one: rolecall users add NAME --role trainee")
    width = max((len(account.name) for account in accounts), default=0)
    for account in accounts:
        used = f"last used {account.last_used_at:%Y-%m-%d}" if account.last_used_at else "never used"
        disabled = ", disabled" if account.disabled_at else ""
        typer.echo(f"{account.name:{width}}  {account.role:10}  tokens {account.tokens}, {used}{disabled}")
    return 0


def run_token(settings: Settings, name: str, *, days: int | None, label: str) -> int:
    """Prints a new token, the only time that it can be read. Raises RolecallError."""
    now = datetime.now(UTC)
    expires_at = None if days is None else now + timedelta(days=days)
    with _open(settings) as database, database.users() as users:
        token = users.issue_token(users.find(name), label, now, expires_at)
    typer.echo(token)
    return 0


def run_revoke(settings: Settings, name: str) -> int:
    """Ends every token of an account. Raises RolecallError."""
    with _open(settings) as database, database.users() as users:
        revoked = users.revoke_tokens(users.find(name), datetime.now(UTC))
    typer.echo(f"{revoked} revoked.")
    return 0


@contextmanager
def _open(settings: Settings) -> Iterator[Database]:
    make_home(settings)
    prepare_database(settings)
    with open_database(settings.database_url.get_secret_value()) as database:
        yield database


def _document(account: AccountSummary) -> dict[str, object]:
    return {
        "id": str(account.id),
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at.isoformat(),
        "disabled_at": account.disabled_at.isoformat() if account.disabled_at else None,
        "tokens": account.tokens,
        "last_used_at": account.last_used_at.isoformat() if account.last_used_at else None,
    }
