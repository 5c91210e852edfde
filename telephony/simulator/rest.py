"""The Calls resource of Twilio's REST API, version 2010-04-01.

https://www.twilio.com/docs/voice/api/call-resource
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from telephony.simulator.calls import Call, Callback, CallPlan, CallStatus, Instruction

_API: Final = "/2010-04-01/Accounts"
_ADDRESS: Final = re.compile(r"\+[1-9]\d{6,14}|sip:\S+@\S+|client:\S+")
_EVENTS: Final = frozenset({"initiated", "ringing", "answered", "completed"})
_LARGEST_PAGE: Final = 1_000
_LARGEST_BODY: Final = 64 * 1_024
_BEFORE_ANSWER: Final = frozenset({CallStatus.QUEUED, CallStatus.RINGING})

Form = ImmutableMultiDict[str, str]


class Exchange(Protocol):
    """What the API needs of the carrier."""

    account_sid: str
    credentials: Mapping[str, str]
    numbers: frozenset[str]
    calls: dict[str, Call]

    def place(self, from_: str, to: str, plan: CallPlan) -> Call:
        """Queues an outbound call."""


class ApiError(HTTPException):
    """A refusal in Twilio's words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, message)
        self.code = code


def create_api(exchange: Exchange) -> Starlette:
    """The application that serves `exchange`."""
    api = CallsApi(exchange)
    calls, one = f"{_API}/{{account}}/Calls.json", f"{_API}/{{account}}/Calls/{{sid}}.json"
    return Starlette(
        routes=[
            Route(calls, api.create, methods=["POST"]),
            Route(calls, api.list, methods=["GET"]),
            Route(one, api.fetch, methods=["GET"]),
            Route(one, api.update, methods=["POST"]),
            Route(one, api.delete, methods=["DELETE"]),
        ],
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for this class"
    usual = {404: 20404, 405: 20004}.get(error.status_code, 20001)
    code = error.code if isinstance(error, ApiError) else usual
    body = {
        "code": code,
        "message": error.detail,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": error.status_code,
    }
    headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if error.status_code == 401 else None
    return JSONResponse(body, error.status_code, headers)


class CallsApi:
    """The handlers; all checks of a request come before anything is done."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def create(self, request: Request) -> Response:
        """Places a call: 201, queued."""
        self._authenticate(request)
        form = await _read_form(request)
        from_, to = self._check_parties(form)
        call = self._exchange.place(from_, to, _read_plan(form))
        return JSONResponse(describe(call), 201)

    async def fetch(self, request: Request) -> Response:
        """One call."""
        self._authenticate(request)
        return JSONResponse(describe(self._find(request)))

    async def list(self, request: Request) -> Response:
        """Calls, newest first, a page at a time."""
        self._authenticate(request)
        query = request.query_params
        keep = [call for call in reversed(self._exchange.calls.values()) if _matches(call, query)]
        size = min(_LARGEST_PAGE, max(1, _number(query.get("PageSize"), 50)))
        page = _number(query.get("Page"), 0)
        shown = keep[page * size : (page + 1) * size]
        filters = [(key, value) for key, value in query.multi_items() if key not in ("Page", "PageSize")]

        def uri(number: int) -> str:
            return f"{request.url.path}?{urlencode([*filters, ('PageSize', size), ('Page', number)])}"

        return JSONResponse(
            {
                "calls": [describe(call) for call in shown],
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(0, len(shown) - 1),
                "uri": uri(page),
                "first_page_uri": uri(0),
                "previous_page_uri": uri(page - 1) if page else None,
                "next_page_uri": uri(page + 1) if (page + 1) * size < len(keep) else None,
            }
        )

    async def update(self, request: Request) -> Response:
        """Redirects or ends a live call. The reply does not wait for that to have happened."""
        self._authenticate(request)
        form = await _read_form(request)
        call = self._find(request)
        if call.is_over or call.ending:
            raise ApiError(400, 21220, "Call is not in-progress. Cannot redirect.")
        match form.get("Status"):
            case None:
                self._redirect(call, form)
            case "completed":
                call.end("REST")
            case "canceled":
                if call.status in _BEFORE_ANSWER:
                    call.end("REST")
            case status:
                raise ApiError(400, 21218, f"Invalid Status {status}")
        return JSONResponse(describe(call))

    async def delete(self, request: Request) -> Response:
        """Forgets a finished call."""
        self._authenticate(request)
        call = self._find(request)
        if not call.is_over:
            raise ApiError(409, 20009, "Cannot delete this resource before it is complete")
        del self._exchange.calls[call.sid]
        return Response(status_code=204)

    def _redirect(self, call: Call, form: Form) -> None:
        if call.status != CallStatus.IN_PROGRESS:
            raise ApiError(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.get("Url") and form.get("Twiml"):
            raise ApiError(400, 20001, "Url and Twiml are mutually exclusive")
        call.redirect(_read_instruction(form))

    def _authenticate(self, request: Request) -> None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        expected = self._exchange.credentials.get(user)
        known = expected is not None and hmac.compare_digest(expected.encode(), password.encode())
        ours = request.path_params["account"] == self._exchange.account_sid
        if scheme.lower() != "basic" or not known or not ours:
            raise ApiError(401, 20003, "Authenticate")

    def _find(self, request: Request) -> Call:
        call = self._exchange.calls.get(request.path_params["sid"])
        if call is None:
            raise ApiError(404, 20404, f"The requested resource {request.url.path} was not found")
        return call

    def _check_parties(self, form: Form) -> tuple[str, str]:
        from_, to = form.get("From", ""), form.get("To", "")
        if not to:
            raise ApiError(400, 21201, "No 'To' number is specified")
        if not from_:
            raise ApiError(400, 21213, "'From' phone number is required")
        if not _ADDRESS.fullmatch(to):
            raise ApiError(400, 21211, f"Invalid 'To' Phone Number: {to}")
        if self._exchange.numbers and from_ not in self._exchange.numbers:
            raise ApiError(400, 21210, f"'From' phone number not verified: {from_}")
        return from_, to


def describe(call: Call) -> dict[str, object]:
    """The Call resource."""
    uri = f"{_API}/{call.account_sid}/Calls/{call.sid}"
    names = ("events", "notifications", "payments", "recordings", "siprec", "streams", "transcriptions")
    return {
        "sid": call.sid,
        "date_created": _rfc2822(call.created_at),
        "date_updated": _rfc2822(call.updated_at),
        "parent_call_sid": None,
        "account_sid": call.account_sid,
        "to": call.to,
        "to_formatted": call.to,
        "from": call.from_,
        "from_formatted": call.from_,
        "phone_number_sid": None,
        "status": call.status,
        "start_time": _rfc2822(call.started_at),
        "end_time": _rfc2822(call.ended_at),
        "duration": None if call.duration_s is None else str(call.duration_s),
        "price": None,
        "price_unit": "USD",
        "direction": call.direction,
        "answered_by": None,
        "api_version": "2010-04-01",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": str(call.plan.queue_time_ms),
        "trunk_sid": None,
        "uri": f"{uri}.json",
        "subresource_uris": {name: f"{uri}/{name.capitalize()}.json" for name in names},
    }


def _read_plan(form: Form) -> CallPlan:
    fallback = form.get("FallbackUrl")
    callback = form.get("StatusCallback")
    events = frozenset(event for value in form.getlist("StatusCallbackEvent") for event in value.split())
    return CallPlan(
        first=_read_instruction(form),
        fallback=Instruction(fallback, form.get("FallbackMethod", "POST").upper()) if fallback else None,
        callback=Callback(
            callback,
            form.get("StatusCallbackMethod", "POST").upper(),
            (events & _EVENTS) or frozenset({"completed"}),
        )
        if callback
        else None,
        ring_limit_s=min(600, max(1, _number(form.get("Timeout"), 60))),
        time_limit_s=min(86_400, max(1, _number(form.get("TimeLimit"), 4 * 60 * 60))),
    )


def _read_instruction(form: Form) -> Instruction:
    """`Url` wins over `Twiml`, as on Twilio when a call is created."""
    url = form.get("Url", "")
    if not url and form.get("Twiml"):
        return Instruction(twiml=form["Twiml"])
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ApiError(400, 21205, f"Url is not a valid URL: {url}")
    return Instruction(url, form.get("Method", "POST").upper())


async def _read_form(request: Request) -> Form:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise ApiError(413, 20001, "Request body too large")
    return Form(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _matches(call: Call, query: Mapping[str, str]) -> bool:
    exact = {"To": call.to, "From": call.from_, "Status": str(call.status)}
    if any(key in query and query[key] != value for key, value in exact.items()):
        return False
    for name, moment in (("StartTime", call.started_at), ("EndTime", call.ended_at)):
        for key in (name, f"{name}<", f"{name}>"):
            if key in query and not _in_span(moment, key, query[key]):
                return False
    return True


def _in_span(moment: datetime | None, key: str, text: str) -> bool:
    """A plain date stands for its whole day in UTC."""
    try:
        bound = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(400, 20001, f"{key}={text} is not a date") from None
    if bound.tzinfo is None:
        bound = bound.replace(tzinfo=UTC)
    if moment is None:
        return False
    day = timedelta(days=1) if len(text) == len("2026-01-31") else timedelta(0)
    if key.endswith("<"):
        return moment < bound + day if day else moment <= bound
    if key.endswith(">"):
        return moment >= bound
    return bound <= moment < bound + (day or timedelta(seconds=1))


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else default


def _rfc2822(moment: datetime | None) -> str | None:
    return None if moment is None else format_datetime(moment)
