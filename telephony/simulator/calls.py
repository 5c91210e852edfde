"""A call as the carrier knows it: its state, its history, and the wishes that interrupt it."""

import asyncio
import math
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import Final

from telephony.simulator.handset import Handset

_MOST_ENTRIES: Final = 10_000
TERMINAL: Final = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
_SIP_CODES: Final = {
    "completed": "200",
    "busy": "486",
    "no-answer": "487",
    "canceled": "487",
    "failed": "404",
}


class CallStatus(StrEnum):
    """Values of the Call resource and, `initiated`, of its callbacks.

    https://www.twilio.com/docs/voice/api/call-resource#call-status-values
    """

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"


class CallDirection(StrEnum):
    """Who called whom."""

    INBOUND = "inbound"
    OUTBOUND_API = "outbound-api"


@dataclass(frozen=True, slots=True)
class Instruction:
    """Where the next TwiML comes from: `url`, to be requested with extra `fields`, or `twiml` itself."""

    url: str = ""
    method: str = "POST"
    fields: tuple[tuple[str, str], ...] = ()
    twiml: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """A status callback that somebody asked for."""

    url: str
    method: str = "POST"
    events: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What was asked for when the call was made."""

    first: Instruction
    fallback: Instruction | None = None
    callback: Callback | None = None
    ring_limit_s: int = 60
    time_limit_s: int = 4 * 60 * 60
    queue_time_ms: int = 0
    extra_fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that happened. `kind`: status, webhook, callback, verb, stream, digits, error, warning."""

    at_ms: int
    kind: str
    detail: str
    code: int | None = None


@dataclass(slots=True, eq=False)
class Call:
    """One call, the `number`th of its carrier.

    `handset` is the phone; it can be used before the call is answered, and then waits.
    """

    sid: str
    account_sid: str
    from_: str
    to: str
    direction: CallDirection
    plan: CallPlan
    handset: Handset = field(repr=False)
    number: int = 0
    status: CallStatus = CallStatus.QUEUED
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    log: list[LogEntry] = field(default_factory=list, repr=False)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    redirection: Instruction | None = field(default=None, repr=False)
    ending: str = field(default="", repr=False)
    _over: "asyncio.Future[CallStatus]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future(), repr=False
    )
    _created_s: float = field(default_factory=lambda: asyncio.get_running_loop().time(), repr=False)

    @property
    def ended(self) -> Awaitable[CallStatus]:
        """Await it for the final status, known once the last callback has been delivered."""
        return asyncio.shield(self._over)

    @property
    def is_over(self) -> bool:
        """Whether the status is final."""
        return self.status in TERMINAL

    @property
    def duration_s(self) -> int | None:
        """Seconds from answer to end, rounded up; None for a call that was not answered or is not over."""
        if self.started_at is None or self.ended_at is None or self.status != CallStatus.COMPLETED:
            return None
        return math.ceil((self.ended_at - self.started_at).total_seconds())

    @property
    def errors(self) -> list[int]:
        """The codes of all errors and warnings, in order."""
        return [entry.code for entry in self.log if entry.code is not None]

    def note(self, kind: str, detail: str, code: int | None = None) -> None:
        """Adds to the log; what comes after the first 10,000 entries is not kept."""
        if len(self.log) < _MOST_ENTRIES:
            at_ms = round((asyncio.get_running_loop().time() - self._created_s) * 1_000)
            self.log.append(LogEntry(at_ms, kind, detail, code))

    def set_status(self, status: CallStatus) -> None:
        """Moves on; a final status stays."""
        if self.is_over:
            return
        self.status = status
        self.updated_at = datetime.now(UTC)
        if status is CallStatus.IN_PROGRESS:
            self.started_at = self.updated_at
        if self.is_over:
            self.ended_at = self.updated_at
        self.note("status", status)

    def redirect(self, instruction: Instruction) -> None:
        """Interrupts what runs and goes on with `instruction`."""
        self.redirection = instruction
        self.interrupted.set()

    def end(self, why: str) -> None:
        """Interrupts what runs and ends the call; the first reason counts."""
        self.ending = self.ending or why
        self.interrupted.set()

    def close(self) -> None:
        """Nothing more will happen to this call."""
        if not self._over.done():
            self._over.set_result(self.status)

    def fields(self, status: CallStatus | None = None) -> list[tuple[str, str]]:
        """The form fields that every request about this call carries."""
        fields = [
            ("CallSid", self.sid),
            ("AccountSid", self.account_sid),
            ("From", self.from_),
            ("To", self.to),
            ("Caller", self.from_),
            ("Called", self.to),
            ("CallStatus", status or self.status),
            ("ApiVersion", "2010-04-01"),
            ("Direction", self.direction),
        ]
        for party in ("From", "To", "Caller", "Called"):
            fields += [(f"{party}{part}", "") for part in ("City", "State", "Zip")]
            fields.append((f"{party}Country", "US"))
        return [*fields, *self.plan.extra_fields]

    def progress_fields(self, status: CallStatus, sequence: int) -> list[tuple[str, str]]:
        """The form fields of a status callback."""
        fields = [
            *self.fields(status),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(sequence)),
            ("Timestamp", format_datetime(datetime.now(UTC))),
        ]
        if status not in TERMINAL:
            return fields
        seconds = self.duration_s or 0
        return [
            *fields,
            ("CallDuration", str(seconds)),
            ("Duration", str(math.ceil(seconds / 60))),
            ("SipResponseCode", _SIP_CODES[status]),
        ]
