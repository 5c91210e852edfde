"""Echo cancelling: how much is taken away and how soon, what the trainee's voice suffers, and what it costs.

Everything goes through mu-law on both ways. Nothing but the two sounds is given to our canceller; the
references get the true delay, less a margin, but for AEC3, which looks for it itself.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from livekit import rtc
from numba import njit
from numpy.typing import NDArray
from scipy import signal

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, to_block, to_samples
from audio.echo import EchoCanceller
from benchmarks.front_end import signals
from benchmarks.front_end.section import Section
from benchmarks.front_end.signals import Corpus, Sound
from benchmarks.harness import Target, table

Process = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

_ENGINES: Final = ("speex", "adaptive")
_MARGIN_MS: Final = 12.0
_TAIL_MS: Final = 128
_NOISE_DBFS: Final = -71.0
"""A digital line's idle noise, -65 dBm0p (ITU-T G.712)."""
_CODECS: Final = ("none", "amr", "opus")
_PATHS: Final = ((60.0, 12.0, 250), (30.0, 8.0, 120), (100.0, 16.0, 520), (60.0, 10.0, 850), (64.0, 20.0, 40))
"""Tail in ms, echo return loss in dB, delay in ms."""
_SETTLED_S: Final = 9.0
_ECHO_DBFS: Final = -60.0
_SECONDS: Final = 15.0
_ENOUGH_DB: Final = 15.0
_TURN_BLOCKS: Final = 50
_JUMP_MS: Final = 4.0
_FINER: Final = 16


@dataclass(frozen=True)
class Scene:
    """What was played in a call, what came back, and what of that was echo or said by the trainee."""

    far: Sound
    near: Sound
    linear_echo: Sound
    said: Sound
    delay_ms: float

    def erle_db(self, residual: Sound) -> float:
        """The echo return loss enhancement from _SETTLED_S on, where there is an echo."""
        power = np.repeat(np.mean(signals.blocks(self.linear_echo) ** 2, axis=1), BLOCK)
        sounding = power > 10 ** (_ECHO_DBFS / 10)
        sounding[: round(_SETTLED_S * RATE_HZ)] = False
        return signals.erle_db(self.near[: len(power)][sounding], residual[: len(power)][sounding])

    @property
    def limit_db(self) -> float:
        """What taking away exactly the linear echo would reach."""
        return self.erle_db(self.near - self.linear_echo)


def scene(
    corpus: Corpus,
    talker: int,
    path: tuple[float, float, float],
    *,
    codec: str = "none",
    said: Sound | None = None,
    seconds: float = _SECONDS,
) -> Scene:
    """A talker's voice sent, and returned over `path`, with line noise and what the trainee says."""
    tail_ms, loss_db, delay_ms = path
    far = signals.through_ulaw(corpus.speech(talker, seconds, pause_s=0.4))
    echo = signals.echo_of(far, signals.room(tail_ms, seed=talker), loss_db=loss_db, delay_ms=delay_ms)
    returned = echo if codec == "none" else signals.vocoder(echo, codec)[: len(echo)]
    hiss = signals.at_level(signals.noise("white", len(far), corpus, seed=talker), _NOISE_DBFS)
    voice = np.zeros_like(far) if said is None else said
    return Scene(far, signals.through_ulaw(returned + hiss + voice), echo, voice, delay_ms)


@dataclass(frozen=True)
class Heard:
    """What our canceller made of a scene, and when it let its filter in, in seconds (None: never)."""

    linear: Sound
    voice: Sound
    engaged_s: float | None
    locks: Sequence[tuple[float, float]]
    """When a delay was found, in seconds, and which, in ms."""


def hear(engine: str, near: Sound, far: Sound) -> Heard:
    """Runs a new canceller over both sounds."""
    canceller = EchoCanceller(engine)
    linear, voice, locks, engaged_s, last = [], [], [], None, None
    for at, (near_block, far_block) in enumerate(zip(signals.blocks(near), signals.blocks(far), strict=True)):
        one, other = canceller.process(near_block, far_block)
        linear.append(one)
        voice.append(other)
        if engaged_s is None and canceller.engaged:
            engaged_s = at * BLOCK_MS / 1_000
        if canceller.delay_ms is not None and (last is None or abs(canceller.delay_ms - last) > _JUMP_MS):
            locks.append((at * BLOCK_MS / 1_000, canceller.delay_ms))
        last = canceller.delay_ms
    canceller.close()
    joined = (np.concatenate(linear).astype(np.float64), np.concatenate(voice).astype(np.float64))
    return Heard(*joined, engaged_s, locks)


