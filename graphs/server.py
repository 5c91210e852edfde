"""Chat models of a server that speaks OpenAI's chat API: vLLM, llama.cpp, OpenRouter, Groq, OpenAI itself.

Source: https://platform.openai.com/docs/api-reference/chat
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from agent.errors import EngineError, EngineFailed, EngineUnavailable
from agent.prompt import Message
from graphs.model import (
    CONNECT_S,
    KEPT_FOR_S,
    ON_GARBAGE,
    SILENT_S,
    EngineStalled,
    EngineStumbled,
    EngineUnreachable,
    FoundModel,
    LangChainModel,
    ModelMissing,
    refused,
)

_CLIENT_ERRORS: tuple[type[Exception], ...] = (
    *ON_GARBAGE,
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.StreamError,
)
_HELLO_TOKENS = 16


class ServerChat(LangChainModel):
    """A `ChatModel` of a server at `url`, with its `/v1`.

    Proxies of the environment are used only for a server that is not in this network. Sends no key where
    there is none, and nothing about this machine.
    """

    engine = "server"
    errors = _CLIENT_ERRORS

    def __init__(
        self, url: str, model: str, key: str = "", *, reply_tokens: int = 90, temperature: float = 0.7
    ) -> None:
        self.model = model
        self._url = url
        self._client = _open_client(url, key)
        # Whatever is left out here is read from OPENAI_... and LC_... in the environment.
        self._chat = ChatOpenAI(
            model=model,
            base_url=url,
            api_key=SecretStr(key or _NO_KEY),
            organization="",
            openai_proxy=None,
            timeout=openai.Timeout(SILENT_S, connect=CONNECT_S),
            max_retries=0,
            max_completion_tokens=reply_tokens,
            temperature=temperature,
            http_async_client=self._client,
            http_socket_options=(),
            stream_chunk_timeout=None,
            stream_usage=False,
            use_responses_api=False,
            output_version="v0",
        )

    async def aclose(self) -> None:
        """Closes the connections to the server."""
        await self._client.aclose()

    async def load(self) -> None:
        """Has the model say a word or two; see `ChatModel.load`.

        Only that shows whether the key is good and the model serves.
        """
        try:
            await self._chat.ainvoke([HumanMessage("Hello.")], max_tokens=_HELLO_TOKENS)
        except _CLIENT_ERRORS as error:
            raise self._failure(error) from error

    def _messages(self, messages: Sequence[Message]) -> list[BaseMessage]:
        return in_turn(messages)

    def _stream_options(self, seed: int) -> dict[str, Any]:
        return {"seed": seed}

    def _answer_options(self, schema: dict[str, Any], *, seed: int, tokens: int) -> dict[str, Any]:
        wanted = {"name": schema["title"], "schema": schema, "strict": True}
        # As an option of its own it would be the client that reads the answer, by its own types.
        body = {"response_format": {"type": "json_schema", "json_schema": wanted}}
        return {"seed": seed, "temperature": 0.0, "max_tokens": tokens, "extra_body": body}

    def _ended(self, metadata: dict[str, Any]) -> bool:
        reason = metadata.get("finish_reason")
        if reason in ("content_filter", "error"):
            raise EngineFailed(f"{self._url} ended a reply for the reason {reason}")
        return bool(reason)

    def _failure(self, error: Exception) -> EngineError:
        return _failure(error, self._url, self.model)


async def find_model(url: str, model: str, key: str, timeout_s: float) -> FoundModel:
    """Asks the server for its models and picks `model`, or, where that is "", the only one it has.

    A server that does not tell its models is believed to have `model`.

    Raises:
        EngineUnavailable: the server does not answer properly within `timeout_s`, or lacks the model.
    """
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise EngineUnavailable("WORDING_API_KEY has characters that no key has", hint="Copy it again")
    try:
        async with asyncio.timeout(timeout_s), _open_client(url, key) as client:
            asking = openai.AsyncOpenAI(
                api_key=key or _NO_KEY, base_url=url, max_retries=0, timeout=timeout_s, http_client=client
            )
            listed = [entry.id for entry in (await asking.models.list()).data]
    except (TimeoutError, openai.APITimeoutError) as error:
        raise EngineUnreachable(f"{url} did not answer within {timeout_s:g} s", hint=_CHECK_URL) from error
    except openai.NotFoundError as error:
        if model:
            return FoundModel(url, model, f"answers at {url}, without telling its models")
        raise ModelMissing(f"{url} does not tell its models", hint="Set wording.server_model") from error
    except _CLIENT_ERRORS as error:
        failure = _failure(error, url, "")
        if isinstance(failure, EngineUnavailable):
            raise failure from error
        raise EngineUnavailable(failure.message, hint=failure.hint or _CHECK_URL) from error
    return _picked(url, model, listed)


def in_turn(messages: Sequence[Message]) -> list[BaseMessage]:
    """The messages in the one order that all chat templates take: system, then user and assistant in turn.

    Notes to the persona are put in square brackets, which a trainee's words cannot have.
    """
    system = "\n\n".join(message.text for message in messages if message.role == "frame")
    turns: list[tuple[bool, str]] = []
    for message in messages:
        if message.role == "frame":
            continue
        speaks = message.role == "persona"
        text = f"[{message.text}]" if message.role == "direction" else message.text.translate(_NO_NOTES)
        if turns and turns[-1][0] == speaks:
            turns[-1] = speaks, f"{turns[-1][1]}\n\n{text}"
        else:
            turns += [(False, _RINGS)] if speaks and not turns else []
            turns.append((speaks, text))
    spoken: list[BaseMessage] = [AIMessage(text) if speaks else HumanMessage(text) for speaks, text in turns]
    return [SystemMessage(system), *spoken] if system else spoken


def is_near(url: str) -> bool:
    """Whether the address is one of this machine or of its own network, by what it says alone."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan", ".localhost"))
    return address.is_private or address.is_loopback or address.is_link_local


