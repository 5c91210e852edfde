import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.stt_service import STTService
from pipecat.workers.runner import WorkerRunner

from agent.errors import ConfigError, EngineUnavailable
from agent.speech import Recognition
from pipelines.engines.loading import StreamingSettings
from pipelines.engines.services import SERVICES, recognition_of, streaming_service
from tests.engines.fake_streaming_services import LINE, FakeService, open_fake_service

# deepgram-sdk 7.17 still imports what websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.* is deprecated:DeprecationWarning")

LIMIT_S = 20
BLOCK = InputAudioRawFrame(b"\1\0" * 320, sample_rate=16_000, num_channels=1)


class Sink(FrameProcessor):
    """What comes after the service: keeps what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Recognition] = []
        self.partial: list[str] = []
        self.blocks = 0
        self.first_block, self.first_partial, self.final = (asyncio.Event() for _ in range(3))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.heard.append(recognition_of(frame))
            self.final.set()
        elif isinstance(frame, InterimTranscriptionFrame):
            self.partial.append(recognition_of(frame).text)
            self.first_partial.set()
        elif isinstance(frame, InputAudioRawFrame):
            self.blocks += 1
            self.first_block.set()
        await self.push_frame(frame, direction)


@asynccontextmanager
async def running(service: STTService) -> AsyncIterator[tuple[PipelineWorker, Sink]]:
    """A pipeline of the service alone, started; ends it."""
    sink = Sink()
    worker = PipelineWorker(
        Pipeline([service, sink]),
        params=PipelineParams(audio_in_sample_rate=16_000),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run())
        yield worker, sink
        await worker.queue_frame(EndFrame())


async def say_a_line(worker: PipelineWorker) -> None:
    await worker.queue_frames([VADUserStartedSpeakingFrame(), *[BLOCK] * 50, VADUserStoppedSpeakingFrame()])


@pytest.fixture
async def fake() -> AsyncIterator[FakeService]:
    async with open_fake_service() as opened:
        yield opened


@dataclass(frozen=True)
class Expected:
    confidence: float
    asked_by: str
    key: str


SAID = {
    "deepgram": Expected(0.75, "Finalize", "Token secret"),
    "assemblyai": Expected(0.7, "ForceEndpoint", "secret"),
}


@pytest.mark.parametrize("name", ["deepgram", "assemblyai"])
async def test_what_is_said_comes_back_as_words_when_the_trainee_falls_silent(
    fake: FakeService, name: str
) -> None:
    service = streaming_service(StreamingSettings(name, "secret", url=fake.url), ["en"])
    async with running(service) as (worker, sink):
        await sink.first_partial.wait()
        await say_a_line(worker)
        await sink.final.wait()
    expected = SAID[name]
    assert sink.partial == ["Who is"]
    assert sink.heard == [Recognition(LINE, pytest.approx(expected.confidence), sink.heard[0].language)]
    assert (sink.blocks, fake.keys) == (50, [expected.key])
    assert expected.asked_by in fake.kinds
    assert fake.sound_bytes == 50 * 640


@pytest.mark.parametrize("name", ["deepgram", "assemblyai"])
async def test_a_call_begins_while_a_service_is_still_out_of_reach(fake: FakeService, name: str) -> None:
    fake.open_door.clear()
    service = streaming_service(StreamingSettings(name, "secret", url=fake.url), ["en"])
    async with running(service) as (worker, sink):
        await worker.queue_frame(BLOCK)
        await sink.first_block.wait()
        assert not fake.open_door.is_set()


async def test_deepgram_is_told_the_language_and_keeps_nothing(fake: FakeService) -> None:
    for languages in (["es"], ["en", "es"]):
        service = streaming_service(StreamingSettings("deepgram", "secret", url=fake.url), languages)
        async with running(service) as (worker, _):
            await worker.queue_frame(BLOCK)
            await fake.asked.wait()
    one, several = fake.queries
    assert (one["language"], several["language"]) == (["es"], ["multi"])
    assert (one["model"], one["sample_rate"], one["mip_opt_out"]) == (["nova-3"], ["16000"], ["true"])


async def test_assemblyai_is_told_the_languages(fake: FakeService) -> None:
    service = streaming_service(StreamingSettings("assemblyai", "secret", url=fake.url), ["en", "es"])
    async with running(service):
        await fake.asked.wait()
    assert fake.queries[0]["language_codes"] == ['["en", "es"]']


@pytest.mark.parametrize("name", ["deepgram"])
async def test_a_service_that_refuses_the_key_says_that_it_is_of_no_use(fake: FakeService, name: str) -> None:
    fake.refuses = True
    service = streaming_service(StreamingSettings(name, "secret", url=fake.url), ["en"])
    unusable = asyncio.Event()

    @service.event_handler("on_usable_changed")
    async def changed(service: STTService, is_usable: bool) -> None:
        unusable.set()

    async with running(service) as (worker, sink):
        await say_a_line(worker)
        await unusable.wait()
    assert (service.is_usable, sink.heard) == (False, [])


def test_without_its_package_a_service_is_unavailable_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if "deepgram" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deepgram", None)
    with pytest.raises(EngineUnavailable, match="uv sync --extra deepgram"):
        streaming_service(StreamingSettings("deepgram", "secret"), ["en"])


def test_an_unknown_service_or_language_is_named() -> None:
    with pytest.raises(ConfigError, match="'vosk'.*deepgram or assemblyai"):
        streaming_service(StreamingSettings("vosk", "secret"), ["en"])
    with pytest.raises(ConfigError, match="xx"):
        streaming_service(StreamingSettings("assemblyai", "secret"), ["xx"])


def test_a_key_is_not_shown() -> None:
    assert list(SERVICES) == ["deepgram", "assemblyai"]
    assert "secret" not in repr(StreamingSettings("deepgram", "secret"))


def test_a_service_that_gives_no_confidence_gets_none() -> None:
    frame = TranscriptionFrame("Hello  there.", "trainee", "2026-01-01T00:00:00Z")
    assert recognition_of(frame) == Recognition("Hello there.", None)
