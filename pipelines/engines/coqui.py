"""Coqui, a server of ours for XTTS and VITS voices in a process of its own (deploy/coqui)."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import Speech, Voice
from pipelines.engines.remote import Answer, Remote, is_sendable, open_remote
from pipelines.engines.silence import TAIL_MS, audible_part, no_sound, says_nothing
from pipelines.engines.words import Reading, in_proportion, read_out

NATURAL_RATE_WPM = Voice().rate_wpm
LONGEST_SPEECH_S = 60
RATES_HZ = range(8_000, 48_001)
SLOWEST, FASTEST = 0.5, 2.0
"""The rates of speech that the server takes; 1 is natural."""

_MAX_BYTES = LONGEST_SPEECH_S * RATES_HZ[-1] * 2
_MAX_LISTING_BYTES = 1_000_000


class Offer(BaseModel):
    """What a server lists under /v1/voices."""

    model: str = Field(min_length=1)
    voices: frozenset[str]
    languages: tuple[str, ...]


class Coqui:
    """The voices of one server; thread-safe."""

    engine = "coqui"
    remote = True
    costs = False

    def __init__(self, service: Remote, offer: Offer) -> None:
        self.model = offer.model
        self._service = service
        self._languages = offer.languages
        self._voices = set(offer.voices)

    def for_call(self, voice: Voice) -> "Coqui":
        """Itself. Raises EngineUnavailable for a persona that names no voice of this server."""
        self._names(voice)
        return self

    def synthesise(self, text: str, voice: Voice) -> Speech:
        """Speaks with the first of the persona's voices that the server has; word times are in proportion.

        At the model's own rate, without the silence around the sound. `voice.pitch` has no effect.
        Raises EngineTimedOut and EngineFailed.
        """
        try:
            names = self._names(voice)
        except EngineUnavailable as error:
            raise EngineFailed(error.message, hint=error.hint) from error
        reading = read_out(text, voice.language)
        if says_nothing(reading):
            return no_sound(reading)
        for name in names:
            body = {
                "text": reading.text,
                "voice": name,
                "language": self._language(voice),
                "rate": min(max(voice.rate_wpm / NATURAL_RATE_WPM, SLOWEST), FASTEST),
            }
            answer = self._service.post("/v1/speech", body, at_most_bytes=_MAX_BYTES)
            if answer.status != 404:
                return _speech(reading, answer)
            self._voices.discard(name)
        raise EngineFailed(f"Coqui has lost the voice {names[-1]}", hint="GET /v1/voices lists what it has")

    def _names(self, voice: Voice) -> list[str]:
        if names := [name for name in voice.coqui if name in self._voices]:
            return names
        wanted = ", ".join(voice.coqui)
        raise EngineUnavailable(
            f"Coqui has no voice named {wanted}" if wanted else "the persona names no voice of Coqui",
            hint="GET /v1/voices lists what it has",
        )

    def _language(self, voice: Voice) -> str:
        """As the server names it: zh-cn for zh. A model of one language is not told which."""
        if len(self._languages) < 2:
            return ""
        same = (name for name in self._languages if name.split("-")[0] == voice.language)
        return next(same, voice.language)


@contextmanager
def open_coqui(url: str, token: str, answer_within_s: float) -> Iterator[Coqui]:
    """Asks the server whether it is ready, and for its voices. Raises EngineUnavailable if it is not."""
    if not is_sendable(token):
        raise EngineUnavailable("COQUI_TOKEN is no token: it has spaces or strange characters", hint=_SEE)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with open_remote(url, "Coqui", answer_within_s, headers) as service:
        try:
            if (status := service.get("/ready", at_most_bytes=_MAX_LISTING_BYTES).status) != 200:
                raise EngineUnavailable(f"Coqui at {url} is not ready ({status})", hint=_SEE)
            offer = _offer(service.get("/v1/voices", at_most_bytes=_MAX_LISTING_BYTES))
        except EngineFailed as error:
            raise EngineUnavailable(f"Coqui at {url} cannot be used: {error.message}", hint=_SEE) from error
        yield Coqui(service, offer)


_SEE = "See deploy/coqui/README.md, and text_to_speech.coqui_url in config.yaml"


def _offer(answer: Answer) -> Offer:
    if answer.status != 200:
        raise EngineFailed(_refusal(answer.status))
    try:
        return Offer.model_validate_json(answer.body)
    except ValidationError as error:
        raise EngineFailed("its list of voices is none") from error


def _refusal(status: int) -> str:
    known = {401: "it refuses COQUI_TOKEN", 422: "it refuses the text", 503: "it has too much to do"}
    return known.get(status, f"it answers with status {status}")


def _speech(reading: Reading, answer: Answer) -> Speech:
    if answer.status != 200:
        raise EngineFailed(f"Coqui did not speak: {_refusal(answer.status)}")
    rate = answer.headers.get("x-sample-rate-hz", "")
    rate_hz = int(rate) if rate.isascii() and rate.isdigit() and len(rate) < 7 else 0
    if answer.media_type != "audio/pcm" or rate_hz not in RATES_HZ or len(answer.body) % 2:
        raise EngineFailed(
            "Coqui's answer is no sound", hint="Is text_to_speech.coqui_url really a Coqui server?"
        )
    samples = np.frombuffer(answer.body, "<i2").astype(np.int16)
    if samples.size > LONGEST_SPEECH_S * rate_hz:
        raise EngineFailed(f"Coqui speaks for more than {LONGEST_SPEECH_S} s")
    samples = samples[audible_part(samples, rate_hz)]
    end_ms = max(0, samples.size * 1000 // rate_hz - TAIL_MS)
    return Speech(samples, rate_hz, reading.timed(in_proportion(reading.text.split(), 0, end_ms)))
