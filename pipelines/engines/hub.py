"""The model hub: whether it answers, asked with a limit, and models from it.

Addresses are those of huggingface.co's API, which mirrors follow. huggingface_hub 2.4 names the hub
(HF_ENDPOINT), forbids it (HF_HUB_OFFLINE) and knows the cache, but its downloads are not used. Tried against
a local server: a file of the right length and the wrong content is accepted, although the hub told its
sha256; what a broken download has brought is thrown away; a lack of disk space is only warned of; and where
connections are accepted and nothing is said, it is still trying after 100 s with all its time-outs at 2 s.
"""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import structlog
from huggingface_hub import constants

from agent.errors import EngineUnavailable
from pipelines.engines.download import WEB_ERRORS, Limits, RemoteFile, alone, download, within

log = structlog.get_logger(__name__)

ANSWER_WITHIN_S = 1.5
_MOST_OF_A_LISTING = 64_000_000
_SPARE_BYTES = 50_000_000
_STAGE = ".downloads"
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_SHA256, _SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models come from: by default what HF_ENDPOINT and HF_HUB_OFFLINE say, else huggingface.co.

    `token` is sent to `url` alone, and only where nobody can listen in: over https or to this machine.
    """

    url: str = field(default_factory=lambda: constants.ENDPOINT)
    token: str = field(default="", repr=False)
    offline: bool = field(default_factory=lambda: constants.HF_HUB_OFFLINE)


OnProgress = Callable[[str, int, int], None]
"""Called with (model, bytes that are here, bytes in all); from the thread that downloads."""


def _log(model: str, percent: int, total_bytes: int) -> None:
    log.info("model_download", model=model, percent=percent, size_mb=round(total_bytes / 1e6, 1))


class EveryTenth:
    """An OnProgress that tells of every 10 % of a model, by default in the log."""

    def __init__(self, tell: Callable[[str, int, int], None] = _log) -> None:
        """`tell` is called with (model, percent, bytes in all)."""
        self._tell = tell
        self._told: dict[str, int] = {}

    def __call__(self, model: str, done: int, total: int) -> None:
        """Called as OnProgress says."""
        tenths = done * 10 // max(1, total)
        if tenths > self._told.get(model, -1):
            self._told[model] = tenths
            self._tell(model, tenths * 10, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How a download tells of itself, is called off from another thread, and is limited."""

    on_progress: OnProgress = field(default_factory=EveryTenth)
    cancelled: threading.Event = field(default_factory=threading.Event)
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files of a repository that make one model, by their paths there."""

    what: str
    """In words: "the Piper voice en_US-amy-medium"."""
    name: str
    repository: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


def why_unreachable(hub: Hub | None = None) -> str:
    """Asks the hub for a sign of life: "" if it gave one, otherwise what went wrong, within 1.5 s."""
    hub = hub or Hub()
    if obstacle := _forbidden(hub):
        return obstacle
    try:
        within(ANSWER_WITHIN_S, lambda: _ask(hub.url))
    except httpx.TimeoutException:
        answer = f"no answer within {ANSWER_WITHIN_S} s"
    except (*WEB_ERRORS, OSError, ImportError) as error:
        answer = str(error) or type(error).__name__
    else:
        return ""
    return f"{hub.url} cannot be reached: {answer}"


def _forbidden(hub: Hub) -> str:
    if hub.offline:
        return "offline mode (models.offline or HF_HUB_OFFLINE) forbids the network"
    if "@" in hub.url:
        return "models.hub_url (HF_ENDPOINT) holds a password, for which there is HF_TOKEN"
    return ""


def fetch(
    wanted: Wanted,
    models_folder: Path,
    *,
    is_there: Callable[[], bool],
    put: Callable[[Path], None],
    hub: Hub | None = None,
    transfer: Transfer | None = None,
) -> None:
    """Downloads and verifies all files of a model, then has `put` move them from a folder to their place.

    That folder, below `models_folder`/.downloads, keeps what has arrived when a download ends half-way. Of
    several processes one downloads; the others wait and find that `is_there`. Blocking.

    Raises:
        EngineUnavailable: and why; Cancelled where `transfer` was.
    """
    hub, transfer = hub or Hub(), transfer or Transfer()
    stage = models_folder / _STAGE / wanted.name
    lock = stage.with_name(f"{wanted.name}.lock")
    patience_s = 3 * transfer.limits.stalled_after_s
    try:
        with _open_client(hub, wanted.what, transfer.limits) as client:
            stage.parent.mkdir(parents=True, exist_ok=True)
            with alone(lock, stage, cancelled=transfer.cancelled, patience_s=patience_s):
                if is_there():
                    return
                commit, files = _listing(client, hub, wanted, transfer.limits)
                folder = stage / commit
                folder.mkdir(parents=True, exist_ok=True)
                _download_all(client, wanted, files, folder, transfer)
                put(folder)
                shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EngineUnavailable(
            f"{wanted.what} cannot be kept in {models_folder}: {reason.lower()}",
            hint="Set models.folder to one that you may write to, with room in it",
        ) from error


def _download_all(
    client: httpx.Client, wanted: Wanted, files: dict[str, RemoteFile], folder: Path, transfer: Transfer
) -> None:
    total, before = sum(file.size for file in files.values()), 0
    here = sum(path.stat().st_size for path in folder.iterdir())
    free = shutil.disk_usage(folder).free
    if total - here + _SPARE_BYTES > free:
        raise EngineUnavailable(
            f"{wanted.what} takes {(total - here) / 1e6:.0f} MB, and {folder.parents[2]} has "
            f"{max(0, free - _SPARE_BYTES) / 1e6:.0f} MB to spare",
            hint="Make room, or set models.folder to another disk",
        )
    for name, file in files.items():

        def on_bytes(at: int, before: int = before) -> None:
            transfer.on_progress(wanted.name, before + at, total)

        download(
            client,
            file,
            folder / name,
            on_bytes=on_bytes,
            cancelled=transfer.cancelled,
            limits=transfer.limits,
        )
        before += file.size


def _listing(
    client: httpx.Client, hub: Hub, wanted: Wanted, limits: Limits
) -> tuple[str, dict[str, RemoteFile]]:
    """The commit that is the newest, and its wanted files by their names without folders."""
    url = f"{hub.url}/api/models/{wanted.repository}/revision/main?blobs=true"
    try:
        answer = within(2 * limits.answer_s, lambda: _read(client, url))
        commit, siblings = str(answer["sha"]), answer["siblings"]
        entries = {str(each["rfilename"]): each for each in siblings}
        if not _COMMIT.fullmatch(commit):
            raise ValueError("its commit has no name")
        names = [*wanted.required, *(path for path in wanted.optional if path in entries)]
        if missing := [path for path in names if path not in entries]:
            raise EngineUnavailable(f"{hub.url}/{wanted.repository} has no {missing[0]} for {wanted.what}")
        base = f"{hub.url}/{wanted.repository}/resolve/{commit}"
        return commit, {
            path.rpartition("/")[2]: _remote(f"{base}/{quote(path)}", entries[path]) for path in names
        }
    except (*WEB_ERRORS, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) if isinstance(error, (*WEB_ERRORS,)) else "this is not a hub's answer"
        raise EngineUnavailable(
            f"{wanted.what} cannot be found: {url}: {reason}", hint="Is models.hub_url (HF_ENDPOINT) a hub?"
        ) from error


def _remote(url: str, entry: object) -> RemoteFile:
    """A file's size and checksum, https://huggingface.co/docs/hub/api; large files are kept by git-lfs."""
    if not isinstance(entry, dict):
        raise TypeError
    lfs = entry.get("lfs") or {}
    size, sha256, sha1 = lfs.get("size", entry.get("size")), str(lfs.get("sha256", "")), entry.get("blobId")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"no size is told of {url}")
    if lfs and _SHA256.fullmatch(sha256):
        return RemoteFile(url, size, sha256=sha256)
    if not lfs and isinstance(sha1, str) and _SHA1.fullmatch(sha1):
        return RemoteFile(url, size, git_sha1=sha1)
    raise ValueError(f"no checksum is told of {url}")


