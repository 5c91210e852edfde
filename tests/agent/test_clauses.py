"""Clauses of a reply that is still being worded."""

from hypothesis import given
from hypothesis import strategies as st

from agent.clauses import Clauses


def clauses_of(*pieces: str) -> list[str]:
    clauses = Clauses()
    return [clause for piece in pieces for clause in clauses.feed(piece)] + clauses.rest()


def test_the_first_clause_may_end_at_a_comma() -> None:
    assert clauses_of("Delmar Medical, for six years, I think.") == [
        "Delmar Medical,",
        "for six years, I think.",
    ]


def test_later_clauses_are_whole_sentences() -> None:
    assert clauses_of("Six years now. We like them, mostly. Why?") == [
        "Six years now.",
        "We like them, mostly.",
        "Why?",
    ]


def test_a_very_short_start_waits_for_more() -> None:
    assert clauses_of("Well, that depends. Maybe.") == ["Well, that depends.", "Maybe."]


def test_a_sentence_is_given_out_as_soon_as_the_next_one_begins() -> None:
    clauses = Clauses()
    assert clauses.feed("Thirty seconds.") == []
    assert clauses.feed(" Go") == ["Thirty seconds."]


def test_a_title_does_not_end_a_sentence() -> None:
    assert clauses_of("Ask Dr. Reyes about it.") == ["Ask Dr. Reyes about it."]


def test_text_without_punctuation_is_cut_at_a_space() -> None:
    assert max(len(clause) for clause in clauses_of("word " * 200)) <= 180


@given(st.lists(st.text(max_size=30), max_size=20))
def test_no_letter_is_lost_or_added(pieces: list[str]) -> None:
    spoken = "".join("".join(clauses_of(*pieces)).split())
    assert spoken == "".join("".join(pieces).split())
