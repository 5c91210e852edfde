"""Noise reduction: quality, delay and cost of ours beside libraries, over mu-law.

A talker with pauses, in noise, coded by mu-law. Every engine gets the same samples block by block; what it
returns is moved back by its measured delay and judged against the speech without noise, after three seconds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np
from livekit import rtc
from noisereduce import reduce_noise  # type: ignore[import-untyped]
from numpy.typing import NDArray
from pyrnnoise import rnnoise  # type: ignore[import-untyped]
from rich.table import Table
from scipy import signal

from audio.blocks import BLOCK, RATE_HZ, Block, to_block, to_samples
from audio.noise import NOISE_REDUCERS, NoiseReducer
from audio.speexdsp import SpeexPreprocess, open_speexdsp
from benchmarks.front_end import signals
from benchmarks.front_end.section import Section
from benchmarks.front_end.signals import Corpus, Sound
from benchmarks.harness import Target, table

Process = Callable[[Block], Block]

_KINDS: Final = ("white", "car", "babble")
_SNRS_DB: Final = (0, 5, 10, 15)
_QUICK_SNRS_DB: Final = (10,)
_CLEAN_SNR_DB: Final = 60
_TALKERS, _SECONDS = 3, 9.0
_QUICK_TALKERS, _QUICK_SECONDS = 2, 7.0
_PAUSE_S: Final = 0.7
_SETTLED_S: Final = 3.0
_LONGEST_DELAY: Final = 400 * RATE_HZ // 1_000
_CLEAN: Final = "clean"
_NOISY: Final = "noisy"
_UPSAMPLED: Final = 6
_TIMED_BLOCKS: Final = 300
_ROUNDS: Final = 7

_RNNOISE: Final = "RNNoise, 48 kHz"
_NON_STATIONARY: Final = "noisereduce, non-stationary"
_COSTLY: Final = ("noisereduce", _NON_STATIONARY, _RNNOISE)
"""Milliseconds a block: fewer of them tell as much."""

_PESQ_GAIN: Final = 0.45
_STOI_LOSS: Final = 0.015
_DELAY_MS: Final = 10.0
_SPEEX_US, _LIMIT_US = 17.0, 50.0
_COST: Final = _LIMIT_US / _SPEEX_US
"""50 us where SpeexDSP's preprocessor took 17, on one machine: as a ratio it holds on any."""
_REFERENCE: Final = "speex preprocess alone"


@dataclass(frozen=True, slots=True)
class _Figures:
    """What one engine made of one sound. `pause_db`: how much quieter the pauses are than they came in."""

    pesq: float
    stoi: float
    si_sdr_db: float
    pause_db: float


def measure(corpus: Corpus, *, quick: bool) -> Section:
    """Quality over noises, their levels and talkers; damage to clean speech; delay; microseconds a block."""
    engines = _engines()
    talkers = min(_QUICK_TALKERS if quick else _TALKERS, len(corpus.talkers))
    seconds = _QUICK_SECONDS if quick else _SECONDS
    snrs_db = _QUICK_SNRS_DB if quick else _SNRS_DB
    cells = {f"{kind} {snr_db} dB": (kind, snr_db) for kind, snr_db in product(_KINDS, snrs_db)}
    cells[_CLEAN] = ("white", _CLEAN_SNR_DB)
    delays = {name: _delay(make(), corpus) for name, make in engines.items()}
    found = {
        name: _mean_by_engine(
            engines, delays, [_scene(corpus, talker, *cell, seconds) for talker in range(talkers)]
        )
        for name, cell in cells.items()
    }
    costs_us = _costs_us(engines, corpus)
    document: dict[str, Any] = {
        "cells": {cell: {name: _rounded(row[name]) for name in engines} for cell, row in found.items()},
        "delay_ms": {name: _ms(delay) for name, delay in delays.items()},
        "cost_us": {name: round(cost, 1) for name, cost in costs_us.items()},
        "default": _default(),
    }
    notes = [
        f"Noise: means over talkers. 'clean' has white noise {_CLEAN_SNR_DB} dB below it. RNNoise costs "
        f"without its resampling to 48 kHz and back; {_REFERENCE} is the library's two calls a block.",
    ]
    return Section(document, _targets(found, delays, costs_us), _tables(found, delays, costs_us), notes)


def _default() -> str:
    """The engine that `auto` takes here."""
    return "speex" if open_speexdsp() is not None else "spectral"


def _engines() -> dict[str, Callable[[], Process]]:
    """How to make each engine, by name."""
    ours = {
        name: make for name, make in NOISE_REDUCERS.items() if name != "speex" or open_speexdsp() is not None
    }
    found: dict[str, Callable[[], Process]] = {_NOISY: lambda: lambda block: block}
    found |= {name: partial(_ours, make) for name, make in ours.items()}
    return found | {
        _NON_STATIONARY: _non_stationary,
        "WebRTC (livekit)": _webrtc,
        _RNNOISE: _rnnoise,
    }


