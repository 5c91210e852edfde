"""What reading a call gives: the call log's line, and everything on record."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from agent.call import EndReason, Stages, Turn
from db import models
from db.models import CallStatus
from db.recordings import RecordingInfo

Channel = Literal["phone", "text"]

TEXT_CARRIER = "text"
"""The carrier of calls that are held in writing."""


@dataclass(frozen=True, slots=True)
class CallSummary:
    """A call as a call log shows it. What is known only at the end is None, or "", until then.

    `duration_ms` is on the media clock; `counters` are those of `CallEnded`; `line` holds the `faults` of
    `LineJudged` and its figures. `user_id` is the trainee's account, if that is known.
    """

    id: UUID
    carrier: str
    carrier_call_id: str
    scenario_id: str
    scenario_version: str
    seed: int
    started_at: datetime
    status: CallStatus
    ended_at: datetime | None
    end_reason: EndReason | None
    ending: str
    outcome: str
    duration_ms: int | None
    counters: Mapping[str, int]
    line: Mapping[str, Any] | None
    user_id: UUID | None

    @property
    def channel(self) -> Channel:
        """How the call was held, as its carrier has it."""
        return "text" if self.carrier == TEXT_CARRIER else "phone"


@dataclass(frozen=True, slots=True)
class EngineUse:
    """An engine that served `part` of a call from `since_ms` on, and when and how it broke, if it did.

    `model` is "" where the engine has none, or where it took over in mid-call. `passed_over` holds
    (engine, reason) for each rung above it.
    """

    part: str
    engine: str
    model: str
    reason: str
    passed_over: tuple[tuple[str, str], ...]
    since_ms: int
    broke_at_ms: int | None
    broke_code: str | None


@dataclass(frozen=True, slots=True)
class CallRecord(CallSummary):
    """Everything on record about one call. Turns and engines are in their order."""

    turns: tuple[Turn, ...]
    engines: tuple[EngineUse, ...]
    recording: RecordingInfo | None


def summary_of(call: models.Call) -> CallSummary:
    """A row of `calls`."""
    return CallSummary(**_own_columns(call))


def record_of(call: models.Call) -> CallRecord:
    """A row of `calls`, its turns, engines and recording having been loaded with it."""
    return CallRecord(
        **_own_columns(call),
        turns=tuple(_turn(row) for row in call.turns),
        engines=tuple(_engine(row) for row in call.engines),
        recording=None if call.recording is None else _recording(call.recording),
    )


def _own_columns(call: models.Call) -> dict[str, Any]:
    return {field.name: getattr(call, field.name) for field in fields(CallSummary)}


def _turn(row: models.Turn) -> Turn:
    return Turn(
        index=row.turn_index,
        speaker=row.speaker,
        text=row.text,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        interrupted=row.interrupted,
        confidence=row.confidence,
        response_gap_ms=row.response_gap_ms,
        stages=None if row.stages is None else Stages(**row.stages),
    )


def _engine(row: models.CallEngine) -> EngineUse:
    return EngineUse(
        part=row.part,
        engine=row.engine,
        model=row.model,
        reason=row.reason,
        passed_over=tuple((engine, reason) for engine, reason in row.passed_over),
        since_ms=row.since_ms,
        broke_at_ms=row.broke_at_ms,
        broke_code=row.broke_code,
    )


def _recording(row: models.Recording) -> RecordingInfo:
    return RecordingInfo(
        key=row.key,
        format=row.format,
        rate_hz=row.rate_hz,
        channels=row.channels,
        duration_ms=row.duration_ms,
        complete=row.complete,
    )
