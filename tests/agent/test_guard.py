"""What of a model's words reaches the trainee."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.guard import Breach, Guard
from agent.guard_rules import open_topics
from agent.leaks import content, secrets
from agent.persona import Decision, Heard, begin, decide
from agent.scenario import Scenario, load_scenarios
from agent.words import normalise
from benchmarks.persona_attacks import MODEL_BREACHES
from tests.agent.scenarios import cold_call

COLD_CALL = cold_call()
SCENARIOS = list(load_scenarios(Path(__file__).parents[2] / "scenarios").values())
BREACHES = [(code, text) for code, texts in MODEL_BREACHES.items() for text in texts]


def answer(said: str = "Is this a bad time?", scenario: Scenario = COLD_CALL) -> Decision:
    return decide(scenario, begin(scenario, 1), Heard(said))


def to_say(*lines: str, scenario: Scenario = COLD_CALL, facts: tuple[str, ...] = ()) -> Decision:
    """A decision to say these lines, without telling any fact but `facts`."""
    decision = answer("mumbled and of no meaning", scenario)
    brief = replace(decision.brief, say=lines, facts=())
    return replace(decision, brief=brief, next_state=replace(decision.next_state, disclosed=facts))


def changed(**parts: Any) -> Scenario:
    return COLD_CALL.model_copy(update=parts)


def with_warning(text: str) -> Scenario:
    return changed(safety=COLD_CALL.safety.model_copy(update={"content_warning": text}))


def passed(guard: Guard, *pieces: str) -> str:
    released = [clause for piece in pieces for clause in guard.feed(piece)]
    return "".join([*released, *guard.finish()])


def spoken_of(text: str, decision: Decision | None = None) -> tuple[str, Breach | None]:
    guard = Guard(COLD_CALL, decision or answer())
    return passed(guard, text), guard.breach


# Clause by clause.


def test_a_clause_is_released_when_it_is_complete() -> None:
    guard = Guard(COLD_CALL, answer())

    assert guard.feed("Thirty seconds.") == []
    assert guard.feed(" Go") == ["Thirty seconds. "]
    assert guard.feed(" ahead.") == []
    assert guard.finish() == ["Go ahead."]
    assert guard.breach is None


def test_a_leak_in_mid_clause_is_never_spoken() -> None:
    guard = Guard(COLD_CALL, answer())
    text = "Well, all right then. You should know that we order from Delmar Medical. Six years now."
    released = ["".join(guard.feed(f"{word} ")) for word in text.split()]

    assert "".join(released) == "Well, all right then. "
    assert guard.breach == Breach("leak", "supplier")


def test_after_a_breach_nothing_more_comes_out() -> None:
    guard = Guard(COLD_CALL, answer())
    released = "".join(guard.feed("Thirty seconds. I am an AI. Go ahead. What is it? "))

    assert released == "Thirty seconds. "
    assert guard.breach == Breach("out_of_role", "i am an ai")
    assert (guard.feed("Never mind. "), guard.finish()) == ([], [])


def test_what_was_released_before_a_breach_stands() -> None:
    assert spoken_of("Go on. Make it quick. Kill yourself.")[0] == "Go on. Make it quick. "


def test_of_an_empty_reply_nothing_comes_out() -> None:
    assert spoken_of("") == ("", None)


# Facts.


@pytest.mark.parametrize(("code", "text"), BREACHES)
def test_a_broken_model_is_cut_off(code: str, text: str) -> None:
    released, breach = spoken_of(text)

    assert breach is not None
    assert breach.code == code
    assert len(released) < len(text)


@pytest.mark.parametrize("text", MODEL_BREACHES["leak"])
def test_a_leak_names_the_fact(text: str) -> None:
    _, breach = spoken_of(text)

    assert breach is not None
    assert breach.subject in {fact.id for fact in COLD_CALL.facts}


def test_a_fact_that_is_told_now_or_was_told_may_be_told() -> None:
    question = answer("Who do you order from today?")
    assert question.disclosed == ("supplier",)

    text = "We order from Delmar Medical, and have for six years."
    assert spoken_of(text, question) == (text, None)
    assert spoken_of(text, to_say("Okay.", facts=("supplier",))) == (text, None)
    assert spoken_of(text)[1] == Breach("leak", "supplier")


def test_telling_one_fact_does_not_open_the_others() -> None:
    question = answer("Who do you order from today?")

    assert spoken_of("Delmar. Doctor Reyes picked them.", question) == ("Delmar. ", Breach("leak", "decider"))


def test_a_pattern_may_span_clauses() -> None:
    fact = COLD_CALL.facts[0].model_copy(update={"told_by": (r"\bfour wheels\b.* green\b",)})
    scenario = changed(facts=(fact, *COLD_CALL.facts[1:]))
    guard = Guard(scenario, answer(scenario=scenario))

    assert passed(guard, "It has four wheels, does it not? And it is green. So there.") == (
        "It has four wheels, does it not? "
    )
    assert guard.breach == Breach("leak", "supplier")


def test_a_number_tells_a_fact_however_it_is_written() -> None:
    for text in ("It is 20.", "It is twenty.", "20, I think.", "It is about twenty-two or twenty."):
        assert spoken_of(text)[1] == Breach("leak", "volume")


def test_patterns_match_numbers_as_they_are_read_aloud() -> None:
    fact = COLD_CALL.facts[0].model_copy(update={"told_by": (r"\bfour thousand one hundred\b",)})
    scenario = changed(facts=(fact,))
    guard = Guard(scenario, answer(scenario=scenario))
    guard.feed("That makes $4,100. ")

    assert guard.breach == Breach("leak", "supplier")


def test_without_patterns_a_fact_is_known_by_its_words() -> None:
    facts = tuple(fact.model_copy(update={"told_by": ()}) for fact in COLD_CALL.facts)
    scenario = changed(facts=facts)
    told = {
        "Delmar has us covered.": "supplier",
        "They came late twice last month and I drove across town.": "late_gloves",
        "It is four thousand dollars a month.": "volume",
        "It is $4,000 a month.": "volume",
        "Above five hundred dollars somebody has to sign.": "decider",
        "You would have to ask Reyes.": "decider",
    }
    for text, fact in told.items():
        guard = Guard(scenario, answer(scenario=scenario))
        passed(guard, text)
        assert guard.breach == Breach("leak", fact)


@pytest.mark.parametrize(
    "text",
    [
        "Friday afternoon is bad.",
        "I was late twice this week.",
        "Six years ago somebody tried to sell me a car.",
        "The doctor is busy, and so am I.",
        "Everybody in town wants something from me.",
        "I drove here this morning, and I will drive home at night.",
        "Call me next month.",
        "It costs a dollar or two, I suppose.",
    ],
)
def test_a_few_words_of_a_fact_do_not_tell_it(text: str) -> None:
    assert spoken_of(text) == (text, None)


def test_what_is_to_be_said_is_no_leak() -> None:
    line = "The gloves came late, and Reyes was furious."

    assert spoken_of(line, to_say(line)) == (line, None)
    assert spoken_of("The gloves were late.", to_say(line))[1] is None
    assert spoken_of("We spend four thousand dollars.", to_say(line))[1] == Breach("leak", "volume")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("four twelve Harlan Street", "412"),
        ("four hundred twelve", "412"),
        ("four hundred and twelve", "412"),
        ("412", "412"),
        ("four, one, two", "412"),
        ("555-0142", "5550142"),
        ("five five five, oh one four two", "5550142"),
        ("fourteen sixty", "1460"),
        ("$4,000", "4000"),
        ("four thousand", "4000"),
        ("one million two hundred thousand", "1200000"),
    ],
)
def test_a_number_is_its_digits(text: str, number: str) -> None:
    assert number in content(text).weights


# Role, prompt and safety.


@pytest.mark.parametrize(
    "text",
    [
        "How can I help you?",
        "I cannot help you with that.",
        "I am not a robot, I have patients waiting.",
        "I was told to ask for the manager.",
        "That is against our policy.",
        "We have a training on Monday, so no.",
        "Read the instructions on the box.",
        "The doctor's instructions were clear.",
        "Our AI tool never works.",
        "The new program crashed twice.",
        "I was trained on the old system.",
        "I am based in the city.",
        "I should exercise more.",
        "He fainted during the exercise class.",
        "In this situation I would rather wait.",
        "The note on the door says call again.",
        "Sure, here is my number.",
        "Let me know if you need anything from me.",
        "Feel free to call next week.",
        "He is playing outside.",
        "It is out of character for him.",
        "Thank you for your prompt reply.",
        "My boss will kill me.",
        "He says he will kill me.",
        "You could beat them on price.",
        "You should shoot me an email.",
        "I will find you a slot on Tuesday.",
        "This is killing me.",
        "Cut the price.",
        "She is in bed with the flu.",
        "My real name is Dana.",
        "I am only human.",
        "This is Dana, I said so.",
        "As Dana's assistant is away, you have me.",
        "I am sorry, but I have to go.",
        "We are a real office with real people.",
        "I am not real happy about that.",
    ],
)
def test_what_a_person_would_say_passes(text: str) -> None:
    assert spoken_of(text) == (text, None)


def test_a_model_does_not_speak_of_the_persona_by_name() -> None:
    assert spoken_of("Dana says she is busy.")[1] == Breach("out_of_role", "dana says")
    assert spoken_of("I am Dana, who else?")[1] is None


def test_the_line_that_steps_out_of_the_role_may_be_said() -> None:
    (line,) = COLD_CALL.lines.stop

    assert spoken_of(line, to_say(line)) == (line, None)
    assert spoken_of("Let us stop this exercise.")[1] == Breach("out_of_role", "stop this exercise")


def test_eight_words_of_the_prompt_in_a_row_are_an_echo() -> None:
    background = COLD_CALL.persona.background
    eight = " ".join(background.split()[:8])

    assert spoken_of(f"{eight}.")[1] == Breach("prompt_echo", normalise(eight))
    assert spoken_of(f"{' '.join(background.split()[:7])}.")[1] is None


def test_the_words_to_be_said_are_no_echo_of_the_note_that_has_them() -> None:
    lines = ("I have had nine calls like this one since Monday morning.", "And I am tired of them.")

    assert spoken_of(" ".join(lines), to_say(*lines)) == (" ".join(lines), None)
    echoed = f"Say this now, in this order: {lines[0]}"
    assert spoken_of(echoed, to_say(*lines))[1] == Breach("prompt_echo", "say this now in this order i have")


@pytest.mark.parametrize(
    ("text", "topic", "warning"),
    [
        ("I will kill you.", "violence", "Domestic violence; a weapon is mentioned."),
        ("You should just kill yourself.", "self_harm", "The caller thinks of suicide."),
        ("They had sex.", "sex", "A sexual assault is reported."),
        ("He called me a kike.", "slur", "Racist slurs are quoted."),
        ("Fuck this.", "obscenity", "He swears a lot."),
    ],
)
def test_what_is_unsafe_depends_on_what_the_trainee_was_warned_of(
    text: str, topic: str, warning: str
) -> None:
    assert spoken_of(text)[1] == Breach("unsafe", topic)

    scenario = with_warning(warning)
    guard = Guard(scenario, answer(scenario=scenario))
    assert passed(guard, text) == text


def test_a_warning_that_says_what_does_not_happen_opens_nothing() -> None:
    assert open_topics("The persona is rude. Nobody swears or shouts abuse.") == frozenset()
    assert open_topics("none") == frozenset()
    assert open_topics("The persona threatens you.") == {"violence"}


# Every scenario.


def authored(scenario: Scenario) -> Iterator[str]:
    """All that the persona has lines for, but for the facts."""
    yield from scenario.opening
    yield from (line for _, lines in scenario.lines for line in lines)
    for mood in scenario.moods:
        yield from (*mood.openers, *mood.refuses)
    for move in scenario.moves:
        yield from (*move.replies, *(line for each in move.answers for line in each.lines))
    yield from (line for each in scenario.facts for line in each.withheld)
    yield from (line for each in scenario.objections for line in (*each.lines, *each.pressed))
    spoken = (*scenario.events, *scenario.interruptions, *scenario.endings, *scenario.knowledge)
    yield from (line for each in spoken for line in each.lines)
    yield from (line for each in scenario.reactions.values() for line in each.lines)


def always_open(scenario: Scenario) -> Iterator[str]:
    """Lines that can be said before anything was told."""
    yield from scenario.opening
    yield from (line for _, lines in scenario.lines for line in lines)
    yield from (line for mood in scenario.moods for line in (*mood.openers, *mood.refuses))
    asking = {move for fact in scenario.facts for move in fact.unlocked_by.move}
    yield from (line for move in scenario.moves if move.id not in asking for line in move.replies)
    yield from (line for each in scenario.facts for line in each.withheld)
    yield from (line for each in scenario.objections for line in (*each.lines, *each.pressed))
    yield from (line for each in scenario.reactions.values() for line in each.lines)
    yield from (line for each in scenario.knowledge for line in each.lines)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_every_authored_line_passes_when_it_is_to_be_said(scenario: Scenario) -> None:
    for line in dict.fromkeys(authored(scenario)):
        guard = Guard(scenario, to_say(line, scenario=scenario))
        assert (passed(guard, line), guard.breach) == (line, None)
    for fact in scenario.facts:
        for line in fact.lines:
            guard = Guard(scenario, to_say(line, scenario=scenario, facts=(fact.id,)))
            assert (passed(guard, line), guard.breach) == (line, None)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_no_line_that_is_always_open_tells_a_fact_by_its_words(scenario: Scenario) -> None:
    for line in dict.fromkeys(always_open(scenario)):
        assert [each.fact for each in secrets(scenario) if each.is_told(content(line))] == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_every_line_of_a_locked_fact_with_patterns_is_cut_off(scenario: Scenario) -> None:
    for fact in scenario.facts:
        for line in fact.lines if fact.told_by else ():
            guard = Guard(scenario, to_say("Okay.", scenario=scenario))
            passed(guard, line)
            assert guard.breach is not None
            assert guard.breach.code == "leak"


# Whatever the model says, and however it comes.

SENTENCES = st.sampled_from(
    [
        *(text for texts in MODEL_BREACHES.values() for text in texts),
        *authored(COLD_CALL),
        "Well, that depends, you know, on a lot of things.",
        "Dr. Miller pays $4.50 at 10 a.m. on Main St. in town.",
        "No \u2014 not now\u2026 or later?",
        "I could go on like this, and on, and on, because nobody ever stops me when I begin to talk about the"
        " waiting room and the phone and the temp, who does not know where anything is, not even the coffee",
    ]
)
SPACES = st.sampled_from([" ", "  ", "\n", ""])
CLEAN = st.lists(
    st.sampled_from(
        ("well", "I", "have no time", "now", "and we", "talk about it", "later", "what is this for", "go on")
    ),
    min_size=1,
    max_size=50,
)


@st.composite
def replies(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.tuples(SENTENCES, SPACES), max_size=4))
    return "".join(text + space for text, space in parts)


def cut_up(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_the_pieces_make_no_difference(data: st.DataObject) -> None:
    text = data.draw(replies())
    whole = Guard(COLD_CALL, answer())
    parts = Guard(COLD_CALL, answer())

    assert passed(parts, *cut_up(data.draw, text)) == passed(whole, text)
    assert parts.breach == whole.breach


@given(replies(), st.sets(st.sampled_from([fact.id for fact in COLD_CALL.facts])))
@settings(deadline=None, max_examples=150)
def test_what_is_released_never_tells_a_locked_fact(text: str, told: set[str]) -> None:
    guard = Guard(COLD_CALL, to_say("Okay.", facts=tuple(sorted(told))))
    heard = normalise(passed(guard, text)).replace("\n", " ")

    for fact in COLD_CALL.facts:
        assert fact.id in told or not any(re.search(pattern, heard) for pattern in fact.told_by)


@given(replies())
@settings(deadline=None, max_examples=150)
def test_what_is_released_is_how_the_reply_begins(text: str) -> None:
    guard = Guard(COLD_CALL, answer())
    released = passed(guard, text)

    assert text.startswith(released)
    assert (released.rstrip() == text.rstrip()) == (guard.breach is None)


@given(CLEAN, st.data())
@settings(deadline=None, max_examples=150)
def test_a_clean_reply_passes_unchanged(words: list[str], data: st.DataObject) -> None:
    ends = data.draw(
        st.lists(st.sampled_from(["", "", "", ",", ".", "?"]), min_size=len(words), max_size=len(words))
    )
    text = " ".join(word + end for word, end in zip(words, ends, strict=True))
    guard = Guard(COLD_CALL, answer())

    assert passed(guard, *cut_up(data.draw, text)) == text
    assert guard.breach is None


@given(st.text(max_size=400))
@settings(deadline=None)
def test_any_text_at_all_can_be_fed(text: str) -> None:
    guard = Guard(COLD_CALL, answer())
    assert text.startswith(passed(guard, text))
