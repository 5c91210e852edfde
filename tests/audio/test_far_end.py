"""The reference of the echo canceller: what the carrier played, and when."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio.blocks import BLOCK, to_samples
from audio.far_end import FarEnd

MESSAGE = 480
MS = 8


def ramp(first: int, length: int = MESSAGE) -> np.ndarray:
    return np.arange(first, first + length, dtype=np.int16)


def heard(far_end: FarEnd, start: int, blocks: int) -> list[int]:
    """What the reference holds from `start` on, as int16."""
    silence = np.zeros(BLOCK, np.float32)
    found = [far_end.read(start + n * BLOCK) for n in range(blocks)]
    return np.concatenate([to_samples(silence if block is None else block) for block in found]).tolist()


class Carrier:
    """Plays what it is sent, `late` samples later at the earliest, and returns marks when it has."""

    def __init__(self, far_end: FarEnd, *, late: int) -> None:
        self.far_end = far_end
        self.late = late
        self.busy_until = 0
        self.played_from: list[int] = []
        self.marks: list[tuple[int, str]] = []
        self.moves = 0

    def send(self, at: int, number: int) -> None:
        self.far_end.send(f"1:{number}", ramp(1 + number * MESSAGE), at)
        start = max(self.busy_until, at + self.late)
        self.played_from.append(start)
        self.busy_until = start + MESSAGE
        self.marks.append((self.busy_until, f"1:{number}"))

    def receipts(self, until: int) -> None:
        while self.marks and self.marks[0][0] <= until:
            at, mark = self.marks.pop(0)
            self.moves += self.far_end.played(mark, at) != 0


def speak(carrier: Carrier, *, messages: int, at: int = 0, lead: int = 4_800) -> int:
    """Sends a reply as the transport does, ahead of time; returns when it has been played."""
    for number in range(messages):
        now = at + max(0, number * MESSAGE - lead)
        carrier.receipts(now)
        carrier.send(now, number)
    carrier.receipts(carrier.busy_until)
    return carrier.busy_until


def test_what_is_sent_to_an_idle_carrier_is_played_at_once_and_the_rest_behind_it() -> None:
    far_end = FarEnd()
    far_end.send("1:1", ramp(1), 800)
    far_end.send("1:2", ramp(481), 810)
    assert heard(far_end, 640, 8) == [0] * 160 + ramp(1, 960).tolist() + [0] * 160


def test_silence_is_told_from_sound() -> None:
    far_end = FarEnd()
    far_end.send("1:1", ramp(1), 800)
    assert far_end.read(480) is None and far_end.read(800) is not None and far_end.read(1_280) is None


def test_receipts_move_the_reference_to_where_the_carrier_really_was() -> None:
    far_end = FarEnd()
    carrier = Carrier(far_end, late=80 * MS)
    for number in range(20):
        carrier.send(number * 8, number)
    carrier.receipts(carrier.played_from[5])
    start = carrier.played_from[10]
    assert heard(far_end, start, 3) == ramp(1 + 10 * MESSAGE, 480).tolist()
    assert carrier.moves == 1


def test_the_next_reply_is_placed_right_from_its_first_sample() -> None:
    far_end = FarEnd()
    carrier = Carrier(far_end, late=80 * MS)
    over = speak(carrier, messages=20)
    carrier.send(over + 8_000, 0)
    assert heard(far_end, carrier.played_from[-1], 3) == ramp(1, 480).tolist()


def test_a_receipt_on_the_wrong_side_of_the_carriers_grid_moves_nothing() -> None:
    far_end = FarEnd()
    for number in range(10):
        far_end.send(str(number), ramp(1), 0)
        assert far_end.played(str(number), (number + 1) * MESSAGE + (160 if number % 3 == 2 else 0)) == 0


def test_unknown_and_repeated_receipts_mean_nothing() -> None:
    far_end = FarEnd()
    far_end.send("1:1", ramp(1), 0)
    assert [far_end.played(mark, 99_999) for mark in ("9:9", "1:1", "1:1", "1:1")] == [0, 0, 0, 0]


def test_what_a_clear_drops_is_no_reference() -> None:
    far_end = FarEnd()
    for number in range(4):
        far_end.send(str(number), ramp(1 + number * MESSAGE), 0)
    far_end.cut(700)
    assert heard(far_end, 0, 6) == ramp(1, 700).tolist() + [0] * 260
    far_end.send("5", ramp(7), 1_600)
    assert heard(far_end, 1_600, 1) == ramp(7, 160).tolist()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(0, 20_000), st.integers(1, 900)),
            st.tuples(st.just("played"), st.integers(-5, 90_000), st.integers(0, 40)),
            st.tuples(st.just("cut"), st.integers(0, 20_000), st.just(0)),
            st.tuples(st.just("read"), st.integers(0, 300), st.just(0)),
        ),
        max_size=60,
    )
)
def test_whatever_the_carrier_says_the_reference_is_a_block_or_silence(
    steps: list[tuple[str, int, int]],
) -> None:
    far_end, sent, position = FarEnd(), 0, 0
    for what, at, more in steps:
        if what == "send":
            sent += 1
            far_end.send(str(sent), ramp(0, more), at)
        elif what == "played":
            far_end.played(str(more), at)
        elif what == "cut":
            far_end.cut(at)
        else:
            position += at * BLOCK
            block = far_end.read(position)
            assert block is None or (block.shape == (BLOCK,) and bool(np.isfinite(block).all()))
