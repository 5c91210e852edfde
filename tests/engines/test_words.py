from hypothesis import given
from hypothesis import strategies as st

from agent.speech import SpokenWord
from pipelines.engines.words import from_marks, from_spans, in_proportion, read_out, speakable, split_words


def test_unspeakable_characters_become_spaces_and_nothing_moves() -> None:
    assert speakable("ok \x01150S 😀 [[a]] 20°, naïve — “yes” 5€") == "ok  150S     a   20°, naïve — “yes” 5€"


@given(st.text())
def test_speakable_text_is_as_long_as_the_text(text: str) -> None:
    assert len(speakable(text)) == len(text)


def test_time_is_shared_by_length_and_punctuation_takes_none() -> None:
    assert in_proportion(["a", "—", "bcd"], 100, 500) == [
        SpokenWord("a", 100, 200),
        SpokenWord("—", 200, 200),
        SpokenWord("bcd", 200, 500),
    ]


def test_words_are_timed_by_marks_and_end_at_pauses() -> None:
    assert from_marks("Wait. Go on", [(0, 0), (6, 400), (9, 600)], [250, 900], 950) == [
        SpokenWord("Wait.", 0, 250),
        SpokenWord("Go", 400, 600),
        SpokenWord("on", 600, 900),
    ]


def test_a_word_without_a_mark_shares_with_the_word_before_it() -> None:
    assert from_marks("of the in", [(0, 0), (7, 200)], [], 300) == [
        SpokenWord("of", 0, 80),
        SpokenWord("the", 80, 200),
        SpokenWord("in", 200, 300),
    ]


def test_a_word_before_the_first_mark_shares_with_the_first_marked_word() -> None:
    assert from_marks("— yes", [(2, 0)], [], 300) == [SpokenWord("—", 0, 0), SpokenWord("yes", 0, 300)]


def test_without_any_mark_the_words_share_the_whole_sound() -> None:
    assert from_marks("a b", [], [], 300) == [SpokenWord("a", 0, 150), SpokenWord("b", 150, 300)]


@given(
    st.text("ab 1.—", max_size=30),
    st.lists(st.tuples(st.integers(-5, 40), st.integers(0, 2_000)), max_size=8),
    st.lists(st.integers(0, 2_000), max_size=5),
)
def test_any_marks_give_ordered_times_within_the_sound(
    text: str, marks: list[tuple[int, int]], pauses_ms: list[int]
) -> None:
    spoken = from_marks(text, marks, sorted(pauses_ms), 1_000)
    bounds = [bound for word in spoken for bound in (word.start_ms, word.end_ms)]
    assert bounds == sorted(bounds)
    assert all(0 <= bound <= 1_000 for bound in bounds)
    assert not spoken or [word.text for word in spoken] == [word for _, word in split_words(text)]


def test_spans_belong_to_the_words_that_have_a_sound() -> None:
    assert from_spans(["Yes", "—", "no"], [(10, 50), (80, 120)]) == [
        SpokenWord("Yes", 10, 50),
        SpokenWord("—", 50, 50),
        SpokenWord("no", 80, 120),
    ]


def test_spans_that_do_not_pair_up_with_the_words_are_refused() -> None:
    assert from_spans(["of", "the"], [(10, 50)]) == []


def test_what_is_said_is_timed_under_what_is_written() -> None:
    reading = read_out("Pay $20 — now.", "en")
    assert reading.text == "Pay twenty dollars — now."
    said = in_proportion(reading.text.split(), 0, 1_900)
    assert reading.timed(said) == (
        SpokenWord("Pay", 0, 300),
        SpokenWord("$20", 300, 1_600),
        SpokenWord("—", 1_600, 1_600),
        SpokenWord("now.", 1_600, 1_900),
    )


def test_a_word_of_which_nothing_is_said_takes_no_time() -> None:
    reading = read_out("yes \x01 😀 no", "en")
    assert reading.text == "yes no"
    assert [word.text for word in reading.timed(in_proportion(["yes", "no"], 0, 500))] == [
        "yes",
        "\x01",
        "😀",
        "no",
    ]


def test_a_letter_that_is_spelled_is_not_taken_for_the_article() -> None:
    assert read_out("unit 3A is a mess", "en").text == "unit three eigh is a mess"
    assert read_out("A mess", "en").text == "A mess"


@given(st.text(max_size=60), st.sampled_from(["en", "de"]))
def test_every_written_word_is_timed_whatever_is_said_for_it(text: str, language: str) -> None:
    reading = read_out(text, language)
    words = reading.timed(in_proportion(reading.text.split(), 0, 1_000))
    bounds = [bound for word in words for bound in (word.start_ms, word.end_ms)]
    assert [word.text for word in words] == text.split()
    assert bounds == sorted(bounds)
