"""Configuration: the only reader of config.yaml and of the environment.

A value is taken from the environment, else from `.env` in the working directory, else from config.yaml,
else from the defaults below. What each setting does is documented in config.yaml.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from agent.errors import ConfigError
from rolecall.addresses import begins_with, ollama_url, origin, service_url

CHECKOUT = Path(__file__).resolve().parents[1]
"""The repository: its config.yaml, scenarios and models serve where no others are named."""

PREFIX = "rolecall_"
TEST_SUITE_PREFIX = "rolecall_test_"
"""Names of the test suite, which tell it of servers to use; no setting."""


def _absolute(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("must be a path")
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("begins with ~ and a name that is no user of this machine") from None


Folder = Annotated[Path, Field(strict=False), AfterValidator(_absolute)]
Origin = Annotated[str, AfterValidator(origin)]
ServiceUrl = Annotated[str, AfterValidator(service_url)]
DatabaseUrl = Annotated[
    SecretStr, AfterValidator(begins_with("sqlite:", "postgresql:", "postgres:", "postgresql+psycopg2:"))
]
RedisUrl = Annotated[SecretStr, AfterValidator(begins_with("redis:", "rediss:", "unix:"))]


class Section(BaseModel):
    """One section of config.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Server(Section):
    """Where the server listens and how many calls it takes at once."""

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8000, ge=0, le=65535)
    max_calls: int = Field(20, ge=1, le=1000)


class SpeechToText(Section):
    """Which recogniser understands the trainee."""

    engine: Literal["auto", "server", "whisper", "sphinx"] = "auto"
    model: str = ""
    cpu_threads: int = Field(0, ge=0, le=128)
    padding_s: float | None = Field(None, gt=0, le=30)
    server_url: ServiceUrl = ""
    server_model: str = Field("whisper-1", min_length=1)
    answer_timeout_s: float = Field(3.0, gt=0, le=30)
    streaming: Literal["none", "deepgram", "assemblyai"] = "none"
    streaming_model: str = ""


class TextToSpeech(Section):
    """Which synthesiser speaks for the persona."""

    engine: Literal["auto", "elevenlabs", "coqui", "piper", "espeak"] = "auto"
    answer_timeout_s: float = Field(3.0, gt=0, le=30)
    coqui_url: ServiceUrl = ""
    elevenlabs_daily_characters: int = Field(0, ge=0)
    elevenlabs_call_characters: int = Field(6000, ge=0)
    elevenlabs_price_per_1000: float = Field(0.0, ge=0, allow_inf_nan=False)
    elevenlabs_model: str = Field("eleven_flash_v2_5", pattern=r"^[a-z0-9_]+$")
    elevenlabs_format: Literal["pcm_8000", "ulaw_8000", "pcm_16000", "pcm_22050", "pcm_24000"] = "pcm_8000"
    elevenlabs_url: Origin = "https://api.elevenlabs.io"


class Wording(Section):
    """Who words the persona's lines."""

    engine: Literal["auto", "server", "ollama", "authored"] = "auto"
    server_url: ServiceUrl = ""
    server_model: str = ""
    answer_timeout_s: float = Field(3.0, gt=0, le=30)


class Models(Section):
    """Where engines keep their models, and whether missing ones may be fetched, and from where."""

    folder: Folder = CHECKOUT / "models"
    offline: bool = False
    allow_download: bool = Field(True, validate_default=True)
    hub_url: ServiceUrl = ""

    @field_validator("allow_download")
    @classmethod
    def _nothing_offline(cls, allowed: bool, known: ValidationInfo) -> bool:
        return allowed and not known.data.get("offline", False)


class Turns(Section):
    """When a turn is over, and when a call is."""

    start_ms: int = Field(80, ge=40, le=2000)
    barge_in_ms: int = Field(80, ge=40, le=2000)
    eager_ms: int = Field(80, ge=40, le=2000)
    shortest_ms: int = Field(160, ge=40, le=5000)
    longest_ms: int = Field(1200, ge=40, le=10_000)
    speculate: bool = True
    idle_ms: int = Field(8000, ge=1000, le=120_000)
    idle_prompts: int = Field(2, ge=0, le=10)
    max_call_s: int = Field(900, ge=10, le=14_400)


