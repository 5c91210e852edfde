"""The arithmetic of waiting, on a clock of its own: as late as a model may be, nobody hears it for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.deadlines import Budgets, Deadlines
from tests.graphs.models import LONGEST_SILENCE_S, Listener

AUTHORED = "We order from Delmar Medical. Six years now."
TURN_END_S = 0.2
"""What is left of two seconds for the trainee's own last pause before a request is made."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def reply(words: list[str], lateness: list[float], filler: str, *, shared: bool) -> Listener:
    """A reply whose pieces take a share of the time they have; then authored words, at the last moment."""
    clock, listener = Clock(), Listener()
    start_s = clock.now_s
    deadlines = Deadlines(Budgets(), clock, filler)

    def wait_until(then_s: float) -> None:
        in_s = deadlines.filler_in_s
        if in_s is not None and listener.text == "" and then_s > clock.now_s + in_s:
            clock.now_s += max(0.0, in_s)
            listener.hear(deadlines.fill(), clock.now_s - start_s)
        clock.now_s = max(clock.now_s, then_s)

    for word, share in zip(words, lateness, strict=False):
        due_s = deadlines.due_s(shared=shared)
        wait_until(clock.now_s + share * max(0.0, due_s - clock.now_s))
        deadlines.worded(word)
        listener.hear(word, clock.now_s - start_s)
    wait_until(deadlines.due_s(shared=shared))
    for piece in ("... " if listener.text else "", AUTHORED):
        listener.hear(piece, clock.now_s - start_s)
    listener.over(clock.now_s - start_s)
    return listener


WORDS = st.lists(
    st.sampled_from(["Well, ", "Well. ", "we ", "order ", "from Delmar, ", "I think. ", "No... "]),
    max_size=25,
)
FILLERS = st.sampled_from(["", "Hm.", "Well...", "Hm, let me think.", "Give me a second, please.", "Well,"])


@given(WORDS, st.lists(st.floats(0, 1), min_size=25, max_size=25), FILLERS, st.booleans())
def test_however_late_a_model_is_within_its_deadlines_no_silence_is_over_two_seconds(
    words: list[str], lateness: list[float], filler: str, shared: bool
) -> None:
    listener = reply(words, lateness, filler, shared=shared)

    assert max(listener.silences_s) <= LONGEST_SILENCE_S - TURN_END_S


def test_the_first_word_may_take_longer_if_there_is_something_to_say_meanwhile() -> None:
    clock = Clock()
    plain, filled = Deadlines(Budgets(), clock), Deadlines(Budgets(), clock, "Hm, let me think.")
    assert plain.due_s(shared=False) - clock.now_s == pytest.approx(1.3)
    assert filled.due_s(shared=False) - clock.now_s == pytest.approx(2.2)
    assert filled.due_s(shared=True) - clock.now_s == pytest.approx(1.3)


def test_a_filler_that_would_wait_for_the_words_after_it_is_none() -> None:
    assert Deadlines(Budgets(), Clock(), "Well,").filler_in_s is None
    assert Deadlines(Budgets(), Clock(), "").filler_in_s is None
    assert Deadlines(Budgets(), Clock(), "Well...").filler_in_s == pytest.approx(0.7)


def test_a_model_may_pause_as_long_as_what_it_said_is_being_spoken() -> None:
    clock = Clock()
    deadlines = Deadlines(Budgets(), clock)
    deadlines.worded("We order from Delmar Medical. For")
    spoken_s = len("We order from Delmar Medical.") / 16
    assert deadlines.due_s(shared=False) - clock.now_s == pytest.approx(spoken_s + 1.5)


def test_a_model_that_has_hardly_any_time_left_is_not_asked() -> None:
    clock = Clock()
    deadlines = Deadlines(Budgets(), clock)
    assert deadlines.leave_time(shared=False)
    clock.now_s += 1.1
    assert not deadlines.leave_time(shared=False)
