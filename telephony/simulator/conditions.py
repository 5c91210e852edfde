"""What the network between carrier and application does to a call."""

import random
from collections import deque
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from agent.errors import ConfigError
from telephony.simulator.echo import EchoPath
from telephony.simulator.sound import FRAME_MS

_HINT = (
    "write e.g. delay=80,jitter=20,stall=500@3000,loss=2/60,echo=12@180 (keys: realistic, delay=UP[/DOWN], "
    "jitter, stall=LENGTH@AT[/up|/down], loss=PERCENT[/BURST], echo=LOSS_DB@DELAY[/TAIL], disconnect, "
    "connect, first-frame, reattach, seed; all in ms but where named)"
)
_NUMBERS = {
    "jitter": "jitter_ms",
    "disconnect": "disconnect_at_ms",
    "connect": "connect_ms",
    "first-frame": "first_frame_ms",
    "reattach": "reattach_ms",
    "seed": "seed",
}

Item = TypeVar("Item")


class Direction(StrEnum):
    """Up is from the carrier to the application, down the way back."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing arrives for `duration_ms` from `at_ms` of the media clock on; then all of it at once."""

    at_ms: int
    duration_ms: int
    direction: Direction = Direction.BOTH


@dataclass(frozen=True, slots=True)
class LineConditions:
    """Delays one way, and the faults of one call; every `at_ms` is on the call's media clock.

    `jitter_ms`: each message takes up to that much longer than the delay, never overtaking another.
    `connect_ms`: `<Stream>` to socket; `reattach_ms`: the same for every later stream of a call.
    `loss_percent`: share of the caller's packets of 20 ms that never reach the carrier, `loss_burst_ms` of
    them in a row on average. `echo`: what the handset returns of what it hears. `first_frame_ms`: socket to
    first media frame. `disconnect_at_ms`: the socket dies with no close frame.
    """

    delay_up_ms: int = 0
    delay_down_ms: int = 0
    jitter_ms: int = 0
    stalls: tuple[Stall, ...] = ()
    loss_percent: int = 0
    loss_burst_ms: int = FRAME_MS
    echo: EchoPath | None = None
    disconnect_at_ms: int | None = None
    connect_ms: int = 0
    first_frame_ms: int = 0
    reattach_ms: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and value < 0:
                raise ConfigError(f"line condition {field.name}={value} is negative", hint=_HINT)
        if self.loss_percent > 90 or self.loss_burst_ms < FRAME_MS:
            raise ConfigError(
                f"a loss of {self.loss_percent} % in bursts of {self.loss_burst_ms} ms", hint=_HINT
            )
        if self.echo is not None and not _possible(self.echo):
            raise ConfigError(f"an echo like {_echo_text(self.echo)}", hint=_HINT)
        for stall in self.stalls:
            if stall.at_ms < 0 or stall.duration_ms < 0:
                raise ConfigError(f"a stall of {stall.duration_ms} ms at {stall.at_ms} ms", hint=_HINT)

    @classmethod
    def realistic(cls, seed: int = 0) -> Self:
        """A good real line: figures observed on Twilio calls, 50 to 100 ms each way."""
        return cls(
            delay_up_ms=50,
            delay_down_ms=50,
            jitter_ms=50,
            connect_ms=350,
            first_frame_ms=200,
            reattach_ms=730,
            seed=seed,
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads "delay=80,jitter=20,stall=500@3000"; "" is a perfect line. Raises ConfigError."""
        items = [item.strip() for item in text.split(",") if item.strip()]
        values: dict[str, Any] = {}
        stalls: list[Stall] = []
        for item in items:
            key, _, value = item.partition("=")
            if key == "realistic" and not value:
                continue
            if key == "delay":
                up, _, down = value.partition("/")
                values |= {"delay_up_ms": _ms(item, up), "delay_down_ms": _ms(item, down or up)}
            elif key == "stall":
                stalls.append(_stall(item, value))
            elif key == "loss":
                percent, _, burst = value.partition("/")
                values |= {
                    "loss_percent": _ms(item, percent),
                    "loss_burst_ms": _ms(item, burst or str(FRAME_MS)),
                }
            elif key == "echo":
                values["echo"] = _echo(item, value)
            elif key in _NUMBERS:
                values[_NUMBERS[key]] = _ms(item, value)
            else:
                raise ConfigError(f"unknown line condition {item!r}", hint=_HINT)
        base = cls.realistic() if "realistic" in items else cls()
        inherited = {field.name: getattr(base, field.name) for field in fields(cls)}
        return cls(**(inherited | values | {"stalls": tuple(stalls)}))

    def __str__(self) -> str:
        """The text that `parse` reads."""
        parts = [f"delay={self.delay_up_ms}/{self.delay_down_ms}"]
        values = {key: getattr(self, name) for key, name in _NUMBERS.items()}
        parts += [f"{key}={value}" for key, value in values.items() if value is not None]
        if self.loss_percent:
            parts.append(f"loss={self.loss_percent}/{self.loss_burst_ms}")
        if self.echo is not None:
            parts.append(_echo_text(self.echo))
        for stall in self.stalls:
            end = "" if stall.direction is Direction.BOTH else f"/{stall.direction}"
            parts.append(f"stall={stall.duration_ms}@{stall.at_ms}{end}")
        return ",".join(parts)


def _ms(item: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise ConfigError(f"line condition {item!r} needs whole milliseconds", hint=_HINT)
    return int(value)


def _stall(item: str, value: str) -> Stall:
    when, _, direction = value.partition("/")
    duration, _, at = when.partition("@")
    if direction not in ("", Direction.UP, Direction.DOWN):
        raise ConfigError(f"line condition {item!r} has an unknown direction", hint=_HINT)
    return Stall(_ms(item, at), _ms(item, duration), Direction(direction or Direction.BOTH))


def _echo(item: str, value: str) -> EchoPath:
    loss_db, _, rest = value.partition("@")
    delay, _, tail = rest.partition("/")
    return EchoPath(_ms(item, loss_db), _ms(item, delay), _ms(item, tail or "30"))


def _echo_text(echo: EchoPath) -> str:
    return f"echo={echo.loss_db}@{echo.delay_ms}/{echo.tail_ms}"


def _possible(echo: EchoPath) -> bool:
    return echo.loss_db >= 0 and 0 <= echo.delay_ms <= 2_000 and 1 <= echo.tail_ms <= 1_000


class Losses:
    """Which of the caller's packets are lost: in bursts (Gilbert, Bell System Technical Journal 39, 1960)."""

    def __init__(self, conditions: LineConditions, *, name: str = "") -> None:
        burst = conditions.loss_burst_ms / FRAME_MS
        share = conditions.loss_percent / 100
        self._random = random.Random(f"{conditions.seed} {name} loss")
        self._recovers = 1 / burst
        self._breaks = self._recovers * share / (1 - share)
        self._losing = False

    def next(self) -> bool:
        """Whether the next packet is lost."""
        if self._breaks:
            changes = self._recovers if self._losing else self._breaks
            self._losing ^= self._random.random() < changes
        return self._losing


class DelayLine(Generic[Item]):
    """One direction of the connection: holds each item until its time and keeps their order, as TCP does.

    Jitter is drawn from the conditions' seed and `name`, so that no two lines need be alike.
    """

    def __init__(self, conditions: LineConditions, direction: Direction, *, name: str = "") -> None:
        assert direction is not Direction.BOTH, "a line has one direction"
        self._delay_ms = conditions.delay_up_ms if direction is Direction.UP else conditions.delay_down_ms
        self._jitter_ms = conditions.jitter_ms
        self._stalls = [s for s in conditions.stalls if s.direction in (direction, Direction.BOTH)]
        self._random = random.Random(f"{conditions.seed} {name} {direction}")
        self._items: deque[tuple[float, Item]] = deque()
        self._last_due_ms = float("-inf")

    def __len__(self) -> int:
        return len(self._items)

    @property
    def next_due_ms(self) -> float | None:
        """When the next item arrives; None if there is none."""
        return self._items[0][0] if self._items else None

    def push(self, item: Item, at_ms: float) -> float:
        """Sends `item` at `at_ms`; returns when it arrives."""
        due_ms = at_ms + self._delay_ms + self._random.uniform(0, self._jitter_ms)
        for stall in self._stalls:
            if stall.at_ms <= due_ms < stall.at_ms + stall.duration_ms:
                due_ms = float(stall.at_ms + stall.duration_ms)
        self._last_due_ms = max(self._last_due_ms, due_ms)
        self._items.append((self._last_due_ms, item))
        return self._last_due_ms

    def pop_due(self, now_ms: float) -> list[Item]:
        """Takes what has arrived by `now_ms`, in order."""
        arrived: list[Item] = []
        while self._items and self._items[0][0] <= now_ms:
            arrived.append(self._items.popleft()[1])
        return arrived
