"""Fetches models: from the hub and by Ollama, two at a time, with progress for a person or for a log."""

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import ollama
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from agent.errors import EngineError, EngineUnavailable
from agent.scenario import Scenario, load_scenarios
from graphs.model import ModelMissing
from graphs.ollama import find_model as find_ollama_model
from pipelines.engines.download import Cancelled
from pipelines.engines.hub import EveryTenth, Hub, Transfer, why_unreachable
from pipelines.engines.piper_voices import fetch_voice, voices_on_disk
from pipelines.engines.piper_voices import is_name_on_hub as is_voice_on_hub
from pipelines.engines.whisper_models import SIZES_MB, choose_device, fetch_model, offered, on_disk
from pipelines.engines.whisper_models import is_name_on_hub as is_model_on_hub
from rolecall.engine_settings import recogniser_settings
from rolecall.model_hub import hub_of
from rolecall.models import OLLAMA_ERRORS, spoken, voices_wanted, whisper_wanted
from rolecall.settings import Settings

PARALLEL = 2
OLLAMA_MODEL = "llama3.2"
"""Fetched where no model is configured and Ollama has none that can chat."""

_INTERRUPTED = 130
_OLLAMA_SILENT_S = 300.0
"""Ollama says nothing while it checks what it has downloaded."""


@dataclass(frozen=True, slots=True)
class Job:
    """One model to be fetched; `run` is given where to tell of it, and returns what became of it."""

    name: str
    from_hub: bool
    run: Callable[[Transfer], str]


def run_pull(settings: Settings, names: Sequence[str], *, everything: bool) -> int:
    """Fetches `names`, or what the configuration needs. Raises EngineUnavailable if one cannot be had."""
    scenarios = load_scenarios(settings.scenarios.folder)
    hub = hub_of(settings)
    if names:
        jobs = [_job(name, settings, hub) for name in dict.fromkeys(names)]
    else:
        jobs = _needed(settings, scenarios, hub, everything=everything)
    if not jobs:
        typer.echo("Everything that the configuration needs is here.")
        return 0
    if not hub.offline and any(job.from_hub for job in jobs) and (obstacle := why_unreachable(hub)):
        raise EngineUnavailable(obstacle, hint="Go online, or set models.hub_url to a mirror that answers")
    cancelled = threading.Event()
    with _Bars() if sys.stdout.isatty() else _Lines() as progress:
        transfer = Transfer(on_progress=progress.told, cancelled=cancelled)
        try:
            failures = _run(jobs, transfer)
        except KeyboardInterrupt:
            cancelled.set()
            failures = None
    if failures is None:
        typer.echo("rolecall: stopped. What has arrived is kept; run it again to go on", err=True)
        return _INTERRUPTED
    if len(failures) > 1:
        told = "; ".join(error.message for error in failures)
        raise EngineUnavailable(f"{len(failures)} of {len(jobs)} models could not be fetched: {told}")
    if failures:
        raise failures[0]
    return 0


