"""A trainee's script with hesitations in it, and a recogniser that knows the script and costs nothing."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.scenario import Scenario, load_scenario
from agent.speech import Recogniser, Recognition
from audio.levels import sound_bounds_ms
from pipelines.engines import factories
from pipelines.engines.espeak import Espeak, open_espeak
from pipelines.engines.loading import Recognisers, RecogniserSettings, Rung
from pipelines.engines.telephone import to_telephone
from rolecall.settings import CHECKOUT

ENGINE: Final = "scripted"
SCENARIO: Final = "cold-call"
_RATE_HZ: Final = 8_000
_LEVEL: Final = 0.6
_HESITATIONS_MS: Final = (400, 700, 1_000, 1_300)
_EVERY: Final = 3
"""Every third line is said with a hesitation in its middle."""
_BLOCK_MS: Final = 20
_FLOOR_DB: Final = -60.0
_WORD_MS: Final = 120
"""By how much sound may be shorter than the words in it: their ends are soft."""


@dataclass(frozen=True, slots=True)
class ScriptedLine:
    """One line as sound, int16 mono at 8 kHz, without silence around it.

    `words` are (text, end of its sound in ms), `pauses_ms` start and end of each hesitation.
    """

    text: str
    samples: NDArray[np.int16]
    words: tuple[tuple[str, int], ...]
    pauses_ms: tuple[tuple[int, int], ...] = ()


def script(scenario: Scenario, espeak: Espeak) -> list[ScriptedLine]:
    """The scenario's simulated trainee, hesitating now and then."""
    lines = []
    for number, line in enumerate(scenario.simulation.lines):
        speech = to_telephone(espeak.synthesise(line.say, scenario.simulation.voice))
        samples = np.rint(speech.samples * _LEVEL).astype(np.int16)
        words = [(word.text, word.end_ms) for word in speech.words]
        pause: tuple[tuple[int, int], ...] = ()
        if number % _EVERY == 1 and len(words) >= 4:
            length_ms = _HESITATIONS_MS[number // _EVERY % len(_HESITATIONS_MS)]
            middle = len(words) // 2
            at_ms = words[middle - 1][1]
            at = at_ms * _RATE_HZ // 1_000
            silence = np.zeros(length_ms * _RATE_HZ // 1_000, np.int16)
            samples = np.concatenate([samples[:at], silence, samples[at:]])
            words = words[:middle] + [(text, end_ms + length_ms) for text, end_ms in words[middle:]]
            pause = ((at_ms, at_ms + length_ms),)
        bounds = sound_bounds_ms(samples, _RATE_HZ)
        assert bounds is not None, "a line can be heard"
        lines.append(ScriptedLine(line.say, samples[: bounds[1] * _RATE_HZ // 1_000], tuple(words), pause))
    return lines


class ScriptedRecogniser:
    """Writes down what of the script it hears, by the outline of its loudness; takes about a millisecond."""

    engine = ENGINE
    model = ""
    remote = False

    def __init__(self, lines: Sequence[ScriptedLine]) -> None:
        self._lines = [
            (line, start_ms, _outline(line.samples[start_ms * _RATE_HZ // 1_000 :], _RATE_HZ))
            for line in lines
            for start_ms in (0, *(end_ms for _, end_ms in line.pauses_ms))
        ]

    def for_call(
        self, scenario_version: str, expected_lines: Sequence[str], languages: Sequence[str] = ("en",)
    ) -> Recogniser:
        """Itself."""
        return self

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """The words of the line that sounds like `audio`, as far as they were said; "" if none does."""
        samples = np.rint(audio * 32_767).astype(np.int16)
        bounds = sound_bounds_ms(samples, 16_000)
        if bounds is None:
            return Recognition("", None)
        heard = _outline(samples[bounds[0] * 16 : bounds[1] * 16], 16_000)
        line, start_ms, _ = min(self._lines, key=lambda each: _distance(heard, each[2]))
        until_ms = start_ms + bounds[1] - bounds[0] + _WORD_MS
        said = [text for text, end_ms in line.words if start_ms < end_ms <= until_ms]
        return Recognition(" ".join(said), 1.0 if said else None)


def register() -> None:
    """Puts the recogniser on the ladder under the name "scripted"."""

    def load(_settings: RecogniserSettings, _resources: ExitStack) -> Rung[Recognisers]:
        scenario = load_scenario(CHECKOUT / "scenarios" / f"{SCENARIO}.yaml")
        with open_espeak() as espeak:
            return Rung(ScriptedRecogniser(script(scenario, espeak)), "knows the script")

    factories.RECOGNISERS[ENGINE] = load


def _outline(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.float64]:
    """Loudness in dB, block by block."""
    length = rate_hz * _BLOCK_MS // 1_000
    count = len(samples) // length
    power = np.mean(np.square(samples[: count * length].reshape(count, length) / 32_768.0), axis=1)
    return np.maximum(10 * np.log10(np.maximum(power, 1e-12)), _FLOOR_DB)


def _distance(heard: NDArray[np.float64], line: NDArray[np.float64]) -> float:
    """How unlike the beginning of a line is to what was heard, in dB; too short a line is no match."""
    best = float("inf")
    for shift in range(-3, 4):
        ours, theirs = heard[max(0, shift) :], line[max(0, -shift) :]
        length = min(len(ours), len(theirs))
        if length and len(ours) - len(theirs) <= 5:
            best = min(best, float(np.mean(np.abs(ours[:length] - theirs[:length]))))
    return best
