"""Which engines a process uses: one table for each part, best engine first.

An engine's package is imported by its factory, so that one which is not used need not be installed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

from agent.errors import ConfigError, EngineUnavailable
from agent.events import Part
from agent.ladder import Chosen
from agent.scenario import Scenario
from agent.speech import Recogniser, Synthesiser, Voice
from pipelines.engines.hub import Hub, why_unreachable

if TYPE_CHECKING:
    from pipelines.engines.piper import Piper

AUTO = "auto"
PIPER_VOICE = "en_US-lessac-medium"
"""Downloaded where no voice is named and none is on disk."""


class NotConfigured(EngineUnavailable):
    """An engine that the settings do not ask for: `auto` passes it over without a word."""


class Recognisers(Protocol):
    """A loaded engine that serves any number of calls."""

    engine: str
    model: str

    def for_call(
        self, scenario_version: str, expected_lines: Sequence[str], languages: Sequence[str] = ("en",)
    ) -> Recogniser:
        """The recogniser of one call, in which any of `languages` (ISO 639) may be spoken.

        Blocking: the first call of a scenario version may take 0.2 s. Raises EngineUnavailable if the engine
        does not understand them all.
        """


@dataclass(frozen=True, slots=True)
class RecogniserSettings:
    """`engine` is "auto" or a key of RECOGNISERS.

    `model` is whisper's: a folder, the name of a folder in `models_folder`, or a model of the hub such as
    small.en or owner/name; "" looks for the best that is there. `languages` (ISO 639) are those that the
    scenarios need. `device` is auto, cpu or cuda. `cpu_threads` are an utterance's, `parallel` utterances are
    transcribed at once. `padding_s` is whisper's: see `WhisperOptions`. A server is used where its address is
    given: see config.yaml.
    """

    models_folder: Path
    engine: str = AUTO
    model: str = ""
    languages: tuple[str, ...] = ("en",)
    allow_download: bool = False
    hub: Hub | None = None
    device: str = "auto"
    cpu_threads: int = 1
    parallel: int = 1
    padding_s: float | None = None
    server_url: str = ""
    server_model: str = ""
    server_key: str = field(default="", repr=False)
    server_within_s: float = 3.0


@dataclass(frozen=True, slots=True)
class StreamingSettings:
    """A recogniser that listens along: see `services.py`.

    `service` is a key of its SERVICES; `url` replaces its own address, for tests and private clouds.
    """

    service: str
    key: str = field(repr=False)
    model: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class SynthesiserSettings:
    """`engine` is "auto" or a key of SYNTHESISERS.

    `voices` are the Piper voices of each persona that names some; Piper serves only if it has one of each.
    The first one speaks for a persona that names none. Coqui and ElevenLabs are used where an address, or a
    key and a budget in characters, is given: see config.yaml. `remote_within_s` is for one answer of theirs.
    """

    models_folder: Path
    engine: str = AUTO
    voices: tuple[tuple[str, ...], ...] = ()
    allow_download: bool = False
    hub: Hub | None = None
    cpu_threads: int = 1
    remote_within_s: float = 3.0
    coqui_url: str = ""
    coqui_token: str = field(default="", repr=False)
    elevenlabs_url: str = "https://api.elevenlabs.io"
    elevenlabs_key: str = field(default="", repr=False)
    elevenlabs_model: str = "eleven_flash_v2_5"
    elevenlabs_format: str = "pcm_8000"
    elevenlabs_daily_characters: int = 0
    elevenlabs_call_characters: int = 0
    elevenlabs_price_per_1000: float = 0.0


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


def recognisers_for(engines: Sequence[Recognisers], scenario: Scenario) -> list[Recogniser]:
    """One call's recognisers, in the same order: those that understand the scenario's languages. Blocking.

    Raises EngineUnavailable, the first engine's, if none does.
    """
    usable: list[Recogniser] = []
    passed_over: list[EngineUnavailable] = []
    lines = scenario.expected_lines()
    for engine in engines:
        try:
            usable.append(engine.for_call(scenario.version, lines, scenario.spoken_languages))
        except EngineUnavailable as error:
            passed_over.append(error)
    if not usable:
        raise passed_over[0] if passed_over else EngineUnavailable("there is no recogniser")
    return usable


@runtime_checkable
class _PerCall(Protocol):
    def for_call(self, voice: Voice) -> Synthesiser: ...


def synthesisers_for(engines: Sequence[Synthesiser], voice: Voice) -> list[Synthesiser]:
    """One call's synthesisers, in the same order: those that have a voice for the persona, and a budget.

    Raises EngineUnavailable if none is left.
    """
    usable: list[Synthesiser] = []
    passed_over: list[str] = []
    for engine in engines:
        try:
            usable.append(engine.for_call(voice) if isinstance(engine, _PerCall) else engine)
        except EngineUnavailable as error:
            passed_over.append(f"{engine.engine}: {error.message}")
    if not usable:
        raise EngineUnavailable(
            "no engine speaks for this persona: " + "; ".join(passed_over), hint="Run rolecall doctor"
        )
    return usable


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
        except NotConfigured:
            continue
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


def _server(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    if not settings.server_url:
        raise NotConfigured(
            "no speech-to-text server is set", hint="Set speech_to_text.server_url, or choose another engine"
        )
    from pipelines.engines.speech_server import open_speech_server

    server = resources.enter_context(
        open_speech_server(
            settings.server_url,
            model=settings.server_model,
            key=settings.server_key,
            within_s=settings.server_within_s,
        )
    )
    return Rung(server, f"answers at {settings.server_url}")


def _whisper(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    from pipelines.engines.whisper_models import choose_device, find_model

    device = choose_device(settings.device)
    others = [language for language in settings.languages if language != "en"]
    found = find_model(
        settings.model,
        settings.models_folder,
        device=device,
        language=others[0] if others else "en",
        allow_download=settings.allow_download,
        hub=settings.hub,
    )
    from pipelines.engines.whisper import Whisper, WhisperOptions

    options = WhisperOptions(device, settings.cpu_threads, settings.parallel, settings.padding_s)
    whisper = Whisper(found.folder, found.name, options)
    return Rung(whisper, f"{found.origin}, runs on {device}")


def _sphinx(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    if "en" not in settings.languages:
        raise EngineUnavailable(
            f"PocketSphinx comes with a model of English only, not of {' or '.join(settings.languages)}",
            hint="Use whisper",
        )
    from pipelines.engines.sphinx import open_sphinx

    return Rung(resources.enter_context(open_sphinx()), "built in, understands the scenario's own lines")


def _piper(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    from pipelines.engines.piper_voices import fetch_voice, voices_on_disk

    folder = settings.models_folder
    on_disk = voices_on_disk(folder)
    personas = settings.voices or (tuple(on_disk[:1]) or (PIPER_VOICE,),)
    missing = [names[0] for names in personas if not any(name in on_disk for name in names)]
    if missing:
        lacking = f"the Piper voice {missing[0]} is not in {folder}"
        if not settings.allow_download:
            raise EngineUnavailable(lacking, hint="Put it there, or allow downloads")
        if obstacle := why_unreachable(settings.hub):
            raise EngineUnavailable(f"{lacking}, and {obstacle}", hint="Put it there, or go online once")
    from pipelines.engines.piper import Piper

    for name in missing:
        fetch_voice(folder, name, hub=settings.hub)
    there = [[name for name in names if name in on_disk or name in missing] for names in personas]
    piper = Piper(folder, there[0][0], settings.cpu_threads)
    for names in there:
        _load_one(piper, names)
    return Rung(piper, f"downloaded to {folder}" if missing else f"found in {folder}")


def _load_one(piper: "Piper", names: Sequence[str]) -> None:
    """The first of a persona's voices that can be loaded. Raises EngineUnavailable if none can."""
    for name in names[:-1]:
        try:
            piper.load(name)
        except EngineUnavailable:
            continue
        return
    piper.load(names[-1])


