"""The book of all calls: events are noted at once and written to the database by one thread."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Any, Final
from uuid import UUID

import structlog

from agent.events import BargedIn, CallEnded, CallStarted, Event, KeyPressed, MessageRefused, PersonaDecided
from db.calls import Calls
from db.database import Database
from db.errors import DatabaseAway, RecordRefused
from db.recordings import RecordingInfo

CAPACITY: Final = 100_000
BATCH: Final = 500
DRAIN_S: Final = 10.0
RETRY_S: Final = (0.1, 2.0)

_LAST_ATTEMPT_S: Final = 10.0
_ENDED_CALLS: Final = 1_000
_EXPLANATIONS: Final = (PersonaDecided, BargedIn, KeyPressed, MessageRefused)
"""Events that explain a call. The others are its record: start, engines, turns, silences, end."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    what: str
    call_id: UUID | None
    write: Callable[[Calls], object]


class _Outcome(Enum):
    STORED = auto()
    REFUSED = auto()
    AWAY = auto()


class Book:
    """Takes notes without ever waiting, from any thread; see `open_book`.

    While the database is away, notes wait in memory and are tried again; calls go on. When half of the
    book's capacity is waiting, events that only explain a call are dropped, so that the other half is left
    for its record. `dropped` counts what found no room (each leaves a hole in its call's `seq`), `refused`
    what the database would never take.
    """

    def __init__(self, database: Database, capacity: int, retry_s: tuple[float, float]) -> None:
        self.dropped = 0
        self.refused = 0
        self._database = database
        self._capacity = capacity
        self._retry_s = retry_s
        self._changed = threading.Condition()
        self._entries: deque[_Entry] = deque()
        self._noted = 0
        self._settled = 0
        self._trouble = ""
        self._full = False
        self._closing = False
        self._give_up = threading.Event()
        self._seqs: dict[UUID, int] = {}
        self._ended: OrderedDict[UUID, int] = OrderedDict()
        self._writer = threading.Thread(target=self._run, name="book", daemon=True)
        self._writer.start()

    @property
    def behind(self) -> int:
        """How many notes are not in the database yet."""
        return len(self._entries)

    @property
    def trouble(self) -> str:
        """Why the last attempt to write failed; "" if it did not."""
        return self._trouble

    def note(self, call_id: UUID, event: Event) -> None:
        """Notes an event, the first of a call being its CallStarted. Events of a call keep their order.

        An event of a call that was never started is counted as `refused`.
        """
        with self._changed:
            seq = self._next_seq(call_id, event)
            if seq is None:
                self.refused += 1
                log.error("event_of_unknown_call", call_id=str(call_id), kind=event.kind)
                return
            self._put_event(call_id, seq, event)

    def note_at(self, call_id: UUID, seq: int, event: Event) -> None:
        """Notes an event as the `seq`-th of its call: for calls that several processes serve in turn.

        Noting it again, also by another process, changes nothing.
        """
        with self._changed:
            self._put_event(call_id, seq, event)

    def note_recording(self, call_id: UUID, recording: RecordingInfo) -> None:
        """Notes where a call's recording is."""
        with self._changed:
            self._put(_Entry("recording", call_id, lambda calls: calls.save_recording(call_id, recording)))

    def note_scenario(self, scenario_id: str, version: str, title: str, document: Mapping[str, Any]) -> None:
        """Notes the content of a scenario's version. See `Calls.save_scenario`."""
        with self._changed:
            self._put(
                _Entry(
                    f"scenario {scenario_id}",
                    None,
                    lambda calls: calls.save_scenario(scenario_id, version, title, document),
                )
            )

    def flush(self, timeout_s: float) -> bool:
        """Waits, off the event loop, until what has been noted so far is settled; False if time ran out."""
        with self._changed:
            noted = self._noted
            return self._changed.wait_for(lambda: self._settled >= noted, timeout_s)

    def close(self, drain_s: float) -> None:
        """Takes what is waiting to the database, for at most `drain_s` if that is away. Blocks."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join(drain_s)
        self._give_up.set()
        self._writer.join(_LAST_ATTEMPT_S)
        if self._entries:
            log.error("notes_lost", count=len(self._entries), reason=self._trouble)

    def _next_seq(self, call_id: UUID, event: Event) -> int | None:
        if call_id in self._ended:
            seq = self._ended[call_id]
            self._ended[call_id] = seq + 1
            return seq
        seq = self._seqs.get(call_id, 0)
        if seq == 0 and not isinstance(event, CallStarted):
            return None
        self._seqs[call_id] = seq + 1
        if isinstance(event, CallEnded):
            # Late events still get their numbers, but not for ever: this is all that is kept of a call.
            self._ended[call_id] = self._seqs.pop(call_id)
            if len(self._ended) > _ENDED_CALLS:
                self._ended.popitem(last=False)
        return seq

    def _put_event(self, call_id: UUID, seq: int, event: Event) -> None:
        entry = _Entry(f"{event.kind} {seq}", call_id, lambda calls: calls.apply(call_id, seq, event))
        self._put(entry, explains=isinstance(event, _EXPLANATIONS))

    def _put(self, entry: _Entry, *, explains: bool = False) -> None:
        room = self._capacity // 2 if explains else self._capacity
        if self._closing or len(self._entries) >= room:
            if not self._full:
                log.error("notes_dropped", first=entry.what, call_id=str(entry.call_id), behind=self.behind)
            self._full = True
            self.dropped += 1
            return
        self._entries.append(entry)
        self._noted += 1
        self._changed.notify_all()

    def _run(self) -> None:
        while batch := self._next_batch():
            if not self._store(batch):
                return

    def _next_batch(self) -> list[_Entry]:
        """Waits for entries. They stay in the queue until they are settled; none means: closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._closing)
            return list(islice(self._entries, BATCH))

    def _store(self, batch: list[_Entry]) -> bool:
        """Settles the batch in order: in one transaction, or singly if one of it is refused."""
        size, (pause_s, longest_s) = len(batch), self._retry_s
        while batch:
            outcome = self._attempt(batch[:size])
            if outcome is _Outcome.AWAY:
                if self._give_up.wait(pause_s):
                    return False
                pause_s = min(2 * pause_s, longest_s)
            elif outcome is _Outcome.REFUSED and size > 1:
                size = 1
            else:
                self._settle(len(batch[:size]))
                batch = batch[size:]
        return True

    def _attempt(self, entries: list[_Entry]) -> _Outcome:
        try:
            with self._database.calls() as calls:
                for entry in entries:
                    entry.write(calls)
        except DatabaseAway as error:
            if not self._trouble:
                log.warning("database_away", reason=error.message, behind=self.behind)
            self._trouble = error.message
            return _Outcome.AWAY
        except RecordRefused as error:
            self._refused(entries, error.message)
            return _Outcome.REFUSED
        except Exception as error:  # the thread's boundary: one bad note must not end the book
            self._refused(entries, type(error).__name__)
            log.exception("note_failed")
            return _Outcome.REFUSED
        if self._trouble:
            log.info("database_back", behind=self.behind)
        self._trouble = ""
        return _Outcome.STORED

    def _refused(self, entries: list[_Entry], reason: str) -> None:
        """Only a note that is refused alone is given up."""
        if len(entries) == 1:
            self.refused += 1
            log.error("note_refused", what=entries[0].what, call_id=str(entries[0].call_id), reason=reason)

    def _settle(self, entries: int) -> None:
        with self._changed:
            for _ in range(entries):
                self._entries.popleft()
            self._settled += entries
            self._full = self._full and len(self._entries) >= self._capacity // 2
            self._changed.notify_all()


@contextmanager
def open_book(
    database: Database,
    *,
    capacity: int = CAPACITY,
    drain_s: float = DRAIN_S,
    retry_s: tuple[float, float] = RETRY_S,
) -> Iterator[Book]:
    """A book on `database`, whose schema is current.

    `retry_s` are the first and the longest pause between attempts while the database is away. Closing
    writes what is waiting and blocks for it, up to `drain_s`; what then remains is logged as lost.
    """
    book = Book(database, capacity, retry_s)
    try:
        yield book
    finally:
        book.close(drain_s)
