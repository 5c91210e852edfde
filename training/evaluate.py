"""Word error rates of an exported model, through faster-whisper, as a table."""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import jiwer
import numpy as np
from ctranslate2 import StorageView
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from numpy.typing import NDArray

from training.espeak import Voice
from training.sentences import Sentences, hesitant, normalise, sentences_of
from training.slots import filled
from training.sounds import LINE_RATE_HZ, NOT_SPEECH, Samples, noise_of
from training.synthesis import MODEL_RATE_HZ, Line, Studio
from training.tokenizer import special_id
from training.voices import HEARD, UNHEARD

USUAL = Voice()
OPTIONS = {
    "language": "en",
    "beam_size": 1,
    "temperature": 0.0,
    "without_timestamps": True,
    "condition_on_previous_text": False,
    "max_new_tokens": 60,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recogniser made of one utterance."""

    text: str
    no_speech_prob: float
    avg_logprob: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    name: str
    texts: list[str]
    speak: Callable[[str], Samples]


class _Trimmed(WhisperModel):
    """Shows the encoder the utterance and `padding` frames, as a call does; None: faster-whisper's 30 s."""

    padding: int | None = None
    utterance = 0

    def encode(self, features: NDArray[np.float32]) -> StorageView:
        if self.padding is None:
            return super().encode(features)
        # An encoding of as many positions as there are bands would be taken for features.
        count = min(self.utterance + self.padding, features.shape[-1]) // 2 * 2
        count += 2 * (count == 2 * features.shape[-2])
        return super().encode(np.ascontiguousarray(features[..., :count]))


class Recogniser:
    """The exported model, as faster-whisper runs it."""

    def __init__(self, path: Path, whole_window: bool = False) -> None:
        self._model = _Trimmed(str(path), device="cpu", compute_type="int8", cpu_threads=1)
        own = json.loads((path / "preprocessor_config.json").read_text()).get("rolecall", {})
        if own and not whole_window:
            self._model.padding = round(own["padding_s"] * 100)

    def hear(self, samples: Samples) -> Heard:
        """Transcribes 16 kHz samples."""
        began = time.process_time()
        self._model.utterance = len(samples) * 100 // MODEL_RATE_HZ
        segments = list(self._model.transcribe(samples, **OPTIONS)[0])
        return Heard(
            text=normalise(" ".join(segment.text for segment in segments)),
            no_speech_prob=max((s.no_speech_prob for s in segments), default=float("nan")),
            avg_logprob=min((s.avg_logprob for s in segments), default=float("nan")),
            cpu_s=time.process_time() - began,
        )

    def no_speech_prob(self, samples: Samples) -> float:
        """Asks the model itself, because faster-whisper returns no segment where there is no text."""
        self._model.utterance = len(samples) * 100 // MODEL_RATE_HZ
        features = pad_or_trim(self._model.feature_extractor(samples)[:, :-1])
        start, no_times = (
            special_id(self._model.hf_tokenizer, name) for name in ("startoftranscript", "notimestamps")
        )
        result = self._model.model.generate(
            self._model.encode(features), [[start, no_times]], return_no_speech_prob=True
        )
        return float(result[0].no_speech_prob)


class Cases:
    """What is spoken to the recogniser; the same in every run, but for espeak's own variation."""

    def __init__(self, sentences: Sentences, seed: int) -> None:
        self._sentences = sentences
        self._studio = Studio()
        self._rng = np.random.default_rng(seed)

    def spoken(self) -> Iterable[Case]:
        """Utterances of known text."""
        yield from self._of_scenarios()
        yield from self._of_new_sentences()
        yield from self._of_turns()

    def _of_scenarios(self) -> Iterable[Case]:
        expected, said = self._sentences.expected, self._sentences.said
        three = expected * 3
        yield Case("expected lines, usual voice, clean", three, self._over(Line()))
        yield Case("expected lines, varying pre-roll and level", expected * 5, self._vad_segment)
        noisy = Line(snr_db=15)
        yield Case("expected lines, 15 dB white noise", three, self._over(noisy))
        yield Case("expected lines, 15 dB pink noise", three, self._over(replace(noisy, noise="pink")))
        clipped = Line(lead_s=0, clipped_s=0.05)
        yield Case("expected lines, first 50 ms lost", three, self._over(clipped))
        yield Case("expected lines, 2 packets lost", three, self._over(Line(lost_blocks=2)))
        for lead_s in (2.0, 5.0):
            behind = f"scenarios' lines behind {lead_s:.0f} s of silence"
            yield Case(behind, [*expected, *said], self._over(Line(lead_s=lead_s)))
        halves = [part for line in [*expected, *said] for part in sentences_of(line) if part != line]
        yield Case("halves of lines of two sentences", halves, self._over(Line()))
        yield Case("examples of moves, usual voice, clean", said, self._over(Line()))
        yield Case("expected lines, trained voices", expected * len(HEARD), self._in_turn(HEARD))
        yield Case("expected lines, **held-out voices**", expected * len(UNHEARD), self._in_turn(UNHEARD))

    def _of_new_sentences(self) -> Iterable[Case]:
        held_out, unseen = self._sentences.held_out(144), self._sentences.unseen
        yield Case("held-out sentences, usual voice, clean", held_out, self._over(Line()))
        yield Case("held-out sentences, trained voices", held_out, self._in_turn(HEARD))
        yield Case("held-out sentences, **held-out voices**", held_out, self._in_turn(UNHEARD))
        yield Case("sentences of no grammar, usual voice, clean", unseen, self._over(Line()))
        yield Case("sentences of no grammar, **held-out voices**", unseen * 3, self._in_turn(UNHEARD))
        rng = random.Random(5)
        numbers = [filled(slot, rng) for slot in ("phone", "address", "price", "time") * 12]
        yield Case("numbers and addresses, usual voice, clean", numbers, self._over(Line()))
        yield Case("numbers and addresses, **held-out voices**", numbers, self._in_turn(UNHEARD))

    def _of_turns(self) -> Iterable[Case]:
        backchannels = self._sentences.backchannels
        yield Case("backchannels alone, usual voice", backchannels, self._over(Line()))
        yield Case("backchannels alone, **held-out voices**", backchannels * 2, self._in_turn(UNHEARD))
        rng = random.Random(6)
        hesitating = [hesitant(text, rng) for text in self._sentences.held_out(48)]
        yield Case("fillers in held-out sentences, usual voice", hesitating, self._over(Line()))
        yield Case("fillers in held-out sentences, **held-out voices**", hesitating, self._in_turn(UNHEARD))
        yield self._interrupted("expected lines, cut off behind a word", self._sentences.expected)
        yield self._interrupted("held-out sentences, cut off behind a word", self._sentences.held_out(48))
        begun = [" ".join(t.split()[: len(t.split()) // 2 + 1]) for t in self._sentences.unseen]
        yield Case("first halves of sentences of no grammar", begun, self._over(Line()))

    def silent(self) -> dict[str, list[Samples]]:
        """Sounds in which nobody speaks."""
        levels = (-60, -40, -30, -20)
        return {
            "digital silence": [np.zeros(MODEL_RATE_HZ * s, np.float32) for s in (1, 2, 5)],
        } | {
            kind: [
                Line(level_dbfs=level, lead_s=0, trail_s=0).carry(
                    noise_of(kind, LINE_RATE_HZ * seconds, self._rng), self._rng
                )
                for level in levels
                for seconds in (1, 2, 4, 8)
            ]
            for kind in NOT_SPEECH
        }

    def _interrupted(self, name: str, lines: list[str]) -> Case:
        sounds: dict[str, Samples] = {}
        for line in lines:
            speech = self._studio.say(line, USUAL)
            position, start_ms = speech.word_starts[len(speech.word_starts) // 2]
            cut = self._studio.to_line_rate(speech, start_ms / 1000)
            sounds[line[:position].strip()] = Line().carry(cut, self._rng)
        return Case(name, list(sounds), sounds.__getitem__)

    def _over(self, line: Line, voice: Voice = USUAL) -> Callable[[str], Samples]:
        return lambda text: self._studio.speak(text, voice, line, self._rng)

    def _vad_segment(self, text: str) -> Samples:
        line = Line(
            level_dbfs=self._rng.uniform(-28, -15),
            lead_s=self._rng.uniform(0.2, 1.0),
            trail_s=self._rng.uniform(0.1, 0.6),
        )
        return self._studio.speak(text, USUAL, line, self._rng)

    def _in_turn(self, names: tuple[str, ...]) -> Callable[[str], Samples]:
        """Every voice speaks every so-manieth text, another one each time round."""
        calls = 0

        def speak(text: str) -> Samples:
            nonlocal calls
            voice = replace(USUAL, name=names[(calls + calls // len(names)) % len(names)])
            calls += 1
            return self._studio.speak(text, voice, Line(), self._rng)

        return speak


def print_spoken(recogniser: Recogniser, cases: Iterable[Case], errors: bool) -> None:
    """Prints a row per case, and below it what was misheard if `errors`."""
    print("| speech | n | WER % | exact % | no_speech_prob, highest | avg_logprob, lowest | CPU ms |")
    print("|---|---|---|---|---|---|---|")
    for case in cases:
        expected = [normalise(text) for text in case.texts]
        heard = [recogniser.hear(case.speak(text)) for text in case.texts]
        texts = [h.text for h in heard]
        wrong = [(want, got) for want, got in zip(expected, texts, strict=True) if want != got]
        no_speech_prob = np.nanmax([h.no_speech_prob for h in heard])
        avg_logprob = np.nanmin([h.avg_logprob for h in heard])
        print(
            f"| {case.name} | {len(texts)} | {100 * jiwer.wer(expected, texts):.1f} "
            f"| {100 - 100 * len(wrong) / len(texts):.0f} | {no_speech_prob:.2f} | {avg_logprob:.2f} "
            f"| {1000 * np.mean([h.cpu_s for h in heard]):.0f} |",
            flush=True,
        )
        for want, got in wrong if errors else []:
            print(f"    {want} -> {got}")


def print_silent(recogniser: Recogniser, cases: dict[str, list[Samples]]) -> None:
    """Prints how often nothing was heard where nothing was said."""
    print("| no speech | n | empty % | no_speech_prob, lowest | CPU ms |")
    print("|---|---|---|---|---|")
    for name, samples in cases.items():
        heard = [recogniser.hear(each) for each in samples]
        print(
            f"| {name} | {len(heard)} | {100 * np.mean([not h.text for h in heard]):.0f} "
            f"| {min(map(recogniser.no_speech_prob, samples)):.2f} "
            f"| {1000 * np.mean([h.cpu_s for h in heard]):.0f} |",
            flush=True,
        )


def main() -> None:
    """Prints both tables for one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/trainee-tiny"))
    parser.add_argument("--scenarios", type=Path, default=Path("scenarios"))
    parser.add_argument("--errors", action="store_true", help="print what was misheard")
    parser.add_argument("--whole-window", action="store_true", help="encode 30 s, as plain faster-whisper")
    arguments = parser.parse_args()
    recogniser = Recogniser(arguments.model, arguments.whole_window)
    cases = Cases(Sentences(arguments.scenarios), seed=7)
    print_spoken(recogniser, cases.spoken(), arguments.errors)
    print()
    print_silent(recogniser, cases.silent())


if __name__ == "__main__":
    main()
