"""The two-track recorder."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio.recorder import Recorder, Track


def ramp(first: int, samples: int) -> np.ndarray:
    return np.arange(first, first + samples, dtype=np.int64).astype(np.int16)


def drained(recorder: Recorder) -> np.ndarray:
    return recorder.take(everything=True)


def test_audio_lies_at_its_time_whatever_the_order_in_which_it_came() -> None:
    recorder = Recorder()
    recorder.place(Track.PERSONA, 100, ramp(1, 160))
    recorder.place(Track.TRAINEE, 20, ramp(1, 160))
    recorder.place(Track.TRAINEE, 0, ramp(500, 160))
    frames = drained(recorder)
    assert frames[0, Track.TRAINEE] == 500 and frames[160, Track.TRAINEE] == 1
    assert frames[800, Track.PERSONA] == 1 and frames[799, Track.PERSONA] == 0


def test_what_may_still_change_is_held_back() -> None:
    recorder = Recorder(settle_ms=1_000)
    recorder.place(Track.TRAINEE, 0, ramp(0, 8_000 * 3))
    assert len(recorder.take()) == 8_000 * 2
    recorder.place(Track.PERSONA, 2_500, ramp(1, 800))
    assert drained(recorder)[4_000, Track.PERSONA] == 1


def test_audio_that_comes_after_its_time_was_taken_is_counted_as_lost() -> None:
    recorder = Recorder(settle_ms=100)
    recorder.place(Track.TRAINEE, 0, ramp(0, 8_000))
    recorder.take()
    recorder.place(Track.PERSONA, 850, ramp(1, 800))
    assert recorder.lost_samples == 400
    assert drained(recorder)[0, Track.PERSONA] == 401


def test_the_sound_of_a_stretch_is_found_on_the_call_s_clock() -> None:
    recorder = Recorder()
    recorder.place(Track.TRAINEE, 0, np.zeros(8_000 * 10, np.int16))
    recorder.place(Track.PERSONA, 4_200, np.full(8 * 600, 9_000, np.int16))
    recorder.take()
    assert recorder.sound_bounds(Track.PERSONA, 3_000, 6_000) == (4_200, 4_800)
    assert recorder.sound_bounds(Track.PERSONA, 5_000, 6_000) is None


def test_an_hour_is_recorded_in_the_memory_of_a_minute() -> None:
    recorder = Recorder(window_s=60)
    taken = 0
    for second in range(600):
        recorder.place(Track.TRAINEE, second * 1_000, ramp(second, 8_000))
        taken += len(recorder.take())
    assert taken == 8_000 * 595 and recorder._samples.nbytes < 8_000 * 4 * 80


@given(st.lists(st.tuples(st.sampled_from(Track), st.integers(0, 5_000), st.integers(0, 900)), max_size=30))
def test_nothing_is_lost_as_long_as_nothing_was_taken(pieces: list[tuple[Track, int, int]]) -> None:
    recorder = Recorder()
    expected = np.zeros((8 * 5_000 + 900, 2), np.int16)
    for number, (track, start_ms, samples) in enumerate(pieces, 1):
        audio = np.full(samples, number, np.int16)
        recorder.place(track, start_ms, audio)
        expected[start_ms * 8 : start_ms * 8 + samples, track] = number
    frames = drained(recorder)
    assert np.array_equal(frames, expected[: len(frames)]) and not expected[len(frames) :].any()


def test_a_closed_recorder_still_knows_how_long_the_recording_is() -> None:
    recorder = Recorder()
    recorder.place(Track.TRAINEE, 0, np.full(8_000, 100, np.int16))
    recorder.close()
    assert recorder.duration_ms == 1_000
    assert recorder.sound_bounds(Track.TRAINEE, 0, 1_000) is None
    assert not len(recorder.take(everything=True))
