import pytest

from agent.errors import EngineError
from agent.persona import Decision
from agent.scenario import Scenario
from graphs.ollama import OllamaChat, address_of
from tests.chat_server import says
from tests.graphs.models import OLLAMA, open_model, reply_of, unused_port


async def test_the_model_is_told_not_to_think_and_to_stay_loaded(
    scenario: Scenario, decision: Decision
) -> None:
    async with open_model(OLLAMA, says("Delmar."), thinking=("llama3.2:3b",)) as (fake, wording):
        said = await reply_of(wording, scenario, decision)

    (request,) = fake.requests
    assert said == "Delmar."
    assert request["think"] is False
    assert request["keep_alive"] == -1
    assert request["stream"] is True
    assert request["options"]["num_ctx"] == 4096
    assert request["options"]["num_predict"] == 90


async def test_loading_uses_the_options_of_the_replies(scenario: Scenario, decision: Decision) -> None:
    async with open_model(OLLAMA) as (fake, wording):
        await wording.chat.load()
        assert await reply_of(wording, scenario, decision)

    load, reply = fake.requests
    assert load["messages"] == []
    assert load["options"] == {key: reply["options"][key] for key in load["options"]}
    assert load["keep_alive"] == -1


async def test_a_model_that_cannot_be_loaded_is_an_error_with_the_way_out() -> None:
    async with open_model(OLLAMA, models=()) as (_, wording):
        with pytest.raises(EngineError, match="Fetch it with 'ollama pull llama3.2:3b'"):
            await wording.chat.load()
    chat = OllamaChat(f"127.0.0.1:{unused_port()}", "llama3.2:3b")
    with pytest.raises(EngineError, match="Start it with 'ollama serve'"):
        await chat.load()
    await chat.aclose()


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
