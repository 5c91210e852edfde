"""How a scenario writes the line: what the network and the place of the persona do to their voice."""

from typing import Annotated, Literal

from pydantic import Field

from agent.scenario_voice import Part

Band = Literal["telephone", "mobile", "radio"]
Bed = Literal["street", "office", "cafe", "car", "rain", "hiss", "siren"]

_Percent = Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)]
_PerMinute = Annotated[float, Field(ge=0, le=20, allow_inf_nan=False)]
_Dbfs = Annotated[float, Field(ge=-70, le=-20, allow_inf_nan=False)]


class Noise(Part):
    """What is heard behind the persona, all the call; `dbfs` is its level (RMS). A voice has about -20."""

    bed: Bed
    dbfs: _Dbfs = -45.0


class Loss(Part):
    """Packets of 20 ms that never come: `percent` of them, `burst_ms` in a row on average."""

    percent: _Percent
    burst_ms: Annotated[int, Field(ge=20, le=500)] = 20


class Dropouts(Part):
    """Stretches in which the voice is gone, per minute of speech, at random; each `ms` long."""

    per_minute: _PerMinute
    ms: Annotated[int, Field(ge=20, le=5_000)] = 400


class LineSetting(Part):
    """What the line does to the persona's voice on its way to the trainee; what is left out it does not do.

    `jitter_ms`: by how much the voice comes late at the most, when the ear's buffer runs dry.
    """

    band: Band | None = None
    noise: Noise | None = None
    loss: Loss | None = None
    jitter_ms: Annotated[int, Field(ge=0, le=200)] = 0
    dropouts: Dropouts | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the line does nothing."""
        return not self.plain()

    def plain(self) -> dict[str, str | float]:
        """Returns what the line does, under the names of `audio.realism.LineRealismSettings`."""
        values: dict[str, str | float] = {}
        if self.band:
            values["band"] = self.band
        if self.noise:
            values |= {"bed": self.noise.bed, "bed_dbfs": self.noise.dbfs}
        if self.loss and self.loss.percent:
            values |= {"loss_percent": self.loss.percent, "loss_burst_ms": self.loss.burst_ms}
        if self.jitter_ms:
            values["jitter_ms"] = self.jitter_ms
        if self.dropouts and self.dropouts.per_minute:
            values |= {"dropouts_per_minute": self.dropouts.per_minute, "dropout_ms": self.dropouts.ms}
        return values


__all__ = ["Band", "Bed", "Dropouts", "LineSetting", "Loss", "Noise"]
