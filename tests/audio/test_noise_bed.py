"""What is heard behind a speaker: at its level, without an end, and like what it is called."""

import numpy as np
import pytest

from audio.band import BANDS
from audio.blocks import BLOCK, RATE_HZ, Block
from audio.noise_bed import BEDS, NoiseBed, loop


def heard(name: str, seconds: float, *, dbfs: float = -40, band: str = "", seed: int = 1) -> Block:
    bed = NoiseBed(name, dbfs, band=band, seed=seed)
    return np.concatenate([bed.next() for _ in range(round(seconds * RATE_HZ / BLOCK))])


def dbfs_of(sound: Block) -> float:
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2) + 1e-20))


def share_db(sound: Block, low_hz: float, high_hz: float) -> float:
    """The power within a band, to all of it."""
    power = (np.abs(np.fft.rfft(sound.reshape(-1, RATE_HZ) * np.hanning(RATE_HZ), axis=1)) ** 2).mean(axis=0)
    return float(10 * np.log10(power[int(low_hz) : int(high_hz)].sum() / power.sum()))


def ranges_db(sound: Block, ms: int) -> Block:
    """The levels of stretches of `ms`, in order of size."""
    length = RATE_HZ * ms // 1_000
    power = np.mean(
        sound[: len(sound) // length * length].reshape(-1, length).astype(np.float64) ** 2, axis=1
    )
    return np.asarray(np.sort(10 * np.log10(power)), np.float32)


@pytest.mark.parametrize(
    ("name", "band"), [*((name, "") for name in BEDS), ("street", "radio"), ("cafe", "mobile")]
)
def test_any_ten_seconds_of_a_bed_are_at_its_level(name: str, band: str) -> None:
    sound = heard(name, 80, dbfs=-43, band=band)
    for start in range(0, 70, 5):
        assert dbfs_of(sound[start * RATE_HZ : (start + 10) * RATE_HZ]) == pytest.approx(-43, abs=1)


@pytest.mark.parametrize("name", BEDS)
def test_the_end_of_a_bed_leads_to_its_beginning_like_any_sample_to_the_next(name: str) -> None:
    sound = loop(name).astype(np.float64)
    around = np.concatenate([sound[-2_000:], sound[:2_000]])
    bends = np.abs(np.diff(around, 2))
    seam = bends[1_997:2_001].max()
    assert seam <= np.quantile(bends, 0.999)


@pytest.mark.parametrize("name", BEDS)
def test_a_bed_has_no_step_from_block_to_block_that_it_has_not_within(name: str) -> None:
    steps = np.abs(np.diff(heard(name, 70).astype(np.float64)))
    between = steps[BLOCK - 1 :: BLOCK]
    within = np.delete(steps, np.arange(BLOCK - 1, len(steps), BLOCK))
    assert between.max() <= within.max()
    assert np.sqrt(np.mean(between**2)) == pytest.approx(np.sqrt(np.mean(within**2)), rel=0.1)


@pytest.mark.parametrize("name", set(BEDS) - {"office", "cafe", "rain"})
def test_a_bed_without_keys_cups_or_drops_does_not_click(name: str) -> None:
    steps = np.diff(loop(name).astype(np.float64))[:-799].reshape(-1, 800)
    assert (np.abs(steps).max(axis=1) < 6 * np.sqrt(np.mean(steps**2, axis=1))).all()


def test_the_same_seed_is_the_same_moment_and_another_seed_another() -> None:
    assert np.array_equal(heard("street", 1, seed=7), heard("street", 1, seed=7))
    assert abs(np.corrcoef(heard("hiss", 1, seed=7), heard("hiss", 1, seed=8))[0, 1]) < 0.1


@pytest.mark.parametrize("band", BANDS)
def test_a_bed_comes_through_the_speakers_own_line(band: str) -> None:
    sound = heard("hiss", 10, band=band)
    assert share_db(sound, 0, BANDS[band].low_hz / 2) < -30
    assert share_db(sound, BANDS[band].low_hz, BANDS[band].high_hz) > -0.5


def test_cars_pass_in_the_street_and_rain_is_steady() -> None:
    street, rain = ranges_db(heard("street", 64), 500), ranges_db(heard("rain", 64), 500)
    assert street[-1] - street[0] > 8
    assert rain[-1] - rain[0] < 5


def test_a_car_rumbles_and_rain_rushes() -> None:
    assert share_db(heard("car", 20), 0, 300) > -1
    assert share_db(heard("rain", 20), 1_000, 4_000) > -3


def test_people_in_a_cafe_talk_at_the_pace_of_syllables() -> None:
    def modulation(name: str) -> float:
        """How much the envelope moves at 2 to 8 Hz."""
        length = RATE_HZ // 100
        envelope = np.sqrt(np.mean(heard(name, 60).reshape(-1, length) ** 2, axis=1))
        power = np.abs(np.fft.rfft(envelope / envelope.mean() - 1)) ** 2
        hz = np.fft.rfftfreq(len(envelope), 0.01)
        return float(power[(hz > 2) & (hz < 8)].sum())

    assert modulation("cafe") > 3 * modulation("hiss")


def test_a_siren_wails_over_more_than_half_an_octave() -> None:
    pieces = heard("siren", 30).reshape(-1, 800)
    loudest = np.argmax(np.abs(np.fft.rfft(pieces * np.hanning(800), axis=1))[:, 40:200], axis=1) * 10 + 400
    assert np.quantile(loudest, 0.9) / np.quantile(loudest, 0.1) > 1.5


def test_a_bed_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no noise bed 'beach'; there are street, office, cafe"):
        loop("beach")
