"""Addresses that people write into the environment: checked, and never quoted in a complaint."""

import ipaddress
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str) -> SplitResult:
    """Host and port checked; the standard library's own messages would quote the address."""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ValueError("must be an address such as https://calls.example.org")


def origin(url: str) -> str:
    """`https://host[:port]`; http only on this machine, where nobody can listen in."""
    parts = _split(url)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// (http:// is for this machine only)")
    if parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme and host only, such as https://calls.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def ollama_url(host: str) -> str:
    """The forms that Ollama's own tools take: `host`, `host:port`, or a URL."""
    parts = _split(host if "://" in host else f"http://{host}")
    name = "127.0.0.1" if parts.hostname == "0.0.0.0" else f"{parts.hostname}"
    port = parts.port or (443 if parts.scheme == "https" else 11434)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}{parts.path.rstrip('/')}"


def service_url(url: str) -> str:
    """`http[s]://host[:port][/path]` of a server beside this one; "" for none."""
    if not url:
        return ""
    parts = _split(url)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be an address without user, query and fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def begins_with(*schemes: str) -> Callable[[SecretStr], SecretStr]:
    """Checks an address that may hold a password."""

    def check(url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(schemes):
            raise ValueError(f"must begin with {schemes[0]}// or {schemes[1]}//")
        return url

    return check
