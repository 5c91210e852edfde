"""The jitter buffer of ears."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.blocks import BLOCK, RATE_HZ, Block, Samples, to_samples
from audio.concealment import CONCEALERS
from audio.jitter import Packet
from audio.playout import PlayoutBuffer


def speech(seconds: float) -> Samples:
    """A voice at 100 Hz that speaks for 1.2 s and pauses for 0.8 s, over a little noise."""
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * 100 * n * at) / n for n in range(1, 20))
    noise = np.random.default_rng(5).normal(0, 3e-4, len(at))
    return to_samples((0.1 * voice * (at % 2 < 1.2) + noise).astype(np.float32))


class Call:
    """A sender, a network and a listener. Times are the listener's, in ms."""

    def __init__(self, seconds: float, *, drift: float = 0.0, phase_ms: float = 5.0) -> None:
        self.buffer = PlayoutBuffer(CONCEALERS["repeat"]())
        self.said = speech(seconds)
        self.phase_ms = phase_ms
        self.arrivals = {n: n * 20 * (1 + drift) for n in range(len(self.said) // BLOCK)}
        self.delays_ms: list[float] = []
        self.heard: list[Block] = []

    def lose(self, *numbers: int) -> None:
        for number in numbers:
            del self.arrivals[number]

    def stall(self, from_ms: float, for_ms: float) -> None:
        """Nothing comes through; then it all does at once."""
        for number, at in self.arrivals.items():
            if from_ms <= at < from_ms + for_ms:
                self.arrivals[number] = from_ms + for_ms

    def late(self, by_ms: Callable[[int], float]) -> None:
        for number in self.arrivals:
            self.arrivals[number] += by_ms(number)

    def listen(self) -> "Call":
        order = sorted(self.arrivals, key=lambda number: (self.arrivals[number], number))
        for tick in range(round(max(self.arrivals.values()) / 20)):
            now_ms = self.phase_ms + tick * 20
            while order and self.arrivals[order[0]] <= now_ms:
                number = order.pop(0)
                samples = self.said[number * BLOCK : (number + 1) * BLOCK]
                self.buffer.push(Packet(number, number * BLOCK, samples), self.arrivals[number])
            self.heard.append(self.buffer.pull(now_ms))
            self.delays_ms.append(self.buffer.delay_ms)
        return self

    def delays_at(self, seconds: Iterable[float]) -> list[float]:
        return [self.delays_ms[round(second * 50)] for second in seconds]


def test_before_the_first_packet_there_is_silence_and_nothing_is_concealed() -> None:
    buffer = PlayoutBuffer(CONCEALERS["repeat"]())
    assert not buffer.pull(0.0).any()
    assert not buffer.pull(20.0).any()
    assert buffer.counts.concealed == 0


def test_an_even_stream_is_heard_at_the_next_tick_and_untouched() -> None:
    call = Call(30).listen()
    counts = call.buffer.counts
    assert call.delays_at([29]) == pytest.approx([5])
    assert (counts.concealed, counts.discarded, counts.inserted) == (0, 0, 0)
    last = to_samples(np.concatenate(call.heard[-50:]))
    ends = len(call.heard) * BLOCK
    assert np.array_equal(last, call.said[ends - len(last) : ends])


def test_a_lost_packet_costs_one_block_and_no_lasting_delay() -> None:
    call = Call(30)
    call.lose(1_001)
    call.listen()
    assert call.buffer.counts.concealed == BLOCK
    assert call.buffer.counts.discarded == 0
    assert call.delays_at([19, 21, 22, 29]) == pytest.approx([5, 5, 5, 5])


def test_a_packet_lost_among_others_that_wait_is_concealed_and_the_delay_stays() -> None:
    call = Call(30)
    call.late(lambda number: 45 if number % 7 == 0 else 0)
    call.lose(1_401)
    call.listen()
    concealed, before = call.buffer.counts.concealed, Call(30)
    before.late(lambda number: 45 if number % 7 == 0 else 0)
    before.listen()
    assert concealed == before.buffer.counts.concealed + BLOCK
    assert call.delays_at([29]) == pytest.approx(before.delays_at([29]), abs=1)


def test_a_stall_is_played_out_and_the_delay_goes_back() -> None:
    call = Call(50)
    call.stall(20_010, 300)
    call.listen()
    counts = call.buffer.counts
    assert 0 < counts.concealed <= 300 * RATE_HZ // 1_000
    assert counts.discarded == 0
    assert call.delays_at([20.4])[0] > 250
    assert max(call.delays_at(np.arange(24, 49, 0.5))) <= 150
    assert call.delays_at([49])[0] <= 25
    assert counts.removed >= 200 * RATE_HZ // 1_000


def test_frequent_stalls_are_learned_and_then_not_heard() -> None:
    call = Call(60)
    call.buffer = PlayoutBuffer(CONCEALERS["repeat"](), share=0.998)
    for at_ms in range(1_000, 60_000, 1_700):
        call.stall(at_ms, 100)
    call.listen()
    assert 85 <= call.buffer.target_ms <= 105
    assert call.buffer.counts.concealed < 12 * BLOCK


@pytest.mark.parametrize("drift", [-200e-6, 200e-6])
def test_a_drifting_clock_does_not_add_up(drift: float) -> None:
    call = Call(240, drift=drift).listen()
    assert max(call.delays_ms[500:]) < 50
    assert call.buffer.counts.concealed <= 5 * BLOCK
    assert call.buffer.counts.discarded == 0
    changed = call.buffer.counts.removed if drift < 0 else call.buffer.counts.inserted
    assert changed + call.buffer.counts.concealed >= 0.5 * 240 * 200e-6 * RATE_HZ


def test_reordered_packets_are_put_right_once_the_path_is_known() -> None:
    call = Call(60)
    call.late(lambda number: 45 if number % 7 == 0 else 0)
    call.listen()
    ends = call.buffer.position
    last = to_samples(np.concatenate(call.heard[-100:]))
    assert np.array_equal(last, call.said[ends - len(last) : ends])
    assert call.buffer.counts.discarded <= 5 * BLOCK


def test_what_comes_twice_is_heard_once() -> None:
    call = Call(20)
    twice = PlayoutBuffer(CONCEALERS["repeat"]())
    heard = []
    for tick in range(1_000):
        samples = call.said[tick * BLOCK : (tick + 1) * BLOCK]
        for _ in range(2):
            twice.push(Packet(tick, tick * BLOCK, samples), tick * 20.0)
        heard.append(twice.pull(tick * 20 + call.phase_ms))
    assert np.array_equal(to_samples(np.concatenate(heard[-100:])), call.said[-100 * BLOCK :])
    assert twice.counts.duplicate == 1_000


def test_a_path_that_becomes_longer_for_good_is_followed() -> None:
    call = Call(60)
    call.late(lambda number: 400 if number > 1_000 else 0)
    call.listen()
    assert call.delays_ms[-1] < 45
    assert call.buffer.counts.concealed <= 600 * RATE_HZ // 1_000


def test_a_sender_that_begins_anew_is_heard_again() -> None:
    buffer = PlayoutBuffer(CONCEALERS["repeat"]())
    said = speech(10)
    for tick in range(1_000):
        number = tick % 400
        samples = said[number * BLOCK : (number + 1) * BLOCK]
        buffer.push(Packet(number, number * BLOCK, samples), tick * 20.0)
        heard = buffer.pull(tick * 20.0 + 5)
    recent = said[(number - 3) * BLOCK : (number + 1) * BLOCK].reshape(-1, BLOCK)
    assert any(np.array_equal(to_samples(heard), block) for block in recent)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 60), st.integers(-(2**40), 2**40)),
            st.one_of(st.integers(0, 60 * BLOCK), st.integers(-(2**50), 2**50)),
            st.sampled_from((1, 80, BLOCK, BLOCK, 161, 4_000, 48_000)),
            st.floats(-50, 200),
            st.integers(0, 4),
        ),
        max_size=40,
    ),
    st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=100)
