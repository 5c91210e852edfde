import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.words import normalise, words


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("I'm calling, um, for 15 minutes. OK?", "i am calling for fifteen minutes\nok"),
        ("Don\u2019t you think it\u2019s late?", "do not you think it is late"),
        ("We can't, we won't, let's go!", "we can not we will not let us go"),
        ("Dana's office opens at 8:30 a.m.", "dana's office opens at eight thirty a m"),
        ("$4,000 for 911 and 42", "4000 for 911 and forty two"),
        ("  ", ""),
        ("...", ""),
        ("uh, hmm", ""),
        ("CAF\u00c9 stra\u00dfe", "caf\u00e9 strasse"),
        ("I I want the the house", "i want the house"),
        ("what what what is he is he", "what is he is he"),
        ("five five five oh one four two, two two", "five five five oh one four two two two"),
        ("555 555 0142", "555 555 0142"),
        ("No. No.", "no\nno"),
        ("w- what, th-the I\u2014 I can't", "what the i can not"),
        ("re-read the co-operative's T-shirt", "re read the co operative's t shirt"),
        ("You know, it is, I mean, fine", "it is fine"),
        ("Do you know, sir, what I mean?", "do you know sir what i mean"),
    ],
)
def test_words_are_compared_plainly(text: str, plain: str) -> None:
    assert normalise(text) == plain


@given(text=st.text())
def test_any_text_becomes_plain_words_and_stays_so(text: str) -> None:
    plain = normalise(text)

    assert normalise(plain) == plain
    assert words(text) == plain.split()
