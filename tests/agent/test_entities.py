import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.entities import MAX_CHARACTERS, agrees, find_details
from agent.entities.agreement import _COMPARISONS
from agent.memory import Detail
from agent.scenario_parts import EntityKind
from tests.agent.scenarios import cold_call

KINDS = get_args(EntityKind)


def found(text: str) -> list[tuple[str, str]]:
    return [(detail.kind, detail.value) for detail in find_details(text, None, 1)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Four twelve Harlan Street, apartment three.", "412 Harlan Street, Apartment 3"),
        ("it's four twelve harlan street apartment three b", "412 Harlan Street, Apartment 3B"),
        ("It's 412 N. Harlan St. Apt. 3, right?", "412 North Harlan Street, Apartment 3"),
        ("is that 1240 Washington Avenue", "1240 Washington Avenue"),
        ("So that's twelve, uh, forty Washington Avenue?", "1240 Washington Avenue"),
        ("i have three oh six cedar lane", "306 Cedar Lane"),
        ("One, two, eight, Cedar Lane", "128 Cedar Lane"),
        ("Willow Lane, fourteen sixty.", "1460 Willow Lane"),
        ("nine eleven Third Street", "911 3rd Street"),
        ("four twelve harlan streat", "412 Harlan Street"),
        ("the same one 318 chestnut street", "318 Chestnut Street"),
        ("412 Broadway, third floor", "412 Broadway, Floor 3"),
        ("412 Harlan, right?", "412 Harlan"),
        ("We are at Fifth and Main", "5th and Main"),
        ("the corner of fifth avenue and main street", "5th Avenue and Main Street"),
        ("harlan street and fifth", "Harlan Street and 5th"),
        ("I'm on Highway 12 northbound", "Highway 12 North"),
        ("on saint mary's road", "Saint Mary's Road"),
        ("Apartment seven.", "Apartment 7"),
    ],
)
def test_an_address_is_found_as_it_is_said(text: str, value: str) -> None:
    assert found(text) == [("address", value)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("five five five oh one four two", "555-0142"),
        ("Five five five. Oh one four two.", "555-0142"),
        ("My number is 555-0142.", "555-0142"),
        ("call me at (415) 555-0142", "(415) 555-0142"),
        ("415.555.0142", "(415) 555-0142"),
        ("one four one five five five five oh one four two", "(415) 555-0142"),
        ("eight hundred five five five oh one four two", "(800) 555-0142"),
        ("double five five, zero one, forty two", "555-0142"),
        ("one two six, oh six oh four is the number", "126-0604"),
    ],
)
def test_a_telephone_number_is_found_even_if_it_is_never_assigned(text: str, value: str) -> None:
    assert found(text) == [("phone", value)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("My name is Alex and I am calling from Northwind.", ["Alex"]),
        ("hello this is alex from northwind supply", ["Alex"]),
        ("Hi Dana, this is Alex Price with Northwind.", ["Dana", "Alex Price"]),
        ("am i speaking with maria ortega", ["Maria Ortega"]),
        ("Is this Whitney Kowalski?", ["Whitney Kowalski"]),
        ("my name's harold harold nyberg", ["Harold Nyberg"]),
        ("Please tell Doctor Reyes that I called.", ["Doctor Reyes"]),
        ("I talked to Sam's mother", ["Sam"]),
        ("my name is maria o'brien", ["Maria O'Brien"]),
    ],
)
def test_a_name_is_found_by_the_words_around_it(text: str, names: list[str]) -> None:
    assert [value for kind, value in found(text) if kind == "name"] == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("four thousand dollars", [("money", "$4,000")]),
        ("The asking price is $450,000.", [("money", "$450,000")]),
        ("would you take four fifty as an offer", [("money", "450")]),
        ("about 450 thousand dollars", [("money", "$450,000")]),
        ("half a million dollars", [("money", "$500,000")]),
        (
            "between three hundred thousand and four hundred thousand",
            [("money", "$300,000"), ("money", "$400,000")],
        ),
        ("next Tuesday at ten", [("date", "next Tuesday"), ("time", "10:00")]),
        ("by the fifteenth", [("date", "15th")]),
        ("the fifteenth of March at 10:30 a.m.", [("date", "March 15"), ("time", "10:30 am")]),
        ("quarter past three", [("time", "3:15")]),
        ("friday half past five in the evening", [("date", "Friday"), ("time", "5:30 pm")]),
        ("twenty minutes ago", [("time", "20 minutes ago")]),
        ("he's forty seven years old", [("age", "47")]),
        ("How old is she? About forty?", [("age", "40")]),
        ("the baby is six months old", [("age", "6 months")]),
        ("There are three people hurt.", [("number", "3 people")]),
        ("there's four of us and two little kids", [("number", "4 people"), ("number", "2 children")]),
        ("he has a kitchen knife", [("weapon", "knife")]),
        ("I saw no gun.", [("weapon", "no gun")]),
        ("so she is bleeding from the head", [("injury", "bleeding (head)")]),
        ("he is not breathing", [("injury", "not breathing")]),
        ("a dark blue ford pickup", [("vehicle", "dark blue ford pickup")]),
        ("the plate is a b c one two three four", [("vehicle", "plate ABC1234")]),
        ("my email is alex dot morgan at northwind dot com", [("email", "alex.morgan@northwind.com")]),
        ("write to a l e x 7 at north wind dot com", [("email", "alex7@northwind.com")]),
        ("John.Smith@Example.com", [("email", "john.smith@example.com")]),
    ],
)
def test_amounts_days_people_and_the_rest_are_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I'm calling about your policy, this is great news.",
        "this is an emergency service and i am with you",
        "Give me a second, at first I thought it was the second time.",
        "One, two, three, four, five, six, seven, eight, nine, ten.",
        "one and two and three and four",
        "nine one one what is your emergency",
        "my badge number is four four two seven one nine two",
        "How many people are hurt? Does anyone have a gun or a knife?",
        "is he bleeding and what is the cross street",
        "It is a quiet one way street just down the road, on my way.",
        "we have ten thousand customers and two thousand square feet",
        "we're open 24/7 and half of it is at the third try",
        "may I ask who is calling, will you mark my words, grace period",
        "at least two, before one of them leaves",
        "that was a stroke of luck in case we get cut off",
        "can I speak to the manager or the doctor",
    ],
)
def test_talk_that_only_sounds_like_a_detail_is_none(text: str) -> None:
    assert found(text) == []


