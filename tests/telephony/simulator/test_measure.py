import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.simulator.measure import (
    Percentiles,
    Segment,
    barge_ins,
    choppiness,
    percentiles,
    response_gaps,
    segments,
    waveform_dropouts,
)
from telephony.simulator.playout import Underrun
from telephony.simulator.sound import Samples, decode_ulaw, encode_ulaw, noise, speech_burst

TOLERANCE_MS = 10


def track(duration_ms: int, *spoken: tuple[int, int], level_dbfs: float = -20.0) -> Samples:
    """A telephone line of `duration_ms` with speech-band noise in the given spans of ms."""
    samples = np.zeros(duration_ms * 8, dtype=np.int16)
    for start_ms, end_ms in spoken:
        samples[start_ms * 8 : end_ms * 8] = noise(end_ms - start_ms, level_dbfs, seed=start_ms)
    return decode_ulaw(encode_ulaw(samples))


def near(segment: Segment, start_ms: float, end_ms: float) -> bool:
    return abs(segment.start_ms - start_ms) <= TOLERANCE_MS and abs(segment.end_ms - end_ms) <= TOLERANCE_MS


def test_speech_is_found_where_it_is() -> None:
    found = segments(track(5_000, (503, 1_777), (3_000, 4_001)))
    assert len(found) == 2
    assert near(found[0], 503, 1_777)
    assert near(found[1], 3_000, 4_001)


def test_short_pauses_belong_to_the_speech_and_long_ones_do_not() -> None:
    assert len(segments(track(3_000, (100, 500), (780, 1_200)))) == 1
    assert len(segments(track(3_000, (100, 500), (820, 1_200)))) == 2


def test_a_click_is_not_speech() -> None:
    assert segments(track(1_000, (500, 510))) == []


def test_line_noise_is_not_speech() -> None:
    hum = noise(4_000, -45.0, seed=5)
    line = track(4_000, (1_000, 2_000)) + hum
    found = segments(line.astype(np.int16))
    assert len(found) == 1
    assert near(found[0], 1_000, 2_000)


def test_quiet_noise_alone_is_silence() -> None:
    assert segments(noise(2_000, -58.0, seed=1)) == []


def test_quiet_speech_is_found() -> None:
    found = segments(track(2_000, (400, 1_400), level_dbfs=-38.0))
    assert near(found[0], 400, 1_400)


@given(
    said_ms=st.integers(100, 3_000),
    gap_ms=st.integers(20, 3_000),
    heard_ms=st.integers(100, 2_000),
    level_dbfs=st.floats(-38, -9),
)
def test_a_known_gap_is_measured_to_ten_milliseconds(
    said_ms: int, gap_ms: int, heard_ms: int, level_dbfs: float
) -> None:
    answer_ms = 200 + said_ms + gap_ms
    said = track(9_000, (200, 200 + said_ms))
    heard = track(9_000, (answer_ms, answer_ms + heard_ms), level_dbfs=level_dbfs)
    gaps = response_gaps(segments(said), segments(heard))
    assert [abs(gap.gap_ms - gap_ms) <= TOLERANCE_MS for gap in gaps] == [True]


def test_what_is_not_answered_before_the_trainee_goes_on_has_no_gap() -> None:
    trainee = [Segment(0, 500), Segment(1_000, 1_500)]
    persona = [Segment(2_000, 3_000)]
    assert [gap.gap_ms for gap in response_gaps(trainee, persona)] == [500]


def test_a_persona_that_cuts_in_has_a_negative_gap() -> None:
    assert [g.gap_ms for g in response_gaps([Segment(0, 1_000)], [Segment(800, 2_000)])] == [-200]


def test_a_greeting_answers_nothing() -> None:
    assert response_gaps([Segment(3_000, 4_000)], [Segment(0, 2_000)]) == []


def test_a_barge_in_lasts_until_the_persona_is_silent() -> None:
    said = track(6_000, (2_000, 3_500))
    heard = track(6_000, (500, 2_240), (4_000, 5_000))
    found = barge_ins(segments(said), segments(heard))
    assert len(found) == 1
    assert abs(found[0].at_ms - 2_000) <= TOLERANCE_MS
    assert abs(found[0].silent_after_ms - 240) <= TOLERANCE_MS


def test_speaking_after_the_persona_is_no_barge_in() -> None:
    assert barge_ins([Segment(2_000, 3_000)], [Segment(0, 1_900)]) == []


def test_a_hole_in_the_sound_is_counted_from_the_record_and_from_the_waveform() -> None:
    heard = track(3_000, (500, 1_500))
    heard[1_000 * 8 : 1_060 * 8] = 0
    measured = choppiness(heard, [Underrun(1_000, 60, after_mark=False)])
    assert (measured.underruns, measured.underrun_ms, measured.dropouts) == (1, 60, 1)
    assert measured.dropout_ms == pytest.approx(60, abs=1)


def test_underruns_that_nobody_can_hear_do_not_count() -> None:
    heard = track(3_000, (500, 1_500))
    nothing_follows = Underrun(1_500, 700, after_mark=False)
    assert choppiness(heard, [nothing_follows]).underruns == 0


def test_an_underrun_behind_a_mark_counts_too() -> None:
    heard = track(3_000, (500, 1_500))
    assert choppiness(heard, [Underrun(900, 40, after_mark=True)]).underruns == 1


def test_silence_after_a_clear_is_no_dropout() -> None:
    heard = track(3_000, (500, 1_500))
    heard[1_000 * 8 : 1_400 * 8] = 0
    assert choppiness(heard, []).dropouts == 1
    assert choppiness(heard, [], [990.0]).dropouts == 0


def test_speech_that_fades_by_itself_has_no_dropouts() -> None:
    words = [speech_burst("Good morning."), np.zeros(80 * 8, dtype=np.int16), speech_burst("Who is this?")]
    assert waveform_dropouts(decode_ulaw(encode_ulaw(np.concatenate(words)))) == []


def test_nothing_can_be_measured_in_nothing() -> None:
    nothing = np.zeros(0, dtype=np.int16)
    assert segments(nothing) == []
    assert choppiness(nothing, []).dropouts == 0
    assert percentiles([]) is None


def test_percentiles_interpolate() -> None:
    assert percentiles([float(n) for n in range(101)]) == Percentiles(101, 50.0, 95.0, 99.0)
