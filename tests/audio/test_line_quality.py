"""What is said of a line: each fault by its name, and of a good line nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audio import line_quality, ulaw
from audio.blocks import BLOCK, to_block, to_samples
from audio.line_quality import LineQuality, LineReport
from tests.audio.speech_like import blocks, hiss, speech_like, tone


def heard(sound: np.ndarray, *, lost: frozenset[int] = frozenset()) -> LineReport:
    """The report on a call that carries `sound` over mu-law; the blocks in `lost` do not arrive."""
    coded = to_block(ulaw.decode(ulaw.encode(to_samples(np.clip(sound, -1, 1).astype(np.float32)))))
    quality = LineQuality()
    for number, block in enumerate(blocks(coded)):
        quality.process(block, lost=number in lost)
    return quality.report()


GOOD = speech_like(30, dbfs=-22.0) + hiss(30, -58.0)


def with_holes(sound: np.ndarray, every_s: float = 3.0) -> np.ndarray:
    """The same with the loudest moment of every few seconds cut out, 100 ms each."""
    holed, step = sound.copy(), round(every_s * 8_000)
    for start in range(0, len(sound) - step, step):
        loudest = start + int(np.argmax(np.convolve(sound[start : start + step] ** 2, np.ones(400), "same")))
        holed[loudest - 400 : loudest + 400] = 0
    return holed


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        (np.clip(GOOD * 12, -0.999, 0.999) * 0.99999, line_quality.CLIPPING),
        (GOOD * 0.08, line_quality.TOO_QUIET),
        (speech_like(30, dbfs=-6.0) + hiss(30, -58.0), line_quality.TOO_LOUD),
        (GOOD + hiss(30, -34.0), line_quality.NOISY),
        (with_holes(GOOD), line_quality.DROPOUTS),
        (GOOD + tone(50, 30, -36.0), line_quality.HUM),
        (GOOD + np.float32(0.03), line_quality.DC_OFFSET),
        (np.concatenate([GOOD, np.zeros(50 * 8_000)]), line_quality.DEAD_LINE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_named(sound: np.ndarray, fault: str) -> None:
    assert fault in heard(sound).faults


def test_a_good_line_has_no_fault_and_its_figures_are_those_of_the_speech() -> None:
    report = heard(GOOD)
    assert report.faults == ()
    assert report.speech_dbfs == pytest.approx(-22, abs=2) and report.noise_dbfs == pytest.approx(-58, abs=3)
    assert (report.lost_percent, report.dropouts, report.hum_hz, report.dc_dbfs) == (0, 0, None, None)


def test_packets_that_are_lost_are_told_in_percent() -> None:
    report = heard(GOOD, lost=frozenset(range(0, 1_500, 20)))
    assert (report.lost_percent, report.faults) == (5.0, (line_quality.PACKET_LOSS,))


def test_silence_between_words_that_a_carrier_suppresses_is_no_fault() -> None:
    assert heard(speech_like(30, dbfs=-22.0)).faults == ()


def test_hum_is_told_with_its_frequency() -> None:
    assert heard(GOOD + tone(120, 30, -36.0)).hum_hz == 60


def test_a_call_in_which_nobody_speaks_is_not_called_bad() -> None:
    assert heard(hiss(30, -60.0)).faults == ()
    assert heard(np.zeros(30 * 8_000)).faults == ()


def test_speech_that_hardly_pauses_is_not_taken_for_noise() -> None:
    loud = np.concatenate([block for block in blocks(speech_like(40, dbfs=-22.0)) if block.any()])
    assert line_quality.NOISY not in heard(loud).faults


@pytest.mark.parametrize("seed", range(5))
def test_good_speech_is_good_in_any_voice(seed: int) -> None:
    sound = speech_like(20, pitch_hz=90 + 30 * seed, dbfs=-22.0, seed=seed)
    assert heard(sound + hiss(20, -58.0)).faults == ()


def test_too_little_speech_is_not_judged() -> None:
    report = heard(np.concatenate([speech_like(2, dbfs=-50.0), np.zeros(8_000)]))
    assert (report.speech_dbfs, report.snr_db, report.faults) == (None, None, ())


def test_nothing_at_all_is_reported_as_such() -> None:
    assert LineQuality().report() == LineReport((), 0.0, None, None, None, 0.0, 0, 0.0, 0.0, None, None)


@given(
    st.lists(arrays.arrays(np.float32, BLOCK, elements=st.floats(-1, 1, width=32)), min_size=1, max_size=4)
)
def test_any_sound_can_be_reported_on(few: list[np.ndarray]) -> None:
    quality = LineQuality()
    for number, block in enumerate(few * 80):
        quality.process(block, lost=number % 9 == 0)
    report = quality.report()
    assert 0 <= report.clipped_percent <= 100 and report.dropouts >= 0