class Audio(Section):
    """What the trainee's sound goes through on its way from the line to those who hear it."""

    filters: Annotated[tuple[Literal["rumble", "echo", "noise", "gain"], ...], Field(strict=False)] = (
        "rumble",
        "echo",
        "noise",
        "gain",
    )
    concealment: Literal["repeat", "linear", "waveform", "spectral"] = "spectral"
    echo_canceller: Literal["auto", "speex", "adaptive"] = "auto"
    noise_reducer: Literal["auto", "speex", "spectral", "noisereduce"] = "auto"
    noise_reduction_for: Annotated[
        tuple[Literal["recogniser", "voice", "recording", "monitor"], ...], Field(strict=False)
    ] = ("monitor",)


class Scenarios(Section):
    """What can be rehearsed here."""

    folder: Folder = CHECKOUT / "scenarios"
    default: str = Field("cold-call", min_length=1)
    seed: int | None = Field(None, ge=0)


class Recording(Section):
    """Whether calls are recorded."""

    enabled: bool = True


class Logs(Section):
    """What the log says, and for whom: people (console) or machines (json)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Settings(BaseSettings):
    """All that can be configured: the sections of config.yaml, then what only the environment holds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        env_file=".env",
        env_file_encoding="utf-8",
        dotenv_filtering="only_existing",
        extra="forbid",
        frozen=True,
        strict=True,
    )

    server: Server = Server()
    speech_to_text: SpeechToText = SpeechToText()
    text_to_speech: TextToSpeech = TextToSpeech()
    wording: Wording = Wording()
    models: Models = Models()
    turns: Turns = Turns()
    audio: Audio = Audio()
    scenarios: Scenarios = Scenarios()
    recording: Recording = Recording()
    logs: Logs = Logs()

    home: Folder = Field(default_factory=lambda: Path.cwd() / ".rolecall", validation_alias="ROLECALL_HOME")
    public_url: Origin | None = Field(None, validation_alias="ROLECALL_PUBLIC_URL")
    secret_key: SecretStr | None = Field(None, validation_alias="ROLECALL_SECRET_KEY")
    database_url: DatabaseUrl = Field(
        default_factory=lambda known: SecretStr(f"sqlite:///{known['home'] / 'rolecall.db'}"),
        validation_alias="DATABASE_URL",
    )
    redis_url: RedisUrl | None = Field(None, validation_alias="REDIS_URL")
    twilio_account_sid: str | None = Field(None, validation_alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: SecretStr | None = Field(None, validation_alias="TWILIO_AUTH_TOKEN")
    twilio_phone_number: str | None = Field(None, validation_alias="TWILIO_PHONE_NUMBER")
    twilio_api_base_url: Origin = Field("https://api.twilio.com", validation_alias="TWILIO_API_BASE_URL")
    ollama_host: Annotated[str, AfterValidator(ollama_url)] = Field(
        "http://127.0.0.1:11434", validation_alias="OLLAMA_HOST"
    )
    ollama_model: str = Field("", validation_alias="OLLAMA_MODEL")
    wording_api_key: SecretStr | None = Field(None, validation_alias="WORDING_API_KEY")

    speech_to_text_api_key: SecretStr | None = Field(None, validation_alias="SPEECH_TO_TEXT_API_KEY")
    deepgram_api_key: SecretStr | None = Field(None, validation_alias="DEEPGRAM_API_KEY")
    assemblyai_api_key: SecretStr | None = Field(None, validation_alias="ASSEMBLYAI_API_KEY")
    hf_token: SecretStr | None = Field(None, validation_alias="HF_TOKEN")
    coqui_token: SecretStr | None = Field(None, validation_alias="COQUI_TOKEN")
    elevenlabs_api_key: SecretStr | None = Field(None, validation_alias="ELEVENLABS_API_KEY")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Highest first; `init_settings` is what `load_settings` read from config.yaml."""
        return env_settings, dotenv_settings, init_settings


SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
CUSTOMARY = tuple(
    field.validation_alias
    for field in Settings.model_fields.values()
    if isinstance(field.validation_alias, str)
)
"""Names that only the environment (or .env) gives."""


def find_config(path: Path | None = None) -> Path | None:
    """The config.yaml in force: the one named, else the working directory's, else the checkout's."""
    if path is not None:
        return path.absolute()
    candidates = (Path.cwd() / "config.yaml", CHECKOUT / "config.yaml")
    return next((candidate for candidate in candidates if candidate.exists()), None)


def load_settings(path: Path | None = None) -> Settings:
    """Reads and checks everything. Raises ConfigError, which names the setting but never quotes a value."""
    source = find_config(path)
    document = _read(source) if source else {}
    try:
        names = names_given()
        _refuse_unknown(names)
        return Settings(**document)
    except ValidationError as error:
        raise _config_error(error.errors(include_input=False)[0], names, source) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{Path('.env').absolute()} cannot be read: {_reason(error)}") from error


def make_home(settings: Settings) -> Path:
    """The data directory, made if need be, for this user alone. Raises ConfigError."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"ROLECALL_HOME {settings.home} cannot be made: {_reason(error)}",
            hint="Set ROLECALL_HOME to a directory that you may write to",
        ) from error
    return settings.home


