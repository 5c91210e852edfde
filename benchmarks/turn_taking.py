"""Pauses and ends of turns told apart: rolecall beside Pipecat's defaults, on the same labelled turns.

Both hear every turn of labelled_pauses.py in blocks of 20 ms, on the audio's own clock, with their real
detectors and models; the time that a model takes is measured and added, as processor time, so that other
work on the machine changes nothing. rolecall is charged for its recogniser, whose words it weighs; Pipecat is
not, though its turns wait for one too.

    uv run python benchmarks/turn_taking.py [--quick] [--json]
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import monotonic, process_time
from typing import Any, Final

import numpy as np
from loguru import logger
from numpy.typing import NDArray
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState
from rich.table import Table

from agent.speech import Recogniser
from agent.turn_end import Step, TurnTaker, TurnTiming
from benchmarks import harness
from benchmarks.harness import Report, Target
from benchmarks.labelled_pauses import AFTER_MS, RATE_HZ, Kind, LabelledTurn, labelled_turns
from pipelines.engines.espeak import open_espeak
from pipelines.engines.whisper import Whisper, WhisperOptions
from pipelines.turns import SmartTurn, TurnModels, VoiceDetector, load_turn_models
from rolecall.demo import TRAINEE_MODEL
from rolecall.settings import load_settings

TARGET_RATIO: Final = 0.6
"""rolecall's median latency over Pipecat's, at most."""
MISSED_AFTER_MS: Final = 1_500
"""A turn that is not taken for over by then has been missed."""

_TAKES: Final = 2
_TAKES_QUICK: Final = 1
_BLOCK_MS: Final = 20
_PER_MS: Final = RATE_HZ // 1_000
_LEAD_MS: Final = 500
_JUDGED_MS: Final = 8_000
_BEFORE: Final = "Hello."
"""Each turn is one in mid-call: the recogniser was understood before, so it is known to punctuate."""
_CLICK_MS: Final = 40
"""The pause is over once the speech behind it has been heard for so long."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What a detector did with a labelled silence. `latency_ms` is None where it is a pause within a turn."""

    kind: Kind
    noise: str
    cut: bool
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a detector did with a turn. `elsewhere`: how often it ended it outside of all labelled pauses."""

    silences: tuple[Silence, ...]
    elsewhere: int


class PlainPipecat:
    """Pipecat's documented defaults, as its strategy runs them: Silero, 0.2 s of silence, then smart turn.

    What smart turn does not take for complete ends after 3 s of silence. The transcript that the strategy
    waits for is left out, in Pipecat's favour.
    """

    def __init__(self) -> None:
        self._analyzer = _OnAudioClock()

    async def hear(self, turn: LabelledTurn) -> list[float]:
        """Returns when it took the turn for over."""
        vad = SileroVADAnalyzer()
        vad.set_sample_rate(RATE_HZ)
        self._analyzer.clear()  # type: ignore[no-untyped-call]
        ends_ms: list[float] = []
        speaking = False
        for at_ms, block in _blocks(turn.samples):
            state = vad._run_analyzer(block)
            if state is VADState.SPEAKING and not speaking:
                speaking = True
                self._analyzer.update_vad_start_secs(vad.params.start_secs)
            elif state is VADState.QUIET and speaking:
                speaking = False
                started_s = process_time()
                if self._analyzer.judge() is EndOfTurnState.COMPLETE:
                    ends_ms.append(at_ms + _elapsed_ms(started_s))
            if self._analyzer.append_audio(block, speaking) is EndOfTurnState.COMPLETE:
                ends_ms.append(at_ms)
        await vad.cleanup()
        return ends_ms


class _OnAudioClock(LocalSmartTurnAnalyzerV3):
    """Pipecat's analyzer for audio that arrives faster than it was spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.set_sample_rate(RATE_HZ)
        self._heard_s = monotonic()

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        """Dates the audio by what was heard before it."""
        begins = is_speech and not self._speech_start_time
        self._heard_s += _BLOCK_MS / 1_000
        state = super().append_audio(buffer, is_speech)
        if self._audio_buffer:
            self._audio_buffer[-1] = (self._heard_s, self._audio_buffer[-1][1])
        if begins:
            self._speech_start_time = self._heard_s  # type: ignore[assignment]
        return state

    def judge(self) -> EndOfTurnState:
        """What `analyze_end_of_turn` does, on this thread."""
        state, _ = self._process_speech_segment(self._audio_buffer)
        if state is EndOfTurnState.COMPLETE:
            self._clear(state)
        return EndOfTurnState(state)


