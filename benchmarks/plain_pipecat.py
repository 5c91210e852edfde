"""The baseline: a plain Pipecat telephone bot, as its documentation builds one, with rolecall's engines.

Pipecat's own Twilio serializer, transport, default turn strategies and a model of each kind per call; the
recogniser, persona and voice are the very engines that rolecall uses, so that what differs is the pipeline.
"""

import argparse
import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI, Response, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from agent import persona
from agent.persona import Decision, Heard, PersonaState
from agent.scenario import load_scenario
from agent.speech import Recogniser, Synthesiser, Voice
from benchmarks.scripted import ScriptedRecogniser, script
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording
from pipelines.engines.espeak import open_espeak
from pipelines.engines.telephone import to_telephone
from pipelines.engines.workers import Workers, open_workers
from rolecall.demo import TRAINEE_MODEL
from rolecall.settings import CHECKOUT


class PlainSTT(SegmentedSTTService):
    """The recogniser, as Pipecat's own Whisper service wraps it."""

    def __init__(self, recogniser: Recogniser, workers: Workers) -> None:
        super().__init__(settings=STTSettings(model=recogniser.model, language=None))
        self._recogniser = recogniser
        self._workers = workers

    @property
    def wants_wav_segments(self) -> bool:
        """Bare samples."""
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """One segment."""
        samples = np.frombuffer(audio, dtype=np.int16).astype(np.float32) / 32_768
        found = await self._workers.run(self._recogniser.recognise, samples)
        if found.text:
            yield TranscriptionFrame(found.text, self._user_id, time_now_iso8601())


class PlainLLM(LLMService):
    """The persona, word by word."""

    def __init__(self, graph: PersonaGraph, state: PersonaState) -> None:
        unused = {field.name: None for field in dataclasses.fields(LLMSettings) if field.name != "extra"}
        super().__init__(settings=LLMSettings(**unused | {"model": "persona"}))
        self._graph = graph
        self._state = state

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answers the last message of a context."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        text = str(frame.context.get_messages()[-1]["content"])
        said, decision = "", None
        await self.push_frame(LLMFullResponseStartFrame())
        async for item in self._graph.reply(self._state, Heard(text)):
            if isinstance(item, Decision):
                decision = item
            elif isinstance(item, str):
                said += item
                await self._push_llm_text(item)
        await self.push_frame(LLMFullResponseEndFrame())
        if decision is not None:
            self._state = persona.remember(self._graph.scenario, decision, said, complete=True)


class PlainTTS(TTSService):
    """The voice, a sentence at a time."""

    def __init__(self, synthesiser: Synthesiser, voice: Voice, workers: Workers) -> None:
        super().__init__(
            sample_rate=8_000,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self._synthesiser = synthesiser
        self._voice = voice
        self._workers = workers

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """One sentence."""
        speech = await self._workers.run(self._speak, text)
        yield TTSAudioRawFrame(speech.tobytes(), 8_000, 1, context_id=context_id)

    def _speak(self, text: str) -> np.ndarray:
        return to_telephone(self._synthesiser.synthesise(text, self._voice), self._voice.energy).samples


def create_app(
    scenario_file: Path, recogniser: Recogniser, synthesiser: Synthesiser, workers: Workers
) -> FastAPI:
    """The bot's webhook and media socket; it checks nothing."""
    app = FastAPI()
    scenario = load_scenario(scenario_file)
    graph = PersonaGraph(scenario, AuthoredWording())

    @app.get("/ready")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/twilio/voice")
    async def voice() -> Response:
        stream = '<Connect><Stream url="wss://rolecall.test/media"/></Connect>'
        return Response(f"<Response>{stream}</Response>", media_type="text/xml")

    @app.websocket("/media")
    async def media(websocket: WebSocket) -> None:
        await websocket.accept()
        _, data = await parse_telephony_websocket(websocket)
        serializer = TwilioFrameSerializer(
            stream_sid=data.stream_id,
            call_sid=data.call_id,
            params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
        )
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
        )
        state = persona.begin(scenario, 1)
        user, assistant = LLMContextAggregatorPair(
            LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
        )
        worker = PipelineWorker(
            Pipeline(
                [
                    transport.input(),
                    PlainSTT(recogniser, workers),
                    user,
                    PlainLLM(graph, state),
                    PlainTTS(synthesiser, scenario.persona.voice, workers),
                    transport.output(),
                    assistant,
                ]
            ),
            params=PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=8_000),
        )

        async def connected(_transport: object, _websocket: object) -> None:
            await worker.queue_frame(TTSSpeakFrame(scenario.opening[0], append_to_context=True))

        async def disconnected(_transport: object, _websocket: object) -> None:
            await worker.cancel()

        transport.add_event_handler("on_client_connected", connected)
        transport.add_event_handler("on_client_disconnected", disconnected)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    return app


async def _serve(port: int, scenario: str, recogniser: str) -> None:
    from pipelines.engines.whisper import Whisper, WhisperOptions

    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(open_workers(2))
        espeak = stack.enter_context(open_espeak())
        file = CHECKOUT / "scenarios" / f"{scenario}.yaml"
        ear: Recogniser = (
            ScriptedRecogniser(script(load_scenario(file), espeak))
            if recogniser == "scripted"
            else Whisper(TRAINEE_MODEL, TRAINEE_MODEL.name, WhisperOptions()).for_call("", ())
        )
        app = create_app(file, ear, espeak, workers)
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--scenario", default="cold-call")
    arguments.add_argument("--recogniser", choices=("whisper", "scripted"), default="whisper")
    given = arguments.parse_args()
    logger.remove()
    asyncio.run(_serve(given.port, given.scenario, given.recogniser))
