"""A trainee who is not there: speaks lines, or a recording, into a simulated handset at the right moments."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.errors import ConfigError
from agent.scenario import Scenario
from agent.speech import Synthesiser
from audio import ulaw
from audio.levels import sound_bounds_ms
from pipelines.engines.telephone import to_telephone
from rolecall.sound_file import read_telephone
from telephony.simulator import Handset, HungUp

PERSONA_DONE_MS: Final = 700
"""How long the persona has to be silent before the trainee takes it that it is their turn."""

_PATIENCE_MS: Final = 15_000
_FAREWELL_MS: Final = 1_500
_PAUSE_BETWEEN_TURNS_MS: Final = 900
_LEVEL_DBFS: Final = -20.0


@dataclass(frozen=True, slots=True)
class Line:
    """Something to say: int16 mono at 8 kHz; `interrupt_after_ms` into the persona's speech, if set."""

    samples: NDArray[np.int16]
    text: str = ""
    interrupt_after_ms: int | None = None


def scripted(scenario: Scenario, synthesiser: Synthesiser) -> list[Line]:
    """The scenario's simulated trainee, spoken. Blocking. Raises ConfigError if it has no lines."""
    if not scenario.simulation.lines:
        raise ConfigError(
            f"the scenario {scenario.id} has no simulated trainee", hint="Give it lines under simulation"
        )
    voice = scenario.simulation.voice
    return [
        Line(
            _at_level(to_telephone(synthesiser.synthesise(line.say, voice)).samples),
            line.say,
            line.interrupt_after_ms,
        )
        for line in scenario.simulation.lines
    ]


def recorded(path: Path) -> list[Line]:
    """A WAV of a real trainee, cut into turns where it is silent for long. Blocking. Raises ConfigError."""
    samples = read_telephone(path)
    turns = [Line(_at_level(turn)) for turn in _turns(samples)]
    if not turns:
        raise ConfigError(f"{path} holds no speech", hint="Record somebody speaking, as a PCM WAV file")
    return turns


async def rehearse(handset: Handset, lines: Sequence[Line]) -> None:
    """Says the lines in turn, each when the persona has finished; hangs up if the persona does not."""
    with suppress(HungUp):
        for number, line in enumerate(lines):
            with suppress(TimeoutError):
                if line.interrupt_after_ms is None or number == 0:
                    await handset.quiet(PERSONA_DONE_MS, within_ms=_PATIENCE_MS)
                else:
                    await handset.speech(line.interrupt_after_ms, within_ms=_PATIENCE_MS)
            await handset.say(line.samples)
        with suppress(TimeoutError):
            await handset.quiet(PERSONA_DONE_MS, within_ms=_PATIENCE_MS)
        await handset.wait(_FAREWELL_MS)
        handset.hang_up()


def _at_level(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Brings speech to a usual level on the phone, without clipping."""
    wanted = 32_768 * 10 ** (_LEVEL_DBFS / 20) / max(1.0, float(np.sqrt(np.mean(samples.astype(float) ** 2))))
    gain = min(wanted, 32_000 / max(1, int(np.abs(samples.astype(np.int32)).max(initial=0))))
    levelled: NDArray[np.int16] = np.rint(samples * gain).astype(np.int16)
    return levelled


def _turns(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    """Cuts at pauses longer than those within a turn; what is left keeps its own pauses."""
    block = ulaw.RATE_HZ // 50
    blocks = [samples[at : at + block] for at in range(0, len(samples), block)]
    loudest = max((float(np.mean(np.square(each, dtype=np.float64))) for each in blocks), default=0.0)
    active = [
        index
        for index, each in enumerate(blocks)
        if np.mean(np.square(each, dtype=np.float64)) > loudest * 1e-3
    ]
    turns: list[list[int]] = []
    for index in active:
        if turns and (index - turns[-1][1]) * 20 < _PAUSE_BETWEEN_TURNS_MS:
            turns[-1][1] = index
        else:
            turns.append([index, index])
    cut = [samples[first * block : (last + 1) * block] for first, last in turns]
    return [turn for turn in cut if sound_bounds_ms(turn, ulaw.RATE_HZ)]