class Rolecall:
    """The product's own detectors, models and policy, fed as `pipelines.listening` feeds them."""

    def __init__(self, models: TurnModels, recogniser: Recogniser, timing: TurnTiming) -> None:
        self._models = models
        self._smart_turn = SmartTurn(models)
        self._recogniser = recogniser
        self._timing = timing
        self.judging_ms: list[float] = []
        self.recognising_ms: list[float] = []

    async def hear(self, turn: LabelledTurn) -> list[float]:
        """Returns when it took the turn for over."""
        voice, taker = VoiceDetector(self._models), TurnTaker(self._timing)
        taker.understood(_BEFORE)
        ends_ms: list[float] = []
        verdicts: list[_Verdict] = []
        began_ms = 0
        for at_ms, block in _blocks(turn.samples):
            for verdict in [each for each in verdicts if each.at_ms < at_ms]:
                verdicts.remove(verdict)
                if verdict.deliver() is Step.ENDS:
                    ends_ms.append(verdict.at_ms)
            match taker.hear(sounding=voice.process(block), certain=voice.certain, persona_audible=False):
                case Step.BEGINS:
                    began_ms = max(0, at_ms - self._timing.start_ms - _LEAD_MS)
                case Step.PAUSES:
                    heard = turn.samples[began_ms * _PER_MS : at_ms * _PER_MS]
                    verdicts = await self._consider(taker, at_ms, heard)
                case Step.RESUMES:
                    verdicts = []
                case Step.ENDS:
                    ends_ms.append(at_ms)
        await voice.cleanup()  # type: ignore[no-untyped-call]
        return ends_ms

    async def _consider(self, taker: TurnTaker, at_ms: int, heard: NDArray[np.int16]) -> "list[_Verdict]":
        audio = heard.astype(np.float32) / np.float32(32_768)
        started_s = process_time()
        probability = await self._smart_turn.probability(audio[-_JUDGED_MS * _PER_MS :])
        self.judging_ms.append(_elapsed_ms(started_s))
        started_s = process_time()
        text = self._recogniser.recognise(audio).text
        self.recognising_ms.append(_elapsed_ms(started_s))
        verdicts = [
            _Verdict(at_ms + self.judging_ms[-1], partial(taker.judged, probability)),
            _Verdict(at_ms + self.recognising_ms[-1], partial(taker.understood, text)),
        ]
        return sorted(verdicts, key=lambda verdict: verdict.at_ms)


@dataclass(frozen=True, slots=True, eq=False)
class _Verdict:
    """What a model made of a pause, and when it was done with it."""

    at_ms: float
    deliver: Callable[[], Step | None]


async def _measure(quick: bool) -> Report:
    logger.remove()
    with ThreadPoolExecutor(1) as thread, open_espeak() as espeak:
        models = load_turn_models(thread)
        recogniser = Whisper(TRAINEE_MODEL, TRAINEE_MODEL.name, WhisperOptions())
        ours, plain = Rolecall(models, recogniser.for_call("", ()), _timing()), PlainPipecat()
        outcomes: dict[str, list[Outcome]] = {"rolecall": [], "plain_pipecat": []}
        for turn in labelled_turns(espeak, takes=_TAKES_QUICK if quick else _TAKES):
            outcomes["rolecall"].append(_compare(turn, await ours.hear(turn)))
            outcomes["plain_pipecat"].append(_compare(turn, await plain.hear(turn)))
    return _report(outcomes, ours)


def _timing() -> TurnTiming:
    """As configured."""
    turns = load_settings().turns
    return TurnTiming(
        start_ms=turns.start_ms,
        barge_in_ms=turns.barge_in_ms,
        eager_ms=turns.eager_ms,
        shortest_ms=turns.shortest_ms,
        longest_ms=turns.longest_ms,
    )


def _compare(turn: LabelledTurn, ends_ms: Sequence[float]) -> Outcome:
    """Sets the ends that a detector saw against the labels."""
    left = [at_ms for at_ms in ends_ms if at_ms < turn.end_ms]
    last = [at_ms for at_ms in ends_ms if at_ms >= turn.end_ms]
    silences: list[Silence] = []
    for pause in turn.pauses:
        within = [at_ms for at_ms in left if pause.start_ms <= at_ms < pause.end_ms + _CLICK_MS]
        left = [at_ms for at_ms in left if at_ms not in within]
        silences.append(Silence(pause.kind, turn.noise, cut=bool(within)))
    latency_ms = last[0] - turn.end_ms if last else AFTER_MS
    silences.append(Silence(turn.ending, turn.noise, cut=False, latency_ms=latency_ms))
    return Outcome(tuple(silences), elsewhere=len(left))


