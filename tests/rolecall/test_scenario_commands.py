"""`rolecall scenarios new` and `play`: drafts that can be played, and what play finds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.scenario_check import check_scenario
from agent.scenario_draft import DOMAINS, Draft, draft_document, plain_draft
from rolecall import cli
from tests.agent.scenarios import COLD_CALL
from tests.chat_server import Behaviour, Item, Request, open_chat_server, refuses, says
from tests.graphs.models import SERVER

BRIEF = "A landlord, Ruth Allen, calls about a tenant who has not paid for three months"


@pytest.fixture
def home(
    tmp_path: Path, bare_environment: None, logging_restored: None, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder that we are in, with a folder of scenarios that holds the cold call."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "cold-call.yaml").write_text(COLD_CALL.read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLECALL_SCENARIOS__FOLDER", str(tmp_path / "scenarios"))
    monkeypatch.setenv("ROLECALL_WORDING__ENGINE", "authored")
    return tmp_path


Rolecall = Callable[..., tuple[int, str]]


@pytest.fixture
def rolecall(home: Path, capsys: pytest.CaptureFixture[str]) -> Rolecall:
    """Runs a command; returns its exit code and all that it prints, in one line."""

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, " ".join(f"{captured.out} {captured.err}".replace("│", " ").split())

    return run


def test_a_brief_becomes_a_scenario_that_passes_the_check_and_can_be_played(
    home: Path, rolecall: Rolecall
) -> None:
    code, output = rolecall("scenarios", "new", "--brief", BRIEF)
    [path] = set((home / "scenarios").glob("*.yaml")) - {home / "scenarios" / "cold-call.yaml"}

    assert code == 0
    assert "drafted from the template; it passes the check" in output
    assert check_scenario(path) == []
    assert yaml.safe_load(path.read_text())["persona"]["name"] == "Ruth Allen"
    code, output = rolecall("scenarios", "play", path.stem, "--calls", "20", "--json")
    played = json.loads(output)
    assert code == 0
    assert all(played["coverage"]["endings"].values())
    assert all(played["coverage"]["facts"].values())


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_draft_of_any_domain_is_whole(tmp_path: Path, domain: Any) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(yaml.safe_dump(draft_document("draft", BRIEF, domain, plain_draft(BRIEF))))

    assert check_scenario(path) == []


def test_a_scenario_that_is_there_is_not_overwritten(home: Path, rolecall: Rolecall) -> None:
    before = (home / "scenarios" / "cold-call.yaml").read_text()
    code, output = rolecall("scenarios", "new", "--brief", BRIEF, "--id", "cold-call")

    assert code == 1 and "is there already" in output
    assert (home / "scenarios" / "cold-call.yaml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--brief", " "], "the brief is empty"),
        (["--brief", BRIEF, "--domain", "chess"], "There is no domain chess"),
        (["--brief", BRIEF, "--id", "../up"], "An id has small letters"),
    ],
)
def test_a_brief_that_cannot_be_used_is_refused(
    home: Path, rolecall: Rolecall, arguments: list[str], reason: str
) -> None:
    code, output = rolecall("scenarios", "new", *arguments)

    assert code != 0
    assert reason in output
    assert len(list((home / "scenarios").glob("*.yaml"))) == 1


def written_by_a_model(**changes: object) -> str:
    draft = plain_draft(BRIEF).model_copy(update={"title": "Rent that does not come", "name": "Ruth Allen"})
    return json.dumps(draft.model_dump(mode="json") | changes)


@pytest.mark.parametrize(
    ("answer", "maker"),
    [
        (says(written_by_a_model()), "by server"),
        (says(written_by_a_model(background="I will decide by friday.")), "from the template"),
        (says("I would rather not."), "from the template"),
        (refuses(500, "out of memory"), "from the template"),
    ],
    ids=["draft", "a draft that gives a fact away", "no draft", "broken"],
)
async def test_a_model_drafts_and_what_it_gets_wrong_is_replaced(
    home: Path, rolecall: Rolecall, answer: Behaviour, maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def behaviour(request: Request) -> AsyncIterator[Item]:
        """The first request is the one by which a model is tried."""
        asked.append(request)
        return (says("Fine.") if len(asked) == 1 else answer)(request)

    async with open_chat_server(SERVER.server(behaviour=behaviour)) as server:
        monkeypatch.setenv("ROLECALL_WORDING__ENGINE", "server")
        monkeypatch.setenv("ROLECALL_WORDING__SERVER_URL", f"{server.host}/v1")
        monkeypatch.setenv("ROLECALL_WORDING__SERVER_MODEL", SERVER.model)
        code, output = await asyncio.to_thread(rolecall, "scenarios", "new", "--brief", BRIEF, "--id", "rent")

    assert code == 0
    assert f"drafted {maker}" in output
    assert check_scenario(home / "scenarios" / "rent.yaml") == []


def test_play_prints_a_call_and_what_was_never_seen(home: Path, rolecall: Rolecall) -> None:
    code, output = rolecall("scenarios", "play", "cold-call", "--calls", "4", "--style", "expert", "--show")

    assert code == 0
    assert "Dana Whitfield: Harbor Dental, this is Dana." in output
    assert "locked facts that slipped out: 0" in output
    assert "endings" in output and "3 of 3 seen" in output


def test_an_unknown_style_is_refused(home: Path, rolecall: Rolecall) -> None:
    code, output = rolecall("scenarios", "play", "cold-call", "--style", "sleepy")

    assert code == 2 and "There is no style sleepy" in output


def test_a_draft_has_no_defaults_so_that_a_server_can_require_every_field() -> None:
    schema = Draft.model_json_schema()

    assert set(schema["required"]) == set(schema["properties"])
