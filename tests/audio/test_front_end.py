"""The front end as a call uses it: packets in, blocks for every listener out, on the media clock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.blocks import BLOCK, to_block, to_samples
from audio.front_end import FrontEnd, FrontEndSettings
from audio.jitter import Packet
from audio.processor import FEEDS, FilterSettings, Heard
from tests.audio.speech_like import level_dbfs, speech_like

MS = 8


def front_end(*filters: str, echo: str = "adaptive") -> FrontEnd:
    def broke(name: str, why: str) -> None:
        raise AssertionError(f"{name}: {why}")

    return FrontEnd(
        FrontEndSettings(filters=FilterSettings(filters=filters, echo_canceller=echo)), on_bypass=broke
    )


def packets(sound: np.ndarray) -> list[Packet]:
    samples = to_samples(sound.astype(np.float32))
    return [
        Packet(n + 1, n * BLOCK, samples[n * BLOCK : (n + 1) * BLOCK]) for n in range(len(samples) // BLOCK)
    ]


def heard(front: FrontEnd, arriving: list[Packet]) -> list[Heard]:
    return [each for packet in arriving for each in front.hear(packet, packet.sequence * 20.0)]


def feed(found: list[Heard], name: str) -> np.ndarray:
    return np.concatenate([getattr(each, name) for each in found])


def test_on_a_good_line_recogniser_voice_and_recording_hear_the_line_itself_at_once() -> None:
    sound = speech_like(6)
    found = heard(front_end("rumble", "echo", "noise", "gain"), packets(sound))
    came = to_block(to_samples(sound))
    for name in ("recogniser", "voice", "recording"):
        assert np.array_equal(feed(found, name), came)
    assert not np.array_equal(feed(found, "monitor"), came)


@pytest.mark.parametrize("filters", [(), ("rumble", "echo"), ("rumble", "echo", "noise", "gain")])
def test_an_impulse_comes_out_as_late_as_the_delays_say(filters: tuple[str, ...]) -> None:
    front, sound = front_end(*filters), np.zeros(8_000, np.float32)
    sound[4_000:4_002] = 0.9, -0.9
    found = heard(front, packets(sound))
    for name in FEEDS:
        late_ms = (int(np.abs(feed(found, name)).argmax()) - 4_000) / MS
        assert late_ms == pytest.approx(front.processor.delay_ms(name), abs=0.3)  # type: ignore[arg-type]
    assert front.processor.delay_ms("recogniser") == front.processor.delay_ms("voice") == 0


def test_an_echo_of_what_was_sent_is_found_and_taken_off_with_nothing_given() -> None:
    front, far = front_end("rumble", "echo"), speech_like(14, seed=3)
    samples = to_samples(far)
    near = 0.25 * np.roll(far, 210 * MS)
    near[: 210 * MS] = 0
    found: list[Heard] = []
    for packet in packets(near):
        front.far_end.send("", samples[packet.start : packet.start + BLOCK], packet.start + 20 * MS)
        found += front.hear(packet, packet.sequence * 20.0)
    late = slice(-4 * 8_000, None)
    assert level_dbfs(near[late]) - level_dbfs(feed(found, "recogniser")[late]) > 15
    assert level_dbfs(near[late]) - level_dbfs(feed(found, "voice")[late]) > 25
    assert front.figures()["echo_delay_ms"] == pytest.approx(190, abs=5), (
        "210 ms behind what was sent 20 ms late"
    )


def test_lost_packets_are_concealed_marked_and_counted() -> None:
    front = front_end()
    arriving = [packet for packet in packets(speech_like(8)) if packet.sequence % 20]
    found = heard(front, arriving)
    starts = [each.start for each in found]
    assert starts == list(range(0, BLOCK * len(starts), BLOCK))
    assert sum(each.lost for each in found) == len(found) // 20
    loud = [n for n, each in enumerate(found) if each.lost and level_dbfs(found[n - 1].recogniser) > -25]
    assert loud and all(level_dbfs(found[n].recogniser) > -40 for n in loud)
    assert front.figures()["lost_percent"] == pytest.approx(5, abs=0.3)


def test_filters_are_switched_in_mid_call_without_a_gap() -> None:
    front, sound = front_end("rumble", "echo"), speech_like(6)
    arriving = packets(sound)
    first = heard(front, arriving[:150])
    front.processor.switch("noise", on=True)
    second = heard(front, arriving[150:])
    assert [each.start for each in first + second] == [packet.start for packet in arriving]
    assert front.processor.working == ("rumble", "echo", "noise")


def test_names_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="no concealment magic; there are repeat"):
        FrontEnd(FrontEndSettings(concealment="magic"), on_bypass=lambda *_: None)


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations(range(40)),
    lost=st.sets(st.integers(0, 39), max_size=30),
    again=st.lists(st.integers(0, 39), max_size=10),
    gap_ms=st.lists(st.integers(0, 400), min_size=50, max_size=50),
)
def test_any_order_loss_repetition_and_timing_leave_whole_blocks_on_the_clock(
    order: list[int], lost: set[int], again: list[int], gap_ms: list[int]
) -> None:
    front, all_packets, now_ms = front_end("rumble", "echo"), packets(speech_like(0.8)), 0.0
    found: list[Heard] = []
    for number, gap in zip([*[n for n in order if n not in lost], *again], gap_ms, strict=False):
        now_ms += gap
        found += front.hear(all_packets[number], now_ms)
    starts = [each.start for each in found]
    assert all(
        (later - earlier) % BLOCK == 0 and later > earlier
        for earlier, later in zip(starts, starts[1:], strict=False)
    )
    for each in found:
        for name in FEEDS:
            block = getattr(each, name)
            assert block.shape == (BLOCK,) and np.isfinite(block).all() and np.abs(block).max() <= 1
