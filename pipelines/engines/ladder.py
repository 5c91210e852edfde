"""Which engines a process uses, and which of them serve one call."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol, runtime_checkable

from agent.errors import ConfigError, EngineUnavailable
from agent.events import Part
from agent.ladder import Chosen
from agent.scenario import Scenario
from agent.speech import Recogniser, Synthesiser, Voice
from pipelines.engines.factories import RECOGNISERS, SYNTHESISERS
from pipelines.engines.loading import (
    AUTO,
    E,
    Factory,
    NotConfigured,
    Recognisers,
    RecogniserSettings,
    Rung,
    S,
    SynthesiserSettings,
)


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
    """The usable engines on the rungs below `name`, best first: what a call hands over to."""
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
