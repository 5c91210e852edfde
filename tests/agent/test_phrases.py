"""What is synthesised before anybody calls."""

from agent.clauses import Clauses
from agent.phrases import frequent_phrases
from tests.agent.scenarios import cold_call


def test_the_greeting_comes_first() -> None:
    assert frequent_phrases(cold_call())[0] == "Harbor Dental,"


def test_every_prompt_and_goodbye_is_there_clause_by_clause_as_a_call_asks_for_it() -> None:
    scenario = cold_call()
    phrases = frequent_phrases(scenario)
    lines = scenario.lines
    for line in (*lines.silence, *lines.cut_off, *lines.stop, *lines.gone, *lines.time_up):
        clauses = Clauses()
        # A model's words come in pieces.
        asked = [clause for piece in line.split(" ") for clause in clauses.feed(f"{piece} ")]
        assert set(asked + clauses.rest()) <= set(phrases)
    assert {"Hello?", "Are you still there?", "Yes?", "Goodbye."} <= set(phrases)


def test_nothing_is_there_twice() -> None:
    phrases = frequent_phrases(cold_call())
    assert len(phrases) == len(set(phrases))
