"""A recogniser in another process that speaks OpenAI's audio API: vLLM, speaches, Groq, OpenAI itself.

It is asked with httpx rather than with the `openai` client: that one tries again by itself, twice, which a
telephone turn has no time for; it reads answers of any length; and its types know OpenAI's models alone,
while confidence comes from `verbose_json`, which each server fills in its own way.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

import io
import json
import math
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import RECOGNISER_RATE_HZ, Recogniser, Recognition
from pipelines.engines.hallucinations import Hypothesis, believable, is_sound, understood
from pipelines.engines.remote import Answer, Remote, open_remote

_PATH: Final = "audio/transcriptions"
_FIRST_WITHIN_S: Final = 10.0
"""For the first answer: a server may load its model for it."""
_ANSWER_BYTES: Final = 1 << 20
_NAMES: Final = {
    "arabic": "ar", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi",
    "hungarian": "hu", "italian": "it", "japanese": "ja", "korean": "ko", "norwegian": "no", "polish": "pl",
    "portuguese": "pt", "romanian": "ro", "russian": "ru", "spanish": "es", "swedish": "sv", "turkish": "tr",
    "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
"""OpenAI names the language it has found in English, others by its code."""


class SpeechServer:
    """One server for all calls and threads."""

    engine = "server"
    remote = True

    def __init__(self, remote: Remote, model: str, response_format: str) -> None:
        """`response_format` is verbose_json or json: see `find_format`."""
        self.model = model
        self._remote = remote
        self._format = response_format

    def for_call(
        self, scenario_version: str, expected_lines: Sequence[str], languages: Sequence[str] = ("en",)
    ) -> Recogniser:
        """A recogniser of any language: the server's model is not asked what it understands."""
        return SpeechServerCall(self, tuple(languages))

    def recognise(self, audio: NDArray[np.float32], languages: Sequence[str]) -> Recognition:
        """Understands float32 mono audio in [-1, 1] at 16 kHz. Raises EngineFailed, EngineTimedOut.

        One language is told to the server; of several it finds out by itself which is spoken.
        """
        if not is_sound(audio):
            return Recognition("", None)
        language = languages[0] if len(languages) == 1 else ""
        answer = ask(self._remote, audio, self.model, self._format, language)
        if answer.status != 200:
            raise EngineFailed(f"the speech-to-text server answers {_complaint(answer)}")
        return transcription(answer.body, audio.size / RECOGNISER_RATE_HZ, languages)


class SpeechServerCall:
    """Recogniser of one call."""

    engine = "server"
    remote = True

    def __init__(self, server: SpeechServer, languages: Sequence[str]) -> None:
        self.model = server.model
        self._server = server
        self._languages = languages

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """Understands float32 mono audio in [-1, 1] at 16 kHz. Raises EngineFailed."""
        return self._server.recognise(audio, self._languages)


@contextmanager
def open_speech_server(url: str, *, model: str, key: str, within_s: float) -> Iterator[SpeechServer]:
    """Tries the server at `url` (with its `/v1`) on a second of silence. Raises EngineUnavailable.

    `within_s` is for each later answer.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    name = "the speech-to-text server"
    with open_remote(url, name, max(within_s, _FIRST_WITHIN_S), headers) as patient:
        response_format = find_format(patient, model)
    with open_remote(url, name, within_s, headers) as remote:
        yield SpeechServer(remote, model, response_format)


def find_format(remote: Remote, model: str) -> str:
    """Which answers the server gives: verbose_json, with probabilities, or json. Raises EngineUnavailable."""
    silence = np.zeros(RECOGNISER_RATE_HZ, np.float32)
    for response_format in ("verbose_json", "json"):
        try:
            answer = ask(remote, silence, model, response_format, "")
            if answer.status == 200:
                transcription(answer.body, 1.0, ())
                return response_format
        except EngineFailed as error:
            raise EngineUnavailable(error.message, hint="Check speech_to_text.server_url") from error
        if answer.status not in (400, 415, 422):
            break
    hint = "Check speech_to_text.server_model"
    if answer.status in (401, 403):
        hint = "Check SPEECH_TO_TEXT_API_KEY"
    elif answer.status == 404:
        hint = "Check speech_to_text.server_url, which ends in /v1 for most servers, and .server_model"
    raise EngineUnavailable(f"the speech-to-text server answers {_complaint(answer)}", hint=hint)


def ask(
    remote: Remote, audio: NDArray[np.float32], model: str, response_format: str, language: str
) -> Answer:
    """Sends one utterance; there is no second try. Raises EngineFailed, EngineTimedOut."""
    fields = {"model": model, "response_format": response_format, "temperature": "0"}
    if language:
        fields["language"] = language
    files = {"file": ("turn.wav", wav(audio), "audio/wav")}
    return remote.post_form(_PATH, fields, files, at_most_bytes=_ANSWER_BYTES)


def wav(audio: NDArray[np.float32]) -> bytes:
    """Float32 in [-1, 1] at 16 kHz as a WAV file of 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RECOGNISER_RATE_HZ)
        writer.writeframes(np.clip(audio * 32_767, -32_768, 32_767).astype("<i2").tobytes())
    return file.getvalue()


def transcription(body: bytes, seconds: float, languages: Sequence[str]) -> Recognition:
    """Reads the answer to `seconds` of sound in one of `languages`. Raises EngineFailed if it is none.

    With segments in it, each is believed or not, and the confidence is that of their tokens; without, there
    is no confidence.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineFailed("the speech-to-text server answers with what is not JSON") from error
    text = document.get("text") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise EngineFailed("the speech-to-text server answers without a text")
    language = _language(document.get("language"), languages)
    segments = document.get("segments")
    if isinstance(segments, list) and segments:
        hypotheses = [_hypothesis(segment, seconds) for segment in segments]
        whole = [each for each in hypotheses if each is not None]
        if len(whole) == len(segments):
            return understood(whole, language)
    said = believable(Hypothesis(text, seconds, 0, 0.0, 0.0))
    return Recognition(said, None, language) if said else Recognition("", None)


def _hypothesis(segment: Any, seconds: float) -> Hypothesis | None:
    if not isinstance(segment, dict) or not isinstance(segment.get("text"), str):
        return None
    probability = _number(segment, "avg_logprob")
    if probability is None:
        return None
    tokens = segment.get("tokens")
    count = len(tokens) if isinstance(tokens, list) and tokens else len(segment["text"].split())
    return Hypothesis(segment["text"], seconds, count, probability, _number(segment, "no_speech_prob") or 0.0)


def _number(segment: Mapping[str, Any], name: str) -> float | None:
    value = segment.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _language(found: Any, languages: Sequence[str]) -> str:
    if len(languages) == 1:
        return languages[0]
    name = found.lower() if isinstance(found, str) else ""
    code = _NAMES.get(name, name)
    return code if code in languages else ""


def _complaint(answer: Answer) -> str:
    """The status and the beginning of what the server says about it, in one line."""
    if answer.status in (401, 403):
        # What is said about a key may quote it.
        return f"{answer.status}: it does not take the key"
    said = answer.body[:200].decode("utf-8", "replace")
    try:
        document = json.loads(answer.body)
        said = document["error"]["message"] if "error" in document else document["detail"]
    except (ValueError, RecursionError, TypeError, KeyError):
        pass
    line = " ".join(str(said).split())[:200]
    return f"{answer.status}: {line}" if line else str(answer.status)
