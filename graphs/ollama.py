"""Chat models of an Ollama server, through its native API."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import ollama
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_ollama import ChatOllama

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
    ollama.ResponseError,
    httpx.HTTPError,
    httpx.StreamError,
)


class OllamaChat(LangChainModel):
    """A `ChatModel` of an Ollama server.

    Proxies of the environment are not used: the server is on this machine or in this network. Sends `think:
    false`, without which a model that can think would do so for seconds, and `keep_alive: -1`, so that the
    model stays loaded between calls.
    """

    engine = "ollama"
    errors = _CLIENT_ERRORS

    def __init__(
        self,
        host: str,
        model: str,
        *,
        context_tokens: int = 4096,
        reply_tokens: int = 90,
        temperature: float = 0.7,
    ) -> None:
        """`context_tokens` is for prompt and reply together. Raises EngineUnreachable for no address."""
        self.model = model
        self._url = address_of(host)
        self._options = {
            "num_ctx": context_tokens,
            "num_predict": reply_tokens,
            "temperature": temperature,
        }
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEPT_FOR_S)
        )
        self._chat = ChatOllama(
            model=model,
            base_url=self._url,
            reasoning=False,
            keep_alive=-1,
            client_kwargs={"timeout": httpx.Timeout(SILENT_S, connect=CONNECT_S)},
            async_client_kwargs={"transport": self._transport},
        )

    async def aclose(self) -> None:
        """Closes the connections to the server."""
        await self._transport.aclose()

    async def load(self, timeout_s: float = 120.0) -> None:
        """Has the server load the model; see `ChatModel.load`. A large one takes its time from the disk."""
        client = ollama.AsyncClient(self._url, timeout=timeout_s, transport=self._transport)
        try:
            # Other options than those of the replies would make the server load the model a second time.
            await client.chat(self.model, messages=[], options=self._options, keep_alive=-1)
        except _CLIENT_ERRORS as error:
            raise self._failure(error) from error

    def _messages(self, messages: Sequence[Message]) -> list[BaseMessage]:
        return [_ROLES[message.role](content=message.text) for message in messages]

    def _stream_options(self, seed: int) -> dict[str, Any]:
        return {"options": {**self._options, "seed": seed}}

    def _answer_options(self, schema: dict[str, Any], *, seed: int, tokens: int) -> dict[str, Any]:
        options = {**self._options, "seed": seed, "temperature": 0.0, "num_predict": tokens}
        return {"options": options, "format": schema}

    def _ended(self, metadata: dict[str, Any]) -> bool:
        return bool(metadata.get("done"))

    def _failure(self, error: Exception) -> EngineError:
        return _failure(error, self._url, self.model)


async def find_model(host: str, model: str, timeout_s: float) -> FoundModel:
    """Asks the server for its models and picks `model`, or the first chat model where that is "".

    Raises:
        EngineUnavailable: the server does not answer properly within `timeout_s`, or lacks the model.
    """
    url = address_of(host)
    listed = [entry for entry in await _models(url, timeout_s) if entry.model]
    if not model:
        for entry in listed:
            if _can_chat(entry):
                reason = f"answers at {url}; no model is configured, so its first chat model"
                return FoundModel(url, str(entry.model), reason)
        raise ModelMissing(f"{url} has no chat model", hint="Fetch one with 'ollama pull llama3.2'")
    for entry in listed:
        if _full_name(str(entry.model)) == _full_name(model):
            return FoundModel(url, str(entry.model), f"answers at {url} and has the model")
    raise ModelMissing(f"{url} has no model '{model}'", hint=f"Fetch it with 'ollama pull {model}'")


def address_of(host: str) -> str:
    """Returns the URL that OLLAMA_HOST stands for: scheme, port or both may be left out, as Ollama has it.

    `0.0.0.0`, which tells the server to listen everywhere, means this machine.

    Raises:
        EngineUnreachable: it is not an address.
    """
    scheme, given, rest = host.strip().partition("://")
    scheme, rest, port = (scheme, rest, _PORTS.get(scheme)) if given else ("http", host.strip(), 11434)
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        name, port = parts.hostname or "127.0.0.1", parts.port or port
    except ValueError:
        port = None
    if port is None or parts.username is not None or not _HOST_NAME.fullmatch(name):
        raise EngineUnreachable(f"{host!r} is not an address", hint="Write it like http://127.0.0.1:11434")
    if name == "0.0.0.0":
        name = "127.0.0.1"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}{parts.path.rstrip('/')}"


async def _models(url: str, timeout_s: float) -> list[ollama.ListResponse.Model]:
    transport = httpx.AsyncHTTPTransport()
    try:
        async with asyncio.timeout(timeout_s), transport:
            client = ollama.AsyncClient(url, timeout=timeout_s, transport=transport)
            return list((await client.list()).models)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise EngineUnreachable(f"{url} did not answer within {timeout_s:g} s", hint=_START_IT) from error
    except _CLIENT_ERRORS as error:
        failure = _failure(error, url, "")
        if isinstance(failure, EngineUnavailable):
            raise failure from error
        raise EngineUnavailable(failure.message, hint=f"Is it Ollama that runs at {url}?") from error


_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[a-z0-9._:%-]+")
_START_IT = "Start it with 'ollama serve', or set OLLAMA_HOST to where it runs"
_EMBEDDING_FAMILIES = frozenset({"bert", "nomic-bert", "xlm-roberta"})


def _can_chat(entry: ollama.ListResponse.Model) -> bool:
    family = (entry.details.family if entry.details else None) or ""
    return "embed" not in (entry.model or "").casefold() and family.casefold() not in _EMBEDDING_FAMILIES


def _full_name(model: str) -> str:
    """Ollama's names do not tell capitals apart, and a name without a tag means `latest`."""
    name = model.casefold()
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def _failure(error: Exception, host: str, model: str) -> EngineError:
    if isinstance(error, ollama.ResponseError):
        return _refusal(error, host, model)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | OSError):
        return EngineUnreachable(f"nothing answers at {host}", hint=_START_IT)
    if isinstance(error, httpx.TimeoutException):
        return EngineStalled(f"{host} fell silent")
    if isinstance(error, httpx.HTTPError):
        return EngineStumbled(f"the connection to {host} broke: {type(error).__name__}")
    return EngineFailed(f"{host} does not speak Ollama's protocol: {type(error).__name__}")


def _refusal(error: ollama.ResponseError, host: str, model: str) -> EngineError:
    if error.status_code == 404 and model:
        return ModelMissing(f"{host} has no model '{model}'", hint=f"Fetch it with 'ollama pull {model}'")
    return refused(host, error.status_code, error.error, when_busy="Raise OLLAMA_NUM_PARALLEL on the server")


_ROLES: Mapping[str, type[BaseMessage]] = {
    "frame": SystemMessage,
    "direction": SystemMessage,
    "trainee": HumanMessage,
    "persona": AIMessage,
}
