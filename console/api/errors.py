"""Every error of the HTTP side as one JSON document: a stable code, what is wrong, and the way out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from agent.errors import (
    CallBusy,
    CallOver,
    ChannelUnavailable,
    NotAllowed,
    NotFound,
    NotSignedIn,
    RolecallError,
    ScenarioError,
    StoreError,
)
from console.api.body_limit import BodyLimit

API: Final = "/api"
"""Below this path everything is JSON."""
MAX_BODY_BYTES: Final = 32_768
"""Room for the longest message, each character of which JSON may write as twelve."""

log = structlog.get_logger(__name__)

_STATUS: Final[Mapping[type[RolecallError], int]] = {
    NotSignedIn: 401,
    NotAllowed: 403,
    NotFound: 404,
    CallBusy: 409,
    CallOver: 409,
    ChannelUnavailable: 422,
    ScenarioError: 422,
    StoreError: 503,
}
_HTTP: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take that method"),
    413: ("body_too_large", f"the body has more than {MAX_BODY_BYTES} bytes"),
}
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="rolecall"'}


class Problem(BaseModel):
    """What is wrong with a request, or with the server."""

    code: str = Field(description="Stable; for programs.")
    message: str = Field(description="What is wrong; for people.")
    hint: str = Field(description="The way out.")


def problem_of(error: RolecallError) -> Problem:
    """What a client is told. What is wrong with our stores is for our log: it names their addresses."""
    if isinstance(error, StoreError):
        log.error("store_away", reason=str(error))
        return Problem(code=error.code, message="records cannot be reached just now", hint="Try again later")
    return Problem(code=error.code, message=error.message, hint=error.hint)


def answer_errors(app: FastAPI) -> None:
    """Has `app` answer each error with a `Problem`, a body of more than `MAX_BODY_BYTES` among them."""
    app.add_middleware(BodyLimit, path=API, max_bytes=MAX_BODY_BYTES)
    app.add_exception_handler(RolecallError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RolecallError)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    if status == 500:
        log.error("request_failed", reason=str(error))
    return _answer(status, problem_of(error), _CHALLENGE if status == 401 else None)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    place = ".".join(str(step) for step in fault["loc"][1:]) or "the body"
    # The fault also holds what was sent, which is not ours to repeat.
    message = f"{place}: {fault['msg'].removeprefix('Value error, ')}"
    return _answer(422, Problem(code="invalid_request", message=message, hint="See /docs"))


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, message = _HTTP.get(error.status_code, ("http", f"HTTP status {error.status_code}"))
    return _answer(error.status_code, Problem(code=code, message=message, hint="See /docs"), error.headers)


async def _bug(_request: Request, error: Exception) -> JSONResponse:
    # Its traceback is logged by the server, to which it is raised again.
    return _answer(500, Problem(code=RolecallError.code, message="this is a bug", hint="The log has more"))


def _answer(status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem.model_dump(), status, dict(headers or {}))


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase}
    for status in (401, 403, 404, 409, 413, 422, 503)
}
"""The errors of the API, for its documentation."""
