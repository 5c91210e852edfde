"""The tables. Keys are UUIDv7, instants are UTC, `_ms` columns are on a call's media clock."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from agent.account import Role
from agent.call import EndReason, Speaker

NAMES: Final = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}
"""Constraints need names, or no migration can change them on SQLite."""

PARTS: Final = ("speech_to_text", "wording", "text_to_speech", "echo_cancellation", "noise_reduction")
OUTCOMES: Final = ("", "success", "failure", "open")

JsonObject = dict[str, Any]


class CallStatus(StrEnum):
    """Whether a call is going on."""

    IN_PROGRESS = "in_progress"
    ENDED = "ended"


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ids of one process sort in the order in which they were made."""
    return uuid_utils.compat.uuid7()


class Utc(TypeDecorator[datetime]):
    """An instant: aware datetimes in, UTC datetimes out. A naive datetime is refused (ValueError).

    SQLite has no type for instants; there it is kept as UTC text, which sorts by time.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Python to database."""
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Database to Python."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _values(kind: type[StrEnum]) -> Enum:
    """Stored as the member's value; the CHECK is written out, because migrations compare it by text."""
    return Enum(kind, native_enum=False, length=32, values_callable=lambda kind: [str(m) for m in kind])


class Base(DeclarativeBase):
    """Common metadata and column types."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {
        datetime: Utc(),
        JsonObject: JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
        list[list[str]]: JSON().with_variant(JSONB(), "postgresql"),
        Speaker: _values(Speaker),
        EndReason: _values(EndReason),
        CallStatus: _values(CallStatus),
        Role: _values(Role),
    }


class User(Base):
    """An account. One that is disabled opens nothing."""

    __tablename__ = "users"
    __table_args__ = (_one_of("role", Role),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[Role]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class ApiToken(Base):
    """A secret that stands for an account; only its SHA-256 is kept. `last_used_at` is coarse."""

    __tablename__ = "api_tokens"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    label: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Scenario(Base):
    """One immutable version of a scenario. `document` is NULL while only the version is known."""

    __tablename__ = "scenarios"
    __table_args__ = (UniqueConstraint("scenario_id", "version"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    scenario_id: Mapped[str]
    version: Mapped[str]
    title: Mapped[str]
    document: Mapped[JsonObject | None]
    created_at: Mapped[datetime]


class Call(Base):
    """One connection from ring to hang-up, and its result."""

    __tablename__ = "calls"
    __table_args__ = (
        ForeignKeyConstraint(
            ["scenario_id", "scenario_version"], ["scenarios.scenario_id", "scenarios.version"]
        ),
        _one_of("status", CallStatus),
        _one_of("end_reason", EndReason),
        _one_of("outcome", OUTCOMES),
        CheckConstraint("(status = 'ended') = (ended_at IS NOT NULL)", name="ended_has_time"),
        CheckConstraint("(status = 'ended') = (end_reason IS NOT NULL)", name="ended_has_reason"),
        CheckConstraint("(status = 'ended') = (duration_ms IS NOT NULL)", name="ended_has_duration"),
        CheckConstraint("status = 'ended' OR (ending = '' AND outcome = '')", name="open_has_no_result"),
        CheckConstraint("duration_ms >= 0", name="duration_not_negative"),
        Index(None, "started_at"),
        Index(None, "scenario_id", "id"),
        Index(None, "status", "id"),
        Index(None, "outcome", "id"),
        Index(None, "end_reason", "id"),
        Index(None, "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    carrier: Mapped[str]
    carrier_call_id: Mapped[str] = mapped_column(unique=True)
    scenario_id: Mapped[str]
    scenario_version: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    status: Mapped[CallStatus]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[EndReason | None]
    ending: Mapped[str] = mapped_column(default="")
    outcome: Mapped[str] = mapped_column(default="")
    duration_ms: Mapped[int | None]
    counters: Mapped[JsonObject] = mapped_column(default=dict)
    line: Mapped[JsonObject | None]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))

    turns: Mapped[list["Turn"]] = relationship(lazy="raise", order_by="Turn.turn_index")
    engines: Mapped[list["CallEngine"]] = relationship(lazy="raise", order_by="CallEngine.seq")
    recording: Mapped["Recording | None"] = relationship(lazy="raise")


def _of_call() -> Mapped[UUID]:
    return mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))


class Turn(Base):
    """One party's contribution as heard. See `agent.call.Turn`."""

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("call_id", "turn_index"),
        _one_of("speaker", Speaker),
        CheckConstraint("turn_index >= 0", name="index_not_negative"),
        CheckConstraint("start_ms >= 0 AND end_ms >= start_ms", name="times_in_order"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_in_range"),
        CheckConstraint("confidence IS NULL OR speaker = 'trainee'", name="confidence_is_trainees"),
        CheckConstraint(
            "(response_gap_ms IS NULL AND stages IS NULL) OR speaker = 'persona'", name="gap_is_personas"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    call_id: Mapped[UUID] = _of_call()
    turn_index: Mapped[int]
    speaker: Mapped[Speaker]
    text: Mapped[str]
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    interrupted: Mapped[bool]
    confidence: Mapped[float | None]
    response_gap_ms: Mapped[int | None]
    stages: Mapped[JsonObject | None]


class CallEvent(Base):
    """A domain event as it left the call. `seq` counts from 0; a hole is an event that was dropped."""

    __tablename__ = "call_events"
    __table_args__ = (
        CheckConstraint("seq >= 0", name="seq_not_negative"),
        CheckConstraint("at_ms >= 0", name="time_not_negative"),
    )

    call_id: Mapped[UUID] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    at_ms: Mapped[int]
    payload: Mapped[JsonObject]


class CallEngine(Base):
    """An engine that served a part of a call, since when, why, and what became of it.

    `seq` is that of the event which brought it in.
    """

    __tablename__ = "call_engines"
    __table_args__ = (
        UniqueConstraint("call_id", "seq"),
        _one_of("part", PARTS),
        CheckConstraint("(broke_at_ms IS NULL) = (broke_code IS NULL)", name="broke_has_code"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    call_id: Mapped[UUID] = _of_call()
    seq: Mapped[int]
    part: Mapped[str]
    engine: Mapped[str]
    model: Mapped[str]
    reason: Mapped[str]
    passed_over: Mapped[list[list[str]]]
    since_ms: Mapped[int]
    broke_at_ms: Mapped[int | None]
    broke_code: Mapped[str | None]


class Recording(Base):
    """A call's two-track recording. `key` is its place in the recordings store."""

    __tablename__ = "recordings"
    __table_args__ = (
        UniqueConstraint("call_id"),
        CheckConstraint("rate_hz > 0 AND channels > 0 AND duration_ms >= 0", name="sizes_possible"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    call_id: Mapped[UUID] = _of_call()
    key: Mapped[str]
    format: Mapped[str]
    rate_hz: Mapped[int]
    channels: Mapped[int]
    duration_ms: Mapped[int]
    complete: Mapped[bool]
