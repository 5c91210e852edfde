"""Real probes of everything a call depends on. None of them changes or downloads anything."""

import asyncio
import base64
import http.client
import json
import os
import platform
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agent.errors import EngineUnavailable
from agent.ladder import Chosen
from agent.scenario import load_scenarios
from db.address import Address
from db.database import open_database, schema_is_current
from db.live import open_live
from graphs.ladder import open_wording
from pipelines.engines import hub
from pipelines.engines.ladder import choose_recogniser, choose_synthesiser
from rolecall.doctor import Probe, Status
from rolecall.engine_settings import recogniser_settings, synthesiser_settings, wording_settings
from rolecall.front_end import choose_front_end
from rolecall.model_hub import hub_of
from rolecall.settings import CUSTOMARY, Settings, find_config, names_given

REQUEST_TIMEOUT_S = 5.0
ENOUGH_DISK_MB = 2_000
LEAST_DISK_MB = 100
MAX_ANSWER_BYTES = 65_536


def probe_config(config: Path | None) -> tuple[Status, str, str]:
    """Names the configuration in force, which was read already."""
    given = names_given()
    names = sorted(name for name in CUSTOMARY if name.lower() in given)
    return Status.OK, f"{find_config(config)}, {', '.join(names) or 'nothing'} in the environment", ""


def _probe_python(_: Settings) -> tuple[Status, str, str]:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    python = f"Python {platform.python_version()}"
    return Status.OK, f"rolecall {version('rolecall')}, {python}, {machine}", ""


def _probe_home(settings: Settings) -> tuple[Status, str, str]:
    """Writes a file where the home is, or would be made."""
    place = settings.home
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"rolecall")
        free_mb = shutil.disk_usage(place).free // 1_000_000
    except OSError as error:
        reason = str(error.strerror).lower()
        way_out = "Set ROLECALL_HOME to a directory that you may write to"
        return Status.MISSING, f"{settings.home} cannot be written to: {reason}", way_out
    found = f"{settings.home}, {free_mb} MB free"
    if free_mb < LEAST_DISK_MB:
        return Status.MISSING, found, "Make room: a minute of recording takes 2 MB"
    if free_mb < ENOUGH_DISK_MB:
        return Status.DEGRADED, found, "Make room: a minute of recording takes 2 MB"
    return Status.OK, found, ""


def _probe_database(settings: Settings) -> tuple[Status, str, str]:
    url = settings.database_url.get_secret_value()
    address = Address.parse(url)
    if address.file is not None and not address.file.exists():
        return Status.OK, f"{address.place}, made at the first start", ""
    with open_database(url):
        current = schema_is_current(url)
    if current:
        return Status.OK, f"{address.place}, schema up to date", ""
    if address.file is not None:
        return Status.OK, f"{address.place}, brought up to date at the next start", ""
    return Status.MISSING, f"{address.place} has not the newest schema", "Run 'rolecall migrate'"


def _probe_live_state(settings: Settings) -> tuple[Status, str, str]:
    async def place() -> str:
        async with open_live(settings.redis_url.get_secret_value() if settings.redis_url else None) as live:
            return live.place

    return Status.OK, asyncio.run(place()), ""


def _probe_scenarios(settings: Settings) -> tuple[Status, str, str]:
    found = load_scenarios(settings.scenarios.folder)
    names = ", ".join(found)
    if settings.scenarios.default not in found:
        way_out = f"Set scenarios.default to one of: {names}"
        return Status.MISSING, f"no scenario '{settings.scenarios.default}', the default", way_out
    return Status.OK, f"{len(found)} in {settings.scenarios.folder}: {names}", ""


def _probe_speech_to_text(settings: Settings) -> tuple[Status, str, str]:
    scenarios = load_scenarios(settings.scenarios.folder)
    wanted = replace(recogniser_settings(settings, scenarios), allow_download=False)
    return _loaded(settings, lambda resources: choose_recogniser(wanted, resources))


def _probe_text_to_speech(settings: Settings) -> tuple[Status, str, str]:
    scenarios = load_scenarios(settings.scenarios.folder)
    wanted = replace(synthesiser_settings(settings, scenarios), allow_download=False)
    return _loaded(settings, lambda resources: choose_synthesiser(wanted, resources))


def _loaded(settings: Settings, load: Callable[[ExitStack], Chosen[Any]]) -> tuple[Status, str, str]:
    """Loads what is here. A doctor downloads nothing, but tells whether the next start would."""
    fetchable = settings.models.allow_download and not hub.why_unreachable(hub_of(settings))
    with ExitStack() as resources:
        try:
            status, found, way_out = _rung(load(resources))
        except EngineUnavailable as error:
            if not fetchable:
                raise
            return Status.DEGRADED, error.message, _FETCHED
    return status, found, f"{way_out}. {_FETCHED}" if way_out and fetchable else way_out


