"""Signed requests from the carrier to the application.

Time-outs, retries and their overrides in a URL's fragment:
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin

import httpx

from telephony.simulator.routes import Route, Routes
from telephony.simulator.signature import sign

Fields = Sequence[tuple[str, str]]

HTTP_FAILURE: Final = 11200
CONNECTION_FAILURE: Final = 11205
BAD_HOST: Final = 11210
TOO_MANY_REDIRECTS: Final = 11215
BODY_TOO_LARGE: Final = 11750
TWIML_BYTES: Final = 64 * 1_024
_MOST_REDIRECTS: Final = 10
_FORM: Final = "application/x-www-form-urlencoded; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the application answered with a status below 400; `url` has no fragment."""

    url: str
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no usable answer. `kind` is a retry policy's word: ct, rt, 4xx, 5xx, or "" for none."""

    url: str
    code: int
    message: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Limits of one webhook; the defaults are Twilio's."""

    connect_ms: int = 5_000
    read_ms: int = 15_000
    total_ms: int = 15_000
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})

    @classmethod
    def parse(cls, fragment: str) -> Self:
        """Reads e.g. "ct=2000&rt=3000&tt=8000&rc=2&rp=ct,rt,5xx"; what is out of range is brought into it."""
        bounds = {"ct": ("connect_ms", 100, 10_000), "rt": ("read_ms", 100, 15_000)}
        bounds |= {"tt": ("total_ms", 100, 15_000), "rc": ("retries", 0, 5)}
        given = dict(parse_qsl(fragment))
        values: dict[str, int] = {}
        for key, (name, least, most) in bounds.items():
            with suppress(KeyError, ValueError):
                values[name] = min(most, max(least, int(given[key])))
        policy = frozenset(given.get("rp", "ct").split(","))
        return cls(policy=policy, **values)

    def retry_after(self, failure: Failure) -> bool:
        """Whether the policy covers this failure."""
        return bool(failure.kind) and (failure.kind in self.policy or "all" in self.policy)


class Webhooks:
    """Sends webhooks for one account through `client`, which must follow no redirects itself."""

    def __init__(
        self, client: httpx.AsyncClient, routes: Routes, auth_token: str, new_token: Callable[[], str]
    ) -> None:
        self._client = client
        self._routes = routes
        self._auth_token = auth_token
        self._new_token = new_token

    async def request(
        self, url: str, method: str, fields: Fields, *, max_bytes: int = TWIML_BYTES
    ) -> Reply | Failure:
        """Requests `url` with signed `fields`: as a form, or in the query of a GET.

        Every attempt carries the same I-Twilio-Idempotency-Token.
        """
        bare, fragment = urldefrag(url)
        overrides = Overrides.parse(fragment)
        token = self._new_token()
        outcome: Reply | Failure = Failure(bare, CONNECTION_FAILURE, "no answer in time", "rt")
        with suppress(TimeoutError):
            async with asyncio.timeout(overrides.total_ms / 1_000):
                for _ in range(overrides.retries + 1):
                    outcome = await self._follow(bare, method, fields, token, overrides, max_bytes)
                    if isinstance(outcome, Reply) or not overrides.retry_after(outcome):
                        break
        return outcome

    async def _follow(
        self, url: str, method: str, fields: Fields, token: str, overrides: Overrides, max_bytes: int
    ) -> Reply | Failure:
        for _ in range(_MOST_REDIRECTS + 1):
            outcome = await self._exchange(url, method, fields, token, overrides, max_bytes)
            if not isinstance(outcome, httpx.Response):
                return outcome
            if outcome.status_code not in (307, 308):
                method = "GET"
            url = urldefrag(urljoin(url, outcome.headers["location"])).url
        return Failure(url, TOO_MANY_REDIRECTS, f"more than {_MOST_REDIRECTS} redirects")

    async def _exchange(
        self, url: str, method: str, fields: Fields, token: str, overrides: Overrides, max_bytes: int
    ) -> Reply | Failure | httpx.Response:
        """One request; a response itself only if it redirects."""
        asked = url
        if method == "GET" and fields:
            url += ("&" if "?" in url else "?") + urlencode(fields)
        route = self._routes.locate(url)
        if route is None:
            return Failure(url, BAD_HOST, "no route to host")
        request = self._build(url, route, method, fields, token, overrides)
        try:
            response = await self._client.send(request, stream=True)
            try:
                body = await _read(response, max_bytes)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Failure(url, CONNECTION_FAILURE, f"cannot connect: {error}", "ct")
        except httpx.HTTPError as error:
            return Failure(url, HTTP_FAILURE, f"{type(error).__name__}: {error}", "rt")
        if response.is_redirect and "location" in response.headers:
            return response
        status = response.status_code
        if status >= 400:
            return Failure(url, HTTP_FAILURE, f"HTTP status {status}", f"{status // 100}xx")
        if body is None:
            return Failure(url, BODY_TOO_LARGE, f"the body exceeds {max_bytes} bytes")
        return Reply(asked, status, response.headers.get("content-type", ""), body)

    def _build(
        self, url: str, route: Route, method: str, fields: Fields, token: str, overrides: Overrides
    ) -> httpx.Request:
        signed = fields if method == "POST" else ()
        headers = {
            "Host": route.authority,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "X-Twilio-Signature": sign(url, signed, self._auth_token),
            "I-Twilio-Idempotency-Token": token,
            "X-Home-Region": "us1",
            **route.forwarding_headers,
        }
        if method == "POST":
            headers["Content-Type"] = _FORM
        read_s = overrides.read_ms / 1_000
        timeout = httpx.Timeout(read_s, connect=overrides.connect_ms / 1_000)
        return self._client.build_request(
            method,
            route.origin + route.path,
            headers=headers,
            content=urlencode(fields) if method == "POST" else None,
            timeout=timeout,
        )


async def _read(response: httpx.Response, max_bytes: int) -> bytes | None:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)
