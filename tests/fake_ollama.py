"""A server that speaks Ollama's native HTTP protocol on a real socket, and misbehaves on demand.

Faithful to Ollama's docs/api.md, docs/api/streaming.mdx, docs/api/errors.mdx and server/routes.go where the
persona's wording depends on it: NDJSON in chunks, thinking unless told not to, errors in mid-stream with
status 200, a request that ends when its connection does.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.chat_server import (
    Behaviour,
    ChatServer,
    End,
    HangUp,
    Item,
    Refusal,
    Request,
    json_bytes,
    open_chat_server,
    says,
    send,
    send_json,
    sends,
    stream,
)

__all__ = ["Behaviour", "FakeOllama", "HangUp", "failure", "open_fake_ollama", "says", "sends"]

_NOW = "2026-08-21T08:32:57.861552Z"


def failure(error: str = "an error was encountered while running the model") -> bytes:
    """What ends a stream that fails after its status was sent."""
    return _line({"error": error})


@dataclass
class FakeOllama(ChatServer):
    """One server, with these models; those in `thinking` think."""

    models: Sequence[str] = ("llama3.2:3b",)
    thinking: Sequence[str] = ()
    listing: bytes | None = None

    async def route(self, route: str, body: Request, writer: asyncio.StreamWriter) -> None:
        """Lists models, says its version, chats."""
        if route == "GET /api/tags":
            await send(writer, self.listing if self.listing is not None else json_bytes(self._tags()))
        elif route == "GET /api/version":
            await send_json(writer, {"version": "0.12.6"})
        elif route == "POST /api/chat":
            self.requests.append(body)
            await stream(writer, "application/x-ndjson", self._chat(body))
        else:
            raise Refusal(404, "404 page not found")

    def error(self, refusal: Refusal) -> dict[str, Any]:
        """Ollama's form of an error."""
        return {"error": refusal.error}

    def _tags(self) -> dict[str, Any]:
        return {
            "models": [
                {
                    "name": model,
                    "model": model,
                    "modified_at": _NOW,
                    "size": 2019393189,
                    "digest": "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
                    "details": {"format": "gguf", "family": "bert" if "minilm" in model else "llama"},
                }
                for model in self.models
            ]
        }

    async def _chat(self, body: Request) -> AsyncIterator[bytes]:
        model = str(body.get("model", ""))
        if not model:
            raise Refusal(400, "model is required")
        if (model if ":" in model else f"{model}:latest") not in self.models:
            raise Refusal(404, f"model '{model}' not found")
        if body.get("think") and model not in self.thinking:
            raise Refusal(400, f'"{model}" does not support thinking')
        if not body.get("messages"):
            yield _line(_done(model, "load"))
            return
        if model in self.thinking and body.get("think") is not False:
            for word in ("The", " caller", " is", " greeting"):
                yield _line(_chunk(model, "", thinking=word))
        async for item in self.behaviour(body):
            yield _written(model, item)


@asynccontextmanager
async def open_fake_ollama(server: FakeOllama | None = None) -> AsyncIterator[FakeOllama]:
    """Runs a fake on a free loopback port; `host` says where."""
    async with open_chat_server(server or FakeOllama()) as fake:
        yield fake


def _written(model: str, item: Item) -> bytes:
    if isinstance(item, bytes):
        return item
    return _line(_done(model, item.reason) if isinstance(item, End) else _chunk(model, item))


def _chunk(model: str, text: str, **more: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more}
    return {"model": model, "created_at": _NOW, "message": message, "done": False}


def _done(model: str, reason: str) -> dict[str, Any]:
    """The last line of a stream, with its metrics in nanoseconds."""
    metrics = {"total_duration": 175644650, "load_duration": 50226844, "prompt_eval_count": 26}
    metrics |= {"prompt_eval_duration": 2000000, "eval_count": 7, "eval_duration": 123222611}
    return {**_chunk(model, ""), "done": True, "done_reason": reason, **metrics}


def _line(body: dict[str, Any]) -> bytes:
    return json_bytes(body) + b"\n"
