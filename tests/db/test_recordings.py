import asyncio
import errno
import os
import stat
import threading
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import wavfile
from structlog.testing import capture_logs
from typing_extensions import Buffer

from agent.errors import StoreError
from db.models import new_id
from db.recordings import Recordings, open_recordings

RATE_HZ = 8_000
PATIENCE_S = 30.0


def noise(frames: int, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-32_768, 32_767, (frames, 2), dtype=np.int16, endpoint=True)


def read(path: Path) -> NDArray[np.int16]:
    rate_hz, samples = wavfile.read(path)
    assert rate_hz == RATE_HZ
    assert samples.dtype == np.int16
    return np.asarray(samples)


def flush(recordings: Recordings) -> None:
    """Returns when the writer has done all that was asked of it before."""
    recordings.create(new_id(), RATE_HZ).close_blocking(PATIENCE_S)


class Disk:
    """A disk that can be full, or stand still."""

    def __init__(self) -> None:
        self.full = False
        self.moving = threading.Event()
        self.moving.set()

    def open(self, path: Path) -> "DiskFile":
        path.parent.mkdir(exist_ok=True)
        return DiskFile(self, path)


class DiskFile(FileIO):
    def __init__(self, disk: Disk, path: Path) -> None:
        super().__init__(path, "xb+")
        self._disk = disk

    def write(self, data: Buffer, /) -> int:
        """Like a disk that fills up, it takes a part of what it is given before it fails."""
        assert self._disk.moving.wait(PATIENCE_S)
        if self._disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(bytes(data)[: max(1, memoryview(data).nbytes // 2)])


@pytest.mark.parametrize("block", [1, 160, 1_000])
async def test_a_recording_is_sample_exact(tmp_path: Path, block: int) -> None:
    said = noise(8_000)
    with open_recordings(tmp_path) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        for start in range(0, len(said), block):
            recording.append(said[start : start + block])
        info = await recording.close()
        assert (info.duration_ms, info.complete, info.channels, info.format) == (1_000, True, 2, "wav")
        assert np.array_equal(read(recordings.path(info.key)), said)


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(0, 400), max_size=12), rate_hz=st.sampled_from([8_000, 16_000, 44_100]))
def test_blocks_of_any_length_follow_one_another(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], rate_hz: int
) -> None:
    with open_recordings(tmp_path_factory.mktemp("recordings")) as recordings:
        recording = recordings.create(new_id(), rate_hz)
        blocks = [noise(length, seed) for seed, length in enumerate(lengths)]
        for block in blocks:
            recording.append(block)
        info = recording.close_blocking(PATIENCE_S)
        assert info.duration_ms == sum(lengths) * 1_000 // rate_hz
        found_hz, samples = wavfile.read(recordings.path(info.key))
    assert found_hz == rate_hz
    assert np.array_equal(samples.reshape(-1, 2), np.concatenate([noise(0), *blocks]))


def test_left_is_the_first_column(tmp_path: Path) -> None:
    with open_recordings(tmp_path) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(np.array([[1, -2]] * 10, dtype=np.int16))
        info = recording.close_blocking(PATIENCE_S)
        assert read(recordings.path(info.key))[:, 0].tolist() == [1] * 10


def test_the_callers_array_may_be_used_again(tmp_path: Path) -> None:
    block = noise(160)
    said = block.copy()
    with open_recordings(tmp_path) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(block)
        block[:] = 0
        assert np.array_equal(read(recordings.path(recording.close_blocking(PATIENCE_S).key)), said)


def test_a_recording_can_be_played_while_the_call_goes_on(tmp_path: Path) -> None:
    with open_recordings(tmp_path) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(noise(1_600))
        flush(recordings)
        assert np.array_equal(read(recording.path), noise(1_600))


async def test_calls_at_the_same_time_have_their_own_files(tmp_path: Path) -> None:
    with open_recordings(tmp_path) as recordings:
        files = [recordings.create(new_id(), RATE_HZ) for _ in range(10)]
        for step in range(50):
            for number, recording in enumerate(files):
                recording.append(noise(160, seed=100 * number + step))
        infos = await asyncio.gather(*(recording.close() for recording in files))
        for number, info in enumerate(infos):
            said = np.concatenate([noise(160, seed=100 * number + step) for step in range(50)])
            assert info.complete
            assert np.array_equal(read(recordings.path(info.key)), said)


def test_a_file_is_named_after_its_call_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    call_id = new_id()
    with open_recordings(tmp_path / "recordings") as recordings:
        info = recordings.create(call_id, RATE_HZ).close_blocking(PATIENCE_S)
        path = recordings.path(info.key)
    assert path.stem == str(call_id)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_recording_without_sound_is_a_valid_file(tmp_path: Path) -> None:
    with open_recordings(tmp_path) as recordings:
        info = recordings.create(new_id(), RATE_HZ).close_blocking(PATIENCE_S)
        assert recordings.path(info.key).stat().st_size == 44
    assert (info.duration_ms, info.complete) == (0, True)


