"""The jitter buffer of ears: 20 ms of sound whenever the listener's clock asks, as late as the path
demands."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.blocks import BLOCK, BLOCK_MS, RATE_HZ, Block, to_block
from audio.concealment import Concealer
from audio.jitter import Packet
from audio.lateness import MOST_LATE_MS, LatenessHistogram, PathDelay
from audio.stretch import LONGEST, lengthen, shorten

MOST_TARGET_MS: Final = 200.0

_FORGETTING: Final = 0.9995
_TARGET_AT_FIRST_MS: Final = 40.0
_WEIGHT_AT_FIRST: Final = 2.0
_MOST_BLOCKS: Final = 1_000 // BLOCK_MS
_LEAP_MS: Final = 1_000.0
_HYSTERESIS_MS: Final = 1.0
_HELD_MOST: Final = 4 * BLOCK
_SPEECH_EVERY: Final = 3
_SPEECH_EVERY_IN_HASTE: Final = 2
_HASTE: Final = 5
_SPEECH_FROM: Final = 2
_SPEECH_LATE_MS: Final = 5.0
_LEAST_FLOOR: Final = 1e-9
_FLOOR_RISE: Final = 1.012
_QUIET_ABOVE_FLOOR: Final = 4.0
_QUIET: Final = 1e-5


@dataclass(slots=True)
class PlayoutCounts:
    """Packets that came, and came again; and samples.

    `concealed`: made up. `removed`, `inserted`: cut out and put in to change the delay. `discarded`: came,
    and were not played, because it was too late or too much.
    """

    received: int = 0
    duplicate: int = 0
    concealed: int = 0
    removed: int = 0
    inserted: int = 0
    discarded: int = 0


@dataclass(slots=True, eq=False)
class _Part:
    """A block of which some samples are known."""

    block: Block
    known: NDArray[np.bool_]


class _Queue:
    """What has come and was not played yet, in blocks on a grid that begins at `origin`. Numbers count
    blocks."""

    def __init__(self, origin: int) -> None:
        self.next = 0
        self._origin = origin
        self._newest = -1
        self._whole: dict[int, Block] = {}
        self._parts: dict[int, _Part] = {}
        self._given_up: dict[int, None] = {}

    @property
    def start(self) -> int:
        """Of the next block, on the media clock."""
        return self._origin + self.next * BLOCK

    def put(self, packet: Packet, counts: PlayoutCounts) -> bool:
        """Takes what is new of a packet; False if that is nothing."""
        number, offset = divmod(packet.start - self._origin, BLOCK)
        if len(packet.samples) == BLOCK and not offset and self._is_new(number):
            self._newest = max(self._newest, number)
            self._whole[number] = to_block(packet.samples)
            self._make_room(counts)
            return True
        sound, useful, discarded = to_block(packet.samples), False, counts.discarded
        while len(sound):
            piece, sound = sound[: BLOCK - offset], sound[BLOCK - offset :]
            if number < self.next:
                self._came_late(number, offset, piece, counts)
            else:
                useful |= self._add(number, offset, piece)
            number, offset = number + 1, 0
        counts.duplicate += not useful and counts.discarded == discarded
        self._make_room(counts)
        return useful

    @property
    def unplayed(self) -> int:
        """How many samples are here."""
        return BLOCK * len(self._whole) + sum(
            int(np.count_nonzero(part.known)) for part in self._parts.values()
        )

    def has_next(self) -> bool:
        """Whether all of the next block is here."""
        return self.next in self._whole

    def has_later(self) -> bool:
        """Whether anything from behind the next block is here."""
        known = len(self._whole) + len(self._parts)
        return known > (self.next in self._whole or self.next in self._parts)

    def after_next(self) -> Block | None:
        """The block after the next, if all of it is here."""
        return self._whole.get(self.next + 1)

    def take_next(self) -> Block:
        """Goes on by a block that is here, all of it, and returns it."""
        block = self._whole.pop(self.next)
        self.next += 1
        return block

    def take(self) -> Block | None:
        """Goes on by a block, and returns it; None if more than half of it is missing."""
        if self.next in self._whole:
            return self.take_next()
        part = self._parts.pop(self.next, None)
        self.next += 1
        if part is not None and 2 * np.count_nonzero(part.known) >= BLOCK:
            return part.block
        self._given_up[self.next - 1] = None
        if len(self._given_up) > _MOST_BLOCKS:
            del self._given_up[next(iter(self._given_up))]
        return None

    def _is_new(self, number: int) -> bool:
        return number >= self.next and number not in self._whole and number not in self._parts

    def _add(self, number: int, offset: int, piece: Block) -> bool:
        if number in self._whole:
            return False
        self._newest = max(self._newest, number)
        if len(piece) == BLOCK:
            self._parts.pop(number, None)
            self._whole[number] = piece
            return True
        part = self._parts.get(number)
        if part is None:
            part = self._parts[number] = _Part(np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.bool_))
        place = slice(offset, offset + len(piece))
        if part.known[place].all():
            return False
        part.block[place] = piece
        part.known[place] = True
        if part.known.all():
            self._whole[number] = self._parts.pop(number).block
        return True

    def _came_late(self, number: int, offset: int, piece: Block, counts: PlayoutCounts) -> None:
        if number in self._given_up:
            counts.discarded += len(piece)
            if offset + len(piece) == BLOCK:
                del self._given_up[number]

    def _make_room(self, counts: PlayoutCounts) -> None:
        """Gives up what lies more than a second before the newest."""
        first = self._newest - _MOST_BLOCKS + 1
        if self.next >= first:
            return
        for number in [number for number in self._whole if number < first]:
            del self._whole[number]
            counts.discarded += BLOCK
        for number in [number for number in self._parts if number < first]:
            counts.discarded += int(np.count_nonzero(self._parts.pop(number).known))
        self.next = first


class PlayoutBuffer:
    """Gives 20 ms whenever asked, from packets that come when they come. Times are those of one steady clock.

    How late packets come is kept as a histogram with a memory of 40 s (audio/lateness.py). Sound is played
    so late that `share` of the packets are in time, 200 ms at most. The delay is changed by cutting out and
    putting in: any piece of silence, but of speech whole pitch periods only, now and then, and to shorten
    it, not for less than 40 ms.

    What is missing when it is due is concealed. If later packets are here, it counts as lost, and time goes
    on; else the path has stalled: we wait, and are later afterwards by as much as was concealed, until that
    has been made up for. A second of sound is kept at most: what is older is discarded, as is what comes
    after its place was concealed. If a packet is a second early, or 50 in unbroken order are of no use, the
    sender's clock has leapt, and we begin anew there. Sound never ends and is never NaN; before the first
    packet it is silence.
    """

    def __init__(self, concealer: Concealer, *, share: float = 0.985) -> None:
        self.counts = PlayoutCounts()
        self.delay_ms = 0.0
        self._concealer = concealer
        self._path = PathDelay()
        self._lateness = LatenessHistogram(
            share, forgetting=_FORGETTING, prior_ms=_TARGET_AT_FIRST_MS, prior_weight=_WEIGHT_AT_FIRST
        )
        self._queue: _Queue | None = None
        self._playing = False
        self._dropped = 0
        self._dropped_sequence = 0
        self._sound = np.zeros(_HELD_MOST, np.float32)
        self._held = 0
        self._before = np.zeros(LONGEST, np.float32)
        self._floor = math.inf
        self._since_stretch = 0

    @property
    def position(self) -> int:
        """Where on the media clock the next pull begins, to a pitch period; 0 before the first packet."""
        return 0 if self._queue is None else self._queue.start - self._held

    @property
    def waiting(self) -> int:
        """How many samples are here and were not played yet."""
        return self._held + (0 if self._queue is None else self._queue.unplayed)

    @property
    def target_ms(self) -> float:
        """How long after the least late packet would have come sound is to be played."""
        return min(self._lateness.estimate_ms, MOST_TARGET_MS)

    def push(self, packet: Packet, now_ms: float) -> None:
        """Takes a packet that arrives now."""
        self.counts.received += 1
        late_ms = self._path.late_ms(packet.start, now_ms)
        if self._queue is None or late_ms < -_LEAP_MS:
            self._begin(packet, now_ms)
        else:
            if late_ms <= MOST_LATE_MS:
                self._lateness.add(late_ms)
            longer_ms = self._path.longer_by_ms(now_ms)
            if longer_ms:
                self._lateness.shift(longer_ms)
        assert self._queue is not None
        if self._queue.put(packet, self.counts):
            self._dropped = 0
            return
        self._dropped = self._dropped + 1 if packet.sequence == self._dropped_sequence + 1 else 1
        self._dropped_sequence = packet.sequence
        if self._dropped >= _MOST_BLOCKS:
            self._begin(packet, now_ms)
            self._queue.put(packet, self.counts)

    def pull(self, now_ms: float) -> Block:
        """Returns the next 20 ms, float32, BLOCK long. To be called every 20 ms of the listener's clock."""
        if not self._playing and not self._begins_to_play(now_ms):
            return self._nothing_yet()
        assert self._queue is not None
        early_ms = self._early_ms(now_ms)
        self.delay_ms = early_ms + self._held * 1_000 / RATE_HZ
        good = self._held >= BLOCK or self._take(early_ms)
        if good:
            self._adapt(early_ms)
        return self._played()

    def _begin(self, packet: Packet, now_ms: float) -> None:
        """What is in the queue is from before the sender's clock leapt: it is not played any more."""
        if self._queue is not None:
            self._path.restart(packet.start, now_ms)
            self.counts.discarded += self._queue.unplayed
        self._queue = _Queue(packet.start)
        self._playing = False
        self._dropped = 0

    def _begins_to_play(self, now_ms: float) -> bool:
        self._playing = self._queue is not None and self._early_ms(now_ms) >= self.target_ms
        return self._playing

    def _nothing_yet(self) -> Block:
        if math.isinf(self._floor):
            return np.zeros(BLOCK, np.float32)
        self._conceal(None)
        return self._played()

    def _early_ms(self, now_ms: float) -> float:
        """How late the next block may come, after the least late one, to be here now."""
        assert self._queue is not None
        return now_ms - self._queue.start * 1_000 / RATE_HZ - self._path.due_ms

    def _take(self, early_ms: float) -> bool:
        """Puts the next block behind what is held, or something in its place; True if it came."""
        assert self._queue is not None
        queue = self._queue
        while not queue.has_next() and queue.has_later():
            following = queue.after_next()
            block = queue.take()
            if block is not None:
                self._hold(self._heard(block))
                return True
            early_ms -= BLOCK_MS
            if early_ms < self.target_ms:
                self._conceal(following)
                return False
        if not queue.has_next():
            self._conceal(None)
            return False
        self._hold(self._heard(queue.take_next()))
        return True

    def _heard(self, block: Block) -> Block:
        power = float(np.dot(block, block)) / BLOCK
        self._floor = min(power, max(self._floor, _LEAST_FLOOR) * _FLOOR_RISE)
        return self._concealer.good(block)

    def _conceal(self, following: Block | None) -> None:
        self.counts.concealed += BLOCK
        self._hold(self._concealer.lost(following))

    def _hold(self, block: Block) -> None:
        self._sound[self._held : self._held + BLOCK] = block
        self._held += BLOCK

    def _adapt(self, early_ms: float) -> None:
        """Makes what is held shorter or longer, if that is wanted and would not be heard."""
        self._since_stretch += 1
        target_ms = self.target_ms
        if early_ms < target_ms - _HYSTERESIS_MS:
            self._lengthen(target_ms - early_ms)
            return
        blocks = int((early_ms - target_ms - _HYSTERESIS_MS) // BLOCK_MS)
        if blocks > 0 or (self._held > BLOCK and early_ms >= target_ms):
            self._shorten(max(blocks, 0))

    def _lengthen(self, missing_ms: float) -> None:
        held = self._sound[: self._held]
        wanted = math.ceil(missing_ms / BLOCK_MS) * BLOCK - (self._held - BLOCK)
        room = _HELD_MOST - self._held
        quiet = self._is_quiet(self._before) and self._is_quiet(held)
        if quiet or (missing_ms > _SPEECH_LATE_MS and self._since_stretch >= _SPEECH_EVERY):
            longer = lengthen(held, self._before, most=min(wanted, room), quiet=quiet)
            self.counts.inserted += self._replace(longer)

    def _shorten(self, blocks: int) -> None:
        """Cuts out what is held beyond a block, and `blocks` more where they are here."""
        assert self._queue is not None
        pause = _SPEECH_EVERY_IN_HASTE if blocks >= _HASTE else _SPEECH_EVERY
        in_speech = blocks >= _SPEECH_FROM and self._since_stretch >= pause
        if not in_speech and not self._is_quiet(self._sound[: self._held]):
            return
        if blocks > 0 and self._held < BLOCK + LONGEST and self._queue.has_next():
            self._hold(self._heard(self._queue.take_next()))
        held = self._sound[: self._held]
        quiet = self._is_quiet(held)
        if in_speech or quiet:
            self.counts.removed -= self._replace(shorten(held, most=self._held - BLOCK, quiet=quiet))

    def _replace(self, sound: Block) -> int:
        """Holds `sound` instead of what is held; returns by how many samples it is longer."""
        longer = len(sound) - self._held
        if longer:
            self._since_stretch = 0
            self._held = len(sound)
            self._sound[: self._held] = sound
        return longer

    def _is_quiet(self, sound: Block) -> bool:
        power = float(np.dot(sound, sound)) / len(sound)
        return power <= max(_QUIET, self._floor * _QUIET_ABOVE_FLOOR)

    def _played(self) -> Block:
        block = self._sound[:BLOCK].copy()
        self._held -= BLOCK
        if self._held:
            self._sound[: self._held] = self._sound[BLOCK : BLOCK + self._held]
        self._before[:] = block[BLOCK - LONGEST :]
        return block
