"""`rolecall users`: accounts and the tokens that open them."""

from typing import Annotated

import typer

from agent.account import Role
from rolecall.command import JsonOption, begin

users = typer.Typer(no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


@users.command("add")
def add_user(
    ctx: typer.Context,
    name: NameArgument,
    role: Annotated[Role, typer.Option(help="What the account may do.")],
) -> None:
    """Make an account."""
    settings = begin(ctx)
    from rolecall.users import run_add

    raise typer.Exit(run_add(settings, name, role))


@users.command("list")
def list_users(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the accounts."""
    settings = begin(ctx)
    from rolecall.users import run_list

    raise typer.Exit(run_list(settings, as_json=as_json))


@users.command("token")
def issue_token(
    ctx: typer.Context,
    name: NameArgument,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it is good for; default: until revoked.")
    ] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Print a new token for the API. It can't be shown again."""
    settings = begin(ctx)
    from rolecall.users import run_token

    raise typer.Exit(run_token(settings, name, days=days, label=label))


@users.command("revoke")
def revoke_tokens(ctx: typer.Context, name: NameArgument) -> None:
    """End all tokens of an account."""
    settings = begin(ctx)
    from rolecall.users import run_revoke

    raise typer.Exit(run_revoke(settings, name))
