"""One call from the first block of audio to the last: the order of processors, and what ends it."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import structlog
from fastapi import WebSocket
from numpy.typing import NDArray
from pipecat.frames.frames import ErrorFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMUserAggregator,
    LLMUserAggregatorParams,
    UserTurnStoppedMessage,
)
from pipecat.services.stt_service import STTService
from pipecat.turns.user_start import ExternalUserTurnStartStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from agent.call import EndReason, Speaker
from agent.conversation import Conversation
from agent.errors import ScenarioError
from agent.events import Event, EventHappened, FilterBypassed, LineJudged, TraineeSilent
from agent.persona import Ending, PersonaState
from agent.playback import HeardReply, Playback
from agent.scenario_parts import Happening, Interruption
from agent.speech import RECOGNISER_RATE_HZ
from agent.turn_end import TurnTiming
from audio import ulaw
from audio.front_end import FrontEnd, FrontEndSettings
from audio.realism import LineRealism
from audio.recorder import Recorder, Track
from graphs.persona import PersonaGraph
from pipelines.along import ServiceWords
from pipelines.engines.rungs import CallRecogniser, CallSynthesiser
from pipelines.line import Line, line_realism
from pipelines.listening import Listener
from pipelines.persona import CueFrame, HappeningFrame, PersonaProcessor
from pipelines.role import Occasion, Role
from pipelines.text_to_speech import Mouth
from pipelines.transport import LEAD_MS, CarrierTransport
from pipelines.turn_end import TurnEndStrategy
from pipelines.turns import SmartTurn, TurnModels, VoiceDetector
from telephony.media_stream import MediaStream

_TICK_S: Final = 0.1
_WATCHDOG_S: Final = 10.0
_UNDERSTOOD_WITHIN_S: Final = 8.0
_LAST_WORDS_S: Final = 15.0
log = structlog.get_logger(__name__)

_TRACKS: Final = {Speaker.TRAINEE: Track.TRAINEE, Speaker.PERSONA: Track.PERSONA}


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """How turns begin and end, and what happens when none does.

    `speculate` has the persona's answer begun while the trainee's turn may not be over.
    """

    timing: TurnTiming = TurnTiming()
    speculate: bool = True
    idle_ms: int = 8_000
    idle_prompts: int = 2
    max_call_s: int = 900


@dataclass(frozen=True, slots=True)
class CallEngines:
    """What a call needs of the process that holds it; all of it shared or cheap.

    `streaming` is a service of this call alone, which listens along and understands better than the
    recogniser, as long as it is there.
    """

    recogniser: CallRecogniser
    synthesiser: CallSynthesiser
    graph: PersonaGraph
    turn_models: TurnModels
    front_end: FrontEndSettings = FrontEndSettings()
    streaming: STTService | None = None


class RecordingSink(Protocol):
    """Where a call's audio goes; never blocks."""

    def append(self, frames: NDArray[np.int16]) -> None:
        """Takes int16 frames, shape (n, 2): trainee, persona; 8 kHz."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended. `ending` is the scenario's, if the trainee heard it."""

    reason: EndReason
    ending: Ending | None
    duration_ms: int
    counters: dict[str, int]


