import io
import wave

import numpy as np
import pytest

import audio.ulaw
from agent.errors import TelephonyError
from telephony.simulator.sound import (
    Samples,
    decode_ulaw,
    encode_ulaw,
    key_tones,
    noise,
    read_wav,
    speech_burst,
)

EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)


def rms_dbfs(samples: Samples) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples / 32_768))))


def wav(samples: Samples, rate_hz: int, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(np.repeat(samples, channels).astype("<i2").tobytes())
    return file.getvalue()


@pytest.mark.parametrize(
    ("code", "sample"), [(0xFF, 0), (0x7F, 0), (0x00, -32_124), (0x80, 32_124), (0xF0, 120), (0x70, -120)]
)
def test_codes_have_the_levels_of_g711(code: int, sample: int) -> None:
    assert decode_ulaw(bytes([code])).tolist() == [sample]


@pytest.mark.parametrize(
    ("sample", "code"),
    [(0, 0xFF), (100, 0xF2), (-100, 0x72), (1_000, 0xCE), (-1_000, 0x4E), (32_767, 0x80), (-32_768, 0x00)],
)
def test_samples_have_the_codes_of_g711(sample: int, code: int) -> None:
    assert encode_ulaw(np.array([sample], dtype=np.int16)) == bytes([code])


def test_every_level_keeps_its_value() -> None:
    samples = decode_ulaw(EVERY_CODE)
    assert np.array_equal(decode_ulaw(encode_ulaw(samples)), samples)


def test_the_products_coder_agrees() -> None:
    assert np.array_equal(decode_ulaw(EVERY_CODE), audio.ulaw.decode(EVERY_CODE))
    ours = np.frombuffer(encode_ulaw(EVERY_SAMPLE), np.uint8).astype(int)
    theirs = np.frombuffer(audio.ulaw.encode(EVERY_SAMPLE), np.uint8).astype(int)
    assert np.mean(ours == theirs) > 0.98
    assert np.max(np.abs(decode_ulaw(bytes(ours.tolist())) - EVERY_SAMPLE.astype(int))) <= 644


def test_noise_has_the_level_it_is_asked_for_and_none_of_it_has_no_length() -> None:
    assert rms_dbfs(noise(1_000, -30.0, seed=1)) == pytest.approx(-30, abs=0.1)
    assert len(noise(0, -30.0, seed=1)) == 0


def test_the_stand_in_for_speech_lasts_as_long_as_its_text() -> None:
    text = "Good morning, this is the front desk."
    assert 2_000 < len(speech_burst(text)) / 8 < 3_000
    assert -30 < rms_dbfs(speech_burst(text)) < -15
    assert np.array_equal(speech_burst(text), speech_burst(text))


def test_keys_sound_as_two_tones() -> None:
    spectrum = np.abs(np.fft.rfft(key_tones("5")[:800]))
    strongest = sorted((np.argsort(spectrum)[-2:] * 10).tolist())
    assert strongest == [770, 1_340]


def test_waiting_in_digits_is_silent() -> None:
    assert len(key_tones("wW")) == 1_500 * 8
    assert not key_tones("wW").any()


def test_a_wav_file_of_any_rate_becomes_telephone_sound() -> None:
    time_s = np.arange(16_000) / 16_000
    tone = np.rint(8_000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
    read = read_wav(wav(tone, 16_000, channels=2))
    assert len(read) == 8_000
    assert np.argmax(np.abs(np.fft.rfft(read))) == 440


@pytest.mark.parametrize("body", [b"", b"ID3\x04", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_no_wav_file_is_refused(body: bytes) -> None:
    with pytest.raises(TelephonyError):
        read_wav(body)
