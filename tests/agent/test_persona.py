import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.call import Speaker
from agent.errors import StoreError
from agent.persona import (
    Cue,
    Decision,
    Ending,
    Heard,
    PersonaState,
    Said,
    begin,
    conveyed,
    cut_off,
    decide,
    gone,
    opening,
    remember,
    silence,
    time_up,
)
from tests.agent.scenarios import cold_call

SCENARIO = cold_call()
SEEDS = range(50)
FACTS = {fact.id: fact for fact in SCENARIO.facts}
SAID = {
    "introduce": "Hi Dana, my name is Alex and I am calling from Northwind Supply.",
    "ask_time": "Is this a bad time?",
    "give_reason": "We help dental offices spend less time ordering supplies.",
    "ask_supplier": "Who do you order from today?",
    "ask_problem": "What happens when an order arrives late?",
    "ask_volume": "How often do you order?",
    "ask_decision": "Who else decides about suppliers?",
    "empathise": "That sounds stressful.",
    "answer_price": "There is no contract and you can stop any month.",
    "offer_proof": "I can send you two references.",
    "ask_meeting": "Could we meet for fifteen minutes on Tuesday at ten?",
    "push": "This is a special offer for today only.",
    "say_goodbye": "Bye.",
    "nothing": "Do you like football?",
    "mumble": "",
}


def told(state: PersonaState, *moves: str) -> tuple[Decision, PersonaState]:
    """Plays these moves with every reply heard to its end; the last decision and the state after it."""
    for move in moves:
        decision = decide(SCENARIO, state, Heard(SAID[move]))
        state = remember(SCENARIO, decision, decision.authored, complete=True)
    return decision, state


def intents(state: PersonaState, *moves: str) -> list[str]:
    found = []
    for move in moves:
        decision, state = told(state, move)
        found.append(decision.intent)
    return found


def new(seed: int = 1, **feelings: float) -> PersonaState:
    state = begin(SCENARIO, seed)
    return replace(state, emotions={**state.emotions, **feelings})


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scripted_trainee_gets_the_meeting(seed: int) -> None:
    state = begin(SCENARIO, seed)
    seen = []
    for line in SCENARIO.simulation.lines:
        decision = decide(SCENARIO, state, Heard(line.say))
        state = remember(SCENARIO, decision, decision.authored, complete=True)
        seen.append(decision.intent)

    assert seen == [
        "object:busy",
        "reply:ask_time",
        "object:have_supplier",
        "tell_fact:supplier",
        "tell_fact:late_gloves",
        "reply:empathise",
        "tell_fact:volume",
        "tell_fact:decider+object:price",
        "reply:answer_price",
        "end:meeting",
    ]
    assert decision.ending == Ending("meeting", "success")
    assert state.ended == "meeting"
    assert set(state.objections.values()) == {"resolved"}
    assert state.disclosed == ("supplier", "late_gloves", "volume", "decider")


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fact_is_told_before_its_question(seed: int) -> None:
    state = begin(SCENARIO, seed)
    asked: set[str] = set()
    for line in SCENARIO.simulation.lines:
        decision = decide(SCENARIO, state, Heard(line.say))
        asked.add(decision.move)
        for fact in FACTS.values():
            if not asked & set(fact.unlocked_by.move):
                assert fact.id not in decision.disclosed
                assert not any(line in decision.authored for line in fact.lines)
        state = remember(SCENARIO, decision, decision.authored, complete=True)


def test_pushing_wears_out_the_patience() -> None:
    decision, state = told(new(), "introduce", "ask_time", "push", "push", "push")

    assert decision.ending == Ending("brush_off", "failure")
    assert state.ended == "brush_off"


def test_a_goodbye_is_returned() -> None:
    decision, _ = told(new(), "introduce", "ask_time", "say_goodbye")

    assert decision.ending == Ending("farewell", "open")
    assert decision.stage == "closing"


def test_a_meeting_is_not_had_for_the_asking() -> None:
    assert intents(new(), "ask_meeting") == ["reply:ask_meeting"]


def test_an_open_objection_stands_in_the_way_of_the_meeting() -> None:
    _, state = told(new(trust=0.9), "ask_supplier", "ask_problem", "ask_decision")

    assert state.unresolved == ("price",)
    assert intents(state, "ask_meeting", "answer_price", "ask_meeting") == [
        "press:price",
        "reply:answer_price",
        "end:meeting",
    ]


