"""ElevenLabs, the premium voices: paid by the character, therefore behind a budget.

https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps describes the request: one JSON
document a line, each with some sound in base64 and the times of the characters that were spoken in it.
Nothing is asked twice: on a telephone the next engine is quicker than a second try, and costs nothing.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import Speech, Voice
from audio.ulaw import decode
from pipelines.engines.budget import Budget, BudgetSpent, Purse
from pipelines.engines.remote import Answer, Remote, is_sendable, open_remote
from pipelines.engines.silence import TAIL_MS, audible_part, no_sound, says_nothing
from pipelines.engines.words import Reading, from_spans, in_proportion, read_out, split_words

NATURAL_RATE_WPM = Voice().rate_wpm
LONGEST_SPEECH_S = 60
SLOWEST, FASTEST = 0.7, 1.2
"""The rates of speech that ElevenLabs takes; 1 is natural."""

TAKES_LANGUAGE = ("eleven_flash_v2_5", "eleven_turbo_v2_5")
"""Models that can be told the language; others guess it from the text and may refuse to be told."""

_MAX_BYTES = 8_000_000
_NO_VOICE = ("voice_not_found", "voice_does_not_exist")


@dataclass(frozen=True, slots=True)
class ElevenLabsOptions:
    """Which model speaks, and how its sound is sent: `pcm_` or `ulaw_` and the rate in Hz."""

    model: str = "eleven_flash_v2_5"
    format: str = "pcm_8000"

    @property
    def rate_hz(self) -> int:
        """Of `format`."""
        return int(self.format.split("_")[1])


class _Alignment(BaseModel):
    characters: list[str]
    starts_s: list[float] = Field(alias="character_start_times_seconds")
    ends_s: list[float] = Field(alias="character_end_times_seconds")


class _Line(BaseModel):
    audio_base64: str | None = None
    alignment: _Alignment | None = None


class ElevenLabs:
    """The voices of one account; thread-safe. What it speaks is paid from its purse first."""

    engine = "elevenlabs"
    remote = True
    costs = True

    def __init__(
        self,
        service: Remote,
        options: ElevenLabsOptions,
        budget: Budget,
        purse: Purse,
        lost: set[str],
    ) -> None:
        """`lost` are the voices that the account turned out not to have; calls tell each other."""
        self.model = options.model
        self.budget = budget
        self._service = service
        self._options = options
        self._purse = purse
        self._lost = lost

    def for_call(self, voice: Voice) -> "ElevenLabs":
        """The same with the budget of one call.

        Raises EngineUnavailable for a persona that names no voice here, or when the budget is spent.
        """
        self._names(voice)
        if self.budget.is_spent:
            raise EngineUnavailable("the budget of the day is spent", hint="It is new at midnight UTC")
        purse = self.budget.for_call()
        return ElevenLabs(self._service, self._options, self.budget, purse, self._lost)

    def synthesise(self, text: str, voice: Voice) -> Speech:
        """Speaks with the first of the persona's voices that the account has, without the silence around it.

        `voice.pitch` has no effect. Raises BudgetSpent, EngineTimedOut and EngineFailed.
        """
        try:
            names = self._names(voice)
        except EngineUnavailable as error:
            raise EngineFailed(error.message, hint=error.hint) from error
        reading = read_out(text, voice.language)
        if says_nothing(reading):
            return no_sound(reading)
        for name in names:
            answer = self._ask(reading.text, name, voice)
            if answer.status == 200:
                return _speech(reading, _lines(answer), self._options)
            if (refusal := _status(answer)) not in _NO_VOICE:
                raise _refused(answer.status, refusal)
            self._lost.add(name)
        raise EngineFailed(
            f"ElevenLabs has not the voice {names[-1]}", hint="See GET /v1/voices, or the site"
        )

    def _names(self, voice: Voice) -> list[str]:
        if names := [name for name in voice.elevenlabs if name not in self._lost]:
            return names
        raise EngineUnavailable("the persona names no voice that ElevenLabs has", hint="See docs/voices.md")

    def _ask(self, text: str, name: str, voice: Voice) -> Answer:
        """Pays first. What was refused is given back; what may have been spoken, though not heard, is not."""
        body: dict[str, Any] = {"text": text, "model_id": self._options.model}
        speed = round(min(max(voice.rate_wpm / NATURAL_RATE_WPM, SLOWEST), FASTEST), 2)
        if speed != 1:
            body["voice_settings"] = {"speed": speed}
        if self._options.model in TAKES_LANGUAGE:
            body["language_code"] = voice.language
        self._purse.spend(len(text))
        answer = self._service.post(
            f"/v1/text-to-speech/{quote(name, safe='')}/stream/with-timestamps",
            body,
            query={"output_format": self._options.format},
            at_most_bytes=_MAX_BYTES,
        )
        if 400 <= answer.status < 500:
            self._purse.give_back(len(text))
        return answer


@contextmanager
def open_elevenlabs(
    url: str, key: str, options: ElevenLabsOptions, budget: Budget, answer_within_s: float
) -> Iterator[ElevenLabs]:
    """Shows the key to ElevenLabs, which costs nothing. Raises EngineUnavailable if it is refused."""
    if not is_sendable(key):
        raise EngineUnavailable(
            "ELEVENLABS_API_KEY is no key: it has spaces or strange characters", hint=_COPY
        )
    with open_remote(url, "ElevenLabs", answer_within_s, {"xi-api-key": key}) as service:
        try:
            answer = service.get("/v1/user/subscription", at_most_bytes=_MAX_BYTES)
        except EngineFailed as error:
            raise EngineUnavailable(error.message, hint="Check the network") from error
        # A key may be good for speech alone, and is then refused here with a reason of its own.
        if answer.status != 200 and _status(answer) != "missing_permissions":
            refused = _refused(answer.status, _status(answer))
            raise EngineUnavailable(refused.message, hint=refused.hint)
        yield ElevenLabs(service, options, budget, budget, set())


_COPY = "Copy it again from elevenlabs.io, Developers, API Keys"


def _status(answer: Answer) -> str:
    """The machine-readable reason of a refusal, "" if there is none: people's messages may quote the text."""
    try:
        detail = json.loads(answer.body).get("detail")
        reason = detail.get("status") or detail.get("code")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return reason if isinstance(reason, str) and re.fullmatch(r"[a-z_]{1,60}", reason) else ""


