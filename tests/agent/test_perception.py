import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.persona import Heard, Perception, begin, decide, perceive, remember
from agent.scenario import Scenario, load_scenario
from tests.agent.scenarios import changed, cold_call

SCENARIO = cold_call()
EXAMPLES = [(move.id, example) for move in SCENARIO.moves for example in move.examples]


def perceived(text: str, confidence: float | None = 0.9, *, scenario: Scenario = SCENARIO) -> Perception:
    return perceive(scenario, begin(scenario, seed=1), Heard(text, confidence))


@pytest.mark.parametrize(("move", "example"), EXAMPLES)
def test_each_example_is_its_own_move(move: str, example: str) -> None:
    assert perceived(example).move == move


@pytest.mark.parametrize(
    ("move", "words"),
    [
        ("introduce", "Hey, it's Sam over at Northwind."),
        ("introduce", "Morning! I'm Sam from Northwind Supply."),
        ("ask_time", "Did I catch you at a bad moment?"),
        ("ask_time", "Do you have a quick minute for me?"),
        ("give_reason", "We take the ordering of supplies off your desk."),
        ("give_reason", "I'm calling because we supply dental offices around here."),
        ("ask_supplier", "So who's supplying you right now?"),
        ("ask_supplier", "Which company do you get your stuff from?"),
        ("ask_problem", "Is there anything that annoys you about your deliveries?"),
        ("ask_problem", "What goes wrong with your orders?"),
        ("ask_problem", "How happy are you with them?"),
        ("ask_volume", "How big is your monthly order?"),
        ("ask_volume", "What do you spend in a typical month?"),
        ("ask_decision", "Is it just you, or does someone else have to approve it?"),
        ("ask_decision", "Does the doctor have to sign off on that?"),
        ("empathise", "Oh wow, that must be really annoying."),
        ("empathise", "I totally get that."),
        ("answer_price", "You don't sign anything, you can cancel whenever you want."),
        ("answer_price", "It's cheaper than what you pay now."),
        ("offer_proof", "I could give you the names of some customers to call."),
        ("offer_proof", "Why don't we start with a small trial?"),
        ("ask_meeting", "Can we get together next Tuesday for a quarter of an hour?"),
        ("ask_meeting", "How about I drop by on Thursday?"),
        ("push", "If you don't buy now you will regret it."),
        ("push", "Trust me, you need this."),
        ("say_goodbye", "Thanks, talk to you later, bye bye."),
    ],
)
def test_trainees_find_their_own_words(move: str, words: str) -> None:
    assert perceived(words).move == move


@pytest.mark.parametrize(("move", "example"), EXAMPLES)
def test_case_and_punctuation_do_not_matter(move: str, example: str) -> None:
    bare = "".join(char for char in example.lower() if char.isalnum() or char in " '")

    assert move in perceived(bare).moves


def without_patterns(document: dict[str, object]) -> None:
    for move in document["moves"]:  # type: ignore[attr-defined]
        move.pop("patterns", None)


LIKELY_WRONG = ("the", "a", "order", "eight", "pay", "day", "cold", "gold", "her", "there", "late", "great")


def misheard(example: str, rng: random.Random) -> str:
    """Every fifth word lost, replaced by a likely wrong one, or altered in a letter."""
    heard = example.split()
    for at in sorted(rng.sample(range(len(heard)), max(1, round(len(heard) / 5))), reverse=True):
        match rng.randrange(3):
            case 0:
                del heard[at]
            case 1:
                heard[at] = rng.choice(LIKELY_WRONG)
            case _:
                place = rng.randrange(len(heard[at]))
                heard[at] = heard[at][:place] + rng.choice("aeioubdnst") + heard[at][place + 1 :]
    return " ".join(heard)


@pytest.mark.parametrize("patterns", [True, False], ids=["with patterns", "by likeness alone"])
def test_moves_are_recognised_when_a_fifth_of_the_words_is_misheard(patterns: bool, tmp_path: Path) -> None:
    scenario = SCENARIO if patterns else load_scenario(changed(tmp_path, without_patterns))
    rng = random.Random(5)
    trials = [(move, misheard(example, rng)) for move, example in EXAMPLES for _ in range(20)]
    right = sum(perceived(text, scenario=scenario).move == move for move, text in trials)

    assert right / len(trials) >= 0.9


