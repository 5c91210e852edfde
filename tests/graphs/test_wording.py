import socket
from contextlib import closing

import pytest

from agent.errors import ConfigError, EngineUnavailable
from agent.events import EngineChosen
from agent.persona import Heard, begin, decide
from graphs.ollama import address_of
from graphs.wording import AuthoredWording, choose_wording, open_wording
from tests.agent.scenarios import cold_call
from tests.fake_ollama import FakeOllama, open_fake_ollama, says


def unused_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_authored_words_are_the_line_itself() -> None:
    scenario = cold_call()
    decision = decide(scenario, begin(scenario, seed=1), Heard("Who do you order from?"))
    pieces = [piece async for piece in AuthoredWording().words(scenario, decision)]

    assert "".join(pieces) == decision.authored
    assert len(pieces) == len(decision.authored.split())


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
        open_wording("auto", fake.host, asked_for) as chosen,
    ):
        assert (chosen.name, chosen.model, chosen.passed_over) == ("ollama", listed, ())
        assert chosen.engine.engine == "ollama"
        assert fake.host in chosen.reason


async def test_without_a_configured_model_the_first_chat_model_is_taken() -> None:
    models = ("nomic-embed-text:latest", "all-minilm:latest", "qwen3:4b", "llama3.2:3b")
    async with (
        open_fake_ollama(FakeOllama(models=models)) as fake,
        open_wording("auto", fake.host, "") as chosen,
    ):
        assert chosen.model == "qwen3:4b"
        assert "no model is configured" in chosen.reason


async def test_the_chosen_ollama_words_a_decision() -> None:
    scenario = cold_call()
    decision = decide(scenario, begin(scenario, seed=1), Heard("Who do you order from?"))
    async with (
        open_fake_ollama(FakeOllama(behaviour=says("Delmar Medical."))) as fake,
        open_wording("ollama", fake.host, "llama3.2:3b") as chosen,
    ):
        said = [piece async for piece in chosen.engine.words(scenario, decision)]

    assert said == ["Delmar", " Medical."]


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
    async with open_fake_ollama(server) as fake, open_wording("auto", fake.host, model, 0.2) as chosen:
        assert chosen.name == "authored"
        ((engine, reason),) = chosen.passed_over
        assert engine == "ollama"
        assert why in reason


async def test_auto_passes_over_an_address_where_nothing_answers() -> None:
    chosen = await choose_wording("auto", f"127.0.0.1:{unused_port()}", "mistral")

    assert chosen.name == "authored"
    assert "nothing answers at http://127.0.0.1:" in chosen.passed_over[0][1]


@pytest.mark.parametrize(
    "host", ["http://[", "http://127.0.0.1:99999", "ftp://127.0.0.1", "a b", "\0", "http://me:secret@host"]
)
async def test_auto_passes_over_what_is_not_an_address(host: str) -> None:
    chosen = await choose_wording("auto", host, "mistral")

    assert chosen.name == "authored"
    assert "is not an address" in chosen.passed_over[0][1]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        (":5000", "http://127.0.0.1:5000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        ("http://gpu-box", "http://gpu-box:80"),
        ("https://models.example.com/ollama/", "https://models.example.com:443/ollama"),
        ("[::1]:5000", "http://[::1]:5000"),
        (" http://127.0.0.1:11434/ ", "http://127.0.0.1:11434"),
    ],
)
def test_an_address_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert address_of(host) == url


async def test_a_named_ollama_without_the_model_is_an_error_with_the_way_out() -> None:
    async with open_fake_ollama(FakeOllama(models=("llama3.2:3b",))) as fake:
        with pytest.raises(
            EngineUnavailable, match="has no model 'mistral'. Fetch it with 'ollama pull mistral'"
        ):
            await choose_wording("ollama", fake.host, "mistral")


async def test_a_named_ollama_that_does_not_run_is_an_error_with_the_way_out() -> None:
    with pytest.raises(EngineUnavailable, match="Start it with 'ollama serve'"):
        await choose_wording("ollama", f"http://127.0.0.1:{unused_port()}", "mistral")


async def test_authored_lines_that_were_asked_for_ask_no_server() -> None:
    chosen = await choose_wording("authored", "http://127.0.0.1:1", "mistral")

    assert chosen.event(at_ms=40) == EngineChosen("wording", "authored", "", "configured", (), 40)


async def test_an_unknown_engine_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="Use auto, ollama or authored"):
        await choose_wording("gpt", "http://127.0.0.1:1", "")
