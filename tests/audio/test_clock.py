"""The carrier's media clock behind a network."""

import random

from audio.clock import MediaClock


def test_before_the_first_block_the_clock_stands_at_zero() -> None:
    assert MediaClock().at_ms(12_345.0) == 0


def test_the_clock_runs_on_between_blocks() -> None:
    clock = MediaClock()
    clock.heard(20, 100.0)
    assert clock.at_ms(100.015) == 35


def test_a_late_block_does_not_set_the_clock_back() -> None:
    clock = MediaClock()
    clock.heard(1_000, 101.0)
    clock.heard(1_020, 101.5)
    assert abs(clock.at_ms(101.5) - 1_500) <= 1


def test_jitter_and_a_stall_move_the_clock_by_less_than_a_block() -> None:
    random.seed(3)
    clock, arrival_s, errors = MediaClock(), 0.0, []
    for block in range(30_000):
        sent_s = 50.0 + block * 0.02
        stall_s = 0.7 if 10_000 < block < 10_035 else 0.0
        arrival_s = max(arrival_s, sent_s + 0.06 + random.uniform(0, 0.04) + stall_s)
        clock.heard((block + 1) * 20, arrival_s)
        if block > 50:
            errors.append(clock.at_ms(arrival_s) - (arrival_s - 50.0 - 0.06) * 1_000)
    assert max(abs(error) for error in errors) < 25


def test_a_carrier_clock_that_drifts_by_fifty_ppm_is_followed_for_an_hour() -> None:
    clock = MediaClock()
    for block in range(180_000):
        now_s = block * 0.02
        clock.heard(round((now_s + 0.02) * (1 - 50e-6) * 1_000), now_s)
    assert abs(clock.at_ms(3_600.0) - 3_600_000 * (1 - 50e-6)) < 40