def test_an_objection_is_pressed_once_and_no_more() -> None:
    assert intents(new(), "introduce", "ask_volume", "ask_volume", "answer_price") == [
        "object:busy",
        "press:busy",
        "tell_fact:volume",
        "reply:answer_price",
    ]


def test_an_objection_that_is_met_in_the_same_breath_is_not_raised() -> None:
    heard = Heard("Hi Dana, my name is Alex from Northwind Supply. Is this a bad time?")
    decision = decide(SCENARIO, new(), heard)

    assert decision.intent == "reply:ask_time"
    assert decision.open_objections == ()


def test_of_two_objections_the_second_waits_for_the_next_answer() -> None:
    heard = Heard("My name is Alex from Northwind Supply. We help dental offices order supplies.")
    decision = decide(SCENARIO, new(), heard)
    state = remember(SCENARIO, decision, decision.authored, complete=True)

    assert decision.intent == "object:busy"
    assert intents(state, "ask_time") == ["reply:ask_time+object:have_supplier"]


def test_the_decider_is_not_named_to_a_stranger() -> None:
    decision, state = told(new(trust=0.1), "ask_decision")

    assert decision.intent == "withhold_fact:decider+object:price"
    assert state.disclosed == ()
    assert "Reyes" not in decision.authored


def test_a_question_can_be_asked_again_once_there_is_trust() -> None:
    assert intents(new(trust=0.3), "ask_decision", "answer_price", "ask_decision")[-1] == "tell_fact:decider"


def test_asking_for_what_was_told_costs_patience() -> None:
    _, once = told(new(), "ask_volume")
    decision, twice = told(once, "ask_volume")

    assert decision.intent == "reply:ask_volume"
    assert once.emotions["patience"] - twice.emotions["patience"] == pytest.approx(0.03 + 0.08)


def test_kindness_wears_off_and_pressure_does_not() -> None:
    trust = [told(new(trust=0.2), *["empathise"] * times)[1].emotions["trust"] for times in (1, 2, 3)]
    assert [round(level, 3) for level in trust] == [0.32, 0.38, 0.41]

    trust = [told(new(trust=0.9, patience=1.0), *["push"] * times)[1].emotions["trust"] for times in (1, 2)]
    assert [round(level, 3) for level in trust] == [0.75, 0.6]


@given(st.lists(st.sampled_from(sorted(SAID)), max_size=30), st.integers())
@settings(deadline=None, max_examples=60)
def test_feelings_stay_between_nothing_and_everything(moves: list[str], seed: int) -> None:
    state = begin(SCENARIO, seed)
    for move in moves:
        _, state = told(state, move)
        assert all(0 <= level <= 1 for level in state.emotions.values())
        assert list(state.emotions) == ["trust", "patience"]


def test_the_stage_moves_on_and_never_back() -> None:
    state = new()
    stages = []
    for move in ("introduce", "ask_supplier", "introduce", "ask_meeting", "ask_volume"):
        decision, state = told(state, move)
        stages.append(decision.stage)

    assert stages == ["opening", "discovery", "discovery", "closing", "closing"]


def test_what_is_not_understood_is_asked_for_again() -> None:
    assert intents(new(), "mumble", "nothing") == ["unclear", "dont_know"]


def test_a_trainee_who_broke_in_and_then_mumbles_gets_the_floor_at_no_cost() -> None:
    mumbled = decide(SCENARIO, new(), Heard(""))
    broke_in = decide(SCENARIO, new(), Heard("", None, interrupted_persona=True))

    assert broke_in.intent == "cut_off"
    assert broke_in.authored in SCENARIO.lines.cut_off
    assert broke_in.emotions["patience"] - mumbled.emotions["patience"] == pytest.approx(0.06)


def test_the_stop_word_ends_the_call_kindly_whatever_was_heard_of_it() -> None:
    _, state = told(new(), "introduce", "push", "push")
    decision = decide(SCENARIO, state, Heard("please stop the exercise", 0.1))

    assert (decision.move, decision.ending) == ("stop", Ending("stop_word", "open"))
    assert decision.authored in SCENARIO.lines.stop
    assert decision.verbatim
    assert remember(SCENARIO, decision, "", complete=False).ended == "stop_word"


# What was heard.


def test_a_fact_counts_as_told_only_when_it_was_heard() -> None:
    decision = decide(SCENARIO, new(), Heard(SAID["ask_problem"]))
    assert decision.intent == "tell_fact:late_gloves"

    assert remember(SCENARIO, decision, "", complete=False).disclosed == ()
    assert remember(SCENARIO, decision, "Honestly? Twice last", complete=False).disclosed == ()
    assert remember(
        SCENARIO, decision, "Honestly? Twice last month the gloves", complete=False
    ).disclosed == ("late_gloves",)


