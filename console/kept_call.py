"""What is kept of a call in writing between two messages, wherever the next one is answered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

import structlog
from pydantic import Field, TypeAdapter, ValidationError

from agent.breaker import CIRCUIT_OPEN
from agent.events import CallEnded, EngineBroke, Event
from agent.memory import PersonaState
from graphs.written import WrittenRehearsal

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """All that the next message needs.

    `turns` are those of `WrittenRehearsal`. `seq` counts the events so far; `recent` are the last
    of them, which may not be on record yet. `resting` are the engines whose circuit was told to be open.
    """

    user_id: UUID
    scenario_id: str
    scenario_version: str
    state: PersonaState
    turns: int = 0
    seq: int = 0
    recent: tuple[Annotated[Event, Field(discriminator="kind")], ...] = ()
    resting: tuple[str, ...] = ()
    over: bool = False

    def after(self, rehearsal: WrittenRehearsal, events: Sequence[Event]) -> "Kept":
        """The same once `events` have happened in `rehearsal`."""
        broke = [event for event in events if isinstance(event, EngineBroke)]
        resting = tuple(event.engine for event in broke if event.code == CIRCUIT_OPEN)
        return replace(
            self,
            state=rehearsal.state,
            turns=rehearsal.turns,
            seq=self.seq + len(events),
            recent=tuple(events),
            resting=self.resting + resting,
            over=any(isinstance(event, CallEnded) for event in events),
        )

    def ended(self, event: CallEnded) -> "Kept":
        """The same once the call has ended between two messages."""
        return replace(self, seq=self.seq + 1, recent=(*self.recent, event), over=True)

    def to_json(self) -> str:
        """One JSON object, which `from_json` reads back as an equal value."""
        return _KEPT.dump_json(self).decode()

    @classmethod
    def from_json(cls, content: str | None) -> "Kept | None":
        """What was kept; None if that is nothing, or nothing that this version understands."""
        try:
            return None if content is None else _KEPT.validate_json(content)
        except ValidationError as error:
            log.error("text_call_unreadable", faults=error.error_count())
            return None


_KEPT: TypeAdapter[Kept] = TypeAdapter(Kept)