def test_whatever_comes_a_finite_block_is_there_at_each_tick_and_nothing_piles_up(
    packets: list[tuple[int, int, int, float, int]], seed: int
) -> None:
    buffer = PlayoutBuffer(CONCEALERS["repeat"]())
    random, now_ms, came, pulled = np.random.default_rng(seed), 0.0, 0, 0
    for sequence, start, length, after_ms, pulls in packets:
        samples = random.integers(-32_768, 32_767, length, dtype=np.int16)
        buffer.push(Packet(sequence, start, samples), now_ms)
        came += length
        for _ in range(pulls):
            block = buffer.pull(now_ms)
            assert block.shape == (BLOCK,)
            assert block.dtype == np.float32
            assert np.all(np.abs(block) <= 2)
            now_ms, pulled = now_ms + 20, pulled + BLOCK
        now_ms += after_ms
    counts = buffer.counts
    assert counts.received == len(packets)
    assert counts.discarded <= came
    assert buffer.waiting <= RATE_HZ + 4 * BLOCK


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_all_that_came_in_time_is_accounted_for(data: st.DataObject) -> None:
    """Samples in = played + cut out + discarded + still here, whatever order they came in."""
    buffer = PlayoutBuffer(CONCEALERS["repeat"]())
    sent = data.draw(st.integers(1, 60))
    lost = data.draw(st.sets(st.integers(1, 59)))
    late = data.draw(st.lists(st.sampled_from((0, 0, 0, 30, 70, 150)), min_size=sent, max_size=sent))
    order = sorted((n * 20.0 + late[n], n) for n in range(sent) if n not in lost)
    said, came = speech(2), len(order) * BLOCK
    ticks = 80
    for tick in range(ticks):
        while order and order[0][0] <= tick * 20 + 5:
            at, number = order.pop(0)
            buffer.push(Packet(number, number * BLOCK, said[number * BLOCK : (number + 1) * BLOCK]), at)
        buffer.pull(tick * 20.0 + 5)
    counts = buffer.counts
    silent_ticks = ticks * BLOCK - (came - counts.discarded - buffer.waiting) - counts.concealed
    silent_ticks -= counts.inserted - counts.removed
    assert silent_ticks >= 0
    assert silent_ticks % BLOCK == 0