def test_what_a_salesperson_is_expected_to_say_holds_only_names_days_times_and_amounts() -> None:
    lines = cold_call().expected_lines()

    kinds = {kind for line in lines for kind, _ in found(line)}

    assert kinds <= {"name", "date", "time", "money"}
    assert sum(bool(found(line)) for line in lines) < len(lines) / 4


def test_a_detail_says_with_which_words_in_which_turn_and_how_surely() -> None:
    (detail,) = find_details("So it's four twelve Harlan Street?", 0.5, 7)

    assert detail == Detail("address", "four twelve Harlan Street", "412 Harlan Street", 0.475, 7)


def test_without_a_confidence_of_the_recogniser_the_rule_s_own_counts() -> None:
    (sure,) = find_details("$4,000", None, 1)
    (doubtful,) = find_details("$4,000", 0.2, 1)

    assert sure.confidence == 0.95
    assert doubtful.confidence == pytest.approx(0.19)


HOSTILE = st.one_of(
    st.text(max_size=400),
    st.lists(
        st.sampled_from(
            [
                "five",
                "oh",
                "double",
                "hundred",
                "thousand",
                "and",
                "at",
                "dot",
                "com",
                "street",
                "main",
                "the",
                "15th",
            ]
            + [
                "my",
                "name",
                "is",
                "alex",
                "$",
                ",",
                ".",
                "half",
                "past",
                "412",
                "1",
                "b",
                "plate",
                "apartment",
                "to",
            ]
        ),
        max_size=80,
    ).map(" ".join),
    st.text(alphabet="\u202e\u05d0\u0627\U0001f600\x00\x1b\u0301\u00b2\u2019 '.,5a", max_size=200),
)


@settings(deadline=None)
@given(text=HOSTILE, confidence=st.none() | st.floats())
def test_any_text_has_details_that_are_in_it_in_order_and_apart(text: str, confidence: float | None) -> None:
    at = 0
    for detail in find_details(text, confidence, 1):
        at = text.index(detail.text, at) + len(detail.text)
        assert detail.kind in KINDS
        assert detail.value
        assert 0 <= detail.confidence <= 1


@pytest.mark.parametrize(
    "text",
    [
        "412 main street " * 7000,
        "1 " * 50_000,
        "alex " * 20_000,
        "\U0001f600" * 100_000,
        "\u202e" * 100_000,
        "9" * 100_000,
    ],
    ids=["addresses", "digits", "names", "emoji", "direction marks", "one number"],
)
def test_of_a_very_long_text_only_the_beginning_is_looked_at(text: str) -> None:
    assert find_details(text, None, 1) == find_details(text[:MAX_CHARACTERS], None, 1)


def test_threads_get_the_same_details() -> None:
    texts = [f"four twelve Harlan Street apartment {number}" for number in range(40)]

    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(found, texts))

    assert at_once == [[("address", f"412 Harlan Street, Apartment {number}")] for number in range(40)]


