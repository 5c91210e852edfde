"""The front desk: which calls are taken, with which scenario, and what goes on record about them."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from fastapi import WebSocket

from agent import persona
from agent.call import EndReason, Speaker
from agent.errors import StoreError, TokenError
from agent.events import (
    CallEnded,
    CallStarted,
    EngineBroke,
    Event,
    MessageRefused,
    Part,
    TraineeSaying,
    TurnTaken,
)
from agent.scenario import Scenario
from agent.turn_end import TurnTiming
from db.book import Book
from db.live import Live
from db.models import new_id
from db.recordings import Recordings
from pipelines.call import Call, CallResult, TurnTaking
from rolecall.engines import Engines
from rolecall.metrics import Metrics
from rolecall.settings import Settings, Turns
from telephony.front_desk import (
    Admission,
    Apologise,
    CallStatus,
    Connect,
    HangUp,
    InboundCall,
    NextStep,
    Refuse,
    StreamStatus,
)
from telephony.media_stream import MediaStream, Started

_TOKEN_TTL_S: Final = 30
_ALL_BUSY: Final = "All lines are busy. Please call again in a few minutes. Goodbye."
_LOST: Final = "We are sorry, the connection to your rehearsal was lost. Please call again. Goodbye."
_CARRIER: Final = "twilio"
_NOT_ON_PURPOSE: Final = (EndReason.CONNECTION_LOST, EndReason.FAILED)
"""After these the caller is still there and gets an apology."""
_SEED_BITS: Final = 31

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a redeemed stream token stands for."""

    scenario_id: str


