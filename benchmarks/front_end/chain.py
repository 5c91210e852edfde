"""Codec, resampler and the whole front end: what a packet costs, how late it comes, and many calls."""

import asyncio
import base64
import json
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import soxr
from rich.table import Table
from scipy import signal

from audio import ulaw
from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Samples, to_samples
from audio.front_end import FrontEnd, FrontEndSettings, warm_up
from audio.jitter import Packet
from audio.processor import FEEDS, FilterSettings
from audio.resample import Downsampler, Upsampler
from audio.speexdsp import open_speexdsp
from benchmarks import harness
from benchmarks.front_end import signals
from benchmarks.front_end.section import Section
from benchmarks.harness import Target
from telephony.media_stream import Audio, MediaStream

_CALLS: Final = 50
_CORES: Final = 2
_SID: Final = "MZ" + "0" * 32


def measure(corpus: signals.Corpus, *, quick: bool) -> Section:
    """Everything of this section."""
    repeats = 300 if quick else 2_000
    codec, resampler = _codec(repeats), _resampler(corpus, repeats)
    chain = _chain(corpus, seconds=20 if quick else 120)
    calls = asyncio.run(_concurrent(corpus, seconds=3 if quick else 15))
    memory = _memory(200 if quick else 1_000)
    targets = [
        Target("mu-law codec, encode", codec["encode_us"], 2.0, "us"),
        Target("mu-law codec, decode", codec["decode_us"], 2.0, "us"),
        Target("mu-law codec, codes that differ from audioop's", codec["different"], 0),
        Target("resampler, delay", resampler["rolecall"]["delay_ms"], 2.0, "ms"),
        Target("resampler, chunks of another length", resampler["rolecall"]["uneven_chunks"], 0),
        Target("resampler, signal to distortion", resampler["rolecall"]["sdr_db"], 55.0, "dB", at_least=True),
        Target("resampler, cost of 20 ms", resampler["rolecall"]["us"], 12.0, "us"),
        Target("front end per 20 ms block, median", chain["front_end"]["median_us"] / 1_000, 0.25, "ms"),
        Target("front end, 100 packets", chain["packets_100_ms"], 25.0, "ms of CPU"),
        Target(
            "front end, delay of the recogniser's feed at 8 kHz", chain["delay_ms"]["recogniser"], 0.0, "ms"
        ),
        Target("front end, delay of the voice feed", chain["delay_ms"]["voice"], 0.0, "ms"),
        Target("front end, delay of the recording", chain["delay_ms"]["recording"], 12.0, "ms"),
        Target("calls a core, front end only", calls["calls_per_core"], 80, at_least=True),
        Target(f"{_CALLS} calls, share of {_CORES} cores", calls["share_of_cores"], 0.30),
        Target("memory kept after a call", memory["kept_kb_per_call"], 1.0, "kB"),
    ]
    document = {"codec": codec, "resampler": resampler, "chain": chain, "calls": calls, "memory": memory}
    return Section(document, targets, [_chain_table(chain), _resampler_table(resampler)])


def _median_us(work: Callable[[], Any], repeats: int) -> float:
    took = np.empty(repeats)
    for number in range(repeats):
        began = time.perf_counter_ns()
        work()
        took[number] = time.perf_counter_ns() - began
    return round(float(np.median(took)) / 1_000, 2)


def _codec(repeats: int) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    every = np.arange(-32_768, 32_768, dtype=np.int16)
    mine, theirs = ulaw.encode(every), audioop.lin2ulaw(every.tobytes(), 2)
    decoded, decoded_theirs = ulaw.decode(bytes(range(256))).tobytes(), audioop.ulaw2lin(bytes(range(256)), 2)
    samples = np.random.default_rng(1).integers(-9_000, 9_000, BLOCK).astype(np.int16)
    chunk, pcm = ulaw.encode(samples), samples.tobytes()
    return {
        "different": sum(a != b for a, b in zip(mine, theirs, strict=True)) + (decoded != decoded_theirs),
        "encode_us": _median_us(lambda: ulaw.encode(samples), repeats),
        "decode_us": _median_us(lambda: ulaw.decode(chunk), repeats),
        "audioop_encode_us": _median_us(lambda: audioop.lin2ulaw(pcm, 2), repeats),
        "audioop_decode_us": _median_us(lambda: audioop.ulaw2lin(chunk, 2), repeats),
    }