def test_a_full_disk_leaves_silence_and_everything_else_in_its_place(tmp_path: Path) -> None:
    disk, said = Disk(), noise(480)
    with capture_logs() as logs, open_recordings(tmp_path, open_file=disk.open) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(said[:160])
        flush(recordings)
        disk.full = True
        recording.append(said[160:320])
        flush(recordings)
        disk.full = False
        recording.append(said[320:])
        info = recording.close_blocking(PATIENCE_S)
        heard = read(recordings.path(info.key))
        assert recordings.errors > 0
    said[160:320] = 0
    assert (info.complete, info.duration_ms) == (False, 60)
    assert np.array_equal(heard, said)
    assert "No space left on device" in [log["reason"] for log in logs if log["key"] == info.key]


def test_a_disk_that_stays_full_ends_no_call_and_spoils_no_other_recording(tmp_path: Path) -> None:
    disk = Disk()
    with open_recordings(tmp_path, open_file=disk.open) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(noise(160))
        flush(recordings)
        disk.full = True
        for _ in range(100):
            recording.append(noise(160))
        info = recording.close_blocking(PATIENCE_S)
        disk.full = False
        other = recordings.create(new_id(), RATE_HZ)
        other.append(noise(160))
        assert other.close_blocking(PATIENCE_S).complete
    assert not info.complete
    assert info.duration_ms == 101 * 20
    assert np.array_equal(read(tmp_path / info.key)[:160], noise(160))


def test_a_disk_that_takes_nothing_at_all_leaves_no_file(tmp_path: Path) -> None:
    disk = Disk()
    disk.full = True
    with open_recordings(tmp_path, open_file=disk.open) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(noise(160))
        info = recording.close_blocking(PATIENCE_S)
        assert not info.complete
        assert not recordings.path(info.key).exists()


def test_a_disk_that_stands_still_holds_up_nobody_and_costs_bounded_memory(tmp_path: Path) -> None:
    disk = Disk()
    limit = 10 * 160 * 4
    with open_recordings(tmp_path, open_file=disk.open, waiting_limit_bytes=limit) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        disk.moving.clear()
        for _ in range(100):
            recording.append(noise(160))
        assert recordings.dropped >= 80
        disk.moving.set()
        info = recording.close_blocking(PATIENCE_S)
        heard = read(recordings.path(info.key))
    assert (info.complete, info.duration_ms) == (False, 2_000)
    assert len(heard) == 16_000
    assert np.array_equal(heard[:160], noise(160))
    assert not heard[-160:].any()


def test_a_recording_that_its_call_did_not_end_is_kept_as_incomplete(tmp_path: Path) -> None:
    with open_recordings(tmp_path) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(noise(160))
    assert np.array_equal(read(recording.path), noise(160))
    assert not recording.close_blocking(PATIENCE_S).complete


def test_a_closed_store_takes_no_new_recording(tmp_path: Path) -> None:
    with open_recordings(tmp_path) as recordings:
        pass
    with pytest.raises(StoreError, match="are closed"):
        recordings.create(new_id(), RATE_HZ)


async def test_closing_twice_gives_the_same_answer(tmp_path: Path) -> None:
    with open_recordings(tmp_path) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        assert await recording.close() == await recording.close()
        with pytest.raises(ValueError, match="closed"):
            recording.append(noise(1))


async def test_a_call_that_is_cancelled_while_it_closes_leaves_the_writer_alone(tmp_path: Path) -> None:
    disk = Disk()
    with open_recordings(tmp_path, open_file=disk.open) as recordings:
        recording = recordings.create(new_id(), RATE_HZ)
        recording.append(noise(160))
        disk.moving.clear()
        closing = asyncio.ensure_future(recording.close())
        await asyncio.sleep(0)
        closing.cancel()
        disk.moving.set()
        assert (await recording.close()).complete


def test_a_call_is_never_recorded_over_another(tmp_path: Path) -> None:
    call_id = new_id()
    with open_recordings(tmp_path) as recordings:
        first, second = (recordings.create(call_id, RATE_HZ) for _ in range(2))
        first.append(noise(160))
        assert first.close_blocking(PATIENCE_S).complete
        second.append(noise(320))
        assert not second.close_blocking(PATIENCE_S).complete
        assert np.array_equal(read(first.path), noise(160))


def test_a_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = open_recordings(tmp_path / "file" / "recordings")
    with pytest.raises(StoreError, match="recordings cannot be kept in") as raised, store:
        pass
    assert "ROLECALL_HOME" in raised.value.hint


@pytest.mark.parametrize("key", ["../secrets.wav", "/etc/passwd", "2026-11-21/../../x.wav"])
def test_no_key_leads_out_of_the_store(tmp_path: Path, key: str) -> None:
    with open_recordings(tmp_path) as recordings, pytest.raises(StoreError):
        recordings.path(key)
