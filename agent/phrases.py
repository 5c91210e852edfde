"""What a persona says in many calls, cut as a call will ask for it."""

from collections.abc import Iterator, Sequence

from agent.clauses import Clauses
from agent.scenario import Scenario


def frequent_phrases(scenario: Scenario) -> list[str]:
    """The clauses of the lines that belong to the call itself, each once, the earliest needed first.

    These are the greeting, the prompts into a silence, what is said when the trainee was not understood or
    broke in, the fillers, and the last words. Lines of its subject are not among them: most calls say few
    of those. Nor are sounds, which nobody has to speak.
    """
    clauses = (clause for line in _lines(scenario) for clause in clauses_of(line))
    return list(dict.fromkeys(clause for clause in clauses if "[" not in clause and "{" not in clause))


def clauses_of(line: str) -> list[str]:
    """The clauses of a reply that consists of this line."""
    clauses = Clauses()
    return [*clauses.feed(line), *clauses.rest()]


def _lines(scenario: Scenario) -> Iterator[str]:
    lines = scenario.lines
    groups: Sequence[Sequence[str]] = (
        scenario.opening,
        lines.cut_off,
        lines.thinking,
        lines.unclear,
        lines.silence,
        lines.other,
        lines.stop,
        *(ending.lines for ending in scenario.endings),
        lines.gone,
        lines.time_up,
    )
    for group in groups:
        yield from group