def _report(outcomes: dict[str, list[Outcome]], rolecall: Rolecall) -> Report:
    figures = {name: _figures(found) for name, found in outcomes.items()}
    ours, plain = figures["rolecall"], figures["plain_pipecat"]
    silences = {name: [each for one in found for each in one.silences] for name, found in outcomes.items()}
    kinds = {name: _by(found, lambda each: each.kind.value) for name, found in silences.items()}
    noises = {name: _by(found, lambda each: each.noise) for name, found in silences.items()}
    ratio = round(ours["latency_ms"]["p50"] / plain["latency_ms"]["p50"], 2)
    document = {
        "turns": len(outcomes["rolecall"]),
        **figures,
        "by_kind": kinds,
        "by_noise": noises,
        "ratio_p50": ratio,
        "judging_ms": harness.spread(rolecall.judging_ms),
        "recognising_ms": harness.spread(rolecall.recognising_ms),
    }
    targets = [
        Target("median latency over plain Pipecat's", ratio, TARGET_RATIO),
        Target("turns cut off, beside plain Pipecat's", ours["cut_offs"], plain["cut_offs"]),
        Target("ends missed, beside plain Pipecat's", ours["missed_ends"], plain["missed_ends"]),
    ]
    work = harness.table("rolecall's work at a pause", "count", "p50 ms", "p95 ms")
    for name in ("judging_ms", "recognising_ms"):
        work.add_row(name.removesuffix("_ms"), *harness.cells(document[name]))
    tables = [_totals(figures), _parts("by kind", kinds), _parts("by noise", noises), work]
    return Report(document, targets, tables)


def _figures(found: Sequence[Outcome]) -> dict[str, Any]:
    silences = [each for one in found for each in one.silences]
    elsewhere = sum(one.elsewhere for one in found)
    parts = _part(silences)
    return parts | {
        "cut_offs": sum(each.cut for each in silences) + elsewhere,
        "cut_offs_outside_labelled_pauses": elsewhere,
    }


def _by(silences: Sequence[Silence], key: Callable[[Silence], str]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(key(each) for each in silences)
    return {name: _part([each for each in silences if key(each) == name]) for name in names}


def _part(silences: Sequence[Silence]) -> dict[str, Any]:
    latencies_ms = [each.latency_ms for each in silences if each.latency_ms is not None]
    return {
        "pauses": len(silences) - len(latencies_ms),
        "pauses_cut": sum(each.cut for each in silences),
        "ends": len(latencies_ms),
        "missed_ends": sum(latency_ms > MISSED_AFTER_MS for latency_ms in latencies_ms),
        "latency_ms": harness.spread(latencies_ms),
    }


def _totals(figures: dict[str, dict[str, Any]]) -> Table:
    found = harness.table(
        "turns that end", "pauses", "cut", "cut elsewhere", "ends", "missed", "p50 ms", "p95 ms"
    )
    for name, part in figures.items():
        cells = _cells(part)
        cells.insert(2, str(part["cut_offs_outside_labelled_pauses"]))
        found.add_row(name.replace("_", " "), *cells)
    return found


def _parts(title: str, systems: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """Each part in two lines, one for each system."""
    found = harness.table(title, "", "pauses", "cut", "ends", "missed", "p50 ms", "p95 ms")
    for name in systems["rolecall"]:
        for system, parts in systems.items():
            found.add_row(
                name if system == "rolecall" else "", system.replace("_", " "), *_cells(parts[name])
            )
    return found


def _cells(part: dict[str, Any]) -> list[str]:
    _, p50, p95 = harness.cells(part["latency_ms"])
    return [
        str(part["pauses"]),
        str(part["pauses_cut"]),
        str(part["ends"]),
        str(part["missed_ends"]),
        p50,
        p95,
    ]


def _blocks(samples: NDArray[np.int16]) -> Iterator[tuple[int, bytes]]:
    """Blocks of 20 ms, each with the time at its end."""
    length = _BLOCK_MS * _PER_MS
    for end in range(length, len(samples) + 1, length):
        yield end // _PER_MS, samples[end - length : end].tobytes()


def _elapsed_ms(started_s: float) -> float:
    return (process_time() - started_s) * 1_000


if __name__ == "__main__":
    sys.exit(harness.run(__doc__ or "", _measure))
