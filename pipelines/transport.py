"""The carrier's websocket as a Pipecat transport that speaks in marks and keeps ahead of the carrier."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from fastapi import WebSocket
from pipecat.frames.frames import Frame, LLMFullResponseEndFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketClient,
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from pipelines.line import Line

CHUNK_MS: Final = 60
"""Length of one media message; the resolution of what is known to be heard."""

LEAD_MS: Final = 600
"""How much the carrier holds in advance: a shorter stall of process or network is not heard."""

_PAUSE_S: Final = 0.02


class _LineSerializer(FrameSerializer):
    """Inbound half only: one carrier message may become one frame."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Nothing to prepare: rates are fixed by the line."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Never used: the output transport asks the line, because one frame may become two messages."""
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Hands a carrier message to the line."""
        return self._line.receive(data)


class _CarrierClient(FastAPIWebsocketClient):
    """Tells the line with which code the socket was closed: Pipecat's own forgets it."""

    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line

    async def receive(self) -> AsyncIterator[bytes | str]:
        """Yields messages until the socket is closed."""
        while (message := await self._websocket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            yield message["bytes"] if text is None else text
        self._line.closed(message.get("code"))


class _CarrierOutput(FastAPIWebsocketOutputTransport):
    """Sends audio with its mark, up to LEAD_MS ahead of real time; the carrier plays it out.

    Pipecat's own pacing keeps one chunk of slack and never catches up after a stall.
    """

    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line
        self._sending = asyncio.Lock()

    async def fill_pause(self) -> None:
        """Sends what is to be heard while the persona says nothing, if anything is."""
        await self._send(self._line.pause)

    async def write_transport_frame(self, frame: Frame) -> None:
        """Frames arrive here in order with the audio before them."""
        if isinstance(frame, LLMFullResponseEndFrame):
            await self._write_frame(frame)

    async def _write_frame(self, frame: Frame) -> bool:
        return await self._send(lambda: self._line.messages(frame))

    async def _send(self, messages: Callable[[], Sequence[str]]) -> bool:
        async with self._sending:  # a mark belongs right behind its audio
            if self._client.is_closing or not self._client.is_connected:
                return False
            for message in messages():
                await self._client.send(message)
            return True

    async def _write_audio_sleep(self) -> None:
        now_s = time.monotonic()
        due_s = max(self._next_send_time, now_s) + CHUNK_MS / 1_000
        self._next_send_time = due_s  # type: ignore[assignment]
        await asyncio.sleep(max(0.0, due_s - now_s - LEAD_MS / 1_000))


class CarrierTransport(FastAPIWebsocketTransport):
    """Pipecat's FastAPI websocket transport, with the line in place of a serializer."""

    def __init__(self, websocket: WebSocket, line: Line) -> None:
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=CHUNK_MS // 10,
            audio_out_end_silence_secs=0,
            allowed_origins=[],
            serializer=_LineSerializer(line),
        )
        super().__init__(websocket, params)
        self._client = _CarrierClient(websocket, self._callbacks, params.ws_close_timeout, line=line)
        self._input = FastAPIWebsocketInputTransport(self, self._client, params, name=self._input_name)
        self._carrier_output = _CarrierOutput(self, self._client, params, line=line, name=self._output_name)
        self._output = self._carrier_output

    async def fill_pauses(self) -> None:
        """Keeps the noise around the persona going; never returns."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            await self._carrier_output.fill_pause()
