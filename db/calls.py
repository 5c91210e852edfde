"""Every query about calls: domain events in, call records out. Never commits."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from operator import eq, ge, lt
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import CursorResult, ScalarSelect, Select, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, selectinload

from agent.call import EndReason, Turn
from agent.events import (
    EVENTS,
    CallEnded,
    CallStarted,
    EngineBroke,
    EngineChosen,
    Event,
    LineJudged,
    TurnTaken,
)
from db import models
from db.errors import RecordRefused
from db.models import Call, CallEngine, CallEvent, CallStatus, Recording, Scenario, User
from db.recordings import RecordingInfo
from db.records import CallRecord, CallSummary, record_of, summary_of


class Calls:
    """Calls within one transaction; whoever opened it commits. See `Database.calls`.

    Every method may raise DatabaseAway; those that write, RecordRefused.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def save_scenario(
        self, scenario_id: str, version: str, title: str, document: Mapping[str, Any] | None
    ) -> None:
        """Keeps a version of a scenario. A version is immutable: saving it again changes nothing.

        A `document` of None says that only the version is known; the first real document then fills it in.
        """
        row = self._insert(Scenario).values(
            id=models.new_id(),
            scenario_id=scenario_id,
            version=version,
            title=title,
            document=None if document is None else _storable(document),
            created_at=datetime.now(UTC),
        )
        self._session.execute(
            row.on_conflict_do_update(
                index_elements=["scenario_id", "version"],
                set_={"title": row.excluded.title, "document": row.excluded.document},
                where=Scenario.document.is_(None) & row.excluded.document.is_not(None),
            )
        )

    def apply(self, call_id: UUID, seq: int, event: Event) -> bool:
        """Records the `seq`-th event of a call and what follows from it: call, turn, engine, line, end.

        Idempotent: returns False, and changes nothing, if that event is on record already. The first
        CallEnded counts; a second one is kept as an event only.
        """
        payload = _storable(asdict(event))
        event = _readable(event.kind, payload)
        # The first statement writes: a SQLite transaction that reads first cannot always become a writer.
        if isinstance(event, CallStarted):
            self._open(call_id, event)
        if not self._keep_event(call_id, seq, event, payload):
            return False
        match event:
            case TurnTaken():
                self._session.execute(self._insert(models.Turn).values(_turn_row(call_id, event.turn)))
            case EngineChosen():
                self._engine_chosen(call_id, seq, event)
            case EngineBroke():
                self._engine_broke(call_id, seq, event)
            case LineJudged():
                line = {"faults": list(event.faults), **event.figures}
                self._session.execute(update(Call).where(Call.id == call_id).values(line=line))
            case CallEnded():
                self._end(call_id, event)
        return True

    def save_recording(self, call_id: UUID, recording: RecordingInfo) -> None:
        """Keeps where a call's recording is; saving again replaces it."""
        values = asdict(recording)
        row = self._insert(Recording).values(id=models.new_id(), call_id=call_id, **values)
        self._session.execute(row.on_conflict_do_update(index_elements=["call_id"], set_=values))

    def get(self, call_id: UUID) -> CallRecord | None:
        """Everything on record about a call."""
        return self._record(select(Call).where(Call.id == call_id))

    def by_carrier_id(self, carrier_call_id: str) -> CallRecord | None:
        """The call that a carrier knows under this id (Twilio: CallSid)."""
        return self._record(select(Call).where(Call.carrier_call_id == carrier_call_id))

    def is_finished(self, carrier_call_id: str) -> bool:
        """Whether the carrier's call is on record and over."""
        ended = exists().where(Call.carrier_call_id == carrier_call_id, Call.status == CallStatus.ENDED)
        return bool(self._session.scalar(select(ended)))

    def events(self, call_id: UUID, after_seq: int = -1) -> tuple[tuple[int, Event], ...]:
        """The (seq, event) pairs of a call that follow `after_seq`, in order."""
        query = select(CallEvent.seq, CallEvent.payload).order_by(CallEvent.seq)
        rows = self._session.execute(query.where(CallEvent.call_id == call_id, CallEvent.seq > after_seq))
        return tuple((seq, EVENTS.validate_python(payload)) for seq, payload in rows)

    def list(
        self,
        limit: int = 50,
        before: UUID | None = None,
        *,
        scenario_id: str | None = None,
        status: CallStatus | None = None,
        outcome: str | None = None,
        end_reason: EndReason | None = None,
        user_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[CallSummary, ...]:
        """Calls, newest first. The next page is what is `before` the id of the last one of this page.

        `since` and `until` (excluded) bound the start of a call.
        """
        wanted = (
            (Call.id, lt, before),
            (Call.scenario_id, eq, scenario_id),
            (Call.status, eq, status),
            (Call.outcome, eq, outcome),
            (Call.end_reason, eq, end_reason),
            (Call.user_id, eq, user_id),
            (Call.started_at, ge, since),
            (Call.started_at, lt, until),
        )
        query = select(Call).order_by(Call.id.desc()).limit(limit)
        for column, compare, value in wanted:
            if value is not None:
                query = query.where(compare(column, value))
        return tuple(summary_of(call) for call in self._session.scalars(query))

    def unfinished(self, carrier: str, until: datetime) -> tuple[CallSummary, ...]:
        """The calls of a carrier that began before `until` and have no end on record, oldest first."""
        query = select(Call).where(
            Call.status == CallStatus.IN_PROGRESS, Call.carrier == carrier, Call.started_at < until
        )
        return tuple(summary_of(call) for call in self._session.scalars(query.order_by(Call.id)))

    def reached(self, call_id: UUID) -> tuple[int, int]:
        """How far the record of a call goes: the `seq` of its last event, and its latest time in ms.

        (-1, 0) if there are no events.
        """
        furthest = select(func.max(CallEvent.seq), func.max(CallEvent.at_ms))
        seq, at_ms = self._session.execute(furthest.where(CallEvent.call_id == call_id)).one()
        return (-1, 0) if seq is None else (seq, at_ms)

    def _open(self, call_id: UUID, event: CallStarted) -> None:
        self.save_scenario(event.scenario_id, event.scenario_version, event.scenario_id, document=None)
        row = self._insert(Call).values(
            id=call_id,
            carrier=event.carrier,
            carrier_call_id=event.carrier_call_id,
            scenario_id=event.scenario_id,
            scenario_version=event.scenario_version,
            seed=event.seed,
            started_at=_instant(event.started_at),
            status=CallStatus.IN_PROGRESS,
            user_id=_account(event.user_id) if event.user_id else None,
        )
        self._session.execute(row.on_conflict_do_nothing(index_elements=["id"]))

    def _keep_event(self, call_id: UUID, seq: int, event: Event, payload: models.JsonObject) -> bool:
        row = self._insert(CallEvent).values(
            call_id=call_id, seq=seq, kind=event.kind, at_ms=event.at_ms, payload=payload
        )
        result = self._session.execute(row.on_conflict_do_nothing(index_elements=["call_id", "seq"]))
        assert isinstance(result, CursorResult)
        return result.rowcount == 1

    def _engine_chosen(self, call_id: UUID, seq: int, event: EngineChosen) -> None:
        self._session.add(
            CallEngine(
                call_id=call_id,
                seq=seq,
                part=event.part,
                engine=event.engine,
                model=event.model,
                reason=event.reason,
                passed_over=[list(pair) for pair in event.passed_over],
                since_ms=event.at_ms,
            )
        )
        self._session.flush()

    def _engine_broke(self, call_id: UUID, seq: int, event: EngineBroke) -> None:
        broken = update(CallEngine).where(
            CallEngine.call_id == call_id,
            CallEngine.part == event.part,
            CallEngine.engine == event.engine,
            CallEngine.broke_at_ms.is_(None),
        )
        self._session.execute(broken.values(broke_at_ms=event.at_ms, broke_code=event.code))
        if event.fallback:
            reason = f"{event.engine} broke: {event.code}"
            chosen = EngineChosen(event.part, event.fallback, "", reason, at_ms=event.at_ms)
            self._engine_chosen(call_id, seq, chosen)

    def _end(self, call_id: UUID, event: CallEnded) -> None:
        still_open = update(Call).where(Call.id == call_id, Call.status == CallStatus.IN_PROGRESS)
        self._session.execute(
            still_open.values(
                status=CallStatus.ENDED,
                ended_at=_instant(event.ended_at),
                end_reason=event.reason,
                ending=event.ending,
                outcome=event.outcome,
                duration_ms=event.at_ms,
                counters=event.counters,
            )
        )

    def _record(self, query: Select[Call]) -> CallRecord | None:
        parts = (selectinload(Call.turns), selectinload(Call.engines), selectinload(Call.recording))
        call = self._session.scalar(query.options(*parts))
        return None if call is None else record_of(call)

    def _insert(self, table: type[models.Base]) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows ON CONFLICT, which both databases have and standard SQL has not."""
        if self._session.get_bind().dialect.name == "postgresql":
            return postgresql.insert(table)
        return sqlite.insert(table)


def _readable(kind: str, payload: models.JsonObject) -> Event:
    """What will be read back: an event that cannot be is not written."""
    try:
        return EVENTS.validate_python(payload)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        # Without its cause, which quotes what was said.
        raise RecordRefused(f"a {kind} event is malformed at {places}") from None


def _account(user_id: str) -> ScalarSelect[UUID]:
    """The account, or nobody if there is none of that id any more."""
    try:
        return select(User.id).where(User.id == UUID(user_id)).scalar_subquery()
    except ValueError as error:
        raise RecordRefused("the account of a call is no UUID") from error


def _instant(text: str) -> datetime:
    """ISO 8601 to an instant; domain events give UTC, so a missing offset means that."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise RecordRefused(f"'{text}' is not an instant in ISO 8601") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _storable(value: Any) -> Any:
    """JSON values without what PostgreSQL cannot keep in text: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _turn_row(call_id: UUID, turn: Turn) -> dict[str, Any]:
    row = asdict(turn)
    return row | {"id": models.new_id(), "call_id": call_id, "turn_index": row.pop("index")}
