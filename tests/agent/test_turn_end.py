"""When the trainee's turn begins, pauses, goes on and ends, counted in blocks of 20 ms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.turn_end import Step, TurnTaker, TurnTiming, counts_up, leaves_open, needed_ms

TIMING = TurnTiming(start_ms=100, barge_in_ms=160, eager_ms=80, shortest_ms=160, longest_ms=1_200)
COMPLETE, UNFINISHED = "Who do you order from today?", "I wanted to ask you about the"

probabilities = st.floats(0.0, 1.0)
texts = st.sampled_from(["", COMPLETE, UNFINISHED, "Um", "Yes."])


class Line:
    """A trainee's line, fed in ms of speech and silence."""

    def __init__(self) -> None:
        self.turn = TurnTaker(TIMING)
        self.steps: list[Step] = []

    def speech(self, ms: int, *, over_the_persona: bool = False) -> list[Step]:
        return self._feed(ms, sounding=True, certain=True, audible=over_the_persona)

    def silence(self, ms: int, *, certain: bool = False) -> list[Step]:
        return self._feed(ms, sounding=False, certain=certain, audible=False)

    def verdict(self, probability: float, text: str) -> list[Step]:
        return [step for step in (self.turn.judged(probability), self.turn.understood(text)) if step]

    def _feed(self, ms: int, *, sounding: bool, certain: bool, audible: bool) -> list[Step]:
        steps = [
            self.turn.hear(sounding=sounding, certain=certain, persona_audible=audible)
            for _ in range(ms // 20)
        ]
        return [step for step in steps if step]


def test_a_turn_begins_after_a_tenth_of_a_second_of_speech() -> None:
    line = Line()
    assert line.speech(80) == []
    assert line.speech(20) == [Step.BEGINS]


def test_it_takes_longer_to_take_the_floor_from_the_persona() -> None:
    line = Line()
    assert line.speech(140, over_the_persona=True) == []
    assert line.speech(20, over_the_persona=True) == [Step.BEGINS]


def test_a_click_begins_no_turn() -> None:
    line = Line()
    for _ in range(50):
        assert line.speech(40) == line.silence(200) == []


def test_a_short_dip_in_an_onset_is_forgiven() -> None:
    line = Line()
    assert line.speech(80) + line.silence(20) + line.speech(40) == [Step.BEGINS]


def test_a_pause_is_noticed_after_eager_ms_and_once() -> None:
    line = Line()
    line.speech(600)
    assert line.silence(60) == []
    assert line.silence(20) == [Step.PAUSES]
    assert line.silence(200) == []


def test_a_complete_turn_ends_with_the_shortest_silence() -> None:
    line = Line()
    line.speech(600)
    line.silence(80)
    assert line.verdict(1.0, COMPLETE) == []
    assert line.silence(60) == []
    assert line.silence(20) == [Step.ENDS]


def test_verdicts_that_come_late_end_the_turn_at_once() -> None:
    line = Line()
    line.speech(600)
    line.silence(400)
    assert line.turn.judged(1.0) is None
    assert line.turn.understood(COMPLETE) is Step.ENDS


def test_the_silence_within_a_word_is_no_pause() -> None:
    line = Line()
    line.speech(600)
    assert line.silence(120, certain=True) == []
    assert line.silence(20) == [Step.PAUSES]


def test_a_finished_sentence_whose_melody_goes_on_waits_for_it() -> None:
    line = Line()
    line.speech(600)
    line.silence(80)
    line.verdict(0.0, COMPLETE)
    assert line.silence(420) == []
    assert line.silence(20) == [Step.ENDS]


def test_words_that_leave_a_sentence_open_outweigh_a_falling_melody() -> None:
    line = Line()
    line.speech(600)
    line.silence(80)
    line.verdict(1.0, UNFINISHED)
    assert line.silence(1_100) == []
    assert line.silence(20) == [Step.ENDS]


def test_a_sentence_without_a_mark_is_waited_for() -> None:
    line = Line()
    line.speech(600)
    line.silence(80)
    line.verdict(1.0, "We help dental offices")
    assert line.silence(800) == []
    assert line.silence(20) == [Step.ENDS]


def test_a_recogniser_that_never_punctuates_is_found_out_in_two_turns() -> None:
    line = Line()
    for silence_ms in (900, 900, 160):
        line.speech(600)
        line.silence(80)
        line.verdict(1.0, "we help dental offices")
        assert line.silence(silence_ms - 100) == []
        assert line.silence(20) == [Step.ENDS]


def test_who_goes_on_keeps_the_floor_and_is_judged_afresh() -> None:
    line = Line()
    line.speech(600)
    line.silence(80)
    line.verdict(0.0, COMPLETE)
    line.silence(300)
    assert line.speech(40) == [Step.RESUMES]
    assert line.speech(400) == []
    assert line.silence(80) == [Step.PAUSES]
    assert line.silence(900) == [], "not by the verdict on the pause before"
    assert line.verdict(1.0, COMPLETE) == [Step.ENDS]


def test_a_click_in_a_pause_is_not_the_trainee_going_on() -> None:
    line = Line()
    line.speech(600)
    line.silence(80)
    line.verdict(1.0, COMPLETE)
    assert line.speech(20) == []
    assert line.silence(60) == [Step.ENDS]


def test_nothing_ends_in_the_middle_of_a_sound() -> None:
    line = Line()
    line.speech(600)
    line.silence(140)
    line.verdict(1.0, COMPLETE)
    assert line.speech(40) == [Step.RESUMES]


def test_the_next_turn_needs_an_onset_of_its_own() -> None:
    line = Line()
    line.speech(600)
    line.silence(160)
    assert line.verdict(1.0, COMPLETE) == [Step.ENDS]
    assert line.speech(80) == []
    assert line.speech(20) == [Step.BEGINS]


@given(probabilities, texts)
def test_nobody_waits_longer_than_allowed(probability: float, text: str) -> None:
    assert TIMING.shortest_ms <= needed_ms(probability, text, TIMING) <= TIMING.longest_ms


@given(probabilities, probabilities, texts)
def test_the_surer_the_model_that_more_will_come_the_longer_the_wait(
    one: float, other: float, text: str
) -> None:
    low, high = min(one, other), max(one, other)
    assert needed_ms(low, text, TIMING) >= needed_ms(high, text, TIMING)


@pytest.mark.parametrize(
    "text",
    ["It is five five five,", "My number is 555.", "We need gloves, masks, cups.", "fourteen twenty-two"],
)
def test_of_numbers_and_lists_there_may_be_more(text: str) -> None:
    assert counts_up(text)


@pytest.mark.parametrize("text", ["", "Five.", "Gloves, masks and cups.", "At nine?", "Yes, please."])
def test_of_other_things_not(text: str) -> None:
    assert not counts_up(text)


@pytest.mark.parametrize(
    "text",
    ["I was wondering if the", "We sell, um...", "I\u2019d", "Because", "With the", "call me at", "Well,"],
)
def test_some_words_leave_a_sentence_open(text: str) -> None:
    assert leaves_open(text)


@pytest.mark.parametrize("text", ["", "Yes.", "What is it for?", "I think so", "Fourteen twenty West Fifth"])
def test_others_may_end_it(text: str) -> None:
    assert not leaves_open(text)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.none() | st.tuples(probabilities, texts))))
def test_whatever_is_heard_turns_begin_and_end_by_turns(
    blocks: list[tuple[bool, bool, tuple[float, str] | None]],
) -> None:
    turn = TurnTaker(TIMING)
    steps: list[Step] = []
    for sounding, audible, verdict in blocks:
        told = [turn.hear(sounding=sounding, certain=sounding, persona_audible=audible)]
        if verdict is not None:
            told += [turn.judged(verdict[0]), turn.understood(verdict[1])]
        steps += [step for step in told if step]
    allowed = {
        None: {Step.BEGINS},
        Step.BEGINS: {Step.PAUSES},
        Step.PAUSES: {Step.RESUMES, Step.ENDS},
        Step.RESUMES: {Step.PAUSES},
        Step.ENDS: {Step.BEGINS},
    }
    assert all(after in allowed[before] for before, after in zip([None, *steps], steps, strict=False))
