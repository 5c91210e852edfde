"""What benchmarks share: a command line, a way to say what holds, and a plain Pipecat server beside ours."""

import argparse
import asyncio
import json
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from loguru import logger
from rich.console import Console
from rich.table import Table

from agent.errors import RolecallError
from telephony.simulator.measure import percentiles

HOLDS, MISSED, COULD_NOT_RUN = 0, 1, 2
"""Exit statuses of every benchmark."""

PUBLIC_URL: Final = "https://rolecall.test"
"""Stands for the public address that a simulated carrier signs for."""

_START_S: Final = 60.0
_POLL_S: Final = 0.1
_STOP_S: Final = 10.0
_WIDTH: Final = 120
"""Of tables in a file or a pipe."""
_FORESEEN: Final = (RolecallError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Target:
    """A promise of the design: `figure` is at most `limit`, or at least, if `at_least`.

    A figure that could not be had (None) is a promise not kept.
    """

    name: str
    figure: float | None
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is kept."""
        if self.figure is None:
            return False
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        figure = "no figure" if self.figure is None else f"{self.figure:g} {self.unit}".strip()
        verdict = "holds" if self.holds else "is missed"
        return f"{self.name}: {figure}, {bound} {self.limit:g} {self.unit}".strip() + f": {verdict}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark found: `document` for machines, `tables` and `notes` for people."""

    document: dict[str, Any]
    targets: Sequence[Target]
    tables: Sequence[Table] = field(default=())
    notes: Sequence[str] = field(default=())

    @property
    def missed(self) -> list[Target]:
        """The promises that are not kept."""
        return [target for target in self.targets if not target.holds]


def run(description: str, measure: Callable[[bool], Coroutine[Any, Any, Report]]) -> int:
    """Runs `measure(quick)` as a command line program; returns its exit status, see `run_with`."""
    return run_with(command_line(description), lambda given: measure(given.quick))


def command_line(description: str) -> argparse.ArgumentParser:
    """The arguments that every benchmark has; a benchmark may add its own."""
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--quick", action="store_true", help="less of it: done within five minutes")
    arguments.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return arguments


def run_with(
    arguments: argparse.ArgumentParser, measure: Callable[[argparse.Namespace], Coroutine[Any, Any, Report]]
) -> int:
    """Runs `measure` with what the command line gives it; returns its exit status.

    0 if every target holds, 1 if one is missed, 2 if it could not be run. The last line says which and by how
    much: on stdout behind the tables, with --json on stderr, so that stdout is one JSON document.
    """
    given = arguments.parse_args()
    logger.remove()  # Pipecat's, which tells everything
    try:
        report = asyncio.run(measure(given))
    except Exception as error:  # noqa: BLE001 the process boundary
        return _could_not_run(error)
    show(report, as_json=given.json)
    return MISSED if report.missed else HOLDS


def show(report: Report, *, as_json: bool) -> None:
    """Prints a report, and which of its targets hold."""
    if as_json:
        targets = [asdict(target) | {"holds": target.holds} for target in report.targets]
        print(json.dumps(report.document | {"targets": targets, "holds": not report.missed}), flush=True)
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=as_json)
    if not console.is_terminal:
        console.width = _WIDTH
    if not as_json:
        for part in report.tables:
            console.print(part)
        for note in report.notes:
            console.print(note)
    for target in sorted(report.targets, key=lambda target: not target.holds):
        console.print(str(target))


def table(title: str, *columns: str) -> Table:
    """An empty table whose first column holds names, the others figures."""
    empty = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(("", *columns)):
        empty.add_column(column, justify="right" if number else "left")
    return empty


def spread(values: Sequence[float], digits: int = 0) -> dict[str, float] | None:
    """How many values there are, their median and their 95th percentile; None for no values."""
    found = percentiles(values)
    if found is None:
        return None
    return {"count": found.count, "p50": round(found.p50, digits), "p95": round(found.p95, digits)}


def cells(found: dict[str, float] | None) -> tuple[str, str, str]:
    """A spread as cells of a table: count, p50, p95."""
    if found is None:
        return ("0", "-", "-")
    return (f"{found['count']:g}", f"{found['p50']:g}", f"{found['p95']:g}")


@dataclass(frozen=True, slots=True)
class PlainServer:
    """A plain Pipecat bot that is ready for calls."""

    url: str
    pid: int


@asynccontextmanager
async def open_plain_server(*options: str) -> AsyncIterator[PlainServer]:
    """Runs plain_pipecat.py with these options in a process of its own, on a free loopback port.

    What it complains of goes to stderr. Raises RolecallError if it does not come up.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    script = Path(__file__).with_name("plain_pipecat.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        "--port",
        str(port),
        *options,
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await _until_ready(process, url)
        yield PlainServer(url, process.pid)
    finally:
        await _stop(process)


async def _until_ready(process: asyncio.subprocess.Process, url: str) -> None:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _START_S
    async with httpx.AsyncClient(trust_env=False) as client:
        while process.returncode is None and loop.time() < until_s:
            with suppress(httpx.TransportError):
                if (await client.get(f"{url}/ready")).is_success:
                    return
            await asyncio.sleep(_POLL_S)
    why = "took too long" if process.returncode is None else f"ended with {process.returncode}"
    raise RolecallError(f"the plain pipeline did not start: it {why}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def _could_not_run(error: Exception) -> int:
    """What was foreseen is said in a line; anything else is a fault of the benchmark, with its traceback."""
    first = error
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    if not isinstance(first, _FORESEEN):
        traceback.print_exception(error)
    print(f"could not run: {str(first) or type(first).__name__}", file=sys.stderr)
    return COULD_NOT_RUN
