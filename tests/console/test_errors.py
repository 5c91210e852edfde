"""Whatever goes wrong is told in one form."""

import httpx
import pytest
from fastapi import FastAPI

from agent.errors import (
    CallBusy,
    ConfigError,
    EngineUnavailable,
    NotFound,
    NotSignedIn,
    RolecallError,
    ScenarioError,
    StoreError,
)
from console.api.errors import answer_errors


def failing(error: Exception) -> FastAPI:
    app = FastAPI()
    answer_errors(app)

    @app.get("/api/v1/fails")
    async def fails() -> None:
        raise error

    @app.post("/api/v1/reads")
    async def reads(body: dict[str, str]) -> int:
        return len(body)

    return app


async def ask(app: FastAPI, method: str = "GET", path: str = "/fails", **request: object) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/v1") as client:
        return await client.request(method, path, **request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotSignedIn("no token", hint="Bring one"), 401, "not_signed_in"),
        (NotFound("no call", hint=""), 404, "not_found"),
        (CallBusy("busy", hint="Wait"), 409, "call_busy"),
        (ScenarioError("none", hint=""), 422, "scenario"),
        (ConfigError("wrong", hint=""), 500, "config"),
        (EngineUnavailable("gone", hint=""), 500, "engine_unavailable"),
    ],
)
async def test_an_error_of_ours_has_its_status_code_message_and_hint(
    error: RolecallError, status: int, code: str
) -> None:
    answer = await ask(failing(error))
    assert answer.status_code == status
    assert answer.json() == {"code": code, "message": error.message, "hint": error.hint}


async def test_what_is_wrong_with_a_store_is_not_for_clients() -> None:
    answer = await ask(failing(StoreError("Redis at 10.0.0.7:6379 cannot be used", hint="See REDIS_URL")))
    assert (answer.status_code, answer.json()["code"]) == (503, "store")
    assert "10.0.0.7" not in answer.text and "REDIS_URL" not in answer.text


async def test_a_bug_is_told_without_its_details() -> None:
    answer = await ask(failing(LookupError("a secret")))
    assert answer.status_code == 500
    assert answer.json() == {"code": "internal", "message": "this is a bug", "hint": "The log has more"}


async def test_what_was_sent_is_not_repeated() -> None:
    app = failing(LookupError())
    for content in (b'{"name": 7, "token": "s3cret"', b'{"name": ["s3cret"]}', b'"s3cret"'):
        headers = {"Content-Type": "application/json"}
        answer = await ask(app, "POST", "/reads", content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert "s3cret" not in answer.text


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_refused_whether_its_length_is_declared_or_not(
    declared: bool,
) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(5):
            yield b"x" * 10_000

    content = b"x" * 50_000 if declared else chunks()
    headers = {"Content-Type": "application/json"}
    answer = await ask(failing(LookupError()), "POST", "/reads", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
