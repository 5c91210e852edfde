"""A trainee's sentence put to a model: which move it is, at once, or none."""

import asyncio
import json
from dataclasses import replace

import pytest

from agent.breaker import Breaker
from agent.call import Speaker
from agent.memory import PersonaState, Said
from agent.persona import begin, opening, remember
from agent.scenario import Scenario
from graphs.classify import TIMEOUT_S, MoveClassifier
from tests.agent.scenarios import cold_call
from tests.chat_server import Behaviour, after, refuses, says, sends
from tests.graphs.models import OLLAMA, Kind, of_each_kind, open_model, open_no_model

TEXT = "And where do you get all of that from at the moment?"


def answers(move: str) -> Behaviour:
    return says(json.dumps({"move": move}))


@pytest.fixture
def state(scenario: Scenario) -> PersonaState:
    state = begin(scenario, seed=1)
    cue = opening(scenario, state)
    return remember(cold_call(), cue, cue.text, complete=True)


@of_each_kind
async def test_a_sentence_is_the_move_that_the_model_sees_in_it(
    kind: Kind, scenario: Scenario, state: PersonaState
) -> None:
    async with open_model(kind, answers("ask_supplier")) as (_, wording):
        classifier = MoveClassifier(wording.chat, lambda *what: None, timeout_s=5.0)
        assert await classifier.move(scenario, state, TEXT) == "ask_supplier"


async def test_a_sentence_that_is_no_move_is_none(scenario: Scenario, state: PersonaState) -> None:
    told: list[tuple[str, str]] = []
    async with open_model(OLLAMA, answers("-")) as (fake, wording):
        classifier = MoveClassifier(wording.chat, lambda *what: told.append(what), timeout_s=5.0)
        assert await classifier.move(scenario, state, TEXT) == ""
        assert await classifier.move(scenario, state, "  ") == ""
        assert len(fake.requests) == 1
    assert told == []


async def test_the_model_can_answer_with_nothing_but_a_move(scenario: Scenario, state: PersonaState) -> None:
    async with open_model(OLLAMA, answers("push")) as (fake, wording):
        await MoveClassifier(wording.chat, lambda *what: None, timeout_s=5.0).move(scenario, state, TEXT)
    (request,) = fake.requests
    allowed = request["format"]["properties"]["move"]["enum"]
    assert allowed == [*(move.id for move in scenario.moves), "-"]
    assert (request["options"]["temperature"], request["options"]["seed"]) == (0.0, 0)


async def test_the_model_sees_moves_and_what_was_heard_but_no_fact(
    scenario: Scenario, state: PersonaState
) -> None:
    async with open_model(OLLAMA, answers("push")) as (fake, wording):
        await MoveClassifier(wording.chat, lambda *what: None, timeout_s=5.0).move(scenario, state, TEXT)
    shown = json.dumps(fake.requests[0]["messages"])
    assert all(move.title in shown for move in scenario.moves)
    assert TEXT in shown
    assert state.dialogue[-1].text in shown
    hidden = [fact.truth for fact in scenario.facts]
    hidden += [line for fact in scenario.facts for line in (*fact.lines, *fact.withheld)]
    hidden += [entry.truth for entry in scenario.knowledge]
    hidden += [line for move in scenario.moves for line in move.replies]
    assert not [line for line in hidden if line in shown]


async def test_words_that_were_meant_for_a_machine_are_not_shown(
    scenario: Scenario, state: PersonaState
) -> None:
    said = Said(Speaker.PERSONA, "I beg your pardon?", out_of_role=True)
    state = replace(state, dialogue=(*state.dialogue, said))
    async with open_model(OLLAMA, answers("push")) as (fake, wording):
        await MoveClassifier(wording.chat, lambda *what: None, timeout_s=5.0).move(scenario, state, TEXT)
    assert said.text not in json.dumps(fake.requests[0]["messages"])


@of_each_kind
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (sends(hangs=True), "engine_timed_out"),
        (after(2.0, answers("push")), "engine_timed_out"),
        (answers("invent_a_move"), "engine_failed"),
        (says("The caller pushes."), "engine_failed"),
        (sends(b"<html>\n"), "engine_failed"),
        (refuses(500, "out of memory"), "engine_failed"),
        (refuses(429, "slow down"), "engine_busy"),
        (refuses(404, "no such model"), "model_missing"),
    ],
    ids=["hangs", "slow", "another id", "no JSON", "a page", "500", "429", "404"],
)
async def test_a_model_that_fails_sees_no_move_and_is_reported(
    kind: Kind, behaviour: Behaviour, code: str, scenario: Scenario, state: PersonaState
) -> None:
    told: list[tuple[str, str]] = []
    async with open_model(kind, behaviour) as (_, wording):
        classifier = MoveClassifier(wording.chat, lambda *what: told.append(what))
        assert await classifier.move(scenario, state, TEXT) == ""
    assert told == [(kind.engine, code)]


@of_each_kind
async def test_nobody_at_the_address_is_no_move_either(
    kind: Kind, scenario: Scenario, state: PersonaState
) -> None:
    told: list[tuple[str, str]] = []
    async with open_no_model(kind) as wording:
        classifier = MoveClassifier(wording.chat, lambda *what: told.append(what))
        assert await classifier.move(scenario, state, TEXT) == ""
    assert told == [(kind.engine, "engine_unreachable")]


async def test_a_model_that_keeps_failing_is_left_alone_and_asked_again_after_a_rest(
    scenario: Scenario, state: PersonaState
) -> None:
    told: list[tuple[str, str]] = []
    async with open_model(OLLAMA, refuses(404)) as (fake, wording):
        classifier = MoveClassifier(
            wording.chat,
            lambda *what: told.append(what),
            breaker=Breaker(failures=2, rest_s=0.1),
            timeout_s=5.0,
        )
        for _ in range(5):
            assert await classifier.move(scenario, state, TEXT) == ""
        assert len(fake.requests) == 2
        assert told == [("ollama", "model_missing")] * 2 + [("ollama", "engine_circuit_open")]
        fake.behaviour = answers("push")
        await asyncio.sleep(0.15)
        assert await classifier.move(scenario, state, TEXT) == "push"


def test_a_classification_takes_no_longer_than_a_turns_end_can_bear() -> None:
    assert TIMEOUT_S <= 0.6