def _resampler(corpus: signals.Corpus, repeats: int) -> dict[str, Any]:
    band = signal.butter(6, 3_400, fs=RATE_HZ, output="sos")
    narrow = to_samples(signal.sosfiltfilt(band, corpus.speech(0, 4.0)).astype(np.float32))
    reference = soxr.resample(narrow, RATE_HZ, 2 * RATE_HZ, quality="VHQ").astype(np.float64)

    def ours() -> Callable[[Samples], Samples]:
        return Upsampler().process

    def theirs(quality: str) -> Callable[[], Callable[[Samples], Samples]]:
        return lambda: (
            soxr.ResampleStream(RATE_HZ, 2 * RATE_HZ, 1, dtype="int16", quality=quality).resample_chunk
        )

    rows = {"rolecall": ours, "soxr QQ": theirs("QQ"), "soxr HQ": theirs("HQ"), "soxr VHQ": theirs("VHQ")}
    found = {name: _streamed(make, narrow, reference, repeats) for name, make in rows.items()}
    wide, down, up = reference.astype(np.int16), Downsampler(), Upsampler()
    chunks = (wide[at : at + 2 * BLOCK] for at in range(0, len(wide), 2 * BLOCK))
    again = np.concatenate([up.process(down.process(chunk)) for chunk in chunks]).astype(np.float64)
    found["rolecall"]["delay_ms"] = round(Upsampler.delay_ms, 2)
    found["rolecall, down and up again"] = {
        "delay_ms": round(Downsampler.delay_ms + Upsampler.delay_ms, 2),
        "uneven_chunks": 0,
        "sdr_db": round(_best_sdr_db(reference, again), 1),
        "us": _median_us(lambda: down.process(wide[: 2 * BLOCK]), repeats),
    }
    return found


def _streamed(
    make: Callable[[], Callable[[Samples], Samples]], narrow: Samples, reference: signals.Sound, repeats: int
) -> dict[str, Any]:
    resample = make()
    chunks = [resample(narrow[at : at + BLOCK]) for at in range(0, len(narrow) - BLOCK, BLOCK)]
    lag = [2 * BLOCK * (n + 1) - length for n, length in enumerate(np.cumsum([len(each) for each in chunks]))]
    out = np.concatenate(chunks).astype(np.float64)
    timed, block = make(), narrow[:BLOCK]
    return {
        "delay_ms": round(max(lag) / (2 * RATE_HZ) * 1_000, 2),
        "uneven_chunks": sum(len(each) != 2 * BLOCK for each in chunks),
        "sdr_db": round(_best_sdr_db(reference, out), 1),
        "us": _median_us(lambda: timed(block), repeats),
    }


def _best_sdr_db(reference: signals.Sound, found: signals.Sound) -> float:
    """Of all delays up to 8 ms."""
    length = min(len(reference), len(found)) - 400
    return max(
        signals.snr_db(reference[200 : 200 + length - 200], found[200 + lag : length + lag])
        for lag in range(128)
    )


