"""The model hub: whether it answers, asked with a limit, and files from it.

Addresses follow huggingface.co; HF_ENDPOINT and HF_HUB_OFFLINE hold, as huggingface_hub reads them. Its own
downloads are not used: its client waits for ever where a proxy accepts connections and says nothing.
"""

import fnmatch
import http.client
import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants

from agent.errors import EngineUnavailable

ANSWER_WITHIN_S = 1.5
_STALLED_AFTER_S = 10.0


def why_unreachable() -> str:
    """Asks the hub for a sign of life: "" if it gave one, otherwise what went wrong, within 1.5 s."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids downloads"
    host = urlsplit(constants.ENDPOINT).netloc
    answers: list[str] = []
    # Name resolution has no time-out of its own, so only a thread can be left waiting for it.
    asking = threading.Thread(target=lambda: answers.append(_ask(constants.ENDPOINT)), daemon=True)
    asking.start()
    asking.join(ANSWER_WITHIN_S)
    answer = answers[0] if answers else f"no answer within {ANSWER_WITHIN_S} s"
    return f"{host} cannot be reached: {answer}" if answer else ""


def fetch(path_on_hub: str, target: Path) -> None:
    """Downloads one file; `target` exists only once it is whole. Raises EngineUnavailable."""
    url = f"{constants.ENDPOINT}/{path_on_hub}"
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=_STALLED_AFTER_S) as response, part.open("wb") as file:
            shutil.copyfileobj(response, file)
            expected = response.headers.get("Content-Length")
        if expected is not None and part.stat().st_size != int(expected):
            raise EngineUnavailable(f"{url} broke off at {part.stat().st_size} of {expected} bytes")
        part.replace(target)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EngineUnavailable(f"{url} cannot be downloaded: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def fetch_repository(repository: str, wanted: Sequence[str], folder: Path) -> None:
    """Downloads the top files of `repository` that match `wanted`; `folder` exists only once it is whole.

    Raises EngineUnavailable.
    """
    url = f"{constants.ENDPOINT}/api/models/{repository}"
    part = folder.with_name(folder.name + ".part")
    try:
        with urllib.request.urlopen(url, timeout=_STALLED_AFTER_S) as response:
            names = [str(file["rfilename"]) for file in json.load(response)["siblings"]]
        for name in names:
            if "/" not in name and any(fnmatch.fnmatch(name, pattern) for pattern in wanted):
                fetch(f"{repository}/resolve/main/{name}", part / name)
        part.replace(folder)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise EngineUnavailable(f"{url} cannot be downloaded: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _ask(url: str) -> str:
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S):
            return ""
    except urllib.error.HTTPError as error:
        # Any answer is an answer.
        error.close()
        return ""
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return str(error) or type(error).__name__
