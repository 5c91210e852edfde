"""Deepgram and AssemblyAI on this machine: they say part of a line at once, and all when the VAD stops."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

LINE = "Who is this?"


@dataclass(slots=True)
class FakeService:
    """What a service was sent: the query and key it was opened with, bytes of sound, kinds of messages.

    It answers the handshake once `open_door` is set.
    """

    url: str = ""
    refuses: bool = False
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    sound_bytes: int = 0
    kinds: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    open_door: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def open_fake_service() -> AsyncIterator[FakeService]:
    """Speaks both protocols; listens on a free port of the loopback interface.

    Sources: https://developers.deepgram.com/reference/speech-to-text/listen-streaming,
    https://www.assemblyai.com/docs/api-reference/streaming-api/streaming-api
    """
    fake = FakeService()
    fake.open_door.set()

    async def door(connection: ServerConnection, request: Request) -> Response | None:
        fake.queries.append(parse_qs(urlsplit(request.path).query))
        fake.keys.append(request.headers.get("Authorization", ""))
        fake.asked.set()
        await fake.open_door.wait()
        return connection.respond(401, "no such key\n") if fake.refuses else None

    async def converse(connection: ServerConnection) -> None:
        # Also tells the test that the client listens.
        deepgram = connection.request is not None and "/listen" in connection.request.path
        partial = _results("Who is", final=False) if deepgram else _turn("Who is", final=False)
        await connection.send(json.dumps(partial))
        async for message in connection:
            if isinstance(message, bytes):
                fake.sound_bytes += len(message)
                continue
            kind = json.loads(message)["type"]
            fake.kinds.append(kind)
            for answer in _answers(kind):
                await connection.send(json.dumps(answer))

    async with serve(converse, "127.0.0.1", 0, process_request=door) as server:
        host, port = server.sockets[0].getsockname()[:2]
        fake.url = f"ws://{host}:{port}"
        yield fake
        fake.open_door.set()


def _answers(kind: str) -> list[dict[str, Any]]:
    if kind == "Finalize":
        return [_results(LINE, final=True)]
    if kind == "ForceEndpoint":
        return [_turn(LINE, final=True)]
    if kind == "Terminate":
        return [{"type": "Termination", "audio_duration_seconds": 1.0, "session_duration_seconds": 1.0}]
    return []


def _results(text: str, *, final: bool) -> dict[str, Any]:
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 1.0,
        "start": 0.0,
        "is_final": final,
        "speech_final": final,
        "from_finalize": final,
        "channel": {"alternatives": [{"transcript": text, "confidence": 0.75, "words": []}]},
        "metadata": {
            "request_id": "r",
            "model_info": {"name": "nova-3", "version": "1", "arch": "nova"},
            "model_uuid": "u",
        },
    }


def _turn(text: str, *, final: bool) -> dict[str, Any]:
    words = [
        {"start": 100 * at, "end": 100 * at + 90, "text": word, "confidence": 0.7, "word_is_final": True}
        for at, word in enumerate(text.split())
    ]
    return {
        "type": "Turn",
        "turn_order": 0,
        "turn_is_formatted": final,
        "end_of_turn": final,
        "transcript": text,
        "end_of_turn_confidence": 0.9,
        "words": words,
    }
