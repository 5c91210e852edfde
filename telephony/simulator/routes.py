"""Where a public address is really served: the simulator's stand-in for DNS and a TLS proxy."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from agent.errors import ConfigError

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Route:
    """Connect to `host`:`port` and ask for `path` as `authority` over `scheme`, as a proxy passes it on."""

    host: str
    port: int
    scheme: str
    authority: str
    path: str

    @property
    def origin(self) -> str:
        """The local server's address over HTTP."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @property
    def forwarding_headers(self) -> dict[str, str]:
        """What the proxy in front of the application adds."""
        return {"X-Forwarded-Proto": self.scheme, "X-Forwarded-Host": self.authority}


class Routes:
    """Public origins such as https://voice.example.test to local ones such as http://127.0.0.1:8000.

    A loopback URL leads to itself; any other address is unreachable, so that nothing leaves the machine.
    """

    def __init__(self, origins: Mapping[str, str]) -> None:
        self._targets = {_public(public): _local(target) for public, target in origins.items()}

    def locate(self, url: str) -> Route | None:
        """The way to an http(s) or ws(s) URL; None if there is none or it is not a URL."""
        try:
            parts = urlsplit(url)
            address = parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
        except (ValueError, KeyError):
            return None
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if (scheme, *address) in self._targets:
            host, port = self._targets[(scheme, *address)]
        elif address[0] in _LOOPBACK:
            host, port = address[0], address[1]
        else:
            return None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Route(host, port, scheme, _authority(parts), path)


def _authority(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _public(origin: str) -> tuple[str, str | None, int]:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"public URL {origin!r} is not an http(s) URL", hint="e.g. https://voice.example.test"
        )
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]


def _local(target: str) -> tuple[str, int]:
    parts = urlsplit(target)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigError(f"target {target!r} is not an http URL", hint="e.g. http://127.0.0.1:8000")
    return parts.hostname, parts.port or 80
