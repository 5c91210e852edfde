"""Twilio's signature: what it covers, and what it proves.

It is an HMAC over the URL as Twilio was given it and over every form field; it holds no time, no nonce and
no boundary between a field's name and its value.
Source: https://www.twilio.com/docs/usage/security#validating-requests
"""

import hashlib
import re
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from agent.errors import ConfigError, SignatureError
from telephony.form import Form

_ORIGIN = re.compile(r"https?://([0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?/?")


class Signatures:
    """Judges signatures made with `auth_token` for the public origin, never for the Host a request names."""

    def __init__(self, auth_token: str, public_url: str) -> None:
        if not auth_token:
            raise ConfigError("Twilio's auth token is empty", hint="set TWILIO_AUTH_TOKEN")
        self._validator = RequestValidator(auth_token)
        self._origin = public_url
        self._stream_origin = stream_origin(public_url)

    def require_request(self, path: str, query: str, form: Form, signature: str) -> None:
        """A webhook: `path` and `query` raw, as in the request line. Raises SignatureError."""
        url = f"{self._origin}{path}?{query}" if query else f"{self._origin}{path}"
        if not self._validator.validate(url, form, signature):
            raise SignatureError("the request is not signed by our Twilio account for this address")

    def require_handshake(self, path: str, signature: str) -> None:
        """A stream's handshake, signed with or without a slash after `path`. Raises SignatureError."""
        url = f"{self._stream_origin}{path}"
        if not any(self._validator.validate(each, {}, signature) for each in (url, f"{url}/")):
            raise SignatureError("the handshake is not signed by our Twilio account for this address")


def origin_of(url: str) -> str:
    """Checks that `url` is an origin, `https://host[:port]`, and returns it without a slash at its end.

    `http` is for a carrier on the same machine. Raises ConfigError.
    """
    try:
        sound = bool(_ORIGIN.fullmatch(url)) and urlsplit(url).port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ConfigError(
            "the public URL is not an origin", hint="write scheme and host only: https://voice.example.com"
        )
    return url.rstrip("/")


def stream_origin(public_url: str) -> str:
    """The websocket origin beside an HTTP origin: `wss` for `https`, `ws` for `http`."""
    return f"ws{public_url.removeprefix('http')}"


def replay_key(path: str, kind: str, value: str) -> str:
    """A key for "seen before?": `kind` is "signature", or "delivery" for Twilio's idempotency token.

    The signature stands for what Twilio signed better than the body does, because fields can be repeated or
    cut anew without touching it. The idempotency token alone proves nothing: it is not signed.
    """
    return hashlib.sha256("\n".join((path, kind, value)).encode()).hexdigest()