@given(seed=st.integers())
@settings(max_examples=25, deadline=None)
def test_whatever_is_misheard_four_of_five_examples_are_recognised(seed: int) -> None:
    rng = random.Random(seed)
    right = sum(perceived(misheard(example, rng)).move == move for move, example in EXAMPLES)

    assert right / len(EXAMPLES) >= 0.8


@pytest.mark.parametrize(
    "text",
    [
        "The weather is nice today.",
        "Do you like football?",
        "Yes.",
        "Okay.",
        "Sure, go ahead.",
        "Could you say that again?",
        "Let me think about it.",
        "Nine one one, what is the address of your emergency?",
        "Is there smoke in the kitchen?",
        "I have no idea what you mean.",
        "We went to the beach with the kids yesterday.",
    ],
)
def test_what_has_nothing_to_do_with_the_scenario_is_other(text: str) -> None:
    seen = perceived(text)

    assert (seen.move, seen.moves, seen.likeness) == ("other", (), 0.0)


def test_a_turn_can_hold_several_moves_and_the_last_is_answered() -> None:
    perception = perceived("That makes sense. Who do you order from today?")

    assert perception.moves == ("empathise", "ask_supplier")
    assert perception.move == "ask_supplier"


def test_moves_are_told_apart_without_punctuation() -> None:
    text = "hi dana this is alex with northwind we help dental offices who do you order from"

    assert perceived(text).moves == ("introduce", "give_reason", "ask_supplier")


def test_of_overlapping_patterns_the_likelier_move_stays() -> None:
    assert perceived("Who else decides which supplier you take?").moves == ("ask_decision",)


@pytest.mark.parametrize("text", ["", " ", "...", "um, uh", "\u266a"])
def test_nothing_intelligible_is_unclear(text: str) -> None:
    assert perceived(text).move == "unclear"


def test_what_the_recogniser_doubts_is_unclear() -> None:
    assert perceived("What would you, uh, order from the gold mine?", 0.2).move == "unclear"


def test_what_the_recogniser_doubts_counts_if_it_is_an_expected_line() -> None:
    assert perceived("Who do you order from today?", 0.2).move == "ask_supplier"


def test_a_recogniser_without_confidence_is_believed() -> None:
    assert perceived("Who do you order from?", None).move == "ask_supplier"


@pytest.mark.parametrize(
    "text",
    [
        "Stop the exercise",
        "stop the exercise please",
        "I cannot do this, stop the exercise now.",
        "Stop the exercises.",
        "stop. the exercise",
        "Stop they exercise",
    ],
)
@pytest.mark.parametrize("confidence", [0.1, 0.9])
def test_the_stop_word_is_heard_anywhere_and_at_any_confidence(text: str, confidence: float) -> None:
    assert perceived(text, confidence).move == "stop"


@pytest.mark.parametrize(
    "text", ["Stop.", "I can stop by on Tuesday.", "The exercise.", "Please stop.", "stop the car"]
)
def test_other_stops_are_not_the_stop_word(text: str) -> None:
    assert perceived(text).move != "stop"


def test_asking_for_what_was_told_is_a_repetition() -> None:
    state = begin(SCENARIO, seed=1)
    first = perceive(SCENARIO, state, Heard("Who do you order from?"))
    decision = decide(SCENARIO, state, Heard("Who do you order from?"))
    unheard = perceive(SCENARIO, decision.next_state, Heard("Who do you order from?"))
    told = remember(SCENARIO, decision, decision.authored, complete=True)
    again = perceive(SCENARIO, told, Heard("Who do you order from?"))

    assert [each.repeated for each in (first, unheard, again)] == [False, False, True]


@given(text=st.text(max_size=400), confidence=st.none() | st.floats(0, 1))
@settings(deadline=None)
def test_any_text_can_be_perceived_and_answered(text: str, confidence: float | None) -> None:
    decision = decide(SCENARIO, begin(SCENARIO, seed=1), Heard(text, confidence))

    assert decision.authored


@given(st.lists(st.sampled_from([word for _, example in EXAMPLES for word in example.split()]), max_size=60))
@settings(deadline=None)
def test_any_words_of_the_scenario_can_be_perceived_and_answered(heard: list[str]) -> None:
    decision = decide(SCENARIO, begin(SCENARIO, seed=1), Heard(" ".join(heard)))

    assert decision.authored


def test_a_very_long_turn_is_perceived_by_its_beginning() -> None:
    assert perceived("Who do you order from? " + "and " * 100_000).move == "ask_supplier"
