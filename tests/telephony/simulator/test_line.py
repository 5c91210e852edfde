import asyncio
import time

from telephony.simulator.handset import Handset
from telephony.simulator.line import Line


async def test_a_late_process_lets_in_what_has_arrived_and_then_catches_up() -> None:
    line = Line(Handset())
    loop = asyncio.get_running_loop()
    ticks_at_arrival: list[int] = []

    def read_socket() -> None:
        # Reading takes the event loop two turns: the data, then the coroutine that waits for it.
        loop.call_soon(lambda: ticks_at_arrival.append(line.ticks))

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(line.run())
        await asyncio.sleep(0.03)
        loop.call_soon(read_socket)
        before = line.ticks
        time.sleep(0.2)  # noqa: ASYNC251  the blocked process is what is tested
        await asyncio.sleep(0.03)
        due = int((loop.time() - line.started_s) / 0.02) + 1
        after = line.ticks
        running.cancel()
    assert ticks_at_arrival == [before]
    assert due - 1 <= after <= due
    assert line.latest_ms > 100
    assert "late" in [event.kind for event in line.handset.events]


async def test_what_is_due_at_a_tick_happens_before_it() -> None:
    line = Line(Handset())
    acts: list[int] = []
    line.at_tick(3, lambda: acts.append(line.ticks))
    line.at_tick(0, lambda: acts.append(line.ticks))
    for _ in range(5):
        line.tick()
    line.at_tick(1, lambda: acts.append(line.ticks))
    line.tick()
    assert acts == [0, 3, 5]
