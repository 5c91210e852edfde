"""Requests whose body is larger than any of ours are refused before they are read."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: 413 for a body of more than `max_bytes` below `path`.

    A length that is declared is judged at once, one that is not while the body is read. Starlette's own limit
    answers in plain text.
    """

    def __init__(self, app: ASGIApp, path: str, max_bytes: int) -> None:
        self._app = app
        self._path = path
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request (ASGI)."""
        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_bytes or (declared.isdecimal() and int(declared) > self._max_bytes):
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)
