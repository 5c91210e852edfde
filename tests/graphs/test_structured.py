"""Documents instead of words: what a model answers fits its schema, or is an error."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from agent.errors import EngineFailed, EngineTimedOut
from agent.prompt import Message
from graphs.model import structured
from tests.chat_server import Request, after, refuses, says, sends
from tests.graphs.models import OLLAMA, SERVER, Kind, of_each_kind, open_model, open_no_model


class Judgement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Literal["met", "missed"]
    turns: list[int] = Field(max_length=3)


ASKED = [Message("frame", "You judge."), Message("trainee", "Hello, this is Sam.")]
MET = '{"verdict": "met", "turns": [1]}'


@of_each_kind
async def test_an_answer_is_a_document_of_the_schema(kind: Kind) -> None:
    async with open_model(kind, says(MET)) as (_, wording):
        assert await structured(wording.chat, ASKED, Judgement, 5.0) == Judgement(verdict="met", turns=[1])


def told_by(request: Request) -> tuple[object, object, object, object]:
    """Schema, temperature, seed and length, where each kind of server has them."""
    if "options" in request:
        options = request["options"]
        return request["format"], options["temperature"], options["seed"], options["num_predict"]
    form = request["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    return (
        form["json_schema"]["schema"],
        request["temperature"],
        request["seed"],
        request["max_completion_tokens"],
    )


@of_each_kind
async def test_the_server_is_told_the_schema_and_to_be_exact(kind: Kind) -> None:
    async with open_model(kind, says(MET)) as (fake, wording):
        await structured(wording.chat, ASKED, Judgement, 5.0, seed=7, tokens=80)
    schema, temperature, seed, tokens = told_by(fake.requests[0])
    assert isinstance(schema, dict)
    assert schema["required"] == ["verdict", "turns"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["verdict"]["enum"] == ["met", "missed"]
    assert (temperature, seed, tokens) == (0.0, 7, 80)


async def test_ollama_is_asked_in_the_context_of_the_replies_and_not_to_think() -> None:
    async with open_model(OLLAMA, says(MET)) as (fake, wording):
        await structured(wording.chat, ASKED, Judgement, 5.0)
    (request,) = fake.requests
    assert (request["options"]["num_ctx"], request["think"], request["keep_alive"]) == (4096, False, -1)


@of_each_kind
@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I would say it is met.",
        '{"verdict": "met"}',
        '{"verdict": "maybe", "turns": []}',
        '{"verdict": "met", "turns": [1], "note": "!"}',
        '{"verdict": "met", "turns": [1',
        "[" * 10_000,
    ],
)
async def test_what_does_not_fit_the_schema_is_an_error(kind: Kind, answer: str) -> None:
    async with open_model(kind, says(answer)) as (_, wording):
        with pytest.raises(EngineFailed, match="no proper Judgement"):
            await structured(wording.chat, ASKED, Judgement, 5.0)


@of_each_kind
async def test_an_answer_that_takes_too_long_is_an_error_and_stops_the_model(kind: Kind) -> None:
    async with open_model(kind, after(30, says(MET))) as (fake, wording):
        with pytest.raises(EngineTimedOut, match="within 0.2 s"):
            await structured(wording.chat, ASKED, Judgement, 0.2)
        await fake.abandoned()


@of_each_kind
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (refuses(500, "out of memory"), "engine_failed"),
        (refuses(503, "busy"), "engine_busy"),
        (refuses(404, "no such model"), "model_missing"),
        (sends(b"<html>\n"), "engine_failed"),
    ],
    ids=["500", "503", "404", "a page"],
)
async def test_what_the_server_answers_instead_is_an_error_at_once(
    kind: Kind, behaviour: object, code: str
) -> None:
    async with open_model(kind, behaviour) as (fake, wording):  # type: ignore[arg-type]
        with pytest.raises(Exception) as raised:
            await structured(wording.chat, ASKED, Judgement, 5.0)
        assert getattr(raised.value, "code", "") == code
        assert len(fake.requests) == 1


@of_each_kind
async def test_nobody_at_the_address_is_an_error(kind: Kind) -> None:
    async with open_no_model(kind) as wording:
        with pytest.raises(Exception, match="nothing answers at"):
            await structured(wording.chat, ASKED, Judgement, 5.0)


async def test_a_refusal_in_words_is_no_document() -> None:
    async with open_model(SERVER, says("I cannot judge people.")) as (_, wording):
        with pytest.raises(EngineFailed, match="no proper Judgement"):
            await structured(wording.chat, ASKED, Judgement, 5.0)
