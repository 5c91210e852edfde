"""What the API says of scenarios and calls."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from agent.call import EndReason, Speaker
from agent.events import EVENTS, CallEnded, Event
from agent.scenario import Scenario
from console.text_calls import Opened
from db.models import CallStatus
from db.records import CallRecord, CallSummary, Channel


class ScenarioView(BaseModel):
    """A scenario as its trainee may know it."""

    id: str
    title: str
    domain: str
    difficulty: Literal["easy", "medium", "hard"]
    briefing: str
    content_warning: str
    version: str

    @classmethod
    def of(cls, scenario: Scenario) -> "ScenarioView":
        """Of what the persona knows, nothing."""
        return cls(
            id=scenario.id,
            title=scenario.title,
            domain=scenario.domain,
            difficulty=scenario.difficulty,
            briefing=scenario.briefing,
            content_warning=scenario.safety.content_warning,
            version=scenario.version,
        )


class ScenarioList(BaseModel):
    """All scenarios, by id."""

    scenarios: list[ScenarioView]


class OpenedView(BaseModel):
    """A call that has begun: what to tell the trainee, and what the persona says first."""

    id: UUID
    channel: Channel
    scenario_id: str
    scenario_version: str
    seed: int
    briefing: str
    content_warning: str
    stop_word: str
    opening: str

    @classmethod
    def of(cls, opened: Opened, scenario: Scenario) -> "OpenedView":
        """`opened` plays `scenario`."""
        return cls(
            id=opened.id,
            channel="text",
            scenario_id=scenario.id,
            scenario_version=scenario.version,
            seed=opened.seed,
            briefing=scenario.briefing,
            content_warning=scenario.safety.content_warning,
            stop_word=scenario.safety.stop_word,
            opening=opened.opening,
        )


class EndedView(BaseModel):
    """How a call ended. `ending` is the scenario's, "" if it was not the persona who ended it."""

    reason: EndReason
    ending: str
    outcome: str

    @classmethod
    def of(cls, ended: CallEnded) -> "EndedView":
        """The same for the trainee."""
        return cls(reason=ended.reason, ending=ended.ending, outcome=ended.outcome)


class CallView(BaseModel):
    """A line of the call log. `user_id` is the trainee's account; `duration_ms` is on the call's clock."""

    id: UUID
    channel: Channel
    scenario_id: str
    scenario_version: str
    seed: int
    user_id: UUID | None
    status: CallStatus
    started_at: datetime
    ended_at: datetime | None
    end_reason: EndReason | None
    ending: str
    outcome: str
    duration_ms: int | None

    @classmethod
    def of(cls, call: CallSummary) -> "CallView":
        """One call."""
        return cls(**_common(call))


class CallPage(BaseModel):
    """Calls, newest first. `next` is the `before` of the page that follows, null on the last."""

    calls: list[CallView]
    next: UUID | None


class TurnView(BaseModel):
    """What one party said, as the other heard it; times in ms on the call's clock."""

    index: int
    speaker: Speaker
    text: str
    start_ms: int
    end_ms: int
    interrupted: bool
    confidence: float | None
    response_gap_ms: int | None


class EngineView(BaseModel):
    """What served a part of the call, since when, why, and how it broke, if it did."""

    part: str
    engine: str
    model: str
    reason: str
    passed_over: list[tuple[str, str]]
    since_ms: int
    broke_at_ms: int | None
    broke_code: str | None


class CallDetail(CallView):
    """A call with its turns. `engines` and `line` are for those who know how it works; null for trainees."""

    turns: list[TurnView]
    engines: list[EngineView] | None
    line: Mapping[str, Any] | None

    @classmethod
    def in_full(cls, call: CallRecord, *, detail: bool) -> "CallDetail":
        """With `engines` and `line` if `detail`."""
        names = TurnView.model_fields
        return cls(
            **_common(call),
            turns=[TurnView(**{name: getattr(turn, name) for name in names}) for turn in call.turns],
            engines=[EngineView(**asdict(engine)) for engine in call.engines] if detail else None,
            line=call.line if detail else None,
        )


class EventView(BaseModel):
    """The `seq`-th event of a call; a hole in the numbers is an event that was dropped."""

    seq: int
    event: dict[str, Any]

    @classmethod
    def of(cls, seq: int, event: Event) -> "EventView":
        """One event."""
        return cls(seq=seq, event=EVENTS.dump_python(event, mode="json"))


class SaidView(BaseModel):
    """What the persona says at once, null if it will say it when it can."""

    said: str | None


class EventList(BaseModel):
    """Events of a call, in order."""

    events: list[EventView]


def _common(call: CallSummary) -> dict[str, Any]:
    return {name: getattr(call, name) for name in CallView.model_fields}
