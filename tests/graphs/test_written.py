"""A rehearsal in writing: what happens of it, and when, on the clock of a telephone call."""

from contextlib import aclosing
from dataclasses import replace

import pytest

from agent.call import EndReason, Speaker
from agent.emotion import WORD_MS
from agent.events import Event, EventHappened, PersonaCutIn, PersonaDecided, TurnTaken
from agent.persona import Decision, begin
from agent.scenario import Scenario
from graphs.persona import PersonaGraph
from graphs.wording import AuthoredWording
from graphs.written import WrittenRehearsal, spoken_ms
from tests.agent.scenarios import cold_call, with_parts

SCENARIO = cold_call()
QUESTION = "Who do you order from today?"
LATE = "What happens when an order arrives late?"
FAREWELL = "Thank you for your time, goodbye."


class Practice:
    """One rehearsal, and the events that it gave."""

    def __init__(self, scenario: Scenario = SCENARIO, longest_ms: int | None = None) -> None:
        self.events: list[Event] = []
        graph = PersonaGraph(scenario, AuthoredWording())
        state = begin(scenario, seed=3)
        self.rehearsal = WrittenRehearsal(graph, state, self.events.append, longest_ms=longest_ms)

    async def exchange(self, text: str, pieces: int | None = None) -> tuple[str, bool]:
        """Says something, reads so many pieces of the answer, or all; returns them, and whether it counts."""
        said, complete = "", True
        async with aclosing(self.rehearsal.answer(text)) as reply:
            async for item in reply:
                if isinstance(item, Decision):
                    continue
                if pieces == 0:
                    complete = False
                    break
                said += item
                pieces = None if pieces is None else pieces - 1
        return said.strip(), self.rehearsal.heard(said, complete=complete)

    def turns(self) -> list[tuple[Speaker, str, bool]]:
        taken = [event.turn for event in self.events if isinstance(event, TurnTaken)]
        assert [turn.index for turn in taken] == list(range(len(taken)))
        return [(turn.speaker, turn.text, turn.interrupted) for turn in taken]


@pytest.mark.parametrize(("text", "words"), [("Hello?", 1), ("You did what?", 3), ("!", 1), (" a  b\nc ", 3)])
def test_a_word_takes_as_long_as_people_take_for_it(text: str, words: int) -> None:
    assert spoken_ms(text) == WORD_MS * words


async def test_the_clock_goes_on_with_what_both_say() -> None:
    practice = Practice()
    opening = practice.rehearsal.open()
    assert practice.rehearsal.at_ms == spoken_ms(opening)
    said, _ = await practice.exchange(QUESTION)
    spans = [
        (event.turn.start_ms, event.turn.end_ms) for event in practice.events if isinstance(event, TurnTaken)
    ]
    ends = [spoken_ms(opening)]
    ends += [ends[0] + spoken_ms(QUESTION), ends[0] + spoken_ms(QUESTION) + spoken_ms(said)]
    assert spans == list(zip([0, *ends], ends, strict=False))
    assert practice.rehearsal.at_ms == ends[-1]
    (decided,) = [event for event in practice.events if isinstance(event, PersonaDecided)]
    assert (decided.move, decided.at_ms) == ("ask_supplier", ends[1])


async def test_what_did_not_arrive_was_not_said() -> None:
    practice = Practice()
    opening = practice.rehearsal.open()
    said, taken = await practice.exchange(LATE, pieces=1)
    assert taken and said == "Honestly?"
    assert practice.turns() == [
        (Speaker.PERSONA, opening, False),
        (Speaker.TRAINEE, LATE, False),
        (Speaker.PERSONA, said, True),
    ]
    assert practice.rehearsal.state.disclosed == ()
    await practice.exchange(LATE)
    assert practice.rehearsal.state.disclosed != ()


async def test_an_answer_of_which_nothing_arrived_did_not_happen() -> None:
    practice = Practice()
    practice.rehearsal.open()
    state, at_ms = practice.rehearsal.state, practice.rehearsal.at_ms
    assert await practice.exchange(QUESTION, pieces=0) == ("", False)
    assert (practice.rehearsal.state, practice.rehearsal.at_ms) == (state, at_ms)
    assert len(practice.events) == 1
    assert (await practice.exchange(QUESTION))[1]
    assert [text for _, text, _ in practice.turns()][1] == QUESTION


