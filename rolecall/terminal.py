"""What a person sees of a call in the terminal: the transcript as it happens, then a summary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from agent.call import Speaker, Turn
from agent.events import (
    BargedIn,
    CallEnded,
    EngineBroke,
    Event,
    FilterBypassed,
    LineJudged,
    TraineeSilent,
    TurnTaken,
)
from agent.scenario import Scenario
from db.records import CallRecord
from telephony.simulator.measure import percentiles

_STYLES: Final = {Speaker.TRAINEE: "cyan", Speaker.PERSONA: "yellow"}
_PARTS: Final = {
    "speech_to_text": "understands by",
    "wording": "words by",
    "text_to_speech": "speaks by",
    "echo_cancellation": "echo cut by",
    "noise_reduction": "noise cut by",
}


class Terminal:
    """Prints to stdout; nothing at all when `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False, quiet=quiet)

    def say(self, line: str) -> None:
        """Prints one line."""
        self._print(Text(line, "dim"))

    def introduce(self, scenario: Scenario, engines: Mapping[str, Mapping[str, Any]]) -> None:
        """Shows who is about to talk to whom, and by which engines."""
        self._print()
        self._print(Text(scenario.title, "bold"))
        self._print(f"The persona is {scenario.persona.name}, {scenario.persona.role}.")
        for part, engine in engines.items():
            name = (
                f"{engine['engine']} ({Path(engine['model']).name})" if engine["model"] else engine["engine"]
            )
            self._print(Text(f"  {_PARTS[part]:15} {name}: {engine['reason']}", "dim"))
            for rung, reason in engine["passed_over"].items():
                self._print(Text(f"  {'':15} not {rung}: {reason}", "dim"))
        self._print()

    def show(self, event: Event) -> None:
        """Shows what a watcher of the call wants to know of an event."""
        match event:
            case TurnTaken(turn=turn):
                self._print(_line(turn))
            case BargedIn(at_ms=at_ms, cleared_ms=cleared_ms):
                self._aside(f"the trainee interrupts; silence after {cleared_ms - at_ms} ms")
            case TraineeSilent():
                self._aside("the trainee says nothing")
            case EngineBroke(engine=engine, code=code, fallback=fallback):
                self._aside(f"{engine} failed ({code}); {fallback or 'nothing'} takes over")
            case FilterBypassed(filter=name, reason=reason):
                self._aside(f"the filter {name} broke and is left out: {reason}")
            case LineJudged(faults=faults) if faults:
                self._aside(f"the line was bad: {', '.join(fault.replace('_', ' ') for fault in faults)}")
            case CallEnded(reason=reason, outcome=outcome):
                self._aside(
                    f"the call is over: {reason.replace('_', ' ')}{f', {outcome}' if outcome else ''}"
                )
            case _:
                pass

    def summary(self, record: CallRecord, recording: Path | None, gaps_ms: Sequence[int | None]) -> None:
        """Shows what is left of the call. `gaps_ms` belong to the record's turns, measured at the handset."""
        spread = percentiles([gap for gap in gaps_ms if gap is not None])
        rows = {"Turns": _counts(record.turns)}
        if spread:
            rows["Response gap"] = (
                f"median {spread.p50:.0f} ms, 95 % within {spread.p95:.0f} ms, at the handset"
            )
        rows["Recording"] = str(recording or "none")
        rows["Record"] = f"call {record.id}"
        self._print()
        for name, value in rows.items():
            self._print(Text.assemble((f"{name:14}", "bold"), value))
        self._print()

    def _print(self, line: str | Text = "") -> None:
        self._console.print(line, soft_wrap=True)

    def _aside(self, text: str) -> None:
        self._print(Text(f"{'':9}{text}", "dim italic"))


def _line(turn: Turn) -> Text:
    minutes, seconds = divmod(turn.start_ms // 1_000, 60)
    text = Text(f"{minutes:02}:{seconds:02}    ", "dim")
    text.append(f"{turn.speaker:8}", f"bold {_STYLES[turn.speaker]}")
    text.append(f" {turn.text}{' ...' if turn.interrupted else ''}")
    if turn.response_gap_ms is not None:
        text.append(f"  +{turn.response_gap_ms / 1_000:.2f} s", "dim")
    return text


def _counts(turns: Sequence[Turn]) -> str:
    spoken = [sum(turn.speaker is speaker for turn in turns) for speaker in Speaker]
    return ", ".join(f"{speaker} {count}" for speaker, count in zip(Speaker, spoken, strict=True))
