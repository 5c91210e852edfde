"""The jitter buffer of recogniser and voice detector."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.blocks import BLOCK, Samples
from audio.jitter import JitterBuffer, JitterCounts, Packet, Slot

MOST_WAITING = 50


def sound(start: int, length: int = BLOCK) -> Samples:
    """Sound that says where on the media clock it belongs; never 0."""
    return (np.arange(start, start + length) % 30_000 + 1).astype(np.int16)


def packet(number: int) -> Packet:
    return Packet(number, number * BLOCK, sound(number * BLOCK))


def line(buffer: JitterBuffer, *arrivals: tuple[float, int]) -> list[tuple[float, int, bool]]:
    """Packets by number at their times in ms: when each block came out, its number, whether it is there."""
    found, pending, now_ms = [], sorted(arrivals), 0.0
    ticks = [float(ms) for ms in range(0, round(pending[-1][0]) + 400, 5)]
    for now_ms in sorted({*ticks, *(at for at, _ in pending)}):
        while pending and pending[0][0] <= now_ms:
            buffer.push(packet(pending.pop(0)[1]), now_ms)
        found += [(now_ms, slot.start // BLOCK, slot.samples is not None) for slot in buffer.pop(now_ms)]
    return found


def in_order(first: int, last: int, *, but: tuple[int, ...] = ()) -> list[tuple[float, int]]:
    return [(number * 20.0, number) for number in range(first, last) if number not in but]


def settled() -> JitterBuffer:
    """A buffer that has heard twenty seconds in order."""
    buffer = JitterBuffer()
    line(buffer, *in_order(0, 1_000))
    return buffer


def test_packets_in_order_are_handed_out_as_they_are_in_the_call_that_brought_them() -> None:
    buffer = JitterBuffer()
    for number in range(5):
        sent = packet(number)
        buffer.push(sent, number * 20.0)
        (slot,) = buffer.pop(number * 20.0)
        assert slot.start == number * BLOCK
        assert slot.samples is sent.samples
    assert buffer.counts == JitterCounts(received=5)


def test_two_packets_that_swapped_places_are_put_right() -> None:
    found = line(JitterBuffer(), (0, 0), (20, 2), (30, 1), (60, 3))
    assert found == [(0, 0, True), (30, 1, True), (30, 2, True), (60, 3, True)]


def test_at_first_a_missing_packet_is_waited_for_but_not_for_long() -> None:
    buffer = JitterBuffer()
    found = line(buffer, *in_order(0, 20, but=(5,)))
    assert [number for _, number, _ in found] == list(range(20))
    assert [number for _, number, there in found if not there] == [5]
    assert {at - number * 20 for at, number, _ in found if number not in (5, 6, 7)} == {0}
    assert next(at for at, number, _ in found if number == 5) == 6 * 20 + 40
    assert buffer.counts == JitterCounts(received=19, lost_blocks=1)


def test_a_path_that_never_reorders_waits_for_nothing() -> None:
    found = line(settled(), *in_order(1_000, 1_010, but=(1_004,)))
    assert [(at, number) for at, number, there in found if not there] == [(1_005 * 20, 1_004)]
    assert all(at == number * 20 for at, number, there in found if there)


def test_a_path_that_loses_but_does_not_reorder_waits_for_nothing_either() -> None:
    buffer = JitterBuffer()
    line(buffer, *in_order(0, 1_500, but=tuple(range(7, 1_500, 10))))
    assert buffer.wait_ms == 0
    assert buffer.counts.lost_blocks == 150


def test_the_wait_is_as_long_as_reordered_packets_need() -> None:
    buffer = settled()
    swapped = [(number * 20.0 + (67 if number % 10 == 0 else 0), number) for number in range(1_000, 2_000)]
    late_at_first = line(buffer, *swapped)
    assert 45 <= buffer.wait_ms <= 50
    assert 0 < sum(not there for *_, there in late_at_first) < 10
    swapped = [(at + 20_000, number + 1_000) for at, number in swapped]
    assert all(there for *_, there in line(buffer, *swapped))


def test_what_comes_again_or_after_it_was_given_up_is_dropped_and_counted() -> None:
    buffer = settled()
    found = line(
        buffer, *in_order(1_000, 1_020, but=(1_005,)), (20_020, 1_000), (20_240, 1_005), (20_241, 1_005)
    )
    assert [number for _, number, _ in found] == list(range(1_000, 1_020))
    assert buffer.counts == JitterCounts(received=1_022, late=1, duplicate=2, lost_blocks=1)


def test_a_hole_of_the_senders_is_not_waited_for() -> None:
    buffer = JitterBuffer()
    buffer.push(packet(0), 0.0)
    buffer.push(Packet(1, 10 * BLOCK, sound(10 * BLOCK)), 200.0)
    found = buffer.pop(200.0)
    assert [slot.start for slot in found] == [number * BLOCK for number in range(11)]
    assert [slot.samples is None for slot in found] == [False, *[True] * 9, False]


def test_after_a_second_of_nothing_the_clock_leaps_by_whole_blocks() -> None:
    buffer = JitterBuffer()
    buffer.push(Packet(0, 0, sound(0)), 0.0)
    buffer.push(Packet(1, 8_000_050, sound(8_000_050, 400)), 0.0)
    found = buffer.pop(0.0)
    assert [slot.samples is None for slot in found] == [False, *[True] * 50, False, False]
    starts = [slot.start for slot in found]
    assert starts[:51] == list(range(0, 51 * BLOCK, BLOCK))
    assert starts[51] == 8_000_000
    assert buffer.counts.leaps == 1
    last = found[-1].samples
    assert last is not None
    assert np.array_equal(last, sound(8_000_160))


def test_a_block_with_a_small_hole_is_kept_and_one_with_a_large_hole_is_lost() -> None:
    kept, lost = JitterBuffer(), JitterBuffer()
    for buffer, hole in ((kept, 81), (lost, 79)):
        buffer.push(Packet(0, 0, sound(0, hole)), 0.0)
        buffer.push(Packet(2, BLOCK, sound(BLOCK)), 0.0)
    (first, _), (second, _) = kept.pop(900.0), lost.pop(900.0)
    assert first.samples is not None
    assert np.array_equal(first.samples, np.concatenate([sound(0, 81), np.zeros(79, np.int16)]))
    assert second.samples is None


def test_timestamps_that_are_a_little_wrong_tear_nothing() -> None:
    random.seed(1)
    buffer = JitterBuffer()
    for number in range(100):
        wrong = random.choice((-16, -8, 0, 8, 16)) if number else 0
        buffer.push(Packet(number, number * BLOCK + wrong, sound(number * BLOCK)), number * 20.0)
        (slot,) = buffer.pop(number * 20.0)
        assert slot.start == number * BLOCK
        assert slot.samples is not None
        assert np.array_equal(slot.samples, sound(number * BLOCK))


def test_a_sender_that_begins_anew_is_believed_after_a_second_and_time_goes_on() -> None:
    buffer = settled()
    found: list[Slot] = []
    for number in range(200):
        now_ms = 20_000.0 + number * 20
        buffer.push(packet(number), now_ms)
        found += buffer.pop(now_ms)
    assert [slot.start for slot in found] == [number * BLOCK for number in range(1_000, 1_150)]
    assert found[0].samples is not None
    assert np.array_equal(found[0].samples, sound(50 * BLOCK))


@st.composite
def honest_lines(draw: st.DrawFn) -> tuple[list[tuple[float, Packet]], int]:
    """A sender with packets of any length; some are lost, some come twice, all come when they like."""
    at, sent = draw(st.integers(-500, 500)), []
    for number in range(draw(st.integers(1, 40))):
        length = draw(st.sampled_from((BLOCK, BLOCK, 80, 240, 7, 1, 500)))
        sent.append(Packet(number, at, sound(at, length)))
        at += length
    arrivals = []
    for each in sent:
        for _ in range(draw(st.sampled_from((1, 1, 1, 0, 2)))):
            arrivals.append((each.start / 8 + draw(st.sampled_from((0, 0, 0, 15, 40, 90))), each))
    arrivals.sort(key=lambda arrival: arrival[0])
    return arrivals, at


@given(honest_lines())
@settings(deadline=None, max_examples=200)
def test_whatever_the_network_does_sound_lies_where_it_belongs(
    given_line: tuple[list[tuple[float, Packet]], int],
) -> None:
    arrivals, end = given_line
    buffer, slots = JitterBuffer(), []
    for now_ms, each in arrivals:
        buffer.push(each, now_ms)
        slots += buffer.pop(now_ms)
    slots += buffer.pop(1e9)
    if not slots:
        return
    first = arrivals[0][1].start
    assert [slot.start for slot in slots] == [first + n * BLOCK for n in range(len(slots))]
    assert slots[-1].start + BLOCK <= end
    known = {at for _, each in arrivals for at in range(each.start, each.start + len(each.samples))}
    for slot in slots:
        if slot.samples is not None:
            assert slot.samples.shape == (BLOCK,)
            assert slot.samples.dtype == np.int16
            true = sound(slot.start)
            assert np.array_equal(slot.samples[slot.samples != 0], true[slot.samples != 0])
            assert np.count_nonzero(slot.samples) * 2 >= BLOCK
            assert all(int(at) + slot.start in known for at in np.flatnonzero(slot.samples))
    assert buffer.counts.lost_blocks == sum(slot.samples is None for slot in slots)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 60), st.integers(-(2**40), 2**40)),
            st.one_of(st.integers(0, 60 * BLOCK), st.integers(-(2**50), 2**50)),
            st.sampled_from((1, 80, BLOCK, 161, 4_000, 48_000)),
            st.floats(-50, 200),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=150)
def test_hostile_packets_never_raise_never_pile_up_and_never_turn_time_back(
    packets: list[tuple[int, int, int, float]],
) -> None:
    buffer, now_ms, last = JitterBuffer(), 0.0, None
    for sequence, start, length, after_ms in packets:
        now_ms += after_ms
        buffer.push(Packet(sequence, start, np.ones(length, np.int16)), now_ms)
        slots = buffer.pop(now_ms)
        assert len(slots) <= (MOST_WAITING + 1) * 50 + 48_000 // BLOCK + 60
        for slot in slots:
            assert last is None or (slot.start > last and (slot.start - last) % BLOCK == 0)
            assert slot.samples is None or slot.samples.shape == (BLOCK,)
            last = slot.start
    left = sum(slot.samples is not None for slot in buffer.pop(1e12))
    assert left <= (MOST_WAITING * BLOCK + 48_000) // BLOCK + 1


def test_one_packet_is_not_waited_for_while_seconds_of_sound_pile_up() -> None:
    buffer = JitterBuffer()
    buffer.push(packet(0), 0.0)
    for number in range(2, 60):
        buffer.push(packet(number), 1.0)
    found = buffer.pop(1.0)
    assert found[-1].start == 59 * BLOCK
