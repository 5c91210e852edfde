import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from telephony.simulator.conditions import DelayLine, Direction, LineConditions, Losses, Stall
from telephony.simulator.echo import EchoPath


def arrivals(
    conditions: LineConditions, direction: Direction = Direction.UP, count: int = 200
) -> list[float]:
    """When messages sent every 20 ms arrive."""
    line: DelayLine[int] = DelayLine(conditions, direction)
    return [line.push(n, n * 20.0) for n in range(count)]


def test_a_perfect_line_delivers_at_once() -> None:
    assert arrivals(LineConditions(), count=3) == [0.0, 20.0, 40.0]


def test_each_direction_has_its_own_delay() -> None:
    conditions = LineConditions(delay_up_ms=80, delay_down_ms=30)
    assert arrivals(conditions, Direction.UP, 2) == [80.0, 100.0]
    assert arrivals(conditions, Direction.DOWN, 2) == [30.0, 50.0]


def test_jitter_only_adds_and_stays_within_its_bound() -> None:
    late = [at - n * 20 for n, at in enumerate(arrivals(LineConditions(delay_up_ms=50, jitter_ms=15)))]
    assert min(late) >= 50
    assert max(late) <= 65
    assert max(late) - min(late) > 10


def test_the_same_seed_gives_the_same_line() -> None:
    assert arrivals(LineConditions(jitter_ms=50, seed=4)) == arrivals(LineConditions(jitter_ms=50, seed=4))
    assert arrivals(LineConditions(jitter_ms=50, seed=4)) != arrivals(LineConditions(jitter_ms=50, seed=5))


def test_a_stall_holds_everything_and_lets_it_go_at_once() -> None:
    times = arrivals(LineConditions(stalls=(Stall(60, 100),)), count=10)
    assert times == [0, 20, 40, 160, 160, 160, 160, 160, 160, 180]


def test_a_stall_of_one_direction_leaves_the_other_alone() -> None:
    conditions = LineConditions(stalls=(Stall(0, 100, Direction.DOWN),))
    assert arrivals(conditions, Direction.UP, 2) == [0, 20]
    assert arrivals(conditions, Direction.DOWN, 2) == [100, 100]


conditions_strategy = st.builds(
    LineConditions,
    delay_up_ms=st.integers(0, 500),
    delay_down_ms=st.integers(0, 500),
    jitter_ms=st.integers(0, 300),
    stalls=st.lists(
        st.builds(Stall, st.integers(0, 5_000), st.integers(0, 2_000), st.sampled_from(Direction)), max_size=3
    ).map(tuple),
    disconnect_at_ms=st.none() | st.integers(0, 10_000),
    connect_ms=st.integers(0, 1_000),
    first_frame_ms=st.integers(0, 1_000),
    reattach_ms=st.integers(0, 1_000),
    seed=st.integers(0, 1_000),
)


@given(conditions_strategy, st.lists(st.floats(0, 10_000), max_size=50))
def test_nothing_overtakes_and_nothing_is_lost(conditions: LineConditions, sent: list[float]) -> None:
    line: DelayLine[int] = DelayLine(conditions, Direction.UP)
    dues = [line.push(n, at_ms) for n, at_ms in enumerate(sorted(sent))]
    assert dues == sorted(dues)
    assert line.pop_due(float("inf")) == list(range(len(sent)))


@given(conditions_strategy)
def test_conditions_can_be_written_and_read_back(conditions: LineConditions) -> None:
    assert LineConditions.parse(str(conditions)) == conditions


def test_the_text_of_the_command_line_is_read() -> None:
    assert LineConditions.parse("delay=80,jitter=20,stall=500@3000,stall=100@9000/up") == LineConditions(
        delay_up_ms=80,
        delay_down_ms=80,
        jitter_ms=20,
        stalls=(Stall(3_000, 500), Stall(9_000, 100, Direction.UP)),
    )


def test_a_preset_can_be_refined() -> None:
    conditions = LineConditions.parse("realistic,jitter=0,disconnect=4000")
    assert (conditions.connect_ms, conditions.jitter_ms, conditions.disconnect_at_ms) == (350, 0, 4_000)


@pytest.mark.parametrize(
    "text",
    [
        "delay",
        "delay=fast",
        "delay=-5",
        "colour=red",
        "stall=500",
        "stall=500@100/left",
        "realistic=1",
        "jitter=1²",
    ],
)
def test_an_unreadable_condition_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=text.partition("=")[0]):
        LineConditions.parse(text)


def lost(text: str, packets: int = 20_000) -> list[bool]:
    losses = Losses(LineConditions.parse(text))
    return [losses.next() for _ in range(packets)]


def test_packets_are_lost_as_often_and_as_long_as_asked() -> None:
    found = lost("loss=10/60")
    bursts = sum(now and not before for before, now in zip([False, *found], found, strict=False))
    assert sum(found) / len(found) == pytest.approx(0.10, abs=0.015)
    assert sum(found) / bursts == pytest.approx(3, abs=0.3)


def test_a_line_that_loses_nothing_loses_nothing() -> None:
    assert not any(lost("jitter=40"))


def test_an_echo_and_losses_survive_being_written_down() -> None:
    conditions = LineConditions.parse("loss=2/60,echo=12@180/50")
    assert conditions.echo == EchoPath(12, 180, 50)
    assert LineConditions.parse(str(conditions)) == conditions


@pytest.mark.parametrize(
    "text", ["loss=95", "loss=2/5", "loss=x", "echo=12", "echo=12@9000", "echo=12@100/0", "echo=@"]
)
def test_impossible_losses_and_echoes_are_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        LineConditions.parse(text)
    assert "loss=PERCENT" in refusal.value.hint