_FETCHED = "The next start fetches what is missing, if the model hub has it"


def _probe_wording(settings: Settings) -> tuple[Status, str, str]:
    async def chosen() -> Chosen[Any]:
        async with open_wording(wording_settings(settings)) as rung:
            return rung

    return _rung(asyncio.run(chosen()))


def _probe_front_end(settings: Settings) -> tuple[Status, str, str]:
    """A front end without libspeexdsp is as good; only a named engine that is not here is a fault."""
    rungs = choose_front_end(settings.audio).rungs
    return Status.OK, "; ".join(f"{rung.part.replace('_', ' ')}: {rung.name}" for rung in rungs) or "off", ""


def _rung(chosen: Chosen[Any]) -> tuple[Status, str, str]:
    found = " ".join(filter(None, (chosen.name, chosen.model)))
    if not chosen.passed_over:
        return Status.OK, f"{found}: {chosen.reason}", ""
    reasons = "; ".join(f"{engine}: {reason}" for engine, reason in chosen.passed_over)
    return Status.DEGRADED, f"{found}: {chosen.reason}", f"Not {reasons}"


def _probe_twilio(settings: Settings) -> tuple[Status, str, str]:
    """Asks Twilio for the account, https://www.twilio.com/docs/iam/api/account."""
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    values = {
        "TWILIO_ACCOUNT_SID": sid,
        "TWILIO_AUTH_TOKEN": token,
        "TWILIO_PHONE_NUMBER": settings.twilio_phone_number,
    }
    missing = [name for name, value in values.items() if value is None]
    if len(missing) == len(values):
        return Status.DEGRADED, "no account: calls come from the simulator only", f"Set {', '.join(missing)}"
    if sid is None or token is None:
        return Status.MISSING, f"{' and '.join(missing)} not set", "Set them as console.twilio.com shows them"
    if not re.fullmatch(r"AC[0-9a-f]{32}", sid):
        return Status.MISSING, "TWILIO_ACCOUNT_SID is no account's: AC and 32 hex digits", "Copy it again"
    credentials = base64.b64encode(f"{sid}:{token.get_secret_value()}".encode()).decode()
    url = f"{settings.twilio_api_base_url}/2010-04-01/Accounts/{sid}.json"
    code, body = _get(url, {"Authorization": f"Basic {credentials}"})
    if code == 0:
        return Status.DEGRADED, f"{settings.twilio_api_base_url} cannot be asked: {body}", "Check the network"
    if code in (401, 403, 404):
        return Status.MISSING, f"Twilio refuses the account ({code})", "Copy account SID and auth token again"
    state = _state_of_account(body) if code == 200 else ""
    if not state:
        return Status.DEGRADED, f"Twilio answered {code}, and not with the account", "Try again later"
    if state != "active":
        return Status.MISSING, f"the account is {state}", "See console.twilio.com"
    if missing:
        return Status.DEGRADED, "the account is active", "Set TWILIO_PHONE_NUMBER to place calls"
    return Status.OK, "the account is active", ""


def _state_of_account(body: str) -> str:
    try:
        account = json.loads(body)
    except ValueError:
        return ""
    return str(account.get("status", "")) if isinstance(account, dict) else ""


def _probe_public_url(settings: Settings) -> tuple[Status, str, str]:
    """Asks for our own health by way of the address that Twilio will use."""
    if settings.public_url is None:
        if settings.twilio_account_sid is None:
            return Status.OK, "none, and without Twilio none is needed", ""
        way_out = "Set ROLECALL_PUBLIC_URL to the https address that leads to this server"
        return Status.MISSING, "none: Twilio cannot reach this server", way_out
    code, reason = _get(f"{settings.public_url}/health", {})
    if code == 200:
        return Status.OK, f"{settings.public_url} leads to a server that answers", ""
    found = f"{settings.public_url}/health: {reason if code == 0 else f'status {code}'}"
    return Status.DEGRADED, found, "Start 'rolecall serve' and what leads there (proxy, tunnel)"


def _get(url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and body; status 0 and the reason where there is no answer."""
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as response:
            return response.status, response.read(MAX_ANSWER_BYTES).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except urllib.error.URLError as error:
        return 0, str(error.reason)
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__


PROBES: Mapping[str, Probe] = {
    "python": _probe_python,
    "home": _probe_home,
    "database": _probe_database,
    "live state": _probe_live_state,
    "scenarios": _probe_scenarios,
    "speech to text": _probe_speech_to_text,
    "wording": _probe_wording,
    "text to speech": _probe_text_to_speech,
    "front end": _probe_front_end,
    "twilio": _probe_twilio,
    "public url": _probe_public_url,
}
