"""How feelings move: by moves, in time, by repetition, and what moods they make."""

from dataclasses import replace

import pytest

from agent.persona import Heard, PersonaState, begin, decide, remember
from agent.scenario import Scenario
from tests.agent.scenarios import cold_call, with_move_changes, with_parts

DIRECTIVE = "Take a slow breath with me."
OTHER_DIRECTIVE = "Put down the phone book and look at me now."
EMPATHY = "That sounds stressful."


def panicking(**panic: object) -> Scenario:
    """A caller whose panic gives way to a directive that is repeated."""
    moves = cold_call().model_dump(mode="json", exclude_unset=True)["moves"]
    moves.append(
        {
            "id": "breathe",
            "title": "has her breathe",
            "kind": "directive",
            "patterns": [r"\bslow breath\b", r"\blook at me\b"],
            "examples": [DIRECTIVE, OTHER_DIRECTIVE],
            "replies": ["Okay.", "I am trying."],
        }
    )
    settings = {"start": 0.9, "calmed_by_repetition": {"from_time": 2, "change": -0.3}, **panic}
    return with_parts(
        moves=moves,
        emotions={"panic": settings},
        moods=[
            {
                "id": "beside_herself",
                "when": {"at_least": {"panic": 0.7}},
                "manner": "sobs and cannot follow",
                "openers": ["Oh God.", "Please!"],
                "refuses": ["I do not know! Just send somebody!", "Why are you asking me this?"],
                "words_at_most": 8,
            },
            {"id": "calm", "when": {"below": {"panic": 0.3}}, "manner": "speaks plainly"},
        ],
    )


def said(scenario: Scenario, state: PersonaState, *lines: str, at_ms: int | None = None) -> PersonaState:
    for line in lines:
        decision = decide(scenario, state, Heard(line, at_ms=at_ms))
        state = remember(scenario, decision, decision.authored, complete=True)
    return state


def test_a_directive_calms_when_it_is_repeated_and_not_before() -> None:
    scenario = panicking()
    levels = [
        said(scenario, begin(scenario, 1), *[DIRECTIVE] * times).emotions["panic"] for times in (0, 1, 2, 3)
    ]

    assert levels == pytest.approx([0.9, 0.9, 0.6, 0.3])


def test_a_scenario_may_want_a_directive_three_times() -> None:
    scenario = panicking(calmed_by_repetition={"from_time": 3, "change": -0.3})
    levels = [
        said(scenario, begin(scenario, 1), *[DIRECTIVE] * times).emotions["panic"] for times in (1, 2, 3)
    ]

    assert levels == pytest.approx([0.9, 0.9, 0.6])


def test_nearly_the_same_words_are_the_same_directive() -> None:
    scenario = panicking()
    state = said(scenario, begin(scenario, 1), DIRECTIVE, "Okay, take a slow breath with me now.")

    assert state.emotions["panic"] == pytest.approx(0.6)


def test_another_directive_begins_from_the_beginning() -> None:
    scenario = panicking()
    state = said(scenario, begin(scenario, 1), DIRECTIVE, OTHER_DIRECTIVE, DIRECTIVE)

    assert state.emotions["panic"] == pytest.approx(0.9)
    assert state.directive_times == 1


def test_a_question_between_does_not_break_the_repetition() -> None:
    scenario = panicking()
    state = said(scenario, begin(scenario, 1), DIRECTIVE, "How often do you order?", DIRECTIVE)

    assert state.emotions["panic"] == pytest.approx(0.6)


def test_kindness_that_soothes_wears_off_and_what_frightens_does_not() -> None:
    kind = with_move_changes(panicking(), "empathise", feel={"panic": -0.2})
    levels = [said(kind, begin(kind, 1), *[EMPATHY] * times).emotions["panic"] for times in (1, 2, 3)]
    assert levels == pytest.approx([0.7, 0.6, 0.55])

    cruel = with_move_changes(panicking(start=0.1), "empathise", feel={"panic": 0.2})
    levels = [said(cruel, begin(cruel, 1), *[EMPATHY] * times).emotions["panic"] for times in (1, 2, 3)]
    assert levels == pytest.approx([0.3, 0.5, 0.7])


def test_a_feeling_goes_half_the_way_back_in_its_half_life() -> None:
    scenario = panicking(baseline=0.1, half_life_s=60)
    state = begin(scenario, 1)
    later = decide(scenario, state, Heard("How often do you order?", at_ms=60_000))

    assert later.emotions["panic"] == pytest.approx(0.5)
    assert later.emotions["trust"] == pytest.approx(state.emotions["trust"] + 0.05)


def test_without_a_half_life_time_changes_nothing() -> None:
    scenario = panicking()
    state = said(scenario, begin(scenario, 1), "How often do you order?", at_ms=600_000)

    assert state.emotions["panic"] == 0.9


def test_the_seed_decides_where_a_feeling_starts_within_its_spread() -> None:
    scenario = panicking(start=0.3, spread=0.2)
    starts = [begin(scenario, seed).emotions["panic"] for seed in range(200)]

    assert all(0.1 <= start <= 0.5 for start in starts)
    assert min(starts) < 0.15 and max(starts) > 0.45
    assert begin(scenario, 7) == begin(scenario, 7)


def test_a_mood_that_refuses_answers_no_question_and_tells_no_fact() -> None:
    scenario = panicking()
    state = replace(begin(scenario, 1), mood="beside_herself")
    decision = decide(scenario, state, Heard("Who do you order from today?"))

    assert decision.intent == "refuse:beside_herself"
    assert decision.disclosed == ()
    assert "Delmar" not in " ".join([decision.authored, *decision.brief.facts])


def test_once_calmed_the_same_question_is_answered() -> None:
    scenario = panicking()
    state = said(scenario, begin(scenario, 1), *[DIRECTIVE] * 3)
    decision = decide(scenario, state, Heard("Who do you order from today?"))

    assert "tell_fact:supplier" in decision.intent


def test_a_mood_opens_every_other_reply_and_tells_a_model_how_the_persona_is() -> None:
    scenario = panicking(calmed_by_repetition=None)
    intents, state = [], begin(scenario, 1)
    for line in (EMPATHY, "This is Alex from Northwind Supply.", EMPATHY, "Is this a bad time?"):
        decision = decide(scenario, state, Heard(line))
        state = remember(scenario, decision, decision.authored, complete=True)
        intents.append(decision.intent)
        assert decision.brief.manner == "sobs and cannot follow"
        assert decision.brief.words_at_most == 8

    assert [intent.startswith("opener:beside_herself") for intent in intents] == [False, True, False, False]
    assert intents[3].startswith("refuse"), "a question gets no answer in this mood"


def test_the_mood_is_the_first_that_holds() -> None:
    scenario = panicking()
    state = begin(scenario, 1)
    moods = [said(scenario, state, *[DIRECTIVE] * times).mood for times in (1, 2, 4)]

    assert moods == ["beside_herself", "", "calm"]
