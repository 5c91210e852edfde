"""The routes of calls: start one in writing, speak in it, end it, read what is on record."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agent.errors import CallOver, ChannelUnavailable, NotAllowed, NotFound, RolecallError, ScenarioError
from agent.scenario import Scenario
from agent.steering import Decision
from console.api.errors import problem_of
from console.api.event_stream import EventStream, StreamedEvent
from console.api.gate import Gate
from console.api.views import (
    CallDetail,
    CallPage,
    CallView,
    EndedView,
    EventList,
    EventView,
    OpenedView,
    SaidView,
)
from console.roles import EVERYBODY, STAFF, may_see, sees_all
from console.text_calls import ANSWER_S, Exchange, TextCalls
from db.database import Database
from db.models import CallStatus
from db.records import TEXT_CARRIER, CallRecord
from db.users import Account

LONGEST_MESSAGE = 2_000

_Strict = ConfigDict(extra="forbid")


class NewCall(BaseModel):
    """`seed`: the same one makes the persona act the same way again."""

    model_config = _Strict

    channel: Annotated[str, StringConstraints(max_length=20)]
    scenario_id: Annotated[str, StringConstraints(max_length=100)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class Message(BaseModel):
    """What the trainee says next."""

    model_config = _Strict

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_MESSAGE)]


class Happening(BaseModel):
    """An event of the scenario, by its id."""

    model_config = _Strict

    event: Annotated[str, StringConstraints(min_length=1, max_length=40)]


class CallFilter(BaseModel):
    """Which calls, and from where on."""

    model_config = _Strict

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: UUID | None = None
    scenario_id: str | None = None
    outcome: Literal["", "success", "failure", "open"] | None = None
    status: CallStatus | None = None


BringAbout = Callable[[UUID, str], bool]
"""Has an event, by its id, happen in a call by telephone; False if the call is not held here."""


def calls_router(
    gate: Gate,
    database: Database,
    text_calls: TextCalls,
    scenarios: Mapping[str, Scenario],
    by_telephone: BringAbout,
) -> APIRouter:
    """Everything below `/calls`."""
    router = APIRouter(prefix="/calls", tags=["calls"])
    anybody = Annotated[Account, Depends(gate.admits(EVERYBODY))]
    staff = Annotated[Account, Depends(gate.admits(STAFF))]

    @router.post("", status_code=201)
    async def start_call(account: anybody, call: NewCall, response: Response) -> OpenedView:
        """Starts a call. The only channel so far is `text`."""
        if call.channel != "text":
            raise ChannelUnavailable(
                f"calls by '{call.channel}' cannot be started here", hint="The channel is 'text'"
            )
        scenario = scenarios.get(call.scenario_id)
        if scenario is None:
            raise ScenarioError(
                f"no scenario '{call.scenario_id}'", hint="See GET /api/v1/scenarios for those there are"
            )
        opened = await text_calls.start(account, scenario, call.seed)
        response.headers["Location"] = f"/api/v1/calls/{opened.id}"
        return OpenedView.of(opened, scenario)

    @router.get("")
    def list_calls(account: anybody, wanted: Annotated[CallFilter, Query()]) -> CallPage:
        """Calls, newest first: a supervisor's and admin's list has all, everybody else's their own."""
        with database.calls() as calls:
            found = calls.list(
                wanted.limit + 1,
                wanted.before,
                scenario_id=wanted.scenario_id,
                outcome=wanted.outcome,
                status=wanted.status,
                user_id=None if sees_all(account) else account.id,
            )
        page = found[: wanted.limit]
        more = len(found) > wanted.limit
        return CallPage(calls=[CallView.of(call) for call in page], next=page[-1].id if more else None)

    @router.get("/{call_id}")
    def read_call(account: anybody, call_id: UUID) -> CallDetail:
        """What is on record about a call."""
        return CallDetail.in_full(seen(account, call_id), detail=account.role in STAFF)

    @router.get("/{call_id}/events")
    def read_events(
        account: staff, call_id: UUID, after: Annotated[int, Query(ge=-1, lt=2**31)] = -1
    ) -> EventList:
        """What happened in a call, the persona's decisions among it, after the `after`-th event."""
        seen(account, call_id)
        with database.calls() as calls:
            events = calls.events(call_id, after)
        return EventList(events=[EventView.of(seq, event) for seq, event in events])

    @router.post("/{call_id}/messages", status_code=200, response_class=EventStream)
    async def say(account: anybody, call_id: UUID, message: Message, detail: bool = False) -> EventStream:
        """Says something, and streams the persona's answer.

        Events: `piece` {text} as often as it takes, `turn` {text} with all of it, then `ended` {reason,
        ending, outcome} if the call is over, or `done`. An `error` {code, message, hint} ends the stream.
        With `detail` the first event is `decision` {move, intent, stage, emotions, disclosed}; not for
        trainees.
        """
        if detail and account.role not in STAFF:
            raise NotAllowed("a trainee may not see how the persona decides", hint="Leave out 'detail'")
        exchange = await text_calls.message(call_id, account, message.text)
        return EventStream(_told(exchange, detail=detail), partial(_settled, exchange), ANSWER_S)

    @router.post("/{call_id}/events", status_code=202)
    async def bring_about(account: staff, call_id: UUID, happening: Happening) -> SaidView:
        """Has an event of the scenario happen, in a call by telephone or in writing that is going on.

        In writing the persona speaks of it at once; on the telephone as soon as it can, and `said` is null.
        """
        call = await run_in_threadpool(seen, account, call_id)
        if call.carrier != TEXT_CARRIER:
            if not by_telephone(call_id, happening.event):
                raise CallOver("this call is not going on here", hint="Ask the server that holds it")
            return SaidView(said=None)
        return SaidView(said=await text_calls.bring_about(call_id, account, happening.event))

    @router.post("/{call_id}/end")
    async def end_call(account: anybody, call_id: UUID) -> EndedView:
        """The trainee hangs up."""
        return EndedView.of(await text_calls.end(call_id, account))

    def seen(account: Account, call_id: UUID) -> CallRecord:
        with database.calls() as calls:
            call = calls.get(call_id)
        if call is None or not may_see(account, call.user_id):
            raise NotFound(f"there is no call {call_id}")
        return call

    return router


async def _told(exchange: Exchange, *, detail: bool) -> AsyncGenerator[StreamedEvent, None]:
    async with aclosing(exchange.pieces()) as pieces:
        async for piece in pieces:
            if isinstance(piece, str):
                yield StreamedEvent("piece", {"text": piece})
            elif detail:
                yield StreamedEvent("decision", _decision(piece))


async def _settled(exchange: Exchange) -> list[StreamedEvent]:
    try:
        await exchange.settle()
    except RolecallError as error:
        return [StreamedEvent("error", problem_of(error).model_dump())]
    turn = StreamedEvent("turn", {"text": exchange.said.strip()})
    if exchange.ended is None:
        return [turn, StreamedEvent("done", {})]
    return [turn, StreamedEvent("ended", EndedView.of(exchange.ended).model_dump(mode="json"))]


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "move": decision.move,
        "intent": decision.intent,
        "stage": decision.stage,
        "emotions": dict(decision.emotions),
        "disclosed": list(decision.disclosed),
    }
