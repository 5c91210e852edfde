"""The phone at the far end of the line: what it says and hears, sample by sample, on the media clock."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.errors import TelephonyError
from telephony.simulator.playout import CarrierEvent, MarkEcho, PlayoutLog, Underrun
from telephony.simulator.sound import (
    BYTES_PER_MS,
    FRAME_BYTES,
    FRAME_MS,
    SILENCE,
    SILENT_FRAME,
    Samples,
    decode_ulaw,
    encode_ulaw,
    frame_power,
    noise,
    to_power,
)

AUDIBLE_DBFS: Final = -50.0
_AUDIBLE_POWER: Final = to_power(AUDIBLE_DBFS)
_HANGOVER_MS: Final = 200
_LEAST_SPEECH_MS: Final = 60
_KEY_MS: Final = 100
_NOISE_MS: Final = 2_000


class HungUp(TelephonyError):
    """The call is over, so nothing more can be said or heard on this handset."""

    code = "telephony_hung_up"


@dataclass(frozen=True, slots=True)
class Utterance:
    """Where on the media clock something was said."""

    start_ms: float
    end_ms: float


@dataclass(slots=True, eq=False)
class _Speech:
    ulaw: bytes
    sent_bytes: int = 0
    start_tick: int = 0

    @property
    def done(self) -> bool:
        return self.sent_bytes >= len(self.ulaw)


class Handset:
    """A phone driven by a script, or by the line for one tick at a time.

    Silence goes out between utterances, or comfort noise at `noise_dbfs`. Waiting methods raise HungUp when
    the call ends, and TimeoutError after `within_ms` of the call's own time.
    """

    def __init__(self, *, noise_dbfs: float | None = None, seed: int = 0) -> None:
        self.log = PlayoutLog()
        self._said = bytearray()
        self._heard = bytearray()
        self._zero_tick: int | None = None
        self._ticks = 0
        self._speeches: deque[_Speech] = deque()
        self._noise = [SILENT_FRAME] if noise_dbfs is None else _frames(noise(_NOISE_MS, noise_dbfs, seed))
        self._on_digit: Callable[[str], None] | None = None
        self._on_hang_up: Callable[[], None] | None = None
        self._over = False
        self._heard_sound_ms = 0
        self._silent_ms = _HANGOVER_MS
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def said(self) -> Samples:
        """int16 at 8 kHz from 0 ms of the media clock on; empty until a stream's first media frame."""
        return self._since_zero(self._said)

    @property
    def heard(self) -> Samples:
        """As `said`, at the ear; the two have the same length."""
        return self._since_zero(self._heard)

    @property
    def line_said(self) -> Samples:
        """As `said`, from the moment the call was answered."""
        return decode_ulaw(self._said)

    @property
    def line_heard(self) -> Samples:
        """As `heard`, from the moment the call was answered."""
        return decode_ulaw(self._heard)

    @property
    def media_start_tick(self) -> int | None:
        """How many 20 ms ticks after answering the media clock began; None if it has not."""
        return self._zero_tick

    @property
    def now_ms(self) -> float:
        """The media clock; until a stream has begun, the time since the call was answered."""
        return self._clock_ms(self._ticks)

    @property
    def mark_log(self) -> list[MarkEcho]:
        """Every mark that was echoed, in order."""
        return self.log.marks

    @property
    def events(self) -> list[CarrierEvent]:
        """What the carrier noticed about the streams, in order."""
        return self.log.events

    @property
    def underruns(self) -> list[Underrun]:
        """Every time audio came too late."""
        return self.log.underruns

    @property
    def is_hearing_speech(self) -> bool:
        """Whether the far party has been audible within the last 200 ms."""
        return self._silent_ms < _HANGOVER_MS

    @property
    def is_speaking(self) -> bool:
        """Whether something is being said."""
        return bool(self._speeches)

    async def connected(self) -> None:
        """Waits until a stream's media has begun; what is said before then reaches nobody."""
        await self._until(lambda: self._zero_tick is not None)

    async def say(self, samples: Samples) -> Utterance:
        """Says int16 mono samples at 8 kHz; returns when the last has gone out. Cancelling breaks off."""
        assert samples.dtype == np.int16 and samples.ndim == 1, "mono int16 samples"
        speech = _Speech(encode_ulaw(samples))
        if not speech.done:
            self._speeches.append(speech)
        try:
            await self._until(lambda: speech.done)
        finally:
            with suppress(ValueError):
                self._speeches.remove(speech)
        self._heard_sound_ms = 0
        start_ms = self._clock_ms(speech.start_tick)
        return Utterance(start_ms, start_ms + len(speech.ulaw) / BYTES_PER_MS)

    async def press(self, digits: str) -> None:
        """Presses keys, 100 ms each. That the last one ends the call is no error."""
        for digit in digits:
            assert digit in "0123456789*#ABCD", "a key of a telephone"
            if self._over:
                raise HungUp("the call is over")
            if self._on_digit is not None:
                self._on_digit(digit)
            with suppress(HungUp):
                await self.wait(_KEY_MS)

    def hang_up(self) -> None:
        """Ends the call from this side; does nothing if it is over."""
        if not self._over and self._on_hang_up is not None:
            self._on_hang_up()

    async def quiet(self, ms: float, *, within_ms: float | None = None) -> None:
        """Waits until the far party has spoken and then been silent for `ms`.

        Speech counts from the end of this handset's last utterance on, or from the last return of `quiet`.
        """
        await self._until(
            lambda: self._heard_sound_ms >= _LEAST_SPEECH_MS and self._silent_ms >= ms, within_ms=within_ms
        )
        self._heard_sound_ms = 0

    async def speech(self, ms: float = _LEAST_SPEECH_MS, *, within_ms: float | None = None) -> None:
        """Waits until `ms` of the far party's speech has been heard, counted as in `quiet`."""
        await self._until(lambda: self._heard_sound_ms >= ms, within_ms=within_ms)

    async def wait(self, ms: float) -> None:
        """Waits for `ms` of the call's own time."""
        end_ticks = self._ticks + ms / FRAME_MS
        await self._until(lambda: self._ticks >= end_ticks)

    def connect(self, *, on_digit: Callable[[str], None], on_hang_up: Callable[[], None]) -> None:
        """Says who is told of keys and of hanging up."""
        self._on_digit = on_digit
        self._on_hang_up = on_hang_up

    def exchange(self, heard: bytes) -> bytes:
        """One tick of the line: takes the 20 ms that are heard, returns the 20 ms that are said."""
        self._listen(heard)
        said = self._speak()
        self._said += said
        self._heard += heard
        self._ticks += 1
        self._wake()
        return said

    def start_media_clock(self, tick: int) -> None:
        """Puts 0 ms at the given tick of the line; the first call decides."""
        if self._zero_tick is None:
            self._zero_tick = tick

    def disconnect(self) -> None:
        """The call is over: everybody waiting gets HungUp."""
        self._over = True
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(HungUp("the call is over"))

    def _clock_ms(self, tick: int) -> float:
        return float((tick - (self._zero_tick or 0)) * FRAME_MS)

    def _listen(self, heard: bytes) -> None:
        if frame_power(heard) >= _AUDIBLE_POWER:
            self._heard_sound_ms += FRAME_MS
            self._silent_ms = 0
        else:
            self._silent_ms += FRAME_MS

    def _speak(self) -> bytes:
        if not self._speeches:
            return self._noise[self._ticks % len(self._noise)]
        speech = self._speeches[0]
        if not speech.sent_bytes:
            speech.start_tick = self._ticks
        frame = speech.ulaw[speech.sent_bytes : speech.sent_bytes + FRAME_BYTES]
        speech.sent_bytes += FRAME_BYTES
        if speech.done:
            self._speeches.popleft()
        return frame.ljust(FRAME_BYTES, SILENCE)

    def _wake(self) -> None:
        if not self._waiting:
            return
        for predicate, future in self._waiting:
            if not future.done() and predicate():
                future.set_result(None)
        self._waiting = [(predicate, future) for predicate, future in self._waiting if not future.done()]

    async def _until(self, reached: Callable[[], bool], *, within_ms: float | None = None) -> None:
        if reached():
            return
        if self._over:
            raise HungUp("the call is over")
        last_tick = float("inf") if within_ms is None else self._ticks + within_ms / FRAME_MS
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lambda: reached() or self._ticks >= last_tick, future))
        await future
        if not reached():
            raise TimeoutError(f"waited {within_ms:.0f} ms of the call in vain")

    def _since_zero(self, ulaw: bytearray) -> Samples:
        if self._zero_tick is None:
            return np.zeros(0, dtype=np.int16)
        return decode_ulaw(memoryview(ulaw)[self._zero_tick * FRAME_BYTES :])


def _frames(samples: Samples) -> list[bytes]:
    ulaw = encode_ulaw(samples)
    return [ulaw[at : at + FRAME_BYTES] for at in range(0, len(ulaw), FRAME_BYTES)]
