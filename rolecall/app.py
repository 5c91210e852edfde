"""Wiring: what a server process opens, in order, and what it serves."""

import asyncio
import gc
import secrets
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from agent.errors import ConfigError, StoreError
from agent.scenario import Scenario, load_scenarios
from console.api.errors import answer_errors
from console.api.router import api_router
from console.health import health_router
from console.text_calls import TextCalls
from db.book import Book, open_book
from db.database import Database, open_database
from db.live import Live, open_live
from db.recordings import open_recordings
from rolecall.desk import Desk
from rolecall.engines import Engines, open_engines
from rolecall.metrics import Metrics
from rolecall.settings import Settings, make_home
from rolecall.stores import prepare_database
from telephony.twilio import MAX_MESSAGE_BYTES, TwilioEdge, twilio_router

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a server process holds open."""

    settings: Settings
    scenarios: Mapping[str, Scenario]
    database: Database
    live: Live
    book: Book
    engines: Engines
    metrics: Metrics
    desk: Desk
    text_calls: TextCalls

    async def readiness(self) -> dict[str, Any]:
        """Real probes of each dependency; ready if calls can be taken and recorded somewhere."""
        live, database = await asyncio.gather(_probe_live(self.live), _probe_database(self.database))
        active, most = self.desk.active_calls, self.settings.server.max_calls
        return {
            "ready": live == "ok" and active < most and not self.engines.behind,
            "calls": {"active": active, "most": most},
            "engines_behind": self.engines.behind,
            "database": database,
            "live_state": live,
            "records_waiting": self.book.behind,
            "engines": {
                rung.part: {
                    "engine": rung.name,
                    "model": rung.model,
                    "reason": rung.reason,
                    "passed_over": dict(rung.passed_over),
                }
                for rung in self.engines.rungs
            },
        }


async def _probe_live(live: Live) -> str:
    try:
        await live.ping()
    except StoreError as error:
        return str(error)
    return "ok"


async def _probe_database(database: Database) -> str:
    try:
        await asyncio.to_thread(database.ping)
    except StoreError as error:
        return str(error)
    return "ok"


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Opens everything; closes in reverse order, also when opening fails half-way."""
    scenarios = load_scenarios(settings.scenarios.folder)
    if settings.scenarios.default not in scenarios:
        raise ConfigError(
            f"scenarios.default '{settings.scenarios.default}' is not in {settings.scenarios.folder}",
            hint=f"There are: {', '.join(scenarios)}",
        )
    make_home(settings)
    await asyncio.to_thread(prepare_database, settings)
    async with AsyncExitStack() as stack:
        database = stack.enter_context(open_database(settings.database_url.get_secret_value()))
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
        live = await stack.enter_async_context(open_live(redis_url))
        engines = await stack.enter_async_context(open_engines(settings, scenarios))
        book = stack.enter_context(open_book(database))
        for scenario in scenarios.values():
            content = scenario.model_dump(mode="json", by_alias=True)
            book.note_scenario(scenario.id, scenario.version, scenario.title, content)
        recordings = stack.enter_context(open_recordings(settings.home / "recordings"))
        metrics = Metrics()
        engines.watch(metrics)
        desk = Desk(
            settings,
            scenarios,
            engines=engines,
            live=live,
            book=book,
            recordings=recordings,
            metrics=metrics,
        )
        text_calls = TextCalls(
            live=live,
            book=book,
            database=database,
            scenarios=scenarios,
            graph_for=engines.graph_for,
            wording=engines.wording.event(),
            observe=desk.count,
            seed=settings.scenarios.seed,
            longest_s=settings.turns.max_call_s,
        )
        yield Services(settings, scenarios, database, live, book, engines, metrics, desk, text_calls)


def create_app(services: Services) -> FastAPI:
    """The HTTP side of `services`."""
    settings = services.settings
    app = FastAPI(title="rolecall", docs_url="/docs", redoc_url=None)
    answer_errors(app)
    app.include_router(health_router(services.readiness, services.metrics.registry))
    app.include_router(twilio_router(services.desk, twilio_edge(settings)))
    app.include_router(
        api_router(services.database, services.text_calls, services.scenarios, services.desk.bring_about)
    )
    return app


def twilio_edge(settings: Settings) -> TwilioEdge:
    """The carrier's account. Without one, nobody can sign a request, and each is refused."""
    token = settings.twilio_auth_token
    return TwilioEdge(
        account_sid=settings.twilio_account_sid or f"AC{secrets.token_hex(16)}",
        auth_token=token.get_secret_value() if token else secrets.token_hex(16),
        public_url=settings.public_url or f"http://127.0.0.1:{settings.server.port}",
    )


class _Server(uvicorn.Server):
    """uvicorn, but a signal only ends the serving: uvicorn would raise it again before anything is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles the signals that end a server while the block lasts."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def create_server(services: Services) -> uvicorn.Server:
    """The server process of `services`, not yet started."""
    settings = services.settings.server
    return _Server(
        uvicorn.Config(
            create_app(services),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
        )
    )


def run_server(settings: Settings) -> int:
    """Serves until told to stop by SIGINT or SIGTERM."""
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    async with open_services(settings) as services:
        for rung in services.engines.rungs:
            log.info(
                "engine_chosen",
                part=rung.part,
                engine=rung.name,
                model=rung.model,
                reason=rung.reason,
                passed_over=dict(rung.passed_over),
            )
        if settings.twilio_auth_token is None or settings.public_url is None:
            log.warning(
                "no_carrier", hint="Set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and ROLECALL_PUBLIC_URL"
            )
        server = create_server(services)
        # Calls are reference cycles. With what is loaded out of the collector's sight, it comes often enough
        # to free those that are over, and takes milliseconds.
        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(services.text_calls.sweep_for_ever())
            await server.serve()
            sweeping.cancel()
        return 0 if server.started else 1