class Desk:
    """Implements `telephony.front_desk.FrontDesk` for one process."""

    def __init__(
        self,
        settings: Settings,
        scenarios: Mapping[str, Scenario],
        *,
        engines: Engines,
        live: Live,
        book: Book,
        recordings: Recordings,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._scenarios = scenarios
        self._engines = engines
        self._live = live
        self._book = book
        self._recordings = recordings
        self._metrics = metrics
        self._active: set[str] = set()
        self._calls: dict[UUID, Call] = {}
        self._reserved: dict[str, float] = {}

    @property
    def active_calls(self) -> int:
        """How many calls this process holds."""
        return len(self._active)

    def bring_about(self, call_id: UUID, event_id: str) -> bool:
        """Has an event happen in a call; False if this process does not hold the call.

        Raises:
            ScenarioError: the scenario of the call has no such event.
        """
        call = self._calls.get(call_id)
        if call is None:
            return False
        call.bring_about(event_id)
        return True

    async def admit(self, call: InboundCall) -> Admission:
        """Takes a call if a line is free and the call has not had its stream yet."""
        if await self._live.seen(_streamed(call.call_sid)):
            return Refuse("", "had_its_stream")
        if self._engines.behind:
            return Refuse(_ALL_BUSY, "engines_behind")
        if not self._reserve(call.call_sid):
            return Refuse(_ALL_BUSY, "all_lines_busy")
        scenario_id = self._settings.scenarios.default
        token = await self._live.issue_token(call.call_sid, {"scenario_id": scenario_id}, _TOKEN_TTL_S)
        return Connect(token)

    def _reserve(self, call_sid: str) -> bool:
        """Keeps a line for a call until its token expires; False if all are taken."""
        now_s = time.monotonic()
        self._reserved = {sid: until_s for sid, until_s in self._reserved.items() if until_s > now_s}
        taken = self._active | self._reserved.keys() - {call_sid}
        if len(taken) >= self._settings.server.max_calls:
            return False
        self._reserved[call_sid] = now_s + _TOKEN_TTL_S
        return True

    async def after_stream(self, call_sid: str) -> NextStep:
        """A call that ended on purpose is hung up; one that lost its stream gets an apology."""
        return HangUp() if await self._live.seen(_finished(call_sid)) else Apologise(_LOST)

    async def call_status(self, update: CallStatus) -> None:
        """Notes the carrier's view of a call in the log."""
        log.info("call_status", call_sid=update.call_sid, status=update.status, error_code=update.error_code)

    async def stream_status(self, update: StreamStatus) -> None:
        """Notes the carrier's view of a stream in the log."""
        log.info("stream_status", call_sid=update.call_sid, event_name=update.event, error=update.error)

    async def claim(self, token: str, started: Started) -> Ticket:
        """Redeems a token for the call's one stream. Raises TokenError."""
        payload = await self._live.redeem_token(token, started.call_sid)
        if not await self._live.first_time(_streamed(started.call_sid)):
            raise TokenError("this call had its stream already")
        return Ticket(str(payload["scenario_id"]))

    async def first_time(self, key: str) -> bool:
        """Whether `key` is new within 24 h."""
        return await self._live.first_time(key)

    def refused(self, code: str) -> None:
        """Counts a refusal."""
        self._metrics.refusals.labels(code).inc()

    async def hold(self, websocket: WebSocket, stream: MediaStream, started: Started, ticket: Ticket) -> None:
        """Holds the call from its first audio to its last, and puts it on record."""
        call_id = new_id()
        self._reserved.pop(started.call_sid, None)
        self._active.add(started.call_sid)
        self._metrics.calls_active.inc()
        with structlog.contextvars.bound_contextvars(call_id=str(call_id)):
            try:
                await self._hold(call_id, websocket, stream, started, self._scenarios[ticket.scenario_id])
            finally:
                self._active.discard(started.call_sid)
                self._metrics.calls_active.dec()

    async def _hold(
        self, call_id: UUID, websocket: WebSocket, stream: MediaStream, started: Started, scenario: Scenario
    ) -> None:
        fixed = self._settings.scenarios.seed
        seed = secrets.randbits(_SEED_BITS) if fixed is None else fixed
        emit = self._emitter(call_id)
        emit(
            CallStarted(
                scenario_id=scenario.id,
                scenario_version=scenario.version,
                carrier=_CARRIER,
                carrier_call_id=started.call_sid,
                seed=seed,
                started_at=datetime.now(UTC).isoformat(),
            )
        )
        result: CallResult | None = None
        try:
            result = await self._rehearse(call_id, websocket, stream, started, scenario, seed, emit)
        finally:
            emit(_ended(result))

    async def _rehearse(
        self,
        call_id: UUID,
        websocket: WebSocket,
        stream: MediaStream,
        started: Started,
        scenario: Scenario,
        seed: int,
        emit: Callable[[Event], None],
    ) -> CallResult:
        for rung in self._engines.rungs:
            emit(rung.event())
        recording = self._recordings.create(call_id, 8_000) if self._settings.recording.enabled else None

        async def over(reason: EndReason) -> None:
            if reason in _NOT_ON_PURPOSE:
                return
            try:
                await self._live.first_time(_finished(started.call_sid))
            except StoreError as error:
                log.error("end_of_call_not_shared", reason=str(error))

        def broke(part: Part, engine: str, code: str, fallback: str) -> None:
            emit(EngineBroke(part, engine, code, fallback, call.at_ms))

        try:
            call = Call(
                websocket,
                stream,
                state=persona.begin(scenario, seed),
                engines=await self._engines.for_call(scenario, broke),
                turn_taking=_turn_taking(self._settings.turns),
                emit=emit,
                recording=recording,
                over=over,
            )
            self._calls[call_id] = call
            return await call.hold()
        finally:
            self._calls.pop(call_id, None)
            if recording is not None:
                self._book.note_recording(call_id, await recording.close())

    def _emitter(self, call_id: UUID) -> Callable[[Event], None]:
        def emit(event: Event) -> None:
            if not isinstance(event, TraineeSaying):
                self._book.note(call_id, event)
            self.count(event)

        return emit

    def count(self, event: Event) -> None:
        """Has `/metrics`, and the log, know of an event."""
        match event:
            case TurnTaken(turn=turn) if turn.speaker is Speaker.PERSONA and turn.response_gap_ms is not None:
                self._metrics.response_gap_s.observe(turn.response_gap_ms / 1_000)
            case EngineBroke(part=part, engine=engine):
                self._metrics.engine_failures.labels(part, engine).inc()
                log.warning(
                    "engine_broke", part=part, engine=engine, code=event.code, fallback=event.fallback
                )
            case MessageRefused(total=total):
                log.warning("message_refused", code=event.code, total=total)
            case CallEnded(reason=reason, counters=counters):
                self._metrics.calls.labels(reason).inc()
                self._metrics.messages_refused.inc(counters.get("messages_refused", 0))
                log.info("call_ended", reason=reason, duration_ms=event.at_ms)


def _turn_taking(turns: Turns) -> TurnTaking:
    timing = TurnTiming(
        start_ms=turns.start_ms,
        barge_in_ms=turns.barge_in_ms,
        eager_ms=turns.eager_ms,
        shortest_ms=turns.shortest_ms,
        longest_ms=turns.longest_ms,
    )
    return TurnTaking(timing, turns.speculate, turns.idle_ms, turns.idle_prompts, turns.max_call_s)


def _streamed(call_sid: str) -> str:
    return f"streamed:{call_sid}"


def _finished(call_sid: str) -> str:
    return f"finished:{call_sid}"


def _ended(result: CallResult | None) -> CallEnded:
    ended_at = datetime.now(UTC).isoformat()
    if result is None:
        return CallEnded(EndReason.FAILED, "", "", ended_at, at_ms=0)
    return CallEnded(
        reason=result.reason,
        ending=result.ending.id if result.ending else "",
        outcome=result.ending.outcome if result.ending else "",
        ended_at=ended_at,
        at_ms=result.duration_ms,
        counters=result.counters,
    )
