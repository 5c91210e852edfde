"""What a ladder of engines answers: the rung that serves, and why the rungs above it do not."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.events import EngineChosen, Part

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chosen(Generic[T]):
    """The rung that serves.

    `name` and `model` are the engine's as `/ready`, `doctor` and the call record show them (`model` is ""
    where an engine has none). `reason` says in one clause why it serves; `passed_over` holds
    (engine, reason) for each rung above it, in ladder order.
    """

    part: Part
    engine: T
    name: str
    model: str
    reason: str
    passed_over: tuple[tuple[str, str], ...] = ()

    def event(self, at_ms: int = 0) -> EngineChosen:
        """The same as a call's domain event; `at_ms` is on the call's media clock."""
        return EngineChosen(
            part=self.part,
            engine=self.name,
            model=self.model,
            reason=self.reason,
            passed_over=self.passed_over,
            at_ms=at_ms,
        )
