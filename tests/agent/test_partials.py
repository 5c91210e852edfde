from hypothesis import given
from hypothesis import strategies as st

from agent.partials import Agreement


def shown(*hypotheses: str) -> list[str]:
    """What the live view shows after each hypothesis: stable words | unstable words."""
    agreement = Agreement()
    return ["{} | {}".format(*agreement.update(each)) for each in hypotheses]


def test_a_first_hypothesis_is_unstable() -> None:
    assert shown("Hi, this is") == [" | Hi, this is"]


def test_words_are_stable_once_two_hypotheses_in_a_row_have_them() -> None:
    assert shown("Hi, this is", "Hi, this is Alex", "Hi, this is Alex from Northwind")[1:] == [
        "Hi, this is | Alex",
        "Hi, this is Alex | from Northwind",
    ]


def test_words_behind_a_disagreement_wait() -> None:
    assert shown("I wreck a nice", "I recognise a nice speech") == [
        " | I wreck a nice",
        "I | recognise a nice speech",
    ]


def test_the_last_word_of_a_hypothesis_gets_its_punctuation_later() -> None:
    assert shown("Who is this", "Who is this? It's late")[1] == "Who is this? | It's late"


def test_what_is_stable_stays_when_a_later_hypothesis_disagrees() -> None:
    assert (
        shown("We meet on Monday", "We meet on Monday", "He eats a sundae now")[2]
        == "We meet on Monday | now"
    )


def test_a_shorter_hypothesis_takes_nothing_stable_back() -> None:
    assert shown("Good morning to you", "Good morning to you", "Good morning")[2] == "Good morning to you | "


def test_nothing_heard_is_nothing_shown() -> None:
    assert shown("", "") == [" | ", " | "]


words = st.lists(st.sampled_from(["a", "b,", "B", "c?", "-"]), max_size=8).map(" ".join)


@given(st.lists(words, max_size=8))
def test_stable_text_only_grows_and_no_word_is_stable_that_was_said_once(hypotheses: list[str]) -> None:
    agreement, before, longest = Agreement(), "", 0
    for index, hypothesis in enumerate(hypotheses):
        stable, unstable = agreement.update(hypothesis)
        assert stable.split()[: len(before.split())] == before.split()
        assert len((stable + " " + unstable).split()) >= len(hypothesis.split())
        assert index > 0 or stable == ""
        longest = max(longest, len(hypothesis.split()))
        assert len(stable.split()) <= longest
        before = stable
