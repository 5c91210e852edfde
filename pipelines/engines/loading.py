"""What a ladder of engines is asked for, and what loading one of them gives."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from agent.errors import EngineUnavailable
from agent.speech import Recogniser
from pipelines.engines.hub import Hub

AUTO = "auto"
PIPER_VOICE = "en_US-lessac-medium"
"""Downloaded where no voice is named and none is on disk."""


class NotConfigured(EngineUnavailable):
    """An engine that the settings do not ask for: `auto` passes it over without a word."""


class Recognisers(Protocol):
    """A loaded engine that serves any number of calls."""

    engine: str
    model: str

    def for_call(
        self, scenario_version: str, expected_lines: Sequence[str], languages: Sequence[str] = ("en",)
    ) -> Recogniser:
        """The recogniser of one call, in which any of `languages` (ISO 639) may be spoken.

        Blocking: the first call of a scenario version may take 0.2 s. Raises EngineUnavailable if the engine
        does not understand them all.
        """


@dataclass(frozen=True, slots=True)
class RecogniserSettings:
    """`engine` is "auto" or a key of RECOGNISERS.

    `model` is whisper's: a folder, the name of a folder in `models_folder`, or a model of the hub such as
    small.en or owner/name; "" looks for the best that is there. `languages` (ISO 639) are those that the
    scenarios need. `device` is auto, cpu or cuda. `cpu_threads` are an utterance's, `parallel` utterances are
    transcribed at once. `padding_s` is whisper's: see `WhisperOptions`. A server is used where its address is
    given: see config.yaml.
    """

    models_folder: Path
    engine: str = AUTO
    model: str = ""
    languages: tuple[str, ...] = ("en",)
    allow_download: bool = False
    hub: Hub | None = None
    device: str = "auto"
    cpu_threads: int = 1
    parallel: int = 1
    padding_s: float | None = None
    server_url: str = ""
    server_model: str = ""
    server_key: str = field(default="", repr=False)
    server_within_s: float = 3.0


@dataclass(frozen=True, slots=True)
class StreamingSettings:
    """A recogniser that listens along: see `services.py`.

    `service` is a key of its SERVICES; `url` replaces its own address, for tests and private clouds.
    """

    service: str
    key: str = field(repr=False)
    model: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class SynthesiserSettings:
    """`engine` is "auto" or a key of SYNTHESISERS.

    `voices` are the Piper voices of each persona that names some; Piper serves only if it has one of each.
    The first one speaks for a persona that names none. Coqui and ElevenLabs are used where an address, or a
    key and a budget in characters, is given: see config.yaml. `remote_within_s` is for one answer of theirs.
    """

    models_folder: Path
    engine: str = AUTO
    voices: tuple[tuple[str, ...], ...] = ()
    allow_download: bool = False
    hub: Hub | None = None
    cpu_threads: int = 1
    remote_within_s: float = 3.0
    coqui_url: str = ""
    coqui_token: str = field(default="", repr=False)
    elevenlabs_url: str = "https://api.elevenlabs.io"
    elevenlabs_key: str = field(default="", repr=False)
    elevenlabs_model: str = "eleven_flash_v2_5"
    elevenlabs_format: str = "pcm_8000"
    elevenlabs_daily_characters: int = 0
    elevenlabs_call_characters: int = 0
    elevenlabs_price_per_1000: float = 0.0


class _Engine(Protocol):
    engine: str
    model: str


S = TypeVar("S")
E = TypeVar("E", bound=_Engine)


@dataclass(frozen=True, slots=True)
class Rung(Generic[E]):
    """An engine that was loaded, and in one clause why it can serve."""

    engine: E
    reason: str


Factory = Callable[[S, ExitStack], Rung[E]]
"""Loads an engine or raises EngineUnavailable; what has to be closed goes onto the stack."""
