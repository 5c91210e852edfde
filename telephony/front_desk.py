"""The port between the Twilio edge and whoever decides about calls, and the nouns they share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from fastapi import WebSocket

from telephony.media_stream import MediaStream, Started


class Refusal(StrEnum):
    """Why a request, a handshake or a stream was turned away: what `FrontDesk.refused` counts."""

    UNSIGNED = "unsigned"
    WRONG_SIGNATURE = "wrong_signature"
    WRONG_ACCOUNT = "wrong_account"
    CONTENT_TYPE = "content_type"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    REPLAYED = "replayed"
    SILENT = "silent"
    TOKEN = "token"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class InboundCall:
    """A call that rings. `caller` and `called` are as Twilio gives them: `+1555...`, `anonymous`, `sip:...`.

    `repeated`: Twilio signed this very request before, within a day. It is a retry, or somebody's replay.
    """

    call_sid: str
    caller: str = field(repr=False)
    called: str = field(repr=False)
    direction: str
    status: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect the call to a stream that brings `token` and `parameters`, after speaking `announcement`."""

    token: str = field(repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    announcement: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Speak `text`, if any, and hang up. `reason` is a constant for the log."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call is over as it should be."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The call lost its stream and gets another, the `attempt`-th (from 1)."""

    token: str = field(repr=False)
    attempt: int


@dataclass(frozen=True, slots=True)
class Apologise:
    """The call cannot go on: speak `text` and hang up."""

    text: str


Admission = Connect | Refuse
NextStep = HangUp | Reconnect | Apologise


@dataclass(frozen=True, slots=True)
class CallStatus:
    """A call's progress as Twilio reports it, each report once, in any order: `sequence` gives the order."""

    call_sid: str
    status: str
    sequence: int | None
    duration_s: int | None
    sip_response_code: int | None
    error_code: int | None


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """`event` is stream-started, stream-stopped or stream-error; `error` is Twilio's text or empty."""

    stream_sid: str
    call_sid: str
    event: str
    error: str


Ticket = TypeVar("Ticket")


class FrontDesk(Protocol[Ticket]):
    """Decides what becomes of calls. `Ticket` is what a redeemed token stands for; opaque here.

    A signature does not expire, so a captured request or handshake can be sent again for ever. What a replay
    may cost is bounded here: a token is single use, short-lived and bound to its CallSid, and at most one
    stream of a call lives.
    """

    async def admit(self, call: InboundCall) -> Admission:
        """A call rings. Once a stream of the call was claimed, ever, it is refused.

        Until then a `repeated` request gets a working answer, because Twilio retries a webhook that it got no
        answer to; any token given out for the call before is void from then on.
        """

    async def after_stream(self, call_sid: str) -> NextStep:
        """The stream of a call ended and the caller is still there.

        Twilio asks in the same words each time, so requests cannot be told from replays: the answer follows
        from the call's state, and asking twice must change nothing but the token.
        """

    async def call_status(self, update: CallStatus) -> None:
        """A report. It is not sent again if this raises."""

    async def stream_status(self, update: StreamStatus) -> None:
        """A report. It is not sent again if this raises."""

    async def claim(self, token: str, started: Started) -> Ticket:
        """Redeems a token for the call that `started`. Raises TokenError."""

    async def hold(self, websocket: WebSocket, stream: MediaStream, started: Started, ticket: Ticket) -> None:
        """The call itself; returns when it is over. The socket may be left open or closed."""

    async def first_time(self, key: str) -> bool:
        """Whether `key` is new within 24 h; from now on it is not. One atomic step."""

    def refused(self, code: str) -> None:
        """Counts a refusal, one of `Refusal`."""