def measure(corpus: Corpus, *, quick: bool) -> Section:
    """Measures all of it; the corpus is cut to a few talkers if `quick`."""
    echo, echo_targets, echo_tables = _echo_taken(corpus, quick=quick)
    delay, delay_targets, delay_tables = _delays(corpus, quick=quick)
    free, free_targets = _without_echo(corpus, minutes=10 if quick else 60)
    both, both_targets, both_tables = _double_talk(corpus, quick=quick)
    cost, cost_targets, cost_tables = _cost(corpus, quick=quick)
    memory, memory_targets = _memory()
    return Section(
        document={
            "cancelling": echo,
            "delay": delay,
            "without_echo": free,
            "double_talk": both,
            "cost": cost,
            "memory": memory,
        },
        targets=[
            *echo_targets,
            *delay_targets,
            *free_targets,
            *both_targets,
            *cost_targets,
            *memory_targets,
        ],
        tables=[*echo_tables, *delay_tables, *both_tables, *cost_tables],
        notes=[
            f"Without an echo, {free['minutes']:g} min of both talking: {free['engaged']} times let in, "
            f"{free['locks']} delays found and dropped, "
            + ("bit for bit the same." if free["bit_exact"] else "NOT the same bit for bit."),
            f"Memory left behind per 1000 calls: ours {memory['ours_mb']:g} MB, "
            f"the wheel {memory['wheel_mb']:g} MB.",
        ],
    )


def _echo_taken(corpus: Corpus, *, quick: bool) -> tuple[dict[str, Any], list[Target], list[Any]]:
    """Echo return loss enhancement when settled, and how soon 15 dB are reached."""
    paths = _PATHS[:3] if quick else _PATHS
    rows: dict[str, dict[str, Any]] = {}
    shown = table(
        f"ERLE (dB) from {_SETTLED_S:g} s on, mean over {len(paths)} echo paths",
        "no codec", "AMR 12.2", "Opus 12", "100 ppm drift",
    )  # fmt: skip
    scenes = {
        codec: [scene(corpus, talker, path, codec=codec) for talker, path in enumerate(paths)]
        for codec in _CODECS
    }
    scenes["drift"] = [_drifting(each) for each in scenes["none"][:2]]
    runs = {
        (engine, codec): [hear(engine, each.near, each.far) for each in scenes[codec]]
        for engine in _ENGINES
        for codec in scenes
    }
    rows["true path"] = {codec: [each.limit_db for each in scenes[codec]] for codec in scenes}
    for engine in _ENGINES:
        for feed in ("linear", "voice"):
            rows[f"{engine}, {feed}"] = {
                codec: [
                    each.erle_db(getattr(run, feed))
                    for each, run in zip(scenes[codec], runs[engine, codec], strict=True)
                ]
                for codec in scenes
            }
    for name, make in _references().items():
        rows[name] = {
            codec: [each.erle_db(_reference(make, each)) for each in scenes[codec]] for codec in scenes
        }
    for name, row in rows.items():
        shown.add_row(name, *(f"{signals.mean(row[codec]):.1f}" for codec in scenes))
    soon = {
        f"{engine}, {feed}": [
            _time_to_s(each, run, feed)
            for each, run in zip(scenes["none"], runs[engine, "none"], strict=True)
        ]
        for engine in _ENGINES
        for feed in ("linear", "voice")
    }
    times = table(
        "Time to 15 dB (s): voice from the first echo on, linear from when it was let in", "median", "worst"
    )
    for name, found in soon.items():
        times.add_row(name, f"{np.median(found):.2f}", f"{max(found):.2f}")
    targets = []
    for engine in _ENGINES:
        linear, voice = rows[f"{engine}, linear"], rows[f"{engine}, voice"]
        below = signals.mean(linear["none"]) - signals.mean(rows["true path"]["none"])
        codecs = voice["amr"] + voice["opus"]
        targets += [
            Target(f"ERLE of {engine} less that of the true path", round(below, 1), -1, "dB", at_least=True),
            Target(f"ERLE behind the gate, {engine}", round(min(voice["none"]), 1), 40, "dB", at_least=True),
            Target(f"the same through vocoders, {engine}", round(min(codecs), 1), 24, "dB", at_least=True),
            Target(f"time to 15 dB, {engine}", round(max(soon[f"{engine}, voice"]), 2), 0.5, "s"),
            Target(
                f"ERLE at 100 ppm, {engine}", round(signals.mean(linear["drift"]), 1), 20, "dB", at_least=True
            ),
        ]
    document = {
        "erle_db": {name: {codec: _rounded(row[codec]) for codec in row} for name, row in rows.items()},
        "time_to_15_db_s": {name: _rounded(found, 2) for name, found in soon.items()},
    }
    return document, targets, [shown, times]


