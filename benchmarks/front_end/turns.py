"""Turn-taking behind the whole front end: how often echo takes the floor, and how soon a trainee does.

Nothing is given to the front end: the carrier plays with a delay that only its receipts tell, and the echo
comes back over a room, with a delay of its own, coded both ways. The detector of voice and the rule that
takes the floor are those of a call.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from rich.table import Table

from agent.turn_end import Step, TurnTaker, TurnTiming
from audio import ulaw
from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Samples, to_samples
from audio.front_end import FrontEnd, FrontEndSettings, warm_up
from audio.jitter import Packet
from audio.levels import sound_bounds_ms
from audio.processor import FilterSettings
from audio.resample import Upsampler
from audio.speexdsp import open_speexdsp
from benchmarks import harness
from benchmarks.front_end import signals
from benchmarks.front_end.section import Section
from benchmarks.harness import Target
from pipelines.turns import TurnModels, VoiceDetector, load_turn_models

_TURN_S: Final = 5.0
_PAUSE_S: Final = 1.5
_TURNS: Final = 10
_MESSAGE: Final = 60 * RATE_HZ // 1_000
_LEAD: Final = 600 * RATE_HZ // 1_000
_CARRIER_MS: Final = (60, 80, 80, 100, 140)
"""How long after it was sent a turn begins to be played: in each another, on a grid of 20 ms."""
_LINE_DBFS: Final = -65.0
_FOUND_WITHIN_MS: Final = 1_000
_OVER_MS: Final = 300
"""A sound that goes on after less silence is the same sound."""
_ONSET_MS: Final = 200
_NO_ECHO: Final = 200.0


@dataclass(frozen=True, slots=True)
class _Condition:
    """An echo path; `loss_db` from _NO_ECHO on is none. `codec`: what the trainee's leg is coded with."""

    loss_db: float
    delay_ms: float
    tail_ms: float = 40.0
    codec: str | None = None
    seed: int = 0


@dataclass(slots=True)
class _Tally:
    """What happened in some calls."""

    persona_s: float = 0.0
    turns: int = 0
    false_starts: int = 0
    barge_ins: int = 0
    found_ms: list[float] | None = None
    onset_db: list[float] | None = None

    def add(self, other: "_Tally") -> None:
        self.persona_s += other.persona_s
        self.turns += other.turns
        self.false_starts += other.false_starts
        self.barge_ins += other.barge_ins
        self.found_ms = (self.found_ms or []) + (other.found_ms or [])
        self.onset_db = (self.onset_db or []) + (other.onset_db or [])

    def document(self) -> dict[str, Any]:
        found = self.found_ms or []
        onset = self.onset_db or []
        return {
            "persona_s": round(self.persona_s),
            "turns": self.turns,
            "false_starts": self.false_starts,
            "false_starts_per_min": round(self.false_starts / max(self.persona_s, 1.0) * 60, 2),
            "barge_ins": self.barge_ins,
            "found": len(found),
            "latency_ms": {
                "p50": round(float(np.median(found))),
                "p95": round(float(np.percentile(found, 95))),
            }
            if found
            else None,
            "onset_change_db": {
                "median": round(float(np.median(onset)), 1),
                "worst": round(float(np.min(onset)), 1),
            }
            if onset
            else None,
        }


@dataclass(frozen=True, slots=True)
class _Call:
    """One call's sound: what the persona says as played, what comes in, and where the trainee cuts in."""

    sent: Samples
    starts: tuple[int, ...]
    late: tuple[int, ...]
    near: Samples
    arrived: signals.Sound
    cuts: tuple[int, ...]


def measure(corpus: signals.Corpus, *, quick: bool) -> Section:
    """Everything of this section."""
    engines = ["adaptive"] if open_speexdsp() is None else ["speex", "adaptive"]
    shown: dict[str, FrontEndSettings | None] = {"no front end": None} | {
        name: _settings(name) for name in engines
    }
    main = engines[0]
    with ThreadPoolExecutor(1) as thread:
        models = load_turn_models(thread)
        delays_ms = (60, 180, 320, 520) if quick else (60, 90, 120, 180, 220, 250, 320, 400, 520, 600)
        hundred = {
            name: _over(
                corpus, models, settings, [_Condition(10, ms, seed=n) for n, ms in enumerate(delays_ms)]
            )
            for name, settings in shown.items()
            if name != "adaptive" or not quick
        }
        losses_db = (8, 16) if quick else (8, 10, 14, 18, 24)
        paths = {
            "linear": [_Condition(loss, 90 + 130 * n, seed=20 + n) for n, loss in enumerate(losses_db)],
            "vocoder": [
                _Condition(loss, 90 + 130 * n, codec="amr", seed=30 + n) for n, loss in enumerate(losses_db)
            ],
        }
        per_path = {name: _over(corpus, models, shown[main], path) for name, path in paths.items()}
        calm = [_Condition(_NO_ECHO, 0, seed=40 + n) for n in range(2 if quick else 6)]
        cut_in = [replace(each, seed=each.seed + 100) for each in (*paths["linear"], *paths["vocoder"])]
        barged = {
            "no echo": _over(corpus, models, shown[main], calm, cutting_in=True),
            "no echo, no front end": _over(corpus, models, None, calm, cutting_in=True),
            "echo": _over(corpus, models, shown[main], cut_in, cutting_in=True),
        }
    return _section(hundred, per_path, barged, main)


