"""How soon the persona falls silent for a trainee who cuts in, and what else silences it.

One call of the simulated carrier for each sound, in real time: the persona reads a long opening, the handset
makes the sound, and the carrier's log and the sound at the ear tell what came of it. rolecall and a plain
Pipecat pipeline hear the same sounds at the same moments. Echo is the persona's own voice, as a bad handset
returns it.

    uv run python benchmarks/barge_in.py [--quick] [--json]
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import SecretStr
from rich.table import Table
from scipy import signal

from agent.speech import Synthesiser, Voice
from audio.levels import FULL_SCALE, sound_bounds_ms
from benchmarks import harness
from benchmarks.harness import PUBLIC_URL, Report, Target
from pipelines.engines.espeak import open_espeak
from pipelines.engines.telephone import to_telephone
from rolecall.local_server import open_local_server
from rolecall.settings import CHECKOUT, load_settings
from rolecall.simulate import SimulateOptions, for_trainees
from telephony.simulator import Handset, HungUp, Simulator, SimulatorSettings, open_simulator
from telephony.simulator.measure import segments
from telephony.simulator.sound import RATE_HZ

TARGET_MS: Final = 300.0
"""From the trainee's first syllable to `clear`, at the 95th percentile."""

Samples = NDArray[np.int16]

BARGE_IN: Final = "barge-in"
_FIRST_WORDS: Final = (
    "Sorry, may I ask you something?",
    "Wait a moment, please.",
    "Hold on, what do you mean?",
    "Okay, but who do you order from?",
    "Let me finish, please.",
    "Can I say something?",
    "I understand that.",
    "Excuse me, one question.",
)
_BACKCHANNELS: Final = ("uh-huh", "mm-hmm", "yeah", "okay", "right", "I see")
_VOICES: Final = ("en-us", "en-us+f1", "en-us+m3", "en", "en+f1", "en-us+f4")
_BARGE_INS: Final = 36
_BARGE_INS_QUICK: Final = 12
_EACH: Final = 8
_EACH_QUICK: Final = 3

_SCENARIO: Final = "monologue"
_MODEL_SCENARIO: Final = CHECKOUT / "scenarios" / "cold-call.yaml"
_OPENING: Final = (
    "Harbor Dental, this is Dana, and before you begin I will tell you how this office works. "
    "We open at eight in the morning, and the first patients are here before that. "
    "Every call that comes in ends up on my desk, and most of them are people who want to sell me something. "
    "Some of them read me their list, some of them ask me how my day is going, and none of them know. "
    "Then the next patient is at the door, the phone rings again, and I have forgotten what I wanted to do. "
    "So whatever this is about, it has to make my week shorter and not longer."
)
_AT_ONCE: Final = 3
_SPEECH_DBFS: Final = -20.0
_FIRST_SPEECH_MS: Final = (500, 1_700)
_WATCHED_MS: Final = 4_000
_ECHO_MS: Final = 2_500
_WITHIN_MS: Final = 1_500
_GOES_ON_MS: Final = 1_500
_CONNECT_MS: Final = 20_000
_CALL_S: Final = 60.0
_FRAME: Final = RATE_HZ // 50


