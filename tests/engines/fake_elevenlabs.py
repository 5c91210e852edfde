"""An ElevenLabs on loopback: streams tones with character times, and refuses as the real one documents it.

https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps
https://help.elevenlabs.io/hc/en-us/articles/19572237925521-API-Error-Code-400-or-401
"""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from audio.ulaw import encode
from tests.engines.fake_http import Asked, Behaviour, FakeService, open_fake_service, sends

KEY = "sk_fake_0123456789abcdef"
LEAD_S = 0.2
"""Silence before the first character."""

CHARACTER_S = 0.05


@dataclass
class FakeElevenLabs:
    """`misbehave` replaces its answers to requests for speech, from the next one on."""

    service: FakeService
    voices: Sequence[str] = ("rachel", "adam")
    misbehave: Behaviour | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    account: Behaviour = field(default_factory=lambda: sends(200, b'{"tier":"creator"}'))

    @property
    def spoken(self) -> list[str]:
        """The texts that were sent."""
        return [str(body["text"]) for body in self.bodies]

    def behave(self, asked: Asked) -> None:
        """Answers one request."""
        url = urlsplit(asked.path)
        if asked.headers["xi-api-key"] != KEY:
            refusal("invalid_api_key", 401)(asked)
        elif asked.command == "GET":
            self.account(asked)
        else:
            self.bodies.append(json.loads(asked.body))
            self.queries.append(parse_qs(url.query))
            self.speak(asked, url.path.split("/")[3])

    def speak(self, asked: Asked, voice: str) -> None:
        """Streams the text as two lines of JSON with an empty one between them."""
        if self.misbehave:
            self.misbehave(asked)
        elif voice not in self.voices:
            refusal("voice_not_found", 404)(asked)
        else:
            lines = lines_of(self.spoken[-1], self.queries[-1]["output_format"][0])
            asked.answer(200, b"\n\n".join(lines) + b"\n", Content_Type="application/json")


def refusal(status: str, code: int) -> Behaviour:
    """A refusal whose message, as theirs may, says more than should be logged."""
    detail = {"status": status, "message": f"You sent {KEY} to say Good morning."}
    return sends(code, json.dumps({"detail": detail}).encode(), Content_Type="application/json")


def lines_of(text: str, output_format: str) -> list[bytes]:
    """The answer for `text`: each character but the spaces is a tone of 50 ms; all times from the start."""
    kind, rate = output_format.split("_")
    size = int(int(rate) * CHARACTER_S)
    tone = (8000 * np.sin(np.arange(size) * 2 * np.pi * 440 / int(rate))).astype(np.int16)
    pieces = [np.zeros_like(tone) if character == " " else tone for character in text]
    silence = np.zeros(int(int(rate) * LEAD_S), np.int16)
    middle = len(text) // 2
    halves = (np.concatenate([silence, *pieces[:middle]]), np.concatenate([*pieces[middle:], silence]))
    return [
        json.dumps(
            {
                "audio_base64": base64.b64encode(
                    encode(half) if kind == "ulaw" else half.astype("<i2").tobytes()
                ).decode(),
                "alignment": alignment(text, first, last),
                "normalized_alignment": alignment(text, first, last),
            }
        ).encode()
        for half, first, last in zip(halves, (0, middle), (middle, len(text)), strict=True)
    ]


def alignment(text: str, first: int, last: int) -> dict[str, list[Any]]:
    """The times of the characters from `first` to `last`."""
    return {
        "characters": list(text[first:last]),
        "character_start_times_seconds": [LEAD_S + CHARACTER_S * at for at in range(first, last)],
        "character_end_times_seconds": [LEAD_S + CHARACTER_S * (at + 1) for at in range(first, last)],
    }


@contextmanager
def open_fake_elevenlabs() -> Iterator[FakeElevenLabs]:
    """Runs until the end of the block."""
    with open_fake_service(sends(500, b"")) as service:
        fake = FakeElevenLabs(service)
        service.behave = fake.behave
        yield fake