async def test_an_ending_of_which_little_arrived_does_not_end_the_call() -> None:
    practice = Practice()
    practice.rehearsal.open()
    await practice.exchange(FAREWELL, pieces=1)
    assert not practice.rehearsal.over
    assert practice.rehearsal.state.cut_ending == "farewell"
    await practice.exchange(FAREWELL)
    assert practice.rehearsal.reason is EndReason.PERSONA_ENDED
    assert practice.rehearsal.ending is not None and practice.rehearsal.ending.id == "farewell"


@pytest.mark.parametrize("asked_for_the_answer", [True, False])
async def test_the_stop_word_counts_though_nothing_of_the_answer_arrived(asked_for_the_answer: bool) -> None:
    practice = Practice()
    practice.rehearsal.open()
    if asked_for_the_answer:
        assert await practice.exchange(SCENARIO.safety.stop_word, pieces=0) == ("", True)
    else:
        async with aclosing(practice.rehearsal.answer(SCENARIO.safety.stop_word)):
            assert practice.rehearsal.heard("", complete=False)
    assert practice.rehearsal.reason is EndReason.STOP_WORD
    assert practice.turns()[1:] == [(Speaker.TRAINEE, SCENARIO.safety.stop_word, False)]


async def test_a_rehearsal_that_has_lasted_long_enough_ends_with_a_word_of_leave() -> None:
    practice = Practice(longest_ms=1)
    practice.rehearsal.open()
    said, _ = await practice.exchange(QUESTION)
    assert said in SCENARIO.lines.time_up
    assert practice.rehearsal.reason is EndReason.TIME_LIMIT
    assert practice.rehearsal.ending is None


async def test_a_rehearsal_goes_on_from_what_was_kept_of_it() -> None:
    whole, before = Practice(), Practice()
    whole.rehearsal.open()
    before.rehearsal.open()
    await whole.exchange(QUESTION)
    await before.exchange(QUESTION)
    after = Practice()
    kept = before.rehearsal
    after.rehearsal = WrittenRehearsal(
        PersonaGraph(SCENARIO, AuthoredWording()),
        replace(kept.state),
        before.events.append,
        turns=kept.turns,
    )
    assert await after.exchange(FAREWELL) == await whole.exchange(FAREWELL)
    assert before.events == whole.events


LONG = " ".join(["We keep dental offices stocked and deliver every week."] * 5)
RULE = {"id": "point", "after_s": 6, "lines": ["Sorry, what is your question?", "What do you want?"]}


def impatient() -> Practice:
    """With a persona who cuts in on a trainee who talks for more than six seconds, once."""
    return Practice(with_parts(interruptions=[RULE]))


async def test_the_persona_cuts_in_on_a_turn_that_takes_too_long_to_say() -> None:
    practice = impatient()
    practice.rehearsal.open()
    said, taken = await practice.exchange(LONG)
    (cut,) = [event for event in practice.events if isinstance(event, PersonaCutIn)]
    trainee = practice.turns()[1]

    assert taken and said in RULE["lines"]
    assert cut.reason == "point"
    assert LONG.startswith(trainee[1]) and len(trainee[1].split()) == 15
    assert trainee[2], "the trainee's turn was interrupted"


async def test_what_was_said_before_the_persona_cut_in_belongs_to_the_next_turn() -> None:
    practice = impatient()
    practice.rehearsal.open()
    await practice.exchange(LONG)
    await practice.exchange(QUESTION)
    decided = [event for event in practice.events if isinstance(event, PersonaDecided)]

    assert [event.moves for event in decided] == [("give_reason", "ask_supplier")]
    assert practice.rehearsal.state.unanswered == ""


async def test_a_silence_is_met_with_questions_and_then_with_a_goodbye() -> None:
    practice = Practice()
    practice.rehearsal.open()
    said = [practice.rehearsal.silent() for _ in range(3)]

    assert set(said[:2]) == set(SCENARIO.lines.silence)
    assert said[2] in SCENARIO.lines.gone
    assert practice.rehearsal.reason is EndReason.TRAINEE_SILENT


DRILL = with_parts(events=[{"id": "drill", "title": "a drill", "lines": ["A fire drill.", "Only a drill."]}])


async def test_an_event_can_be_brought_about() -> None:
    practice = Practice(DRILL)
    practice.rehearsal.open()
    event = DRILL.event("drill")
    assert event is not None
    said = practice.rehearsal.happen(event)

    assert said in event.lines
    assert practice.rehearsal.state.happened == ("drill",)
    assert [happened.event for happened in practice.events if isinstance(happened, EventHappened)] == [
        "drill"
    ]