def _refused(status: int, reason: str) -> EngineFailed:
    """The error for an answer that is no sound, https://elevenlabs.io/docs/resources/errors."""
    what = f"{status} {reason}".rstrip()
    if status == 402 or reason == "quota_exceeded":
        return BudgetSpent("the quota of the ElevenLabs account is used up", hint="See its subscription page")
    if status == 401:
        return EngineFailed(f"ElevenLabs refuses ELEVENLABS_API_KEY ({what})", hint=_COPY)
    if status == 429:
        return EngineFailed(
            f"ElevenLabs takes no more requests at once ({what})", hint="See the plan's limit"
        )
    return EngineFailed(f"ElevenLabs refuses ({what})", hint="See docs/voices.md")


def _lines(answer: Answer) -> list[_Line]:
    try:
        return [_Line.model_validate_json(line) for line in answer.body.splitlines() if line.strip()]
    except ValidationError as error:
        raise EngineFailed("ElevenLabs sends what is not documented") from error


def _speech(reading: Reading, lines: Sequence[_Line], options: ElevenLabsOptions) -> Speech:
    rate_hz = options.rate_hz
    samples = _samples(lines, options)
    if samples.size > LONGEST_SPEECH_S * rate_hz:
        raise EngineFailed(f"ElevenLabs speaks for more than {LONGEST_SPEECH_S} s")
    part = audible_part(samples, rate_hz)
    samples = samples[part]
    end_ms = samples.size * 1000 // rate_hz
    words = reading.text.split()
    spans = _spans([line.alignment for line in lines if line.alignment], part.start * 1000 // rate_hz, end_ms)
    said = from_spans(words, spans) or in_proportion(words, 0, max(0, end_ms - TAIL_MS))
    return Speech(samples, rate_hz, reading.timed(said))


def _samples(lines: Sequence[_Line], options: ElevenLabsOptions) -> NDArray[np.int16]:
    try:
        sound = b"".join(base64.b64decode(line.audio_base64 or "", validate=True) for line in lines)
    except binascii.Error as error:
        raise EngineFailed("ElevenLabs sends sound that is not base64") from error
    if options.format.startswith("ulaw"):
        return decode(sound)
    if len(sound) % 2:
        raise EngineFailed("ElevenLabs sends half a sample")
    return np.frombuffer(sound, "<i2").astype(np.int16)


def _spans(alignments: Sequence[_Alignment], head_ms: int, end_ms: int) -> list[tuple[int, int]]:
    """Start and end of each word with a letter or digit, in ms of the sound behind `head_ms`; [] if odd.

    All times count from the beginning of the sound, also those of the later lines.
    """
    characters = list(chain.from_iterable(alignment.characters for alignment in alignments))
    starts = list(chain.from_iterable(alignment.starts_s for alignment in alignments))
    ends = list(chain.from_iterable(alignment.ends_s for alignment in alignments))
    if not len(characters) == len(starts) == len(ends) or any(len(one) != 1 for one in characters):
        return []
    if not all(0 <= a <= b for a, b in pairwise([0.0, *starts])) or not all(map(np.isfinite, ends)):
        return []

    def to_ms(seconds: float) -> int:
        return min(max(0, round(seconds * 1000) - head_ms), end_ms)

    return [
        (to_ms(starts[at]), max(to_ms(starts[at]), to_ms(ends[at + len(word) - 1])))
        for at, word in split_words("".join(characters))
        if any(character.isalnum() for character in word)
    ]
