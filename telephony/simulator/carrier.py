"""The simulated carrier: its REST server, its calls, and their end."""

import asyncio
import contextlib
import itertools
import random
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final

import httpx
import uvicorn

from telephony.simulator.calls import Call, Callback, CallDirection, CallPlan, CallStatus, Instruction
from telephony.simulator.conductor import Conductor, Services
from telephony.simulator.handset import Handset
from telephony.simulator.rest import create_api
from telephony.simulator.routes import Routes
from telephony.simulator.settings import Destination, SimulatorSettings
from telephony.simulator.webhooks import Webhooks

_CLOSE_LIMIT_S: Final = 8.0
_SHUTDOWN_LIMIT_S: Final = 2


class Simulator:
    """A carrier with one account. Made by `open_simulator`."""

    def __init__(
        self, settings: SimulatorSettings, base_url: str, client: httpx.AsyncClient, tasks: asyncio.TaskGroup
    ) -> None:
        self.settings = settings
        self.base_url = base_url
        self.account_sid = settings.account_sid
        self.credentials: Mapping[str, str] = {settings.account_sid: settings.auth_token, **settings.api_keys}
        self.numbers = settings.numbers
        self.calls: dict[str, Call] = {}
        self._destinations = dict(settings.destinations)
        self._random = random.Random(settings.seed) if settings.seed is not None else random.SystemRandom()
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._next_slot_s = 0.0
        self._numbering = itertools.count()
        routes = Routes({settings.public_url: settings.target, **settings.routes})
        webhooks = Webhooks(client, routes, settings.auth_token, lambda: self.new_sid("IT"))
        self._services = Services(settings, routes, webhooks, self.new_sid)

    def new_sid(self, prefix: str) -> str:
        """A fresh 34-character identifier."""
        return f"{prefix}{self._random.getrandbits(128):032x}"

    async def dial(self, from_: str, to: str, voice_url: str | None = None) -> Call:
        """A handset at `from_` dials our number `to`; the call rings when this returns.

        `voice_url` is what the number is set to; None is the settings' public URL and voice path. Drive
        `call.handset`, then `await call.ended`.
        """
        settings = self.settings
        url = voice_url or settings.public_url.rstrip("/") + settings.voice_path
        callback = Callback(settings.status_callback) if settings.status_callback else None
        plan = CallPlan(
            first=Instruction(url),
            fallback=Instruction(settings.fallback_url) if settings.fallback_url else None,
            callback=callback,
            extra_fields=(("StirVerstat", "TN-Validation-Passed-A"), ("CallerName", "")),
        )
        call = self._open(from_, to, CallDirection.INBOUND, plan, None)
        call.set_status(CallStatus.RINGING)
        return call

    def place(self, from_: str, to: str, plan: CallPlan) -> Call:
        """Queues an outbound call, as `POST Calls.json` does."""
        now_s = asyncio.get_running_loop().time()
        slot_s = max(now_s, self._next_slot_s)
        self._next_slot_s = slot_s + 1 / self.settings.cps
        queued = CallPlan(
            first=plan.first,
            fallback=plan.fallback,
            callback=plan.callback,
            ring_limit_s=plan.ring_limit_s,
            time_limit_s=plan.time_limit_s,
            queue_time_ms=round((slot_s - now_s) * 1_000),
        )
        destination = self._destinations.get(to, self.settings.elsewhere)
        return self._open(from_, to, CallDirection.OUTBOUND_API, queued, destination)

    def expect(self, number: str, destination: Destination) -> None:
        """From now on, calls to `number` end up at `destination`."""
        self._destinations[number] = destination

    async def close(self) -> None:
        """Hangs up everywhere and waits for it, within limits."""
        for call in self.calls.values():
            call.end("the simulator is closing")
        if self._running:
            _, stuck = await asyncio.wait(self._running, timeout=_CLOSE_LIMIT_S)
            for task in stuck:
                task.cancel()

    def _open(
        self, from_: str, to: str, direction: CallDirection, plan: CallPlan, destination: Destination | None
    ) -> Call:
        handset = Handset(noise_dbfs=self.settings.noise_dbfs, seed=self._random.getrandbits(32))
        number = next(self._numbering)
        call = Call(self.new_sid("CA"), self.account_sid, from_, to, direction, plan, handset, number)
        conductor = Conductor(call, destination, self._services)
        handset.connect(on_digit=conductor.press, on_hang_up=lambda: call.end("the handset hung up"))
        self.calls[call.sid] = call
        task = self._tasks.create_task(conductor.run(), name=f"simulated call {call.sid}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return call


class _Server(uvicorn.Server):
    """Leaves the process's signals to the process, and does not poll for its end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        await self.stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def open_simulator(settings: SimulatorSettings) -> AsyncIterator[Simulator]:
    """Serves the REST API on `settings.host` until the block ends; then every call is hung up.

    Raises ConfigError for settings that make no sense, OSError if the port is taken. What the block raises
    comes out as it is.
    """
    # asyncio switches Nagle's algorithm off only on sockets that name their protocol.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen()
        host, port = listener.getsockname()
        calls = asyncio.TaskGroup()
        async with _open_client() as client:
            simulator = Simulator(settings, f"http://{host}:{port}", client, calls)
            try:
                async with _serving(simulator, listener), calls:
                    try:
                        yield simulator
                    finally:
                        await simulator.close()
            except ExceptionGroup as group:
                raise _only(_only(group)) from None


@contextlib.asynccontextmanager
async def _serving(simulator: Simulator, listener: socket.socket) -> AsyncIterator[None]:
    """Lets the server finish also when a call has failed: a cancelled one leaves its clients waiting."""
    config = uvicorn.Config(
        create_api(simulator),
        log_config=None,
        access_log=False,
        lifespan="off",
        date_header=False,
        ws="none",
        timeout_graceful_shutdown=_SHUTDOWN_LIMIT_S,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]), name="simulator REST")
        try:
            yield
        finally:
            server.stop.set()
            await asyncio.wait({serving})


def _only(error: Exception) -> Exception:
    """What a group of one consists of."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return error.exceptions[0]
    return error


def _open_client() -> httpx.AsyncClient:
    # Targets are plain HTTP; a context without certificates saves reading them from disk.
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(verify=no_tls, trust_env=False, limits=limits)
