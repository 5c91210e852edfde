"""Trains the recogniser on shards, which may still be being made."""

import argparse
import math
import random
import time
from collections import deque
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from training.corpus import FRAMES_PER_LABEL, Example, Shard
from training.model import MEL_BANDS, Size, TinyWhisper
from training.tokenizer import special_id

IGNORED = -100
_Tensors = tuple[Tensor, ...] | list[Tensor]
_FEWEST_EXAMPLES = 2000
_MOST_EXAMPLES = 110_000
_REPORT_STEPS = 50
_SAVE_S = 180
_WARM_UP_STEPS = 100
_ADAM_SHARE = 0.6
_WITH_TIMES = 0.1
_MISWRITTEN = 0.06
_TOKEN_TABLE = "decoder.embed_tokens.weight"
_AVERAGED_STEPS = 600


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one step."""

    mel: Tensor
    tokens: Tensor
    targets: Tensor
    phonemes: Tensor

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Losses:
    """What one step is judged by."""

    text: Tensor
    phonemes: Tensor
    right_tokens: Tensor


class Batches:
    """Draws batches of similar length from the newest shards of a folder."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, size: int) -> None:
        self._folder = folder
        self._tokenizer = tokenizer
        self._size = size
        self._loaded: set[Path] = set()
        self._examples: deque[Example] = deque(maxlen=_MOST_EXAMPLES)
        self._queue: list[list[Example]] = []
        names = ("endoftext", "startoftranscript", "nospeech", "notimestamps", "0.00")
        self._end, self._start, self._no_speech, self._no_times, self._zero = (
            special_id(tokenizer, name) for name in names
        )

    def __len__(self) -> int:
        return len(self._examples)

    def load(self) -> None:
        """Takes in shards that have appeared since."""
        for path in sorted(set(self._folder.glob("shard-*.npz")) - self._loaded):
            self._loaded.add(path)
            self._examples.extend(Shard.load(path).examples)

    def draw(self) -> Batch:
        """Returns the next batch; looks for new shards after each pass."""
        if not self._queue:
            self.load()
            order = random.sample(list(self._examples), len(self._examples))
            for start in range(0, len(order), self._size * 20):
                group = sorted(order[start : start + self._size * 20], key=lambda e: e.mel.shape[1])
                self._queue += [group[i : i + self._size] for i in range(0, len(group), self._size)]
            random.shuffle(self._queue)
        return self._collate(self._queue.pop())

    def _collate(self, examples: list[Example]) -> Batch:
        longest = max(e.mel.shape[1] for e in examples)
        # The encoder takes the last position for padding: conv2 sees four frames beyond an utterance.
        width = longest + longest % 2 + random.choice([4, 10, 30, 60])
        mel = np.zeros((len(examples), MEL_BANDS, width), np.float32)
        phonemes = np.full((len(examples), width // FRAMES_PER_LABEL), IGNORED)
        written = [self._written(e) for e in examples]
        longest_text = max(map(len, written)) - 1
        tokens = np.full((len(examples), longest_text), self._end)
        targets = np.full((len(examples), longest_text), IGNORED)
        for row, (example, text) in enumerate(zip(examples, written, strict=True)):
            mel[row, :, : example.mel.shape[1]] = _masked(example.mel.astype(np.float32))
            phonemes[row, : len(example.phonemes)] = example.phonemes
            tokens[row, : len(text) - 1] = text[:-1]
            targets[row, : len(text) - 1] = text[1:]
            if not example.text:
                # faster-whisper reads no_speech_prob where the start token is fed.
                targets[row, 0] = self._no_speech
        # Who may not trust what they wrote so far must listen.
        wrong = (np.random.random(tokens.shape) < _MISWRITTEN) & (targets != IGNORED)
        wrong[:, :2] = False
        tokens[wrong] = np.random.randint(0, self._end, int(wrong.sum()))
        return Batch(*(torch.from_numpy(a) for a in (mel, tokens, targets, phonemes)))

    def _written(self, example: Example) -> list[int]:
        text = f" {example.text}" if example.text else ""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        if random.random() >= _WITH_TIMES:
            return [self._start, self._no_times, *ids, self._end]
        last = self._zero + (example.mel.shape[1] + 1) // FRAMES_PER_LABEL
        return [self._start, self._zero, *ids, last, self._end]


def _masked(mel: np.ndarray) -> np.ndarray:
    """SpecAugment, and another level and tilt of the spectrum."""
    if random.random() < 0.5:
        return mel
    tilt = np.linspace(-1, 1, MEL_BANDS, dtype=np.float32)[:, None]
    mel = mel + np.float32(random.uniform(-0.15, 0.15)) + np.float32(random.uniform(-0.15, 0.15)) * tilt
    for _ in range(2):
        low = random.randint(0, MEL_BANDS - 10)
        mel[low : low + random.randint(0, 9)] = mel.mean()
    start = random.randint(0, max(1, mel.shape[1] - 12))
    mel[:, start : start + random.randint(0, 8)] = mel.min()
    return mel


class Trainer:
    """Owns the optimiser and the averaged weights."""

    def __init__(self, model: TinyWhisper, batches: Batches, peak_rate: float) -> None:
        self.model = model
        # An average over recent steps is better than the newest weights at any time.
        self.average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=_average)
        self._device = next(model.parameters()).device
        self._batches = batches
        self._peak_rate = peak_rate
        self._steps = 0
        self._optimizers = _optimizers(model)

    def step(self, progress: float) -> Losses:
        """`progress` runs from 0 to 1 and drives the learning rate."""
        self._steps += 1
        warm = min(1.0, self._steps / _WARM_UP_STEPS)
        rate = self._peak_rate * warm * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 0.01)
        for optimizer, share in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        with torch.autocast(self._device.type, torch.bfloat16):
            losses = self._losses(self._batches.draw().to(self._device))
        self.model.zero_grad()
        (losses.text + (1.0 if progress < 0.5 else 0.5) * losses.phonemes).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, _ in self._optimizers:
            optimizer.step()
        self.average.update_parameters(self.model)
        return losses

    def _losses(self, batch: Batch) -> Losses:
        # A changing count of padding keeps attention from relying on it.
        stands_for = random.choice([None, random.randint(20, 120), random.randint(20, 750)])
        encoded, bias = self.model.encoder(batch.mel, stands_for)
        logits = self.model.decoder(batch.tokens, encoded, bias)
        phonemes = self.model.phonemes(encoded)
        judged = batch.targets != IGNORED
        return Losses(
            text=_cross_entropy(logits, batch.targets),
            phonemes=_cross_entropy(phonemes, batch.phonemes[:, : phonemes.shape[1]]),
            right_tokens=(logits.argmax(-1) == batch.targets)[judged].float().mean(),
        )


