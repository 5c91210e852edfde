"""Which models serve, and what is said of those that do not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from langsmith.utils import tracing_is_enabled

from agent.errors import ConfigError, EngineUnavailable
from agent.events import EngineChosen
from agent.ladder import Chosen
from agent.persona import Decision
from agent.scenario import Scenario
from graphs.ladder import WordingSettings, chat_models, open_wording
from graphs.wording import Wording
from tests.chat_server import refuses, says
from tests.fake_ollama import FakeOllama, open_fake_ollama
from tests.fake_openai import MODEL, FakeOpenAI, open_fake_openai
from tests.graphs.models import reply_of, unused_port

NOBODY = f"http://127.0.0.1:{unused_port()}"


@asynccontextmanager
async def chosen_by(
    engine: str, host: str, model: str, within_s: float = 3.0
) -> AsyncIterator[Chosen[Wording]]:
    """What is chosen where no server is configured."""
    settings = WordingSettings(engine=engine, ollama_host=host, ollama_model=model, answer_timeout_s=within_s)
    async with open_wording(settings) as chosen:
        yield chosen


@pytest.mark.parametrize(
    ("asked_for", "listed"),
    [
        ("llama3.2:3b", "llama3.2:3b"),
        ("mistral", "mistral:latest"),
        ("mistral:latest", "mistral:latest"),
        ("Mistral", "mistral:latest"),
        ("hf.co/some/model", "hf.co/some/model:latest"),
    ],
)
async def test_auto_takes_ollama_where_it_has_the_model(asked_for: str, listed: str) -> None:
    async with (
        open_fake_ollama(FakeOllama(models=("other:7b", listed))) as fake,
        chosen_by("auto", fake.host, asked_for) as chosen,
    ):
        assert (chosen.name, chosen.model, chosen.passed_over) == ("ollama", listed, ())
        assert chosen.engine.engine == "ollama"
        assert fake.host in chosen.reason
        assert fake.requests[0]["messages"] == [], "the model is loaded"


async def test_without_a_configured_model_the_first_chat_model_is_taken() -> None:
    models = ("nomic-embed-text:latest", "all-minilm:latest", "qwen3:4b", "llama3.2:3b")
    async with (
        open_fake_ollama(FakeOllama(models=models)) as fake,
        chosen_by("auto", fake.host, "") as chosen,
    ):
        assert chosen.model == "qwen3:4b"
        assert "no model is configured" in chosen.reason


async def test_the_chosen_model_words_a_decision(scenario: Scenario, decision: Decision) -> None:
    async with (
        open_fake_ollama(FakeOllama(behaviour=says("Delmar Medical."))) as fake,
        chosen_by("ollama", fake.host, "llama3.2:3b") as chosen,
    ):
        assert await reply_of(chosen.engine, scenario, decision) == "Delmar Medical."


async def test_auto_takes_a_server_first_and_ollama_stands_by() -> None:
    async with open_fake_openai() as server, open_fake_ollama() as ollama:
        settings = WordingSettings(server_url=server.url, ollama_host=ollama.host)
        async with open_wording(settings) as chosen:
            assert (chosen.name, chosen.model, chosen.passed_over) == ("server", MODEL, ())
            assert chosen.reason.endswith("; ollama (llama3.2:3b) stands by")
            assert [model.engine for model in chat_models(chosen.engine)] == ["server", "ollama"]


async def test_a_named_server_has_ollama_below_it_too_and_can_do_without() -> None:
    async with open_fake_openai() as server:
        settings = WordingSettings(engine="server", server_url=server.url, ollama_host=NOBODY)
        async with open_wording(settings) as chosen:
            assert (chosen.name, chosen.passed_over) == ("server", ())
            assert [model.engine for model in chat_models(chosen.engine)] == ["server"]


async def test_auto_passes_over_a_server_that_cannot_serve_and_says_why() -> None:
    async with (
        open_fake_openai(FakeOpenAI(behaviour=refuses(500, "out of memory"))) as server,
        open_fake_ollama() as ollama,
        open_wording(WordingSettings(server_url=server.url, ollama_host=ollama.host)) as chosen,
    ):
        assert chosen.name == "ollama"
        ((engine, reason),) = chosen.passed_over
        assert engine == "server"
        assert "out of memory" in reason


async def test_with_neither_server_nor_ollama_there_are_authored_lines() -> None:
    settings = WordingSettings(server_url=f"{NOBODY}/v1", ollama_host=NOBODY)
    async with open_wording(settings) as chosen:
        assert (chosen.name, chosen.reason) == ("authored", "every line is in the scenario")
        assert [engine for engine, _ in chosen.passed_over] == ["server", "ollama"]
        assert chat_models(chosen.engine) == ()


@pytest.mark.parametrize(
    ("server", "model", "why"),
    [
        (FakeOllama(models=("llama3.2:3b",)), "mistral", "Fetch it with 'ollama pull mistral'"),
        (FakeOllama(models=("nomic-embed-text:latest",)), "", "has no chat model"),
        (FakeOllama(models=()), "", "has no chat model"),
        (FakeOllama(silent=True), "mistral", "did not answer within 0.2 s"),
        (FakeOllama(listing=b"<html>"), "mistral", "does not speak Ollama's protocol"),
        (FakeOllama(listing=b'{"models": [{"name": 3, "model": {}}]}'), "mistral", "does not speak"),
        (FakeOllama(listing=b"[]"), "mistral", "does not speak Ollama's protocol"),
    ],
)
async def test_auto_says_why_it_passes_over_ollama(server: FakeOllama, model: str, why: str) -> None:
    async with open_fake_ollama(server) as fake, chosen_by("auto", fake.host, model, 0.2) as chosen:
        assert chosen.name == "authored"
        ((engine, reason),) = chosen.passed_over
        assert engine == "ollama"
        assert why in reason


async def test_auto_passes_over_an_address_where_nothing_answers() -> None:
    async with chosen_by("auto", NOBODY.removeprefix("http://"), "mistral") as chosen:
        assert chosen.name == "authored"
        assert f"nothing answers at {NOBODY}" in chosen.passed_over[0][1]


@pytest.mark.parametrize(
    "host", ["http://[", "http://127.0.0.1:99999", "ftp://127.0.0.1", "a b", "\0", "http://me:secret@host"]
)
async def test_auto_passes_over_what_is_not_an_address(host: str) -> None:
    async with chosen_by("auto", host, "mistral") as chosen:
        assert chosen.name == "authored"
        assert "is not an address" in chosen.passed_over[0][1]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (WordingSettings(engine="ollama", ollama_host=NOBODY), "Start it with 'ollama serve'"),
        (WordingSettings(engine="server", ollama_host=NOBODY), "Set wording.server_url"),
        (
            WordingSettings(engine="server", server_url=f"{NOBODY}/v1", ollama_host=NOBODY),
            "Check wording.server_url",
        ),
    ],
    ids=["ollama", "no server", "server"],
)
async def test_a_named_engine_that_cannot_be_used_is_an_error_with_the_way_out(
    settings: WordingSettings, why: str
) -> None:
    with pytest.raises(EngineUnavailable, match=why):
        async with open_wording(settings):
            pass


async def test_a_named_ollama_without_the_model_is_an_error_with_the_way_out() -> None:
    async with open_fake_ollama(FakeOllama(models=("llama3.2:3b",))) as fake:
        with pytest.raises(
            EngineUnavailable, match="has no model 'mistral'. Fetch it with 'ollama pull mistral'"
        ):
            async with chosen_by("ollama", fake.host, "mistral"):
                pass


async def test_authored_lines_that_were_asked_for_ask_no_server() -> None:
    async with open_fake_openai() as server, open_fake_ollama() as ollama:
        settings = WordingSettings(engine="authored", server_url=server.url, ollama_host=ollama.host)
        async with open_wording(settings) as chosen:
            assert chosen.event(at_ms=40) == EngineChosen("wording", "authored", "", "configured", (), 40)
        assert server.connections == ollama.connections == 0


async def test_an_unknown_engine_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="Use auto, server, ollama or authored"):
        async with open_wording(WordingSettings(engine="gpt")):
            pass


def test_the_key_is_not_shown_with_the_settings() -> None:
    assert "hunter2" not in repr(WordingSettings(server_key="hunter2"))


async def test_no_prompt_goes_to_langsmith_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    async with chosen_by("authored", "", ""):
        assert not tracing_is_enabled()
