"""What commands have in common. Heavy imports stay in the commands."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rolecall.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def begin(ctx: typer.Context, *, log_to_terminal: bool = False) -> "Settings":
    """Settings and log of a command; only the server's log is what its terminal is for."""
    from rolecall.logs import configure_logs
    from rolecall.settings import load_settings

    settings = load_settings(ctx.obj)
    configure_logs(settings.logs, file=None if log_to_terminal else settings.home / "rolecall.log")
    return settings
