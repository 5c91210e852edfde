"""How late packets come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.lateness import BIN_MS, LatenessHistogram, PathDelay


def test_the_quantile_is_that_of_what_came() -> None:
    late_ms = np.random.default_rng(2).exponential(20, 5_000)
    histogram = LatenessHistogram(0.95, forgetting=0.9999)
    for each in late_ms:
        histogram.add(float(each))
    assert histogram.quantile_ms == pytest.approx(np.quantile(late_ms, 0.95), abs=1.5 * BIN_MS)


def test_what_is_long_ago_is_forgotten() -> None:
    histogram = LatenessHistogram(0.95, forgetting=0.99)
    histogram.add(500, times=1_000)
    histogram.add(10, times=200)
    assert histogram.quantile_ms == 500
    histogram.add(10, times=200)
    assert histogram.quantile_ms == 10


@given(
    st.lists(st.tuples(st.floats(-100, 2_000), st.integers(0, 50)), min_size=1, max_size=40),
    st.sampled_from((0.5, 0.9, 0.98)),
    st.sampled_from((0.5, 0.95, 0.999)),
)
@settings(deadline=None, max_examples=150)
def test_many_at_once_count_as_one_by_one_and_the_walk_finds_what_a_sum_would(
    added: list[tuple[float, int]], share: float, forgetting: float
) -> None:
    at_once = LatenessHistogram(share, forgetting=forgetting)
    singly = LatenessHistogram(share, forgetting=forgetting)
    values: list[float] = []
    for late_ms, times in added:
        at_once.add(late_ms, times)
        for _ in range(times):
            singly.add(late_ms)
        values += [late_ms] * times
    if not values:
        return
    bins = np.ceil(np.clip(values, 0, 1_000) / BIN_MS).astype(int)
    weights = np.bincount(bins, forgetting ** np.arange(len(bins))[::-1].astype(float), minlength=201)
    below = np.cumsum(weights) / weights.sum()
    for histogram in (at_once, singly):
        found = histogram.quantile_ms // BIN_MS
        assert below[found] >= share - 1e-6
        assert found == 0 or below[found - 1] < share + 1e-6


def test_lateness_is_counted_from_the_least_late_packet() -> None:
    path = PathDelay()
    found = [path.late_ms(n * 160, 1_000 + n * 20 + late) for n, late in enumerate((7, 3, 3, 40, 9))]
    assert found == pytest.approx([0, -4, 0, 37, 6], abs=0.1)


@pytest.mark.parametrize("drift", [-200e-6, 200e-6])
def test_a_clock_that_drifts_does_not_make_packets_late(drift: float) -> None:
    path = PathDelay()
    late = [path.late_ms(n * 160, n * 20 * (1 + drift)) for n in range(100_000)]
    assert max(np.abs(late)) < 0.1


def test_a_path_that_has_become_longer_is_noticed_after_ten_seconds() -> None:
    path, longer_ms = PathDelay(), 0.0
    for number in range(3_000):
        now_ms = number * 20 + (300 if number > 1_000 else 0)
        path.late_ms(number * 160, now_ms)
        longer_ms += path.longer_by_ms(now_ms)
    assert longer_ms == pytest.approx(295, abs=5)
    assert path.late_ms(480_000, 60_300) < 5