@dataclass(frozen=True, slots=True)
class Sound:
    """What the handset makes while the persona speaks: `samples` (int16, 8 kHz), or an echo of the ear."""

    kind: str
    name: str
    samples: Samples | None = None
    echo_db: float = 0.0
    echo_ms: int = 0


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a sound did. Times in ms from its first audible moment; None: the persona was not stopped.

    `goes_on`: the persona was stopped and then spoke at length: the rest of what it had to say or, in plain
    Pipecat's favour, an answer to the sound.
    """

    sound: Sound
    clear_ms: float | None
    silent_ms: float | None
    goes_on: bool


def sounds(synthesiser: Synthesiser, *, barge_ins: int, each: int) -> list[Sound]:
    """The sounds of a run, always the same ones: `barge_ins` of speech, `each` of every other kind."""
    random = np.random.default_rng(11)
    speech = [
        _spoken(synthesiser, BARGE_IN, _FIRST_WORDS[number % len(_FIRST_WORDS)], number)
        for number in range(barge_ins)
    ]
    others: dict[str, Callable[[int], Sound]] = {
        "backchannel": lambda n: _spoken(
            synthesiser, "backchannel", _BACKCHANNELS[n % len(_BACKCHANNELS)], n
        ),
        "cough": lambda n: Sound("cough", f"cough {n}", _cough(random)),
        "click": lambda n: Sound("click", f"clicks {n}", _clicks(random)),
        "line noise": lambda n: Sound("line noise", f"noise {n}", _noise(random, -50.0 + 2 * n)),
        "echo": lambda n: Sound("echo", f"echo {n}", None, (-20.0, -30.0)[n % 2], 100 + 100 * (n % 3)),
    }
    return speech + [make(number) for make in others.values() for number in range(each)]


def _spoken(synthesiser: Synthesiser, kind: str, text: str, number: int) -> Sound:
    voice = Voice(espeak=(_VOICES[number % len(_VOICES)],), rate_wpm=150 + 10 * (number % 5))
    samples = to_telephone(synthesiser.synthesise(text, voice)).samples.astype(np.float64)
    return Sound(kind, text, _at_level(samples, _SPEECH_DBFS))


def _cough(random: np.random.Generator) -> Samples:
    """Two bursts of breath: 20 ms of attack, then 100 to 160 ms of fading noise."""
    bursts = []
    for _ in range(2):
        length = int(random.integers(120, 180)) * RATE_HZ // 1_000
        envelope = np.minimum(np.arange(length) / (RATE_HZ // 50), 1.0) * np.exp(
            -3.0 * np.arange(length) / length
        )
        bursts += [random.standard_normal(length) * envelope, np.zeros(RATE_HZ // 8)]
    band = signal.butter(2, (300, 2_500), "bandpass", fs=RATE_HZ, output="sos")
    return _at_level(signal.sosfilt(band, np.concatenate(bursts)), -22.0)


def _clicks(random: np.random.Generator) -> Samples:
    """Five clicks of 3 ms within a second."""
    samples = np.zeros(RATE_HZ)
    for at in random.integers(0, RATE_HZ - 100, 5):
        samples[at : at + 24] = 12_000 * np.exp(-np.arange(24) / 6) * (-1) ** np.arange(24)
    return np.rint(samples).astype(np.int16)


def _noise(random: np.random.Generator, dbfs: float) -> Samples:
    """Two seconds of hiss that sets in at once."""
    return _at_level(random.standard_normal(2 * RATE_HZ), dbfs)


def _at_level(samples: NDArray[np.float64], dbfs: float) -> Samples:
    gain = 10 ** (dbfs / 20) * FULL_SCALE / np.sqrt(np.mean(samples**2))
    levelled: Samples = np.clip(np.rint(samples * gain), -32_000, 32_000).astype(np.int16)
    return levelled


async def _react(carrier: Simulator, number: int, sound: Sound) -> Reaction | None:
    """Holds one call; None if the persona did not speak, or not for long enough."""
    call = await carrier.dial(f"+{15_550_120_000 + number}", "+15550100002")
    handset = call.handset
    start_ms = None
    # A persona who took the sound for a goodbye hangs up, and has reacted all the same.
    with suppress(HungUp, TimeoutError):
        async with asyncio.timeout(_CALL_S):
            least_ms, most_ms = _FIRST_SPEECH_MS
            await handset.speech(least_ms + 137 * number % (most_ms - least_ms), within_ms=_CONNECT_MS)
            start_ms = await _make(handset, sound)
            await handset.wait(_WATCHED_MS)
    handset.hang_up()
    await call.ended
    return None if start_ms is None else _reaction(handset, sound, start_ms)


async def _make(handset: Handset, sound: Sound) -> float:
    """Makes the sound; returns when its first audible moment was."""
    if sound.samples is not None:
        said = await handset.say(sound.samples)
        first_ms, _ = sound_bounds_ms(sound.samples, RATE_HZ) or (0, 0)
        return said.start_ms + first_ms
    start_ms = handset.now_ms
    gain, delay = 10 ** (sound.echo_db / 20), sound.echo_ms * RATE_HZ // 1_000
    while handset.now_ms < start_ms + _ECHO_MS:
        heard = handset.heard[-delay - _FRAME : len(handset.heard) - delay]
        await handset.say(np.rint(heard * gain).astype(np.int16))
    return start_ms


def _reaction(handset: Handset, sound: Sound, start_ms: float) -> Reaction:
    sound_ms = _ECHO_MS if sound.samples is None else len(sound.samples) * 1_000 / RATE_HZ
    clears_ms = [event.at_ms for event in handset.events if event.kind == "clear"]
    cleared_ms = [at_ms for at_ms in clears_ms if start_ms <= at_ms < start_ms + sound_ms + _WITHIN_MS]
    if not cleared_ms:
        return Reaction(sound, None, None, goes_on=False)
    speech = segments(handset.heard, merge_ms=100)
    before = [each.end_ms for each in speech if each.start_ms < cleared_ms[0]]
    after = [each.end_ms - each.start_ms for each in speech if each.start_ms >= cleared_ms[0]]
    return Reaction(
        sound,
        clear_ms=cleared_ms[0] - start_ms,
        silent_ms=max(0.0, before[-1] - start_ms) if before else 0.0,
        goes_on=sum(after) >= _GOES_ON_MS,
    )


async def _run(carrier: SimulatorSettings, made: Sequence[Sound]) -> list[Reaction]:
    """A few calls at once, each with one sound."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(simulator: Simulator, number: int, sound: Sound) -> Reaction | None:
        async with free:
            return await _react(simulator, number, sound)

    async with open_simulator(carrier) as simulator, asyncio.TaskGroup() as calls:
        tasks = [calls.create_task(one(simulator, *each), name=each[1].name) for each in enumerate(made)]
    return [reaction for task in tasks if (reaction := task.result()) is not None]