def _messages(corpus: signals.Corpus, seconds: float, *, seed: int = 0) -> tuple[list[str], Samples]:
    """Media messages of a trainee with an echo at 12 dB; and what the persona says meanwhile."""
    far = signals.through_ulaw(corpus.speech(seed, seconds, pause_s=1.0))
    echo = signals.echo_of(far, signals.room(60, seed=seed), loss_db=12, delay_ms=180)
    near = np.roll(corpus.speech(seed + 1, seconds, pause_s=4.0), 3 * RATE_HZ) + echo
    samples = to_samples(near.astype(np.float32))
    messages = [
        json.dumps(
            {
                "event": "media",
                "sequenceNumber": str(n + 2),
                "streamSid": _SID,
                "media": {
                    "track": "inbound",
                    "chunk": str(n + 1),
                    "timestamp": str(n * BLOCK_MS),
                    "payload": base64.b64encode(ulaw.encode(samples[n * BLOCK : (n + 1) * BLOCK])).decode(),
                },
            }
        )
        for n in range(len(samples) // BLOCK)
    ]
    return messages, to_samples(far.astype(np.float32))


class _OneCall:
    """A front end with the carrier's protocol before it and the 16 kHz feeds behind it."""

    def __init__(self, settings: FrontEndSettings) -> None:
        self.front_end = FrontEnd(settings, on_bypass=_broke)
        self.front_end.processor.monitored = "noise" in settings.filters.filters
        self._stream = _started()
        self._up = Upsampler(), Upsampler()

    def take(self, message: str, far: Samples) -> int:
        """Returns how long the front end alone took, in ns."""
        audio = self._stream.receive(message)
        assert isinstance(audio, Audio)
        start = audio.timestamp_ms * RATE_HZ // 1_000
        self.front_end.far_end.send("", far, start + RATE_HZ // 5)
        packet = Packet(audio.chunk, start, ulaw.decode(audio.ulaw))
        began_ns = time.perf_counter_ns()
        found = self.front_end.hear(packet, audio.timestamp_ms)
        took_ns = time.perf_counter_ns() - began_ns
        for heard in found:
            for upsampler, block in zip(self._up, (heard.recogniser, heard.voice), strict=True):
                upsampler.process(to_samples(block)).tobytes()
        return took_ns


def _broke(name: str, why: str) -> None:
    raise RuntimeError(f"the filter {name} broke: {why}")


def _started() -> MediaStream:
    stream = MediaStream()
    stream.receive(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"accountSid": "AC0", "callSid": "CA0", "tracks": ["inbound"], "mediaFormat": media_format}
    stream.receive(json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": _SID, "start": start}))
    return stream


def _settings(*filters: str) -> FrontEndSettings:
    return FrontEndSettings(
        filters=FilterSettings(
            filters=filters, echo_canceller=_engine("adaptive"), noise_reducer=_engine("spectral")
        )
    )


def _engine(otherwise: str) -> str:
    """What "auto" stands for."""
    return otherwise if open_speexdsp() is None else "speex"


def _chain(corpus: signals.Corpus, *, seconds: float) -> dict[str, Any]:
    """A call with everybody listening; where nobody does, noise and gain are not worked out."""
    messages, far = _messages(corpus, seconds)
    settings = _settings("rumble", "echo", "noise", "gain")
    warm_up(settings)
    call = _OneCall(settings)
    took, alone, cpu_s = np.empty(len(messages)), np.empty(len(messages)), time.process_time()
    for n, message in enumerate(messages):
        began = time.perf_counter_ns()
        alone[n] = call.take(message, far[n * BLOCK : (n + 1) * BLOCK])
        took[n] = time.perf_counter_ns() - began
    cpu_s = time.process_time() - cpu_s
    processor = call.front_end.processor
    filters = {
        name: {"median_us": each.median_us, "p99_us": each.p99_us}
        for name, each in processor.timings().items()
    }
    found = {
        "front_end": _spread_us(alone),
        "packet": _spread_us(took),
        "packets_100_ms": round(cpu_s / len(messages) * 100 * 1_000, 2),
        "filters": filters,
        "delay_ms": {feed: processor.delay_ms(feed) for feed in FEEDS},
    }
    call.front_end.close()
    return found


def _spread_us(took_ns: np.ndarray[Any, Any]) -> dict[str, float]:
    return {
        "median_us": round(float(np.median(took_ns)) / 1_000, 1),
        "p99_us": round(float(np.percentile(took_ns, 99)) / 1_000, 1),
    }


async def _concurrent(corpus: signals.Corpus, *, seconds: float) -> dict[str, Any]:
    """Fifty calls that nobody listens in to, on one event loop, paced as the carrier paces them."""
    loop = asyncio.get_running_loop()
    streams = [_messages(corpus, seconds, seed=n) for n in range(7)]
    calls = [_OneCall(_settings("rumble", "echo")) for _ in range(_CALLS)]
    late_ms: list[float] = []

    async def one(number: int, began_s: float) -> None:
        messages, far = streams[number % len(streams)]
        for n, message in enumerate(messages):
            due_s = began_s + (n + number / _CALLS) * BLOCK_MS / 1_000
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            late_ms.append((loop.time() - due_s) * 1_000)
            calls[number].take(message, far[n * BLOCK : (n + 1) * BLOCK])

    cpu_s, began_s = time.process_time(), loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(_CALLS):
            tasks.create_task(one(number, began_s), name=f"call {number}")
    wall_s, cpu_s = loop.time() - began_s, time.process_time() - cpu_s
    for call in calls:
        call.front_end.close()
    return {
        "calls": _CALLS,
        "cpu_us_per_block": round(cpu_s / len(late_ms) * 1e6, 1),
        "calls_per_core": round(_CALLS / (cpu_s / wall_s)),
        "share_of_cores": round(cpu_s / wall_s / _CORES, 3),
        "late_ms": {
            "median": round(float(np.median(late_ms)), 2),
            "p99": round(float(np.percentile(late_ms, 99)), 2),
        },
    }


def _memory(calls: int) -> dict[str, Any]:
    """What is kept of calls that are over: of Python's memory, and of the process's."""
    import psutil

    def hold() -> None:
        front_end = FrontEnd(_settings("rumble", "echo", "noise", "gain"), on_bypass=_broke)
        silence = np.zeros(BLOCK, np.int16)
        for n in range(3):
            front_end.hear(Packet(n + 1, n * BLOCK, silence), n * 20.0)
        front_end.close()

    for _ in range(50):
        hold()
    process = psutil.Process()
    before = process.memory_info().rss
    tracemalloc.start()
    python_before = tracemalloc.get_traced_memory()[0]
    for _ in range(calls):
        hold()
    python = tracemalloc.get_traced_memory()[0] - python_before
    tracemalloc.stop()
    resident = process.memory_info().rss - before
    return {
        "calls": calls,
        "kept_kb_per_call": round(max(0, python) / calls / 1_000, 3),
        "resident_kb_per_call": round(max(0, resident) / calls / 1_000, 3),
    }


def _chain_table(chain: dict[str, Any]) -> Table:
    table = harness.table("the whole front end, 20 ms of one call, microseconds", "median", "p99")
    for name, figures in {
        **chain["filters"],
        "the front end": chain["front_end"],
        "a packet, JSON to 16 kHz": chain["packet"],
    }.items():
        table.add_row(name, f"{figures['median_us']:.1f}", f"{figures['p99_us']:.1f}")
    return table


def _resampler_table(rows: dict[str, Any]) -> Table:
    columns: Sequence[str] = ("latest ms", "uneven chunks", "SDR dB", "us")
    table = harness.table("8 to 16 kHz in chunks of 20 ms, speech to 3.4 kHz", *columns)
    for name, row in rows.items():
        table.add_row(
            name, f"{row['delay_ms']:.1f}", f"{row['uneven_chunks']}", f"{row['sdr_db']}", f"{row['us']}"
        )
    return table