class Call:
    """Holds one call on a connected carrier websocket until it is over."""

    def __init__(
        self,
        websocket: WebSocket,
        stream: MediaStream,
        *,
        state: PersonaState,
        engines: CallEngines,
        turn_taking: TurnTaking,
        emit: Callable[[Event], None],
        recording: RecordingSink | None,
        over: Callable[[EndReason], Awaitable[None]],
    ) -> None:
        """`over` is awaited before the socket is closed: the carrier asks what comes next when it closes."""
        self._over = over
        self._turn_taking = turn_taking
        self._emit = emit
        self._recording = recording
        self._engines = engines
        self._reason: EndReason | None = None
        self._prompts = 0
        self._brought_about: deque[Happening] = deque()
        self._errors = 0
        self._recorder = Recorder(rate_hz=ulaw.RATE_HZ)
        self._playback = Playback(rate_hz=ulaw.RATE_HZ)
        self._role = Role(engines.graph, state)
        self._conversation = Conversation(emit, self._sound_bounds)
        self._front_end = FrontEnd(engines.front_end, on_bypass=self._filter_broke)
        self._front_end.processor.monitored = False
        self._realism = LineRealism(line_realism(engines.graph.scenario), seed=state.seed)
        self._line = Line(
            stream,
            front_end=self._front_end,
            realism=self._realism,
            recorder=self._recorder,
            playback=self._playback,
            conversation=self._conversation,
            emit=emit,
            listener=self,
            now_s=time.monotonic,
        )
        self._transport = CarrierTransport(websocket, self._line)
        self._worker = self._build(self._transport, engines)

    @property
    def at_ms(self) -> int:
        """Where the call's media clock stands."""
        return self._line.at_ms

    async def hold(self) -> CallResult:
        """Runs the call; returns when it is over, whoever ended it."""
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch(), name="watch")
            pauses = tasks.create_task(self._fill_pauses(), name="pauses")
            await runner.run()
            watch.cancel()
            pauses.cancel()
        self._line.settle()
        self._record(everything=True)
        self._recorder.close()
        self._emit(self._judge_line())
        self._front_end.close()
        self._engines.recogniser.close()
        self._engines.synthesiser.close()
        return CallResult(
            reason=self._reason or EndReason.CONNECTION_LOST,
            ending=self._role.ending,
            duration_ms=self._recorder.duration_ms,
            counters={
                "messages_refused": self._line.refused,
                "pipeline_errors": self._errors,
                "recording_lost_samples": self._recorder.lost_samples,
            },
        )

    def reply_heard(self, reply: HeardReply) -> None:
        """A reply of the persona is over, as heard: remembers it, and ends the call if it was the last."""
        self._conversation.persona_heard(reply, self._line.at_ms)
        before = self._role.state.happened
        reason = self._role.heard(reply)
        for event in self._role.state.happened:
            if event not in before:
                self._emit(EventHappened(event, self._line.at_ms))
        if reason is not None:
            self._end(reason)

    def bring_about(self, event_id: str) -> None:
        """Has an event of the scenario happen, as soon as the persona can speak of it.

        Raises:
            ScenarioError: the scenario has no such event.
        """
        event = self._engines.graph.scenario.event(event_id)
        if event is None:
            raise ScenarioError(f"the scenario has no event '{event_id}'")
        self._brought_about.append(event)

    def hung_up(self) -> None:
        """The carrier says that the trainee has hung up."""
        self._end(EndReason.TRAINEE_HUNG_UP)

    def _build(self, transport: CarrierTransport, engines: CallEngines) -> PipelineWorker:
        clock: dict[str, Any] = {"at_ms": lambda: self._line.at_ms}
        mouth = Mouth(
            engines.synthesiser,
            engines.graph.scenario,
            playback=self._playback,
            on_failure=lambda: self._end(EndReason.FAILED),
        )
        self._persona = PersonaProcessor(
            self._role,
            conversation=self._conversation,
            playback=self._playback,
            prepare=mouth.prepare,
            settle=self._line.settle,
            emit=self._emit,
            **clock,
        )
        listener = Listener(
            engines.recogniser,
            VoiceDetector(engines.turn_models),
            SmartTurn(engines.turn_models),
            timing=self._turn_taking.timing,
            speculate=self._turn_taking.speculate,
            along=ServiceWords(engines.streaming) if engines.streaming else None,
            conversation=self._conversation,
            emit=self._emit,
            persona_audible=lambda: self._playback.speaking,
            **clock,
        )
        worker = PipelineWorker(
            Pipeline([transport.input(), listener, self._turns(), self._persona, mouth, transport.output()]),
            params=PipelineParams(
                audio_in_sample_rate=RECOGNISER_RATE_HZ, audio_out_sample_rate=ulaw.RATE_HZ
            ),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            cancel_runner_on_idle_timeout=False,
        )

        async def connected(_transport: object, _websocket: object) -> None:
            await self._cue(Occasion.OPENING)

        async def disconnected(_transport: object, _websocket: object) -> None:
            self._end(EndReason.CONNECTION_LOST)

        async def broke(_worker: object, error: ErrorFrame) -> None:
            self._errors += 1
            log.warning("pipeline_error", pii_error=error.error)

        worker.add_event_handler("on_pipeline_error", broke)
        transport.add_event_handler("on_client_connected", connected)
        transport.add_event_handler("on_client_disconnected", disconnected)
        return worker

    def _turns(self) -> LLMUserAggregator:
        turns = LLMUserAggregator(
            LLMContext(),
            params=LLMUserAggregatorParams(
                user_turn_strategies=UserTurnStrategies(
                    start=[ExternalUserTurnStartStrategy()], stop=[TurnEndStrategy()]
                ),
                user_turn_stop_timeout=_UNDERSTOOD_WITHIN_S,
                user_idle_timeout=(self._turn_taking.idle_ms + LEAD_MS) / 1_000,
                audio_idle_timeout=0,  # a network that stalls in mid-word ends no turn
                empty_user_turn=None,
            ),
        )

        async def stopped(_turns: object, _strategy: object, message: UserTurnStoppedMessage) -> None:
            self._prompts = 0
            if not message.content:
                await self._nothing_understood()

        async def idle(_turns: object) -> None:
            await self._trainee_silent()

        turns.add_event_handler("on_user_turn_stopped", stopped)
        turns.add_event_handler("on_user_turn_idle", idle)
        return turns

    async def _nothing_understood(self) -> None:
        self._conversation.trainee_finished("", self._line.at_ms)
        if self._persona.interrupted:
            await self._cue(Occasion.CUT_OFF)

    async def _trainee_silent(self) -> None:
        self._prompts += 1
        self._emit(TraineeSilent(self._prompts, self._line.at_ms))
        still_asking = self._prompts <= self._turn_taking.idle_prompts
        await self._cue(Occasion.SILENCE if still_asking else Occasion.GONE)

    async def _cue(self, occasion: Occasion) -> None:
        await self._worker.queue_frame(CueFrame(occasion, max(1, self._prompts)))

    async def _watch(self) -> None:
        started_s = time.monotonic()
        while self._reason is None:
            await asyncio.sleep(_TICK_S)
            self._line.tick()
            self._record(everything=False)
            now_s = time.monotonic()
            if now_s - self._line.received_s > _WATCHDOG_S:
                self._end(EndReason.CONNECTION_LOST)
            elif now_s - started_s > self._turn_taking.max_call_s + _LAST_WORDS_S:
                self._end(EndReason.TIME_LIMIT)
            elif now_s - started_s > self._turn_taking.max_call_s and not self._playback.speaking:
                await self._cue(Occasion.TIME_UP)
            elif not self._playback.speaking:
                await self._let_happen()
        await self._over(self._reason)
        await self._worker.cancel()

    async def _let_happen(self) -> None:
        """An event that was brought about or is due, or an interruption of a trainee who speaks too long."""
        at_ms = self._line.at_ms
        while self._brought_about and self._brought_about[0].id in self._role.state.happened:
            self._brought_about.popleft()
        event = self._brought_about[0] if self._brought_about else self._role.due_event(at_ms)
        speaking_ms = self._conversation.speaking_ms(at_ms)
        reason: Happening | Interruption | None = event
        if speaking_ms and not (event is not None and event.interrupts):
            reason = self._role.interruption(speaking_ms, at_ms)
        if reason is not None:
            await self._worker.queue_frame(HappeningFrame(reason))

    def _record(self, *, everything: bool) -> None:
        frames = self._recorder.take(everything=everything)
        if self._recording is not None and len(frames):
            self._recording.append(frames)

    async def _fill_pauses(self) -> None:
        if not self._engines.graph.scenario.line.is_clean:
            await self._transport.fill_pauses()

    def _filter_broke(self, name: str, reason: str) -> None:
        log.error("filter_bypassed", filter=name, reason=reason)
        self._emit(FilterBypassed(name, reason, self._line.at_ms))

    def _judge_line(self) -> LineJudged:
        report = self._front_end.line_report()
        return LineJudged(report.faults, self._front_end.figures(), self._recorder.duration_ms)

    def _end(self, reason: EndReason) -> None:
        self._reason = self._reason or reason

    def _sound_bounds(self, speaker: Speaker, start_ms: float, end_ms: float) -> tuple[int, int] | None:
        return self._recorder.sound_bounds(_TRACKS[speaker], start_ms, end_ms)
