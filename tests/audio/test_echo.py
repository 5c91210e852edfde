"""The persona's voice comes back from the trainee's telephone, and what the front end makes of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from audio import ulaw
from audio.blocks import BLOCK, RATE_HZ, to_block, to_samples
from audio.echo import EchoCanceller
from audio.speexdsp import open_speexdsp
from tests.servers import required

Sound = np.ndarray


@pytest.fixture(params=["speex", "adaptive"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "speex" and open_speexdsp() is None:
        why = "libspeexdsp isn't installed (Debian: libspeexdsp1)"
        if required():
            pytest.fail(why)
        pytest.skip(why)
    return str(request.param)


def speech(seconds: float, seed: int, dbfs: float = -26.0) -> Sound:
    """Hiss through changing resonances, in syllables, as loud as speech."""
    random = np.random.default_rng(seed)
    pieces = []
    while sum(map(len, pieces)) < seconds * RATE_HZ:
        length = int(random.integers(900, 2_400))
        hz = random.uniform([300, 900, 2_000], [800, 2_000, 3_200])
        hiss = random.standard_normal(length)
        voiced = sum(signal.lfilter(*signal.iirpeak(each, 6, fs=RATE_HZ), hiss) for each in hz)
        pieces += [voiced * np.hanning(length), np.zeros(int(random.integers(100, 900)))]
    sound = np.concatenate(pieces)[: round(seconds * RATE_HZ)]
    return sound / sound.std() * 10 ** (dbfs / 20)


def room(seed: int = 5) -> Sound:
    taps = np.random.default_rng(seed).standard_normal(480) * 10 ** (-3 * np.arange(480) / 480)
    taps[0] = 2.0
    return taps / np.sqrt(np.sum(taps**2))


def echo_of(far: Sound, *, delay_ms: int, loss_db: float = 10.0, seed: int = 5) -> Sound:
    late = np.concatenate([np.zeros(delay_ms * RATE_HZ // 1_000), far])
    return np.convolve(late, room(seed))[: len(far)] * 10 ** (-loss_db / 20)


def over_the_line(sound: Sound) -> Sound:
    """Companded by mu-law."""
    return to_block(ulaw.decode(ulaw.encode(to_samples(sound.astype(np.float32)))))


def blocks(sound: Sound) -> Sound:
    return sound[: len(sound) // BLOCK * BLOCK].astype(np.float32).reshape(-1, BLOCK)


def cancelled(canceller: EchoCanceller, near: Sound, far: Sound) -> tuple[Sound, Sound]:
    out = [canceller.process(*pair) for pair in zip(blocks(near), blocks(far), strict=True)]
    return np.concatenate([linear for linear, _ in out]), np.concatenate([voice for _, voice in out])


def quieter_db(before: Sound, after: Sound) -> float:
    power = [np.mean(sound.astype(np.float64) ** 2) + 1e-15 for sound in (before, after)]
    return float(10 * np.log10(power[0] / power[1]))


def seconds(sound: Sound, start: float, end: float) -> Sound:
    return sound[round(start * RATE_HZ) : round(end * RATE_HZ)]


@pytest.mark.parametrize("delay_ms", [0, 250, 930])
def test_an_echo_is_found_wherever_it_lies_and_taken_away(engine: str, delay_ms: int) -> None:
    far = over_the_line(speech(6, 1))
    near = over_the_line(echo_of(far, delay_ms=delay_ms))
    canceller = EchoCanceller(engine)
    linear, voice = cancelled(canceller, near, far)
    assert canceller.delay_ms == pytest.approx(delay_ms, abs=5)
    assert canceller.engaged
    assert canceller.echo_seen
    assert quieter_db(seconds(near, 3.5, 6), seconds(linear, 3.5, 6)) > 20
    assert quieter_db(seconds(near, 2.5, 6), seconds(voice, 2.5, 6)) > 40
    assert canceller.erle_db > 15


def test_without_an_echo_the_trainee_comes_out_bit_for_bit(engine: str) -> None:
    far, near = over_the_line(speech(20, 1)), over_the_line(speech(20, 2))
    canceller = EchoCanceller(engine)
    linear, _ = cancelled(canceller, near, far)
    assert np.array_equal(linear, near)
    assert not canceller.echo_seen


def test_while_the_persona_is_silent_nothing_is_touched(engine: str) -> None:
    near = over_the_line(speech(3, 2))
    linear, voice = cancelled(EchoCanceller(engine), near, np.zeros_like(near))
    assert np.array_equal(linear, near)
    assert np.array_equal(voice, near)


def test_a_persona_who_has_fallen_silent_leaves_the_turn_to_the_trainee(engine: str) -> None:
    far = over_the_line(np.concatenate([speech(4, 1), np.zeros(4 * RATE_HZ)]))
    answer = np.concatenate([np.zeros(5 * RATE_HZ), speech(3, 2)])
    near = over_the_line(echo_of(far, delay_ms=200) + answer)
    linear, voice = cancelled(EchoCanceller(engine), near, far)
    assert np.array_equal(seconds(linear, 5, 8), seconds(voice, 5, 8))
    assert quieter_db(seconds(answer, 5, 8), seconds(linear - answer, 5, 8)) > 12


def test_who_talks_over_the_persona_is_heard(engine: str) -> None:
    far = over_the_line(speech(8, 1))
    interruption = np.concatenate([np.zeros(4 * RATE_HZ), speech(4, 2)])
    near = over_the_line(echo_of(far, delay_ms=180) + interruption)
    linear, voice = cancelled(EchoCanceller(engine), near, far)
    treble = signal.butter(4, 700, "highpass", fs=RATE_HZ, output="sos")  # the engines differ below
    echo, left = (signal.sosfilt(treble, seconds(sound - interruption, 4, 8)) for sound in (near, linear))
    assert quieter_db(echo, left) > 5
    assert abs(quieter_db(seconds(near, 4, 8), seconds(voice, 4, 8))) < 3


def test_double_talk_does_not_lead_the_filter_astray(engine: str) -> None:
    far = over_the_line(speech(11, 1))
    interruption = np.concatenate([np.zeros(4 * RATE_HZ), speech(4, 2), np.zeros(3 * RATE_HZ)])
    near = over_the_line(echo_of(far, delay_ms=180) + interruption)
    linear, _ = cancelled(EchoCanceller(engine), near, far)
    assert quieter_db(seconds(near, 8.2, 9), seconds(linear, 8.2, 9)) > 12


def test_an_echo_that_comes_another_way_is_learnt_again(engine: str) -> None:
    far = over_the_line(speech(9, 1))
    before, after = (echo_of(far, delay_ms=150, seed=seed) for seed in (5, 6))
    at = 4 * RATE_HZ
    near = over_the_line(np.concatenate([before[:at], after[at:]]))
    linear, _ = cancelled(EchoCanceller(engine), near, far)
    assert quieter_db(seconds(near, 7, 9), seconds(linear, 7, 9)) > 15


@pytest.mark.parametrize("delay_ms", [80, 330])
def test_an_echo_whose_delay_jumps_is_found_again(engine: str, delay_ms: int) -> None:
    far = over_the_line(speech(9, 1))
    before, after = echo_of(far, delay_ms=200), echo_of(far, delay_ms=delay_ms)
    at = 4 * RATE_HZ
    near = over_the_line(np.concatenate([before[:at], after[at:]]))
    canceller = EchoCanceller(engine)
    linear, _ = cancelled(canceller, near, far)
    assert canceller.delay_ms == pytest.approx(delay_ms, abs=5)
    assert canceller.realignments == 1
    assert quieter_db(seconds(near, 7, 9), seconds(linear, 7, 9)) > 15


def test_a_reference_put_right_needs_nothing_learned_anew(engine: str) -> None:
    far = over_the_line(np.concatenate([speech(5, 1), np.zeros(RATE_HZ // 2, np.float32), speech(4, 2)]))
    near = over_the_line(echo_of(far, delay_ms=300))
    early, at = 60 * RATE_HZ // 1_000, round(5.5 * RATE_HZ)
    noticed = at + 5 * BLOCK
    given = far.copy()
    given[at:noticed] = far[at + early : noticed + early]
    canceller = EchoCanceller(engine)
    first, _ = cancelled(canceller, near[:noticed], given[:noticed])
    canceller.far_end_moved(early)
    rest, _ = cancelled(canceller, near[noticed:], far[noticed:])
    linear = np.concatenate([first, rest])
    assert canceller.realignments == 0
    assert quieter_db(seconds(near, 5.8, 6.5), seconds(linear, 5.8, 6.5)) > 12


@pytest.mark.parametrize("ppm", [-100, 100])
def test_an_echo_from_a_telephone_whose_clock_is_off_is_followed(engine: str, ppm: int) -> None:
    far = over_the_line(speech(14, 1))
    fine = signal.resample_poly(echo_of(far, delay_ms=250), 16, 1)
    time = np.arange(len(fine))
    near = over_the_line(np.interp(time[::16] * (1 - ppm * 1e-6), time, fine))
    canceller = EchoCanceller(engine)
    at = 8 * RATE_HZ
    before, _ = cancelled(canceller, near[:at], far[:at])
    earlier_ms = canceller.delay_ms or 0.0
    after, _ = cancelled(canceller, near[at:], far[at:])
    linear = np.concatenate([before, after])
    assert canceller.delay_ms == pytest.approx(earlier_ms + ppm * 6e-3, abs=0.1)
    assert canceller.realignments == 0
    assert quieter_db(seconds(near, 10, 14), seconds(linear, 10, 14)) > 18


def test_before_the_echo_is_learnt_the_persona_does_not_hear_it_as_the_trainee(engine: str) -> None:
    far = over_the_line(speech(2, 1))
    near = over_the_line(echo_of(far, delay_ms=250))
    linear, voice = cancelled(EchoCanceller(engine), near, far)
    assert quieter_db(seconds(near, 0.3, 1), seconds(voice, 0.3, 1)) > 25
    assert np.array_equal(seconds(near, 0.3, 1), seconds(linear, 0.3, 1))


def test_a_line_on_which_the_greeting_did_not_come_back_is_never_muted() -> None:
    far = over_the_line(speech(6, 1))
    quiet = speech(6, 2, dbfs=-40)
    quiet[: 2 * RATE_HZ] = 0
    near = over_the_line(quiet)
    _, voice = cancelled(EchoCanceller("adaptive"), near, far)
    assert np.array_equal(near, voice)


def test_a_trainee_as_loud_as_the_persona_gets_through_from_the_first_word() -> None:
    far = over_the_line(speech(2, 1))
    near = over_the_line(np.concatenate([np.zeros(RATE_HZ // 2), speech(1.5, 2, dbfs=-22)]))
    _, voice = cancelled(EchoCanceller("adaptive"), near, far)
    assert quieter_db(seconds(near, 0.5, 2), seconds(voice, 0.5, 2)) < 3


def test_a_call_like_the_one_before_goes_like_it(engine: str) -> None:
    far = over_the_line(speech(3, 1))
    near = over_the_line(echo_of(far, delay_ms=100))
    canceller = EchoCanceller(engine)
    first = cancelled(canceller, near, far)
    canceller.reset()
    assert not canceller.echo_seen
    assert canceller.delay_ms is None
    again = cancelled(canceller, near, far)
    assert np.array_equal(first, again)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from(["silence", "square", "dc", "hiss", "click", "echo", "tone"]), min_size=2),
    level=st.sampled_from([1.0, 0.1, 1e-5, 1e-20]),
)
@pytest.mark.parametrize("name", ["auto", "adaptive"])
def test_whatever_comes_what_goes_on_is_finite_and_no_louder_than_speech_can_be(
    name: str, seed: int, kinds: list[str], level: float
) -> None:
    random = np.random.default_rng(seed)
    length = 40 * BLOCK
    time = np.arange(length)
    sounds = {
        "silence": np.zeros(length),
        "square": np.where(time // 20 % 2, 1.0, -1.0),
        "dc": np.ones(length),
        "hiss": random.uniform(-1, 1, length),
        "click": (time % 1_000 == 0).astype(float),
        "tone": np.sin(time * 0.7),
    }
    far = np.concatenate([sounds.get(kind, sounds["hiss"]) for kind in kinds]) * level
    near = np.concatenate([sounds.get(kind, sounds["hiss"]) for kind in reversed(kinds)])
    if "echo" in kinds:
        near = np.clip(np.roll(far, 500) * 2, -1, 1)
    canceller = EchoCanceller(name)
    for pair in zip(blocks(near), blocks(far), strict=True):
        for out in canceller.process(*pair):
            assert out.shape == (BLOCK,)
            assert out.dtype == np.float32
            assert np.isfinite(out).all()
            assert np.abs(out).max() <= 1
    canceller.close()


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'aec3' is none of auto, speex, adaptive"):
        EchoCanceller("aec3")
