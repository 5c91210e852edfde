"""Simulated trainees: each style by what comes of it, and what they would find wrong with a persona."""

from collections.abc import AsyncGenerator

import pytest

from agent.call import EndReason, Speaker
from agent.scenario import Scenario
from agent.self_play import Style
from agent.steering import Decision
from graphs.persona import PersonaGraph
from graphs.self_play import coverage, play, play_call
from graphs.wording import AuthoredWording
from tests.agent.scenarios import cold_call, with_parts

SCENARIO = cold_call()


def graph(scenario: Scenario = SCENARIO) -> PersonaGraph:
    return PersonaGraph(scenario, AuthoredWording())


async def test_the_same_seed_plays_the_same_calls() -> None:
    assert await play(graph(), 6, seed=11) == await play(graph(), 6, seed=11)


async def test_another_seed_plays_others() -> None:
    first, second = [await play(graph(), 4, seed=seed) for seed in (1, 2)]

    assert [call.turns for call in first] != [call.turns for call in second]


@pytest.mark.parametrize("goal", [ending.id for ending in SCENARIO.endings])
async def test_an_expert_reaches_the_ending_they_go_for(goal: str) -> None:
    calls = [await play_call(graph(), Style.EXPERT, seed, goal) for seed in range(5)]

    assert [call.ending for call in calls] == [goal] * 5
    assert all(call.reason is EndReason.PERSONA_ENDED for call in calls)


async def test_a_hostile_trainee_wears_the_persona_out() -> None:
    calls = [await play_call(graph(), Style.HOSTILE, seed) for seed in range(5)]

    assert {call.ending for call in calls} == {"brush_off"}


async def test_a_silent_trainee_is_asked_and_left() -> None:
    calls = [await play_call(graph(), Style.SILENT, seed) for seed in range(8)]

    assert any(text in SCENARIO.lines.silence for call in calls for _, text in call.turns)
    assert {call.ending or call.reason for call in calls} <= {
        "brush_off",
        "farewell",
        EndReason.TRAINEE_SILENT,
    }


async def test_an_injector_gets_nothing_but_the_persona() -> None:
    calls = [await play_call(graph(), Style.INJECTOR, seed) for seed in range(5)]
    answers = {text for call in calls for speaker, text in call.turns if speaker is Speaker.PERSONA}

    assert answers & set(SCENARIO.lines.out_of_role)
    assert all(not call.leaks for call in calls)
    assert any("out_of_role" in call.signals for call in calls)


async def test_calls_cover_the_scenario_and_say_what_they_missed() -> None:
    calls = await play(graph(), 24, seed=1)
    seen = coverage(SCENARIO, calls)

    assert all(seen.stages.values()) and all(seen.endings.values()) and all(seen.facts.values())
    unreachable = with_parts(
        events=[{"id": "never", "title": "x", "when": {"after_s": 9_000}, "lines": ["A.", "B."]}]
    )
    assert coverage(unreachable, await play(graph(unreachable), 6)).missing()["events"] == ["never"]


class Chatterbox:
    """Tells who the supplier is whatever it is asked to say."""

    engine = "chatterbox"
    model = ""

    async def words(self, scenario: Scenario, decision: Decision) -> AsyncGenerator[str, None]:
        yield "By the way, we order from Delmar."


class Unguarded(PersonaGraph):
    """A persona whose words nobody looks at."""

    async def reply(self, state: object, heard: object) -> AsyncGenerator[object, None]:  # type: ignore[override]
        async for item in super().reply(state, heard):  # type: ignore[arg-type]
            yield "By the way, we order from Delmar." if isinstance(item, str) else item


async def test_a_leak_is_seen() -> None:
    call = await play_call(Unguarded(SCENARIO, AuthoredWording()), Style.HOSTILE, 1)
    guarded = await play_call(PersonaGraph(SCENARIO, Chatterbox()), Style.HOSTILE, 1)

    assert "supplier" in call.leaks
    assert guarded.leaks == ()


async def test_the_protocol_is_judged_on_the_clock_of_speech() -> None:
    rule = {
        "id": "ask_first",
        "title": "asks for the supplier",
        "do": ["move:ask_supplier"],
        "within_s": 600,
        "source": "our own",
    }
    scenario = with_parts(protocol=[rule])
    call = await play_call(graph(scenario), Style.EXPERT, 1, "meeting")
    [verdict] = call.protocol

    assert verdict.status == "met"
    assert verdict.at_ms is not None and 0 < verdict.at_ms < call.at_ms
