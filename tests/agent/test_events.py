"""What happens to a persona in mid-call, and how they cut in on somebody who talks on."""

import pytest

from agent.persona import (
    Heard,
    PersonaState,
    begin,
    cut_in,
    decide,
    due_event,
    happen,
    interruption,
    remember,
)
from agent.scenario import Scenario
from agent.scenario_parts import Interruption
from tests.agent.scenarios import with_parts

QUESTION = "How often do you order?"

EVENTS = [
    {
        "id": "delivery",
        "title": "a delivery arrives without gloves",
        "when": {"after_s": 60},
        "lines": ["Hold on, the delivery is here. No gloves again!", "A box just came. And no gloves in it."],
        "tells": ["late_gloves"],
        "feel": {"patience": -0.1},
    },
    {
        "id": "called_away",
        "title": "the doctor calls her",
        "when": {"told": ["supplier"]},
        "lines": ["One second, the doctor needs me.", "Sorry, I was called away for a moment."],
        "stage": "closing",
    },
    {
        "id": "fire_drill",
        "title": "a fire drill begins",
        "lines": ["That is the fire alarm, only a drill.", "Do you hear that? It is only a drill."],
        "interrupts": True,
    },
]
INTERRUPTIONS = [
    {
        "id": "get_to_the_point",
        "after_s": 10,
        "when": {"below": {"patience": 0.9}},
        "at_most": 2,
        "feel": {"patience": -0.1},
        "lines": ["Can you get to the point?", "Sorry, what is your question?"],
    }
]
SCENARIO = with_parts(events=EVENTS, interruptions=INTERRUPTIONS)


def answered(scenario: Scenario, state: PersonaState, line: str, at_ms: int) -> tuple[str, PersonaState]:
    decision = decide(scenario, state, Heard(line, at_ms=at_ms))
    return decision.intent, remember(
        scenario, decision, decision.authored, complete=True, at_ms=at_ms + 3_000
    )


def test_a_timed_event_is_due_at_its_time() -> None:
    state = begin(SCENARIO, 1)

    assert due_event(SCENARIO, state, 59_999) is None
    event = due_event(SCENARIO, state, 60_000)
    assert event is not None and event.id == "delivery"


def test_an_event_comes_to_pass_once_and_when_it_was_heard() -> None:
    state = begin(SCENARIO, 1)
    event = due_event(SCENARIO, state, 60_000)
    assert event is not None
    cue = happen(SCENARIO, state, event, 60_000)

    unheard = remember(SCENARIO, cue, "", complete=False)
    assert unheard.happened == ()
    assert due_event(SCENARIO, unheard, 61_000) is not None

    heard = remember(SCENARIO, cue, cue.text, complete=True)
    assert heard.happened == ("delivery",)
    assert due_event(SCENARIO, heard, 61_000) is None
    assert (heard.timeline[-1][0] > 60_000) and heard.timeline[-1][1] == "event:delivery"


def test_an_event_tells_its_fact_and_moves_feelings() -> None:
    state = begin(SCENARIO, 1)
    event = SCENARIO.event("delivery")
    assert event is not None
    cue = happen(SCENARIO, state, event, 60_000)
    after = remember(SCENARIO, cue, cue.text, complete=True)

    assert after.disclosed == ("late_gloves",)
    assert after.emotions["patience"] == pytest.approx(state.emotions["patience"] - 0.1)


def test_in_writing_a_due_event_comes_with_the_next_answer() -> None:
    intent, state = answered(SCENARIO, begin(SCENARIO, 1), QUESTION, 65_000)

    assert intent == "tell_fact:volume+event:delivery"
    assert answered(SCENARIO, state, QUESTION, 70_000)[0] == "reply:ask_volume"


def test_a_triggered_event_follows_what_triggers_it_and_enters_its_stage() -> None:
    _, state = answered(SCENARIO, begin(SCENARIO, 1), "Who do you order from today?", 5_000)
    intent, state = answered(SCENARIO, state, QUESTION, 12_000)

    assert intent == "tell_fact:volume+event:called_away"
    assert state.stage == "closing"


def test_an_event_without_a_condition_happens_only_if_somebody_wants_it() -> None:
    state = begin(SCENARIO, 1)
    for at_s in range(60, 900, 60):
        intent, state = answered(SCENARIO, state, QUESTION, at_s * 1_000)
        assert "fire_drill" not in intent
        assert due_event(SCENARIO, state, at_s * 1_000) is None


def test_a_trainee_who_talks_on_is_cut_in_on_so_often_and_no_more() -> None:
    state = begin(SCENARIO, 1)
    assert interruption(SCENARIO, state, 9_999, 20_000) is None

    texts = []
    for _ in range(2):
        found = interruption(SCENARIO, state, 10_000, 20_000)
        assert isinstance(found, Interruption)
        cue = cut_in(SCENARIO, state, found)
        state = remember(SCENARIO, cue, cue.text, complete=True)
        texts.append(cue.text)

    assert interruption(SCENARIO, state, 10_000, 20_000) is None
    assert len(set(texts)) == 2
    assert state.emotions["patience"] == pytest.approx(0.5)
