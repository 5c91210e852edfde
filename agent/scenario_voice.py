"""How a scenario writes a voice, and what a feeling does to it."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, StringConstraints

from agent.speech import Voice


class Part(BaseModel):
    """A part of a scenario file: unknown fields and wrong types are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Names = Annotated[tuple[_Name, ...], BeforeValidator(_as_list), Field(strict=False, max_length=8)]


class VoiceSettings(Part):
    """The fields of `agent.speech.Voice` as a scenario writes them: one name, or several, best first."""

    espeak: Annotated[Names, Field(min_length=1)] = ("en-us",)
    piper: Names = ()
    coqui: Names = ()
    elevenlabs: Names = ()
    rate_wpm: Annotated[int, Field(ge=80, le=400)] = 170
    pitch: Annotated[int, Field(ge=0, le=99)] = 50
    energy: Annotated[int, Field(ge=0, le=99)] = 50
    pause_ms: Annotated[int, Field(ge=0, le=1500)] = 0


class VoiceChange(Part):
    """How far a feeling moves the voice at its full level.

    `rate` in percent, `pitch` and `energy` in points; `pause_ms` is added between sentences.
    """

    rate: Annotated[int, Field(ge=-30, le=30)] = 0
    pitch: Annotated[int, Field(ge=-40, le=40)] = 0
    energy: Annotated[int, Field(ge=-50, le=50)] = 0
    pause_ms: Annotated[int, Field(ge=-1500, le=1500)] = 0


class Speaking(Part):
    """Somebody with a voice."""

    sound: VoiceSettings = Field(alias="voice", default=VoiceSettings())
    _language: str = PrivateAttr("en")

    @property
    def voice(self) -> Voice:
        """The voice, in the scenario's language."""
        return Voice(**self.sound.model_dump(), language=self._language)

    def speaks(self, language: str) -> None:
        """Names the language (ISO 639) of the scenario that this is a part of."""
        self._language = language
