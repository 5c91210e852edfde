from hypothesis import given
from hypothesis import strategies as st

from agent.breaker import Breaker, Breakers


def broken(at_s: float = 0.0) -> Breaker:
    breaker = Breaker(failures=3, rest_s=30.0, trial_s=5.0)
    for _ in range(3):
        breaker.failed(at_s)
    return breaker


def test_an_engine_that_works_is_asked() -> None:
    breaker = Breaker()
    breaker.worked()
    assert breaker.admits(0.0) and breaker.admits(0.0)


def test_three_failures_in_a_row_open_the_circuit() -> None:
    breaker = Breaker(failures=3)
    asked = []
    for _ in range(4):
        asked.append(breaker.admits(1.0))
        breaker.failed(1.0)
    assert asked == [True, True, True, False]


def test_failures_with_a_success_between_them_do_not() -> None:
    breaker = Breaker(failures=3)
    for _ in range(10):
        breaker.failed(1.0)
        breaker.failed(1.0)
        breaker.worked()
    assert breaker.admits(1.0)


def test_after_a_rest_there_is_one_trial() -> None:
    breaker = broken(at_s=100.0)
    assert [breaker.admits(at_s) for at_s in (100.0, 129.9, 130.0, 130.1, 134.9)] == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_looking_takes_no_trial() -> None:
    breaker = broken()
    assert [breaker.is_open(at_s) for at_s in (29.0, 30.0, 30.0)] == [True, False, False]
    assert breaker.admits(30.0)


def test_a_trial_that_succeeds_closes_the_circuit_for_all() -> None:
    breaker = broken()
    assert breaker.admits(30.0)
    breaker.worked()
    assert all(breaker.admits(30.0) for _ in range(9))


def test_a_trial_that_fails_means_another_rest() -> None:
    breaker = broken()
    assert breaker.admits(30.0)
    breaker.failed(31.0)
    assert [breaker.admits(at_s) for at_s in (31.0, 60.9, 61.0)] == [False, False, True]


def test_a_trial_of_which_nothing_is_heard_makes_way_for_the_next() -> None:
    breaker = broken()
    assert [breaker.admits(at_s) for at_s in (30.0, 34.9, 35.0, 36.0)] == [True, False, True, False]


def test_an_engine_that_keeps_two_pieces_of_work_is_given_no_third_however_long_it_rests() -> None:
    breaker = Breaker(failures=9)
    breaker.overdue(1.0)
    assert breaker.admits(1.0)
    breaker.overdue(2.0)
    assert breaker.hangs
    assert not any(breaker.admits(at_s) for at_s in (2.0, 40.0, 4_000.0))


def test_work_that_comes_back_late_but_good_shows_that_the_engine_lives() -> None:
    breaker = Breaker(failures=2)
    breaker.overdue(1.0)
    breaker.overdue(1.0)
    breaker.came_back()
    breaker.worked()
    assert breaker.admits(1.1)


def test_breakers_are_kept_by_the_name_of_the_engine() -> None:
    breakers = Breakers()
    assert breakers.of("whisper") is breakers.of("whisper") is not breakers.of("sphinx")


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "fail", "work", "late", "back"]), st.floats(0.0, 20.0)),
        max_size=80,
    )
)
def test_whatever_happens_an_open_circuit_lets_through_one_piece_in_five_seconds(
    steps: list[tuple[str, float]],
) -> None:
    breaker = Breaker(failures=3, rest_s=30.0, trial_s=5.0, hanging_at_most=2)
    now_s, in_a_row, hanging = 0.0, 0, 0
    last_news_s = -1e9
    for step, pause_s in steps:
        now_s += pause_s
        if step == "ask":
            looked = breaker.is_open(now_s)
            admitted = breaker.admits(now_s)
            assert admitted is not looked
            assert not (admitted and hanging >= 2)
            if in_a_row >= 3 and admitted:
                assert now_s - last_news_s >= 5.0 - 1e-6
                last_news_s = now_s
            elif in_a_row < 3:
                assert admitted is (hanging < 2)
        elif step == "fail":
            breaker.failed(now_s)
            in_a_row, last_news_s = in_a_row + 1, now_s
        elif step == "late":
            breaker.overdue(now_s)
            in_a_row, hanging, last_news_s = in_a_row + 1, hanging + 1, now_s
        elif step == "work":
            breaker.worked()
            in_a_row = 0
        elif hanging:
            breaker.came_back()
            hanging -= 1