def test_importing_the_rules_loads_none_of_the_libraries_that_take_long() -> None:
    code = (
        "import sys, agent.entities, agent.knowledge, agent.promises;"
        "print({'spacy', 'bm25s', 'numba', 'phonenumbers'} & set(sys.modules))"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("kind", "said", "truth"),
    [
        ("address", "twelve forty washington avenue", "1240 Washington Avenue"),
        ("address", "1240 Washingtons Ave", "1240 Washington Avenue"),
        ("address", "412 Harlan Street", "412 Harlan Street, Apartment 3"),
        ("address", "main and fifth", "5th and Main"),
        ("phone", "five five five oh one four two", "(415) 555-0142"),
        ("phone", "(415) 555-0142", "555-0142"),
        ("name", "mario ortega", "Maria Ortega"),
        ("name", "maria or tega", "Maria Ortega"),
        ("name", "so your name is maria ortega is that right", "Maria Ortega"),
        ("name", "kovalsky", "Kowalski"),
        ("money", "four fifty", "$450,000"),
        ("money", "$4,000", "four thousand dollars"),
        ("date", "next Tuesday", "Tuesday"),
        ("date", "the fifteenth", "March 15"),
        ("time", "half past ten", "10:30 a.m."),
        ("age", "forty seven years old", "47"),
        ("number", "3 people", "three"),
        ("weapon", "a gun", "handgun"),
        ("injury", "passed out", "unconscious"),
        ("injury", "burned", "burns"),
        ("vehicle", "blue pickup", "blue Ford pickup"),
        ("vehicle", "plate ABC1234", "gray sedan, plate ABC 1234"),
        ("email", "alex dot morgan at northwind dot com", "alex.morgan@northwind.com"),
    ],
)
def test_what_was_said_agrees_with_the_truth(kind: EntityKind, said: str, truth: str) -> None:
    assert agrees(kind, said, truth) is True


@pytest.mark.parametrize(
    ("kind", "said", "truth"),
    [
        ("address", "twelve fourteen washington avenue", "1240 Washington Avenue"),
        ("address", "1240 Washington Street", "1240 Washington Avenue"),
        ("address", "412 Harlan Street, Apartment 5", "412 Harlan Street, Apartment 3"),
        ("phone", "555-0143", "555-0142"),
        ("phone", "(212) 555-0142", "(415) 555-0142"),
        ("name", "Maria Lopez", "Maria Ortega"),
        ("money", "$450", "$450,000"),
        ("date", "Wednesday", "Tuesday"),
        ("time", "10 pm", "10:00 am"),
        ("age", "6 months", "6"),
        ("number", "3 people", "two"),
        ("weapon", "no gun", "gun"),
        ("injury", "bleeding (arm)", "bleeding from the head"),
        ("vehicle", "red pickup", "blue Ford pickup"),
        ("email", "someone@else.org", "alex.morgan@northwind.com"),
    ],
)
def test_what_was_said_contradicts_the_truth(kind: EntityKind, said: str, truth: str) -> None:
    assert agrees(kind, said, truth) is False


@pytest.mark.parametrize(
    ("kind", "said", "truth"),
    [
        ("address", "Washington Avenue", "1240 Washington Avenue"),
        ("address", "Apartment 3", "412 Harlan Street, Apartment 3"),
        ("phone", "0142", "555-0142"),
        ("name", "Maria", "Maria Ortega"),
        ("name", "hello how are you doing today", "Maria Ortega"),
        ("date", "March", "March 15"),
        ("date", "tomorrow", "March 15"),
        ("number", "3 bedrooms", "2 people"),
        ("injury", "bleeding", "chest pain"),
        ("vehicle", "pickup", "blue Ford pickup"),
        ("money", "a lot", "$4,000"),
    ],
)
def test_part_of_the_truth_is_neither_right_nor_wrong(kind: EntityKind, said: str, truth: str) -> None:
    assert agrees(kind, said, truth) is None


def test_one_of_the_ways_to_say_it_is_enough() -> None:
    assert agrees("name", "Maria", "Maria Ortega", ("Maria", "Ms. Ortega")) is True
    assert agrees("name", "Lopez", "Maria Ortega", ("Maria", "Ms. Ortega")) is False


def test_every_kind_of_detail_can_be_compared() -> None:
    assert set(_COMPARISONS) == set(KINDS)


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), said=HOSTILE, truth=HOSTILE)
def test_any_two_texts_can_be_compared(kind: EntityKind, said: str, truth: str) -> None:
    assert agrees(kind, said, truth) in (True, False, None)
