"""Model servers that fail in every way there is, in real time: what the trainee hears of it."""

import asyncio
from dataclasses import replace

import pytest

from agent.persona import Decision
from agent.scenario import Scenario
from graphs.ladder import for_call
from graphs.model import ModelWording
from tests.chat_server import END, Behaviour, End, HangUp, after, drips, refuses, says, sends
from tests.graphs.models import (
    LONGEST_SILENCE_S,
    SERVER,
    Kind,
    heard,
    of_each_kind,
    open_model,
    open_no_model,
)

FILLER = "Hm, let me think."
REPLY = "We order from Delmar Medical."
DRIP = "Well I would have to think about that before I say so and then I still would not say so"


def faults_of(kind: Kind) -> dict[str, tuple[Behaviour, str]]:
    """What goes wrong, and the code under which the call is told."""
    return {
        "hang": (sends(hangs=True), "engine_late"),
        "slow first token": (after(2.4, says(REPLY)), "engine_late"),
        "thinking aloud": (sends("<think>", "So the caller", hangs=True), "engine_late"),
        "stall in mid-sentence": (sends("Well, ", hangs=True), "engine_stalled"),
        "stall before the first clause": (sends("We order from the people", hangs=True), "engine_stalled"),
        "slower than the voice": (drips(DRIP, 0.35), "engine_stalled"),
        "500": (refuses(500, "out of memory"), "engine_failed"),
        "503": (refuses(503, "busy"), "engine_busy"),
        "429": (refuses(429, "slow down"), "engine_busy"),
        "400": (refuses(400, "bad request"), "engine_failed"),
        "model missing": (refuses(404, "model not found"), "model_missing"),
        "error at once": (sends(kind.failure), "engine_failed"),
        "error in mid-stream": (sends("Well, ", kind.failure), "engine_failed"),
        "garbage in mid-stream": (sends("Well, ", kind.garbage[1]), "engine_failed"),
        "disconnect at once": (sends(then=HangUp()), "engine_failed"),
        "disconnect in mid-stream": (sends("Well, ", then=HangUp()), "engine_failed"),
        "stream without an end": (sends("Well, "), "engine_failed"),
        "empty stream": (sends(), "engine_failed"),
        "nothing": (sends(END), "engine_mute"),
        "only a stage direction": (sends("*sighs*", END), "engine_mute"),
        "only loads": (sends(End("load")), "engine_failed" if kind.engine == "ollama" else "engine_mute"),
    }


async def both_ways(wording: ModelWording, scenario: Scenario, decision: Decision, code: str) -> None:
    """Two calls at once, whose persona has something to say while nothing comes, and has not."""

    async def call(filler: str) -> None:
        broke: list[tuple[str, str, str]] = []
        of_call = for_call(wording, lambda *what: broke.append(what))
        listener = await heard(of_call, scenario, replace(decision, filler=filler))
        assert max(listener.silences_s) <= LONGEST_SILENCE_S
        assert listener.text.endswith(decision.authored)
        assert broke == [(wording.engine, code, "authored")]

    async with asyncio.TaskGroup() as calls:
        for filler in ("", FILLER):
            calls.create_task(call(filler))


@of_each_kind
@pytest.mark.parametrize("fault", faults_of(SERVER))
async def test_whatever_a_server_does_the_trainee_hears_the_line_and_no_silence_over_two_seconds(
    kind: Kind, fault: str, scenario: Scenario, decision: Decision
) -> None:
    behaviour, code = faults_of(kind)[fault]
    async with open_model(kind, behaviour) as (_, wording):
        await both_ways(wording, scenario, decision, code)


@of_each_kind
async def test_garbage_of_any_kind_is_replaced_by_the_line(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    for raw in kind.garbage:
        async with open_model(kind, sends(raw)) as (_, wording):
            await both_ways(wording, scenario, decision, "engine_failed")


@of_each_kind
async def test_a_server_that_is_gone_is_replaced_by_the_line(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_no_model(kind) as wording:
        await both_ways(wording, scenario, decision, "engine_unreachable")
    async with open_model(kind, silent=True) as (_, wording):
        await both_ways(wording, scenario, decision, "engine_late")


@of_each_kind
async def test_a_first_word_that_is_slow_is_waited_for_behind_a_filler(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, after(1.7, says(REPLY))) as (_, wording):
        broke: list[tuple[str, str, str]] = []
        of_call = for_call(wording, lambda *what: broke.append(what))
        listener = await heard(of_call, scenario, replace(decision, filler=FILLER))

    assert listener.text == f"{FILLER} {REPLY}"
    assert listener.pieces[:2] == [f"{FILLER} ", "We"]
    assert max(listener.silences_s) <= LONGEST_SILENCE_S
    assert broke == []


@of_each_kind
async def test_a_first_word_that_is_in_time_has_no_filler_before_it(
    kind: Kind, scenario: Scenario, decision: Decision
) -> None:
    async with open_model(kind, after(0.2, says(REPLY))) as (_, wording):
        listener = await heard(
            for_call(wording, lambda *what: None), scenario, replace(decision, filler=FILLER)
        )

    assert listener.text == REPLY