@asynccontextmanager
async def _rolecall(folder: Path) -> AsyncIterator[SimulatorSettings]:
    home = folder / "home"
    settings = load_settings().model_copy(
        update={"home": home, "database_url": SecretStr(f"sqlite:///{home}/rolecall.db")}
    )
    settings = settings.model_copy(
        update={"scenarios": settings.scenarios.model_copy(update={"folder": folder})}
    )
    options = SimulateOptions(calls=_AT_ONCE, scenario=_SCENARIO)
    async with open_local_server(for_trainees(settings, options)) as server:
        yield server.carrier(seed=1)


@asynccontextmanager
async def _plain_pipecat(folder: Path) -> AsyncIterator[SimulatorSettings]:
    async with harness.open_plain_server("--scenario", str(folder / _SCENARIO)) as server:
        yield SimulatorSettings(
            account_sid="AC" + "0" * 32,
            auth_token="nobody checks",
            public_url=PUBLIC_URL,
            target=server.url,
            seed=1,
        )


def _write_scenario(folder: Path) -> None:
    """The model scenario with an opening that takes half a minute."""
    document = yaml.safe_load(_MODEL_SCENARIO.read_text())
    document |= {"id": _SCENARIO, "opening": [_OPENING]}
    (folder / f"{_SCENARIO}.yaml").write_text(yaml.safe_dump(document))


async def _measure(quick: bool) -> Report:
    with open_espeak() as espeak:
        made = sounds(
            espeak,
            barge_ins=_BARGE_INS_QUICK if quick else _BARGE_INS,
            each=_EACH_QUICK if quick else _EACH,
        )
    reactions: dict[str, list[Reaction]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_scenario(folder)
        servers: dict[str, Callable[[], AbstractAsyncContextManager[SimulatorSettings]]] = {
            "rolecall": partial(_rolecall, folder),
            "plain_pipecat": partial(_plain_pipecat, folder),
        }
        for system, open_server in servers.items():
            async with open_server() as carrier:
                reactions[system] = await _run(carrier, made)
    return _report(reactions, len(made))


def _report(reactions: dict[str, list[Reaction]], made: int) -> Report:
    figures = {system: _figures(found) for system, found in reactions.items()}
    ours, plain = figures["rolecall"], figures["plain_pipecat"]
    targets = [
        Target("first syllable to clear, p95", (ours["clear_ms"] or {}).get("p95"), TARGET_MS, "ms"),
        Target("barge-ins missed", ours["missed"], 0),
        Target("calls that could not be measured", made - ours["calls"], 0),
        Target("turns lost to other sounds, beside plain Pipecat's", ours["lost"], plain["lost"]),
    ]
    return Report(figures, targets, [_barge_ins(figures), _others(figures)])


def _figures(found: Sequence[Reaction]) -> dict[str, Any]:
    wanted = [each for each in found if each.sound.kind == BARGE_IN]
    kinds = dict.fromkeys(each.sound.kind for each in found if each.sound.kind != BARGE_IN)
    others = {kind: _stops([each for each in found if each.sound.kind == kind]) for kind in kinds}
    return {
        "calls": len(found),
        "barge_ins": len(wanted),
        "missed": sum(each.clear_ms is None for each in wanted),
        "clear_ms": harness.spread([each.clear_ms for each in wanted if each.clear_ms is not None]),
        "silent_ms": harness.spread([each.silent_ms for each in wanted if each.silent_ms is not None]),
        "others": others,
        "lost": sum(each["stopped"] - each["went_on"] for each in others.values()),
    }


def _stops(found: Sequence[Reaction]) -> dict[str, int]:
    stopped = [each for each in found if each.clear_ms is not None]
    return {
        "sounds": len(found),
        "stopped": len(stopped),
        "went_on": sum(each.goes_on for each in stopped),
    }


def _barge_ins(figures: dict[str, dict[str, Any]]) -> Table:
    found = harness.table(
        "the trainee cuts in", "count", "missed", "clear p50 ms", "p95", "silence p50 ms", "p95"
    )
    for system, each in figures.items():
        _, *clear = harness.cells(each["clear_ms"])
        _, *silent = harness.cells(each["silent_ms"])
        found.add_row(system.replace("_", " "), str(each["barge_ins"]), str(each["missed"]), *clear, *silent)
    return found


def _others(figures: dict[str, dict[str, Any]]) -> Table:
    found = harness.table("other sounds", "", "made", "persona stopped", "and went on")
    for kind in figures["rolecall"]["others"]:
        for system, each in figures.items():
            found.add_row(
                kind if system == "rolecall" else "",
                system.replace("_", " "),
                *(str(count) for count in each["others"].get(kind, {}).values()),
            )
    return found


if __name__ == "__main__":
    sys.exit(harness.run(__doc__ or "", _measure))
