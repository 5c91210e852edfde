import asyncio
import threading
from contextvars import ContextVar

import pytest

from agent.errors import EngineFailed
from pipelines.engines.workers import open_workers


async def test_work_runs_on_a_thread_of_the_pool_and_its_result_comes_back() -> None:
    async with open_workers(1) as workers:
        assert (await workers.run(threading.current_thread)).name.startswith("engine")
        assert await workers.run(divmod, 7, 2) == (3, 1)


async def test_an_error_of_the_work_reaches_the_waiter() -> None:
    async with open_workers(1) as workers:
        with pytest.raises(ZeroDivisionError):
            await workers.run(divmod, 1, 0)


async def test_context_variables_go_along() -> None:
    call_sid: ContextVar[str] = ContextVar("call_sid")
    call_sid.set("CA1")
    async with open_workers(1) as workers:
        assert await workers.run(call_sid.get) == "CA1"


async def test_work_is_done_in_the_order_of_its_arrival() -> None:
    done: list[int] = []
    async with open_workers(1) as workers, asyncio.TaskGroup() as calls:
        for number in range(20):
            calls.create_task(workers.run(done.append, number))
    assert done == list(range(20))


class Gate:
    """Work that begins and then waits to be let through."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.open = threading.Event()

    def pass_through(self) -> str:
        self._loop.call_soon_threadsafe(self.begun.set)
        self.open.wait()
        return "through"


async def test_depth_counts_what_waits_for_a_thread() -> None:
    gate = Gate()
    async with open_workers(2) as workers, asyncio.TaskGroup() as calls:
        for _ in range(5):
            calls.create_task(workers.run(gate.pass_through))
        await gate.begun.wait()
        assert workers.depth == 3
        gate.open.set()
    assert workers.depth == 0


async def test_more_than_may_wait_is_refused() -> None:
    gate = Gate()
    async with open_workers(1, waiting_at_most=1) as workers, asyncio.TaskGroup() as calls:
        for _ in range(2):
            calls.create_task(workers.run(gate.pass_through))
        await gate.begun.wait()
        with pytest.raises(EngineFailed, match="too many calls"):
            await workers.run(gate.pass_through)
        gate.open.set()


async def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    gate, done = Gate(), list[str]()
    async with open_workers(1) as workers, asyncio.TaskGroup() as calls:
        calls.create_task(workers.run(gate.pass_through))
        given_up = calls.create_task(workers.run(done.append, "nobody wants this"))
        await gate.begun.wait()
        given_up.cancel()
        await asyncio.wait([given_up])
        assert workers.depth == 0
        gate.open.set()
    assert done == []


async def test_a_waiter_can_leave_while_its_work_is_running() -> None:
    gate = Gate()
    async with open_workers(1) as workers:
        async with asyncio.TaskGroup() as calls:
            leaving = calls.create_task(workers.run(gate.pass_through))
            await gate.begun.wait()
            leaving.cancel()
        gate.open.set()
        assert await workers.run(gate.pass_through) == "through"


async def test_closing_waits_for_running_work_and_drops_the_rest() -> None:
    gate, done = Gate(), list[str]()
    async with asyncio.TaskGroup() as calls:
        async with open_workers(1) as workers:
            running = calls.create_task(workers.run(gate.pass_through))
            dropped = calls.create_task(workers.run(done.append, "too late"))
            await gate.begun.wait()
            asyncio.get_running_loop().call_later(0.01, gate.open.set)
        assert running.done()
        await asyncio.wait([dropped])
    assert (await running, dropped.cancelled(), done) == ("through", True, [])
