"""Which engines a process uses: one table for each part, best engine first.

An engine's package is imported by its factory, so that one which is not used need not be installed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from agent.errors import ConfigError, EngineUnavailable
from agent.events import Part
from agent.ladder import Chosen
from agent.speech import Recogniser, Synthesiser

AUTO = "auto"
PIPER_VOICE = "en_US-lessac-medium"
"""Downloaded where no voice is named and none is on disk."""


class Recognisers(Protocol):
    """A loaded engine that serves any number of calls."""

    engine: str
    model: str

    def for_call(self, scenario_version: str, expected_lines: Sequence[str]) -> Recogniser:
        """The recogniser of one call. Blocking: the first call of a scenario version may take 0.2 s."""


@dataclass(frozen=True, slots=True)
class RecogniserSettings:
    """`engine` is "auto" or a key of RECOGNISERS.

    `model` is whisper's: a folder, the name of a folder in `models_folder`, or a model of the hub such as
    small.en or owner/name; "" looks for the best that is there. `device` is auto, cpu or cuda.
    `cpu_threads` are an utterance's, `parallel` utterances are transcribed at once.
    """

    models_folder: Path
    engine: str = AUTO
    model: str = ""
    language: str = "en"
    allow_download: bool = False
    device: str = "auto"
    cpu_threads: int = 1
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class SynthesiserSettings:
    """`engine` is "auto" or a key of SYNTHESISERS.

    `voices` are the Piper voices that the scenarios name; Piper serves only if it has them all. The first
    one speaks for a persona that names none.
    """

    models_folder: Path
    engine: str = AUTO
    voices: tuple[str, ...] = ()
    allow_download: bool = False
    cpu_threads: int = 1


class _Engine(Protocol):
    engine: str
    model: str


S = TypeVar("S")
E = TypeVar("E", bound=_Engine)


@dataclass(frozen=True, slots=True)
class Rung(Generic[E]):
    """An engine that was loaded, and in one clause why it can serve."""

    engine: E
    reason: str


Factory = Callable[[S, ExitStack], Rung[E]]
"""Loads an engine or raises EngineUnavailable; what has to be closed goes onto the stack."""


def choose_recogniser(settings: RecogniserSettings, resources: ExitStack) -> Chosen[Recognisers]:
    """Loads the named engine, or the best one that can be used. Blocking.

    Where nothing may be or can be downloaded it decides within seconds. Raises ConfigError for an engine
    that is not in the table and EngineUnavailable if the named one, or none at all, can be used.
    """
    return _choose("speech_to_text", RECOGNISERS, settings.engine, settings, resources)


def choose_synthesiser(settings: SynthesiserSettings, resources: ExitStack) -> Chosen[Synthesiser]:
    """The same for text to speech."""
    return _choose("text_to_speech", SYNTHESISERS, settings.engine, settings, resources)


def recognisers_below(name: str, settings: RecogniserSettings, resources: ExitStack) -> list[Recognisers]:
    """The usable engines on the rungs below `name`, best first: what FallbackRecogniser falls back to."""
    return list(_below(RECOGNISERS, name, settings, resources))


def synthesisers_below(name: str, settings: SynthesiserSettings, resources: ExitStack) -> list[Synthesiser]:
    """The same for text to speech."""
    return list(_below(SYNTHESISERS, name, settings, resources))


def _choose(
    part: Part, table: Mapping[str, Factory[S, E]], wish: str, settings: S, resources: ExitStack
) -> Chosen[E]:
    if wish != AUTO:
        if wish not in table:
            raise ConfigError(
                f"there is no engine {wish!r} for {part}", hint=f"Choose {AUTO} or {_any_of(table)}"
            )
        rung = _load(table, wish, settings, resources)
        return Chosen(part, rung.engine, wish, rung.engine.model, f"named in the settings; {rung.reason}")
    passed_over: list[tuple[str, str]] = []
    for name in table:
        try:
            rung = _load(table, name, settings, resources)
        except EngineUnavailable as error:
            passed_over.append((name, error.message))
        else:
            return Chosen(part, rung.engine, name, rung.engine.model, rung.reason, tuple(passed_over))
    raise EngineUnavailable(
        f"no engine for {part} can be used: " + "; ".join(f"{name}: {why}" for name, why in passed_over),
        hint="Run rolecall doctor",
    )


def _below(table: Mapping[str, Factory[S, E]], name: str, settings: S, resources: ExitStack) -> Iterator[E]:
    names = list(table)
    for lower in names[names.index(name) + 1 :]:
        try:
            yield _load(table, lower, settings, resources).engine
        except EngineUnavailable:
            continue


def _load(table: Mapping[str, Factory[S, E]], name: str, settings: S, resources: ExitStack) -> Rung[E]:
    try:
        return table[name](settings, resources)
    except ImportError as error:
        raise EngineUnavailable(
            f"the package of {name} is not installed: {error}", hint="Run uv sync"
        ) from error


def _any_of(table: Mapping[str, object]) -> str:
    return " or ".join(table)


def _whisper(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    from pipelines.engines.whisper_models import choose_device, find_model

    device = choose_device(settings.device)
    found = find_model(
        settings.model,
        settings.models_folder,
        device=device,
        language=settings.language,
        allow_download=settings.allow_download,
    )
    from pipelines.engines.whisper import Whisper, WhisperOptions

    options = WhisperOptions(settings.language, device, settings.cpu_threads, settings.parallel)
    whisper = Whisper(found.folder, found.name, options)
    return Rung(whisper, f"{found.origin}, runs on {device}")


def _sphinx(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    from pipelines.engines.sphinx import open_sphinx

    if settings.language != "en":
        raise EngineUnavailable(
            f"PocketSphinx comes with a model of English only, not of {settings.language!r}",
            hint="Use whisper",
        )
    return Rung(resources.enter_context(open_sphinx()), "built in, understands the scenario's own lines")


def _piper(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    from pipelines.engines import hub
    from pipelines.engines.piper_voices import fetch_voice, voices_on_disk

    folder = settings.models_folder
    on_disk = voices_on_disk(folder)
    wanted = settings.voices or tuple(on_disk[:1]) or (PIPER_VOICE,)
    missing = [name for name in wanted if name not in on_disk]
    if missing:
        lacking = f"the Piper voice {missing[0]} is not in {folder}"
        if not settings.allow_download:
            raise EngineUnavailable(lacking, hint="Put it there, or allow downloads")
        if obstacle := hub.why_unreachable():
            raise EngineUnavailable(f"{lacking}, and {obstacle}", hint="Put it there, or go online once")
    from pipelines.engines.piper import Piper

    for name in missing:
        fetch_voice(folder, name)
    piper = Piper(folder, wanted[0], settings.cpu_threads)
    for name in wanted:
        piper.load(name)
    return Rung(piper, f"downloaded to {folder}" if missing else f"found in {folder}")


def _espeak(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    from pipelines.engines.espeak import open_espeak

    return Rung(resources.enter_context(open_espeak()), "built in")


RECOGNISERS: dict[str, Factory[RecogniserSettings, Recognisers]] = {"whisper": _whisper, "sphinx": _sphinx}
SYNTHESISERS: dict[str, Factory[SynthesiserSettings, Synthesiser]] = {"piper": _piper, "espeak": _espeak}
