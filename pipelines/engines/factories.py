"""How each engine is loaded: one table for each part, best engine first.

An engine's package is imported by its factory, so that one which is not used need not be installed.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from agent.errors import EngineUnavailable
from agent.speech import Synthesiser
from pipelines.engines.hub import why_unreachable
from pipelines.engines.loading import (
    PIPER_VOICE,
    Factory,
    NotConfigured,
    Recognisers,
    RecogniserSettings,
    Rung,
    SynthesiserSettings,
)

if TYPE_CHECKING:
    from pipelines.engines.piper import Piper


def _server(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    if not settings.server_url:
        raise NotConfigured(
            "no speech-to-text server is set", hint="Set speech_to_text.server_url, or choose another engine"
        )
    from pipelines.engines.speech_server import open_speech_server

    server = resources.enter_context(
        open_speech_server(
            settings.server_url,
            model=settings.server_model,
            key=settings.server_key,
            within_s=settings.server_within_s,
        )
    )
    return Rung(server, f"answers at {settings.server_url}")


def _whisper(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    from pipelines.engines.whisper_models import choose_device, find_model

    device = choose_device(settings.device)
    others = [language for language in settings.languages if language != "en"]
    found = find_model(
        settings.model,
        settings.models_folder,
        device=device,
        language=others[0] if others else "en",
        allow_download=settings.allow_download,
        hub=settings.hub,
    )
    from pipelines.engines.whisper import Whisper, WhisperOptions

    options = WhisperOptions(device, settings.cpu_threads, settings.parallel, settings.padding_s)
    whisper = Whisper(found.folder, found.name, options)
    return Rung(whisper, f"{found.origin}, runs on {device}")


def _sphinx(settings: RecogniserSettings, resources: ExitStack) -> Rung[Recognisers]:
    if "en" not in settings.languages:
        raise EngineUnavailable(
            f"PocketSphinx comes with a model of English only, not of {' or '.join(settings.languages)}",
            hint="Use whisper",
        )
    from pipelines.engines.sphinx import open_sphinx

    return Rung(resources.enter_context(open_sphinx()), "built in, understands the scenario's own lines")


def _piper(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    from pipelines.engines.piper_voices import fetch_voice, voices_on_disk

    folder = settings.models_folder
    on_disk = voices_on_disk(folder)
    personas = settings.voices or (tuple(on_disk[:1]) or (PIPER_VOICE,),)
    missing = [names[0] for names in personas if not any(name in on_disk for name in names)]
    if missing:
        lacking = f"the Piper voice {missing[0]} is not in {folder}"
        if not settings.allow_download:
            raise EngineUnavailable(lacking, hint="Put it there, or allow downloads")
        if obstacle := why_unreachable(settings.hub):
            raise EngineUnavailable(f"{lacking}, and {obstacle}", hint="Put it there, or go online once")
    from pipelines.engines.piper import Piper

    for name in missing:
        fetch_voice(folder, name, hub=settings.hub)
    there = [[name for name in names if name in on_disk or name in missing] for names in personas]
    piper = Piper(folder, there[0][0], settings.cpu_threads)
    for names in there:
        _load_one(piper, names)
    return Rung(piper, f"downloaded to {folder}" if missing else f"found in {folder}")


def _load_one(piper: "Piper", names: Sequence[str]) -> None:
    """The first of a persona's voices that can be loaded. Raises EngineUnavailable if none can."""
    for name in names[:-1]:
        try:
            piper.load(name)
        except EngineUnavailable:
            continue
        return
    piper.load(names[-1])


def _coqui(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    if not settings.coqui_url:
        raise NotConfigured("no address of a Coqui server is set", hint="Set text_to_speech.coqui_url")
    from pipelines.engines.coqui import open_coqui

    url = settings.coqui_url
    coqui = resources.enter_context(open_coqui(url, settings.coqui_token, settings.remote_within_s))
    return Rung(coqui, f"ready at {url}")


def _elevenlabs(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    if not settings.elevenlabs_key:
        raise NotConfigured("there is no key of ElevenLabs", hint="Set ELEVENLABS_API_KEY")
    daily, call = settings.elevenlabs_daily_characters, settings.elevenlabs_call_characters
    if not daily or not call:
        raise EngineUnavailable(
            "ElevenLabs has no budget",
            hint="Set text_to_speech.elevenlabs_daily_characters and .elevenlabs_call_characters",
        )
    from pipelines.engines.budget import Budget
    from pipelines.engines.elevenlabs import ElevenLabsOptions, open_elevenlabs

    elevenlabs = resources.enter_context(
        open_elevenlabs(
            settings.elevenlabs_url,
            settings.elevenlabs_key,
            ElevenLabsOptions(settings.elevenlabs_model, settings.elevenlabs_format),
            Budget(daily, call, settings.elevenlabs_price_per_1000),
            settings.remote_within_s,
        )
    )
    return Rung(elevenlabs, f"the key is good, up to {daily} characters a day")


def _espeak(settings: SynthesiserSettings, resources: ExitStack) -> Rung[Synthesiser]:
    from pipelines.engines.espeak import open_espeak

    return Rung(resources.enter_context(open_espeak()), "built in")


RECOGNISERS: dict[str, Factory[RecogniserSettings, Recognisers]] = {
    "server": _server,
    "whisper": _whisper,
    "sphinx": _sphinx,
}
SYNTHESISERS: dict[str, Factory[SynthesiserSettings, Synthesiser]] = {
    "elevenlabs": _elevenlabs,
    "coqui": _coqui,
    "piper": _piper,
    "espeak": _espeak,
}