def _drifting(given: Scene, ppm: float = 100.0) -> Scene:
    """The same with the trainee's clock slower than ours, so that the echo comes ever later."""

    def slower(sound: Sound) -> Sound:
        fine = signal.resample_poly(sound, _FINER, 1)
        time = np.arange(len(fine))
        return np.asarray(np.interp(time[::_FINER] * (1 - ppm * 1e-6), time, fine))

    near = signals.through_ulaw(slower(given.near))
    return Scene(given.far, near, slower(given.linear_echo), given.said, given.delay_ms)


def _time_to_s(given: Scene, run: Heard, feed: str) -> float:
    """How long it takes until 0.2 s of sound are 15 dB quieter for the first time; infinity for never."""
    window = np.ones(RATE_HZ // 5)
    near, left = (np.convolve(sound**2, window)[: len(sound)] for sound in (given.near, getattr(run, feed)))
    loud = near > near.max() / 100
    good = loud & (near > left * 10 ** (_ENOUGH_DB / 10))
    start_s = float(np.argmax(loud)) / RATE_HZ if feed == "voice" else (run.engaged_s or 0.0)
    good[: round(start_s * RATE_HZ)] = False
    return float(np.argmax(good)) / RATE_HZ - start_s if good.any() else float("inf")


def _delays(corpus: Corpus, *, quick: bool) -> tuple[dict[str, Any], list[Target], list[Any]]:
    """Whether and when the delay is found, over a grid, and found again when it has jumped."""
    grid = range(0, 1_000, 250 if quick else 50)
    first, missed = [], 0
    for number, delay_ms in enumerate([*grid, 990]):
        loss_db = (8.0, 14.0, 20.0)[number % 3]
        given = scene(corpus, number, (60.0, loss_db, delay_ms), codec=_CODECS[number // 3 % 3], seconds=5.0)
        run = hear("auto", given.near, given.far)
        spoken_s = float(np.argmax(np.abs(given.far) > 0.01)) / RATE_HZ
        if run.engaged_s is None or not run.locks or abs(run.locks[0][1] - delay_ms) > 10:
            missed += 1
        else:
            first.append(run.locks[0][0] - spoken_s)
    again = []
    for talker, (before_ms, after_ms) in enumerate(((150, 230), (400, 300), (250, 600), (90, 170))):
        jump_s = 6.0
        one, other = (
            scene(corpus, talker, (60.0, 12.0, delay_ms), seconds=12.0) for delay_ms in (before_ms, after_ms)
        )
        at = round(jump_s * RATE_HZ)
        run = hear("auto", np.concatenate([one.near[:at], other.near[at:]]), one.far)
        found = [when for when, delay_ms in run.locks if when > jump_s and abs(delay_ms - after_ms) < 10]
        again.append(found[0] - jump_s if found else float("inf"))
    shown = table("Delay found (s of the persona's speech)", "cases", "missed", "median", "worst")
    shown.add_row(
        "at first", str(len(first) + missed), str(missed), f"{np.median(first):.2f}", f"{max(first):.2f}"
    )
    shown.add_row("after a jump", str(len(again)), "0", f"{np.median(again):.2f}", f"{max(again):.2f}")
    targets = [
        Target("delays not found", missed, 0),
        Target("delay found, worst", round(max(first), 2), 2, "s"),
        Target("delay found again after a jump, worst", round(max(again), 2), 1.5, "s"),
    ]
    document = {"first_s": _rounded(first, 2), "missed": missed, "again_s": _rounded(again, 2)}
    return document, targets, [shown]


def _without_echo(corpus: Corpus, *, minutes: float) -> tuple[dict[str, Any], list[Target]]:
    """Both talk all the time, and nothing comes back."""
    engaged = locks = 0
    bit_exact = True
    calls = 6
    for call in range(calls):
        seconds = minutes * 60 / calls
        far = signals.through_ulaw(corpus.speech(call, seconds, pause_s=0.37 + 0.11 * call))
        near = signals.through_ulaw(corpus.speech(call + 3, seconds, pause_s=0.53 + 0.07 * call))
        run = hear("auto", near, far)
        engaged += run.engaged_s is not None
        locks += len(run.locks)
        bit_exact &= bool(np.array_equal(run.linear, near[: len(run.linear)]))
    document = {"minutes": minutes, "engaged": engaged, "locks": locks, "bit_exact": bit_exact}
    return document, [
        Target("echoes seen where there is none", round(engaged * 60 / minutes, 2), 0, "per hour"),
        Target("calls changed that have no echo", 0 if bit_exact else 1, 0),
    ]


def _double_talk(corpus: Corpus, *, quick: bool) -> tuple[dict[str, Any], list[Target], list[Any]]:
    """What the recogniser gets while both talk."""
    start = round(6 * RATE_HZ)
    rows: dict[str, list[tuple[float, float]]] = {}
    for talker in range(2 if quick else 5):
        said = np.concatenate([np.zeros(start), corpus.speech(talker + 3, _SECONDS)])[
            : round(_SECONDS * RATE_HZ)
        ]
        given = scene(corpus, talker, (60.0, 12.0, 250), said=said)
        heard = {"nothing": given.near}
        heard |= {engine: hear(engine, given.near, given.far).linear for engine in _ENGINES}
        heard |= {name: _reference(make, given) for name, make in _references().items()}
        for name, sound in heard.items():
            clean, found = given.said[start : len(sound)], sound[start:]
            rows.setdefault(name, []).append((signals.pesq_nb(clean, found), signals.stoi(clean, found)))
    shown = table("Both talk: the trainee's voice as the recogniser gets it", "PESQ", "STOI")
    means = {name: np.mean(found, axis=0) for name, found in rows.items()}
    for name, (pesq, stoi) in means.items():
        shown.add_row(name, f"{pesq:.2f}", f"{stoi:.3f}")
    targets = []
    for engine in _ENGINES:
        pesq, stoi = means[engine]
        gain = min(ours[0] - raw[0] for ours, raw in zip(rows[engine], rows["nothing"], strict=True))
        targets += [
            Target(f"PESQ while both talk, {engine}", round(float(pesq), 2), 3.3, at_least=True),
            Target(f"STOI while both talk, {engine}", round(float(stoi), 3), 0.98, at_least=True),
            Target(f"PESQ gained over the input, worst, {engine}", round(gain, 2), 0, at_least=True),
        ]
    return {name: _rounded(found, 3) for name, found in means.items()}, targets, [shown]


def _cost(corpus: Corpus, *, quick: bool) -> tuple[dict[str, Any], list[Target], list[Any]]:
    """CPU time per block, in turns, so that a busy machine slows all alike."""
    given = scene(corpus, 0, _PATHS[0], seconds=12.0)
    near, far = signals.blocks(given.near), signals.blocks(given.far)
    unrelated = signals.blocks(signals.through_ulaw(corpus.speech(3, 12.0)))
    aligned = signals.blocks(_late(given.far, given.delay_ms - _MARGIN_MS))
    references = {name: make() for name, make in _references().items()}
    cancellers = {engine: EchoCanceller(engine) for engine in _ENGINES}
    free = EchoCanceller("auto")
    took: dict[str, list[float]] = {}

    def timed(name: str, process: Callable[[Any, Any], object], *blocks: NDArray[np.float32]) -> None:
        began = time.thread_time_ns()
        process(blocks[0], blocks[1])
        took.setdefault(name, []).append((time.thread_time_ns() - began) / 1_000)

    for _ in range(2 if quick else 6):
        for start in range(0, len(near) - _TURN_BLOCKS, _TURN_BLOCKS):
            turn = range(start, start + _TURN_BLOCKS)
            for engine, canceller in cancellers.items():
                for at in turn:
                    timed(engine, canceller.process, near[at], far[at])
            for at in turn:
                timed("no echo", free.process, unrelated[at], far[at])
            for name, process in references.items():
                for at in turn:
                    timed(name, process, near[at], far[at] if name == "AEC3" else aligned[at])
    settled = {name: found[len(near) // 3 :] for name, found in took.items()}
    shown = table("CPU per block of 20 ms (us)", "median", "mean", "p99", "of the wheel")
    medians = {name: float(np.median(found)) for name, found in settled.items()}
    document = {}
    for name, found in settled.items():
        ratio = medians[name] / medians["speexdsp wheel"]
        figures = (medians[name], float(np.mean(found)), float(np.percentile(found, 99)))
        shown.add_row(name, *(f"{figure:.0f}" for figure in figures), f"{ratio:.2f}")
        document[name] = dict(zip(("p50_us", "mean_us", "p99_us"), _rounded(figures), strict=True))
        document[name]["of_wheel"] = round(ratio, 2)
    targets = [
        Target("AEC and gate, of the wheel's time", document["speex"]["of_wheel"], 2.5, "x"),
        Target("fallback and gate, of the wheel's time", document["adaptive"]["of_wheel"], 4, "x"),
        Target("AEC and gate, median", round(medians["speex"] / 1_000, 3), 0.15, "ms"),
        Target("fallback and gate, median", round(medians["adaptive"] / 1_000, 3), 0.15, "ms"),
    ]
    return document, targets, [shown]


def _memory(calls: int = 1_000) -> tuple[dict[str, Any], list[Target]]:
    """What short calls leave behind."""
    block = np.zeros(BLOCK, np.float32)

    def ours() -> None:
        EchoCanceller("auto").process(block, block)

    def wheel() -> None:
        _wheel()(block, block)

    grown = {}
    for name, call in (("ours_mb", ours), ("wheel_mb", wheel)):
        for _ in range(200):
            call()
        gc.collect()
        before_kb = _resident_kb()
        for _ in range(calls):
            call()
        gc.collect()
        grown[name] = round((_resident_kb() - before_kb) / 1_024 * 1_000 / calls, 1)
    return {"calls": calls, **grown}, [Target("memory left behind by 1000 calls", grown["ours_mb"], 1, "MB")]


def _resident_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def _references() -> dict[str, Callable[[], Process]]:
    return {"speexdsp wheel": _wheel, "NLMS": _nlms, "AEC3": _aec3}


def _reference(make: Callable[[], Process], given: Scene) -> Sound:
    """What a library makes of a scene; all but AEC3 are told the delay."""
    far = given.far if make is _aec3 else _late(given.far, given.delay_ms - _MARGIN_MS)
    process = make()
    pairs = zip(signals.blocks(given.near), signals.blocks(far), strict=True)
    return np.concatenate([process(*pair) for pair in pairs]).astype(np.float64)


def _wheel() -> Process:
    from speexdsp import EchoCanceller as Wheel

    echo = Wheel.create(BLOCK, _TAIL_MS * RATE_HZ // 1_000, RATE_HZ)

    def process(near: NDArray[np.float32], far: NDArray[np.float32]) -> NDArray[np.float32]:
        left = echo.process(to_samples(near).tobytes(), to_samples(far).tobytes())
        return to_block(np.frombuffer(left, np.int16))

    return process


def _aec3() -> Process:
    apm = rtc.AudioProcessingModule(echo_cancellation=True)

    def half(near: NDArray[np.int16], far: NDArray[np.int16]) -> NDArray[np.int16]:
        played, heard = (
            rtc.AudioFrame(bytearray(sound.tobytes()), RATE_HZ, 1, len(sound)) for sound in (far, near)
        )
        apm.process_reverse_stream(played)
        apm.process_stream(heard)
        return np.frombuffer(heard.data, np.int16)

    def process(near: NDArray[np.float32], far: NDArray[np.float32]) -> NDArray[np.float32]:
        pairs = zip(np.split(to_samples(near), 2), np.split(to_samples(far), 2), strict=True)
        return to_block(np.concatenate([half(*pair) for pair in pairs]))

    return process


def _nlms() -> Process:
    """The normalised least mean squares filter, sample by sample, that every textbook has."""
    taps = np.zeros(_TAIL_MS * RATE_HZ // 1_000, np.float32)
    past = np.zeros(len(taps) + BLOCK, np.float32)

    def process(near: NDArray[np.float32], far: NDArray[np.float32]) -> NDArray[np.float32]:
        past[:-BLOCK] = past[BLOCK:].copy()
        past[-BLOCK:] = far
        return _nlms_block(near, past, taps)

    return process


@njit(cache=True, fastmath=True)
def _nlms_block(
    near: NDArray[np.float32], past: NDArray[np.float32], taps: NDArray[np.float32]
) -> NDArray[np.float32]:
    out = np.empty_like(near)
    for n in range(near.shape[0]):
        echo = power = np.float32(0)
        for k in range(taps.shape[0]):
            sample = past[n + 1 + k]
            echo += taps[k] * sample
            power += sample * sample
        out[n] = near[n] - echo
        step = np.float32(0.5) * out[n] / (power + np.float32(1e-3))
        for k in range(taps.shape[0]):
            taps[k] += step * past[n + 1 + k]
    return out


def _late(sound: Sound, delay_ms: float) -> Sound:
    samples = max(0, round(delay_ms * RATE_HZ / 1_000))
    return np.concatenate([np.zeros(samples), sound])[: len(sound)]


def _rounded(figures: Sequence[float] | NDArray[np.float64], digits: int = 1) -> list[float]:
    return [round(float(figure), digits) for figure in figures]
