"""Where Whisper models in CTranslate2's format are found: a folder, the hub's cache, the hub."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from agent.errors import EngineUnavailable
from pipelines.engines import hub

TRAINEE_MODEL = "trainee-tiny"
"""The model of our own: it understands simulated trainees and nobody else."""

_BEST_FIRST = {
    "cuda": ("large-v3-turbo", "distil-large-v3", "small.en", "base.en", "tiny.en"),
    # A turn has to be understood within about a second, on one core of several that calls share.
    "cpu": ("base.en", "small.en", "tiny.en"),
}
_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
_WEIGHTS = "model.bin"


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on disk, and in a few words how it came there."""

    name: str
    folder: Path
    origin: str


def find_model(
    model: str, models_folder: Path, *, device: str, language: str, allow_download: bool
) -> FoundModel:
    """Finds `model`, and downloads it if it has to.

    Without a name: the best one that is there, TRAINEE_MODEL aside, otherwise the best one for `device`.
    Raises EngineUnavailable.
    """
    names = (model,) if model else _best_first(device, language)
    for name in names:
        if found := _on_disk(name, models_folder):
            return found
    if not model and (others := _others(models_folder)):
        return FoundModel(others[0].name, others[0], f"found in {models_folder}")
    if not allow_download:
        what = f"the Whisper model {model}" if model else "no Whisper model"
        raise EngineUnavailable(
            f"{what} is {'not ' if model else ''}in {models_folder} or in the hub's cache",
            hint="Put one there, or allow downloads",
        )
    if obstacle := hub.why_unreachable():
        raise EngineUnavailable(
            f"the Whisper model {names[0]} is not on disk, and {obstacle}",
            hint=f"Put the model into {models_folder}, or go online once",
        )
    folder = models_folder / names[0].rpartition("/")[2]
    hub.fetch_repository(_repository(names[0]), _FILES, folder)
    return FoundModel(names[0], folder, f"downloaded to {models_folder}")


def choose_device(wish: str) -> str:
    """Resolves "auto" to cuda where CTranslate2 finds a GPU, otherwise to cpu."""
    import ctranslate2  # type: ignore[import-untyped]

    if wish != "auto":
        return wish
    return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"


def _best_first(device: str, language: str) -> tuple[str, ...]:
    names = _BEST_FIRST.get(device, _BEST_FIRST["cpu"])
    return names if language == "en" else tuple(name.removesuffix(".en") for name in names)


def _on_disk(name: str, models_folder: Path) -> FoundModel | None:
    for folder in (models_folder / name, Path(name)):
        if (folder / _WEIGHTS).is_file():
            return FoundModel(folder.name, folder, f"found in {folder.parent}")
    try:
        cached = try_to_load_from_cache(_repository(name), _WEIGHTS)
    except HFValidationError:
        return None
    if not isinstance(cached, str):
        return None
    return FoundModel(name, Path(cached).parent, "found in the hub's cache")


def _others(models_folder: Path) -> list[Path]:
    folders = sorted(weights.parent for weights in models_folder.glob(f"*/{_WEIGHTS}"))
    return [folder for folder in folders if folder.name != TRAINEE_MODEL]


def _repository(name: str) -> str:
    if "/" in name:
        return name
    if name in ("large-v3-turbo", "turbo"):
        return "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
    if name.startswith("distil-"):
        return f"Systran/faster-distil-whisper-{name.removeprefix('distil-')}"
    return f"Systran/faster-whisper-{name}"
