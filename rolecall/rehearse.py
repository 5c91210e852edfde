"""A rehearsal in writing: the persona of a phone call, one line of the terminal a turn."""

import asyncio
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import asdict
from functools import partial
from typing import Final

import structlog
import typer

from agent import persona
from agent.call import EndReason
from agent.events import Event, PersonaDecided, TurnTaken
from agent.ladder import Chosen
from agent.protocol import check_protocol
from agent.scenario import Scenario
from graphs.classify import MoveClassifier
from graphs.ladder import chat_models, for_call, open_wording
from graphs.persona import PersonaGraph
from graphs.wording import Wording
from graphs.written import WrittenRehearsal
from rolecall.engine_settings import wording_settings
from rolecall.settings import Settings

log = structlog.get_logger()

_SILENCE: Final = "/silence"
_EVENT: Final = "/event"


def run_rehearsal(settings: Settings, scenario: Scenario, *, seed: int | None, as_json: bool) -> int:
    """Holds a rehearsal on stdin and stdout; returns the exit code. Raises RolecallError."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    # The loop stands still while somebody types: Ctrl-C then ends a read, not a task.
    with asyncio.Runner() as runner, _wording(runner, settings) as chosen:
        events: list[Event] = []
        graph = PersonaGraph(scenario, for_call(chosen.engine, _note_failure), _classifier(chosen.engine))
        rehearsal = WrittenRehearsal(graph, persona.begin(scenario, seed), events.append)
        if as_json:
            _hold_silently(runner, rehearsal)
            document = {
                "scenario": scenario.id,
                "version": scenario.version,
                "seed": seed,
                "wording": {"engine": chosen.name, "model": chosen.model, "reason": chosen.reason},
                "turns": _turns(events),
                "state": _state(rehearsal),
                "protocol": [asdict(each) for each in check_protocol(scenario, rehearsal.state.timeline)],
                "reason": _reason(rehearsal),
                "ending": rehearsal.ending.id if rehearsal.ending else None,
                "outcome": rehearsal.ending.outcome if rehearsal.ending else None,
            }
            typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            _hold(runner, rehearsal, scenario)
            ending = f": {rehearsal.ending.id} ({rehearsal.ending.outcome})" if rehearsal.ending else ""
            reason = _reason(rehearsal).replace("_", " ")
            typer.echo(f"\n{reason}{ending}, seed {seed}, wording {chosen.name}")
    return 0


@contextmanager
def _wording(runner: asyncio.Runner, settings: Settings) -> Iterator[Chosen[Wording]]:
    stack = AsyncExitStack()
    wording = open_wording(wording_settings(settings))
    try:
        yield runner.run(stack.enter_async_context(wording))
    finally:
        runner.run(stack.aclose())


def _classifier(wording: Wording) -> MoveClassifier | None:
    models = chat_models(wording)
    return MoveClassifier(models[0], partial(_note_failure, fallback="patterns")) if models else None


def _note_failure(engine: str, code: str, fallback: str) -> None:
    log.warning("engine_broke", part="wording", engine=engine, code=code, fallback=fallback)


def _hold(runner: asyncio.Runner, rehearsal: WrittenRehearsal, scenario: Scenario) -> None:
    name, safety = scenario.persona.name, scenario.safety
    typer.echo(f"{scenario.title}\n\n{scenario.briefing.strip()}\n")
    if safety.content_warning != "none":
        typer.echo(safety.content_warning)
    typer.echo(f'To end it at any time: "{safety.stop_word}". To say nothing: {_SILENCE}\n')
    typer.echo(f"{name}: {rehearsal.open()}")
    for line in _lines("you: "):
        typer.echo(f"{name}: ", nl=False)
        runner.run(_exchange(rehearsal, line, lambda piece: typer.echo(_printable(piece), nl=False)))
        typer.echo()
        if rehearsal.over:
            return


def _hold_silently(runner: asyncio.Runner, rehearsal: WrittenRehearsal) -> None:
    rehearsal.open()
    for line in _lines(""):
        runner.run(_exchange(rehearsal, line, lambda piece: None))
        if rehearsal.over:
            return


async def _exchange(rehearsal: WrittenRehearsal, line: str, show: Callable[[str], None]) -> None:
    if line == _SILENCE:
        show(rehearsal.silent())
        return
    if line.startswith(f"{_EVENT} "):
        event = rehearsal.scenario.event(line.removeprefix(_EVENT).strip())
        known = ", ".join(event.id for event in rehearsal.scenario.events) or "none"
        show(rehearsal.happen(event) if event else f"(events that can be brought about: {known})")
        return
    said = ""
    async with aclosing(rehearsal.answer(line)) as reply:
        async for item in reply:
            if isinstance(item, str):
                said += item
                show(item)
    rehearsal.heard(said, complete=True)


def _lines(prompt: str) -> Iterator[str]:
    """What is typed or piped in, without empty lines; a pipe's lines are echoed where a prompt is wanted."""
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    while sys.stdin is not None:
        try:
            line = input(prompt if on_terminal else "").strip()
        except EOFError:
            return
        if line:
            if prompt and not on_terminal:
                typer.echo(f"{prompt}{_printable(line)}")
            yield line


def _printable(text: str) -> str:
    """A model's control characters are not for the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _reason(rehearsal: WrittenRehearsal) -> EndReason:
    return rehearsal.reason or EndReason.TRAINEE_HUNG_UP


def _state(rehearsal: WrittenRehearsal) -> dict[str, object]:
    """What it came to: the same under the same seed and lines, whoever finds the words."""
    state = rehearsal.state
    return {
        "stage": state.stage,
        "emotions": dict(state.emotions),
        "mood": state.mood,
        "disclosed": list(state.disclosed),
        "confirmed": list(state.confirmed),
        "objections": dict(state.objections),
        "happened": list(state.happened),
        "signals": dict(state.signals),
        "caller_name": state.caller_name,
        "promises": list(state.promises),
    }


def _turns(events: Sequence[Event]) -> list[dict[str, str]]:
    """What was said; `move` is what the persona saw in the trainee's words, `intent` what it did about it."""
    turns: list[dict[str, str]] = []
    intent = ""
    for event in events:
        if isinstance(event, TurnTaken):
            said = {"speaker": event.turn.speaker, "text": event.turn.text, "move": "", "intent": intent}
            turns.append(said)
            intent = ""
        elif isinstance(event, PersonaDecided):
            turns[-1]["move"], intent = event.move, event.intent
    return turns
