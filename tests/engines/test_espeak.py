import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.errors import EngineFailed
from agent.speech import Speech, Voice
from pipelines.engines.espeak import Espeak, open_espeak

VOICES = ("en-us", "en-us+f3", "en-us+m3", "en-us+klatt4", "en-gb", "en-gb-scotland", "en-us+f5", "de")
SENTENCE = "That makes sense, who do you order from today?"


def duration_ms(speech: Speech) -> float:
    return speech.samples.size * 1000 / speech.rate_hz


def timbre(speech: Speech) -> NDArray[np.float64]:
    """The mean spectrum in decibels."""
    frames = np.lib.stride_tricks.sliding_window_view(speech.samples.astype(np.float64), 512)[::256]
    power = np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2
    return np.asarray(10 * np.log10(np.mean(power, axis=0) + 1), np.float64)


def sounds_most_like(speech: Speech, references: Sequence[Speech]) -> int:
    return int(np.argmin([np.abs(timbre(speech) - timbre(one)).mean() for one in references]))


def assert_words_fit(text: str, speech: Speech) -> None:
    assert [word.text for word in speech.words] in (text.split(), [])
    bounds = [bound for word in speech.words for bound in (word.start_ms, word.end_ms)]
    assert bounds == sorted(bounds)
    assert all(0 <= bound <= duration_ms(speech) for bound in bounds)


def test_speech_is_16_bit_at_22050_hz(espeak: Espeak) -> None:
    speech = espeak.synthesise(SENTENCE, Voice())
    assert (str(speech.samples.dtype), speech.rate_hz) == ("int16", 22_050)


def test_each_word_has_its_place_in_the_sound(espeak: Espeak) -> None:
    speech = espeak.synthesise(SENTENCE, Voice())
    assert_words_fit(SENTENCE, speech)
    assert all(word.end_ms > word.start_ms for word in speech.words)


def test_a_word_ends_where_the_pause_behind_it_starts(espeak: Espeak) -> None:
    speech = espeak.synthesise("Wait. Goodbye.", Voice())
    wait, goodbye = speech.words
    pause = speech.samples[wait.end_ms * 22 + 1_000 : goodbye.start_ms * 22]
    assert goodbye.start_ms - wait.end_ms > 200
    assert np.abs(pause).max() < 64


def test_words_that_espeak_merges_or_divides_are_timed_as_written(espeak: Espeak) -> None:
    text = "It is out of the 4,000 in Dr. Smith's well-known 24/7 café — “really”?"
    speech = espeak.synthesise(text, Voice())
    assert_words_fit(text, speech)
    assert {word.text for word in speech.words if word.start_ms == word.end_ms} == {"—"}


def test_there_is_no_silence_before_the_speech_and_little_behind_it(espeak: Espeak) -> None:
    speech = espeak.synthesise(SENTENCE, Voice())
    audible = np.flatnonzero(np.abs(speech.samples) > 64)
    assert audible[0] == 0
    assert (speech.samples.size - audible[-1]) * 1000 // speech.rate_hz == 40


def test_a_faster_speaker_takes_less_time(espeak: Espeak) -> None:
    slow, fast = (espeak.synthesise(SENTENCE, Voice(rate_wpm=wpm)) for wpm in (120, 240))
    assert 1.6 < duration_ms(slow) / duration_ms(fast) < 2.4


