"""Coqui TTS as a process of its own: text in over HTTP, sound out, one synthesis at a time.

    GET  /health      200 while the process works, 503 once a synthesis is stuck
    GET  /ready       200 once the model is loaded and has spoken
    GET  /v1/voices   {"model", "rate_hz", "voices": [...], "languages": [...]}
    POST /v1/speech   {"text", "voice", "language", "rate"} -> mono s16le samples at X-Sample-Rate-Hz

`python server.py --model FOLDER_OR_NAME` listens on loopback. With COQUI_TOKEN in the environment, /v1/ wants
it as a bearer token; without one the server listens nowhere else.
"""

import argparse
import asyncio
import ipaddress
import logging
import os
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

log = logging.getLogger("coqui.server")


class Speaker(Protocol):
    """A loaded model. `speak` blocks, and is called from one thread at a time."""

    model: str
    rate_hz: int
    voices: tuple[str, ...]
    languages: tuple[str, ...]

    def speak(self, text: str, voice: str, language: str, rate: float) -> NDArray[np.float32]:
        """Mono samples in [-1, 1] at `rate_hz`; `rate` 2.0 is twice as fast."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes on. `waiting` requests wait while one is spoken; more are sent away."""

    waiting: int = 4
    text_characters: int = 600
    body_bytes: int = 8_192
    body_within_s: float = 2.0
    stuck_after_s: float = 60.0


