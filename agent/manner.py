"""How a persona sounds in a mood: feelings move rate, pitch and energy of the voice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from agent.scenario import Scenario
from agent.scenario_voice import VoiceChange
from agent.speech import Voice

COMMON_FEELINGS: Final[Mapping[str, VoiceChange]] = {
    "anger": VoiceChange(rate=15, energy=30, pause_ms=-150),
    "anxiety": VoiceChange(rate=15, pitch=10, energy=5),
    "boredom": VoiceChange(rate=-10, pitch=-5, energy=-25, pause_ms=200),
    "confusion": VoiceChange(rate=-10, energy=-5, pause_ms=250),
    "enthusiasm": VoiceChange(rate=10, pitch=10, energy=25),
    "fear": VoiceChange(rate=20, pitch=15, energy=15, pause_ms=-100),
    "frustration": VoiceChange(rate=10, energy=20),
    "grief": VoiceChange(rate=-20, pitch=-10, energy=-30, pause_ms=600),
    "interest": VoiceChange(rate=5, pitch=5, energy=15),
    "irritation": VoiceChange(rate=10, energy=20),
    "joy": VoiceChange(rate=10, pitch=10, energy=20),
    "panic": VoiceChange(rate=25, pitch=20, energy=30, pause_ms=-300),
    "sadness": VoiceChange(rate=-20, pitch=-10, energy=-30, pause_ms=400),
    "stress": VoiceChange(rate=15, pitch=5, energy=15, pause_ms=-100),
    "tiredness": VoiceChange(rate=-20, pitch=-10, energy=-30, pause_ms=350),
}
"""What feelings of these names do where the scenario does not say. Anger, sadness and tiredness are as
espeak-ng's own voices suggest; the rest is between them."""

_NOTHING: Final = VoiceChange()
_RATE_PERCENT: Final = 30
_PITCH: Final = 30
_ENERGY: Final = 40
_RATES_WPM: Final = (80, 400)
_STEP_WPM: Final = 10
_STEP_PITCH: Final = 5
_STEP_ENERGY: Final = 10
_LONGEST_PAUSE_MS: Final = 1_500
_STEP_PAUSE_MS: Final = 50


def manner(scenario: Scenario, emotions: Mapping[str, float]) -> Voice:
    """The persona's voice as `emotions` (levels, 0 to 1) colour it.

    The voice of the file is that of somebody who feels nothing. Each feeling moves it in proportion to its
    level, together by no more than 30 percent in rate, 30 points in pitch and 40 in energy; pauses are
    between 0 and 1.5 s. The steps are coarse, so that a phrase is often spoken in a voice in which it was
    spoken before.
    """
    voice = scenario.persona.voice
    moved = [(_change(scenario, name), min(1.0, max(0.0, level))) for name, level in emotions.items()]
    rate = _within(sum(change.rate * level for change, level in moved), _RATE_PERCENT)
    pitch = _within(sum(change.pitch * level for change, level in moved), _PITCH)
    energy = _within(sum(change.energy * level for change, level in moved), _ENERGY)
    pause_ms = voice.pause_ms + sum(change.pause_ms * level for change, level in moved)
    slowest, fastest = _RATES_WPM
    return replace(
        voice,
        rate_wpm=min(fastest, max(slowest, voice.rate_wpm + _step(voice.rate_wpm * rate / 100, _STEP_WPM))),
        pitch=min(99, max(0, voice.pitch + _step(pitch, _STEP_PITCH))),
        energy=min(99, max(0, voice.energy + _step(energy, _STEP_ENERGY))),
        pause_ms=min(_LONGEST_PAUSE_MS, max(0, _step(pause_ms, _STEP_PAUSE_MS))),
    )


def _change(scenario: Scenario, name: str) -> VoiceChange:
    emotion = scenario.emotions.get(name)
    if emotion is not None and emotion.voice is not None:
        return emotion.voice
    return COMMON_FEELINGS.get(name, _NOTHING)


def _within(value: float, limit: float) -> float:
    return min(limit, max(-limit, value))


def _step(value: float, step: int) -> int:
    return round(value / step) * step
