"""`rolecall scenarios play`: simulated trainees rehearse a scenario, and what of it they have seen."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import typer

from agent.call import Speaker
from agent.scenario import Scenario
from agent.self_play import Style
from graphs.persona import PersonaGraph
from graphs.self_play import PlayedCall, coverage, play
from graphs.wording import AuthoredWording


def run_play(
    scenario: Scenario, calls: int, *, seed: int, styles: Sequence[Style], as_json: bool, show: bool
) -> int:
    """Plays `calls` calls with authored lines; returns the exit code: 1 if a locked fact slipped out."""
    graph = PersonaGraph(scenario, AuthoredWording())
    played = asyncio.run(play(graph, calls, seed=seed, styles=styles))
    seen = coverage(scenario, played)
    leaks = [(call.seed, leak) for call in played for leak in call.leaks]
    if as_json:
        document = {
            "scenario": scenario.id,
            "version": scenario.version,
            "calls": [asdict(call) for call in played],
            "coverage": asdict(seen),
            "missing": seen.missing(),
            "leaks": leaks,
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return 1 if leaks else 0
    if show:
        _print_call(scenario, played[0])
    typer.echo(f"{scenario.title}: {len(played)} calls, seeds {seed} to {seed + len(played) - 1}")
    for style in dict.fromkeys(call.style for call in played):
        endings = Counter(
            call.ending or str(call.reason or "unfinished") for call in played if call.style == style
        )
        listed = ", ".join(f"{name} {count}" for name, count in endings.most_common())
        typer.echo(f"  {style:9}  {listed}")
    for kind, counts in asdict(seen).items():
        if counts:
            typer.echo(f"  {kind:10} {sum(1 for each in counts.values() if each)} of {len(counts)} seen")
    for kind, names in seen.missing().items():
        typer.echo(f"  never seen, {kind}: {', '.join(names)}")
    typer.echo(f"  locked facts that slipped out: {len(leaks)}")
    return 1 if leaks else 0


def _print_call(scenario: Scenario, call: PlayedCall) -> None:
    for speaker, text in call.turns:
        name = scenario.persona.name if speaker is Speaker.PERSONA else "trainee"
        typer.echo(f"{name}: {text}")
    typer.echo(f"({call.style}, seed {call.seed}: {call.ending or call.reason or 'unfinished'})")
    for verdict in call.protocol:
        typer.echo(f"  {verdict.status:8} {verdict.rule}: {verdict.reason}")
    typer.echo()
