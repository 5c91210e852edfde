"""The binding to the system's libspeexdsp, the library itself being there."""

from pathlib import Path

import numpy as np
import pytest

from audio.speexdsp import SpeexDsp, SpeexEcho, SpeexPreprocess, open_speexdsp
from tests.servers import required


@pytest.fixture(scope="module")
def library() -> SpeexDsp:
    found = open_speexdsp()
    if found is None:
        why = "libspeexdsp isn't installed (Debian: libspeexdsp1)"
        if required():
            pytest.fail(why)
        pytest.skip(why)
    return found


def hiss(samples: int, seed: int = 1) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).standard_normal(samples) * 1_500).astype(np.int16)


def resident_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def test_an_echo_at_the_canceller_is_taken_away(library: SpeexDsp) -> None:
    far = hiss(8_000 * 4)
    near = np.rint(0.4 * np.roll(far, 30)).astype(np.int16)
    with SpeexEcho(library) as echo:
        left = [echo.process(near[at : at + 160], far[at : at + 160]) for at in range(0, len(far), 160)]
    last = np.concatenate(left[-50:]).astype(np.float64)
    assert np.mean(last**2) < np.mean(near[-8_000:].astype(np.float64) ** 2) / 1_000


def test_noise_is_turned_down_by_no_more_than_asked(library: SpeexDsp) -> None:
    noise = hiss(8_000 * 4)
    with SpeexPreprocess(library, frame=80, denoise_db=12) as preprocess:
        out = [preprocess.process(noise[at : at + 80]) for at in range(0, len(noise), 80)]
    last = np.concatenate(out[-100:]).astype(np.float64)
    quieter_db = 10 * np.log10(np.mean(noise.astype(np.float64) ** 2) / np.mean(last**2))
    assert 9 < quieter_db < 15


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(159, np.int16),
        np.zeros(161, np.int16),
        np.zeros(1, np.int16),
        np.zeros(0, np.int16),
        np.zeros(160, np.float32),
        np.zeros((160, 1), np.int16),
    ],
)
def test_what_the_library_would_read_past_the_end_of_never_reaches_it(
    library: SpeexDsp, wrong: np.ndarray
) -> None:
    right = np.zeros(160, np.int16)
    with SpeexEcho(library, frame=160) as echo, SpeexPreprocess(library, frame=160) as preprocess:
        for near, far in ((wrong, right), (right, wrong)):
            with pytest.raises(ValueError, match="instead of int16"):
                echo.process(near, far)
        with pytest.raises(ValueError, match="instead of int16"):
            preprocess.process(wrong)


def test_views_with_a_stride_and_read_only_sound_are_taken_for_what_they_are(library: SpeexDsp) -> None:
    near, far = hiss(320), hiss(160, seed=2)
    read_only = np.frombuffer(far.tobytes(), np.int16)
    with SpeexEcho(library) as one, SpeexEcho(library) as other:
        assert np.array_equal(one.process(near[::2], read_only), other.process(near[::2].copy(), far))


def test_nothing_is_processed_after_the_end(library: SpeexDsp) -> None:
    echo, preprocess = SpeexEcho(library), SpeexPreprocess(library, frame=160)
    for closed in (echo, preprocess):
        closed.close()
        closed.close()
    silence = np.zeros(160, np.int16)
    with pytest.raises(ValueError, match="closed"):
        echo.process(silence, silence)
    with pytest.raises(ValueError, match="closed"):
        preprocess.process(silence)


def test_two_thousand_calls_leave_no_memory_behind(library: SpeexDsp) -> None:
    sound = hiss(160)

    def call() -> None:
        with SpeexEcho(library) as echo, SpeexPreprocess(library, frame=160) as preprocess:
            preprocess.process(echo.process(sound, sound))
        dropped = SpeexEcho(library)
        dropped.process(sound, sound)

    for _ in range(50):
        call()
    before_kb = resident_kb()
    for _ in range(2_000):
        call()
    # A leaked state is at least 29 kB: 58 MB of them.
    assert resident_kb() - before_kb < 2_000