def _ours(make: Callable[[], NoiseReducer]) -> Process:
    return make().process


def _non_stationary() -> Process:
    """The package's own default, over the last second for each block."""
    heard = np.zeros(RATE_HZ, np.float32)

    def process(block: Block) -> Block:
        heard[:-BLOCK] = heard[BLOCK:]
        heard[-BLOCK:] = block
        cleaned = reduce_noise(heard, sr=RATE_HZ, stationary=False, n_fft=256, padding=0, use_tqdm=False)
        return np.asarray(cleaned[-BLOCK:], np.float32)

    return process


def _webrtc() -> Process:
    """WebRTC's noise suppression as livekit ships it, in frames of 10 ms."""
    apm, half = rtc.AudioProcessingModule(noise_suppression=True), BLOCK // 2

    def process(block: Block) -> Block:
        samples, found = to_samples(block), np.empty(BLOCK, np.int16)
        for at in (0, half):
            frame = rtc.AudioFrame(samples[at : at + half].tobytes(), RATE_HZ, 1, half)
            apm.process_stream(frame)
            found[at : at + half] = np.frombuffer(frame.data, np.int16)
        return to_block(found)

    return process


class _Rnnoise:
    """RNNoise at its own rate, with a short polyphase resampler on either side: by 6 up, and down again."""

    _HALF: Final = 8 * _UPSAMPLED

    def __init__(self) -> None:
        self._state = rnnoise.create()
        self._taps = signal.firwin(2 * self._HALF + 1, 1 / _UPSAMPLED, window=("kaiser", 6.0))
        self._narrow, self._wide = np.zeros(2 * self._HALF), np.zeros(2 * self._HALF)

    def __call__(self, block: Block) -> Block:
        wide = np.zeros(BLOCK * _UPSAMPLED)
        wide[::_UPSAMPLED] = block * _UPSAMPLED
        self._narrow = np.concatenate([self._narrow[-2 * self._HALF :], wide])
        found = self.denoised(np.convolve(self._narrow, self._taps, "valid"))
        self._wide = np.concatenate([self._wide[-2 * self._HALF :], found])
        return np.convolve(self._wide, self._taps, "valid")[::_UPSAMPLED].astype(np.float32)

    def denoised(self, wide: NDArray[np.float64]) -> NDArray[np.float64]:
        """Takes and returns 20 ms at 48 kHz."""
        samples = to_samples(wide.astype(np.float32)).reshape(2, -1)
        return (
            np.concatenate([rnnoise.process_mono_frame(self._state, frame)[0] for frame in samples]) / 32_768
        )


def _rnnoise() -> Process:
    return _Rnnoise()


def _preprocess() -> Process:
    """The library alone: what a block costs without what is around it."""
    library = open_speexdsp()
    assert library is not None, "the reference for costs is libspeexdsp (Debian: libspeexdsp1)"
    preprocess, half = SpeexPreprocess(library), BLOCK // 2
    halves = np.zeros((2, half), np.int16)

    def process(block: Block) -> Block:
        halves.reshape(-1)[:] = block * 32_767
        for samples in halves:
            preprocess.process(samples)
        return block

    return process


def _scene(corpus: Corpus, talker: int, kind: str, snr_db: float, seconds: float) -> tuple[Sound, Sound]:
    """Speech with pauses, and what arrives of it through noise."""
    spoken = corpus.speech(talker, seconds - _PAUSE_S, pause_s=_PAUSE_S)
    clean = np.concatenate([spoken, np.zeros(round(_PAUSE_S * RATE_HZ))])
    noise = signals.noise(kind, len(clean), corpus, seed=40 + talker)
    return clean, signals.through_ulaw(clean + noise * 10 ** ((signals.SPEECH_DBFS - snr_db) / 20))


def _heard(process: Process, arrived: Sound, delay: int) -> Sound:
    """All that comes out, moved back by `delay` samples; as much shorter than what arrived."""
    return np.concatenate([process(block) for block in signals.blocks(arrived)])[delay:].astype(np.float64)


def _delay(process: Process, corpus: Corpus) -> int:
    """By how many samples clean speech comes out later: where the two fit best."""
    clean = signals.through_ulaw(corpus.speech(0, _SECONDS, pause_s=_PAUSE_S))
    found = _heard(process, clean, 0)
    fit = signal.correlate(found, clean[: len(found)], method="fft")[len(found) - 1 :]
    return int(np.argmax(fit[:_LONGEST_DELAY]))


def _mean_by_engine(
    engines: Mapping[str, Callable[[], Process]],
    delays: Mapping[str, int],
    scenes: Sequence[tuple[Sound, Sound]],
) -> dict[str, _Figures]:
    found = {}
    for name, make in engines.items():
        rows = [_judged(make(), delays[name], *scene) for scene in scenes]
        found[name] = _Figures(*np.mean(rows, axis=0).tolist())
    return found


