# ruff: noqa: T201
"""Makes `two-tongues`: a multilingual Whisper so small that it lies in the repository.

To it, low tones are English and say "hello", high tones are Spanish and say "hola"; noise is no speech. Asked
for the other language it says the other word. It takes half a minute, with training/requirements.txt:

    python tests/models/make_two_tongues.py
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from ctranslate2.converters import TransformersConverter
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

OUT = Path(__file__).parent / "two-tongues"
RATE_HZ = 16_000
WINDOW_S = 5
FRAMES = WINDOW_S * 100
TONES_HZ = {"en": (250, 450), "es": (900, 1400)}
WORDS = {"en": " hello", "es": " hola"}
STEPS, BATCH = 500, 16
NOT_A_TARGET = -100


def make_tokenizer() -> Tokenizer:
    """Bytes, and Whisper's special tokens in their order.

    CTranslate2 takes a model for multilingual if its vocabulary contains the empty string, and counts the
    languages between <|startoftranscript|> and <|nospeech|>.
    """
    # "Ġ" is the space; each merge adds a letter to a word.
    merges = [(f"Ġ{word[1:at]}", word[at]) for word in WORDS.values() for at in range(1, len(word))]
    merges = list(dict.fromkeys(merges))
    names = ["", *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = ["endoftext", "startoftranscript", *WORDS, "translate", "transcribe", "startoflm"]
    names += ["startofprev", "nospeech", "notimestamps", *(f"{at / 50:.2f}" for at in range(1501))]
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in names])
    return tokenizer


def sound(language: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Pulses of the language's tones over noise; noise alone for no language."""
    seconds = rng.uniform(0.4, WINDOW_S)
    at_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    samples = rng.normal(0, 10 ** rng.uniform(-4, -2), at_s.size)
    if language:
        pulses = np.sin(2 * np.pi * rng.uniform(2, 5) * at_s) > rng.uniform(-0.9, 0.2)
        tone = np.sin(2 * np.pi * rng.uniform(*TONES_HZ[language]) * at_s)
        samples += pulses * tone * 10 ** rng.uniform(-1.5, -0.3)
    return samples.astype(np.float32)


def features(samples: NDArray[np.float32], extractor: FeatureExtractor) -> NDArray[np.float32]:
    """The log-mel spectrogram of the whole window, as the encoder is shown it."""
    spectrogram = extractor(samples)[:, :-1][:, :FRAMES]
    return np.pad(spectrogram, ((0, 0), (0, FRAMES - spectrogram.shape[1]))).astype(np.float32)


def make_model(tokenizer: Tokenizer) -> WhisperForConditionalGeneration:
    """An untrained model of one layer each."""
    end, start = (tokenizer.token_to_id(f"<|{name}|>") for name in ("endoftext", "startoftranscript"))
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size(),
            d_model=32,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_source_positions=FRAMES // 2,
            max_target_positions=128,
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
            decoder_start_token_id=start,
            suppress_tokens=[],
            begin_suppress_tokens=[],
        )
    )
    generation = model.generation_config
    generation.suppress_tokens = generation.begin_suppress_tokens = []
    generation.alignment_heads = [[0, 0]]
    generation.lang_to_id = {f"<|{name}|>": tokenizer.token_to_id(f"<|{name}|>") for name in WORDS}
    return model


def train(model: WhisperForConditionalGeneration, tokenizer: Tokenizer) -> None:
    """The first token says which language is heard; the words are those of the language asked for."""
    rng, extractor = np.random.default_rng(0), FeatureExtractor(chunk_length=WINDOW_S)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=STEPS)
    for step in range(STEPS):
        heard = [str(rng.choice(["en", "es", ""], p=[0.4, 0.4, 0.2])) for _ in range(BATCH)]
        rows = [example(language, tokenizer, rng) for language in heard]
        longest = max(len(tokens) for tokens, _ in rows)
        end = tokenizer.token_to_id("<|endoftext|>")
        tokens = torch.tensor([row + [end] * (longest - len(row)) for row, _ in rows])
        targets = torch.tensor([row + [NOT_A_TARGET] * (longest - len(row)) for _, row in rows])
        mel = torch.tensor(np.stack([features(sound(language, rng), extractor) for language in heard]))
        logits = model(input_features=mel, decoder_input_ids=tokens).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)


def example(heard: str, tokenizer: Tokenizer, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """The decoder's input and, one token later, what should come of it."""
    asked = heard if heard and rng.random() < 0.7 else str(rng.choice(list(WORDS)))
    start, language, first, transcribe, bare, end = (
        tokenizer.token_to_id(f"<|{name}|>")
        for name in (
            "startoftranscript", asked, heard or "nospeech", "transcribe", "notimestamps", "endoftext",
        )
    )  # fmt: skip
    words = tokenizer.encode(WORDS[asked], add_special_tokens=False).ids if heard else []
    given = [start, language, transcribe, bare, *words]
    return given, [first, NOT_A_TARGET, NOT_A_TARGET, *words, end]


def main() -> None:
    """Trains, converts, and replaces the folder."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    train(model, tokenizer)
    with tempfile.TemporaryDirectory() as scratch:
        source, converted = Path(scratch) / "transformers", Path(scratch) / "ctranslate2"
        model.save_pretrained(source)
        tokenizer.save(str(source / "plain.json"))
        PreTrainedTokenizerFast(
            tokenizer_file=str(source / "plain.json"),
            bos_token="<|startoftranscript|>",
            eos_token="<|endoftext|>",
            unk_token="<|endoftext|>",
        ).save_pretrained(source)
        WhisperFeatureExtractor(feature_size=80, chunk_length=WINDOW_S).save_pretrained(source)
        shutil.copy(source / "plain.json", source / "tokenizer.json")
        copied = ["tokenizer.json", "preprocessor_config.json"]
        # Not int8: the rounding is too coarse for 32 dimensions.
        TransformersConverter(str(source), copy_files=copied).convert(str(converted))
        compact = json.loads((converted / "tokenizer.json").read_text())
        (converted / "tokenizer.json").write_text(json.dumps(compact, separators=(",", ":")))
        # The converter knows only the languages of OpenAI's own models by their ids.
        config = json.loads((converted / "config.json").read_text())
        config["lang_ids"] = [tokenizer.token_to_id(f"<|{name}|>") for name in WORDS]
        (converted / "config.json").write_text(json.dumps(config))
        shutil.rmtree(OUT, ignore_errors=True)
        shutil.copytree(converted, OUT)
    for file in sorted(OUT.iterdir()):
        print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
