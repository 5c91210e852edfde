"""A server of our own in a process of its own, on a free loopback port, for demo and simulation."""

import asyncio
import logging
import multiprocessing
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from agent.errors import RolecallError
from rolecall.settings import Settings, make_home
from telephony.simulator import LineConditions, SimulatorSettings

_READY_S: Final = 60.0
_POLL_S: Final = 0.1
_STOP_S: Final = 10.0
_LastWords = tuple[str, str]
"""Message and hint of the error that ended the server."""

_PUBLIC_URL: Final = "https://rolecall.test"
"""Stands for the public address: the simulated carrier signs for it and connects to the loopback port."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that is ready for calls from `account_sid`. `ready` is what its `/ready` says."""

    url: str
    public_url: str
    account_sid: str
    auth_token: str
    pid: int
    ready: dict[str, Any]

    def carrier(
        self, conditions: LineConditions | None = None, *, seed: int | None = None
    ) -> SimulatorSettings:
        """A simulated carrier that calls this server over lines with `conditions`."""
        return SimulatorSettings(
            account_sid=self.account_sid,
            auth_token=self.auth_token,
            public_url=self.public_url,
            target=self.url,
            conditions=conditions or LineConditions(),
            seed=seed,
        )


@asynccontextmanager
async def open_local_server(
    settings: Settings, prepare: Callable[[], None] | None = None
) -> AsyncIterator[LocalServer]:
    """Serves with `settings`, but an account, an address and a port of its own.

    `prepare`, a function at the top of a module, is called in the new process before anything is opened:
    benchmarks put engines of their own on the ladders there.

    Raises RolecallError with the server's own words if it does not come up.
    """
    make_home(settings)
    account_sid, auth_token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    port = _free_port()
    settings = settings.model_copy(
        update={
            "server": settings.server.model_copy(update={"host": "127.0.0.1", "port": port}),
            "public_url": _PUBLIC_URL,
            "twilio_account_sid": account_sid,
            "twilio_auth_token": SecretStr(auth_token),
        }
    )
    log_file = settings.home / "server.log"
    spawn = multiprocessing.get_context("spawn")
    last_words, speaker = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_serve, args=(settings, log_file, speaker, prepare))
    process.start()
    speaker.close()
    try:
        assert process.pid is not None
        url = f"http://127.0.0.1:{port}"
        ready = await _until_ready(process, url)
        if ready is None:
            raise _why_not(last_words, log_file)
        yield LocalServer(url, _PUBLIC_URL, account_sid, auth_token, process.pid, ready)
    finally:
        await asyncio.to_thread(_stop, process)
        last_words.close()


def _serve(
    settings: Settings,
    log_file: Path,
    last_words: "Connection[_LastWords, object]",
    prepare: Callable[[], None] | None,
) -> None:
    """Runs in the new process. The terminal and its Ctrl-C belong to the parent."""
    from rolecall.logs import configure_logs

    os.setpgrp()
    configure_logs(settings.logs, file=log_file)
    from rolecall.app import run_server  # what it imports greets the log

    code = 1
    try:
        if prepare is not None:
            prepare()
        code = run_server(settings)
    except RolecallError as error:
        last_words.send((error.message, error.hint))
    except Exception as error:  # noqa: BLE001 the process boundary
        logging.getLogger(__name__).critical("crashed", exc_info=error)
    sys.exit(code)


async def _until_ready(process: BaseProcess, url: str) -> dict[str, Any] | None:
    """What `/ready` says; None if the server is gone, or is not ready in time."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(round(_READY_S / _POLL_S)):
            if not process.is_alive():
                return None
            try:
                answer = await client.get(f"{url}/ready")
                if answer.status_code == httpx.codes.OK:
                    return dict(answer.json())
            except httpx.TransportError:
                pass
            await asyncio.sleep(_POLL_S)
    return None


def _why_not(last_words: "Connection[object, _LastWords]", log_file: Path) -> RolecallError:
    try:
        if last_words.poll():
            message, hint = last_words.recv()
            return RolecallError(message, hint=hint)
    except EOFError:
        pass
    return RolecallError("the server did not start", hint=f"{log_file} may say why")


def _stop(process: BaseProcess) -> None:
    process.terminate()
    process.join(_STOP_S)
    if process.is_alive():
        process.kill()
        process.join()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
