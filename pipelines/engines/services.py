"""Recognisers that listen along: services which are sent the sound of a call as it comes.

They are Pipecat's own classes, put into the pipeline before the trainee's listener. Each stays a rung above
the engines of the ladder: what it says is taken as the trainee's words, and where it says nothing the
listener recognises the turn itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pipecat.frames.frames import InterimTranscriptionFrame, TranscriptionFrame
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language

from agent.errors import ConfigError, EngineUnavailable
from agent.speech import Recognition
from pipelines.engines.loading import StreamingSettings

if TYPE_CHECKING:
    import asyncio

_DEEPGRAM_MODEL: Final = "nova-3"
_ASSEMBLYAI_URL: Final = "wss://streaming.assemblyai.com/v3/ws"


class _ConnectsInBackground(STTService):
    """Pipecat's services connect while the pipeline is set up, and wait for it.

    A service that is away would keep the persona from picking up, for seconds. What is said before the
    connection stands is not sent.
    """

    _connecting: "asyncio.Task[None] | None" = None

    # Each service has these two, their common base has not.
    async def _connect(self) -> None:
        self._connecting = self.create_task(super()._connect(), "connecting")  # type: ignore[misc]

    async def _disconnect(self) -> None:
        if self._connecting:
            await self.cancel_task(self._connecting)
            self._connecting = None
        await super()._disconnect()  # type: ignore[misc]


def streaming_service(settings: StreamingSettings, languages: Sequence[str]) -> STTService:
    """One call's service, for `languages` (ISO 639); it connects when the pipeline is set up.

    It sends everything it hears, and is told by Pipecat's VAD frames when the trainee falls silent. Raises
    ConfigError for a service or language that there is not, EngineUnavailable if its package is missing.
    """
    factory = SERVICES.get(settings.service)
    if factory is None:
        raise ConfigError(
            f"there is no streaming service {settings.service!r}", hint=f"Choose {' or '.join(SERVICES)}"
        )
    try:
        return factory(settings, _languages(languages))
    except ImportError as error:
        raise EngineUnavailable(
            f"the package of {settings.service} is not installed: {error}",
            hint=f"Run uv sync --extra {settings.service}",
        ) from error


def recognition_of(frame: TranscriptionFrame | InterimTranscriptionFrame) -> Recognition:
    """What a service's frame says, with the confidence that the service itself gives, else None.

    Deepgram gives one for the whole text; of AssemblyAI's words it is the mean.
    """
    # AssemblyAI's class says English where the service has not said which language it heard.
    found = getattr(frame.result, "language_code", frame.language)
    language = str(found or "").partition("-")[0]
    text = " ".join(frame.text.split())
    return Recognition(text, _confidence(frame.result) if text else None, language)


def _deepgram(settings: StreamingSettings, languages: Sequence[Language]) -> STTService:
    from pipecat.services.deepgram.stt import DeepgramSTTService

    class Deepgram(_ConnectsInBackground, DeepgramSTTService):
        pass

    return Deepgram(
        api_key=settings.key,
        base_url=settings.url,
        # What trainees say is nobody's training data.
        mip_opt_out=True,
        settings=DeepgramSTTService.Settings(
            model=settings.model or _DEEPGRAM_MODEL,
            language=languages[0] if len(languages) == 1 else "multi",
        ),
    )


def _assemblyai(settings: StreamingSettings, languages: Sequence[Language]) -> STTService:
    from pipecat.services.assemblyai.stt import AssemblyAISTTService

    chosen = AssemblyAISTTService.Settings(language_codes=list(languages))
    if settings.model:
        chosen.model = settings.model

    class AssemblyAI(_ConnectsInBackground, AssemblyAISTTService):
        pass

    return AssemblyAI(
        api_key=settings.key, api_endpoint_base_url=settings.url or _ASSEMBLYAI_URL, settings=chosen
    )


def _languages(names: Sequence[str]) -> list[Language]:
    try:
        return [Language(name) for name in names]
    except ValueError as error:
        raise ConfigError(
            f"{error} for Pipecat's services", hint="Use an ISO 639 code such as en in the scenario"
        ) from error


def _confidence(result: Any) -> float | None:
    """Reads the services' own answers, whose classes are not installed with every service."""
    channel = getattr(result, "channel", None)
    if alternatives := getattr(channel, "alternatives", None):
        return _probability(getattr(alternatives[0], "confidence", None))
    words = [_probability(getattr(word, "confidence", None)) for word in getattr(result, "words", None) or ()]
    known = [each for each in words if each is not None]
    return sum(known) / len(known) if known else None


def _probability(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


SERVICES: Mapping[str, Callable[[StreamingSettings, Sequence[Language]], STTService]] = {
    "deepgram": _deepgram,
    "assemblyai": _assemblyai,
}
