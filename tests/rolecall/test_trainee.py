"""A recording of a real trainee, as turns that can be spoken into a call."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import wavfile

from agent.errors import ConfigError
from agent.scenario import Scenario
from audio.levels import rms_dbfs
from pipelines.engines.espeak import open_espeak
from rolecall.trainee import recorded, scripted
from tests.agent.scenarios import cold_call

RATES_HZ = [8_000, 16_000, 22_050, 44_100, 48_000]


def tone(rate_hz: int, ms: int, level: float = 0.3) -> NDArray[np.float64]:
    """A syllable that nobody says: 440 Hz."""
    return level * np.sin(2 * np.pi * 440 * np.arange(rate_hz * ms // 1_000) / rate_hz)


def pause(rate_hz: int, ms: int) -> NDArray[np.float64]:
    return np.zeros(rate_hz * ms // 1_000)


def write(path: Path, rate_hz: int, samples: NDArray[Any]) -> Path:
    wavfile.write(path, rate_hz, samples)
    return path


def as_int16(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.rint(samples * 32_767).astype(np.int16)


def lengths_ms(path: Path) -> list[int]:
    return [len(line.samples) // 8 for line in recorded(path)]


def complaint(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as refusal:
        recorded(path)
    assert str(path) in refusal.value.message
    assert refusal.value.hint
    return refusal.value


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_recording_at_any_rate_lasts_as_long_on_the_phone(tmp_path: Path, rate_hz: int) -> None:
    path = write(tmp_path / "trainee.wav", rate_hz, as_int16(tone(rate_hz, 1_000)))
    assert lengths_ms(path) == pytest.approx([1_000], abs=20)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(as_int16(tone(8_000, 500)), id="16 bit"),
        pytest.param(np.rint(tone(8_000, 500) * 127 + 128).astype(np.uint8), id="8 bit"),
        pytest.param(np.rint(tone(8_000, 500) * 2**31).astype(np.int32), id="32 bit"),
        pytest.param(tone(8_000, 500).astype(np.float32), id="float"),
        pytest.param(tone(8_000, 500), id="double"),
        pytest.param(np.stack([as_int16(tone(8_000, 500))] * 2, axis=1), id="stereo"),
        pytest.param(
            np.stack([as_int16(tone(8_000, 500)), np.zeros(4_000, np.int16)], axis=1), id="one channel"
        ),
    ],
)
def test_every_kind_of_pcm_is_spoken_at_the_same_level(tmp_path: Path, samples: NDArray[Any]) -> None:
    (line,) = recorded(write(tmp_path / "trainee.wav", 8_000, samples))
    assert line.samples.dtype == np.int16 and line.samples.ndim == 1
    assert len(line.samples) == pytest.approx(4_000, abs=160)
    assert rms_dbfs(line.samples) == pytest.approx(-20.0, abs=0.5)
    assert (line.text, line.interrupt_after_ms) == ("", None)


@pytest.mark.parametrize("level", [0.01, 0.05, 1.0])
def test_who_speaks_softly_or_too_loud_is_brought_to_the_usual_level(tmp_path: Path, level: float) -> None:
    (line,) = recorded(write(tmp_path / "trainee.wav", 8_000, as_int16(tone(8_000, 500, level))))
    assert rms_dbfs(line.samples) == pytest.approx(-20.0, abs=0.5)


def test_a_click_does_not_make_loud_speech_clip(tmp_path: Path) -> None:
    samples = tone(8_000, 1_000, 0.02)
    samples[4_000] = 1.0
    (line,) = recorded(write(tmp_path / "trainee.wav", 8_000, as_int16(samples)))
    assert np.abs(line.samples.astype(int)).max() <= 32_000


def test_a_recording_is_cut_into_turns_at_its_long_pauses_only(tmp_path: Path) -> None:
    parts = [
        pause(8_000, 400),
        tone(8_000, 600),
        pause(8_000, 500),
        tone(8_000, 300),
        pause(8_000, 1_500),
        tone(8_000, 700),
        pause(8_000, 2_000),
    ]
    path = write(tmp_path / "trainee.wav", 8_000, as_int16(np.concatenate(parts)))
    assert lengths_ms(path) == pytest.approx([1_400, 700], abs=40)


def test_the_noise_of_a_room_is_no_speech(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.002, 8 * 4_000)
    noise[8_000:16_000] += tone(8_000, 1_000)
    path = write(tmp_path / "trainee.wav", 8_000, as_int16(noise))
    assert lengths_ms(path) == pytest.approx([1_000], abs=40)


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(np.zeros(8_000, np.int16), id="silent"),
        pytest.param(np.zeros(0, np.int16), id="empty"),
        pytest.param(np.zeros((0, 2), np.int16), id="empty stereo"),
        pytest.param(np.ones(8_000, np.int16), id="all but silent"),
        pytest.param(np.full(8_000, 128, np.uint8), id="8 bit silence"),
        pytest.param(np.full(8_000, np.nan, np.float32), id="no numbers"),
    ],
)
def test_a_recording_without_speech_is_refused(tmp_path: Path, samples: NDArray[Any]) -> None:
    assert "no speech" in complaint(write(tmp_path / "trainee.wav", 8_000, samples)).message


def test_infinite_samples_are_loud_and_no_more(tmp_path: Path) -> None:
    samples = tone(8_000, 500).astype(np.float32)
    samples[100], samples[200] = np.inf, -np.inf
    (line,) = recorded(write(tmp_path / "trainee.wav", 8_000, samples))
    assert len(line.samples) == 4_000


def test_what_recorders_add_to_a_file_is_passed_over_in_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "trainee.wav", 8_000, as_int16(tone(8_000, 500)))
    content = path.read_bytes()
    noted = content[:36] + b"bext" + struct.pack("<I", 8) + b"A studio" + content[36:]
    path.write_bytes(noted[:4] + struct.pack("<I", len(noted) - 8) + noted[8:])
    assert lengths_ms(path) == [500]


def test_a_recording_whose_length_was_never_filled_in_is_heard_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "trainee.wav", 8_000, as_int16(tone(8_000, 500)))
    content = path.read_bytes()
    path.write_bytes(content[:40] + b"\xff\xff\xff\xff" + content[44:])
    assert lengths_ms(path) == [500]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"ID3 this is an mp3", id="another format"),
        pytest.param(b"RIFF\x24\x00\x00\x00WAVE", id="a header alone"),
        pytest.param(b"RIFF\x24\x00\x00\x00WAVEfmt \x10", id="a torn header"),
    ],
)
def test_what_is_no_wav_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trainee.wav"
    path.write_bytes(content)
    assert "cannot be read" in complaint(path).message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in complaint(tmp_path / "nobody.wav").message


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    complaint(tmp_path)


@pytest.mark.parametrize("rate_hz", [0, 1, 4_000_000_000])
def test_a_rate_that_no_recorder_has_is_refused(tmp_path: Path, rate_hz: int) -> None:
    path = write(tmp_path / "trainee.wav", 8_000, as_int16(tone(8_000, 500)))
    content = path.read_bytes()
    path.write_bytes(content[:24] + struct.pack("<I", rate_hz) + content[28:])
    complaint(path)


def wav(samples: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, 8_000, samples)
    return file.getvalue()


@given(st.data())
def test_a_damaged_file_is_either_heard_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(wav(as_int16(tone(8_000, 50))))
    for place, value in data.draw(st.dictionaries(st.integers(0, 47), st.integers(0, 255))).items():
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        lines = recorded(path)
    except ConfigError:
        return
    assert all(len(line.samples) for line in lines)


def test_the_scripted_trainee_says_the_scenarios_lines_and_interrupts_where_told() -> None:
    scenario = cold_call()
    with open_espeak() as espeak:
        lines = scripted(scenario, espeak)
    assert [line.text for line in lines] == [line.say for line in scenario.simulation.lines]
    assert [line.interrupt_after_ms for line in lines if line.interrupt_after_ms] == [2_600]
    for line in lines:
        assert rms_dbfs(line.samples) == pytest.approx(-20.0, abs=0.5)


def test_a_scenario_without_a_simulated_trainee_says_so() -> None:
    scenario: Scenario = cold_call()
    silent = scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update={"lines": ()})})
    with open_espeak() as espeak, pytest.raises(ConfigError, match="no simulated trainee"):
        scripted(silent, espeak)
