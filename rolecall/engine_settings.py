"""The settings of the speech engines, without loading any of them."""

from collections.abc import Mapping

from agent.scenario import Scenario
from pipelines.engines.ladder import RecogniserSettings, SynthesiserSettings
from rolecall.settings import Settings

SPEECH_THREADS = 2
"""Utterances that are recognised or spoken at the same time."""


def recogniser_settings(settings: Settings) -> RecogniserSettings:
    """The recogniser's part of the settings."""
    return RecogniserSettings(
        models_folder=settings.models.folder,
        engine=settings.speech_to_text.engine,
        model=settings.speech_to_text.model,
        language=settings.speech_to_text.language,
        allow_download=settings.models.allow_download,
        cpu_threads=settings.speech_to_text.cpu_threads,
        parallel=SPEECH_THREADS,
    )


def synthesiser_settings(settings: Settings, scenarios: Mapping[str, Scenario]) -> SynthesiserSettings:
    """The synthesiser's part of the settings, with the voices that the scenarios name."""
    voices = {scenario.persona.voice.piper for scenario in scenarios.values()}
    return SynthesiserSettings(
        models_folder=settings.models.folder,
        engine=settings.text_to_speech.engine,
        voices=tuple(sorted(voices - {""})),
        allow_download=settings.models.allow_download,
    )