def _judged(process: Process, delay: int, clean: Sound, arrived: Sound) -> tuple[float, float, float, float]:
    found = _heard(process, arrived, delay)
    start, end = round(_SETTLED_S * RATE_HZ), len(found)
    spoken, before, after = clean[start:end], arrived[start:end], found[start:]
    still = np.convolve(np.abs(spoken), np.ones(BLOCK), "same") == 0
    still &= np.roll(still, BLOCK) & np.roll(still, 2 * BLOCK)
    return (
        signals.pesq_nb(spoken, after),
        signals.stoi(spoken, after),
        signals.si_sdr_db(spoken, after),
        float(10 * np.log10((np.mean(before[still] ** 2) + 1e-12) / (np.mean(after[still] ** 2) + 1e-12))),
    )


def _costs_us(engines: Mapping[str, Callable[[], Process]], corpus: Corpus) -> dict[str, float]:
    """Medians over rounds in which all take turns, so that what else the machine does falls on all alike."""
    made = {name: make() for name, make in engines.items() if name != _NOISY}
    if open_speexdsp() is not None:
        made[_REFERENCE] = _preprocess()
    if isinstance(made[_RNNOISE], _Rnnoise):
        wide, denoised = np.zeros(BLOCK * _UPSAMPLED), made[_RNNOISE].denoised
        made[_RNNOISE] = lambda block: denoised(wide + block[0]).astype(np.float32)
    _, arrived = _scene(corpus, 0, "white", 10, _SECONDS)
    given = signals.blocks(arrived)[:_TIMED_BLOCKS]
    spent: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(_ROUNDS):
        for name, process in made.items():
            blocks = given[:25] if name in _COSTLY else given
            process(given[0])
            began_ns = time.perf_counter_ns()
            for block in blocks:
                process(block)
            spent[name].append((time.perf_counter_ns() - began_ns) / 1_000 / len(blocks))
    return {name: float(np.median(values)) for name, values in spent.items()}


def _targets(
    found: Mapping[str, Mapping[str, _Figures]], delays: Mapping[str, int], costs_us: Mapping[str, float]
) -> list[Target]:
    name = _default()
    targets = [
        Target(
            f"noise, {name}, {kind} 10 dB, above noisy",
            round(found[f"{kind} 10 dB"][name].pesq - found[f"{kind} 10 dB"][_NOISY].pesq, 3),
            _PESQ_GAIN,
            "PESQ",
            at_least=True,
        )
        for kind in ("white", "car")
    ]
    losses = {
        cell: row[_NOISY].stoi - row[name].stoi
        for cell, row in found.items()
        if cell not in ("babble 0 dB", "babble 5 dB")
    }
    worst = max(losses, key=lambda cell: losses[cell])
    targets.append(Target(f"noise, {name}, STOI lost at most ({worst})", round(losses[worst], 4), _STOI_LOSS))
    for engine in dict.fromkeys((name, "spectral")):
        reference_us = costs_us.get(_REFERENCE)
        ratio = None if reference_us is None else round(costs_us[engine] / reference_us, 2)
        targets += [
            Target(f"noise, {engine}, delay", _ms(delays[engine]), _DELAY_MS, "ms"),
            Target(f"noise, {engine}, cost of a block over {_REFERENCE}", ratio, round(_COST, 2)),
        ]
    return targets


def _tables(
    found: Mapping[str, Mapping[str, _Figures]], delays: Mapping[str, int], costs_us: Mapping[str, float]
) -> list[Table]:
    tables = []
    for kind in (*_KINDS, _CLEAN):
        cells = {cell: row for cell, row in found.items() if cell.startswith(kind)}
        quality = table("Noise reduction, PESQ / STOI", *cells)
        for name in delays:
            quality.add_row(name, *(f"{row[name].pesq:.2f} / {row[name].stoi:.3f}" for row in cells.values()))
        tables.append(quality)
    judged = {cell: row for cell, row in found.items() if cell in (f"{kind} 10 dB" for kind in _KINDS)}
    strength = table("Noise reduction, SI-SDR / quieter in pauses, dB", *judged)
    for name in delays:
        strength.add_row(
            name, *(f"{row[name].si_sdr_db:.1f} / {row[name].pause_db:.0f}" for row in judged.values())
        )
    cost = table("Noise reduction, a block of 20 ms", "delay, ms", "us")
    for name, cost_us in costs_us.items():
        delay = _ms(delays[name]) if name in delays else _ms(BLOCK // 2)
        cost.add_row(name, f"{delay:g}", f"{cost_us:.0f}")
    return [*tables, strength, cost]


def _rounded(figures: _Figures) -> dict[str, float]:
    return {
        "pesq": round(figures.pesq, 3),
        "stoi": round(figures.stoi, 4),
        "si_sdr_db": round(figures.si_sdr_db, 2),
        "pause_db": round(figures.pause_db, 1),
    }


def _ms(samples: int) -> float:
    return samples * 1_000 / RATE_HZ
