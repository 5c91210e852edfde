"""`rolecall audio process`: the front end over a file, as in a call."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

from audio import ulaw
from audio.blocks import to_samples
from rolecall import cli
from rolecall.settings import CHECKOUT
from tests.audio.speech_like import hiss, level_dbfs, speech_like


@pytest.fixture(autouse=True)
def empty_folder(
    tmp_path: Path, bare_environment: None, logging_restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, sound: np.ndarray, rate_hz: int = 8_000) -> str:
    wavfile.write(name, rate_hz, to_samples(sound.astype(np.float32)))
    return name


def processed(*arguments: str) -> tuple[np.ndarray, dict[str, Any]]:
    """What OUT.wav holds, as float, and the report."""
    result = CliRunner().invoke(cli.app, ["audio", "process", *arguments, "--report"], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    rate_hz, samples = wavfile.read(arguments[1])
    assert (rate_hz, samples.dtype, samples.ndim) == (8_000, np.int16, 1)
    return samples.astype(np.float32) / 32_768, json.loads(result.stdout)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run(["audio", "process", *arguments])
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    return code, line


def test_with_no_stage_the_file_comes_out_as_the_line_carries_it() -> None:
    sound = speech_like(2)
    found, report = processed(write("in.wav", sound), "out.wav", "--stages", "none")
    coded = ulaw.decode(ulaw.encode(to_samples(sound)))
    assert np.array_equal(to_samples(found), coded)
    assert (report["added_delay_ms"], report["stages"], report["bypassed"]) == (0, {}, [])


def test_the_echo_of_a_far_end_is_taken_off_and_measured() -> None:
    far = speech_like(12, seed=2)
    near = 0.25 * np.roll(far, 1_600) + hiss(12, -66.0)
    found, report = processed(
        write("in.wav", near),
        "out.wav",
        "--far",
        write("far.wav", far),
        "--stages",
        "echo",
        "--feed",
        "recogniser",
    )
    assert report["erle_db"] > 12 and report["erle_voice_db"] > report["erle_db"]
    assert level_dbfs(near[-24_000:]) - level_dbfs(found[-24_000:]) > 15
    assert report["line"]["echo_delay_ms"] == pytest.approx(200, abs=5)


def test_a_path_may_be_given_instead_of_an_echo_in_the_file() -> None:
    far = write("far.wav", speech_like(12, seed=2))
    _, report = processed(
        write("in.wav", hiss(12, -66.0)), "out.wav", "--far", far, "--impair", "echo=10@150"
    )
    assert report["line"]["echo_delay_ms"] == pytest.approx(150, abs=6)


def test_noise_goes_down_and_what_that_costs_is_told() -> None:
    noise = hiss(6, -38.0)
    found, report = processed(write("in.wav", noise), "out.wav", "--stages", "noise")
    assert level_dbfs(noise) - level_dbfs(found[-16_000:]) > 8
    assert set(report["stages"]) == {"noise"}
    assert report["stages"]["noise"]["median_us"] > 0 and report["stages"]["noise"]["p99_us"] > 0
    assert report["added_delay_ms"] == 10 and report["added_delay_ms_by_feed"]["recogniser"] == 0
    assert report["block"]["median_us"] >= report["stages"]["noise"]["median_us"]


def test_lost_packets_are_filled_and_the_file_keeps_its_length() -> None:
    sound = speech_like(10)
    found, report = processed(write("in.wav", sound), "out.wav", "--impair", "loss=10/40,jitter=60,delay=80")
    assert len(found) == len(sound)
    assert 5 < report["line"]["lost_percent"] < 16 and "packet_loss" in report["line"]["faults"]


@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (44_100, 2)])
def test_files_of_any_rate_and_number_of_channels_are_taken(rate_hz: int, channels: int) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    found, _ = processed(
        write("in.wav", np.column_stack([tone] * channels), rate_hz), "out.wav", "--stages", "none"
    )
    assert len(found) == 8_000 and level_dbfs(found) == pytest.approx(level_dbfs(tone), abs=0.3)


def test_an_empty_file_stays_empty() -> None:
    found, report = processed(write("in.wav", np.zeros(0)), "out.wav")
    assert len(found) == 0 and report["seconds"] == 0


def test_without_a_report_nothing_is_printed() -> None:
    result = CliRunner().invoke(cli.app, ["audio", "process", write("in.wav", speech_like(1)), "out.wav"])
    assert (result.exit_code, result.stdout) == (0, "") and Path("out.wav").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.wav", "out.wav"], "nowhere.wav cannot be read"),
        ([str(CHECKOUT / "README.md"), "out.wav"], "is no PCM WAV file"),
        (["in.wav", "nowhere/out.wav"], "nowhere/out.wav cannot be written"),
        (["in.wav", "out.wav", "--far", "nowhere.wav"], "nowhere.wav cannot be read"),
        (["in.wav", "out.wav", "--stages", "echo,reverb"], "there is no stage reverb"),
        (["in.wav", "out.wav", "--impair", "rain=3"], "unknown line condition 'rain=3'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    write("in.wav", speech_like(1))
    code, line = complaint(capsys, *arguments)
    assert code == 1 and said in line and not Path("out.wav").exists()


def test_a_feed_that_there_is_not_is_a_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    write("in.wav", speech_like(1))
    code, line = complaint(capsys, "in.wav", "out.wav", "--feed", "ears")
    assert code == 2 and "There is no feed ears" in line
