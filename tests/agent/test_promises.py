import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.entities import find_details
from agent.memory import Detail
from agent.promises import PROMISE_CHARACTERS, PROMISES_PER_TURN, caller_name, promises


@pytest.mark.parametrize(
    ("text", "promise"),
    [
        ("I'll send you two references by Friday.", "I'll send you two references by Friday."),
        ("okay so um I'll, uh, send you the list tomorrow", "I'll send you the list tomorrow."),
        ("help is on the way", "Help is on the way."),
        ("I will call you back on Thursday at ten", "I will call you back on Thursday at ten."),
        ("we're going to get somebody out there", "We're going to get somebody out there."),
        ("I promise I will not hang up", "I will not hang up."),
        ("Don't worry, I won't leave you.", "I won't leave you."),
        ("On Monday I'll come by with the samples.", "On Monday I'll come by with the samples."),
        ("Let me call you back on Friday with a list.", "Let me call you back on Friday with a list."),
        (
            "The police are about four minutes away, so stay inside.",
            "The police are about four minutes away.",
        ),
        (
            "stay on the line the ambulance will be there in five minutes",
            "The ambulance will be there in five minutes.",
        ),
        (
            "thank you for your time i will call you back next monday at nine bye",
            "I will call you back next monday at nine.",
        ),
        ("I'm sending an ambulance to you now. What happened?", "I'm sending an ambulance to you now."),
        ("My boss will call you on Monday, okay?", "My boss will call you on Monday."),
        ("I'll do it by the end of the week", "I'll do it by the end of the week."),
        (
            "I'm going to stay right here with you until they arrive",
            "I'm going to stay right here with you until they arrive.",
        ),
        ("You'll have it by Friday!", "You'll have it by Friday."),
        ("I will take you off our list.", "I will take you off our list."),
    ],
)
def test_a_promise_is_kept_as_it_was_said_without_what_surrounds_it(text: str, promise: str) -> None:
    assert promises(text) == (promise,)


def test_each_promise_of_a_turn_is_kept() -> None:
    text = "Units are on their way and I will stay with you. I'll call your sister tomorrow."

    assert promises(text) == (
        "Units are on their way.",
        "I will stay with you.",
        "I'll call your sister tomorrow.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "I will be honest with you.",
        "I'll be brief.",
        "I'll tell you what.",
        "I will say this once.",
        "I'll get to the point and I will come back to that.",
        "I will let you go.",
        "I'm going to ask you some questions.",
        "We are going to do chest compressions.",
        "If you want, I'll send you a brochure.",
        "if you sign today i'll send you a gift",
        "I'll send you a brochure if you like.",
        "I can send you two references.",
        "I would send it.",
        "Do you think I will send that?",
        "You said you will call me.",
        "Let me check.",
        "You will have to sign here.",
        "I will try to get it done.",
        "Who do you order from today?",
        "",
    ],
)
def test_talk_conditions_and_offers_are_no_promises(text: str) -> None:
    assert promises(text) == ()


def test_a_long_promise_is_cut_between_words() -> None:
    (promise,) = promises("I will send you " + "the very long list of everything we ever had " * 8)

    assert len(promise) <= PROMISE_CHARACTERS
    assert promise.startswith("I will send you the very long list")
    assert " the very long list of everything we ever had ".count(f" {promise[:-1].split()[-1]} ") == 1


def test_nothing_but_words_and_plain_punctuation_is_quoted() -> None:
    assert promises("I'll send you {secret} <b>two</b>\x00 references \U0001f600 by Friday") == (
        "I'll send you secret b two /b references by Friday.",
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hi Dana, my name is Alex and I am calling from Northwind.", "Alex"),
        ("hi dana this is alex from northwind", "Alex"),
        ("Hello, am I speaking with Frank Turner? This is Alex from Harbor Realty.", "Alex"),
        ("Hi, is this Tony Wilson? This is Sam Price from Keystone.", "Sam Price"),
        ("Nine one one, this is Maria.", "Maria"),
        ("I\u2019m Alex with Northwind", "Alex"),
        ("Alex speaking.", "Alex"),
        ("It's Alex from Northwind again.", "Alex"),
        ("Just call me Alex.", "Alex"),
        ("This is Officer Daniels.", "Officer Daniels"),
    ],
)
def test_the_trainee_is_called_what_they_call_themselves(text: str, name: str) -> None:
    assert caller_name(text, find_details(text, None, 1)) == name


@pytest.mark.parametrize(
    "text",
    [
        "Hi Dana, how are you?",
        "So it's Elaine?",
        "So this is Maria Ortega?",
        "Is this Tony Wilson?",
        "Am I speaking with Carol Bennett?",
        "Your name is Maria, right?",
        "I'm sorry, Dana.",
        "I am calling for Dana.",
        "Does Alex sign?",
        "",
    ],
)
def test_somebody_else_s_name_is_not_the_trainee_s(text: str) -> None:
    assert caller_name(text, find_details(text, None, 1)) == ""


def test_details_of_another_text_name_nobody() -> None:
    assert caller_name("my name is Alex", (Detail("name", "Dana", "Dana", 0.9, 1),)) == ""


@settings(deadline=None)
@given(
    text=st.text(max_size=400)
    | st.lists(
        st.sampled_from(
            [
                "I'll",
                "i",
                "will",
                "send",
                "you",
                "by",
                "friday",
                "and",
                ",",
                ".",
                "um",
                "if",
                "help",
                "is",
                "on",
                "the",
            ]
            + [
                "way",
                "going",
                "to",
                "we",
                "let me",
                "call",
                "not",
                "be",
                "there",
                "in",
                "two",
                "minutes",
                "\u2019ll",
            ]
        ),
        max_size=80,
    ).map(" ".join)
)
def test_any_text_has_few_short_promises(text: str) -> None:
    found = promises(text)

    assert len(found) <= PROMISES_PER_TURN
    assert all(0 < len(promise) <= PROMISE_CHARACTERS and promise.isprintable() for promise in found)
    assert isinstance(caller_name(text, find_details(text, None, 1)), str)


@pytest.mark.parametrize(
    "text",
    ["i will send " * 9000, "i " * 50_000, "by " * 30_000, "\U0001f600" * 100_000],
    ids=["promises", "i", "by", "emoji"],
)
def test_a_very_long_text_has_few_promises(text: str) -> None:
    assert len(promises(text)) <= PROMISES_PER_TURN
