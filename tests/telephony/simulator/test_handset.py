import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from telephony.simulator.handset import Handset, HungUp, Utterance
from telephony.simulator.line import Line
from telephony.simulator.measure import segments
from telephony.simulator.sound import encode_ulaw, noise
from tests.telephony.simulator.test_measure import near

SECOND = noise(1_000, -20.0, seed=1)


class _Tape:
    """A far party that says something at given times of the line."""

    def __init__(self, *spoken: tuple[int, int], length_ms: int = 60_000) -> None:
        samples = np.zeros(length_ms * 8, dtype=np.int16)
        for start_ms, end_ms in spoken:
            samples[start_ms * 8 : end_ms * 8] = noise(end_ms - start_ms, -20.0, seed=2)
        self._ulaw = encode_ulaw(samples)
        self._at = 0

    def play(self) -> bytes:
        frame = self._ulaw[self._at : self._at + 160]
        self._at += 160
        return frame


@asynccontextmanager
async def ticking(handset: Handset, tape: _Tape | None = None) -> AsyncIterator[Line]:
    """A line whose time passes as fast as the handset's script lets it."""
    line = Line(handset)
    line.source = tape
    handset.start_media_clock(0)

    async def tick() -> None:
        for _ in range(3_000):
            line.tick()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        ticker = tasks.create_task(tick())
        yield line
        ticker.cancel()


async def test_what_is_said_goes_out_whole_and_is_placed_on_the_clock() -> None:
    handset = Handset()
    async with ticking(handset):
        await handset.wait(400)
        utterance = await handset.say(SECOND)
    assert utterance == Utterance(400, 1_400)
    assert near(segments(handset.said)[0], 400, 1_400)


async def test_utterances_follow_each_other() -> None:
    handset = Handset()
    async with ticking(handset), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(handset.say(SECOND))
        second = tasks.create_task(handset.say(SECOND))
    assert second.result().start_ms == first.result().end_ms


async def test_breaking_off_stops_the_sound() -> None:
    handset = Handset()
    async with ticking(handset):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await handset.say(SECOND)
        await handset.wait(500)
        assert not handset.is_speaking
    assert segments(handset.said) == []


async def test_quiet_returns_once_the_far_party_has_spoken_and_stopped() -> None:
    handset = Handset()
    async with ticking(handset, _Tape((1_000, 2_000), (2_300, 3_000))):
        await handset.quiet(500)
        assert abs(handset.now_ms - 3_500) <= 20


async def test_quiet_waits_for_an_answer_to_what_was_said_last() -> None:
    handset = Handset()
    async with ticking(handset, _Tape((0, 1_500), (4_000, 5_000))):
        await handset.wait(1_000)
        await handset.say(SECOND)
        await handset.quiet(400)
        assert abs(handset.now_ms - 5_400) <= 20


async def test_quiet_gives_up_on_a_party_that_never_speaks() -> None:
    handset = Handset()
    async with ticking(handset):
        with pytest.raises(TimeoutError):
            await handset.quiet(500, within_ms=2_000)
        assert handset.now_ms == 2_000


async def test_a_barge_in_can_be_timed_by_ear() -> None:
    handset = Handset()
    async with ticking(handset, _Tape((1_000, 5_000))):
        await handset.speech(600)
        assert abs(handset.now_ms - 1_600) <= 20
        assert handset.is_hearing_speech


async def test_hearing_ends_a_moment_after_the_sound() -> None:
    handset = Handset()
    async with ticking(handset, _Tape((0, 500))):
        await handset.wait(600)
        assert handset.is_hearing_speech
        await handset.wait(200)
        assert not handset.is_hearing_speech


async def test_the_end_of_the_call_ends_all_waiting() -> None:
    handset = Handset()
    async with ticking(handset), asyncio.TaskGroup() as tasks:
        waiting = [
            tasks.create_task(wait)
            for wait in (gone(handset.say(np.tile(SECOND, 100))), gone(handset.quiet(500)))
        ]
        await handset.wait(100)
        handset.disconnect()
    assert [task.result() for task in waiting] == [True, True]
    with pytest.raises(HungUp):
        await handset.say(SECOND)
    with pytest.raises(HungUp):
        await handset.press("1")


async def gone(wait: object) -> bool:
    try:
        await wait  # type: ignore[misc]
    except HungUp:
        return True
    return False


async def test_keys_are_told_one_by_one() -> None:
    handset = Handset()
    pressed: list[tuple[str, float]] = []
    handset.connect(on_digit=lambda d: pressed.append((d, handset.now_ms)), on_hang_up=lambda: None)
    async with ticking(handset):
        await handset.press("12#")
    assert pressed == [("1", 0), ("2", 100), ("#", 200)]


async def test_comfort_noise_fills_the_pauses() -> None:
    handset = Handset(noise_dbfs=-55.0)
    async with ticking(handset):
        await handset.wait(1_000)
    level_dbfs = 10 * np.log10(np.mean(np.square(handset.said / 32_768)))
    assert level_dbfs == pytest.approx(-55, abs=1)
    assert segments(handset.said) == []


def test_the_clock_begins_with_the_first_stream() -> None:
    handset = Handset()
    assert handset.now_ms == 0
    for _ in range(5):
        handset.exchange(b"\xff" * 160)
    assert (handset.now_ms, len(handset.said), len(handset.line_said)) == (100, 0, 800)
    handset.start_media_clock(3)
    assert (handset.now_ms, len(handset.said), handset.media_start_tick) == (40, 320, 3)
