import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.breaker import Breakers
from agent.errors import EngineFailed, EngineTimedOut, EngineUnavailable
from agent.speech import Recognition, Speech, SpokenWord, Voice
from pipelines.engines.budget import BudgetSpent
from pipelines.engines.handover import Patience, Pools
from pipelines.engines.phrases import Phrases
from pipelines.engines.rungs import CallRecogniser, CallSynthesiser
from pipelines.engines.workers import EnginesBusy, Workers, open_workers
from tests.engines.fakes import FakeRecogniser, FakeSynthesiser, crashes, exits, fails, hanging, hum, works

SECOND = np.zeros(16_000, np.float32)
VOICE = Voice()
CLAUSE = "We order from Delmar."

CALM = Patience(hedge_s=30.0, within_s=30.0, last_s=30.0)
IMPATIENT = Patience(hedge_s=0.15, within_s=0.2, last_s=30.0)
HEDGING = Patience(hedge_s=0.08, within_s=30.0, last_s=30.0)


class Reports:
    """Collects what a call is told about its engines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self._loop = asyncio.get_running_loop()

    def __call__(self, broken: str, code: str, taking_over: str) -> None:
        assert asyncio.get_running_loop() is self._loop
        self.lines.append((broken, code, taking_over))


class Process:
    """What all calls share."""

    def __init__(self, local: Workers, remote: Workers) -> None:
        self.pools = Pools(local, remote)
        self.breakers = Breakers()
        self.reports = Reports()
        self.phrases = Phrases()

    def recogniser(self, *engines: FakeRecogniser, patience: Patience = CALM) -> CallRecogniser:
        return CallRecogniser(
            engines, pools=self.pools, breakers=self.breakers, on_broke=self.reports, patience=patience
        )

    def synthesiser(self, *engines: FakeSynthesiser, patience: Patience = CALM) -> CallSynthesiser:
        return CallSynthesiser(
            engines,
            pools=self.pools,
            breakers=self.breakers,
            on_broke=self.reports,
            patience=patience,
            phrases=self.phrases,
        )


@asynccontextmanager
async def open_process(threads: int = 2, waiting_at_most: int = 64) -> AsyncIterator[Process]:
    async with (
        open_workers(threads, waiting_at_most, name="local") as local,
        open_workers(threads, name="remote") as remote,
    ):
        yield Process(local, remote)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 engines tell nobody
            await asyncio.sleep(0.001)


async def understood(recogniser: CallRecogniser, turns: int) -> list[str]:
    return [(await recogniser.recognise(SECOND)).text for _ in range(turns)]


async def test_the_first_engine_serves_as_long_as_it_works() -> None:
    async with open_process() as process:
        whisper, sphinx = FakeRecogniser("whisper"), FakeRecogniser("sphinx")
        recogniser = process.recogniser(whisper, sphinx)
        assert await understood(recogniser, 3) == ["whisper"] * 3
        assert (sphinx.asked, process.reports.lines, recogniser.engine) == (0, [], "whisper")


@pytest.mark.parametrize(
    ("behaviour", "code"), [(fails, "engine_failed"), (crashes, "engine_crashed")], ids=["fails", "crashes"]
)
async def test_the_same_turn_goes_to_the_next_engine(behaviour: Callable[[], None], code: str) -> None:
    async with open_process() as process:
        recogniser = process.recogniser(FakeRecogniser("whisper", behaviour), FakeRecogniser("sphinx"))
        assert await understood(recogniser, 1) == ["sphinx"]
        assert process.reports.lines == [("whisper", code, "sphinx")]
        assert recogniser.engine == "sphinx"


async def test_an_engine_that_breaks_once_serves_again_and_is_reported_once() -> None:
    async with open_process() as process:
        whisper = FakeRecogniser("whisper")
        recogniser = process.recogniser(whisper, FakeRecogniser("sphinx"))
        said = []
        for behaviour in (fails, works, crashes, fails, works):
            whisper.behaviour = behaviour
            said += await understood(recogniser, 1)
        assert said == ["sphinx", "whisper", "sphinx", "sphinx", "whisper"]
        assert process.reports.lines == [("whisper", "engine_failed", "sphinx")]


async def test_after_three_failures_in_a_row_an_engine_is_left_alone_for_the_rest_of_the_call() -> None:
    async with open_process() as process:
        whisper = FakeRecogniser("whisper", fails)
        recogniser = process.recogniser(whisper, FakeRecogniser("sphinx"))
        await understood(recogniser, 3)
        whisper.behaviour = works
        process.breakers.of("whisper").worked()
        assert await understood(recogniser, 3) == ["sphinx"] * 3
        assert whisper.asked == 3


async def test_other_calls_do_not_ask_an_engine_that_broke_three_times() -> None:
    async with open_process() as process:
        whisper = FakeRecogniser("whisper", fails)
        await understood(process.recogniser(whisper, FakeRecogniser("sphinx")), 3)
        other = process.recogniser(whisper, FakeRecogniser("sphinx"))
        process.reports.lines.clear()
        assert await understood(other, 2) == ["sphinx"] * 2
        assert whisper.asked == 3
        assert process.reports.lines == [("whisper", "engine_circuit_open", "sphinx")]


async def test_a_call_returns_to_a_recogniser_whose_circuit_closes() -> None:
    async with open_process() as process:
        breaker = process.breakers.of("whisper")
        for _ in range(3):
            breaker.failed(asyncio.get_running_loop().time())
        recogniser = process.recogniser(FakeRecogniser("whisper"), FakeRecogniser("sphinx"))
        assert await understood(recogniser, 1) == ["sphinx"]
        breaker.worked()
        assert await understood(recogniser, 1) == ["whisper"]


async def test_a_call_keeps_the_voice_that_it_changed_to_when_a_circuit_was_open() -> None:
    async with open_process() as process:
        breaker = process.breakers.of("piper")
        for _ in range(3):
            breaker.failed(asyncio.get_running_loop().time())
        synthesiser = process.synthesiser(FakeSynthesiser("piper"), FakeSynthesiser("espeak"))
        await synthesiser.speak(CLAUSE, VOICE)
        breaker.worked()
        await synthesiser.speak("For six years.", VOICE)
        assert synthesiser.engine == "espeak"
        assert process.reports.lines == [("piper", "engine_circuit_open", "espeak")]


async def test_the_last_engine_is_asked_again_whatever_it_did_and_its_failure_is_not_hidden() -> None:
    async with open_process() as process:
        sphinx = FakeRecogniser("sphinx", fails)
        recogniser = process.recogniser(FakeRecogniser("whisper", fails), sphinx)
        for _ in range(5):
            with pytest.raises(EngineFailed, match="out of memory"):
                await recogniser.recognise(SECOND)
        assert sphinx.asked == 5
        assert process.reports.lines == [
            ("whisper", "engine_failed", "sphinx"),
            ("sphinx", "engine_failed", ""),
        ]


@pytest.mark.parametrize(
    "error", [EngineUnavailable("gone"), OSError("disk"), StopIteration(), SystemExit(1), MemoryError()]
)
async def test_whatever_the_last_engine_raises_the_call_is_told_of_an_engine_that_failed(
    error: BaseException,
) -> None:
    def breaks() -> None:
        raise error

    async with open_process() as process:
        with pytest.raises(EngineFailed):
            await process.recogniser(FakeRecogniser("sphinx", breaks)).recognise(SECOND)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([works, fails, crashes, exits]), min_size=1), min_size=1, max_size=3)
)
async def test_whatever_engines_do_in_a_call_its_last_one_understands_every_turn(
    behaviours: list[list[Callable[[], None]]],
) -> None:
    async with open_process(threads=1) as process:
        engines = [FakeRecogniser(f"engine {number}") for number in range(len(behaviours))]
        recogniser = process.recogniser(*engines, FakeRecogniser("sphinx"))
        for turn in range(6):
            for engine, behaviour in zip(engines, behaviours, strict=True):
                engine.behaviour = behaviour[turn % len(behaviour)]
            working = [engine.engine for engine in engines if engine.behaviour is works]
            (text,) = await understood(recogniser, 1)
            assert text == recogniser.engine
            assert text in (*working, "sphinx")
        assert len(process.reports.lines) <= len(engines)


async def test_when_the_last_engine_crashes_that_is_a_failure_of_engines_too() -> None:
    async with open_process() as process:
        with pytest.raises(EngineFailed, match="ZeroDivisionError"):
            await process.recogniser(FakeRecogniser("sphinx", crashes)).recognise(SECOND)


async def test_an_engine_that_hangs_is_replaced_in_the_same_turn_and_passed_over_in_the_next() -> None:
    async with open_process() as process:
        with hanging() as hang:
            whisper = FakeRecogniser("whisper", hang)
            recogniser = process.recogniser(whisper, FakeRecogniser("sphinx"), patience=IMPATIENT)
            assert await understood(recogniser, 1) == ["sphinx"]
            await until(lambda: process.pools.local.hanging == 1)
            assert process.reports.lines == [("whisper", "engine_timed_out", "sphinx")]
            assert await understood(recogniser, 3) == ["sphinx"] * 3
            assert whisper.asked == 1


async def test_an_engine_that_comes_back_serves_again() -> None:
    async with open_process() as process:
        with hanging() as hang:
            whisper = FakeRecogniser("whisper", hang)
            recogniser = process.recogniser(whisper, FakeRecogniser("sphinx"), patience=IMPATIENT)
            assert await understood(recogniser, 1) == ["sphinx"]
            await until(lambda: process.pools.local.hanging == 1)
        await until(lambda: process.pools.local.hanging == 0)
        whisper.behaviour = works
        assert await understood(recogniser, 1) == ["whisper"]


async def test_an_engine_that_comes_back_to_all_calls_is_asked_by_new_ones() -> None:
    async with open_process() as process:
        with hanging() as hang:
            whisper = FakeRecogniser("whisper", hang)
            for lost in (1, 2):
                call = process.recogniser(whisper, FakeRecogniser("sphinx"), patience=IMPATIENT)
                assert await understood(call, 1) == ["sphinx"]
                await until(lambda: process.pools.local.hanging == lost)  # noqa: B023 awaited at once
            assert process.breakers.of("whisper").hangs
        await until(lambda: process.pools.local.hanging == 0)
        whisper.behaviour = works
        assert await understood(process.recogniser(whisper, FakeRecogniser("sphinx")), 1) == ["whisper"]


async def test_an_engine_that_hangs_costs_the_process_two_threads_however_many_calls_there_are() -> None:
    async with open_process() as process:
        with hanging() as hang:
            whisper = FakeRecogniser("whisper", hang)
            for _ in range(6):
                call = process.recogniser(whisper, FakeRecogniser("sphinx"), patience=IMPATIENT)
                assert await understood(call, 1) == ["sphinx"]
                await until(lambda: process.pools.local.hanging == whisper.asked)
                assert await understood(call, 1) == ["sphinx"]
            assert whisper.asked == 2
            assert [code for _, code, _ in process.reports.lines] == ["engine_timed_out"] * 2 + [
                "engine_circuit_open"
            ] * 4


async def test_an_engine_that_hangs_whenever_nobody_waits_for_it_is_found_out_too() -> None:
    async with open_process() as process:
        with hanging() as hang:
            whisper = FakeRecogniser("whisper", hang)
            recogniser = process.recogniser(
                whisper, FakeRecogniser("sphinx"), patience=replace(IMPATIENT, hedge_s=30.0)
            )
            async with asyncio.TaskGroup() as tasks:
                leaving = tasks.create_task(recogniser.recognise(SECOND))
                await asyncio.to_thread(hang.begun.acquire)
                leaving.cancel()
            await until(lambda: process.pools.local.hanging == 1)
            assert process.reports.lines == [("whisper", "engine_timed_out", "sphinx")]
            assert await understood(recogniser, 1) == ["sphinx"]


async def test_what_an_engine_does_after_the_call_is_not_reported_and_other_calls_know_it() -> None:
    async with open_process() as process:
        with hanging() as hang:
            recogniser = process.recogniser(
                FakeRecogniser("whisper", hang), patience=replace(IMPATIENT, last_s=0.1)
            )
            with pytest.raises(EngineFailed):
                asyncio.get_running_loop().call_soon(recogniser.close)
                await recogniser.recognise(SECOND)
            await until(lambda: process.pools.local.hanging == 1)
            assert process.reports.lines == []
            again = process.recogniser(
                FakeRecogniser("whisper", hang), patience=replace(IMPATIENT, last_s=0.1)
            )
            with pytest.raises(EngineFailed):
                await again.recognise(SECOND)
            await until(lambda: process.breakers.of("whisper").hangs)


async def test_a_slow_engine_is_waited_for_although_the_next_one_has_answered() -> None:
    async with open_process() as process:
        with hanging() as hang:
            sphinx = FakeRecogniser("sphinx", hang.let_go)
            recogniser = process.recogniser(FakeRecogniser("whisper", hang), sphinx, patience=HEDGING)
            assert await understood(recogniser, 1) == ["whisper"]
            assert (sphinx.asked, process.reports.lines) == (1, [])


async def test_a_slow_engine_saves_a_turn_at_which_the_next_one_broke() -> None:
    def breaks() -> None:
        hang.let_go()
        fails()

    async with open_process() as process:
        with hanging() as hang:
            recogniser = process.recogniser(
                FakeRecogniser("whisper", hang), FakeRecogniser("sphinx", breaks), patience=HEDGING
            )
            assert await understood(recogniser, 1) == ["whisper"]
            assert process.reports.lines == [("sphinx", "engine_failed", "")]


async def test_when_a_slow_engine_breaks_in_the_end_the_next_ones_answer_is_used_at_once() -> None:
    def breaks() -> None:
        hang()
        fails()

    async with open_process() as process:
        with hanging() as hang:
            sphinx = FakeRecogniser("sphinx", hang.let_go)
            recogniser = process.recogniser(FakeRecogniser("whisper", breaks), sphinx, patience=HEDGING)
            assert await asyncio.wait_for(understood(recogniser, 1), 5) == ["sphinx"]
            assert process.reports.lines == [("whisper", "engine_failed", "sphinx")]


async def test_the_last_engine_has_its_own_limit() -> None:
    async with open_process() as process:
        with hanging() as hang:
            recogniser = process.recogniser(
                FakeRecogniser("whisper", hang), patience=replace(IMPATIENT, last_s=0.1)
            )
            with pytest.raises(EngineTimedOut):
                await recogniser.recognise(SECOND)
            await until(lambda: process.reports.lines == [("whisper", "engine_timed_out", "")])


async def test_a_last_engine_that_hangs_is_given_no_third_thread() -> None:
    async with open_process() as process:
        with hanging() as hang:
            sphinx = FakeRecogniser("sphinx", hang)
            recogniser = process.recogniser(sphinx, patience=replace(IMPATIENT, last_s=0.1))
            for lost in (1, 2, 2, 2):
                with pytest.raises(EngineFailed):
                    await recogniser.recognise(SECOND)
                await until(lambda: process.pools.local.hanging == lost)  # noqa: B023 awaited at once
            assert sphinx.asked == 2


async def test_engines_that_wait_for_a_network_have_threads_of_their_own() -> None:
    async with open_process() as process:
        service, whisper = FakeRecogniser("service", remote=True), FakeRecogniser("whisper")
        service.behaviour = fails
        await process.recogniser(service, whisper).recognise(SECOND)
        assert (service.on_threads, whisper.on_threads) == ({"remote"}, {"local"})


async def test_a_pool_that_is_full_breaks_no_engine() -> None:
    async with open_process(threads=1, waiting_at_most=1) as process:
        with hanging() as hang:
            process.pools.local.submit(hang)
            await asyncio.to_thread(hang.begun.acquire)
            process.pools.local.submit(works)
            recogniser = process.recogniser(FakeRecogniser("whisper"), FakeRecogniser("sphinx"))
            with pytest.raises(EnginesBusy):
                await recogniser.recognise(SECOND)
            hang.let_go()
            await until(lambda: process.pools.local.depth == 0)
            assert await understood(recogniser, 1) == ["whisper"]
        assert [code for _, code, _ in process.reports.lines] == ["engines_busy"] * 2


async def test_a_turn_for_which_no_thread_is_free_in_time_goes_to_an_engine_elsewhere() -> None:
    async with open_process(threads=1) as process:
        with hanging() as hang:
            process.pools.local.submit(hang)
            await asyncio.to_thread(hang.begun.acquire)
            whisper, service = FakeRecogniser("whisper"), FakeRecogniser("service", remote=True)
            recogniser = process.recogniser(whisper, service, patience=IMPATIENT)
            assert await understood(recogniser, 1) == ["service"]
            assert (whisper.asked, process.pools.local.depth) == (0, 0)
            assert process.reports.lines == [("whisper", "engines_busy", "service")]
            assert not process.breakers.of("whisper").is_open(0.0)


async def test_of_a_turn_for_which_no_thread_is_free_in_time_only_the_next_engines_work_is_left() -> None:
    async with open_process(threads=1) as process:
        with hanging() as hang:
            process.pools.local.submit(hang)
            await asyncio.to_thread(hang.begun.acquire)
            whisper = FakeRecogniser("whisper")
            recogniser = process.recogniser(whisper, FakeRecogniser("sphinx"), patience=IMPATIENT)
            async with asyncio.TaskGroup() as tasks:
                turn = tasks.create_task(recogniser.recognise(SECOND))
                await until(lambda: bool(process.reports.lines))
                await until(lambda: process.pools.local.depth == 1)
                hang.let_go()
            assert (turn.result().text, whisper.asked) == ("sphinx", 0)


async def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    async with open_process(threads=1) as process:
        with hanging() as hang:
            process.pools.local.submit(hang)
            await asyncio.to_thread(hang.begun.acquire)
            whisper = FakeRecogniser("whisper")
            async with asyncio.TaskGroup() as tasks:
                leaving = tasks.create_task(process.recogniser(whisper).recognise(SECOND))
                await until(lambda: process.pools.local.depth == 1)
                leaving.cancel()
            assert process.pools.local.depth == 0
        assert (whisper.asked, process.reports.lines) == (0, [])


async def test_a_clause_is_spoken_at_the_telephones_rate() -> None:
    async with open_process() as process:
        speech = await process.synthesiser(FakeSynthesiser("piper")).speak(CLAUSE, VOICE)
        assert (speech.rate_hz, speech.samples.dtype) == (8_000, np.int16)
        assert speech.samples.size == hum(CLAUSE).samples.size // 2
        assert speech.words == hum(CLAUSE).words


async def test_a_clause_that_one_engine_cannot_speak_is_spoken_by_the_next() -> None:
    async with open_process() as process:
        synthesiser = process.synthesiser(FakeSynthesiser("piper", crashes), FakeSynthesiser("espeak"))
        assert (await synthesiser.speak(CLAUSE, VOICE)).samples.any()
        assert process.reports.lines == [("piper", "engine_crashed", "espeak")]


async def test_without_any_engine_that_speaks_the_persona_is_mute() -> None:
    async with open_process() as process:
        with pytest.raises(EngineFailed, match="out of memory"):
            await process.synthesiser(FakeSynthesiser("espeak", fails)).speak(CLAUSE, VOICE)


async def test_an_engine_may_take_longer_while_there_is_sound_to_be_heard() -> None:
    async with open_process() as process:
        with hanging() as hang:
            piper = FakeSynthesiser("piper", hang)
            synthesiser = process.synthesiser(piper, FakeSynthesiser("espeak"), patience=IMPATIENT)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(synthesiser.speak(CLAUSE, VOICE, covered_s=30.0))
                await asyncio.to_thread(hang.begun.acquire)
                await asyncio.sleep(0.22)
                hang.let_go()
            assert (synthesiser.engine, process.reports.lines) == ("piper", [])


async def test_a_phrase_that_was_spoken_before_needs_no_engine() -> None:
    async with open_process() as process:
        piper = FakeSynthesiser("piper")
        first = await process.synthesiser(piper).speak(CLAUSE, VOICE)
        again = await process.synthesiser(piper).speak(CLAUSE, VOICE)
        await process.synthesiser(piper).speak(CLAUSE, Voice(pitch=80))
        assert np.array_equal(again.samples, first.samples) and again.words == first.words
        assert piper.asked == 2


async def test_a_phrase_of_one_engines_voice_is_not_put_into_anothers_mouth() -> None:
    async with open_process() as process:
        piper, espeak = FakeSynthesiser("piper"), FakeSynthesiser("espeak")
        await process.synthesiser(piper).speak(CLAUSE, VOICE)
        await process.synthesiser(espeak).speak(CLAUSE, VOICE)
        assert espeak.asked == 1


async def test_a_clause_made_ready_is_spoken_without_more_work() -> None:
    async with open_process() as process:
        piper = FakeSynthesiser("piper")
        synthesiser = process.synthesiser(piper)
        await synthesiser.prepare(CLAUSE, VOICE)
        await synthesiser.prepare(CLAUSE, VOICE)
        await synthesiser.speak(CLAUSE, VOICE)
        assert piper.asked == 1


async def test_a_clause_that_is_being_made_ready_is_not_made_twice() -> None:
    async with open_process() as process:
        with hanging() as hang:
            piper = FakeSynthesiser("piper", hang)
            synthesiser = process.synthesiser(piper)
            async with asyncio.TaskGroup() as tasks:
                preparing = tasks.create_task(synthesiser.prepare(CLAUSE, VOICE))
                await asyncio.to_thread(hang.begun.acquire)
                speaking = tasks.create_task(synthesiser.speak(CLAUSE, VOICE))
                await asyncio.sleep(0)
                preparing.cancel()
                await asyncio.sleep(0)
                hang.let_go()
            assert speaking.result().samples.any()
            assert piper.asked == 1


async def test_a_clause_that_is_being_made_ready_and_never_gets_ready_is_spoken_by_the_next_engine() -> None:
    async with open_process() as process:
        with hanging() as hang:
            piper, espeak = FakeSynthesiser("piper", hang), FakeSynthesiser("espeak")
            synthesiser = process.synthesiser(piper, espeak, patience=IMPATIENT)
            await synthesiser.prepare(CLAUSE, VOICE)
            await until(lambda: process.pools.local.hanging == 1)
            assert process.reports.lines == []
            await synthesiser.speak(CLAUSE, VOICE)
            assert (piper.asked, espeak.asked) == (1, 1)
            assert process.reports.lines == [("piper", "engine_timed_out", "espeak")]


async def test_a_clause_that_is_being_made_ready_and_breaks_when_it_is_wanted_is_reported() -> None:
    async with open_process() as process:
        with hanging() as hang:

            def breaks() -> None:
                hang()
                fails()

            synthesiser = process.synthesiser(FakeSynthesiser("piper", breaks), FakeSynthesiser("espeak"))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(synthesiser.prepare(CLAUSE, VOICE))
                await asyncio.to_thread(hang.begun.acquire)
                tasks.create_task(synthesiser.speak(CLAUSE, VOICE))
                await asyncio.sleep(0)
                hang.let_go()
            assert process.reports.lines == [("piper", "engine_failed", "espeak")]


async def test_making_a_clause_ready_can_be_called_off_before_it_is_begun() -> None:
    async with open_process(threads=1) as process:
        with hanging() as hang:
            process.pools.local.submit(hang)
            await asyncio.to_thread(hang.begun.acquire)
            piper = FakeSynthesiser("piper")
            async with asyncio.TaskGroup() as tasks:
                preparing = tasks.create_task(process.synthesiser(piper).prepare(CLAUSE, VOICE))
                await until(lambda: process.pools.local.depth == 1)
                preparing.cancel()
            hang.let_go()
            await process.pools.local.run(works)
        assert piper.asked == 0


@pytest.mark.parametrize("behaviour", [fails, crashes])
async def test_making_a_clause_ready_fails_in_silence(behaviour: Callable[[], None]) -> None:
    async with open_process() as process:
        synthesiser = process.synthesiser(FakeSynthesiser("piper", behaviour), FakeSynthesiser("espeak"))
        await synthesiser.prepare(CLAUSE, VOICE)
        assert (process.reports.lines, len(process.phrases)) == ([], 0)


async def test_nothing_is_made_ready_for_money() -> None:
    async with open_process() as process:
        dear = FakeSynthesiser("elevenlabs", remote=True)
        dear.costs = True
        await process.synthesiser(dear, FakeSynthesiser("espeak")).prepare(CLAUSE, VOICE)
        assert dear.asked == 0


async def test_a_budget_that_is_spent_is_this_calls_alone() -> None:
    def spent() -> None:
        raise BudgetSpent("nothing is left")

    async with open_process() as process:
        dear = FakeSynthesiser("elevenlabs", spent)
        synthesiser = process.synthesiser(dear, FakeSynthesiser("espeak"))
        for clause in ("One.", "Two.", "Three.", "Four."):
            await synthesiser.speak(clause, VOICE)
        assert dear.asked == 1
        assert process.reports.lines == [("elevenlabs", "engine_budget_spent", "espeak")]
        dear.behaviour = works
        other = process.synthesiser(dear, FakeSynthesiser("espeak"))
        await other.speak(CLAUSE, VOICE)
        assert other.engine == "elevenlabs"


SILENCE = Speech(np.zeros(16_000, np.int16), 16_000, hum(CLAUSE).words)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Recognition("\x00\x1b[2J", 0.9), id="control characters"),
        pytest.param(Recognition("\ud800", 0.9), id="half a character"),
        pytest.param(Recognition("la " * 200, 0.9), id="too long"),
        pytest.param(Recognition("yes", float("nan")), id="confidence that is no number"),
        pytest.param(Recognition("yes", 1.5), id="confidence above one"),
        pytest.param(Recognition(b"yes", 0.9), id="bytes"),  # type: ignore[arg-type]
        pytest.param("yes", id="no recognition"),
    ],
)
async def test_a_turn_that_is_understood_as_garbage_is_understood_by_the_next_engine(answer: object) -> None:
    async with open_process() as process:
        whisper = FakeRecogniser("whisper")
        whisper.answer = answer
        assert await understood(process.recogniser(whisper, FakeRecogniser("sphinx")), 1) == ["sphinx"]
        assert process.reports.lines == [("whisper", "engine_garbage", "sphinx")]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None.__class__, id="a class"),
        pytest.param(SILENCE, id="silence"),
        pytest.param(replace(SILENCE, samples=np.zeros(0, np.int16)), id="nothing"),
        pytest.param(replace(SILENCE, samples=np.full(16_000, np.nan)), id="no numbers"),
        pytest.param(replace(SILENCE, samples=np.ones((2, 16_000), np.int16)), id="stereo"),
        pytest.param(replace(hum("x" * 9_000), words=hum(CLAUSE).words), id="endless"),
        pytest.param(replace(hum("x"), words=hum(CLAUSE).words), id="a click"),
        pytest.param(replace(hum(CLAUSE), words=()), id="no words"),
        pytest.param(
            replace(hum(CLAUSE), words=(SpokenWord("We", 90, 80),)), id="a word that ends before it starts"
        ),
        pytest.param(
            replace(hum(CLAUSE), words=(SpokenWord("We", 0, 99_999),)), id="a word beyond the sound"
        ),
        pytest.param(replace(hum(CLAUSE), rate_hz=0), id="no rate"),
    ],
)
async def test_a_clause_that_is_spoken_as_garbage_is_spoken_by_the_next_engine(answer: object) -> None:
    async with open_process() as process:
        piper, espeak = FakeSynthesiser("piper"), FakeSynthesiser("espeak")
        piper.answer = answer
        speech = await process.synthesiser(piper, espeak).speak(CLAUSE, VOICE)
        assert speech.words == hum(CLAUSE).words
        assert process.reports.lines == [("piper", "engine_garbage", "espeak")]


async def test_two_calls_with_one_engine_are_served_in_turn() -> None:
    served: list[str] = []

    async with open_process(threads=1) as process:
        with hanging() as hang:
            process.pools.local.submit(hang)
            await asyncio.to_thread(hang.begun.acquire)
            calls: Sequence[CallRecogniser] = [
                process.recogniser(FakeRecogniser(name, lambda name=name: served.append(name)))  # type: ignore[misc]
                for name in ("a", "b")
            ]
            async with asyncio.TaskGroup() as tasks:
                for call in (calls[0], calls[0], calls[0], calls[1]):
                    tasks.create_task(call.recognise(SECOND))
                await until(lambda: process.pools.local.depth == 4)
                hang.let_go()
        assert served == ["a", "b", "a", "a"]