_NO_KEY = "none"
_NEEDED = "x-stainless-raw-response"
"""The client reads in its own request how it is to give back the answer."""
_NO_NOTES = str.maketrans("[]", "()")
_RINGS = "[The telephone rings, and you pick up.]"
_CHECK_URL = "Check wording.server_url, which ends in /v1 for most servers"
_LISTED_AT_MOST = 5


def _open_client(url: str, key: str) -> httpx2.AsyncClient:
    async def keep_to_what_is_needed(request: httpx2.Request) -> None:
        for name in list(request.headers):
            if name.lower().startswith(("x-stainless-", "openai-")) and name.lower() != _NEEDED:
                del request.headers[name]
        request.headers["User-Agent"] = "rolecall"
        if not key:
            request.headers.pop("Authorization", None)

    return httpx2.AsyncClient(
        trust_env=not is_near(url),
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=KEPT_FOR_S),
        event_hooks={"request": [keep_to_what_is_needed]},
    )


def _picked(url: str, model: str, listed: list[str]) -> FoundModel:
    if not model:
        if len(listed) == 1:
            return FoundModel(url, listed[0], f"answers at {url}; no model is configured, so its only one")
        raise ModelMissing(f"{url} has {len(listed)} models", hint=_name_one_of(listed))
    # OpenRouter takes variants of what it lists, such as NAME:nitro.
    if model in listed or model.rpartition(":")[0] in listed:
        return FoundModel(url, model, f"answers at {url} and has the model")
    raise ModelMissing(f"{url} has no model '{model}'", hint=_name_one_of(listed))


def _name_one_of(listed: list[str]) -> str:
    more = ", ..." if len(listed) > _LISTED_AT_MOST else ""
    names = ", ".join(" ".join(str(name).split())[:80] for name in listed[:_LISTED_AT_MOST])
    return f"Set wording.server_model to one of: {names}{more}" if listed else "Load one on the server"


def _failure(error: Exception, url: str, model: str) -> EngineError:
    if isinstance(error, openai.APITimeoutError):
        return EngineStalled(f"{url} fell silent")
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError | OSError):
        if isinstance(error, OSError) or any(
            isinstance(each, httpx2.ConnectError) for each in _causes(error)
        ):
            return EngineUnreachable(f"nothing answers at {url}", hint=_CHECK_URL)
        return EngineStumbled(f"the connection to {url} broke")
    if isinstance(error, openai.APIError):
        return _refusal(error, url, model)
    return EngineFailed(f"{url} does not speak OpenAI's protocol: {type(error).__name__}")


def _refusal(error: openai.APIError, url: str, model: str) -> EngineError:
    status = _status(error)
    if status in (401, 403):
        # What a server says about a key may quote it.
        return EngineUnavailable(f"{url} refused with {status}", hint="Check WORDING_API_KEY")
    if status == 404 and model:
        return ModelMissing(f"{url} has no model '{model}'", hint=f"Check wording.server_model. {_CHECK_URL}")
    said = error.body.get("message") if isinstance(error.body, dict) else error.message
    return refused(url, status, said, when_busy="Use a model or a plan with more requests")


def _status(error: openai.APIError) -> int:
    """HTTP's, or in mid-stream, where HTTP's is 200, the code in the error's body (OpenRouter)."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    code = error.body.get("code") if isinstance(error.body, dict) else None
    return code if type(code) is int else 0


def _causes(error: BaseException | None) -> list[BaseException]:
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__
    return causes
