"""A rehearsal in writing: the persona of a phone call, one line of the terminal a turn."""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import asdict, dataclass, field

import structlog
import typer

from agent import persona
from agent.call import EndReason, Speaker
from agent.ladder import Chosen
from agent.persona import Decision, Ending, Heard, PersonaState
from agent.scenario import Scenario
from agent.steering import STOP_ENDING
from graphs.ladder import for_call, open_wording
from graphs.persona import PersonaGraph
from graphs.wording import Wording
from rolecall.engine_settings import wording_settings
from rolecall.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WrittenTurn:
    """One line of the conversation; `move` is what the persona saw in it, `intent` what it did."""

    speaker: Speaker
    text: str
    move: str = ""
    intent: str = ""


@dataclass(slots=True)
class WrittenRehearsal:
    """A conversation in which everything that is said is heard."""

    scenario: Scenario
    graph: PersonaGraph
    state: PersonaState
    turns: list[WrittenTurn] = field(default_factory=list)
    ending: Ending | None = None

    def open(self) -> str:
        """Returns the words with which the persona picks up."""
        cue = persona.opening(self.scenario, self.state)
        self.state = persona.remember(cue, cue.text, complete=True)
        self.turns.append(WrittenTurn(Speaker.PERSONA, cue.text))
        return cue.text

    async def answer(self, line: str) -> AsyncIterator[str]:
        """Yields the reply to one line in pieces, as it is worded; once it has ended the turn is taken."""
        said = ""
        decision: Decision | None = None
        async with aclosing(self.graph.reply(self.state, Heard(line))) as reply:
            async for item in reply:
                if isinstance(item, Decision):
                    decision = item
                else:
                    said += item
                    yield item
        assert decision is not None, "a reply begins with its decision"
        self.state = persona.remember(decision, said, complete=True)
        self.ending = decision.ending if self.state.ended else None
        self.turns.append(WrittenTurn(Speaker.TRAINEE, line, move=decision.move))
        self.turns.append(WrittenTurn(Speaker.PERSONA, said.strip(), intent=decision.intent))

    @property
    def reason(self) -> EndReason:
        """Why it is over."""
        if self.ending is None:
            return EndReason.TRAINEE_HUNG_UP
        return EndReason.STOP_WORD if self.ending.id == STOP_ENDING else EndReason.PERSONA_ENDED


def run_rehearsal(settings: Settings, scenario: Scenario, *, seed: int | None, as_json: bool) -> int:
    """Holds a rehearsal on stdin and stdout; returns the exit code. Raises RolecallError."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    # The loop stands still while somebody types: Ctrl-C then ends a read, not a task.
    with asyncio.Runner() as runner, _wording(runner, settings) as chosen:
        wording = for_call(chosen.engine, _note_failure)
        graph = PersonaGraph(scenario, wording)
        rehearsal = WrittenRehearsal(scenario, graph, persona.begin(scenario, seed))
        if as_json:
            _hold_silently(runner, rehearsal)
            typer.echo(json.dumps(_document(rehearsal, chosen, seed), indent=2, ensure_ascii=False))
        else:
            _hold(runner, rehearsal)
            ending = f": {rehearsal.ending.id} ({rehearsal.ending.outcome})" if rehearsal.ending else ""
            typer.echo(f"\n{rehearsal.reason.replace('_', ' ')}{ending}, seed {seed}, wording {chosen.name}")
    return 0


@contextmanager
def _wording(runner: asyncio.Runner, settings: Settings) -> Iterator[Chosen[Wording]]:
    stack = AsyncExitStack()
    wording = open_wording(wording_settings(settings))
    try:
        yield runner.run(stack.enter_async_context(wording))
    finally:
        runner.run(stack.aclose())


def _note_failure(engine: str, code: str, fallback: str) -> None:
    log.warning("engine_broke", part="wording", engine=engine, code=code, fallback=fallback)


def _hold(runner: asyncio.Runner, rehearsal: WrittenRehearsal) -> None:
    async def say_answer(line: str) -> None:
        async for piece in rehearsal.answer(line):
            typer.echo(_printable(piece), nl=False)

    name = rehearsal.scenario.persona.name
    typer.echo(f"{rehearsal.scenario.title}\n\n{rehearsal.scenario.briefing.strip()}\n")
    typer.echo(f"{name}: {rehearsal.open()}")
    for line in _lines("you: "):
        typer.echo(f"{name}: ", nl=False)
        runner.run(say_answer(line))
        typer.echo()
        if rehearsal.ending is not None:
            return


def _hold_silently(runner: asyncio.Runner, rehearsal: WrittenRehearsal) -> None:
    async def listen(line: str) -> None:
        async for _ in rehearsal.answer(line):
            pass

    rehearsal.open()
    for line in _lines(""):
        runner.run(listen(line))
        if rehearsal.ending is not None:
            return


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


def _document(rehearsal: WrittenRehearsal, chosen: Chosen[Wording], seed: int) -> dict[str, object]:
    return {
        "scenario": rehearsal.scenario.id,
        "version": rehearsal.scenario.version,
        "seed": seed,
        "wording": {"engine": chosen.name, "model": chosen.model, "reason": chosen.reason},
        "turns": [asdict(turn) for turn in rehearsal.turns],
        "reason": rehearsal.reason,
        "ending": rehearsal.ending.id if rehearsal.ending else None,
        "outcome": rehearsal.ending.outcome if rehearsal.ending else None,
    }
