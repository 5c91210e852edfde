"""Unvoiced sounds within speech. One letter is a window of 32 ms: V voice, s a hiss, . the line, B a bang."""

from audio.unvoiced import UnvoicedSound

LEVELS_DBFS = {"V": -16.0, "s": -36.0, ".": -70.0, "n": -45.0, "N": -34.0}


def speech(windows: str) -> str:
    """Which windows count as speech, as # and a dot."""
    sound = UnvoicedSound(window_ms=32)
    return "".join(
        "#" if sound.process(LEVELS_DBFS[letter], is_voice=letter == "V") else "." for letter in windows
    )


def test_a_hiss_between_vowels_is_speech() -> None:
    assert speech("...VVVVsssssVVV...") == "...############..."


def test_a_hiss_that_does_not_end_is_no_longer_speech_after_two_tenths_of_a_second() -> None:
    assert speech("...VVVVssssssssss") == "...##########...."


def test_a_hiss_before_anybody_has_spoken_counts_once_and_not_for_long() -> None:
    assert speech("..........ssssssssss").count("#") == 0


def test_the_noise_of_a_line_is_not_speech_however_loud() -> None:
    assert speech("N" * 40 + "VVVV" + "N" * 10) == "." * 40 + "####" + "." * 10


def test_on_a_noisy_line_silence_is_still_silence() -> None:
    assert speech("n" * 40 + "VVVV" + "n" * 10) == "." * 40 + "####" + "." * 10
