"""A server of our own in a process of its own, on a free loopback port, for demo and simulation."""

import asyncio
import multiprocessing
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr

from agent.errors import RolecallError
from rolecall.settings import Settings, make_home

_READY_S: Final = 60.0
_POLL_S: Final = 0.1
_STOP_S: Final = 10.0
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


@asynccontextmanager
async def open_local_server(settings: Settings) -> AsyncIterator[LocalServer]:
    """Serves with `settings`, but an account, an address and a port of its own.

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
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(settings, log_file))
    process.start()
    try:
        assert process.pid is not None
        url = f"http://127.0.0.1:{port}"
        ready = await _until_ready(process, url, log_file)
        yield LocalServer(url, _PUBLIC_URL, account_sid, auth_token, process.pid, ready)
    finally:
        await asyncio.to_thread(_stop, process)


def _serve(settings: Settings, log_file: Path) -> None:
    """Runs in the new process. The terminal and its Ctrl-C belong to the parent."""
    from rolecall.logs import configure_logs

    os.setpgrp()
    configure_logs(settings.logs, file=log_file)
    from rolecall.app import run_server  # what it imports greets the log

    sys.exit(run_server(settings))


async def _until_ready(process: BaseProcess, url: str, log_file: Path) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(round(_READY_S / _POLL_S)):
            if not process.is_alive():
                break
            try:
                answer = await client.get(f"{url}/ready")
                if answer.status_code == httpx.codes.OK:
                    return dict(answer.json())
            except httpx.TransportError:
                pass
            await asyncio.sleep(_POLL_S)
    raise RolecallError("the server did not start", hint=f"{log_file} says why")


def _stop(process: BaseProcess) -> None:
    process.terminate()
    process.join(_STOP_S)
    if process.is_alive():
        process.kill()
        process.join()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
