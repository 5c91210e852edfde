"""The command line. Heavy imports live in the commands, so that help and errors come at once."""

import io
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from agent.errors import RolecallError, ScenarioError
from rolecall.command import JsonOption
from rolecall.command import begin as _begin
from rolecall.users_cli import users

if TYPE_CHECKING:
    from agent.scenario import Scenario
    from rolecall.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
scenarios = typer.Typer(no_args_is_help=True)
app.add_typer(scenarios, name="scenarios", help="What can be rehearsed here.")
models = typer.Typer(no_args_is_help=True)
app.add_typer(models, name="models", help="What understands, words and speaks here.")
audio = typer.Typer(no_args_is_help=True)
app.add_typer(audio, name="audio", help="What the front end makes of sound.")
app.add_typer(users, name="users", help="Who may use the API.")

INTERRUPTED = 130

ScenarioOption = Annotated[str | None, typer.Option("--scenario", metavar="ID", help="Which scenario.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="The same seed makes the persona act the same way again.")
]


def main() -> NoReturn:
    """The console script `rolecall`."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; whatever happens ends in an exit code and at most one line on stderr."""
    logging.basicConfig(handlers=[logging.NullHandler()])
    try:
        code = app(args=arguments, prog_name="rolecall", standalone_mode=False)
    except TyperException as error:
        return _misused(error)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 the process boundary
        typer.echo(f"rolecall: {_explained(error)}", err=True)
        return 1
    finally:
        _flush()
    return code if isinstance(code, int) else 0


def _flush() -> None:
    """Whoever read our output may have gone; the interpreter would complain of that at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _misused(error: TyperException) -> int:
    """A command without what it needs, given nothing at all, has shown its help already."""
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "rolecall"
    if message:
        typer.echo(f"rolecall: {message.rstrip('.')}. See '{command} --help'", err=True)
    return error.exit_code


def _explained(error: Exception) -> str:
    if isinstance(error, ExceptionGroup) and error.split(RolecallError)[1] is None:
        return _explained(error.exceptions[0])
    if isinstance(error, RolecallError):
        return " ".join(str(error).split())
    logging.getLogger(__name__).critical("crashed", exc_info=error)
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(f"{part}" for part in (error.filename, error.strerror) if part)
    place = traceback.extract_tb(error.__traceback__)[-1]
    files = [each.baseFilename for each in logging.root.handlers if isinstance(each, logging.FileHandler)]
    where = f"{type(error).__name__} in {place.filename}, line {place.lineno}"
    return f"this is a bug: {where}. The log has the details{''.join(f': {file}' for file in files)}"


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"rolecall {version('rolecall')}")
        raise typer.Exit


@app.callback()
def rolecall(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Settings; default: config.yaml here, else the installed one."),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """A phone number that people call to practise hard conversations."""
    ctx.obj = config


@app.command()
def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Answer the phone."""
    settings = _begin(ctx, log_to_terminal=True)
    from rolecall.app import run_server

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    server = settings.server.model_copy(update=given)
    raise typer.Exit(run_server(settings.model_copy(update={"server": server})))


@app.command()
def demo(
    ctx: typer.Context,
    scenario: ScenarioOption = None,
    as_json: JsonOption = False,
    trainee: Annotated[
        Path | None,
        typer.Option(metavar="FILE.wav", help="Speech of a real trainee, instead of a synthetic one."),
    ] = None,
    seed: SeedOption = None,
) -> None:
    """Hold one complete phone call on this machine, with nothing configured."""
    settings = _begin(ctx)
    from rolecall.demo import DemoOptions, run_demo

    options = DemoOptions(
        scenario=scenario or settings.scenarios.default, json=as_json, trainee=trainee, seed=seed
    )
    raise typer.Exit(run_demo(settings, options))


@app.command()
def simulate(
    ctx: typer.Context,
    calls: Annotated[int, typer.Option(min=1, max=1000, help="How many at once.")] = 1,
    scenario: ScenarioOption = None,
    as_json: JsonOption = False,
    impair: Annotated[str, typer.Option(help="What the network does to the calls, e.g. jitter=40.")] = "",
    url: Annotated[str | None, typer.Option(help="The server to call; default: one of its own.")] = None,
) -> None:
    """Call a server with simulated phones and synthetic trainees."""
    settings = _begin(ctx)
    from rolecall.simulate import SimulateOptions, run_simulate

    options = SimulateOptions(
        calls=calls,
        scenario=scenario or settings.scenarios.default,
        json=as_json,
        impair=impair,
        url=url,
    )
    raise typer.Exit(run_simulate(settings, options))


@app.command()
def rehearse(
    ctx: typer.Context,
    scenario: ScenarioOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Talk to a persona in writing: one line is one turn, Ctrl-D hangs up."""
    settings = _begin(ctx)
    from rolecall.rehearse import run_rehearsal

    chosen = _find(settings, scenario or settings.scenarios.default)
    raise typer.Exit(run_rehearsal(settings, chosen, seed=seed, as_json=as_json))


@app.command()
def doctor(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Probe everything a call depends on; exit 1 if the configuration cannot hold one."""
    from rolecall.doctor import run_doctor

    raise typer.Exit(run_doctor(ctx.obj, as_json=as_json))


@app.command()
def migrate(ctx: typer.Context) -> None:
    """Bring the database to the newest schema."""
    settings = _begin(ctx)
    from db.database import migrate as migrate_database
    from rolecall.settings import make_home

    make_home(settings)
    migrate_database(settings.database_url.get_secret_value())
    typer.echo("The database has the newest schema.")


@models.command("list")
def list_models(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show which engines and models can be used here, and why the others cannot."""
    settings = _begin(ctx)
    from rolecall.models import run_list

    raise typer.Exit(run_list(settings, as_json=as_json))


@models.command("pull")
def pull_models(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Default: what the configuration needs and lacks."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that the configuration could make use of.")
    ] = False,
) -> None:
    """Download models; interrupted, it goes on next time from where it was."""
    if names and everything:
        raise typer.BadParameter("Names and --all exclude each other", ctx=ctx)
    settings = _begin(ctx)
    from rolecall.model_pull import run_pull

    raise typer.Exit(run_pull(settings, names or (), everything=everything))


@scenarios.command("list")
def list_scenarios(ctx: typer.Context) -> None:
    """List the scenarios that can be used."""
    settings = _begin(ctx)
    from agent.scenario import load_scenarios

    found = load_scenarios(settings.scenarios.folder)
    width = max(len(name) for name in found)
    for name, each in found.items():
        typer.echo(f"{name:{width}}  {each.title} ({each.language}, {each.difficulty})")


@scenarios.command("check")
def check_scenarios(
    ctx: typer.Context, files: Annotated[list[Path] | None, typer.Argument(help="Default: all.")] = None
) -> None:
    """Name file, field and reason of every fault; exit 1 if there is one."""
    settings = _begin(ctx)
    from agent.scenario_check import check_scenario

    paths = files or sorted(settings.scenarios.folder.glob("*.yaml"))
    if not paths:
        raise ScenarioError(
            f"no scenario in {settings.scenarios.folder}", hint="One scenario is one file, ID.yaml"
        )
    faults = [fault for path in paths for fault in check_scenario(path)]
    for fault in faults:
        typer.echo(fault)
    if faults:
        raise typer.Exit(1)
    typer.echo(f"{len(paths)} checked, no fault.")


@scenarios.command("new")
def new_scenario(
    ctx: typer.Context,
    brief: Annotated[
        str, typer.Option(help="Who is on the line, and what it is about, in a sentence or two.")
    ],
    scenario_id: Annotated[
        str | None, typer.Option("--id", help="Default: from the words of the brief.")
    ] = None,
    domain: Annotated[str, typer.Option(help="sales, 911 or real-estate.")] = "sales",
) -> None:
    """Draft a scenario that passes the check: by the model if there is one, else from a template."""
    settings = _begin(ctx)
    from agent.scenario_draft import DOMAINS
    from rolecall.new_scenario import run_new

    chosen = next((each for each in DOMAINS if each == domain), None)
    if chosen is None:
        raise typer.BadParameter(f"There is no domain {domain}: choose {', '.join(DOMAINS)}", ctx=ctx)
    if scenario_id is not None and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", scenario_id):
        raise typer.BadParameter("An id has small letters, digits and single hyphens", ctx=ctx)
    raise typer.Exit(run_new(settings, brief, scenario_id, chosen))


@scenarios.command("play")
def play_scenario(
    ctx: typer.Context,
    scenario_id: Annotated[str, typer.Argument(metavar="ID")],
    calls: Annotated[int, typer.Option(min=1, max=10_000, help="How many calls.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the first call; the next one has the next.")] = 0,
    style: Annotated[
        list[str] | None,
        typer.Option(help="expert, novice, hostile, silent or injector; several times for several."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the first call.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let simulated trainees rehearse it in writing; exit 1 if a locked fact slips out."""
    scenario = _find(_begin(ctx), scenario_id)
    from agent.self_play import Style
    from rolecall.self_play import run_play

    wrong = [name for name in style or () if name not in tuple(Style)]
    if wrong:
        raise typer.BadParameter(f"There is no style {wrong[0]}: choose {', '.join(Style)}", ctx=ctx)
    styles = tuple(Style(name) for name in style) if style else tuple(Style)
    raise typer.Exit(run_play(scenario, calls, seed=seed, styles=styles, as_json=as_json, show=show))


@scenarios.command("show")
def show_scenario(
    ctx: typer.Context, scenario_id: Annotated[str, typer.Argument(metavar="ID")], as_json: JsonOption = False
) -> None:
    """Show what a trainee is told, and what the scenario holds."""
    scenario = _find(_begin(ctx), scenario_id)
    if as_json:
        content = scenario.model_dump(mode="json", by_alias=True)
        typer.echo(json.dumps({**content, "version": scenario.version}, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{scenario.title}  [{scenario.version}]\n\n{scenario.briefing.strip()}\n")
    typer.echo(f"Persona: {scenario.persona.name}, {scenario.persona.role}")
    for title, names in (
        ("Moves", [move.id for move in scenario.moves]),
        ("Facts", [fact.id for fact in scenario.facts]),
        ("Objections", [objection.id for objection in scenario.objections]),
        ("Endings", [f"{ending.id} ({ending.outcome})" for ending in scenario.endings]),
    ):
        typer.echo(f"{title}: {', '.join(names) or 'none'}")


@audio.callback()
def _audio() -> None:
    """One command only would else be the group itself."""


@audio.command("process")
def process_audio(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="IN.wav", help="What the trainee's line carries.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.wav", help="What is heard of it; 8 kHz, mono.")],
    far: Annotated[
        Path | None,
        typer.Option(
            metavar="FAR.wav", help="The persona's voice, whose echo is in IN.wav, from the same moment on."
        ),
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Filters instead of those of the settings: rumble,echo,noise,gain or none."
        ),
    ] = None,
    impair: Annotated[
        str, typer.Option(help="What the network does to IN.wav first, e.g. jitter=40,loss=5/60.")
    ] = "",
    feed: Annotated[
        str,
        typer.Option(
            help="Whose sound: monitor (people), recogniser, voice (detector of speech), recording."
        ),
    ] = "monitor",
    report: Annotated[
        bool, typer.Option("--report", help="Print costs, delays and findings as JSON.")
    ] = False,
) -> None:
    """Run the front end over a file, exactly as in a call."""
    settings = _begin(ctx)
    from audio.processor import FEEDS
    from rolecall.audio_file import ProcessOptions, run_process

    chosen = next((each for each in FEEDS if each == feed), None)
    if chosen is None:
        raise typer.BadParameter(f"There is no feed {feed}: choose {', '.join(FEEDS)}", ctx=ctx)
    raise typer.Exit(
        run_process(settings, ProcessOptions(source, target, far, stages, impair, chosen, report))
    )


def _find(settings: "Settings", scenario_id: str) -> "Scenario":
    from agent.scenario import load_scenario

    folder = settings.scenarios.folder
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if scenario_id not in paths:
        raise ScenarioError(
            f"no scenario '{scenario_id}' in {folder}", hint=f"There are: {', '.join(paths) or 'none'}"
        )
    return load_scenario(paths[scenario_id])
