"""How fast the engines are, alone and with many callers, each on the threads that a server gives it."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from agent.errors import EngineUnavailable
from agent.phrases import frequent_phrases
from agent.scenario import Scenario
from agent.speech import RECOGNISER_RATE_HZ, Synthesiser
from audio.resample import Upsampler
from benchmarks import harness, true_size_voice
from pipelines.engines.espeak import Espeak, open_espeak
from pipelines.engines.factories import RECOGNISERS, SYNTHESISERS
from pipelines.engines.ladder import recognisers_for, synthesisers_for
from pipelines.engines.loading import Recognisers
from pipelines.engines.piper import Piper
from pipelines.engines.piper_voices import voices_on_disk
from pipelines.engines.telephone import to_telephone
from pipelines.engines.whisper_models import models_on_disk
from pipelines.engines.workers import Workers, open_workers
from pipelines.turns import SmartTurn, TurnModels, VoiceDetector, load_turn_models
from rolecall.engine_settings import (
    REMOTE_THREADS,
    SPEECH_THREADS,
    recogniser_settings,
    synthesiser_settings,
)
from rolecall.settings import Settings
from rolecall.trainee import scripted
from tests.engines import tiny_voice

CALLERS: Final = (1, 5, 10, 20)
_TINY, _TRUE_SIZE = "tiny", "true-size"
_BLOCK: Final = RECOGNISER_RATE_HZ // 50
_SPEECH_OUT, _SPEECH_IN = "first clause as sound", "text"


@dataclass(frozen=True, slots=True)
class Subject:
    """An engine under test.

    `work(caller, n)` does the n-th piece of work for a caller, and returns how many seconds of sound that
    was. `gives` says what the caller has then.
    """

    name: str
    gives: str
    work: Callable[[object, int], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: pieces of work by a caller alone, and rounds in which all callers ask at once."""

    alone: int
    rounds: int


async def measure(settings: Settings, scenario: Scenario, effort: Effort) -> dict[str, Any]:
    """Each engine's figures: seconds of work a second of sound, and what callers wait, by their number."""
    found: dict[str, Any] = {}
    async with _open_subjects(settings, scenario) as subjects:
        for subject in subjects:
            await subject.work(None, 0)
            found[subject.name] = {"gives": subject.gives, **await _alone(subject, effort.alone)} | {
                "wait_ms": {
                    str(callers): await _at_once(subject, callers, effort.rounds) for callers in CALLERS[1:]
                }
            }
    return found


def table(found: dict[str, Any]) -> Table:
    """Figures of `measure`, for people."""
    empty = harness.table(
        "engines: work a second of sound, and ms until a caller has the first clause, text or verdict",
        "RTF",
        "RTF, CPU",
        "alone",
        *(f"{callers} at once" for callers in CALLERS[1:]),
    )
    for name, figures in found.items():
        waits = [figures["alone_ms"], *figures["wait_ms"].values()]
        empty.add_row(
            name,
            f"{figures['rtf']:.4f}",
            f"{figures['rtf_cpu']:.4f}",
            *(f"{wait['p50']:.0f} / {wait['p95']:.0f}" for wait in waits),
        )
    empty.caption = "p50 / p95; at once: all ask in the same moment"
    empty.caption_justify = "left"
    return empty


async def _alone(subject: Subject, pieces: int) -> dict[str, Any]:
    sound_s, waits_ms = 0.0, []
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for number in range(pieces):
        asked_s = time.perf_counter()
        sound_s += await subject.work(None, number)
        waits_ms.append((time.perf_counter() - asked_s) * 1_000)
    return {
        "rtf": round((time.perf_counter() - began_s) / sound_s, 5),
        "rtf_cpu": round((time.process_time() - cpu_s) / sound_s, 5),
        "alone_ms": harness.spread(waits_ms, 1),
    }


async def _at_once(subject: Subject, callers: int, rounds: int) -> dict[str, float] | None:
    """What each of `callers` waits when all of them ask in the same moment, in ms."""
    waits_ms: list[float] = []

    async def ask(caller: int, number: int) -> None:
        await subject.work(caller, number)
        waits_ms.append((time.perf_counter() - asked_s) * 1_000)

    for turn in range(rounds):
        asked_s = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for caller in range(callers):
                tasks.create_task(ask(caller, turn * callers + caller))
    return harness.spread(waits_ms, 1)