def _section(
    hundred: dict[str, dict[str, Any]], paths: dict[str, Any], barged: dict[str, dict[str, Any]], main: str
) -> Section:
    added = None
    if barged["echo"]["latency_ms"] and barged["no echo, no front end"]["latency_ms"]:
        added = barged["echo"]["latency_ms"]["p50"] - barged["no echo, no front end"]["latency_ms"]["p50"]
    found_share = barged["echo"]["found"] / max(1, barged["echo"]["barge_ins"]) * 100
    onset = barged["echo"]["onset_change_db"]
    targets = [
        Target(
            f"false barge-ins in {hundred[main]['turns']} turns at 10 dB", hundred[main]["false_starts"], 0
        ),
        Target("self-interruptions, linear path", paths["linear"]["false_starts_per_min"], 0.3, "a minute"),
        Target("self-interruptions, vocoder", paths["vocoder"]["false_starts_per_min"], 0.5, "a minute"),
        Target("barge-ins found in echo", round(found_share, 1), 99.0, "%", at_least=True),
        Target("barge-in, later than without echo (medians)", added, 60.0, "ms"),
        Target(
            "speech onset in echo, change of its level",
            onset["median"] if onset else None,
            -1.0,
            "dB",
            at_least=True,
        ),
    ]
    table = harness.table(
        "turn-taking behind the front end", "turns", "false", "a minute", "found", "p50 ms", "p95 ms"
    )
    rows = {f"echo 10 dB, {name}": row for name, row in hundred.items()}
    rows |= {f"echo, {name}": row for name, row in paths.items()} | {
        f"barge-ins, {k}": v for k, v in barged.items()
    }
    for name, row in rows.items():
        latency = row["latency_ms"] or {"p50": "-", "p95": "-"}
        found = f"{row['found']}/{row['barge_ins']}" if row["barge_ins"] else "-"
        table.add_row(
            name,
            str(row["turns"]),
            str(row["false_starts"]),
            f"{row['false_starts_per_min']:.2f}",
            found,
            str(latency["p50"]),
            str(latency["p95"]),
        )
    tables: Sequence[Table] = [table]
    return Section(
        {"echo_10_db": hundred, "paths": paths, "barge_ins": barged, "engine": main}, targets, tables
    )


def _settings(engine: str) -> FrontEndSettings:
    settings = FrontEndSettings(filters=FilterSettings(filters=("rumble", "echo"), echo_canceller=engine))
    warm_up(settings)
    return settings


def _over(
    corpus: signals.Corpus,
    models: TurnModels,
    settings: FrontEndSettings | None,
    conditions: Sequence[_Condition],
    *,
    cutting_in: bool = False,
) -> dict[str, Any]:
    tally = _Tally()
    for condition in conditions:
        tally.add(_listen(_call(corpus, condition, cutting_in=cutting_in), models, settings))
    return tally.document()


