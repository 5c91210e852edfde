"""Clauses of a reply that is still being worded."""

import re

import pytest
from hypothesis import given, settings
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


def test_the_first_clause_may_be_a_single_word_before_a_comma_or_a_dash() -> None:
    assert clauses_of("Yes, I can do that. Okay, so what?")[:2] == ["Yes,", "I can do that."]
    assert clauses_of("Okay — let me see. Right.") == ["Okay —", "let me see.", "Right."]
    assert clauses_of("No—that is not what I said.") == ["No—", "that is not what I said."]


@pytest.mark.parametrize(
    "text", ["Hi, Dana.", "No, sir.", "I, for one, agree.", "March 5, 2026 it was.", "Oh, 5?"]
)
def test_a_first_clause_is_not_torn_off_where_it_would_sound_so(text: str) -> None:
    assert clauses_of(text) == [text]


def test_a_short_first_clause_does_not_wait_for_the_end_of_the_sentence() -> None:
    clauses = Clauses()
    assert clauses.feed("Yes, I think s") == ["Yes,"]


@pytest.mark.parametrize(
    "text",
    [
        "Ask Dr. Reyes about it.",
        "They pay approx. four thousand at Main St. in town.",
        "It is in the U.S. market, e.g. here.",
        "At 5 p.m. on Friday it is $4,500.50 or 3.5 percent by 10:30.",
        "Write to dana.w@harbor.com today.",
        "Take No. 5 home.",
        'She said, "Stop. Go away." and left.',
        "She said, “Really? No.” twice.",
        "Call (555) 123-4567 or J. Smith.",
        "1. First of all.",
    ],
)
def test_what_only_looks_like_the_end_of_a_sentence_is_none(text: str) -> None:
    assert "".join(clauses_of(f"Right. {text}")) == f"Right.{text}"
    assert clauses_of(f"Right. {text}")[1:] == [text]


def test_an_abbreviation_can_end_a_sentence() -> None:
    assert clauses_of("We close at 5 p.m. The door is on Oak St. You see it. No. I will not.") == [
        "We close at 5 p.m.",
        "The door is on Oak St.",
        "You see it.",
        "No.",
        "I will not.",
    ]


def test_a_long_sentence_is_cut_where_one_would_breathe() -> None:
    sentence = (
        "We went through the whole storeroom on Friday afternoon looking for the gloves that were on the "
        "order, which somebody had put behind the chairs in the waiting room and covered with a coat that "
        "nobody ever came back for."
    )
    assert clauses_of(f"Right. {sentence}") == [
        "Right.",
        *(part.strip() for part in re.split("(?<=order,)", sentence)),
    ]


@pytest.mark.parametrize("filler", ["word ", "longerword and ", "555 ", "x", "Dr. Lee ", '"a ', "(5) "])
def test_no_clause_is_longer_than_a_breath(filler: str) -> None:
    assert max(len(clause) for clause in clauses_of(filler * 200)) <= 181


@given(st.lists(st.text(max_size=30), max_size=20))
def test_no_letter_is_lost_or_added(pieces: list[str]) -> None:
    spoken = "".join("".join(clauses_of(*pieces)).split())
    assert spoken == "".join("".join(pieces).split())


PARTS = st.sampled_from(
    [
        "Yes, ",
        "No. ",
        "Dr. ",
        "5 ",
        "p.m. ",
        "The ",
        '"',
        "“",
        "”",
        "and ",
        ",",
        "— ",
        "—",
        " - ",
        "word ",
        "St. ",
    ]
    + [
        "a@b.com ",
        "3.5 ",
        "... ",
        "! ",
        "longerword " * 8,
        "  ",
        "\n",
        "x" * 50,
        ") ",
        "' ",
        "U.S. ",
        "(5) ",
        "Oh",
    ]
)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=80), st.lists(PARTS, max_size=40).map("".join)), data=st.data())
def test_the_clauses_are_the_same_in_whatever_pieces_the_text_comes(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = clauses_of(text)
    assert clauses_of(*pieces) == clauses_of(*text) == whole
    assert all(clause and clause == clause.strip() for clause in whole)
