import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.knowledge import ANSWERS, FactSheet, fact_sheet_of, is_question
from agent.scenario_parts import Knowledge
from tests.agent.scenarios import cold_call


def entry(name: str, *asked: str, truth: str) -> Knowledge:
    return Knowledge(id=name, asked=asked, truth=truth, lines=(truth,))


SHEET = FactSheet(
    [
        entry(
            "size",
            "How many dentists work there?",
            "How big is the practice?",
            truth="Two dentists, three hygienists and five treatment rooms.",
        ),
        entry(
            "hours",
            "When are you open?",
            "What are your opening hours?",
            truth="Monday to Thursday from eight to five, Friday until noon.",
        ),
        entry(
            "stockroom",
            "Where do you keep your stock?",
            "Do you have a storage closet?",
            truth="In a closet behind the sterilisation room.",
        ),
        entry(
            "software",
            "Which practice software do you use?",
            "Is there a computer system for the inventory?",
            truth="The practice software has nothing for stock.",
        ),
        entry(
            "email",
            "What is your email address?",
            "Where can I send some information?",
            truth="Mail goes to the front desk.",
        ),
        entry(
            "tenure",
            "How long have you worked there?",
            "How many years have you been the manager?",
            truth="Dana has run the office for nine years.",
        ),
        entry("way_out", "Can you get out?", truth="Not without passing the stairs."),
    ]
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When are you open?", "hours"),
        ("what time do you open", "hours"),
        ("Are you open on weekends?", "hours"),
        ("How many hygienists do you have?", "size"),
        ("and how many dentists are in the practice", "size"),
        ("Where is the closet with the stock?", "stockroom"),
        ("What software are you using?", "software"),
        ("could you give me your email address please", "email"),
        ("How many years have you been there?", "tenure"),
        ("Can you get out?", "way_out"),
        ("That makes sense. I sell software, by the way. What are your opening hours?", "hours"),
    ],
)
def test_a_question_finds_its_answer_however_it_is_put(question: str, answer: str) -> None:
    assert SHEET.best(question) == answer


@pytest.mark.parametrize(
    ("misheard", "answer"),
    [
        ("whitch practise softwear do you use", "software"),
        ("what are your opning hours", "hours"),
        ("how many dentist work their", "size"),
        ("where do you keep your stalk", "stockroom"),
        ("do you have a storedge closet", "stockroom"),
    ],
)
def test_misheard_words_are_taken_for_what_they_are_like(misheard: str, answer: str) -> None:
    assert SHEET.best(misheard) == answer


@pytest.mark.parametrize(
    "question",
    [
        "What is the weather like today?",
        "Do you like football?",
        "Who won the game last night?",
        "What do you mean?",
        "How are you?",
        "What did you say?",
        "Are you a robot?",
        "Is he breathing?",
        "How much do you pay for gloves?",
        "What?",
        "",
        "   \x00",
    ],
)
def test_a_question_about_something_else_finds_nothing(question: str) -> None:
    assert SHEET.best(question) is None


def test_every_question_of_the_shipped_fact_sheet_finds_its_own_entry() -> None:
    scenario = cold_call()
    sheet = fact_sheet_of(scenario)

    for each in scenario.knowledge:
        for asked in each.asked:
            assert sheet.best(asked) == each.id


def test_the_score_says_how_sure_the_answer_is() -> None:
    own, score = SHEET.closest("What are your opening hours?")
    other, lower = SHEET.closest("Is your computer ever slow on weekends?")

    assert (own, score) == ("hours", 1.0)
    assert lower < ANSWERS
    assert other in (None, "software")


def test_an_empty_fact_sheet_answers_nothing() -> None:
    assert FactSheet([]).best("When are you open?") is None
    assert FactSheet([entry("it", "is it?", truth="it is")]).best("When are you open?") is None


def test_a_scenario_s_fact_sheet_is_built_once() -> None:
    scenario = cold_call()

    assert fact_sheet_of(scenario) is fact_sheet_of(scenario)


@pytest.mark.parametrize(
    "text",
    [
        "Really?",
        "who do you order from today",
        "okay so what is your name",
        "is he breathing",
        "do you have a minute to talk",
        "don't you think it's late",
        "can I come by on Thursday",
        "hi dana is this a bad time",
        "that makes sense who do you order from",
        "tell me where you are",
        "nine one one where is your emergency",
        "any pets in the house",
        "How about Tuesday",
        "I understand. How long has that been going on",
    ],
)
def test_a_question_is_told_from_how_it_begins(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "have a good day",
        "do not hang up",
        "don't move him",
        "do exactly what I tell you",
        "what we do is simple",
        "when the ambulance comes, wave at it",
        "that is what I thought",
        "I know who you are",
        "which means that you save time",
        "Will do.",
        "",
    ],
)
def test_what_only_begins_like_a_question_is_none(text: str) -> None:
    assert not is_question(text)


@settings(deadline=None)
@given(text=st.text(max_size=300) | st.text(alphabet="whatisdo you?'.\u202e\U0001f600\n", max_size=300))
def test_any_text_is_a_question_or_not_and_has_an_answer_or_none(text: str) -> None:
    assert is_question(text) in (True, False)
    assert SHEET.best(text) in (None, "size", "hours", "stockroom", "software", "email", "tenure", "way_out")


def test_of_a_very_long_text_only_the_beginning_counts() -> None:
    assert SHEET.best("zxq " * 25_000 + "When are you open?") is None
