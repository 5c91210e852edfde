"""The settings of the engines, without loading any of them."""

import os
from collections.abc import Mapping

from pydantic import SecretStr

from agent.errors import ConfigError
from agent.scenario import Scenario
from graphs.ladder import WordingSettings
from pipelines.engines.loading import RecogniserSettings, StreamingSettings, SynthesiserSettings
from rolecall.model_hub import hub_of
from rolecall.settings import Settings

REMOTE_THREADS = 16
"""Utterances that other processes may work on at the same time."""

SPEECH_THREADS = 2
"""Utterances that are recognised or spoken at the same time."""

TURN_THREADS = 2
"""Pauses that are judged at the same time; one takes 50 ms."""


def recogniser_settings(
    settings: Settings, scenarios: Mapping[str, Scenario] | None = None
) -> RecogniserSettings:
    """The recogniser's part of the settings, with the languages that the scenarios need."""
    hearing = settings.speech_to_text
    spoken = [language for each in (scenarios or {}).values() for language in each.spoken_languages]
    return RecogniserSettings(
        models_folder=settings.models.folder,
        engine=hearing.engine,
        model=hearing.model,
        languages=tuple(dict.fromkeys(spoken)) or ("en",),
        allow_download=settings.models.allow_download,
        hub=hub_of(settings),
        cpu_threads=hearing.cpu_threads or threads_per_recognition(os.cpu_count() or 1),
        parallel=SPEECH_THREADS,
        padding_s=hearing.padding_s,
        server_url=hearing.server_url,
        server_model=hearing.server_model,
        server_key=_secret(settings.speech_to_text_api_key),
        server_within_s=hearing.answer_timeout_s,
    )


def threads_per_recognition(cores: int) -> int:
    """Threads that work on one utterance: Whisper's encoder gains little beyond four.

    On a small machine two utterances may want the same cores; one alone is understood sooner.
    """
    return min(cores, max(2, min(4, cores // 4)))


def streaming_settings(settings: Settings) -> StreamingSettings | None:
    """The service that listens along, None if there is none. Raises ConfigError if it lacks its key."""
    hearing = settings.speech_to_text
    if hearing.streaming == "none":
        return None
    keys = {"deepgram": settings.deepgram_api_key, "assemblyai": settings.assemblyai_api_key}
    key = _secret(keys[hearing.streaming])
    if not key:
        name = f"{hearing.streaming.upper()}_API_KEY"
        raise ConfigError(
            f"speech_to_text.streaming is {hearing.streaming}, but {name} is not set", hint=f"Set {name}"
        )
    return StreamingSettings(hearing.streaming, key, hearing.streaming_model)


def synthesiser_settings(settings: Settings, scenarios: Mapping[str, Scenario]) -> SynthesiserSettings:
    """The synthesiser's part of the settings, with the voices that the scenarios name."""
    speaking = settings.text_to_speech
    voices = {scenario.persona.voice.piper for scenario in scenarios.values()}
    return SynthesiserSettings(
        models_folder=settings.models.folder,
        engine=speaking.engine,
        voices=tuple(sorted(voices - {()})),
        allow_download=settings.models.allow_download,
        hub=hub_of(settings),
        remote_within_s=speaking.answer_timeout_s,
        coqui_url=speaking.coqui_url,
        coqui_token=_secret(settings.coqui_token),
        elevenlabs_url=speaking.elevenlabs_url,
        elevenlabs_key=_secret(settings.elevenlabs_api_key),
        elevenlabs_model=speaking.elevenlabs_model,
        elevenlabs_format=speaking.elevenlabs_format,
        elevenlabs_daily_characters=speaking.elevenlabs_daily_characters,
        elevenlabs_call_characters=speaking.elevenlabs_call_characters,
        elevenlabs_price_per_1000=speaking.elevenlabs_price_per_1000,
    )


def wording_settings(settings: Settings) -> WordingSettings:
    """Which models word what the persona says."""
    wording = settings.wording
    return WordingSettings(
        engine=wording.engine,
        server_url=wording.server_url,
        server_model=wording.server_model,
        server_key=_secret(settings.wording_api_key),
        ollama_host=settings.ollama_host,
        ollama_model=settings.ollama_model,
        answer_timeout_s=wording.answer_timeout_s,
    )


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
