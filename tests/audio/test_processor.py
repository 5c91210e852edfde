"""The filters of a call: in order, switched at any time, and none of them can end the call."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from audio.blocks import BLOCK, Block
from audio.processor import FEEDS, AudioProcessor, Feed, Filter, FilterSettings, Heard

ONES = np.ones(BLOCK, np.float32) / 4


class Scale:
    """A filter that multiplies what the feeds hear."""

    def __init__(self, factor: float, *feeds: Feed, delay_samples: int = 0) -> None:
        self.feeds = feeds or FEEDS
        self.delay_samples = delay_samples
        self.factor = factor
        self.closed = 0
        self.far: list[float] = []

    def process(self, heard: Heard, far: Block) -> None:
        self.far.append(float(far[0]))
        for feed in self.feeds:
            setattr(heard, feed, getattr(heard, feed) * np.float32(self.factor))

    def close(self) -> None:
        self.closed += 1


class Broken(Scale):
    """A filter that works until it is told to fail, half-way through a block."""

    def __init__(self, failure: Exception | float) -> None:
        super().__init__(1.0)
        self.failure = failure
        self.blocks_until_it_breaks = 2

    def process(self, heard: Heard, far: Block) -> None:
        self.blocks_until_it_breaks -= 1
        if self.blocks_until_it_breaks >= 0:
            return
        heard.recogniser = heard.recogniser * np.float32(7)
        if isinstance(self.failure, Exception):
            raise self.failure
        heard.voice = heard.voice * np.float32(self.failure)


class Bench:
    """A processor over named filters, and what it reported."""

    def __init__(self, **filters: Scale) -> None:
        self.bypassed: list[tuple[str, str]] = []
        self.now_ns = 0
        known: Mapping[str, Callable[[FilterSettings], Filter]] = {
            name: lambda _settings, made=made: made for name, made in filters.items()
        }
        self.processor = AudioProcessor(
            FilterSettings(filters=tuple(filters)),
            on_bypass=lambda name, why: self.bypassed.append((name, why)),
            known=known,
            clock_ns=self.clock_ns,
        )

    def clock_ns(self) -> int:
        self.now_ns += 1_000
        return self.now_ns

    def levels(self, far: Block | None = None) -> dict[str, float]:
        """What each feed hears of a block of ones, as a factor."""
        heard = self.processor.process(Heard.of(ONES, 0), far)
        return {feed: float(getattr(heard, feed)[0]) * 4 for feed in FEEDS}


def test_filters_work_in_their_order_on_their_feeds_and_leave_the_line_s_block_alone() -> None:
    bench = Bench(first=Scale(0.5), second=Scale(0.5, "monitor"))
    assert bench.levels() == {"recogniser": 0.5, "voice": 0.5, "recording": 0.5, "monitor": 0.25}
    assert (ONES == 0.25).all()


def test_a_filter_is_told_what_the_persona_said_or_that_it_was_silent() -> None:
    first = Scale(1.0)
    bench = Bench(first=first)
    bench.levels(ONES)
    bench.levels()
    assert first.far == [0.25, 0.0]


@pytest.mark.parametrize("failure", [ValueError("no good"), ZeroDivisionError(), float("nan"), float("inf")])
def test_a_filter_that_breaks_is_left_out_with_its_block_and_reported_once(
    failure: Exception | float,
) -> None:
    bench = Bench(broken=Broken(failure), other=Scale(0.5))
    found = [bench.levels()["recogniser"] for _ in range(5)]
    assert found == [0.5] * 5
    assert [name for name, _ in bench.bypassed] == ["broken"] and bench.bypassed[0][1]
    assert bench.processor.working == ("other",)


def test_a_filter_can_be_turned_off_and_on_in_mid_call_and_keeps_its_place() -> None:
    bench = Bench(first=Scale(0.5), second=Scale(0.5))
    bench.processor.switch("first", on=False)
    assert (bench.levels()["voice"], bench.processor.working) == (0.5, ("second",))
    bench.processor.switch("first", on=True)
    assert (bench.levels()["voice"], bench.processor.working) == (0.25, ("first", "second"))


def test_what_is_turned_off_gives_back_what_it_holds_once() -> None:
    first = Scale(0.5)
    bench = Bench(first=first)
    bench.processor.switch("first", on=False)
    bench.processor.switch("first", on=False)
    bench.processor.close()
    assert first.closed == 1


def test_where_nobody_listens_what_serves_only_them_is_not_worked_out() -> None:
    bench = Bench(first=Scale(0.5), monitor=Scale(0.5, "monitor"))
    bench.processor.monitored = False
    assert bench.levels()["monitor"] == 0.5
    assert bench.processor.working == ("first",)


def test_delays_add_up_feed_by_feed_over_the_filters_that_are_on() -> None:
    bench = Bench(first=Scale(1.0, delay_samples=8), second=Scale(1.0, "monitor", delay_samples=80))
    assert {feed: bench.processor.delay_ms(feed) for feed in FEEDS} == {
        "recogniser": 1.0,
        "voice": 1.0,
        "recording": 1.0,
        "monitor": 11.0,
    }
    bench.processor.switch("second", on=False)
    assert bench.processor.delay_ms("monitor") == 1.0


def test_what_each_filter_costs_is_told_in_microseconds() -> None:
    bench = Bench(first=Scale(1.0))
    for _ in range(10):
        bench.levels()
    timing = bench.processor.timings()["first"]
    assert (timing.blocks, timing.median_us, timing.p99_us) == (10, 1.0, 1.0)


def test_an_unknown_filter_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no filter reverb; there are rumble, echo, noise, gain"):
        AudioProcessor(FilterSettings(filters=("reverb",)), on_bypass=lambda *_: None)
    with pytest.raises(ValueError, match="no filter reverb"):
        Bench(first=Scale(1.0)).processor.switch("reverb", on=True)