class _NoDuplicates(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; here that is a fault."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key} is there twice", problem_mark=node.value[index][0].start_mark
                )
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    """Reads the sections of config.yaml; relative folders in it become absolute, counted from its own."""
    try:
        document = yaml.load(path.read_text("utf-8"), _NoDuplicates)  # noqa: S506
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {_reason(error)}", hint=_ANOTHER_CONFIG) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML{_place(error)}", hint="Correct that line") from None
    except ValueError:  # a date or number that Python has not
        raise ConfigError(f"{path} is not valid YAML: a date or number is out of range") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply", hint=_ANOTHER_CONFIG) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is not a mapping of sections", hint=_ANOTHER_CONFIG)
    for name in document:
        if name not in SECTIONS:
            raise _unknown_section(" ".join(str(name).split()), path)
    return {
        name: _anchored(name, section, path.parent)
        for name, section in document.items()
        if section is not None
    }


_ANOTHER_CONFIG = "Name another file with --config"


def _anchored(name: str, section: Any, base: Path) -> Any:
    if not isinstance(section, dict):
        return section
    folders = [key for key, field in SECTIONS[name].model_fields.items() if field.annotation is Path]
    written = {key: section[key] for key in folders if isinstance(section.get(key), str)}
    return section | {
        key: folder if folder.startswith("~") else str(base / folder) for key, folder in written.items()
    }


def _unknown_section(name: str, path: Path) -> ConfigError:
    if name.upper() in CUSTOMARY:
        hint = f"It is read from the environment (or .env) as {name.upper()}"
    else:
        hint = _suggest(name, list(SECTIONS)) or f"The sections are {', '.join(SECTIONS)}"
    return ConfigError(f"{name} in {path} is not a section", hint=hint)


def names_given() -> dict[str, str]:
    """Each name in lower case, and where it is set; the environment hides .env."""
    return {name: ".env" for name in DotEnvSettingsSource(Settings).env_vars} | {
        name: "the environment" for name in EnvSettingsSource(Settings).env_vars
    }


def _override_names() -> Iterator[str]:
    for section, model in SECTIONS.items():
        for key in model.model_fields:
            yield f"{PREFIX}{section}__{key}".upper()


def _refuse_unknown(names: dict[str, str]) -> None:
    ours = [name for name in CUSTOMARY if name.lower().startswith(PREFIX)] + list(_override_names())
    for name, place in names.items():
        if name.startswith(PREFIX) and not name.startswith(TEST_SUITE_PREFIX) and name.upper() not in ours:
            hint = _suggest(name.upper(), ours) or "Settings of config.yaml are named ROLECALL_SECTION__KEY"
            raise ConfigError(f"{name.upper()} in {place} is not a setting", hint=hint)


def _config_error(fault: ErrorDetails, names: dict[str, str], source: Path | None) -> ConfigError:
    """One sentence from pydantic's first fault; messages of validators never quote their input."""
    where = [" ".join(str(part).split()) for part in fault["loc"]]
    name = where[0] if where[0] in CUSTOMARY else f"{PREFIX}{'__'.join(where)}".upper()
    place = names.get(name.lower())
    if place is None:
        name, place = ".".join(where), str(source)
    if fault["type"] == "extra_forbidden":
        known = list(SECTIONS[where[0]].model_fields)
        hint = _suggest(where[-1], known) or f"The settings of {where[0]} are {', '.join(known)}"
        return ConfigError(f"{name} in {place} is not a setting", hint=hint)
    wrong = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return ConfigError(f"{name} in {place} {wrong}", hint="Correct it, or remove it to use the default")


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"Did you mean {close[0]}?" if close else ""


def _place(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ""
    return f" in line {error.problem_mark.line + 1}: {error.problem}"


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error.strerror).lower()
