"""What a persona says, as authored: lines with what they do and tell, drawn so that none comes too soon."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.memory import PersonaState
from agent.noticing import CALLER_NAME, PROMISE
from agent.scenario import Scenario
from agent.scenario_parts import Fact, Happening

LineKind = Literal[
    "opener",
    "tell_fact",
    "withhold_fact",
    "know",
    "dont_know",
    "recall",
    "told_already",
    "refuse",
    "react",
    "object",
    "press",
    "reply",
    "event",
    "cut_in",
    "end",
    "stop",
    "out_of_role",
    "unclear",
    "other",
    "cut_off",
]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Telling:
    """A fact that a line tells, and the patterns by which it counts as told."""

    fact: str
    told_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to say, as authored. `subject` is the fact, objection, move, event or ending it is about."""

    kind: LineKind
    subject: str
    text: str
    tells: tuple[Telling, ...] = ()

    @property
    def intent(self) -> str:
        """`kind:subject`, or the kind alone where there is no subject."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


def draw_variant(state: PersonaState, key: str, variants: Sequence[str]) -> tuple[str, PersonaState]:
    """Returns a variant and the state that remembers the draw.

    A variant with a placeholder is drawn only if its value is known, unless all have one.
    """
    known = {CALLER_NAME: state.caller_name, PROMISE: state.promises[-1] if state.promises else ""}
    usable = [
        text for text in variants if all(known.get(name, "") for name in _PLACEHOLDER.findall(text))
    ] or variants
    drawn = state.spoken.get(key, 0)
    rounds, at = divmod(drawn, len(usable))
    order: list[int] = []
    for number in range(rounds + 1):
        last = order[-1:]
        order = _shuffled(f"{state.seed}/{key}/{number}", len(usable))
        if last == order[:1]:
            order = order[1:] + order[:1]
    text = _PLACEHOLDER.sub(lambda match: known.get(match[1], ""), usable[order[at]])
    return text, replace(state, spoken={**state.spoken, key: drawn + 1})


def has_sound(text: str) -> bool:
    """Whether a line holds a sound, such as `[breath]`."""
    return re.search(r"\[[a-z]+\]", text) is not None


class Draw:
    """Draws authored variants: none comes again before all have been used; the same under the same seed."""

    def __init__(self, state: PersonaState) -> None:
        self.state = state

    def line(
        self,
        kind: LineKind,
        subject: str,
        variants: Sequence[str],
        tells: tuple[Telling, ...] = (),
        *,
        key: str = "",
    ) -> Line:
        """Draws one of `variants`; `key` names the set they are from, if kind and subject do not."""
        text, self.state = draw_variant(self.state, key or f"{kind}:{subject}", variants)
        return Line(kind, subject, text, tells)

    def fact(self, fact: Fact) -> Line:
        """Draws a line that tells the fact."""
        return self.line("tell_fact", fact.id, fact.lines, (Telling(fact.id, fact.told_by),))

    def event(self, scenario: Scenario, event: Happening) -> Line:
        """Draws what the persona says about the event, which may tell facts."""
        tells = tuple(Telling(fact.id, fact.told_by) for fact in scenario.facts if fact.id in event.tells)
        return self.line("event", event.id, event.lines, tells)


def _shuffled(seed: str, size: int) -> list[int]:
    """A permutation that depends on nothing but its arguments, on any machine."""
    return sorted(range(size), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest())