def _optimizers(model: nn.Module) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the matrices between layers, AdamW for the rest; and the share of the rate of each."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    inner = [p for name, p in trained if p.ndim == 2 and "embed" not in name and "phonemes" not in name]
    others = [p for _, p in trained if all(p is not each for each in inner)]
    muon = torch.optim.Muon(inner, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.01)
    return [(muon, 1.0), (adam, _ADAM_SHARE)]


def _average(averaged: _Tensors, current: _Tensors, count: Tensor | int) -> None:
    """Forgets the beginning of training sooner than a constant rate would."""
    torch._foreach_lerp_(averaged, current, max(1 / _AVERAGED_STEPS, 4 / (int(count) + 4)))


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(logits.flatten(0, 1).float(), targets.flatten().long(), ignore_index=IGNORED)


def retokenised(weights: dict[str, Tensor], old: Tokenizer, new: Tokenizer) -> dict[str, Tensor]:
    """Weights for another tokenizer: a new piece begins as the mean of the old pieces that spell it."""
    table = weights[_TOKEN_TABLE]
    rows: list[Tensor] = []
    for number in range(new.get_vocab_size()):
        piece = new.id_to_token(number)
        same = old.token_to_id(piece)
        spelled = [same] if same is not None else _pieces(new.decode([number]), old)
        rows.append(table[spelled].mean(0) if spelled else table.mean(0))
    return weights | {_TOKEN_TABLE: torch.stack(rows)}


def _pieces(text: str, tokenizer: Tokenizer) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def save(trainer: Trainer, size: Size, path: Path) -> None:
    """Writes the averaged weights."""
    partial = path.with_suffix(".part")
    weights = trainer.average.module.state_dict()
    torch.save({"size": asdict(size), "weights": weights}, partial)
    partial.rename(path)


def train(trainer: Trainer, size: Size, minutes: float, out: Path) -> None:
    """Trains for a time, saving every few minutes."""
    began = saved = time.monotonic()
    recent: list[tuple[float, float, float]] = []
    steps = 0
    while (elapsed_s := time.monotonic() - began) < minutes * 60:
        losses = trainer.step(elapsed_s / (minutes * 60))
        recent.append((losses.text.item(), losses.phonemes.item(), losses.right_tokens.item()))
        steps += 1
        if len(recent) == _REPORT_STEPS:
            text, phonemes, right = np.mean(recent, axis=0)
            recent.clear()
            print(
                f"{elapsed_s / 60:5.1f} min  step {steps}  text {text:.3f}  phonemes {phonemes:.3f}"
                f"  right tokens {right:.3f}",
                flush=True,
            )
        if time.monotonic() - saved > _SAVE_S:
            save(trainer, size, out)
            saved = time.monotonic()
    save(trainer, size, out)


def main() -> None:
    """Trains from the start, or on from a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of shards")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--resume", type=Path, help="checkpoint to start from")
    parser.add_argument("--resumed-tokenizer", type=Path, help="that of --resume, if it is another one")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--peak-rate", type=float, default=5e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    tokenizer = Tokenizer.from_file(str(arguments.tokenizer))
    size = Size()
    model = TinyWhisper(size, tokenizer.get_vocab_size())
    if arguments.resume:
        weights = torch.load(arguments.resume, map_location="cpu")["weights"]
        if arguments.resumed_tokenizer:
            weights = retokenised(weights, Tokenizer.from_file(str(arguments.resumed_tokenizer)), tokenizer)
        model.load_state_dict(weights)
    model.to(arguments.device)
    batches = Batches(arguments.data, tokenizer, arguments.batch)
    batches.load()
    while len(batches) < _FEWEST_EXAMPLES:
        time.sleep(2)
        batches.load()
    train(Trainer(model, batches, arguments.peak_rate), size, arguments.minutes, arguments.out)


if __name__ == "__main__":
    main()
