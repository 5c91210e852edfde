"""Who only says that they are listening does not want the floor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.backchannel import leaves_the_floor, rest_of
from agent.words import words

REST = "and we have been with them for about six years."
QUESTION = "so what would that cost us?"
WORDS = ("we", "order", "from", "Northwind.", "on", "Mondays,", "it", "works", "and")
REPLY = "Look, we order from Northwind, and they bring it on Mondays. It works. I would not change that now."


@pytest.mark.parametrize(
    "text",
    ["Uh-huh.", "mm-hmm", "Mhm", "Yeah.", "Right, right.", "I see.", "Okay, got it.", "uh-huh okay", ""],
)
def test_sounds_of_listening_leave_the_floor(text: str) -> None:
    assert leaves_the_floor(text, REST)


@pytest.mark.parametrize(
    "text",
    ["No.", "Wait.", "Stop", "But we", "Yeah, but what about price?", "Sorry?", "Right now I can", "Hold on"],
)
def test_anything_else_takes_it(text: str) -> None:
    assert not leaves_the_floor(text, REST)


def test_yes_over_a_question_is_an_answer_and_a_hum_is_not() -> None:
    assert not leaves_the_floor("Yes", QUESTION)
    assert leaves_the_floor("Mm-hmm", QUESTION)


def test_a_cut_reply_is_taken_up_at_the_clause_that_was_cut() -> None:
    assert rest_of(REPLY, "Look, we order from Northwind, and") == (
        "we order from Northwind, and they bring it on Mondays. It works. I would not change that now."
    )
    assert rest_of(REPLY, "Look, we order from Northwind, and they bring it on Mondays. It").startswith(
        "It works."
    )


def test_a_reply_of_which_nothing_was_heard_is_taken_up_whole() -> None:
    assert rest_of(REPLY, "") == REPLY


@pytest.mark.parametrize("heard", [REPLY, REPLY[: -len("that now.")].replace("I would not change ", "")])
def test_a_reply_that_was_all_but_said_is_left(heard: str) -> None:
    assert len(rest_of(REPLY, heard).split()) in (0, 6)
    assert rest_of("Sure, go on.", "Sure,") == ""


@given(st.text())
def test_any_text_is_a_sound_of_listening_or_not(text: str) -> None:
    assert leaves_the_floor(text, REST) in (True, False)


@given(
    st.lists(
        st.sampled_from(["we", "order", "from", "Northwind.", "on", "Mondays,", "it", "works", "and"]),
        max_size=40,
    ),
    st.data(),
)
def test_what_is_taken_up_is_the_end_of_the_reply(said: list[str], data: st.DataObject) -> None:
    heard = said[: data.draw(st.integers(0, len(said)))]
    rest = words(rest_of(" ".join(said), " ".join(heard)))
    assert rest == words(" ".join(said))[len(words(" ".join(said))) - len(rest) :]
    assert not rest or len(rest) >= len(words(" ".join(said[len(heard) :])))