def _call(corpus: signals.Corpus, condition: _Condition, *, cutting_in: bool) -> _Call:
    """Ten turns of the persona; in each, if `cutting_in`, the trainee says something."""
    random = np.random.default_rng(condition.seed)
    turn, pause = round(_TURN_S * RATE_HZ), round(_PAUSE_S * RATE_HZ)
    talker = condition.seed % 3
    length = _TURNS * (turn + pause) + RATE_HZ
    sent = np.zeros((_TURNS, turn))
    played, trainee = np.zeros(length), np.zeros(length)
    starts, late, cuts = [], [], []
    for number in range(_TURNS):
        own = corpus.talkers[talker]
        sent[number] = np.resize(np.roll(own, -int(random.integers(len(own)))), turn)
        start = number * (turn + pause) + RATE_HZ // 2
        starts.append(start)
        late.append(int(random.choice(_CARRIER_MS)) * RATE_HZ // 1_000)
        at = start + late[-1]
        played[at : at + turn] = signals.through_ulaw(sent[number])
        if cutting_in:
            cuts.append(at + int(random.integers(RATE_HZ, 3 * RATE_HZ)))
            words = _words(corpus, 3 + int(random.integers(len(corpus.talkers))), random)
            trainee[cuts[-1] : cuts[-1] + len(words)] = words
    near = trainee + signals.at_level(random.standard_normal(length), _LINE_DBFS)
    if condition.loss_db < _NO_ECHO:
        path = signals.room(condition.tail_ms, seed=condition.seed)
        near = near + signals.echo_of(played, path, loss_db=condition.loss_db, delay_ms=condition.delay_ms)
    if condition.codec is not None:
        near, trainee = (signals.vocoder(each, condition.codec) for each in (near, trainee))
    samples = to_samples(np.asarray(near, np.float32))
    flat = to_samples(sent.reshape(-1).astype(np.float32))
    return _Call(flat, tuple(starts), tuple(late), ulaw.decode(ulaw.encode(samples)), trainee, tuple(cuts))


def _words(corpus: signals.Corpus, talker: int, random: np.random.Generator) -> signals.Sound:
    """Three quarters of a second of speech, from its first sound on."""
    own = corpus.talkers[talker % len(corpus.talkers)]
    first_ms, _ = sound_bounds_ms(to_samples(own.astype(np.float32)), RATE_HZ) or (0, 0)
    words = own[first_ms * RATE_HZ // 1_000 :][: RATE_HZ * 3 // 4]
    return words * 10 ** (random.uniform(0, 6) / 20)


class _Carrier:
    """Takes the persona's turns as a call sends them, and returns receipts as a carrier does."""

    def __init__(self, call: _Call, front_end: FrontEnd) -> None:
        self._front_end = front_end
        turn = round(_TURN_S * RATE_HZ)
        self._sends: list[tuple[int, str, Samples]] = []
        self._receipts: list[tuple[int, str]] = []
        for number, (start, late) in enumerate(zip(call.starts, call.late, strict=True)):
            for at in range(0, turn, _MESSAGE):
                mark = f"{number}:{at}"
                piece = call.sent[number * turn + at : number * turn + min(at + _MESSAGE, turn)]
                self._sends.append((start + max(0, at - _LEAD), mark, piece))
                self._receipts.append((start + late + at + len(piece), mark))

    def until(self, now: int) -> None:
        while self._sends and self._sends[0][0] <= now:
            at, mark, piece = self._sends.pop(0)
            self._front_end.far_end.send(mark, piece, at)
        while self._receipts and self._receipts[0][0] <= now - BLOCK:
            _, mark = self._receipts.pop(0)
            self._front_end.played(mark, now - BLOCK // 2)


def _listen(call: _Call, models: TurnModels, settings: FrontEndSettings | None) -> _Tally:
    front_end = FrontEnd(settings or FrontEndSettings(filters=FilterSettings(filters=())), on_bypass=_broke)
    carrier, detector, upsampler = _Carrier(call, front_end), VoiceDetector(models), Upsampler()
    blocks = len(call.near) // BLOCK
    recogniser = np.zeros(blocks * BLOCK, np.float32)
    timing = TurnTiming()
    taker, begun, silent_ms = TurnTaker(timing), [], 0
    for number in range(blocks):
        start = number * BLOCK
        carrier.until(start + BLOCK)
        for heard in front_end.hear(
            Packet(number + 1, start, call.near[start : start + BLOCK]), number * 20.0
        ):
            recogniser[heard.start : heard.start + BLOCK] = heard.recogniser
            sounding = detector.process(upsampler.process(to_samples(heard.voice)).tobytes())
            if taker.hear(sounding=sounding, certain=detector.certain, persona_audible=True) is Step.BEGINS:
                begun.append((heard.start + BLOCK) * 1_000 / RATE_HZ)
            silent_ms = 0 if sounding else silent_ms + BLOCK_MS
            if silent_ms == _OVER_MS:
                taker = TurnTaker(timing)
    front_end.close()
    return _tally(call, begun, recogniser)


def _tally(call: _Call, begun_ms: Sequence[float], recogniser: np.ndarray[Any, Any]) -> _Tally:
    """Which starts were the trainee's, how late they came, and what the recogniser had of their onsets."""
    found, onset, false = [], [], list(begun_ms)
    for cut in call.cuts:
        cut_ms = cut * 1_000 / RATE_HZ
        spoken = [each for each in false if cut_ms <= each < cut_ms + _FOUND_WITHIN_MS + 750]
        if spoken and spoken[0] < cut_ms + _FOUND_WITHIN_MS:
            found.append(spoken[0] - cut_ms)
        false = [each for each in false if each not in spoken]
        first = slice(cut, cut + _ONSET_MS * RATE_HZ // 1_000)
        said, got = call.arrived[first], recogniser[first]
        onset.append(10 * float(np.log10((np.dot(got, got) + 1e-9) / (np.dot(said, said) + 1e-9))))
    return _Tally(len(call.starts) * _TURN_S, len(call.starts), len(false), len(call.cuts), found, onset)


def _broke(name: str, why: str) -> None:
    raise RuntimeError(f"the filter {name} broke: {why}")
