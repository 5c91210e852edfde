"""Status callbacks of one call and its streams, delivered in order and beside the call."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from telephony.simulator.calls import TERMINAL, Call, CallStatus
from telephony.simulator.webhooks import Failure, Webhooks

_EVENTS: Final = {
    CallStatus.INITIATED: "initiated",
    CallStatus.RINGING: "ringing",
    CallStatus.IN_PROGRESS: "answered",
}
_MOST_WAITING: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Delivery:
    name: str
    url: str
    method: str
    fields: list[tuple[str, str]]


class Callbacks:
    """A queue with one sender. What comes while 1,000 are waiting is dropped and logged."""

    def __init__(self, call: Call, webhooks: Webhooks) -> None:
        self._call = call
        self._webhooks = webhooks
        self._sequence = 0
        self._waiting: asyncio.Queue[_Delivery | None] = asyncio.Queue(_MOST_WAITING)

    def progress(self, status: CallStatus) -> None:
        """Tells of a step of the call, if it was asked for."""
        wanted = self._call.plan.callback
        event = "completed" if status in TERMINAL else _EVENTS[status]
        if wanted is None or event not in wanted.events:
            return
        fields = self._call.progress_fields(status, self._sequence)
        self._sequence += 1
        self._put(_Delivery(event, wanted.url, wanted.method, fields))

    def stream(self, event: str, url: str, method: str, sid: str, name: str, error: str = "") -> None:
        """Tells of a step of a media stream, if the stream has a callback URL."""
        if not url:
            return
        fields = [
            ("AccountSid", self._call.account_sid),
            ("CallSid", self._call.sid),
            ("StreamSid", sid),
            ("StreamName", name or sid),
            ("StreamEvent", event),
            ("Timestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
        ]
        if error:
            fields.append(("StreamError", error))
        self._put(_Delivery(event, url, method, fields))

    def close(self) -> None:
        """Lets `run` end once everything has been delivered."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def run(self) -> None:
        """Delivers until closed."""
        while (delivery := await self._waiting.get()) is not None:
            outcome = await self._webhooks.request(delivery.url, delivery.method, delivery.fields)
            if isinstance(outcome, Failure):
                self._call.note("error", f"{delivery.name} to {outcome.url}: {outcome.message}", outcome.code)
            else:
                self._call.note("callback", f"{delivery.name} to {outcome.url}: {outcome.status}")

    def _put(self, delivery: _Delivery) -> None:
        if self._waiting.full():
            self._call.note("warning", f"callback {delivery.name} dropped: {_MOST_WAITING} are waiting")
        else:
            self._waiting.put_nowait(delivery)
