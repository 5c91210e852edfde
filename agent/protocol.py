"""Whether a call kept to its scenario's protocol: ordered and timed rules over what happened when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.scenario import Scenario
from agent.scenario_assessment import Rule

Status = Literal["met", "broken", "not_due"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one rule.

    `at_ms` is the moment that decided it: when what it asks for happened, or what broke it; None if nothing
    did. `reason` says it in words. A rule is `not_due` if what it is counted from never happened.
    """

    rule: str
    status: Status
    at_ms: int | None
    reason: str


def check_protocol(scenario: Scenario, timeline: Iterable[tuple[int, str]]) -> tuple[Verdict, ...]:
    """Judges each rule by a call's timeline: (ms since the start, `agent.scenario_parts.Moment`) pairs."""
    times: dict[str, list[int]] = {}
    for at_ms, moment in timeline:
        times.setdefault(moment, []).append(at_ms)
    return tuple(_judge(rule, times) for rule in scenario.protocol)


def _judge(rule: Rule, times: Mapping[str, Sequence[int]]) -> Verdict:
    happened = sorted(at_ms for moment in rule.do for at_ms in times.get(moment, ()))
    if rule.never:
        if happened:
            return Verdict(rule.id, "broken", happened[0], "it happened")
        return Verdict(rule.id, "met", None, "it did not happen")
    since = times.get(rule.since, ()) if rule.since else (0,)
    if not since:
        return Verdict(rule.id, "not_due", None, f"{rule.since} did not happen")
    if len(happened) < rule.at_least:
        reason = "it did not happen" if not happened else f"it happened {len(happened)} times"
        return Verdict(rule.id, "broken", happened[-1] if happened else None, reason)
    done_ms = happened[rule.at_least - 1]
    if (disorder := _out_of_order(rule, times, happened[0])) is not None:
        return Verdict(rule.id, "broken", happened[0], disorder)
    late_ms = done_ms - since[0]
    if rule.within_s is not None and late_ms > rule.within_s * 1_000:
        return Verdict(
            rule.id, "broken", done_ms, f"after {late_ms / 1_000:.1f} s, {rule.within_s:g} s allowed"
        )
    return Verdict(rule.id, "met", done_ms, f"after {max(0, late_ms) / 1_000:.0f} s")


def _out_of_order(rule: Rule, times: Mapping[str, Sequence[int]], first_ms: int) -> str | None:
    for moment in rule.before:
        if moment in times and times[moment][0] < first_ms:
            return f"{moment} came first"
    for moment in rule.after:
        if moment not in times or times[moment][0] > first_ms:
            return f"{moment} had not happened"
    return None
