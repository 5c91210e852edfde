"""Which engines the front end of a call uses: those of the settings, or the best that are here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.errors import EngineUnavailable
from agent.events import Part
from agent.ladder import Chosen
from audio.front_end import FrontEndSettings
from audio.processor import FilterSettings
from audio.speexdsp import SpeexDsp, open_speexdsp
from rolecall.settings import Audio

_NO_SPEEX: Final = "libspeexdsp is not installed"
_INSTALL: Final = "Install it (Debian and Ubuntu: apt install libspeexdsp1), or choose auto"
_REASONS: Final = {
    "speex": "libspeexdsp is installed",
    "adaptive": "built in",
    "spectral": "built in",
    "noisereduce": "installed",
}
_AUTO: Final[Mapping[Part, tuple[str, ...]]] = {
    "echo_cancellation": ("speex", "adaptive"),
    "noise_reduction": ("speex", "spectral"),
}
"""Best first, by benchmarks/audio.py; the last is always there."""
_FILTERS: Final[Mapping[Part, str]] = {"echo_cancellation": "echo", "noise_reduction": "noise"}


@dataclass(frozen=True, slots=True)
class ChosenFrontEnd:
    """The settings of every call's front end, and the rung of each of its engines."""

    settings: FrontEndSettings
    rungs: tuple[Chosen[Any], ...]


def choose_front_end(audio: Audio, library: Callable[[], SpeexDsp | None] = open_speexdsp) -> ChosenFrontEnd:
    """Raises EngineUnavailable if an engine that the settings name is not here."""
    speex_is_here = library() is not None
    echo = _choose("echo_cancellation", audio.echo_canceller, speex_is_here)
    noise = _choose("noise_reduction", audio.noise_reducer, speex_is_here)
    filters = FilterSettings(
        filters=audio.filters,
        echo_canceller=echo.name,
        noise_reducer=noise.name,
        noise_reduction_for=audio.noise_reduction_for,
    )
    rungs = tuple(rung for rung in (echo, noise) if _FILTERS[rung.part] in audio.filters)
    return ChosenFrontEnd(FrontEndSettings(audio.concealment, filters), rungs)


def _choose(part: Part, wish: str, speex_is_here: bool) -> Chosen[str]:
    if wish != "auto":
        if wish == "speex" and not speex_is_here:
            raise EngineUnavailable(f"speex cannot be used for {part}: {_NO_SPEEX}", hint=_INSTALL)
        return Chosen(part, wish, wish, "", f"named in the settings; {_REASONS[wish]}")
    usable = [name for name in _AUTO[part] if speex_is_here or name != "speex"]
    passed_over = tuple((name, _NO_SPEEX) for name in _AUTO[part] if name not in usable)
    return Chosen(part, usable[0], usable[0], "", _REASONS[usable[0]], passed_over)
