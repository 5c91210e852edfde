"""What can understand, word and speak on this machine: engines tried out, models with size and origin."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import ollama
import typer
from rich.console import Console
from rich.text import Text

from agent.errors import EngineError, EngineUnavailable
from agent.scenario import Scenario, load_scenarios
from graphs.ladder import find_server
from graphs.ollama import find_model as find_ollama_model
from pipelines.engines.factories import RECOGNISERS, SYNTHESISERS
from pipelines.engines.hub import why_unreachable
from pipelines.engines.ladder import choose_recogniser, choose_synthesiser
from pipelines.engines.loading import PIPER_VOICE, RecogniserSettings
from pipelines.engines.piper_voices import voice_file, voices_on_disk
from pipelines.engines.whisper_models import (
    SIZES_MB,
    TRAINEE_MODEL,
    FoundModel,
    choose_device,
    find_model,
    models_on_disk,
    offered,
)
from rolecall.doctor import Finding, Probe, Status, examine
from rolecall.engine_settings import recogniser_settings, synthesiser_settings, wording_settings
from rolecall.model_hub import hub_of
from rolecall.settings import Settings

LOADED_WITHIN_S = 30.0
OLLAMA_ERRORS = (
    ollama.ResponseError,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    ConnectionError,
    ValueError,
    # The client takes each line apart unguarded: valid JSON that is no object ends in one of these.
    AttributeError,
    KeyError,
    TypeError,
    RecursionError,
)
_VOICE_MB = {"x_low": 21, "low": 63, "medium": 63, "high": 114}


@dataclass(frozen=True, slots=True)
class Model:
    """One model: `status` is ready, missing (needed, and not here) or offered (could be downloaded)."""

    engine: str
    name: str
    status: str
    size_mb: float | None
    origin: str
    used_by: str


def run_list(settings: Settings, *, as_json: bool) -> int:
    """Prints engines and models; always 0."""
    scenarios = load_scenarios(settings.scenarios.folder)
    engines = examine(settings, _engine_probes(scenarios), LOADED_WITHIN_S)
    hub = hub_of(settings)
    obstacle = why_unreachable(hub)
    models = [
        *_whisper_models(settings, scenarios),
        *_piper_voices(settings, scenarios),
        *_ollama_models(settings),
    ]
    if as_json:
        document = {
            "engines": [_engine_document(finding) for finding in engines],
            "models": [asdict(model) for model in models],
            "hub": {"url": hub.url, "usable": not obstacle, "why_not": obstacle},
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print(engines, models, obstacle or f"Missing and offered models come from {hub.url}.")
    return 0


def _engine_probes(scenarios: Mapping[str, Scenario]) -> dict[str, Probe]:
    """Each engine is loaded for real. Nothing is downloaded for it."""

    def hears(name: str, settings: Settings) -> tuple[Status, str, str]:
        wanted = replace(recogniser_settings(settings, scenarios), engine=name, allow_download=False)
        with ExitStack() as resources:
            chosen = choose_recogniser(wanted, resources)
        return _ready(chosen.model, chosen.reason)

    def speaks(name: str, settings: Settings) -> tuple[Status, str, str]:
        wanted = replace(synthesiser_settings(settings, scenarios), engine=name, allow_download=False)
        with ExitStack() as resources:
            chosen = choose_synthesiser(wanted, resources)
        return _ready(chosen.model, chosen.reason)

    def words_by_server(settings: Settings) -> tuple[Status, str, str]:
        found = asyncio.run(find_server(wording_settings(settings)))
        return _ready(found.model, found.reason)

    def words_by_ollama(settings: Settings) -> tuple[Status, str, str]:
        found = asyncio.run(
            find_ollama_model(settings.ollama_host, settings.ollama_model, settings.wording.answer_timeout_s)
        )
        return _ready(found.model, found.reason)

    return {
        **{f"speech to text: {name}": partial(hears, name) for name in RECOGNISERS},
        "wording: server": words_by_server,
        "wording: ollama": words_by_ollama,
        "wording: authored": lambda _: _ready("", "the scenarios' own lines"),
        **{f"text to speech: {name}": partial(speaks, name) for name in SYNTHESISERS},
    }


def _ready(model: str, reason: str) -> tuple[Status, str, str]:
    reason = reason.removeprefix("named in the settings; ")
    return Status.OK, f"{model}: {reason}" if model else reason, ""


def whisper_wanted(settings: Settings, scenarios: Mapping[str, Scenario]) -> tuple[FoundModel | None, str]:
    """The Whisper model that the next start uses if it downloads nothing, and the one it would download."""
    hearing = recogniser_settings(settings, scenarios)
    device, language = choose_device(hearing.device), spoken(hearing)
    try:
        found = find_model(
            hearing.model, hearing.models_folder, device=device, language=language, allow_download=False
        )
    except EngineUnavailable:
        found = None
    return found, hearing.model or offered(device, language)[0]


def spoken(hearing: RecogniserSettings) -> str:
    """English unless a scenario needs another language, for which models of English alone do not serve."""
    return next((language for language in hearing.languages if language != "en"), "en")


def _whisper_models(settings: Settings, scenarios: Mapping[str, Scenario]) -> list[Model]:
    hearing = recogniser_settings(settings, scenarios)
    chosen, best = whisper_wanted(settings, scenarios)
    here = models_on_disk(hearing.models_folder)
    if chosen and chosen.folder not in [found.folder for found in here]:
        here.append(chosen)
    models = []
    for found in here:
        used_by = "simulated trainees" if found.name == TRAINEE_MODEL else ""
        if chosen and chosen.folder == found.folder:
            used_by = "speech to text"
        models.append(Model("whisper", found.name, "ready", _size_mb(found.folder), found.origin, used_by))
    names = {found.name for found in here}
    for name in dict.fromkeys((best, *offered(choose_device(hearing.device), spoken(hearing)))):
        if name not in names and not (chosen and name == hearing.model):
            needed = chosen is None and name == best
            status, used_by = ("missing", "speech to text") if needed else ("offered", "")
            models.append(Model("whisper", name, status, SIZES_MB.get(name), "the hub", used_by))
    return models


def voices_wanted(settings: Settings, scenarios: Mapping[str, Scenario]) -> tuple[tuple[str, ...], ...]:
    """The Piper voices of each persona, best first; where none names one, a voice for all of them."""
    here = voices_on_disk(settings.models.folder)
    named = synthesiser_settings(settings, scenarios).voices
    return named or ((here[0] if here else PIPER_VOICE,),)


def _piper_voices(settings: Settings, scenarios: Mapping[str, Scenario]) -> list[Model]:
    folder = settings.models.folder
    here = voices_on_disk(folder)
    wanted = voices_wanted(settings, scenarios)
    models = []
    for name in here:
        file = voice_file(folder, name)
        size = (file.stat().st_size + Path(f"{file}.json").stat().st_size) / 1e6
        models.append(
            Model("piper", name, "ready", round(size, 1), f"found in {folder}", _speaks(name, scenarios))
        )
    for names in wanted:
        needed = not any(name in here for name in names)
        for name in names:
            if name not in here and name not in {model.name for model in models}:
                status = "missing" if needed and name == names[0] else "offered"
                size_mb = _VOICE_MB.get(name.rpartition("-")[2])
                models.append(Model("piper", name, status, size_mb, "the hub", _speaks(name, scenarios)))
    return models


def _speaks(voice: str, scenarios: Mapping[str, Scenario]) -> str:
    return ", ".join(name for name, each in scenarios.items() if voice in each.persona.voice.piper)


def _ollama_models(settings: Settings) -> list[Model]:
    host, within_s = settings.ollama_host, settings.wording.answer_timeout_s
    try:
        with httpx.HTTPTransport() as transport:
            client = ollama.Client(host, timeout=within_s, transport=transport)
            listed = [(each.model, each.size) for each in client.list().models if each.model]
    except OLLAMA_ERRORS:
        listed = []  # why is said by the engine's probe
    try:
        used = asyncio.run(find_ollama_model(host, settings.ollama_model, within_s)).model
    except EngineError:
        used = ""
    models = [
        Model(
            "ollama",
            str(name),
            "ready",
            round(int(size) / 1e6, 1) if size is not None else None,
            host,
            "wording" if name == used else "",
        )
        for name, size in listed
    ]
    if settings.ollama_model and not used:
        models.append(Model("ollama", settings.ollama_model, "missing", None, "Ollama's library", "wording"))
    return models


def _size_mb(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6, 1)


def _engine_document(finding: Finding) -> dict[str, object]:
    part, _, name = finding.part.partition(": ")
    usable = finding.status is Status.OK
    return {
        "part": part,
        "engine": name,
        "usable": usable,
        "found": finding.found if usable else "",
        "why_not": "" if usable else finding.found,
        "way_out": finding.way_out,
    }


_COLOURS = {"ready": "green", "missing": "bold red", "offered": "dim"}


def _print(engines: Sequence[Finding], models: Sequence[Model], where_from: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in engines:
        usable = finding.status is Status.OK
        console.print(
            Text(f"{'usable' if usable else 'not':7}", "green" if usable else "yellow"),
            Text(f"{finding.part:26} {finding.found}"),
        )
        if finding.way_out:
            console.print(Text(f"{'':35}{finding.way_out}", "dim"))
    console.print()
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        size = "?" if model.size_mb is None else f"{'' if model.status == 'ready' else '~'}{model.size_mb:g}"
        used_by = f", used by: {model.used_by}" if model.used_by else ""
        console.print(
            Text(f"{model.status:7}", _COLOURS[model.status]),
            Text(f"{model.name:{width}}  {model.engine:7} {size:>6} MB  {model.origin}{used_by}"),
        )
    console.print(Text(f"\n{where_from}"))
    if any(model.status == "missing" for model in models):
        console.print("'rolecall models pull' fetches what is missing.")
