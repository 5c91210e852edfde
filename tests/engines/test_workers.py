import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import EngineFailed, EngineTimedOut
from pipelines.engines.workers import EnginesBusy, Workers, open_workers

SHORT_S = 0.08


class Gate:
    """Work that begins and then hangs until it is let through."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Semaphore(0)
        self.open = threading.Event()

    def pass_through(self) -> str:
        self._loop.call_soon_threadsafe(self.begun.release)
        self.open.wait()
        return "through"

    async def have_begun(self, pieces: int) -> None:
        async with asyncio.timeout(5):
            for _ in range(pieces):
                await self.begun.acquire()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 a pool tells nobody
            await asyncio.sleep(0.001)


@asynccontextmanager
async def open_gate() -> AsyncIterator[Gate]:
    """A gate that lets everything through in the end."""
    gate = Gate()
    try:
        yield gate
    finally:
        gate.open.set()


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.at_s = 1_000.0

    def __call__(self) -> float:
        return self.at_s


async def test_work_runs_on_a_thread_of_the_pool_and_its_result_comes_back() -> None:
    async with open_workers(1, name="remote engine") as workers:
        assert (await workers.run(threading.current_thread)).name.startswith("remote engine")
        assert await workers.run(divmod, 7, 2) == (3, 1)


async def test_an_error_of_the_work_reaches_the_waiter() -> None:
    async with open_workers(1) as workers:
        with pytest.raises(ZeroDivisionError):
            await workers.run(divmod, 1, 0)


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, CancelledError]
)
async def test_what_would_end_the_event_loop_or_a_task_ends_neither(error: type[BaseException]) -> None:
    def breaks() -> None:
        raise error

    async with open_workers(1) as workers:
        with pytest.raises((EngineFailed, CancelledError)) as raised:
            await workers.run(breaks)
        assert isinstance(raised.value, Exception)
        assert await workers.run(divmod, 7, 2) == (3, 1)


async def test_context_variables_go_along() -> None:
    call_sid: ContextVar[str] = ContextVar("call_sid")
    call_sid.set("CA1")
    async with open_workers(1) as workers:
        assert await workers.run(call_sid.get) == "CA1"


async def test_work_of_one_caller_is_done_in_the_order_of_its_arrival() -> None:
    done: list[int] = []
    async with open_workers(1) as workers, asyncio.TaskGroup() as calls:
        for number in range(20):
            calls.create_task(workers.run(done.append, number))
    assert done == list(range(20))


async def test_a_caller_with_much_to_do_does_not_delay_the_others() -> None:
    done: list[str] = []
    async with open_workers(1) as workers, open_gate() as gate, asyncio.TaskGroup() as calls:
        calls.create_task(workers.run(gate.pass_through))
        await gate.have_begun(1)
        for _ in range(4):
            calls.create_task(workers.run(done.append, "busy", caller="busy"))
        await asyncio.sleep(0)
        for caller in ("a", "b"):
            calls.create_task(workers.run(done.append, caller, caller=caller))
        await asyncio.sleep(0)
        gate.open.set()
    assert done == ["busy", "a", "b", "busy", "busy", "busy"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
async def test_nobody_waits_for_two_pieces_of_another_caller(callers: list[int]) -> None:
    order: list[int] = []
    async with open_workers(1) as workers, open_gate() as gate:
        workers.submit(gate.pass_through, caller="gate")
        await gate.have_begun(1)
        pieces = [workers.submit(order.append, index, caller=caller) for index, caller in enumerate(callers)]
        gate.open.set()
        await asyncio.gather(*(piece.result for piece in pieces))
    assert sorted(order) == list(range(len(callers)))
    for caller in set(callers):
        own = [index for index in order if callers[index] == caller]
        assert own == sorted(own)
        since = 0
        for index in own:
            at = order.index(index)
            others = [callers[other] for other in order[since:at]]
            assert len(others) == len(set(others))
            since = at + 1


async def test_depth_counts_what_waits_for_a_thread() -> None:
    async with open_workers(2) as workers, open_gate() as gate, asyncio.TaskGroup() as calls:
        for _ in range(5):
            calls.create_task(workers.run(gate.pass_through))
        await gate.have_begun(2)
        assert workers.depth == 3
        gate.open.set()
    assert workers.depth == 0


async def test_more_than_may_wait_is_refused() -> None:
    async with open_workers(1, waiting_at_most=1) as workers, open_gate() as gate:
        workers.submit(gate.pass_through)
        await gate.have_begun(1)
        workers.submit(gate.pass_through)
        with pytest.raises(EnginesBusy, match="too many calls"):
            await workers.run(gate.pass_through, caller="another call")
        gate.open.set()


async def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    done: list[str] = []
    async with open_workers(1) as workers, open_gate() as gate, asyncio.TaskGroup() as calls:
        calls.create_task(workers.run(gate.pass_through))
        given_up = calls.create_task(workers.run(done.append, "nobody wants this"))
        await gate.have_begun(1)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert workers.depth == 0
        gate.open.set()
    assert done == []


async def test_a_waiter_can_leave_while_its_work_is_running() -> None:
    async with open_workers(1) as workers, open_gate() as gate:
        async with asyncio.TaskGroup() as calls:
            leaving = calls.create_task(workers.run(gate.pass_through))
            await gate.have_begun(1)
            leaving.cancel()
        gate.open.set()
        assert await workers.run(gate.pass_through) == "through"


async def test_work_that_takes_too_long_is_not_waited_for() -> None:
    async with open_workers(1) as workers, open_gate() as gate:
        with pytest.raises(EngineTimedOut) as raised:
            await workers.run(gate.pass_through, within_s=SHORT_S)
        assert raised.value.code == "engine_timed_out"


async def test_work_that_is_not_begun_in_time_is_dropped_and_no_engine_is_to_blame() -> None:
    done: list[str] = []
    async with open_workers(1) as workers, open_gate() as gate, asyncio.TaskGroup() as calls:
        calls.create_task(workers.run(gate.pass_through))
        await gate.have_begun(1)
        with pytest.raises(EnginesBusy) as raised:
            await workers.run(done.append, "too late", within_s=SHORT_S)
        assert (raised.value.code, workers.depth) == ("engines_busy", 0)
        gate.open.set()
    assert done == []


async def test_a_thread_that_hangs_is_replaced_and_its_replacement_leaves_when_it_comes_back() -> None:
    async with open_workers(1) as workers, open_gate() as gate:
        with pytest.raises(EngineTimedOut):
            await workers.run(gate.pass_through, within_s=SHORT_S)
        assert await workers.run(divmod, 7, 2) == (3, 1)
        assert workers.hanging == 1
        gate.open.set()
        await until(lambda: workers.hanging == 0)
        one = await workers.run(threading.current_thread)
        other = await workers.run(threading.current_thread)
        assert one is other


async def test_a_thread_is_replaced_although_the_waiter_has_left_before() -> None:
    async with open_workers(1) as workers, open_gate() as gate:
        async with asyncio.TaskGroup() as calls:
            leaving = calls.create_task(workers.run(gate.pass_through, within_s=SHORT_S))
            await gate.have_begun(1)
            leaving.cancel()
        assert await workers.run(divmod, 7, 2, within_s=5.0) == (3, 1)


async def test_a_late_result_can_still_be_had() -> None:
    async with open_workers(1) as workers, open_gate() as gate:
        piece = workers.submit(gate.pass_through, within_s=SHORT_S)
        late = asyncio.Event()
        piece.on_late = late.set
        await asyncio.wait_for(late.wait(), 5)
        assert piece.late and not piece.result.done()
        gate.open.set()
        assert await piece.result == "through"


async def test_news_of_late_work_comes_in_the_context_of_its_call() -> None:
    call_sid: ContextVar[str] = ContextVar("call_sid")
    late_in: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with open_workers(1) as workers, open_gate() as gate:
        call_sid.set("CA1")
        piece = workers.submit(gate.pass_through, within_s=SHORT_S)
        piece.on_late = lambda: late_in.set_result(call_sid.get())
        call_sid.set("CA2")
        assert await asyncio.wait_for(late_in, 5) == "CA1"


async def test_work_without_a_limit_is_never_late() -> None:
    async with open_workers(1) as workers, open_gate() as gate:
        piece = workers.submit(gate.pass_through)
        await gate.have_begun(1)
        await asyncio.sleep(SHORT_S)
        assert not piece.late and workers.hanging == 0


async def test_when_all_replacements_hang_too_work_is_refused_with_the_way_out() -> None:
    workers = Workers(1, replacements=2)
    async with open_gate() as gate:
        for _ in range(3):
            with pytest.raises(EngineTimedOut):
                await workers.run(gate.pass_through, within_s=SHORT_S)
        await until(lambda: workers.hanging == 3)
        with pytest.raises(EngineFailed, match="all engine threads hang.*Restart this process"):
            await workers.run(divmod, 7, 2)
        assert workers.behind
        gate.open.set()
        await until(lambda: workers.hanging == 0)
        assert await workers.run(divmod, 7, 2) == (3, 1)
        assert not workers.behind
        await workers.close()


async def test_what_waits_when_the_last_thread_is_lost_is_told_so() -> None:
    workers = Workers(1, replacements=1)
    async with open_gate() as gate:
        for _ in range(2):
            hung = workers.submit(gate.pass_through, within_s=SHORT_S)
        waiting = workers.submit(divmod, 7, 2)
        with pytest.raises(EnginesBusy, match="hang"):
            await asyncio.wait_for(waiting.result, 5)
        assert hung.late and workers.depth == 0
        gate.open.set()
        await workers.close()


async def test_closing_waits_for_running_work_and_drops_the_rest() -> None:
    done: list[str] = []
    async with open_gate() as gate, asyncio.TaskGroup() as calls:
        async with open_workers(1) as workers:
            running = calls.create_task(workers.run(gate.pass_through))
            dropped = calls.create_task(workers.run(done.append, "too late"))
            await gate.have_begun(1)
            asyncio.get_running_loop().call_later(0.01, gate.open.set)
        assert gate.open.is_set()
        await asyncio.wait([running, dropped])
    assert (await running, dropped.cancelled(), done) == ("through", True, [])


async def test_closing_does_not_wait_for_a_thread_that_hangs() -> None:
    async with open_gate() as gate, asyncio.timeout(5), open_workers(2) as workers:
        with pytest.raises(EngineTimedOut):
            await workers.run(gate.pass_through, within_s=SHORT_S)
        await until(lambda: workers.hanging == 1)


async def test_closing_waits_for_work_without_a_limit_no_longer_than_it_is_told() -> None:
    async with open_gate() as gate:
        workers = Workers(1)
        workers.submit(gate.pass_through)
        await gate.have_begun(1)
        await asyncio.wait_for(workers.close(within_s=SHORT_S), 5)


async def test_a_closed_pool_takes_nothing() -> None:
    async with open_workers(1) as workers:
        pass
    with pytest.raises(EngineFailed, match="closed"):
        await workers.run(divmod, 7, 2)


def test_a_thread_that_comes_back_after_its_event_loop_is_gone_harms_nobody() -> None:
    comes_back = threading.Event()
    threads: list[threading.Thread] = []

    def hang() -> None:
        threads.append(threading.current_thread())
        comes_back.wait()

    async def lose_a_thread() -> None:
        async with open_workers(1) as workers:
            with pytest.raises(EngineTimedOut):
                await workers.run(hang, within_s=SHORT_S)
            await until(lambda: workers.hanging == 1)

    asyncio.run(lose_a_thread())
    comes_back.set()
    threads[0].join(5)
    assert not threads[0].is_alive()


async def test_how_long_each_piece_of_work_waited_is_told() -> None:
    clock, waits = Clock(), list[float]()
    workers = Workers(1, now_s=clock)
    workers.on_wait = waits.append
    async with open_gate() as gate:
        begun = workers.submit(gate.pass_through)
        await gate.have_begun(1)
        second, third = workers.submit(divmod, 7, 2), workers.submit(divmod, 7, 2)
        clock.at_s += 0.25
        third.drop()
        gate.open.set()
        await asyncio.gather(begun.result, second.result)
        await workers.close()
    assert waits == [0.0, 0.25, 0.25]


async def test_a_pool_is_behind_while_its_oldest_work_waits_for_too_long() -> None:
    clock = Clock()
    workers = Workers(1, behind_after_s=0.5, now_s=clock)
    async with open_gate() as gate:
        workers.submit(gate.pass_through)
        await gate.have_begun(1)
        waiting = workers.submit(divmod, 7, 2)
        clock.at_s += 0.5
        assert not workers.behind
        clock.at_s += 0.1
        assert workers.behind
        waiting.drop()
        assert not workers.behind, "one wait is no trend"
        gate.open.set()
        await workers.close()


async def test_a_pool_is_behind_for_ten_seconds_after_most_of_its_work_waited_for_too_long() -> None:
    clock = Clock()
    workers = Workers(1, behind_after_s=0.5, now_s=clock)
    async with open_gate() as gate:
        workers.submit(gate.pass_through)
        await gate.have_begun(1)
        pieces = [workers.submit(divmod, 7, 2) for _ in range(3)]
        clock.at_s += 0.6
        gate.open.set()
        await asyncio.gather(*(piece.result for piece in pieces))
        assert workers.behind
        clock.at_s += 9.0
        assert workers.behind
        clock.at_s += 1.1
        assert not workers.behind
        await workers.close()


async def test_nothing_is_lost_between_callers_that_come_leave_and_overrun_as_they_like() -> None:
    dice, done = random.Random(1), list[int]()
    workers = Workers(3, waiting_at_most=1_000, replacements=1_000)

    def busy(index: int, seconds: float) -> None:
        time.sleep(seconds)
        done.append(index)

    async def call(index: int) -> None:
        await asyncio.sleep(dice.random() * 0.05)
        with suppress(EngineTimedOut):
            await workers.run(busy, index, dice.random() * 0.004, caller=index % 7, within_s=0.003)

    async with asyncio.TaskGroup() as calls:
        tasks = [calls.create_task(call(index)) for index in range(300)]
        await asyncio.sleep(0.03)
        for task in tasks[::5]:
            task.cancel()
    await until(lambda: workers.hanging == 0)
    assert workers.depth == 0
    assert len(done) == len(set(done))
    hang = threading.Barrier(4)
    pieces = [workers.submit(hang.wait, 5) for _ in range(3)]
    hang.wait(5)
    await asyncio.gather(*(piece.result for piece in pieces))
    await workers.close()