class Wanted(BaseModel):
    """The body of POST /v1/speech."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, pattern=r"\w")
    voice: str = Field(min_length=1, max_length=200)
    language: str = Field("", max_length=20)
    rate: float = Field(1.0, ge=0.5, le=2.0, allow_inf_nan=False)


class Booth:
    """One speaker and the queue before it."""

    def __init__(self, load: Callable[[], Speaker], limits: Limits) -> None:
        self.limits = limits
        self._speaker: Speaker | None = None
        self._load = load
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="coqui")
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._speaking_since: float | None = None

    async def open(self) -> None:
        """Loads the model and lets it speak once. Raises what loading raises."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._speaker = await loop.run_in_executor(self._thread, self._load_and_warm_up)
        log.info("%s is ready after %.1f s", self._speaker.model, loop.time() - began)

    def ready(self) -> Speaker:
        """The speaker. Raises HTTPException while it is being loaded."""
        if self._speaker is None:
            raise HTTPException(503, "the model is being loaded", headers={"Retry-After": "5"})
        return self._speaker

    def close(self) -> None:
        """Takes no more work; what is being spoken is spoken to its end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def is_stuck(self) -> bool:
        """One synthesis takes longer than any text can."""
        now = asyncio.get_running_loop().time()
        return self._speaking_since is not None and now - self._speaking_since > self.limits.stuck_after_s

    async def speak(self, speaker: Speaker, wanted: Wanted, request: Request) -> bytes:
        """Waits its turn and returns s16le samples. Raises HTTPException if too many wait already."""
        if self._turn.locked() and self._waiting >= self.limits.waiting:
            raise HTTPException(503, f"{self._waiting} texts wait already", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            if await request.is_disconnected():
                raise HTTPException(499, "nobody waits for this any more")
            return await self._spoken(speaker, wanted)
        finally:
            self._turn.release()

    async def _spoken(self, speaker: Speaker, wanted: Wanted) -> bytes:
        loop = asyncio.get_running_loop()
        self._speaking_since = loop.time()
        try:
            return await loop.run_in_executor(self._thread, _speak, speaker, wanted)
        except Exception as error:  # noqa: BLE001 - models fail in ways of their own; the next text may be fine
            log.exception("the model failed")
            raise HTTPException(500, "the model failed") from error
        finally:
            self._speaking_since = None

    def _load_and_warm_up(self) -> Speaker:
        speaker = self._load()
        warm_up = Wanted(text="Hello.", voice=speaker.voices[0], language=speaker.languages[0])
        _speak(speaker, warm_up)
        return speaker


def create_app(
    load: Callable[[], Speaker], limits: Limits, token: str, on_broken: Callable[[], None]
) -> FastAPI:
    """Serves what `load` returns; calls `on_broken` if it raises."""
    booth = Booth(load, limits)

    async def open_booth() -> None:
        try:
            await booth.open()
        except Exception:  # noqa: BLE001 - whatever it is, a process without a model is of no use
            log.exception("the model cannot be loaded")
            on_broken()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(open_booth(), name="load the model")
            yield
            opening.cancel()
            booth.close()

    app = FastAPI(title="Coqui TTS", lifespan=lifespan, openapi_url=None)
    wants_token = [Depends(_bearer(token))]

    @app.get("/health")
    async def health() -> dict[str, str]:
        if booth.is_stuck:
            raise HTTPException(503, "a synthesis does not end")
        return {"status": "ok"}

    @app.get("/ready")
    async def readiness(_: Annotated[Speaker, Depends(booth.ready)]) -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/v1/voices", dependencies=wants_token)
    async def voices(speaker: Annotated[Speaker, Depends(booth.ready)]) -> dict[str, object]:
        return {
            "model": speaker.model,
            "rate_hz": speaker.rate_hz,
            "voices": list(speaker.voices),
            "languages": list(speaker.languages),
        }

    @app.post("/v1/speech", dependencies=wants_token)
    async def speech(request: Request, speaker: Annotated[Speaker, Depends(booth.ready)]) -> Response:
        wanted = _checked(await _body(request, limits), speaker, limits)
        samples = await booth.speak(speaker, wanted, request)
        headers = {"X-Sample-Rate-Hz": str(speaker.rate_hz)}
        return Response(samples, media_type="audio/pcm", headers=headers)

    return app


def _bearer(token: str) -> Callable[[str], Awaitable[None]]:
    async def check(authorization: Annotated[str, Header()] = "") -> None:
        if token and not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "a bearer token is wanted", headers={"WWW-Authenticate": "Bearer"})

    return check


async def _body(request: Request, limits: Limits) -> bytes:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "application/json is wanted")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body_bytes:
                    raise HTTPException(413, f"more than {limits.body_bytes} bytes")
    except TimeoutError:
        raise HTTPException(408, "the request does not arrive") from None
    return bytes(body)


def _checked(body: bytes, speaker: Speaker, limits: Limits) -> Wanted:
    try:
        wanted = Wanted.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise HTTPException(422, f"{place}: {fault['msg']}".removeprefix(": ")) from None
    if len(wanted.text) > limits.text_characters:
        raise HTTPException(422, f"text: more than {limits.text_characters} characters")
    if wanted.voice not in speaker.voices:
        raise HTTPException(404, "voice: unknown")
    language = wanted.language or speaker.languages[0]
    if language not in speaker.languages:
        raise HTTPException(422, "language: not spoken by this model")
    return wanted.model_copy(update={"language": language})


def _speak(speaker: Speaker, wanted: Wanted) -> bytes:
    samples = speaker.speak(wanted.text, wanted.voice, wanted.language, wanted.rate)
    if not samples.size or not np.isfinite(samples).all():
        raise ValueError("the model returned no sound")
    return (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def main() -> int:
    """Serves until it is told to stop; 1 if the model cannot be loaded, 2 for wrong options."""
    parser = argparse.ArgumentParser(description="Serves a Coqui TTS model over HTTP.")
    parser.add_argument("--model", required=True, help="a folder, or a name such as tts_models/en/vctk/vits")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8020)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of one synthesis")
    parser.add_argument("--waiting", type=int, default=Limits().waiting, help="texts that wait at most")
    parser.add_argument("--refuse-root", action="store_true", help="do not run as the superuser")
    options = parser.parse_args()
    token = os.environ.get("COQUI_TOKEN", "")  # noqa: TID251 - a process of its own, without rolecall's settings
    if options.refuse_root and os.geteuid() == 0:
        parser.error("runs as root; give the container another user")
    if not token and not _is_loopback(options.host):
        parser.error(f"COQUI_TOKEN is not set: without it only this machine may ask, not {options.host}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    def load() -> Speaker:
        # Takes seconds to import; /health answers meanwhile.
        from coqui_voice import open_voice

        return open_voice(options.model, options.device, options.threads)

    broken = threading.Event()

    def stop() -> None:
        broken.set()
        server.should_exit = True

    app = create_app(load, Limits(waiting=options.waiting), token, stop)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=options.host,
            port=options.port,
            access_log=False,
            log_config=None,
            limit_concurrency=options.waiting + 32,
            timeout_keep_alive=75,
        )
    )
    server.run()
    return 1 if broken.is_set() else 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    raise SystemExit(main())
