"""Shards of random utterances with their texts and phonemes."""

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from training.espeak import Speech, Voice
from training.sentences import Sentences, sentences_of
from training.sounds import LINE_RATE_HZ, NOISES, NOT_SPEECH, noise_of
from training.synthesis import OF_A_CALL, Line, Studio, shifted
from training.voices import DIALECTS, VARIANTS

FRAMES_PER_LABEL = 2
LABELS_PER_S = 50
LONGEST_FRAMES = 1180
PHONEME_CLASSES = 112
_BACKGROUND = (*NOISES, *NOISES, "clicks", "breath")
_UP_SAMPLERS = (*[OF_A_CALL] * 6, "HQ", "HQ", "MQ", "LQ", "QQ")


@dataclass(frozen=True, slots=True)
class Example:
    """An utterance as the model is shown it, and what should come of it."""

    text: str
    mel: NDArray[np.float16]
    phonemes: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of examples."""

    examples: list[Example]

    def save(self, path: Path) -> None:
        """Renames a finished file into place: a trainer may be watching the folder."""
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(
                file,
                texts=np.array([e.text for e in self.examples]),
                frames=np.array([e.mel.shape[1] for e in self.examples]),
                mel=np.concatenate([e.mel for e in self.examples], axis=1),
                labels=np.array([len(e.phonemes) for e in self.examples]),
                phonemes=np.concatenate([e.phonemes for e in self.examples]),
            )
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with np.load(path) as file:
            mels = np.split(file["mel"], np.cumsum(file["frames"])[:-1], axis=1)
            phonemes = np.split(file["phonemes"], np.cumsum(file["labels"])[:-1])
            # Copies, so that dropping an example frees its memory.
            return cls(
                [
                    Example(str(text), mel.copy(), labels.copy())
                    for text, mel, labels in zip(file["texts"], mels, phonemes, strict=True)
                ]
            )


class PhonemeNumbers:
    """Numbers espeak's phonemes in a fixed way: training may resume with shards made later."""

    _NAMES = """
        _ D a t m eI k s E n h u: d j O@ 3 f r V @ I i i: oU aI aU OI A: A@ O: O U 0 e@ i@ U@ e: o: b p
        g l l^ w v z S Z T tS dZ N x R ? t# t2 r- L @L I2 i2 aa a# I# o@ u A e O2 3: @2 @5 VR EI @U aI@
        aI3 aU@ n- m- z/2 I3 E2 E# W V# dZ; y ; ts @- IR aI2 i@3 t[ w#
    """

    def __init__(self) -> None:
        self._numbers = {name: number for number, name in enumerate(self._NAMES.split())}
        assert len(self._numbers) < PHONEME_CLASSES
        self.unknown: set[str] = set()

    def __getitem__(self, name: str) -> int:
        bare = name.strip("',%|=")
        bare = "_" if bare.startswith("_") or not bare else bare
        if bare not in self._numbers:
            self.unknown.add(bare)
        return self._numbers.get(bare, PHONEME_CLASSES - 1)

    def labels(self, starts: list[tuple[float, str]], frames: int) -> NDArray[np.uint8]:
        """One number for every two frames of features."""
        labels = np.zeros((frames + 1) // FRAMES_PER_LABEL, np.uint8)
        for start_s, name in starts:
            labels[int(start_s * LABELS_PER_S) :] = self[name]
        return labels


class Utterances:
    """An endless stream of examples."""

    def __init__(self, sentences: Sentences, seed: int) -> None:
        self._sentences = sentences
        self._studio = Studio()
        self._choice = random.Random(seed)
        self._rng = np.random.default_rng(seed)
        self.numbers = PhonemeNumbers()

    def __iter__(self) -> Iterator[Example]:
        while True:
            example = self._nothing() if self._choice.random() < 0.08 else self._utterance()
            if example.mel.shape[1] <= LONGEST_FRAMES:
                yield example

    def _nothing(self) -> Example:
        count = int(self._rng.uniform(0.3, 5.0) * LINE_RATE_HZ)
        noise = noise_of(self._choice.choice(NOT_SPEECH), count, self._rng)
        silent = self._rng.random() < 0.1
        line = Line(
            level_dbfs=-150.0 if silent else self._rng.uniform(-60, -10),
            lead_s=self._choice.choice([0.0, self._choice.uniform(0, 0.5)]),
            trail_s=self._choice.uniform(0, 0.5),
        )
        mel = self._studio.features(line.carry(noise, self._rng))
        return Example("", mel, np.zeros((mel.shape[1] + 1) // FRAMES_PER_LABEL, np.uint8))

    def _utterance(self) -> Example:
        text = self._sentences.draw(self._choice)
        voice = self._usual_voice() if self._choice.random() < 0.3 else self._any_voice()
        speech = self._spoken(text, voice)
        if voice.name != Voice().name and self._choice.random() < 0.4:
            speech = self._studio.warped(speech, self._choice.uniform(0.9, 1.13))
        line = self._line()
        end_s: float | None = None
        if len(speech.word_starts) > 2 and self._choice.random() < 0.1:
            text, end_s = self._interrupted(text, speech.word_starts)
        sent = self._studio.to_line_rate(speech, end_s)
        mel = self._studio.features(line.carry(sent, self._rng))
        starts = shifted(speech.phonemes, line, len(sent) / LINE_RATE_HZ)
        return Example(text, mel, self.numbers.labels(starts, mel.shape[1]))

    def _spoken(self, text: str, voice: Voice) -> Speech:
        words = text.split(" ")
        how = self._choice.random()
        if len(words) > 3 and how < 0.12:
            # Somebody who stops to think, in the middle of a sentence or before its end.
            at = self._choice.randrange(1, len(words))
            pieces = [" ".join(words[:at]), " ".join(words[at:])]
            pause_ms = self._choice.randint(200, self._choice.choice([1500, 1500, 1500, 5000]))
            return self._studio.say_with_pauses(pieces, voice, [pause_ms])
        sentences = sentences_of(text)
        if len(sentences) == 1 or how < 0.5:
            return self._studio.say(text, voice)
        pauses_ms = [self._choice.randint(60, 900) for _ in sentences[1:]]
        return self._studio.say_with_pauses(sentences, voice, pauses_ms)

    def _interrupted(self, text: str, word_starts: list[tuple[int, int]]) -> tuple[str, float]:
        """Cuts behind a word, or early enough in the next one that nobody would write it down."""
        position, start_ms = word_starts[self._choice.randint(1, len(word_starts) - 1)]
        return text[:position].rstrip(" ,"), start_ms / 1000 + self._choice.uniform(0.0, 0.06)

    def _usual_voice(self) -> Voice:
        return Voice(
            rate_wpm=round(self._choice.gauss(165, 7)),
            pitch=round(self._choice.gauss(45, 3)),
            pitch_range=self._choice.choice([50, 50, 50, 40, 60]),
        )

    def _any_voice(self) -> Voice:
        return Voice(
            name=self._choice.choice(DIALECTS) + self._choice.choice(VARIANTS),
            rate_wpm=self._choice.randint(135, 205),
            pitch=self._choice.randint(20, 80),
            pitch_range=self._choice.randint(30, 75),
            word_gap_10ms=self._choice.choice([0, 0, 0, 1, 2]),
        )

    def _line(self) -> Line:
        cut = self._choice.random() < 0.15
        return Line(
            level_dbfs=self._choice.uniform(-32, -12),
            snr_db=None if self._choice.random() < 0.6 else self._choice.uniform(8, 32),
            noise=self._choice.choice(_BACKGROUND),
            lead_s=0.0 if cut else self._choice.uniform(0.0, self._choice.choice([0.6] * 15 + [8.0])),
            trail_s=self._choice.uniform(0.03, 0.7),
            clipped_s=self._choice.uniform(0.0, 0.06) if cut else 0.0,
            lost_blocks=self._choice.choice([0, 0, 0, 0, 0, 0, 0, 1, 2, 4]),
            up_sampler=self._choice.choice(_UP_SAMPLERS),
        )


def main() -> None:
    """Makes shards, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=Path, default=Path("scenarios"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--size", type=int, default=400, help="utterances a shard")
    parser.add_argument("--first", type=int, default=0, help="number of the first shard, also its seed")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.first, arguments.first + arguments.shards):
        began = time.perf_counter()
        # Read anew, so that lines edited meanwhile are in the next shard.
        utterances = Utterances(Sentences(arguments.scenarios), seed=1000 + number)
        stream = iter(utterances)
        shard = Shard([next(stream) for _ in range(arguments.size)])
        shard.save(arguments.out / f"shard-{number:04d}.npz")
        speech_s = sum(e.mel.shape[1] for e in shard.examples) / 100
        took_s = time.perf_counter() - began
        unknown = " ".join(sorted(utterances.numbers.unknown))
        print(f"shard {number}: {speech_s / 60:.0f} min in {took_s:.0f} s {unknown}", flush=True)


if __name__ == "__main__":
    main()
