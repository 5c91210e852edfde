import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ear import SpokenWords


def spoken(text: str, piece: int = 3) -> str:
    """What is spoken of a text that comes in pieces of this many characters."""
    ear = SpokenWords("Dana Whitfield")
    said = "".join(ear.feed(text[at : at + piece]) for at in range(0, len(text), piece))
    return said + ear.finish()


@pytest.mark.parametrize(
    ("worded", "heard"),
    [
        ("Well, we order from Delmar.", "Well, we order from Delmar."),
        ("Hello there", "Hello there."),
        ("*sighs* Fine. (laughs) Go on. [pause]", "Fine. Go on."),
        ("Fine *rolls her eyes at the phone* go on.", "Fine go on."),
        ("**Really**, _yes_, `now` and # here.", "Really, yes, now and here."),
        ("- one\n- two\n3. three", "one two three."),
        ("Dana: Yes?", "Yes?"),
        ("**Dana Whitfield:** Yes?", "Yes?"),
        ("Dana Whitfield speaking.", "Dana Whitfield speaking."),
        ("Assistant: Yes?", "Yes?"),
        ("Okay.\nCaller: And then?", "Okay."),
        ("Okay\nUser: And then?", "Okay."),
        ('"Yes," she thought. "No."', "Yes, she thought. No."),
        ("Sure \U0001f600\u2764\ufe0f thing \u2705.", "Sure thing."),
        ("<think>The caller\nwants (a) price.</think>Too much.", "Too much."),
        ("<think>never ends", ""),
        ("*sighs", "sighs."),
        ("One. Two! Three? Four.", "One. Two! Three?"),
        ("Dr. Reyes signs. Mrs. Hall does not. No.", "Dr. Reyes signs. Mrs. Hall does not. No."),
        ("It's 50% off, $20 at 3:30.", "It's 50% off, $20 at 3:30."),
        ("2 * 3 is six.", "2 3 is six."),
        ("*", ""),
        ("(laughs)", ""),
        ("\u2026 - ...", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("piece", [1, 4, 1000])
def test_only_words_are_spoken(worded: str, heard: str, piece: int) -> None:
    assert spoken(worded, piece) == heard


def test_a_reply_that_rambles_ends_with_a_clause() -> None:
    heard = spoken(", ".join(["and so on"] * 40))

    assert len(heard.split()) == 45
    assert heard.endswith("and so on.")


def test_a_reply_without_any_punctuation_still_ends() -> None:
    assert spoken("word " * 200) == " ".join(["word"] * 60) + "."


def test_words_are_spoken_as_soon_as_they_are_whole() -> None:
    ear = SpokenWords("Dana")

    assert [ear.feed(token) for token in ("We", " or", "der", " from", " Del")] == [
        "",
        "We",
        "",
        " order",
        " from",
    ]
    assert ear.finish() == " Del."


def test_the_end_is_known_when_the_third_sentence_is_spoken() -> None:
    ear = SpokenWords("Dana")
    ear.feed("One. Two. ")
    assert not ear.done
    ear.feed("Three. ")
    assert ear.done


@given(text=st.text(), piece=st.integers(1, 9))
def test_any_text_gives_the_same_words_in_whatever_pieces_it_comes(text: str, piece: int) -> None:
    heard = spoken(text, piece)

    assert heard == spoken(text, 10_000)
    assert not set(heard) & set("*#`|<>[]{}()\n\t")
    assert len(heard.split()) <= 60


ODDITIES = ("*a", "b*", "(c", "d)", "**", "*", "e.", "<think>", "</think>", "Dana:", "-", "\n", "f")


@given(words=st.lists(st.sampled_from(ODDITIES)))
def test_markup_in_any_order_is_never_spoken(words: list[str]) -> None:
    text = " ".join(words)
    heard = spoken(text, 2)

    assert heard == spoken(text, 10_000)
    assert not set(heard) & set("*<>()")