def pitches_hz(speech: Speech) -> NDArray[np.float64]:
    """The pitch of the loud parts, by the peak of the cepstrum between 55 and 220 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(speech.samples.astype(np.float64), 2_048)[::512]
    loud = frames[np.abs(frames).mean(axis=1) > np.abs(speech.samples).mean()]
    cepstra = np.fft.irfft(np.log(np.abs(np.fft.rfft(loud * np.hanning(2_048), axis=1)) + 1), axis=1)
    return np.asarray(speech.rate_hz / (np.argmax(cepstra[:, 100:400], axis=1) + 100))


def test_a_higher_pitch_sounds_higher(espeak: Espeak) -> None:
    low, high = (espeak.synthesise(SENTENCE, Voice(pitch=pitch)) for pitch in (10, 90))
    assert np.median(pitches_hz(high)) > 1.3 * np.median(pitches_hz(low))


@pytest.mark.parametrize("name", ["xx", "en-us+nobody", "", "../en", "en-us+../../en", "en-us\ud800"])
def test_a_voice_that_does_not_exist_is_named(espeak: Espeak, name: str) -> None:
    with pytest.raises(EngineFailed) as failure:
        espeak.synthesise("Hello.", Voice(espeak=(name,)))
    assert repr(name) in str(failure.value)


def test_a_voice_that_does_not_exist_gives_way_to_the_next_one(espeak: Espeak) -> None:
    references = [espeak.synthesise(SENTENCE, Voice(espeak=(name,))) for name in ("en-us", "en-us+f3")]
    speech = espeak.synthesise(SENTENCE, Voice(espeak=("en-us+nobody", "xx", "en-us+f3", "en-us")))
    assert sounds_most_like(speech, references) == 1
    with pytest.raises(EngineFailed, match="'xx' or 'yy'"):
        espeak.synthesise(SENTENCE, Voice(espeak=("xx", "yy")))


def test_energy_is_loud_and_lively(espeak: Espeak) -> None:
    def level_db(speech: Speech) -> float:
        return float(10 * np.log10(np.mean(speech.samples.astype(np.float64) ** 2)))

    soft, lively = (espeak.synthesise(SENTENCE, Voice(energy=energy)) for energy in (5, 95))
    assert 3 < level_db(lively) - level_db(soft) < 8
    assert np.std(pitches_hz(lively)) > 1.3 * np.std(pitches_hz(soft))
    assert np.abs(lively.samples).max() < 32_767


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("It is $4,500 by 10:30.", "It is four thousand five hundred dollars by ten thirty."),
        ("1420 W 5th St, Apt 3B", "fourteen twenty west fifth street, apartment three B"),
        ("Call 911.", "Call nine one one."),
    ],
)
def test_numbers_are_said_as_people_say_them_and_timed_as_written(
    espeak: Espeak, written: str, heard: str
) -> None:
    speech, plain = (espeak.synthesise(text, Voice()) for text in (written, heard))
    assert duration_ms(speech) == pytest.approx(duration_ms(plain), rel=0.02)
    assert_words_fit(written, speech)
    assert speech.words[-1].end_ms == pytest.approx(plain.words[-1].end_ms, rel=0.02)


def test_other_languages_read_their_own_numbers(espeak: Espeak) -> None:
    german = Voice(espeak=("de",), language="de")
    as_written, in_words = (
        espeak.synthesise(text, german) for text in ("Um 21 Uhr.", "Um einundzwanzig Uhr.")
    )
    assert duration_ms(as_written) == pytest.approx(duration_ms(in_words), rel=0.05)


def test_british_english_goes_by_its_usual_name(espeak: Espeak) -> None:
    british, american = (
        espeak.synthesise("A hot bath.", Voice(espeak=(name,))) for name in ("en-gb+f2", "en-us+f2")
    )
    assert british.samples.size != american.samples.size


@pytest.mark.parametrize("text", ["", " ", "...", "—", "\0", "\x01", "\ud83d", "😀", "👩‍🚒", "[[ ]]"])
def test_text_without_anything_to_say_is_silent(espeak: Espeak, text: str) -> None:
    speech = espeak.synthesise(text, Voice())
    assert (speech.samples.size, speech.words) == (0, ())


def test_an_emoji_is_not_read_out(espeak: Espeak) -> None:
    plain, adorned = (espeak.synthesise(text, Voice()) for text in ("Goodbye now.", "Goodbye 😀 now. 👍🏽"))
    assert duration_ms(adorned) == pytest.approx(duration_ms(plain), rel=0.2)
    assert [word.text for word in adorned.words] == ["Goodbye", "😀", "now.", "👍🏽"]


def test_text_cannot_command_the_engine(espeak: Espeak) -> None:
    # Control-A starts an embedded command of espeak-ng: here, speak at 450 words a minute.
    commanded = espeak.synthesise(f"\x01450S {SENTENCE}", Voice())
    assert duration_ms(commanded) > duration_ms(espeak.synthesise(SENTENCE, Voice()))


def test_text_after_a_zero_character_is_spoken(espeak: Espeak) -> None:
    assert [word.text for word in espeak.synthesise("one\0two three", Voice()).words] == ["one\0two", "three"]


def test_ten_kilobytes_are_spoken_to_the_end(espeak: Espeak) -> None:
    text = "Well, that is a fine thing to say. " * 290
    speech = espeak.synthesise(text, Voice(rate_wpm=450))
    assert_words_fit(text, speech)
    assert duration_ms(speech) - speech.words[-1].end_ms < 100


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=120), voice=st.sampled_from(VOICES))
def test_any_text_is_safe(espeak: Espeak, text: str, voice: str) -> None:
    assert_words_fit(text, espeak.synthesise(text, Voice(espeak=(voice,))))


@settings(max_examples=30, deadline=None)
@given(rate=st.integers(), pitch=st.integers(), energy=st.integers())
def test_any_manner_is_safe(espeak: Espeak, rate: int, pitch: int, energy: int) -> None:
    voice = Voice(rate_wpm=rate, pitch=pitch, energy=energy)
    assert espeak.synthesise("Yes.", voice).samples.size


def test_eight_threads_each_hear_their_own_voice(espeak: Espeak) -> None:
    references = [espeak.synthesise(SENTENCE, Voice(espeak=(name,))) for name in VOICES]
    together = threading.Barrier(len(VOICES))

    def speak(name: str) -> list[Speech]:
        together.wait()
        return [espeak.synthesise(SENTENCE, Voice(espeak=(name,))) for _ in range(5)]

    with ThreadPoolExecutor(len(VOICES)) as threads:
        spoken = list(threads.map(speak, VOICES))
    for number, (speeches, reference) in enumerate(zip(spoken, references, strict=True)):
        for speech in speeches:
            assert duration_ms(speech) == pytest.approx(duration_ms(reference), rel=0.02)
            assert sounds_most_like(speech, references) == number


def test_two_engines_at_once_do_not_disturb_each_other(espeak: Espeak) -> None:
    references = [espeak.synthesise(SENTENCE, Voice(espeak=(name,))) for name in ("en-us", "en-us+f3")]

    def speak(engine: Espeak, name: str) -> list[Speech]:
        return [engine.synthesise(SENTENCE, Voice(espeak=(name,))) for _ in range(20)]

    with open_espeak() as other, ThreadPoolExecutor(2) as threads:
        men, women = threads.submit(speak, espeak, "en-us"), threads.submit(speak, other, "en-us+f3")
        assert {sounds_most_like(speech, references) for speech in men.result()} == {0}
        assert {sounds_most_like(speech, references) for speech in women.result()} == {1}


def test_pipers_own_copy_of_espeak_can_be_used_at_the_same_time(espeak: Espeak) -> None:
    from piper.phonemize_espeak import EspeakPhonemizer

    phonemizer = EspeakPhonemizer()
    expected = phonemizer.phonemize("de", SENTENCE)
    reference = espeak.synthesise(SENTENCE, Voice())
    with ThreadPoolExecutor(2) as threads:
        speaking = threads.submit(lambda: [espeak.synthesise(SENTENCE, Voice()) for _ in range(30)])
        phonemes = threads.submit(lambda: [phonemizer.phonemize("de", SENTENCE) for _ in range(300)])
        assert all(found == expected for found in phonemes.result())
        for speech in speaking.result():
            assert duration_ms(speech) == pytest.approx(duration_ms(reference), rel=0.02)


def test_an_engine_that_is_closed_says_so() -> None:
    with open_espeak() as engine:
        pass
    with pytest.raises(EngineFailed, match="closed"):
        engine.synthesise("Hello.", Voice())
