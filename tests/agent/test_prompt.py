import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.persona import Decision, Heard, PersonaState, begin, decide, remember
from agent.prompt import RECENT_TURNS, prompt
from agent.words import normalise
from tests.agent.scenarios import cold_call

SCENARIO = cold_call()
EXAMPLES = {move.id: move.examples for move in SCENARIO.moves}


def whole_prompt(decision: Decision) -> str:
    """Everything the model gets to see, except what the trainee said themselves."""
    return "\n".join(message.text for message in prompt(SCENARIO, decision) if message.role != "trainee")


def leaked(decision: Decision) -> list[str]:
    """The facts in the prompt that the trainee has neither heard nor is being told now."""
    seen = normalise(whole_prompt(decision))
    return [
        fact.id
        for fact in SCENARIO.facts
        if fact.id not in decision.disclosed
        and (normalise(fact.truth) in seen or any(re.search(pattern, seen) for pattern in fact.told_by))
    ]


def test_the_frame_comes_first_and_the_direction_last() -> None:
    decision = decide(SCENARIO, begin(SCENARIO, seed=1), Heard("Who do you order from?"))

    assert [message.role for message in prompt(SCENARIO, decision)] == ["frame", "trainee", "direction"]
    assert (
        "You are Dana Whitfield, 47 years old (she/her), office manager at Harbor Dental."
        in prompt(SCENARIO, decision)[0].text
    )


def test_the_frame_is_the_same_for_every_turn_of_every_call() -> None:
    frames = set()
    for seed in range(5):
        state = begin(SCENARIO, seed)
        for line in SCENARIO.simulation.lines:
            decision = decide(SCENARIO, state, Heard(line.say))
            frames.add(prompt(SCENARIO, decision)[0].text)
            state = remember(SCENARIO, decision, decision.authored, complete=True)

    assert len(frames) == 1


def test_the_direction_says_what_to_say_and_the_facts_that_may_be_known() -> None:
    decision = decide(SCENARIO, begin(SCENARIO, seed=1), Heard("Who do you order from?"))

    assert prompt(SCENARIO, decision)[-1].text == (
        "Your mood: some trust, a good deal of patience.\n"
        "What the caller may know from you:\n"
        "- They order from Delmar Medical and have done so for six years.\n"
        "Say this now, in this order:\n"
        f"- {decision.authored}"
    )


def test_an_ending_is_announced() -> None:
    decision = decide(SCENARIO, begin(SCENARIO, seed=1), Heard("Bye."))

    assert prompt(SCENARIO, decision)[-1].text.endswith("With this you end the call.")


def test_a_turn_that_was_cut_off_is_shown_as_such() -> None:
    state = begin(SCENARIO, seed=1)
    first = decide(SCENARIO, state, Heard("Is this a bad time?"))
    state = remember(SCENARIO, first, "Thirty", complete=False)
    second = decide(SCENARIO, state, Heard("Bye."))

    assert [message.text for message in prompt(SCENARIO, second)][1:-1] == [
        "Is this a bad time?",
        "Thirty ...",
        "Bye.",
    ]


def test_a_long_call_does_not_make_a_long_prompt() -> None:
    state = begin(SCENARIO, seed=1)
    for _ in range(100):
        decision = decide(SCENARIO, state, Heard("Do you like football?"))
        state = remember(SCENARIO, decision, decision.authored, complete=True)
    again = decide(SCENARIO, replace(state, emotions=begin(SCENARIO, 1).emotions), Heard("Hello?"))

    assert len(prompt(SCENARIO, again)) == RECENT_TURNS + 2


@given(
    turns=st.lists(
        st.tuples(st.sampled_from(sorted(EXAMPLES)), st.integers(0, 9), st.floats(0, 1)), max_size=25
    ),
    seed=st.integers(),
)
@settings(deadline=None, max_examples=150)
def test_no_locked_fact_is_ever_in_the_prompt(turns: list[tuple[str, int, float]], seed: int) -> None:
    state = begin(SCENARIO, seed)
    for move, example, share in turns:
        said = EXAMPLES[move][example % len(EXAMPLES[move])]
        decision = decide(SCENARIO, state, Heard(said))
        assert leaked(decision) == []
        state = _heard_in_part(decision, share)


def test_the_leak_test_would_notice() -> None:
    decision = decide(SCENARIO, begin(SCENARIO, seed=1), Heard("Is this a bad time?"))
    brief = replace(decision.brief, say=("We order from Delmar Medical.",))

    assert leaked(replace(decision, brief=brief)) == ["supplier"]


def _heard_in_part(decision: Decision, share: float) -> PersonaState:
    words = decision.authored.split()
    return remember(SCENARIO, decision, " ".join(words[: round(share * len(words))]), complete=share > 0.9)