@asynccontextmanager
async def _open_subjects(settings: Settings, scenario: Scenario) -> AsyncIterator[list[Subject]]:
    """All engines that can be used here without a download and without paying."""
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(open_workers(SPEECH_THREADS))
        remote = await stack.enter_async_context(open_workers(REMOTE_THREADS, name="remote engine"))
        resources = stack.enter_context(ExitStack())
        espeak = resources.enter_context(open_espeak())
        sounds = await local.run(_spoken, scenario, espeak)
        voices = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        models = load_turn_models(resources.enter_context(ThreadPoolExecutor(1)))

        def open_all() -> list[Subject]:
            return [
                *(
                    _speaks(name, engine, scenario, remote if engine.remote else local)
                    for name, engine in _synthesisers(settings, scenario, espeak, voices, resources)
                ),
                *(
                    _understands(name, engine, scenario, sounds, local, remote)
                    for name, engine in _recognisers(settings, resources)
                ),
            ]

        yield [*await local.run(open_all), _smart_turn(models, sounds), _voice_detector(models, sounds)]


def _spoken(scenario: Scenario, espeak: Espeak) -> list[NDArray[np.float32]]:
    """What the scenario's simulated trainee says, over the telephone: float32 at 16 kHz."""
    lines = scripted(scenario, espeak)
    return [Upsampler().process(line.samples).astype(np.float32) / np.float32(32_768) for line in lines]


def _synthesisers(
    settings: Settings, scenario: Scenario, espeak: Espeak, folder: Path, resources: ExitStack
) -> Iterator[tuple[str, Synthesiser]]:
    yield "espeak", espeak
    tiny_voice.write_voice(folder, _TINY, timed=True)
    yield "Piper, a tiny voice", Piper(folder, _TINY)
    true_size_voice.write_voice(folder, _TRUE_SIZE)
    yield "Piper, medium size", Piper(folder, _TRUE_SIZE)
    for name in voices_on_disk(settings.models.folder):
        yield f"Piper, {name}", Piper(settings.models.folder, name)
    wanted = synthesiser_settings(settings, {scenario.id: scenario})
    try:
        yield "Coqui", SYNTHESISERS["coqui"](wanted, resources).engine
    except EngineUnavailable:
        return


def _recognisers(settings: Settings, resources: ExitStack) -> Iterator[tuple[str, Recognisers]]:
    wanted = replace(recogniser_settings(settings), allow_download=False)
    for model in models_on_disk(settings.models.folder):
        named = replace(wanted, model=str(model.folder))
        yield f"Whisper, {model.name}", RECOGNISERS["whisper"](named, resources).engine
    for name, title in (("sphinx", "PocketSphinx"), ("server", "speech-to-text server")):
        try:
            yield title, RECOGNISERS[name](wanted, resources).engine
        except EngineUnavailable:
            continue


def _speaks(name: str, engine: Synthesiser, scenario: Scenario, workers: Workers) -> Subject:
    voice = replace(scenario.persona.voice, piper=())
    speaker = synthesisers_for([engine], voice)[0]
    clauses = frequent_phrases(scenario)

    def speak(number: int) -> float:
        speech = to_telephone(speaker.synthesise(clauses[number % len(clauses)], voice), voice.energy)
        return len(speech.samples) / speech.rate_hz

    async def work(caller: object, number: int) -> float:
        return await workers.run(speak, number, caller=caller)

    return Subject(name, _SPEECH_OUT, work)


def _understands(
    name: str,
    engine: Recognisers,
    scenario: Scenario,
    sounds: Sequence[NDArray[np.float32]],
    local: Workers,
    remote: Workers,
) -> Subject:
    recogniser = recognisers_for([engine], scenario)[0]
    workers = remote if recogniser.remote else local

    def understand(number: int) -> float:
        sound = sounds[number % len(sounds)]
        recogniser.recognise(sound)
        return len(sound) / RECOGNISER_RATE_HZ

    async def work(caller: object, number: int) -> float:
        return await workers.run(understand, number, caller=caller)

    return Subject(name, _SPEECH_IN, work)


def _smart_turn(models: TurnModels, sounds: Sequence[NDArray[np.float32]]) -> Subject:
    judge = SmartTurn(models)

    async def work(_caller: object, number: int) -> float:
        sound = sounds[number % len(sounds)]
        await judge.probability(sound)
        return len(sound) / RECOGNISER_RATE_HZ

    return Subject("smart turn v3.2", "verdict", work)


def _voice_detector(models: TurnModels, sounds: Sequence[NDArray[np.float32]]) -> Subject:
    """A second of sound, block by block, on the event loop."""
    second = (np.concatenate(sounds)[:RECOGNISER_RATE_HZ] * 32_767).astype(np.int16)
    blocks = [second[at : at + _BLOCK].tobytes() for at in range(0, len(second), _BLOCK)]
    detectors: dict[object, VoiceDetector] = {
        caller: VoiceDetector(models) for caller in (None, *range(max(CALLERS)))
    }

    async def work(caller: object, _number: int) -> float:
        detector = detectors[caller]
        for block in blocks:
            detector.process(block)
        return 1.0

    return Subject("Silero VAD", "a second heard", work)