def _coqui(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    if not settings.coqui_url:
        raise NotConfigured("no address of a Coqui server is set", hint="Set text_to_speech.coqui_url")
    from pipelines.engines.coqui import open_coqui

    url = settings.coqui_url
    coqui = resources.enter_context(open_coqui(url, settings.coqui_token, settings.remote_within_s))
    return Rung(coqui, f"ready at {url}")


def _elevenlabs(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    if not settings.elevenlabs_key:
        raise NotConfigured("there is no key of ElevenLabs", hint="Set ELEVENLABS_API_KEY")
    daily, call = settings.elevenlabs_daily_characters, settings.elevenlabs_call_characters
    if not daily or not call:
        raise EngineUnavailable(
            "ElevenLabs has no budget",
            hint="Set text_to_speech.elevenlabs_daily_characters and .elevenlabs_call_characters",
        )
    from pipelines.engines.budget import Budget
    from pipelines.engines.elevenlabs import ElevenLabsOptions, open_elevenlabs

    elevenlabs = resources.enter_context(
        open_elevenlabs(
            settings.elevenlabs_url,
            settings.elevenlabs_key,
            ElevenLabsOptions(settings.elevenlabs_model, settings.elevenlabs_format),
            Budget(daily, call, settings.elevenlabs_price_per_1000),
            settings.remote_within_s,
        )
    )
    return Rung(elevenlabs, f"the key is good, up to {daily} characters a day")


def _espeak(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    from pipelines.engines.espeak import open_espeak

    return Rung(resources.enter_context(open_espeak()), "built in")


RECOGNISERS: dict[str, Factory[RecogniserSettings, Recognisers]] = {
    "server": _server,
    "whisper": _whisper,
    "sphinx": _sphinx,
}
SYNTHESISERS: dict[str, Factory[SynthesiserSettings, Synthesiser]] = {
    "elevenlabs": _elevenlabs,
    "coqui": _coqui,
    "piper": _piper,
    "espeak": _espeak,
}
