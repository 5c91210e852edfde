"""A byte-level BPE in the layout of Whisper's English-only vocabulary."""

import argparse
import random
import string
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.sentences import Sentences

SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
TIMESTAMP_STEP_S = 0.02
# faster-whisper looks up every timestamp of a 30 s window.
TIMESTAMPS = 1501
_MERGES = 800


def build(sentences: Sentences) -> Tokenizer:
    """Learns the merges from sentences, and appends Whisper's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    rng = random.Random(1)
    corpus = [" " + sentences.draw(rng) for _ in range(20_000)]
    # faster-whisper suppresses the bare space token, so every letter must merge with it.
    corpus += [f" {letter} " * 400 for letter in string.ascii_letters + string.digits]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + _MERGES,
        initial_alphabet=alphabet,
        show_progress=False,
        special_tokens=[],
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens(
        [
            AddedToken(f"<|{i * TIMESTAMP_STEP_S:.2f}|>", special=False, normalized=False)
            for i in range(TIMESTAMPS)
        ]
    )
    return tokenizer


def special_id(tokenizer: Tokenizer, name: str) -> int:
    """The number of a special token, named without its brackets."""
    number = tokenizer.token_to_id(f"<|{name}|>")
    if number is None:
        raise ValueError(f"the tokenizer has no <|{name}|>")
    return int(number)


def main() -> None:
    """Writes tokenizer.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=Path, default=Path("scenarios"))
    parser.add_argument("--out", type=Path, required=True, help="tokenizer.json to write")
    arguments = parser.parse_args()
    tokenizer = build(Sentences(arguments.scenarios))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.out))
    print(f"{arguments.out}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
