"""Server-sent events to a client who may go at any time."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

import structlog
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Receive, Scope, Send

log = structlog.get_logger(__name__)


class StreamedEvent(NamedTuple):
    """One event of a stream (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

    name: str
    data: Mapping[str, Any]

    def encode(self) -> bytes:
        """As it is sent."""
        return format_sse_event(data_str=json.dumps(self.data, ensure_ascii=False), event=self.name)


class EventStream(StreamingResponse):
    """Sends `events` as they come, then what `settle` returns; the next is asked for once one was sent.

    If the client goes, or `events` take longer than `timeout_s`, their source is cancelled, once, and closed.
    In any case `settle` is awaited, and nothing cancels that. Starlette's own response would cancel whatever
    the source awaits to clean up, and FastAPI's reads ahead of what was sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[StreamedEvent, None],
        settle: Callable[[], Awaitable[Sequence[StreamedEvent]]],
        timeout_s: float,
    ) -> None:
        super().__init__((), headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._events = events
        self._settle = settle
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request (ASGI)."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with asyncio.TaskGroup() as tasks:
                streaming = tasks.create_task(self._stream(send))
                watching = tasks.create_task(_watch(receive, streaming))
                streaming.add_done_callback(lambda _: watching.cancel())
        finally:
            last = await self._settle()
        for event in last:
            await _send(send, event.encode())
        await _send(send, b"", more=False)

    async def _stream(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self._timeout_s), aclosing(self._events) as events:
                async for event in events:
                    await _send(send, event.encode())
        except TimeoutError:
            log.warning("stream_took_too_long", timeout_s=self._timeout_s)


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _watch(receive: Receive, streaming: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    streaming.cancel()
