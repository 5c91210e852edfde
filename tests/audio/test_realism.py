"""A bad line: what it does to a voice, how often, and what it leaves alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from audio.band import BANDS
from audio.blocks import BLOCK, RATE_HZ, Block
from audio.realism import LineRealism, LineRealismSettings

CLEAN = LineRealismSettings()
WORST = LineRealismSettings(
    band="radio",
    bed="rain",
    bed_dbfs=-30,
    loss_percent=20,
    loss_burst_ms=60,
    jitter_ms=90,
    dropouts_per_minute=30,
    dropout_ms=200,
)


def vowel(seconds: float, f0_hz: float = 120.0) -> Block:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    harmonics = range(1, int(3_400 / f0_hz) + 1)
    return np.asarray(0.1 * sum(np.sin(2 * np.pi * f0_hz * n * at) / n for n in harmonics), np.float32)


def through(line: LineRealism, sound: Block) -> Block:
    return np.concatenate([line.process(block) for block in sound.reshape(-1, BLOCK)])


def heard(line_settings: LineRealismSettings, sound: Block, *, seed: int = 1) -> Block:
    return through(LineRealism(line_settings, seed=seed), sound)


def levels(sound: Block) -> Block:
    """The RMS of each block."""
    return np.asarray(np.sqrt(np.mean(sound.reshape(-1, BLOCK) ** 2, axis=1)), np.float32)


def tone_gain_db(line_settings: LineRealismSettings, hz: float) -> float:
    tone = np.asarray(0.02 * np.sin(2 * np.pi * hz * np.arange(2 * RATE_HZ) / RATE_HZ), np.float32)
    after = heard(line_settings, tone)[RATE_HZ:]
    return float(20 * np.log10(np.sqrt(np.mean(after**2) / np.mean(tone[RATE_HZ:] ** 2))))


LINES = st.builds(
    LineRealismSettings,
    band=st.sampled_from(["", *BANDS]),
    bed=st.sampled_from(["", "hiss"]),
    bed_dbfs=st.sampled_from([-60.0, -20.0]),
    loss_percent=st.sampled_from([0.0, 5.0, 50.0]),
    loss_burst_ms=st.sampled_from([20.0, 100.0]),
    jitter_ms=st.sampled_from([0.0, 30.0, 500.0]),
    dropouts_per_minute=st.sampled_from([0.0, 60.0]),
    dropout_ms=st.sampled_from([20.0, 130.0]),
)
BLOCKS = st.lists(
    hnp.arrays(np.float32, BLOCK, elements=st.floats(-1, 1, width=32)) | st.just(np.zeros(BLOCK, np.float32)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(LINES, BLOCKS, st.integers(0, 3))
def test_whatever_is_said_comes_out_as_long_finite_and_within_full_scale(
    line_settings: LineRealismSettings, blocks: list[Block], seed: int
) -> None:
    line = LineRealism(line_settings, seed=seed)
    for block in blocks * 8:
        before = block.copy()
        for out in (line.process(block), line.bed()):
            assert out.shape == (BLOCK,) and out.dtype == np.float32
            assert np.isfinite(out).all() and np.abs(out).max() <= 1
        assert np.array_equal(block, before)


def test_a_clean_line_changes_no_bit() -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, 100 * BLOCK).astype(np.float32)
    line = LineRealism(CLEAN, seed=1)
    assert CLEAN.is_clean and not line.has_bed and not line.holds_speech
    assert np.array_equal(through(line, noise), noise)
    assert not line.bed().any()


@pytest.mark.parametrize(
    "changed", [{"band": "mobile"}, {"bed": "car"}, {"loss_percent": 1}, {"jitter_ms": 20}]
)
def test_a_line_that_does_anything_is_not_clean(changed: dict[str, object]) -> None:
    assert not LineRealismSettings(**changed).is_clean  # type: ignore[arg-type]


def test_the_same_seed_is_the_same_line_and_another_seed_another() -> None:
    said = vowel(5)
    assert np.array_equal(heard(WORST, said, seed=3), heard(WORST, said, seed=3))
    assert not np.array_equal(heard(WORST, said, seed=3), heard(WORST, said, seed=4))


@pytest.mark.parametrize("name", BANDS)
def test_a_band_keeps_what_is_inside_and_takes_away_what_is_an_octave_outside(name: str) -> None:
    line, band = LineRealismSettings(band=name), BANDS[name]
    for hz in np.geomspace(band.low_hz, band.high_hz, 9):
        assert tone_gain_db(line, hz) == pytest.approx(0, abs=1.5)
    assert tone_gain_db(line, band.low_hz / 2) < -20
    assert tone_gain_db(line, min(2 * band.high_hz, 3_990)) < -20


def test_a_radio_squashes_what_is_loud() -> None:
    loud = np.asarray(0.9 * np.sin(2 * np.pi * 1_000 * np.arange(RATE_HZ) / RATE_HZ), np.float32)
    assert np.abs(heard(LineRealismSettings(band="radio"), loud)[BLOCK:]).max() < 0.65
    assert np.abs(heard(LineRealismSettings(band="mobile"), loud)[BLOCK:]).max() > 0.75


def test_after_speech_a_band_falls_exactly_silent() -> None:
    line = LineRealism(LineRealismSettings(band="telephone"), seed=1)
    through(line, vowel(2))
    silence = through(line, np.zeros(20 * BLOCK, np.float32))
    assert not silence[10 * BLOCK :].any()


def lost_blocks(percent: float, burst_ms: float, said: Block, *, seed: int) -> NDArray[np.bool_]:
    """Which blocks are not those that were said."""
    after = heard(LineRealismSettings(loss_percent=percent, loss_burst_ms=burst_ms), said, seed=seed)
    same_end = after.reshape(-1, BLOCK)[:, BLOCK // 2 :] == said.reshape(-1, BLOCK)[:, BLOCK // 2 :]
    return np.asarray(~same_end.all(axis=1), np.bool_)


@pytest.mark.parametrize(("percent", "burst_ms"), [(2.0, 20.0), (5.0, 60.0), (20.0, 100.0)])
def test_as_many_packets_are_lost_as_was_said_and_as_many_in_a_row(percent: float, burst_ms: float) -> None:
    said = np.random.default_rng(5).normal(0, 0.1, 6_000 * BLOCK).astype(np.float32)
    lost = np.concatenate([lost_blocks(percent, burst_ms, said, seed=seed) for seed in range(3)])
    bursts = np.count_nonzero(np.diff(lost.astype(np.int8)) == 1)
    spread = percent * 4 * np.sqrt(2 * burst_ms / 20 / (len(lost) * percent / 100))
    assert 100 * lost.mean() == pytest.approx(percent, abs=spread)
    assert 20 * lost.sum() / bursts == pytest.approx(burst_ms, rel=4 / np.sqrt(bursts))


def test_a_lost_packet_is_made_up_for_and_not_silent() -> None:
    said = vowel(20)
    lost = lost_blocks(3, 20, said, seed=2)
    after = levels(heard(LineRealismSettings(loss_percent=3), said, seed=2))
    alone = np.flatnonzero(lost[1:] & ~lost[:-1]) + 1
    assert len(alone) > 15
    assert (after[alone] > 0.5 * levels(said)[alone]).all()


_ENDING = 40


def behind_samples(after: Block, said: Block, longest: int) -> list[int]:
    """By how much the end of each block is late, where it is found again exactly."""
    late = []
    for end in range(longest + BLOCK, len(after), BLOCK):
        window = said[end - longest - _ENDING : end]
        differences = np.lib.stride_tricks.sliding_window_view(window, _ENDING) - after[end - _ENDING : end]
        best = int(np.argmin(np.abs(differences).max(axis=1)))
        if np.abs(differences[best]).max() < 1e-6:
            late.append(longest - best)
    return late


@pytest.mark.parametrize("jitter_ms", [20, 40, 90])
def test_jitter_makes_a_voice_late_now_and_then_within_its_bound_and_never_for_good(jitter_ms: int) -> None:
    random = np.random.default_rng(3)
    said = vowel(60) + random.normal(0, 0.002, 60 * RATE_HZ).astype(np.float32)
    after = heard(LineRealismSettings(jitter_ms=jitter_ms), said)
    bound = -(-jitter_ms // 20) * BLOCK
    late = behind_samples(after, said, bound + BLOCK)
    assert len(late) > 0.9 * len(said) / BLOCK
    assert 0 < max(late) <= bound
    assert np.mean(np.array(late) == 0) > 0.5
    assert 0 in late[-200:]


def test_what_is_late_when_the_speaker_stops_is_still_heard_and_then_no_more() -> None:
    hiss = np.random.default_rng(4).normal(0, 0.1, (2_000, BLOCK)).astype(np.float32)
    line = LineRealism(LineRealismSettings(jitter_ms=100), seed=1)
    said = next(n for n, block in enumerate(hiss) if line.process(block) is not None and line.holds_speech)
    rest = [line.bed() for _ in range(10)]
    found = np.lib.stride_tricks.sliding_window_view(np.concatenate(rest), BLOCK // 2)
    assert (found == hiss[said][BLOCK // 2 :]).all(axis=1).any()
    assert not line.holds_speech
    assert not rest[-1].any()


def test_the_voice_drops_out_as_often_and_as_long_as_was_said() -> None:
    minutes = 20
    said = np.full(minutes * 60 * RATE_HZ, 0.1, np.float32)
    after = heard(LineRealismSettings(dropouts_per_minute=4, dropout_ms=400), said)
    gone = levels(after) < 0.06
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], gone, [0]]))).reshape(-1, 2), axis=1)
    assert len(runs) == pytest.approx(4 * minutes, abs=4 * np.sqrt(4 * minutes))
    assert np.median(runs) == 20
    assert np.abs(np.diff(after)).max() < 0.1 * 0.1


def test_a_dropout_takes_the_voice_and_leaves_the_noise() -> None:
    said = vowel(60)
    bed = LineRealism(LineRealismSettings(bed="hiss", bed_dbfs=-40), seed=1)
    noise = np.concatenate([bed.bed() for _ in range(len(said) // BLOCK)]).reshape(-1, BLOCK)
    dropping = LineRealismSettings(bed="hiss", bed_dbfs=-40, dropouts_per_minute=10, dropout_ms=400)
    after = heard(dropping, said).reshape(-1, BLOCK)
    noise_alone = (after == noise).all(axis=1)
    assert noise_alone.sum() >= 3 * 19
    assert levels(after).min() > 0.7 * 10 ** (-40 / 20)


@pytest.mark.parametrize("bed", ["street", "hiss"])
def test_the_noise_goes_on_whether_somebody_speaks_or_not(bed: str) -> None:
    silent = np.zeros(BLOCK, np.float32)
    turns, alone = (LineRealism(LineRealismSettings(bed=bed), seed=6) for _ in range(2))
    mixed = np.concatenate([turns.process(silent) if n % 3 else turns.bed() for n in range(300)])
    assert turns.has_bed
    assert np.array_equal(mixed, np.concatenate([alone.bed() for _ in range(300)]))
    assert 0.5 < np.sqrt(np.mean(mixed**2)) / 10 ** (-45 / 20) < 2


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"band": "carrier pigeon"}, "no band 'carrier pigeon'; there are telephone, mobile, radio"),
        ({"bed": "beach"}, "no noise bed 'beach'; there are street"),
        ({"loss_percent": 51}, "loss_percent should be 0 to 50, not 51"),
        ({"loss_percent": float("nan")}, "loss_percent should be 0 to 50, not nan"),
        ({"jitter_ms": -1}, "jitter_ms should be 0 to 500, not -1"),
        ({"dropout_ms": 10}, "dropout_ms should be 20 to 10000, not 10"),
    ],
)
def test_a_line_that_there_cannot_be_is_refused_with_the_reason(
    wrong: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        LineRealismSettings(**wrong)  # type: ignore[arg-type]
