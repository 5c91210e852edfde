"""A stream of events to a client that stays, goes, or never comes to read."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from structlog.testing import capture_logs

from console.api.event_stream import EventStream, StreamedEvent
from tests.console.practice import streamed


class Client:
    """The other end of one ASGI request. One who `stays_for` so many events reads no more, and goes."""

    def __init__(self, stays_for: int | None = None) -> None:
        self.got = b""
        self.status = 0
        self.finished = False
        self.gone = asyncio.Event()
        self._stays_for = stays_for

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not self.gone.is_set():
            if self.got.count(b"event: ") == self._stays_for:
                self.gone.set()
                await asyncio.Event().wait()
            self.got += message["body"]
            self.finished = not message["more_body"]


class Source:
    """Counts to three, or forever waits before `stuck_before`; closing it takes a while."""

    def __init__(self, stuck_before: int | None = None) -> None:
        self.log: list[str] = []
        self._stuck_before = stuck_before

    async def events(self) -> AsyncGenerator[StreamedEvent, None]:
        try:
            for number in range(3):
                if number == self._stuck_before:
                    await asyncio.Event().wait()
                yield StreamedEvent("count", {"number": number})
                self.log.append(f"{number} sent")
        finally:
            await asyncio.sleep(0.05)
            self.log.append("closed")

    async def settle(self) -> Sequence[StreamedEvent]:
        await asyncio.sleep(0.05)
        self.log.append("settled")
        return [StreamedEvent("done", {"text": "Grüße,\n\nevent: forged"})]


async def serve(source: Source, client: Client, timeout_s: float = 20) -> None:
    stream = EventStream(source.events(), source.settle, timeout_s)
    await asyncio.wait_for(stream({"type": "http"}, client.receive, client.send), 20)


async def test_events_are_sent_in_their_order_and_then_what_settling_returns() -> None:
    source, client = Source(), Client()
    await serve(source, client)
    assert client.status == 200
    assert client.got.decode() == (
        'event: count\ndata: {"number": 0}\n\n'
        'event: count\ndata: {"number": 1}\n\n'
        'event: count\ndata: {"number": 2}\n\n'
        'event: done\ndata: {"text": "Grüße,\\n\\nevent: forged"}\n\n'
    )
    assert client.finished
    assert source.log == ["0 sent", "1 sent", "2 sent", "closed", "settled"]


async def test_a_client_who_goes_while_an_event_is_sent_stops_the_source_and_it_is_settled() -> None:
    source, client = Source(), Client(stays_for=1)
    await serve(source, client)
    assert source.log == ["0 sent", "closed", "settled"]


async def test_a_client_who_goes_while_the_source_is_at_work_stops_it_and_it_is_settled() -> None:
    source, client = Source(stuck_before=1), Client()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(source, client))
        while source.log != ["0 sent"]:  # noqa: ASYNC110 nobody is told
            await asyncio.sleep(0.01)
        client.gone.set()
    assert source.log == ["0 sent", "closed", "settled"]


async def test_a_source_that_takes_too_long_is_stopped_settled_and_the_client_told() -> None:
    source, client = Source(stuck_before=1), Client()
    with capture_logs() as logs:
        await serve(source, client, timeout_s=0.05)
    assert source.log == ["0 sent", "closed", "settled"]
    assert [name for name, _ in streamed(client.got.decode())] == ["count", "done"]
    assert client.finished
    assert [entry["event"] for entry in logs] == ["stream_took_too_long"]
