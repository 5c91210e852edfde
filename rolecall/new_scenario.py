"""`rolecall scenarios new`: a first version of a scenario from a brief."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import structlog
import typer
import yaml

from agent.errors import EngineError, ScenarioError
from agent.scenario_check import check_scenario
from agent.scenario_draft import Domain, Draft, draft_document, plain_draft
from agent.words import words
from graphs.drafting import draft_by_model
from graphs.ladder import chat_models, open_wording
from rolecall.engine_settings import wording_settings
from rolecall.settings import Settings

log = structlog.get_logger()

_LITTLE_WORDS: Final = re.compile(r"a|an|the|to|of|for|and|or|in|on|at|with|who|that|is|has|about|from")
_HEAD: Final = "# A first version: make it your own, then check and play it (docs/scenarios.md).\n"


def run_new(settings: Settings, brief: str, scenario_id: str | None, domain: Domain) -> int:
    """Writes a scenario that passes the check; returns the exit code. Raises ScenarioError."""
    brief = " ".join(brief.split())
    if not brief:
        raise ScenarioError("the brief is empty", hint="Say in a sentence who calls and what it is about")
    path = settings.scenarios.folder / f"{scenario_id or _id_from(brief)}.yaml"
    if path.exists():
        raise ScenarioError(f"{path} is there already", hint="Give another name with --id")
    draft, maker = asyncio.run(_draft(settings, brief))
    document = draft_document(path.stem, brief, domain, draft)
    faults = _write(path, document)
    if faults and maker:
        typer.echo(f"The draft of {maker} has faults, so the template is used: {faults[0]}", err=True)
        maker = ""
        faults = _write(path, draft_document(path.stem, brief, domain, plain_draft(brief)))
    if faults:
        path.unlink()
        raise ScenarioError(
            f"no scenario could be made of this brief: {faults[0]}", hint="Put it differently"
        )
    typer.echo(f"{path}: drafted {f'by {maker}' if maker else 'from the template'}; it passes the check.")
    typer.echo(f"Play it: rolecall rehearse --scenario {path.stem}")
    return 0


async def _draft(settings: Settings, brief: str) -> tuple[Draft, str]:
    """The draft and who made it, "" for the template."""
    async with open_wording(wording_settings(settings)) as chosen:
        for model in chat_models(chosen.engine):
            try:
                return await draft_by_model(model, brief), f"{model.engine} ({model.model})"
            except EngineError as error:
                log.warning("draft_failed", engine=model.engine, code=error.code, reason=str(error))
    return plain_draft(brief), ""


def _write(path: Path, document: dict[str, Any]) -> list[str]:
    """Writes the file and returns its faults."""
    path.write_text(_HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110))
    return [str(fault) for fault in check_scenario(path)]


def _id_from(brief: str) -> str:
    spoken = [re.sub(r"[^a-z0-9]", "", word) for word in words(brief)]
    telling = [word for word in spoken if word and not _LITTLE_WORDS.fullmatch(word)]
    return "-".join(telling[:4])[:60].strip("-") or "new-scenario"
