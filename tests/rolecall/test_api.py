"""The API as a whole server has it: a rule for every route, and a conversation on real stores."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from loguru import logger as loguru_logger
from pydantic import SecretStr

from agent.account import Role
from agent.call import EndReason
from db.database import migrate
from rolecall.app import Services, create_app, create_server, open_services
from rolecall.logs import configure_logs
from rolecall.settings import Logs, Settings
from tests.console.practice import client_of, said_in
from tests.phone import settings_for
from tests.postgres import new_database
from tests.servers import own_redis

EVERYBODY = set(Role)
STAFF = {Role.TRAINER, Role.SUPERVISOR, Role.ADMIN}

RULES: dict[tuple[str, str], set[Role]] = {
    ("GET", "/api/v1/scenarios"): EVERYBODY,
    ("GET", "/api/v1/calls"): EVERYBODY,
    ("POST", "/api/v1/calls"): EVERYBODY,
    ("GET", "/api/v1/calls/{call_id}"): EVERYBODY,
    ("GET", "/api/v1/calls/{call_id}/events"): STAFF,
    ("POST", "/api/v1/calls/{call_id}/events"): STAFF,
    ("POST", "/api/v1/calls/{call_id}/messages"): EVERYBODY,
    ("POST", "/api/v1/calls/{call_id}/end"): EVERYBODY,
}
"""Who may do what. A route that is not here has no rule, and must not be served."""


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """Every method and path below /api that the server answers, documented or not; websockets are "WS"."""
    found = set()
    for route in iter_route_contexts(app.routes):
        if route.path and route.path.startswith("/api"):
            found |= {(method, route.path) for method in getattr(route, "methods", None) or {"WS"}}
    return found - {("HEAD", path) for _, path in found}


def token_of(services: Services, name: str, role: Role) -> str:
    now = datetime.now(UTC)
    with services.database.users() as users:
        return users.issue_token(users.add(name, role, now), "test", now, None)


async def test_every_route_of_the_api_asks_for_a_token_and_a_role(tmp_path: Path) -> None:
    loguru_logger.disable("pipecat")
    async with open_services(settings_for(tmp_path)) as services:
        app = create_app(services)
        assert routes(app) == set(RULES), "each route has its rule, and each rule its route"
        tokens = {role: token_of(services, role, role) for role in Role}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

            async def ask(method: str, path: str, token: str | None) -> httpx.Response:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                return await client.request(
                    method, re.sub(r"{\w+}", str(uuid4()), path), headers=headers, json={"text": "Hello?"}
                )

            for (method, path), allowed in RULES.items():
                for bad in (None, "rolecall_" + "x" * 43):
                    answer = await ask(method, path, bad)
                    assert answer.status_code == 401, (method, path)
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                for role in Role:
                    answer = await ask(method, path, tokens[role])
                    assert (answer.status_code == 403) == (role not in allowed), (method, path, role)
                    assert answer.status_code not in (401, 500)

            document = (await client.get("/openapi.json")).json()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    if path.startswith("/api"):
                        assert operation["security"] == [{"HTTPBearer": []}], (method, path)
            stream = document["paths"]["/api/v1/calls/{call_id}/messages"]["post"]["responses"]["200"]
            assert list(stream["content"]) == ["text/event-stream"]


@asynccontextmanager
async def server_on(settings: Settings) -> AsyncIterator[tuple[Services, str]]:
    """A whole server on a loopback port."""
    loguru_logger.disable("pipecat")
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        listener = stack.enter_context(socket.socket(proto=socket.IPPROTO_TCP))
        listener.bind(("127.0.0.1", 0))
        server = create_server(services)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        serving = tasks.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)
        try:
            yield services, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def test_a_conversation_outlives_its_server_on_postgresql_and_redis_and_no_token_is_logged(
    tmp_path: Path, postgres_url: str, logging_restored: None
) -> None:
    log = tmp_path / "server.log"
    configure_logs(Logs(level="debug", format="json"), file=log)
    with new_database(postgres_url) as url, own_redis() as redis:
        await asyncio.to_thread(migrate, url)
        stores: dict[str, Any] = {"database_url": SecretStr(url), "redis_url": SecretStr(redis.url)}
        settings = settings_for(tmp_path).model_copy(update=stores)
        async with server_on(settings) as (services, address):
            token = token_of(services, "Alex", Role.TRAINEE)
            async with client_of(address, token) as trainee:
                call = await trainee.start()
                assert said_in(await trainee.say(call["id"], "Hi Dana, this is Alex from Northwind Supply."))
            async with client_of(address, token + "x") as nobody:
                assert (await nobody.get("/scenarios")).status_code == 401
        async with server_on(settings) as (services, address), client_of(address, token) as trainee:
            events = await trainee.say(call["id"], "Thank you for your time, goodbye.")
            assert events[-1][1]["reason"] == "persona_ended"
            record = (await trainee.get(f"/calls/{call['id']}")).json()
            metrics = (await trainee.http.get("/metrics")).text
    assert (record["end_reason"], record["outcome"]) == (EndReason.PERSONA_ENDED, "open")
    assert [turn["speaker"] for turn in record["turns"]] == ["persona", *("trainee", "persona") * 2]
    assert 'rolecall_calls_total{reason="persona_ended"} 1.0' in metrics
    logging.shutdown()
    written = log.read_text()
    ended = next(json.loads(line) for line in written.splitlines() if "call_ended" in line)
    assert ended["call_id"] == call["id"]
    assert token not in written
    assert token.removeprefix("rolecall_")[:12] not in written
    assert "Northwind" not in written
