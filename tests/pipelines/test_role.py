"""What takes effect of a reply, and when: what the trainee heard of it."""

import pytest

from agent.call import EndReason, Speaker
from agent.persona import Heard, begin
from agent.playback import HeardReply
from agent.steering import Decision
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording
from pipelines.role import Occasion, Role
from tests.agent.scenarios import cold_call

SCENARIO = cold_call()
LAST_WORDS = [
    (Occasion.GONE, EndReason.TRAINEE_SILENT),
    (Occasion.TIME_UP, EndReason.TIME_LIMIT),
]


def role() -> Role:
    return Role(PersonaGraph(SCENARIO, AuthoredWording()), begin(SCENARIO, seed=3))


async def reply_to(persona: Role, text: str) -> str:
    """The persona's whole answer to `text`, on its way to the voice."""
    turn = persona.whole(Heard(text))
    said = ""
    async for item in persona.reply(turn):
        if isinstance(item, Decision):
            persona.decided(item, turn)
        else:
            said += item
    persona.says(said)
    return said


def heard(text: str, *, complete: bool = True) -> HeardReply:
    return HeardReply(1, text, 0, 1_000, complete=complete, interrupted=not complete)


NOTHING = HeardReply(1, "", None, None, complete=False, interrupted=True)


async def test_a_fact_is_told_when_it_was_heard_and_not_before() -> None:
    persona = role()
    answer = await reply_to(persona, "Who do you order from today?")
    assert persona.state.disclosed == ()
    assert persona.heard(heard(answer)) is None
    assert persona.state.disclosed == ("supplier",)


async def test_a_fact_that_was_talked_over_was_not_told_and_can_be_asked_for_again() -> None:
    persona = role()
    await reply_to(persona, "Who do you order from today?")
    assert persona.heard(heard("We", complete=False)) is None
    assert persona.state.disclosed == ()
    assert "Delmar" in await reply_to(persona, "Who do you order from today?")


async def test_an_answer_of_which_nothing_was_heard_did_not_happen() -> None:
    persona = role()
    before = persona.state
    await reply_to(persona, "Who do you order from")
    persona.heard(NOTHING)
    assert persona.state == before


async def test_what_got_no_audible_answer_belongs_to_what_is_said_next() -> None:
    persona = role()
    await reply_to(persona, "Who do you")
    persona.heard(NOTHING)
    await reply_to(persona, "order from")
    persona.heard(NOTHING)
    answer = await reply_to(persona, "today?")
    assert "Delmar" in answer
    persona.heard(heard(answer))
    assert [(said.speaker, said.text) for said in persona.state.dialogue] == [
        (Speaker.TRAINEE, "Who do you order from today?"),
        (Speaker.PERSONA, answer),
    ]


def test_a_turn_in_two_pieces_is_as_sure_as_its_less_sure_piece() -> None:
    persona = role()
    persona._unanswered = Heard("Who do you order", 0.4, interrupted_persona=True)
    assert persona.whole(Heard("from today?", 0.9)) == Heard("Who do you order from today?", 0.4, True)


async def test_a_reply_that_was_cut_can_be_taken_up_and_counts_as_one() -> None:
    persona = role()
    answer = await reply_to(persona, "Who do you order from today?")
    words = answer.split()
    persona.heard(heard(" ".join(words[:2]), complete=False))
    assert persona.state.disclosed == ()
    rest = persona.left_unsaid
    assert rest and answer.endswith(rest)
    assert persona.take_up() == rest
    persona.says(rest)
    persona.heard(heard(rest))
    assert persona.state.disclosed == ("supplier",)
    assert [said.speaker for said in persona.state.dialogue] == [Speaker.TRAINEE, Speaker.PERSONA]


async def test_there_is_nothing_to_take_up_of_a_reply_that_was_heard() -> None:
    persona = role()
    persona.heard(heard(await reply_to(persona, "Who do you order from today?")))
    assert persona.take_up() == persona.left_unsaid == ""


async def test_what_was_cut_is_forgotten_once_something_else_is_said() -> None:
    persona = role()
    await reply_to(persona, "Who do you order from today?")
    persona.heard(heard("We", complete=False))
    await reply_to(persona, "How often do you order?")
    assert persona.take_up() == ""


async def test_the_call_is_over_when_the_ending_was_heard() -> None:
    persona = role()
    answer = await reply_to(persona, "Thank you for your time, goodbye.")
    assert persona.ending is None
    assert persona.heard(heard(answer)) is EndReason.PERSONA_ENDED
    assert persona.ending is not None
    assert (persona.ending.id, persona.ending.outcome) == ("farewell", "open")


async def test_an_ending_that_was_talked_over_ends_nothing() -> None:
    persona = role()
    await reply_to(persona, "Thank you for your time, goodbye.")
    assert persona.heard(heard("", complete=False)) is None
    assert persona.ending is None


async def test_the_stop_word_ends_the_call_even_if_nothing_more_was_heard() -> None:
    persona = role()
    assert SCENARIO.safety.stop_word
    await reply_to(persona, f"Please {SCENARIO.safety.stop_word}.")
    assert persona.heard(heard("", complete=False)) is EndReason.STOP_WORD


@pytest.mark.parametrize(("occasion", "reason"), LAST_WORDS)
def test_last_words_end_the_call_when_they_were_heard_to_their_end(
    occasion: Occasion, reason: EndReason
) -> None:
    persona = role()
    line = persona.cue(occasion, 1)
    assert persona.heard(heard(line)) is reason


@pytest.mark.parametrize(("occasion", "_reason"), LAST_WORDS)
def test_a_trainee_who_speaks_into_the_last_words_keeps_the_call(
    occasion: Occasion, _reason: EndReason
) -> None:
    persona = role()
    line = persona.cue(occasion, 1)
    assert persona.heard(heard(line[:6], complete=False)) is None


@pytest.mark.parametrize("occasion", [Occasion.OPENING, Occasion.SILENCE, Occasion.CUT_OFF])
def test_other_cues_are_remembered_and_end_nothing(occasion: Occasion) -> None:
    persona = role()
    line = persona.cue(occasion, 1)
    assert persona.heard(heard(line)) is None
    (said,) = persona.state.dialogue
    assert (said.speaker, said.text, said.cut) == (Speaker.PERSONA, line, False)


def test_a_persona_asks_into_silence_in_other_words_the_second_time() -> None:
    persona = role()
    lines = []
    for prompt in (1, 2):
        lines.append(persona.cue(Occasion.SILENCE, prompt))
        persona.heard(heard(lines[-1]))
    assert set(lines) == set(SCENARIO.lines.silence)


def test_a_reply_that_nobody_began_changes_nothing() -> None:
    persona = role()
    before = persona.state
    assert persona.heard(heard("Hello?")) is None
    assert persona.state == before
