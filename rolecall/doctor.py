"""The doctor: runs the probes side by side, within a limit, and says what to do about what they found."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import structlog
import typer
from rich.console import Console
from rich.text import Text

from agent.errors import ConfigError, RolecallError
from rolecall.logs import configure_logs
from rolecall.settings import Settings, load_settings

ANSWER_WITHIN_S = 6.0

log = structlog.get_logger()


class Status(StrEnum):
    """Whether a part serves, serves less than it could, or keeps calls from being held."""

    OK = "ok"
    DEGRADED = "degraded"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the probe of one part found, and the way out where something is wrong."""

    part: str
    status: Status
    found: str
    way_out: str = ""


Probe = Callable[[Settings], tuple[Status, str, str]]
"""Returns status, what was found, and the way out. Raises RolecallError where the part is missing."""


def run_doctor(config: Path | None, *, as_json: bool) -> int:
    """Prints the findings; returns 1 if the configuration cannot hold a call."""
    try:
        settings = load_settings(config)
    except ConfigError as error:
        findings = [Finding("config", Status.MISSING, error.message, error.hint)]
    else:
        configure_logs(settings.logs, file=settings.home / "rolecall.log")
        # Only now: what the probes import begins to log at once.
        from rolecall.probes import PROBES, probe_config

        findings = examine(settings, {"config": lambda _: probe_config(config), **PROBES})
    can_call = all(finding.status is not Status.MISSING for finding in findings)
    if as_json:
        document = {"can_hold_a_call": can_call, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print(findings, can_call=can_call)
    return 0 if can_call else 1


def examine(
    settings: Settings, probes: Mapping[str, Probe], answer_within_s: float = ANSWER_WITHIN_S
) -> list[Finding]:
    """Runs all probes side by side; one that has no answer in time counts as missing and is left behind."""
    found: dict[str, Finding] = {}

    def run(part: str, probe: Probe) -> None:
        found[part] = _examine(settings, part, probe)

    threads = [
        threading.Thread(target=run, args=(part, probe), name=f"probe {part}", daemon=True)
        for part, probe in probes.items()
    ]
    deadline = time.monotonic() + answer_within_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer within {answer_within_s:g} s"
    return [found.get(part, Finding(part, Status.MISSING, late, "Try again")) for part in probes]


def _examine(settings: Settings, part: str, probe: Probe) -> Finding:
    try:
        return Finding(part, *probe(settings))
    except RolecallError as error:
        return Finding(part, Status.MISSING, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 the boundary of the probe's thread
        log.exception("probe_broke", part=part)
        broke = f"the probe broke: {type(error).__name__}"
        return Finding(part, Status.MISSING, broke, f"This is a bug: see {settings.home / 'rolecall.log'}")


_COLOURS = {Status.OK: "green", Status.DEGRADED: "yellow", Status.MISSING: "bold red"}


def _print(findings: list[Finding], *, can_call: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        status = Text(f"{finding.status:9}", style=_COLOURS[finding.status])
        console.print(status, Text(f"{finding.part:15} {finding.found}"))
        if finding.way_out:
            console.print(Text(f"{'':26}{finding.way_out}", style="dim"))
    console.print()
    console.print(
        "This configuration can hold a call." if can_call else "This configuration cannot hold a call."
    )