def test_a_fact_that_the_model_left_out_was_not_told() -> None:
    decision = decide(SCENARIO, new(), Heard(SAID["ask_supplier"]))

    assert remember(SCENARIO, decision, "That is none of your business.", complete=True).disclosed == ()
    assert remember(SCENARIO, decision, "Delmar has us covered.", complete=True).disclosed == ("supplier",)


def test_a_fact_that_was_cut_off_can_be_asked_for_again_at_no_cost() -> None:
    decision = decide(SCENARIO, new(), Heard(SAID["ask_supplier"]))
    state = remember(SCENARIO, decision, "We", complete=False)
    again = decide(SCENARIO, state, Heard(SAID["ask_supplier"]))

    assert again.intent == "tell_fact:supplier"
    assert state.emotions["patience"] - again.emotions["patience"] == pytest.approx(0.03)


def test_an_objection_that_was_not_heard_comes_after_the_next_answer() -> None:
    decision = decide(SCENARIO, new(trust=0.9), Heard(SAID["ask_decision"]))
    assert decision.intent == "tell_fact:decider+object:price"

    state = remember(SCENARIO, decision, decision.lines[0].text, complete=False)
    assert state.disclosed == ("decider",)
    assert state.objections == {"price": "due"}
    assert intents(state, "ask_volume", "ask_supplier") == ["tell_fact:volume+object:price", "press:price"]