def _read(client: httpx.Client, url: str) -> dict[str, Any]:
    body = bytearray()
    with client.stream("GET", url) as response:
        if response.status_code in (401, 403, 404):
            # The hub answers 401 for a repository that does not exist, and for one that is private.
            raise ValueError(f"there is no such model, or it needs HF_TOKEN ({response.status_code})")
        if response.status_code != 200:
            raise ValueError(f"the server answered {response.status_code}")
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MOST_OF_A_LISTING:
                raise ValueError("the answer does not end")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise TypeError
    return found


@contextmanager
def _open_client(hub: Hub, wanted_by: str, limits: Limits) -> Iterator[httpx.Client]:
    """Raises EngineUnavailable in offline mode. httpx takes the token off redirects to other hosts."""
    if obstacle := _forbidden(hub):
        raise EngineUnavailable(
            f"{wanted_by} would have to be downloaded, and {obstacle}",
            hint="Copy it into the models folder (docs/models.md), or go online",
        )
    headers = {"Authorization": f"Bearer {hub.token}"} if hub.token and _is_private(hub.url) else {}
    try:
        client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(limits.stalled_after_s, connect=limits.stalled_after_s / 2),
            follow_redirects=True,
            max_redirects=5,
            event_hooks={"request": [stays_private(hub.url)]},
        )
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        raise EngineUnavailable(f"the proxy of the environment cannot be used: {error}") from error
    with client:
        yield client


def stays_private(url: str) -> Callable[[httpx.Request], None]:
    """A hook for requests: none that follows from an https `url` may do without https."""

    def check(request: httpx.Request) -> None:
        if url.startswith("https:") and request.url.scheme != "https":
            raise httpx.UnsupportedProtocol(f"it redirects to {request.url.host} without https")

    return check


def _is_private(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme == "https" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def _ask(url: str) -> None:
    """Any answer is an answer."""
    with httpx.Client(timeout=ANSWER_WITHIN_S) as client:
        client.head(url)
