"""A Coqui model in this process: XTTS v2 with its speakers and cloned voices, or VITS."""

import logging
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from TTS.config import load_config
from TTS.tts.models import setup_model
from TTS.tts.models.vits import Vits
from TTS.tts.models.xtts import Xtts
from TTS.utils.manage import ModelManager

ONLY_VOICE = "default"
"""The name of the voice of a model that has one voice and no name for it."""


LONGEST_TEXT = 250
"""In characters, for XTTS in a language that says nothing else."""


class CoquiVoice:
    """One loaded model. Not thread-safe: VITS keeps the rate of speech in the model."""

    def __init__(self, model: Xtts | Vits, name: str, folder: Path) -> None:
        self.model = name
        self.rate_hz = int(model.config.audio.get("output_sample_rate") or model.config.audio["sample_rate"])
        self.voices = tuple(_voices(model, folder)) or (ONLY_VOICE,)
        self.languages = tuple(
            model.config.languages if isinstance(model, Xtts) else model.language_manager.language_names
        )
        self._model = model
        self._cloned = folder / "voices"
        self._length_scale = float(getattr(model, "length_scale", 1.0))

    def speak(self, text: str, voice: str, language: str, rate: float) -> NDArray[np.float32]:
        """`voice` and `language` are of `voices` and `languages`; `rate` 2.0 is twice as fast. In [-1, 1]."""
        wanted: dict[str, Any] = {"speaker": None if voice == ONLY_VOICE else voice}
        pieces = [text]
        if isinstance(self._model, Xtts):
            wanted |= {"language": language, "voice_dir": self._cloned, "speed": rate}
            # XTTS breaks off in the middle of a text that is longer than it was trained on.
            longest = self._model.tokenizer.char_limits.get(language.split("-")[0], LONGEST_TEXT)
            pieces = textwrap.wrap(text, longest)
        else:
            wanted |= {"language": language if len(self.languages) > 1 else None}
            self._model.length_scale = self._length_scale / rate
        with torch.inference_mode():
            spoken = [self._model.synthesize(piece, **wanted)["wav"] for piece in pieces]
        return np.concatenate([np.asarray(sound, np.float32).reshape(-1) for sound in spoken])


def open_voice(model: str, device: str, threads: int) -> CoquiVoice:
    """Loads a folder with `config.json` and `model.pth`, or a model by Coqui's name for it (downloads it).

    Raises what Coqui raises where the model cannot be loaded; ValueError for an architecture that needs a
    vocoder of its own.
    """
    # Coqui logs the texts that it speaks, and warns of each character that a model does not know.
    logging.getLogger("TTS").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    if not Path(model).is_dir() and not model.startswith("tts_models/"):
        raise FileNotFoundError(f"{model} is neither a folder nor the name of a Coqui model (tts_models/…)")
    place = Path(model) if Path(model).is_dir() else Path(ModelManager().download_model(model)[0])
    checkpoint = place.resolve() / "model.pth" if place.is_dir() else place
    folder = checkpoint.parent
    loaded = _load(folder, checkpoint)
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        loaded.cuda()
    return CoquiVoice(loaded, folder.name, folder)


def _load(folder: Path, checkpoint: Path) -> Xtts | Vits:
    config = load_config(folder / "config.json")
    if (folder / "speakers.pth").is_file() and "speakers_file" in config.model_args:
        # The file names the place where it was made, which need not be here.
        config.model_args.speakers_file = config.speakers_file = str(folder / "speakers.pth")
    model = setup_model(config)
    if isinstance(model, Xtts):
        model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
    elif isinstance(model, Vits):
        model.load_checkpoint(config, checkpoint_path=checkpoint, eval=True)
    else:
        raise ValueError(f"{config.model} is not an architecture served here: xtts or vits")
    return model


def _voices(model: Xtts | Vits, folder: Path) -> list[str]:
    named = [] if model.speaker_manager is None else list(model.speaker_manager.speaker_names)
    cloned = model.get_voices(folder / "voices") if isinstance(model, Xtts) else {}
    return sorted({*named, *cloned})
