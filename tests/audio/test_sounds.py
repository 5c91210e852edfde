import numpy as np
import pytest

from audio.blocks import RATE_HZ
from audio.levels import rms_dbfs
from audio.sounds import SOUNDS, sound


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_is_short_audible_and_not_too_loud(name: str) -> None:
    samples = sound(name)

    assert samples.dtype == np.int16 and samples.ndim == 1
    assert 0.15 < len(samples) / RATE_HZ < 2.0
    assert 500 < np.abs(samples.astype(int)).max() < 26_000
    assert -50 < rms_dbfs(samples) < -10


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_is_the_same_every_time_and_cannot_be_changed(name: str) -> None:
    assert sound(name) is sound(name)
    with pytest.raises(ValueError, match="read-only"):
        sound(name)[0] = 1


def test_a_key_is_heard_as_dtmf_five() -> None:
    tone = sound("key")[: round(0.18 * RATE_HZ)].astype(float)
    spectrum = np.abs(np.fft.rfft(tone))
    peaks_hz = np.argsort(spectrum)[-2:] * RATE_HZ / len(tone)

    assert sorted(peaks_hz) == pytest.approx([770, 1336], abs=6)


def test_an_unknown_sound_is_an_error() -> None:
    with pytest.raises(KeyError):
        sound("cough")