def _run(jobs: Sequence[Job], transfer: Transfer) -> list[EngineUnavailable]:
    """Runs the jobs on threads that a process which is interrupted does not wait for."""
    waiting, failures = deque(jobs), list[EngineUnavailable]()
    bugs: list[Exception] = []

    def work() -> None:
        while not transfer.cancelled.is_set():
            try:
                job = waiting.popleft()
            except IndexError:
                return
            try:
                typer.echo(f"{job.name}: {job.run(transfer)}")
            except Cancelled:
                return
            except EngineUnavailable as error:
                failures.append(error)
            except Exception as error:  # noqa: BLE001 the boundary of the thread: raised again below
                bugs.append(error)

    threads = [threading.Thread(target=work, name=f"pull {n}", daemon=True) for n in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    if bugs:
        raise bugs[0]
    return failures


def _needed(
    settings: Settings, scenarios: Mapping[str, Scenario], hub: Hub, *, everything: bool
) -> list[Job]:
    """What the configuration has use for and lacks; with `everything`, all that it could have use for."""
    jobs: list[Job] = []
    folder = settings.models.folder
    if settings.speech_to_text.engine in ("auto", "whisper"):
        found, best = whisper_wanted(settings, scenarios)
        hearing = recogniser_settings(settings, scenarios)
        fit = offered(choose_device(hearing.device), spoken(hearing)) if everything else ()
        wanted = [*fit] if found else [best, *fit]
        jobs += [_whisper(name, settings, hub) for name in dict.fromkeys(wanted) if not on_disk(name, folder)]
    if settings.text_to_speech.engine in ("auto", "piper"):
        here = voices_on_disk(folder)
        personas = voices_wanted(settings, scenarios)
        lacking = [
            name
            for names in personas
            if everything or not any(name in here for name in names)
            for name in (names if everything else names[:1])
        ]
        jobs += [_voice(name, settings, hub) for name in dict.fromkeys(lacking) if name not in here]
    if settings.wording.engine in ("auto", "ollama"):
        jobs += _needed_of_ollama(settings, hub)
    return jobs


def _needed_of_ollama(settings: Settings, hub: Hub) -> list[Job]:
    name = settings.ollama_model
    if hub.offline:
        typer.echo("ollama: left out in offline mode")
        return []
    try:
        asyncio.run(find_ollama_model(settings.ollama_host, name, settings.wording.answer_timeout_s))
    except ModelMissing:
        return [_ollama(name or OLLAMA_MODEL, settings, hub)]
    except EngineError as error:
        if settings.wording.engine == "ollama":
            raise
        typer.echo(f"ollama: {error.message}; its model is left out")
    return []


def _job(name: str, settings: Settings, hub: Hub) -> Job:
    """What a name stands for. Raises EngineUnavailable."""
    if is_voice_on_hub(name):
        return _voice(name, settings, hub)
    if ":" in name or (name and name == settings.ollama_model):
        return _ollama(name, settings, hub)
    if is_model_on_hub(name):
        return _whisper(name, settings, hub)
    raise EngineUnavailable(
        f"{name!r} is no model's name",
        hint=f"There are Whisper's ({', '.join(SIZES_MB)} or owner/name), Piper's (en_US-lessac-medium) "
        "and Ollama's with a tag (llama3.2:3b)",
    )


def _whisper(name: str, settings: Settings, hub: Hub) -> Job:
    def run(transfer: Transfer) -> str:
        if found := on_disk(name, settings.models.folder):
            return f"is here, {found.origin}"
        return fetch_model(settings.models.folder, name, hub=hub, transfer=transfer).origin

    return Job(name, True, run)


def _voice(name: str, settings: Settings, hub: Hub) -> Job:
    def run(transfer: Transfer) -> str:
        if name in voices_on_disk(settings.models.folder):
            return f"is here, found in {settings.models.folder}"
        fetch_voice(settings.models.folder, name, hub=hub, transfer=transfer)
        return f"downloaded to {settings.models.folder}"

    return Job(name, True, run)


def _ollama(name: str, settings: Settings, hub: Hub) -> Job:
    def run(transfer: Transfer) -> str:
        if hub.offline:
            raise EngineUnavailable(
                f"the Ollama model {name} would have to be downloaded, and offline mode forbids the network",
                hint="Copy it to where Ollama keeps its models, or go online",
            )
        pull_by_ollama(settings.ollama_host, name, transfer)
        return f"pulled by Ollama at {settings.ollama_host}"

    return Job(name, False, run)


def pull_by_ollama(host: str, model: str, transfer: Transfer) -> None:
    """Has Ollama fetch `model`: https://github.com/ollama/ollama/blob/main/docs/api.md#pull-a-model.

    Ollama checks and resumes by itself. Raises EngineUnavailable.
    """
    layers: dict[str, tuple[int, int]] = {}
    status: str | None = "nothing"
    try:
        with httpx.HTTPTransport() as transport:
            timeout = httpx.Timeout(_OLLAMA_SILENT_S, connect=3.0)
            client = ollama.Client(host, timeout=timeout, transport=transport)
            for told in client.pull(model, stream=True):
                if transfer.cancelled.is_set():
                    raise Cancelled(f"the Ollama model {model} was called off")
                status = told.status
                if told.digest and told.total:
                    layers[told.digest] = (min(told.completed or 0, told.total), told.total)
                    done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                    transfer.on_progress(model, done, total)
    except OLLAMA_ERRORS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise EngineUnavailable(f"Ollama at {host} could not pull {model}: {reason}") from error
    if status != "success":
        raise EngineUnavailable(f"Ollama at {host} broke off pulling {model} at: {f'{status}'[:100]}")


class _Lines:
    """A line for every 10 % of a model, for a log or a pipe."""

    def __init__(self) -> None:
        self.told = EveryTenth(_print_line)

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None: ...


def _print_line(model: str, percent: int, total_bytes: int) -> None:
    typer.echo(f"{model}: {percent} % of {total_bytes / 1e6:.1f} MB")


class _Bars:
    """A bar for each model."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def told(self, model: str, done: int, total: int) -> None:
        if model not in self._tasks:
            self._tasks[model] = self._progress.add_task(model, total=total)
        self._progress.update(self._tasks[model], completed=done, total=total)
