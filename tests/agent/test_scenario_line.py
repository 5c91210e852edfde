"""How a scenario writes the line on which the persona is heard."""

from pathlib import Path
from typing import Any, get_args

import pytest

from agent.scenario import load_scenario
from agent.scenario_check import check_scenario
from agent.scenario_line import Band, Bed, LineSetting
from audio.band import BANDS
from audio.noise_bed import BEDS
from audio.realism import LineRealismSettings
from tests.agent.scenarios import changed, cold_call

STREET: dict[str, Any] = {
    "band": "mobile",
    "noise": {"bed": "street", "dbfs": -40},
    "loss": {"percent": 2, "burst_ms": 60},
    "jitter_ms": 40,
    "dropouts": {"per_minute": 2, "ms": 400},
}


def with_line(folder: Path, line: object) -> Path:
    return changed(folder, lambda document: document.update(line=line))


def test_a_scenario_that_says_nothing_of_its_line_has_a_clean_one_and_keeps_its_version() -> None:
    scenario = cold_call()
    assert scenario.line == LineSetting()
    assert scenario.line.is_clean
    assert scenario.line.plain() == {}
    assert "line" not in scenario.model_dump(exclude_unset=True)


def test_the_version_of_a_scenario_follows_its_line(tmp_path: Path) -> None:
    assert load_scenario(with_line(tmp_path, STREET)).version != cold_call().version


def test_a_line_is_made_as_the_scenario_says(tmp_path: Path) -> None:
    line = load_scenario(with_line(tmp_path, STREET)).line
    assert not line.is_clean
    assert LineRealismSettings(**line.plain()) == LineRealismSettings(  # type: ignore[arg-type]
        band="mobile",
        bed="street",
        bed_dbfs=-40,
        loss_percent=2,
        loss_burst_ms=60,
        jitter_ms=40,
        dropouts_per_minute=2,
        dropout_ms=400,
    )


@pytest.mark.parametrize(
    "line",
    [
        {"band": "radio"},
        {"noise": {"bed": "office"}},
        {"loss": {"percent": 1}},
        {"jitter_ms": 20},
        {"dropouts": {"per_minute": 1}},
    ],
)
def test_each_part_of_a_line_may_stand_alone(line: dict[str, Any], tmp_path: Path) -> None:
    written = load_scenario(with_line(tmp_path, line)).line
    assert not written.is_clean
    assert not LineRealismSettings(**written.plain()).is_clean  # type: ignore[arg-type]


def test_what_is_left_out_is_the_same_here_as_where_the_sound_is_made() -> None:
    parts = LineSetting.model_validate(
        {"noise": {"bed": "car"}, "loss": {"percent": 1}, "dropouts": {"per_minute": 1}}
    )
    made = LineRealismSettings(bed="car", loss_percent=1, dropouts_per_minute=1)
    assert LineRealismSettings(**parts.plain()) == made  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line", [{}, {"loss": {"percent": 0}}, {"dropouts": {"per_minute": 0}, "jitter_ms": 0}]
)
def test_a_line_that_loses_nothing_is_clean(line: dict[str, Any], tmp_path: Path) -> None:
    assert load_scenario(with_line(tmp_path, line)).line.is_clean


def test_a_scenario_can_ask_for_every_band_and_bed_there_is() -> None:
    assert get_args(Band) == tuple(BANDS)
    assert get_args(Bed) == tuple(BEDS)


def test_whatever_a_scenario_may_ask_for_can_be_made() -> None:
    for percent, burst_ms, jitter_ms, per_minute, ms, dbfs in (
        (0.1, 20, 1, 0.1, 20, -70),
        (30, 500, 200, 20, 5_000, -20),
    ):
        line = {
            "noise": {"bed": "siren", "dbfs": dbfs},
            "loss": {"percent": percent, "burst_ms": burst_ms},
            "jitter_ms": jitter_ms,
            "dropouts": {"per_minute": per_minute, "ms": ms},
        }
        assert not LineRealismSettings(**LineSetting.model_validate(line).plain()).is_clean  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ({"band": "fax"}, "line.band", "should be 'telephone', 'mobile' or 'radio'"),
        (
            {"noise": {"bed": "beach"}},
            "line.noise.bed",
            "should be 'street', 'office', 'cafe', 'car', 'rain', 'hiss' or 'siren'",
        ),
        ({"noise": {"dbfs": -40}}, "line.noise.bed", "is missing"),
        ({"noise": {"bed": "car", "dbfs": -10}}, "line.noise.dbfs", "should be less than or equal to -20"),
        ({"noise": {"bed": "car", "dbfs": float("nan")}}, "line.noise.dbfs", "should be"),
        ({"noise": "street"}, "line.noise", "should be a mapping, not text"),
        ({"loss": {}}, "line.loss.percent", "is missing"),
        ({"loss": {"percent": 31}}, "line.loss.percent", "should be less than or equal to 30"),
        ({"loss": {"percent": "2%"}}, "line.loss.percent", "should be a number, not text"),
        (
            {"loss": {"percent": 2, "burst_ms": 5}},
            "line.loss.burst_ms",
            "should be greater than or equal to 20",
        ),
        ({"jitter_ms": 201}, "line.jitter_ms", "should be less than or equal to 200"),
        ({"jitter_ms": 0.5}, "line.jitter_ms", "should be a whole number, not a number"),
        ({"dropouts": {"per_minute": 21}}, "line.dropouts.per_minute", "should be less than or equal to 20"),
        (
            {"dropouts": {"per_minute": 1, "ms": 6_000}},
            "line.dropouts.ms",
            "should be less than or equal to 5000",
        ),
        ({"echo": 1}, "line.echo", "is not a field of the scenario format"),
        ({"loss": {"percent": 1, "rate": 1}}, "line.loss.rate", "is not a field of the scenario format"),
        (None, "line", "should be a mapping, not empty"),
    ],
)
def test_a_fault_of_the_line_is_named_with_its_field_and_reason(
    line: object, field: str, reason: str, tmp_path: Path
) -> None:
    [fault] = check_scenario(with_line(tmp_path, line))
    assert fault.field == field
    assert fault.reason.startswith(reason)
