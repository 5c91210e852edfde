"""Where Whisper models in CTranslate2's format are found: a folder, the hub's cache, the hub."""

import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from agent.errors import EngineUnavailable
from pipelines.engines.hub import Hub, Transfer, Wanted, fetch, why_unreachable

TRAINEE_MODEL = "trainee-tiny"
"""The model of our own: it understands simulated trainees and nobody else."""

SIZES_MB = {
    "tiny.en": 78,
    "tiny": 78,
    "base.en": 148,
    "base": 148,
    "small.en": 487,
    "small": 487,
    "medium.en": 1530,
    "medium": 1530,
    "distil-large-v3": 1520,
    "large-v3-turbo": 1630,
    "large-v3": 3090,
}
"""Whisper models that the hub offers by these names, and about how much is downloaded."""

_BEST_FIRST = {
    "cuda": ("large-v3-turbo", "distil-large-v3", "small.en", "base.en", "tiny.en"),
    # A turn has to be understood within about a second, on one core of several that calls share.
    "cpu": ("base.en", "small.en", "tiny.en"),
}
_WEIGHTS = "model.bin"
_REQUIRED = ("config.json", "tokenizer.json", _WEIGHTS)
_OPTIONAL = ("preprocessor_config.json", "vocabulary.json", "vocabulary.txt")
_NAME_ON_HUB = re.compile(r"([\w-][\w.-]{0,95}/)?[\w-][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on disk, and in a few words how it came there."""

    name: str
    folder: Path
    origin: str


def find_model(
    model: str,
    models_folder: Path,
    *,
    device: str,
    language: str,
    allow_download: bool,
    hub: Hub | None = None,
) -> FoundModel:
    """Finds `model`, and downloads it if it has to.

    Without a name: the best one that is there, TRAINEE_MODEL aside, otherwise the best one for `device`.
    Raises EngineUnavailable.
    """
    names = (model,) if model else offered(device, language)
    for name in names:
        if found := on_disk(name, models_folder):
            return found
    if not model and (others := _others(models_folder)):
        return FoundModel(others[0].name, others[0], f"found in {models_folder}")
    if not allow_download:
        what = f"the Whisper model {model}" if model else "no Whisper model"
        raise EngineUnavailable(
            f"{what} is {'not ' if model else ''}in {models_folder} or in the hub's cache",
            hint="Put one there, or allow downloads",
        )
    if obstacle := why_unreachable(hub):
        raise EngineUnavailable(
            f"the Whisper model {names[0]} is not on disk, and {obstacle}",
            hint=f"Put the model into {models_folder}, or go online once",
        )
    return fetch_model(models_folder, names[0], hub=hub)


def is_name_on_hub(name: str) -> bool:
    """Whether `name` is one of SIZES_MB, or could be a repository's: owner/name."""
    return name in SIZES_MB or ("/" in name and _NAME_ON_HUB.fullmatch(name) is not None)


def fetch_model(
    models_folder: Path, name: str, *, hub: Hub | None = None, transfer: Transfer | None = None
) -> FoundModel:
    """Downloads a model of the hub; its folder appears once all of it is there. Raises EngineUnavailable."""
    if not _NAME_ON_HUB.fullmatch(name):
        raise EngineUnavailable(
            f"{name!r} is not the name of a Whisper model on the hub",
            hint=f"Names are {', '.join(SIZES_MB)}, or owner/name",
        )
    folder = models_folder / _folder_name(name)
    wanted = Wanted(f"the Whisper model {name}", _folder_name(name), _repository(name), _REQUIRED, _OPTIONAL)

    def is_there() -> bool:
        return (folder / _WEIGHTS).is_file()

    fetch(
        wanted,
        models_folder,
        is_there=is_there,
        put=lambda stage: _put(stage, folder),
        hub=hub,
        transfer=transfer,
    )
    return FoundModel(name, folder, f"downloaded to {models_folder}")


def _put(stage: Path, folder: Path) -> None:
    try:
        stage.replace(folder)
    except OSError as error:
        raise EngineUnavailable(
            f"{folder} is in the way: {error.strerror}", hint="Remove it: it holds no Whisper model"
        ) from error


def choose_device(wish: str) -> str:
    """Resolves "auto" to cuda where CTranslate2 finds a GPU, otherwise to cpu."""
    import ctranslate2  # type: ignore[import-untyped]

    if wish != "auto":
        return wish
    return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"


def offered(device: str, language: str) -> tuple[str, ...]:
    """The hub's models that are fit for calls on `device`, best first."""
    names = _BEST_FIRST.get(device, _BEST_FIRST["cpu"])
    return names if language == "en" else tuple(name.removesuffix(".en") for name in names)


def models_on_disk(models_folder: Path) -> list[FoundModel]:
    """All in `models_folder`, then those of SIZES_MB that only the hub's cache holds."""
    folders = sorted(weights.parent for weights in models_folder.glob(f"*/{_WEIGHTS}"))
    found = [FoundModel(folder.name, folder, f"found in {models_folder}") for folder in folders]
    names = {model.name for model in found}
    cached = (_in_cache(name) for name in SIZES_MB if name not in names)
    return [*found, *(model for model in cached if model)]


def on_disk(name: str, models_folder: Path) -> FoundModel | None:
    """The model `name`, if it need not be downloaded: it may also be the path of a folder."""
    try:
        for folder in (models_folder / name, models_folder / _folder_name(name), Path(name)):
            if (folder / _WEIGHTS).is_file():
                return FoundModel(folder.name, folder, f"found in {folder.parent}")
    except OSError:  # no file can have this name
        return None
    return _in_cache(name)


def _in_cache(name: str) -> FoundModel | None:
    """Another tool's download is whole once each of its files is there."""
    try:
        paths = [try_to_load_from_cache(_repository(name), file) for file in _REQUIRED]
    except HFValidationError:
        return None
    if not all(isinstance(path, str) for path in paths):
        return None
    return FoundModel(name, Path(str(paths[-1])).parent, "found in the hub's cache")


def _others(models_folder: Path) -> list[Path]:
    folders = sorted(weights.parent for weights in models_folder.glob(f"*/{_WEIGHTS}"))
    return [folder for folder in folders if folder.name != TRAINEE_MODEL]


def _folder_name(name: str) -> str:
    return name.replace("/", "--")


def _repository(name: str) -> str:
    if "/" in name:
        return name
    if name == "distil-large-v3.5":
        return "distil-whisper/distil-large-v3.5-ct2"
    if name in ("large-v3-turbo", "turbo"):
        return "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
    if name.startswith("distil-"):
        return f"Systran/faster-distil-whisper-{name.removeprefix('distil-')}"
    return f"Systran/faster-whisper-{name}"
