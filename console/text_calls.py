"""Calls in writing: what is kept of them between two messages, and what goes on record."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from fastapi.concurrency import run_in_threadpool

from agent import persona
from agent.breaker import CIRCUIT_OPEN
from agent.call import EndReason
from agent.errors import CallBusy, CallOver, EngineTimedOut, NotAllowed, NotFound, ScenarioError, StoreError
from agent.events import CallEnded, CallStarted, EngineBroke, EngineChosen, Event
from agent.scenario import Scenario
from agent.steering import Decision
from console.kept_call import Kept
from console.roles import may_see
from db.book import Book
from db.database import Database
from db.live import Live
from db.models import CallStatus, new_id
from db.records import TEXT_CARRIER, CallSummary
from db.users import Account
from graphs.persona import PersonaGraph
from graphs.wording import OnBroke
from graphs.written import WrittenRehearsal

KEEP_S: Final = 3_600.0
"""A call in which nothing is said for so long is over."""
ANSWER_S: Final = 30.0
"""No answer takes longer, its way to the trainee included."""
SWEEP_S: Final = 60.0

_CLAIM_S: Final = 2 * ANSWER_S
_RECORD_S: Final = 2.0
_SEED_BITS: Final = 31

GraphFor = Callable[[Scenario, OnBroke], PersonaGraph]
"""The persona of one call; the second argument is told when its wording breaks."""

log = structlog.get_logger(__name__)


class _Held(NamedTuple):
    """A call that nobody else can change before `claim` ends."""

    id: UUID
    claim: str
    kept: Kept


@dataclass(frozen=True, slots=True)
class Opened:
    """A call that has begun, and the words with which the persona picked up."""

    id: UUID
    seed: int
    opening: str


class Exchange:
    """One message and its answer. Read `pieces`, close them, `settle` once: nothing may cancel that.

    `said` is what was read so far, and all that was heard. `ended` says that the call is over, once settled.
    """

    def __init__(
        self,
        calls: "TextCalls",
        held: _Held,
        rehearsal: WrittenRehearsal,
        events: list[Event],
        text: str,
    ) -> None:
        self.said = ""
        self.ended: CallEnded | None = None
        self._calls = calls
        self._held = held
        self._rehearsal = rehearsal
        self._events = events
        self._reply = rehearsal.answer(text)
        self._complete = False

    async def pieces(self) -> AsyncGenerator[Decision | str, None]:
        """Yields the decision, then the answer in pieces; one was heard when the next is asked for."""
        async with aclosing(self._reply) as reply:
            async for item in reply:
                yield item
                if isinstance(item, str):
                    self.said += item
        self._complete = True

    async def settle(self) -> None:
        """Has the call remember what was heard, and puts it on record.

        Raises:
            StoreError: it could not; the message was not taken.
            CallBusy: it came too late: the call went on without it.
            EngineTimedOut: nothing was heard; the message was not taken.
        """
        taken = self._rehearsal.heard(self.said, complete=self._complete)
        if self._rehearsal.reason is not None:
            ending = self._rehearsal.ending
            self.ended = _ended(
                self._rehearsal.reason,
                self._rehearsal.at_ms,
                ending=ending.id if ending else "",
                outcome=ending.outcome if ending else "",
            )
            self._events.append(self.ended)
        kept = self._held.kept.after(self._rehearsal, self._events)
        await self._calls.settle(self._held, kept, self._events)
        if not taken:
            raise EngineTimedOut("the persona did not answer", hint="Say it again")


class TextCalls:
    """Every call in writing, of all processes that share live state and database.

    `graph_for` and `wording` say who words what the persona says; `observe` is told of every event; `seed` is
    that of calls for which none is asked. No call is longer than `longest_s` on its own clock, and none goes
    on in which nothing was said for `keep_s`: have `sweep_for_ever` run somewhere.
    """

    def __init__(
        self,
        *,
        live: Live,
        book: Book,
        database: Database,
        scenarios: Mapping[str, Scenario],
        graph_for: GraphFor,
        wording: EngineChosen,
        observe: Callable[[Event], None],
        seed: int | None,
        longest_s: int,
        keep_s: float = KEEP_S,
    ) -> None:
        self._live = live
        self._book = book
        self._database = database
        self._scenarios = scenarios
        self._graph_for = graph_for
        self._wording = wording
        self._observe = observe
        self._seed = seed
        self._longest_ms = longest_s * 1_000
        self._keep_s = keep_s

    async def start(self, account: Account, scenario: Scenario, seed: int | None = None) -> Opened:
        """The persona picks up. Raises StoreError."""
        call_id = new_id()
        if seed is None:
            seed = secrets.randbits(_SEED_BITS) if self._seed is None else self._seed
        kept = Kept(account.id, scenario.id, scenario.version, persona.begin(scenario, seed))
        started = CallStarted(
            scenario_id=scenario.id,
            scenario_version=scenario.version,
            carrier=TEXT_CARRIER,
            carrier_call_id=str(call_id),
            seed=seed,
            started_at=datetime.now(UTC).isoformat(),
            user_id=str(account.id),
        )
        events: list[Event] = [started, self._wording]
        rehearsal = self._rehearsal(kept, scenario, events)
        opening = rehearsal.open()
        kept = kept.after(rehearsal, events)
        await self._live.keep_call(str(call_id), kept.to_json(), self._keep_s)
        await self._record(call_id, kept, events)
        return Opened(call_id, seed, opening)

    async def message(self, call_id: UUID, account: Account, text: str) -> Exchange:
        """Begins an exchange, which the caller has to settle.

        Raises:
            NotFound: there is no such call, or not for this account.
            NotAllowed: it is somebody else's.
            CallOver, CallBusy, StoreError: see there.
        """
        held = await self._hold(call_id, account)
        scenario = self._scenarios.get(held.kept.scenario_id)
        if scenario is None or scenario.version != held.kept.scenario_version:
            await self._end(held, EndReason.FAILED)
            raise CallOver("the scenario of this call is no longer the same", hint="Start a new call")
        # Whoever noted them before may not have lived to write them down; twice does no harm.
        self._note(call_id, held.kept)
        events: list[Event] = []
        return Exchange(self, held, self._rehearsal(held.kept, scenario, events), events, text)

    async def bring_about(self, call_id: UUID, account: Account, event_id: str) -> str:
        """Has an event of the scenario happen; returns what the persona says about it, which counts as heard.

        Raises what `message` raises, and ScenarioError if there is no such event.
        """
        held = await self._hold(call_id, account, own=False)
        scenario = self._scenarios.get(held.kept.scenario_id)
        event = scenario.event(event_id) if scenario is not None else None
        if scenario is None or event is None:
            await self._live.leave_call(str(call_id), held.claim)
            raise ScenarioError(f"the scenario has no event '{event_id}'")
        events: list[Event] = []
        rehearsal = self._rehearsal(held.kept, scenario, events)
        said = rehearsal.happen(event)
        await self.settle(held, held.kept.after(rehearsal, events), events)
        return said

    async def end(self, call_id: UUID, account: Account) -> CallEnded:
        """The trainee hangs up. Raises what `message` raises."""
        return await self._end(await self._hold(call_id, account), EndReason.TRAINEE_HUNG_UP)

    async def settle(self, held: _Held, kept: Kept, events: Sequence[Event]) -> None:
        """Keeps a call as it is after `events`, and puts them on record. Raises CallBusy, StoreError."""
        if not events:
            await self._live.leave_call(str(held.id), held.claim)
            return
        if not await self._live.settle_call(str(held.id), held.claim, kept.to_json(), self._keep_s):
            raise CallBusy("this took too long, and the call went on without it", hint="Say it again")
        await self._record(held.id, kept, events)

    async def sweep(self) -> int:
        """Ends, on record, the calls that are so old that they may have expired, and have. Returns how many.

        Raises StoreError.
        """
        until = datetime.now(UTC) - timedelta(seconds=self._keep_s)
        swept = 0
        for call in await run_in_threadpool(self._unfinished, until):
            kept = Kept.from_json(await self._live.call_state(str(call.id)))
            if kept is None:
                swept += await self._close(call)
            elif kept.over:
                await self._record(call.id, kept, ())
        return swept

    async def sweep_for_ever(self) -> None:
        """Sweeps now and again until cancelled."""
        while True:
            try:
                if swept := await self.sweep():
                    log.info("text_calls_closed", count=swept)
            except StoreError as error:
                log.warning("text_calls_not_swept", reason=str(error))
            await asyncio.sleep(SWEEP_S)

    async def _hold(self, call_id: UUID, account: Account, *, own: bool = True) -> _Held:
        await self._find(call_id, account, own=own)
        claim = await self._live.claim_call(str(call_id), _CLAIM_S)
        if claim is None:
            raise CallBusy("the persona is still answering", hint="Wait until the answer has ended")
        async with AsyncExitStack() as if_refused:
            if_refused.push_async_callback(self._live.leave_call, str(call_id), claim)
            kept = await self._find(call_id, account, own=own)
            # It must not expire while it is being answered.
            await self._live.keep_call(str(call_id), kept.to_json(), self._keep_s)
            if_refused.pop_all()
        return _Held(call_id, claim, kept)

    async def _find(self, call_id: UUID, account: Account, *, own: bool) -> Kept:
        kept = Kept.from_json(await self._live.call_state(str(call_id)))
        if kept is None:
            call = await run_in_threadpool(self._on_record, call_id)
            if call is None or call.carrier != TEXT_CARRIER or not may_see(account, call.user_id):
                raise _unknown(call_id)
            if call.status is CallStatus.IN_PROGRESS:
                await self._close(call)
            raise CallOver("this call has ended", hint="Start a new call")
        if not may_see(account, kept.user_id):
            raise _unknown(call_id)
        if own and kept.user_id != account.id:
            raise NotAllowed("this is somebody else's call", hint="Only its trainee can speak in it")
        if kept.over:
            raise CallOver("this call has ended", hint="Start a new call")
        return kept

    async def _end(self, held: _Held, reason: EndReason) -> CallEnded:
        ended = _ended(reason, held.kept.state.at_ms)
        await self.settle(held, held.kept.ended(ended), [ended])
        return ended

    async def _record(self, call_id: UUID, kept: Kept, news: Sequence[Event]) -> None:
        """Puts what happened last on record; where the database is away it follows when that is back."""
        self._note(call_id, kept)
        self._tell(call_id, news)
        on_record = await run_in_threadpool(self._book.flush, _RECORD_S)
        if on_record and kept.over:
            await self._live.forget_call(str(call_id))

    async def _close(self, call: CallSummary) -> bool:
        """Ends a call of which only the record is left; False if that says already that it has ended.

        The trainee was silent until it expired, unless it began before the live state did or has not had the
        time to expire: then that lost it.
        """
        since = await self._live.remembers_since()
        expired = datetime.now(UTC) - call.started_at >= timedelta(seconds=self._keep_s)
        silent = expired and call.started_at >= since
        reason = EndReason.TRAINEE_SILENT if silent else EndReason.CONNECTION_LOST
        await self._live.forget_call(str(call.id))
        return await run_in_threadpool(self._note_end, call.id, reason)

    def _tell(self, call_id: UUID, events: Sequence[Event]) -> None:
        with structlog.contextvars.bound_contextvars(call_id=str(call_id)):
            for event in events:
                self._observe(event)

    def _note(self, call_id: UUID, kept: Kept) -> None:
        for seq, event in enumerate(kept.recent, kept.seq - len(kept.recent)):
            self._book.note_at(call_id, seq, event)

    def _rehearsal(self, kept: Kept, scenario: Scenario, events: list[Event]) -> WrittenRehearsal:
        def broke(engine: str, code: str, fallback: str) -> None:
            if not (code == CIRCUIT_OPEN and engine in kept.resting):
                events.append(EngineBroke("wording", engine, code, fallback, rehearsal.at_ms))

        rehearsal = WrittenRehearsal(
            self._graph_for(scenario, broke),
            kept.state,
            events.append,
            turns=kept.turns,
            longest_ms=self._longest_ms,
        )
        return rehearsal

    def _on_record(self, call_id: UUID) -> CallSummary | None:
        with self._database.calls() as calls:
            return calls.get(call_id)

    def _unfinished(self, until: datetime) -> tuple[CallSummary, ...]:
        with self._database.calls() as calls:
            return calls.unfinished(TEXT_CARRIER, until)

    def _note_end(self, call_id: UUID, reason: EndReason) -> bool:
        with self._database.calls() as calls:
            if calls.is_finished(str(call_id)):
                return False
            seq, at_ms = calls.reached(call_id)
        ended = _ended(reason, at_ms)
        self._book.note_at(call_id, seq + 1, ended)
        self._tell(call_id, [ended])
        return self._book.flush(_RECORD_S)


def _ended(reason: EndReason, at_ms: int, *, ending: str = "", outcome: str = "") -> CallEnded:
    return CallEnded(reason, ending, outcome, datetime.now(UTC).isoformat(), at_ms)


def _unknown(call_id: UUID) -> NotFound:
    return NotFound(f"there is no call {call_id} in writing")
