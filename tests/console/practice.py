"""Text practice without the telephone: the API on real stores, its accounts, and clients that speak HTTP."""

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from fastapi import FastAPI

from agent.account import Role
from agent.breaker import Breakers
from agent.events import EngineChosen, Event
from agent.phrases import clauses_of
from agent.scenario import Scenario
from console.api.errors import answer_errors
from console.api.router import api_router
from console.text_calls import TextCalls
from db.book import CAPACITY, Book, open_book
from db.database import Database, open_database
from db.live import Live, open_live
from db.records import CallRecord
from graphs.ladder import for_call
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording, OnBroke, Wording
from tests.agent.scenarios import cold_call

PATIENCE_S = 20.0
SCENARIO = cold_call()

Streamed = list[tuple[str, dict[str, Any]]]
"""The events of a stream, each with its name."""


@dataclass
class Practice:
    """One server process that offers text practice. `observed` are the events it counted."""

    app: FastAPI
    text_calls: TextCalls
    database: Database
    live: Live
    book: Book
    observed: list[Event] = field(default_factory=list)

    def token(self, name: str, role: Role | None = None) -> str:
        """A new token of the account `name`, made with `role` if that is given."""
        now = datetime.now(UTC)
        with self.database.users() as users:
            account = users.find(name) if role is None else users.add(name, role, now)
            return users.issue_token(account, "test", now, None)

    @asynccontextmanager
    async def client(self, token: str | None) -> AsyncIterator["Client"]:
        """Somebody who uses the API, without a network in between."""
        transport = httpx.ASGITransport(self.app)
        async with _client(token, base_url="http://127.0.0.1", transport=transport) as client:
            yield client

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The same on a real socket; gives its URL."""
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(socket.socket(proto=socket.IPPROTO_TCP))
            listener.bind(("127.0.0.1", 0))
            config = uvicorn.Config(self.app, log_config=None, access_log=False, lifespan="off")
            server = uvicorn.Server(config)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            serving = tasks.create_task(server._serve([listener]))
            while not server.started:  # noqa: ASYNC110 uvicorn tells nobody
                await asyncio.sleep(0.01)
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                await serving

    def record(self, call_id: str) -> CallRecord:
        """What is on record about a call."""
        assert self.book.flush(PATIENCE_S)
        with self.database.calls() as calls:
            record = calls.get(UUID(call_id))
        assert record is not None, "the call is on record"
        return record

    def events(self, call_id: str) -> list[Event]:
        """Everything on record that happened in a call, without holes."""
        assert self.book.flush(PATIENCE_S)
        with self.database.calls() as calls:
            kept = calls.events(UUID(call_id))
        assert [seq for seq, _ in kept] == list(range(len(kept)))
        return [event for _, event in kept]


class Client:
    """Somebody with a token, or without."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def start(self, **fields: Any) -> dict[str, Any]:
        """Starts a call and returns what it is answered with."""
        body = {"channel": "text", "scenario_id": SCENARIO.id, "seed": 3} | fields
        answer = await self.http.post("/api/v1/calls", json=body)
        assert answer.status_code == 201, answer.text
        opened: dict[str, Any] = answer.json()
        return opened

    async def say(self, call_id: str, text: str, **query: Any) -> Streamed:
        """Says something and returns the whole answer; waits while the persona still answers somebody."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await self.post(f"/calls/{call_id}/messages", {"text": text}, **query)
                if answer.status_code != 409 or answer.json()["code"] != "call_busy":
                    break
                await asyncio.sleep(0.02)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        return streamed(answer.text)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(f"/api/v1{path}", params=query)

    async def post(self, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return await self.http.post(f"/api/v1{path}", json=body, params=query)

    @asynccontextmanager
    async def saying(self, call_id: str, text: str) -> AsyncIterator[AsyncGenerator[str, None]]:
        """Says something, and reads the answer line by line for as long as the block lasts."""
        path = f"/api/v1/calls/{call_id}/messages"
        async with self.http.stream("POST", path, json={"text": text}) as answer:
            assert answer.status_code == 200
            async with aclosing(_lines(answer)) as lines:
                yield lines


async def _lines(answer: httpx.Response) -> AsyncGenerator[str, None]:
    async for line in answer.aiter_lines():
        yield line


@asynccontextmanager
async def client_of(url: str, token: str | None) -> AsyncIterator[Client]:
    """Somebody who uses the API of a server at `url`."""
    async with _client(token, base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
        yield client


@asynccontextmanager
async def _client(token: str | None, **options: Any) -> AsyncIterator[Client]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, **options) as http:
        yield Client(http)


def streamed(text: str) -> Streamed:
    """Takes a stream of server-sent events apart."""
    events = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        events.append((fields["event"], json.loads(fields["data"])))
    return events


def said_in(events: Streamed) -> str:
    """The persona's whole answer."""
    (text,) = [data["text"] for name, data in events if name == "turn"]
    assert "".join(data["text"] for name, data in events if name == "piece").strip() == text
    return str(text)


@asynccontextmanager
async def open_practice(
    database_url: str,
    redis_url: str | None = None,
    *,
    wording: Wording | None = None,
    scenarios: Mapping[str, Scenario] | None = None,
    live: Live | None = None,
    capacity: int = CAPACITY,
    **options: Any,
) -> AsyncIterator[Practice]:
    """A process on these stores; `live` is one that it shares with another process."""
    wording = wording or AuthoredWording()
    known = {SCENARIO.id: SCENARIO} if scenarios is None else scenarios
    async with AsyncExitStack() as stack:
        database = stack.enter_context(open_database(database_url, busy_timeout_ms=500))
        book = stack.enter_context(open_book(database, capacity=capacity, drain_s=0.5))
        if live is None:
            live = await stack.enter_async_context(open_live(redis_url))
        app, observed = FastAPI(), list[Event]()
        text_calls = TextCalls(
            live=live,
            book=book,
            database=database,
            scenarios=known,
            graph_for=partial(_graph_for, wording, Breakers()),
            wording=EngineChosen("wording", wording.engine, wording.model, "for the test"),
            observe=observed.append,
            **{"seed": None, "longest_s": 900} | options,
        )
        answer_errors(app)
        app.include_router(api_router(database, text_calls, known, lambda call_id, event: False))
        yield Practice(app, text_calls, database, live, book, observed)


def _graph_for(wording: Wording, breakers: Breakers, scenario: Scenario, broke: OnBroke) -> PersonaGraph:
    return PersonaGraph(scenario, for_call(wording, broke, breakers))


@dataclass
class Closed:
    """A SQLite file that can be read but, once it has begun, not be written."""

    connection: sqlite3.Connection

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")


@contextmanager
def closed_to_writers(url: str) -> Iterator[Closed]:
    """Ends with the block."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        yield Closed(connection)
    finally:
        connection.close()


class Pausing:
    """Words the authored reply, but not beyond its first `pieces` clauses before `release` is set."""

    engine = "pausing"
    model = "tests"

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.release = asyncio.Event()

    async def words(self, scenario: Scenario, decision: Any) -> AsyncGenerator[str, None]:
        for number, clause in enumerate(clauses_of(decision.authored)):
            if number == self.pieces:
                await self.release.wait()
            yield f"{clause} "
