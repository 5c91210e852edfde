"""Converts a checkpoint into the folder that faster-whisper loads."""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer
from transformers import (
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from training.model import MEL_BANDS, Size
from training.tokenizer import special_id

_TRAINING_ONLY = "phonemes."
WINDOW_S = 15
"""The most that the encoder is shown; half of Whisper's own window costs less than half."""
PADDING_S = 1.0
"""What the encoder is shown behind an utterance: training draws 0.4 s and more, see `model.py`."""
LONGEST_S = 11.0


def to_transformers(checkpoint: Path, tokenizer: Tokenizer) -> WhisperForConditionalGeneration:
    """Returns the checkpoint as transformers' model, without what only training needs."""
    saved = torch.load(checkpoint, map_location="cpu")
    size = Size(**saved["size"])
    end, start = (special_id(tokenizer, name) for name in ("endoftext", "startoftranscript"))
    spaces = [number for number in [tokenizer.token_to_id("Ġ")] if number is not None]
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size(),
            num_mel_bins=MEL_BANDS,
            d_model=size.width,
            encoder_layers=size.encoder_layers,
            decoder_layers=size.decoder_layers,
            encoder_attention_heads=size.heads,
            decoder_attention_heads=size.heads,
            encoder_ffn_dim=size.feed_forward,
            decoder_ffn_dim=size.feed_forward,
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
            decoder_start_token_id=start,
            suppress_tokens=[],
            begin_suppress_tokens=spaces,
        )
    )
    weights = {k: v for k, v in saved["weights"].items() if not k.startswith(_TRAINING_ONLY)}
    model.model.load_state_dict(weights)
    model.tie_weights()
    generation = model.generation_config
    generation.suppress_tokens = []
    generation.begin_suppress_tokens = spaces
    generation.alignment_heads = [[size.decoder_layers - 1, head] for head in range(size.heads)]
    generation.lang_to_id = {"<|en|>": special_id(tokenizer, "en")}
    return model


def export(checkpoint: Path, tokenizer_file: Path, out: Path) -> None:
    """Writes the int8 model; other files in `out` stay."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    # The converter replaces its whole folder.
    with tempfile.TemporaryDirectory() as scratch:
        source, converted = Path(scratch) / "transformers", Path(scratch) / "ctranslate2"
        to_transformers(checkpoint, tokenizer).save_pretrained(source)
        PreTrainedTokenizerFast(
            tokenizer_file=str(tokenizer_file),
            bos_token="<|startoftranscript|>",
            eos_token="<|endoftext|>",
            unk_token="<|endoftext|>",
        ).save_pretrained(source)
        WhisperFeatureExtractor(feature_size=MEL_BANDS, chunk_length=WINDOW_S).save_pretrained(source)
        shutil.copy(tokenizer_file, source / "tokenizer.json")
        TransformersConverter(str(source), copy_files=["tokenizer.json", "preprocessor_config.json"]).convert(
            str(converted), quantization="int8"
        )
        _add_own_limits(converted / "preprocessor_config.json")
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(converted.iterdir()):
            shutil.copy(file, out / file.name)
            print(f"{out / file.name}: {file.stat().st_size / 1e6:.2f} MB")


def _add_own_limits(config: Path) -> None:
    """Names what rolecall may spare the encoder; others pass over the key."""
    content = json.loads(config.read_text())
    content["rolecall"] = {"longest_s": LONGEST_S, "padding_s": PADDING_S}
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def main() -> None:
    """Exports one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("models/trainee-tiny"))
    arguments = parser.parse_args()
    export(arguments.checkpoint, arguments.tokenizer, arguments.out)


if __name__ == "__main__":
    main()
