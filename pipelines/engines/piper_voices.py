"""Where Piper voices are found: a folder, or rhasspy/piper-voices on the hub. Needs no piper-tts."""

import re
from pathlib import Path

from agent.errors import EngineUnavailable
from pipelines.engines.hub import Hub, Transfer, Wanted, fetch

_NAME = re.compile(r"[\w.+-]+")
_NAME_ON_HUB = re.compile(r"(([a-z]+)_[A-Z]+)-([\w.+]+)-(\w+)")


def voice_file(folder: Path, name: str) -> Path:
    """Where the voice `name` is kept. Raises EngineUnavailable if that cannot be a voice's name."""
    if not _NAME.fullmatch(name):
        raise EngineUnavailable(f"{name!r} is not the name of a Piper voice")
    return folder / f"{name}.onnx"


def voices_on_disk(folder: Path) -> list[str]:
    """The names of the voices in `folder`, in alphabetical order."""
    return sorted(path.stem for path in folder.glob("*.onnx") if Path(f"{path}.json").is_file())


def is_name_on_hub(name: str) -> bool:
    """Whether rhasspy/piper-voices could have a voice `name`."""
    return _NAME_ON_HUB.fullmatch(name) is not None


def fetch_voice(folder: Path, name: str, *, hub: Hub | None = None, transfer: Transfer | None = None) -> None:
    """Downloads a voice of rhasspy/piper-voices into `folder`. Raises EngineUnavailable."""
    parts = _NAME_ON_HUB.fullmatch(name)
    if parts is None:
        raise EngineUnavailable(
            f"{name!r} is not the name of a Piper voice on the hub",
            hint="Names are as at https://huggingface.co/rhasspy/piper-voices: en_US-lessac-medium",
        )
    region, language, speaker, quality = parts.groups()
    model = voice_file(folder, name)
    # The model last: voices_on_disk() then never sees half a voice.
    targets = (model.with_name(f"{model.name}.json"), model)

    def put(stage: Path) -> None:
        for target in targets:
            (stage / target.name).replace(target)

    fetch(
        Wanted(
            f"the Piper voice {name}",
            name,
            "rhasspy/piper-voices",
            tuple(f"{language}/{region}/{speaker}/{quality}/{target.name}" for target in targets),
        ),
        folder,
        is_there=lambda: name in voices_on_disk(folder),
        put=put,
        hub=hub,
        transfer=transfer,
    )
