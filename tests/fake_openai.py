"""A server that speaks OpenAI's chat API on a real socket, and misbehaves on demand.

Faithful, where the persona's wording depends on it, to platform.openai.com/docs/api-reference: chat/create,
chat/streaming (data-only server-sent events, `[DONE]`, usage only on demand) and models/list; to
platform.openai.com/docs/guides/error-codes; to docs.vllm.ai (OpenAI-compatible server: 404 for a model that
is not served, 400 where a chat template refuses the order of roles); and to openrouter.ai/docs (streaming:
comments that keep the connection alive, errors in mid-stream with status 200 and a code of their own).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.chat_server import (
    ChatServer,
    End,
    Item,
    Refusal,
    Request,
    json_bytes,
    open_chat_server,
    send,
    send_json,
    stream,
)

KEEP_ALIVE = b": OPENROUTER PROCESSING\n\n"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"

_KINDS = {400: "invalid_request_error", 401: "invalid_request_error", 404: "invalid_request_error"}
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_CREATED = 1_787_301_177


@dataclass
class FakeOpenAI(ChatServer):
    """One server, with these models; `key` is the only one it takes, "" that it wants none.

    With `listing` set that is its list of models, or None of them where it has no such route.
    """

    models: Sequence[str] = (MODEL,)
    key: str = ""
    listing: bytes | None = None
    lists: bool = True

    @property
    def url(self) -> str:
        """The base address that clients are given."""
        return f"{self.host}/v1"

    async def route(self, route: str, body: Request, writer: asyncio.StreamWriter) -> None:
        """Lists models, chats."""
        if self.key and self.headers[-1].get("authorization") != f"Bearer {self.key}":
            raise Refusal(401, f"Incorrect API key provided: {self.headers[-1].get('authorization')}")
        if route == "GET /v1/models" and self.lists:
            listed = {"object": "list", "data": [self._card(model) for model in self.models]}
            await send(writer, self.listing if self.listing is not None else json_bytes(listed))
        elif route == "POST /v1/chat/completions":
            self.requests.append(body)
            self._check(body)
            if body.get("stream"):
                await stream(writer, "text/event-stream", self._events(body))
            else:
                await self._whole(body, writer)
        else:
            raise Refusal(404, f"Invalid URL ({route})")

    def error(self, refusal: Refusal) -> dict[str, Any]:
        """OpenAI's form of an error."""
        return {
            "error": {
                "message": refusal.error,
                "type": _KINDS.get(refusal.status, "server_error"),
                "param": None,
                "code": _CODES.get(refusal.status),
            }
        }

    def _card(self, model: str) -> dict[str, Any]:
        return {"id": model, "object": "model", "created": _CREATED, "owned_by": "vllm"}

    def _check(self, body: Request) -> None:
        if body.get("model") not in self.models:
            raise Refusal(404, f"The model `{body.get('model')}` does not exist.")
        roles = [message["role"] for message in body.get("messages", [])]
        if not roles:
            raise Refusal(400, "[] is too short - 'messages'")
        spoken = roles[1:] if roles[0] == "system" else roles
        if any(role != ("user", "assistant")[index % 2] for index, role in enumerate(spoken)):
            raise Refusal(400, "Conversation roles must alternate user/assistant/user/assistant/...")

    async def _events(self, body: Request) -> AsyncIterator[bytes]:
        first = True
        async for item in self.behaviour(body):
            if isinstance(item, bytes):
                yield item
                continue
            if first:
                yield _event(_chunk(body, {"role": "assistant", "content": ""}))
                first = False
            if isinstance(item, str):
                yield _event(_chunk(body, {"content": item}))
                continue
            yield _event(_chunk(body, {}, item.reason))
            if (body.get("stream_options") or {}).get("include_usage"):
                yield _event({**_chunk(body, {}), "choices": [], "usage": _USAGE})
            yield b"data: [DONE]\n\n"

    async def _whole(self, body: Request, writer: asyncio.StreamWriter) -> None:
        items: list[Item] = [item async for item in self.behaviour(body)]
        raw = b"".join(item for item in items if isinstance(item, bytes))
        if raw:
            await send(writer, raw)
            return
        text = "".join(item for item in items if isinstance(item, str))
        reason = next((item.reason for item in items if isinstance(item, End)), "stop")
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        head = {"id": "chatcmpl-9", "object": "chat.completion", "created": _CREATED}
        await send_json(writer, {**head, "model": body["model"], "choices": [choice], "usage": _USAGE})


@asynccontextmanager
async def open_fake_openai(server: FakeOpenAI | None = None) -> AsyncIterator[FakeOpenAI]:
    """Runs a fake on a free loopback port; `url` says where."""
    async with open_chat_server(server or FakeOpenAI()) as fake:
        yield fake


def failure(message: str = "Provider disconnected", code: int | None = None) -> bytes:
    """What ends a stream that fails after its status was sent; with a code as OpenRouter has it."""
    return _event({"error": {"message": message, "type": "server_error", "param": None, "code": code}})


_USAGE = {"prompt_tokens": 26, "completion_tokens": 7, "total_tokens": 33}


def _chunk(body: Request, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    head = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": _CREATED}
    return {**head, "model": body["model"], "choices": [choice]}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json_bytes(data) + b"\n\n"