def test_without_patterns_most_of_the_line_must_have_been_heard() -> None:
    scenario = SCENARIO.model_copy(
        update={"facts": tuple(fact.model_copy(update={"told_by": ()}) for fact in SCENARIO.facts)}
    )
    decision = decide(scenario, begin(scenario, 1), Heard(SAID["ask_supplier"]))
    words = decision.authored.split()

    assert remember(SCENARIO, decision, " ".join(words[: len(words) // 2]), complete=False).disclosed == ()
    assert remember(SCENARIO, decision, " ".join(words[: len(words) - 1]), complete=False).disclosed == (
        "supplier",
    )


def test_an_ending_that_the_trainee_talks_over_does_not_end_the_call() -> None:
    _, ready = told(new(trust=0.9), "ask_supplier", "ask_problem")
    decision = decide(SCENARIO, ready, Heard(SAID["ask_meeting"]))
    state = remember(SCENARIO, decision, "All right,", complete=False)

    assert decision.ending == Ending("meeting", "success")
    assert (state.ended, state.cut_ending) == ("", "meeting")


@pytest.mark.parametrize("answer", ["", "Great, wonderful.", SAID["ask_meeting"]])
def test_a_cut_off_ending_is_taken_up_again(answer: str) -> None:
    _, ready = told(new(trust=0.9), "ask_supplier", "ask_problem")
    state = remember(SCENARIO, decide(SCENARIO, ready, Heard(SAID["ask_meeting"])), "All", complete=False)

    assert decide(SCENARIO, state, Heard(answer)).ending == Ending("meeting", "success")


def test_a_cut_off_ending_gives_way_to_a_new_question() -> None:
    _, ready = told(new(trust=0.9), "ask_supplier", "ask_problem")
    state = remember(SCENARIO, decide(SCENARIO, ready, Heard(SAID["ask_meeting"])), "All", complete=False)
    decision = decide(SCENARIO, state, Heard(SAID["ask_volume"]))

    assert decision.intent == "tell_fact:volume"
    assert decision.next_state.cut_ending == ""


def test_an_ending_heard_but_for_its_last_word_ends_the_call() -> None:
    decision = decide(SCENARIO, new(), Heard(SAID["say_goodbye"]))

    assert (
        remember(SCENARIO, decision, decision.authored.rpartition(" ")[0], complete=False).ended == "farewell"
    )


def test_the_dialogue_is_what_each_heard_of_the_other() -> None:
    state = begin(SCENARIO, seed=1)
    cue = opening(SCENARIO, state)
    state = remember(SCENARIO, cue, cue.text, complete=True)
    decision = decide(SCENARIO, state, Heard("Who do you order from?"))
    state = remember(SCENARIO, decision, "We order", complete=False)

    assert state.dialogue == (
        Said(Speaker.PERSONA, "Harbor Dental, this is Dana."),
        Said(Speaker.TRAINEE, "Who do you order from?"),
        Said(Speaker.PERSONA, "We order", cut=True),
    )


def test_what_was_not_heard_at_all_is_no_turn() -> None:
    state = remember(SCENARIO, decide(SCENARIO, new(), Heard("")), "", complete=False)

    assert state.dialogue == ()


def test_a_reply_is_conveyed_when_each_of_its_lines_is() -> None:
    decision = decide(SCENARIO, new(trust=0.9), Heard(SAID["ask_decision"]))

    assert conveyed(decision, decision.authored)
    assert not conveyed(decision, decision.lines[0].text)
    assert not conveyed(decision, "")


# Words.


@pytest.mark.parametrize(
    ("spoken", "lines"),
    [
        (opening, SCENARIO.opening),
        (silence, SCENARIO.lines.silence),
        (gone, SCENARIO.lines.gone),
        (time_up, SCENARIO.lines.time_up),
        (cut_off, SCENARIO.lines.cut_off),
    ],
)
def test_there_is_a_line_for_every_occasion(spoken: object, lines: tuple[str, ...]) -> None:
    text, state, _ = spoken(SCENARIO, begin(SCENARIO, seed=1))  # type: ignore[operator]

    assert text in lines
    assert state.dialogue == ()
    assert remember(SCENARIO, Cue(text, state), text, complete=True).dialogue == (
        Said(Speaker.PERSONA, text),
    )


def test_a_second_silence_is_met_with_other_words() -> None:
    first, state, _ = silence(SCENARIO, new(), 1)
    second = silence(SCENARIO, state, 2).text

    assert {first, second} == set(SCENARIO.lines.silence)
    with pytest.raises(ValueError, match="counts from 1"):
        silence(SCENARIO, new(), 0)


@given(st.integers(), st.integers(1, 5))
def test_no_line_comes_again_before_all_have_been_used(seed: int, size: int) -> None:
    lines = [f"line {n}" for n in range(size)]
    scenario = SCENARIO.model_copy(
        update={"lines": SCENARIO.lines.model_copy(update={"silence": tuple(lines)})}
    )
    state, said = begin(scenario, seed), []
    for _ in range(4 * size):
        text, state, _ = silence(scenario, state)
        said.append(text)

    for start in range(0, 4 * size, size):
        assert sorted(said[start : start + size]) == lines
    if size > 1:
        assert all(one != next_ for one, next_ in zip(said, said[1:], strict=False))


def test_the_choice_of_words_is_the_seeds_alone() -> None:
    words = [silence(SCENARIO, begin(SCENARIO, seed)).text for seed in range(8)]

    assert words == [SCENARIO.lines.silence[n] for n in (0, 1, 0, 1, 1, 0, 0, 0)]


def test_different_seeds_choose_differently() -> None:
    firsts = {decide(SCENARIO, begin(SCENARIO, seed), Heard(SAID["introduce"])).authored for seed in SEEDS}

    assert firsts == set(SCENARIO.objections[0].lines)


# The state as a value.


@given(st.lists(st.sampled_from(sorted(SAID)), max_size=12), st.integers(0, 2**63), st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_a_state_survives_as_json_and_goes_on_the_same(moves: list[str], seed: int, heard: float) -> None:
    state = begin(SCENARIO, seed)
    for move in moves:
        decision = decide(SCENARIO, state, Heard(SAID[move]))
        words = decision.authored.split()
        state = remember(
            SCENARIO, decision, " ".join(words[: round(len(words) * heard)]), complete=heard == 1
        )
    restored = PersonaState.from_json(state.to_json())

    assert restored == state
    turn = Heard(SAID["ask_volume"])
    assert decide(SCENARIO, restored, turn) == decide(SCENARIO, state, turn)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"seed": "x"}', '{"seed": 1, "stage": "a", "emotions": {"x": 2}}']
)
def test_a_damaged_state_is_an_error_of_the_store(text: str) -> None:
    with pytest.raises(StoreError, match="not a persona's state"):
        PersonaState.from_json(text)


def test_a_state_with_an_unknown_field_is_damaged() -> None:
    text = begin(SCENARIO, 1).to_json().replace('"seed"', '"temper":"x","seed"')
    with pytest.raises(StoreError, match="not a persona's state"):
        PersonaState.from_json(text)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_of_moves_comes_to_an_end_that_the_scenario_knows(seed: int) -> None:
    rng = random.Random(seed)
    state = begin(SCENARIO, seed)
    for _ in range(60):
        _, state = told(state, rng.choice([*SAID, "push", "ask_meeting"]))
        if state.ended:
            break

    assert state.ended in {"meeting", "brush_off", "farewell"}
