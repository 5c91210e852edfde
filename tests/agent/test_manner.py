"""How a persona's feelings are heard."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.manner import COMMON_FEELINGS, manner
from agent.scenario import Scenario, load_scenario
from tests.agent.scenarios import changed, cold_call

COLD_CALL = cold_call()
LEVELS = st.floats(0, 1)


def with_feelings(folder: Path, **feelings: dict[str, int] | None) -> Scenario:
    """The cold call, whose voice says 180 wpm, pitch 55 and energy 60, with these feelings."""

    def change(document: dict[str, Any]) -> None:
        for name, voice in feelings.items():
            document["emotions"][name] = {"start": 0.0} if voice is None else {"start": 0.0, "voice": voice}

    return load_scenario(changed(folder, change))


def moved(scenario: Scenario, **levels: float) -> tuple[int, int, int]:
    """By how much rate, pitch and energy differ from the voice of the file."""
    plain, felt = scenario.persona.voice, manner(scenario, levels)
    return felt.rate_wpm - plain.rate_wpm, felt.pitch - plain.pitch, felt.energy - plain.energy


def test_who_feels_nothing_speaks_in_the_voice_of_the_file(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path, anger=None)
    assert manner(scenario, {"anger": 0.0, "trust": 1.0}) == scenario.persona.voice


def test_anger_is_faster_and_louder_and_grief_slower_lower_and_softer(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path, anger=None, grief=None)
    assert moved(scenario, anger=1.0) == (30, 0, 30)
    assert moved(scenario, grief=1.0) == (-40, -10, -30)


def test_a_feeling_half_as_strong_moves_the_voice_half_as_far(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path, worry={"rate": 22, "pitch": 20, "energy": 40})
    assert moved(scenario, worry=0.5) == (20, 10, 20)


def test_the_scenario_overrules_what_a_common_feeling_does(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path, anger={"rate": -11})
    assert moved(scenario, anger=1.0) == (-20, 0, 0)


def test_opposite_feelings_cancel(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path, hope={"energy": 30}, doubt={"energy": -30})
    assert moved(scenario, hope=0.8, doubt=0.8) == (0, 0, 0)


def test_all_at_once_is_no_caricature(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path, a={"rate": 30, "pitch": 40, "energy": 50}, b={"rate": 30, "pitch": 40})
    assert moved(scenario, a=1.0, b=1.0) == (50, 30, 39)


def test_small_changes_of_feeling_do_not_change_the_voice(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path, fear=None, stress=None)
    voices = {manner(scenario, {"fear": n / 100, "stress": 0.3}) for n in range(101)}
    assert len(voices) <= 12


def test_the_cold_caller_is_answered_faster_as_patience_runs_out(tmp_path: Path) -> None:
    scenario = with_feelings(tmp_path)
    patient, impatient = (manner(scenario, {"patience": level}) for level in (0.7, 0.2))
    assert (patient.rate_wpm, patient.energy) < (impatient.rate_wpm, impatient.energy)


@pytest.mark.parametrize("level", [-1.0, 2.0, float("nan"), float("inf")])
def test_a_level_out_of_range_counts_as_the_nearest_or_as_none(tmp_path: Path, level: float) -> None:
    rate, pitch, energy = moved(with_feelings(tmp_path, anger=None), anger=level)
    assert (rate, pitch, energy) in {(0, 0, 0), (30, 0, 30)}


@given(levels=st.dictionaries(st.sampled_from([*COMMON_FEELINGS, "trust", "unheard of"]), LEVELS))
def test_any_mood_leaves_a_voice_that_can_be_spoken(levels: dict[str, float]) -> None:
    voice = manner(COLD_CALL, levels)
    assert 80 <= voice.rate_wpm <= 400
    assert 0 <= voice.pitch <= 99
    assert 0 <= voice.energy <= 99
