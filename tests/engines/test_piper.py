import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from agent.errors import EngineFailed, EngineUnavailable
from agent.speech import Speech, Voice
from pipelines.engines.piper import Piper
from pipelines.engines.piper_voices import voices_on_disk
from tests.engines.tiny_voice import HOP, RATE_HZ

PLAIN, TIMED = "en_US-plain-tiny", "en_US-timed-tiny"
SENTENCE = "Good morning, this is Dana speaking."


@pytest.fixture(scope="module")
def piper(voices: Path) -> Piper:
    return Piper(voices, PLAIN)


def duration_ms(speech: Speech) -> float:
    return speech.samples.size * 1000 / speech.rate_hz


def test_a_voice_speaks_at_its_own_rate_in_16_bit(piper: Piper) -> None:
    speech = piper.synthesise(SENTENCE, Voice(piper=(PLAIN,)))
    assert (str(speech.samples.dtype), speech.rate_hz) == ("int16", RATE_HZ)
    assert np.abs(speech.samples).max() > 20_000


def test_a_speaker_who_names_no_voice_gets_the_default(piper: Piper) -> None:
    assert piper.synthesise(SENTENCE, Voice()).samples.size
    assert (piper.engine, piper.model) == ("piper", PLAIN)


def test_speaking_half_as_fast_takes_twice_as_long(piper: Piper) -> None:
    slow, fast = (piper.synthesise(SENTENCE, Voice(rate_wpm=wpm)) for wpm in (85, 170))
    assert duration_ms(slow) / duration_ms(fast) == pytest.approx(2, rel=0.05)


def test_silence_around_the_speech_is_cut(piper: Piper) -> None:
    audible = np.flatnonzero(np.abs(piper.synthesise(SENTENCE, Voice()).samples) > 100)
    speech = piper.synthesise(SENTENCE, Voice())
    assert audible[0] * 1000 / RATE_HZ <= 6
    assert (speech.samples.size - audible[-1]) * 1000 / RATE_HZ <= 42


def test_words_share_the_time_by_their_length_where_the_voice_reports_no_durations(piper: Piper) -> None:
    speech = piper.synthesise("Go — immediately.", Voice())
    go, dash, immediately = speech.words
    assert (go.start_ms, dash.start_ms) == (0, dash.end_ms)
    assert (immediately.end_ms - immediately.start_ms) / (go.end_ms - go.start_ms) == pytest.approx(
        5.5, rel=0.1
    )
    assert immediately.end_ms <= duration_ms(speech)


def test_words_have_their_exact_place_where_the_voice_reports_durations(piper: Piper) -> None:
    speech = piper.synthesise(SENTENCE, Voice(piper=(TIMED,)))
    assert [word.text for word in speech.words] == SENTENCE.split()
    audible = np.abs(speech.samples) > 100
    frame_ms = HOP * 4 * 1000 / RATE_HZ
    for word, following in zip(speech.words, speech.words[1:], strict=False):
        # The voice beeps on phonemes and is silent on the space and its padding behind a word.
        gap = audible[
            round(word.end_ms * RATE_HZ / 1000) + 25 : round(following.start_ms * RATE_HZ / 1000) - 25
        ]
        assert not gap.any()
        assert following.start_ms - word.end_ms >= frame_ms
        assert audible[round(word.start_ms * RATE_HZ / 1000) + 50]


def test_numbers_are_said_as_espeak_says_them_and_timed_as_written(piper: Piper) -> None:
    for name in (PLAIN, TIMED):
        written = piper.synthesise("Pay $4,500 by 10:30.", Voice(piper=(name,)))
        heard = piper.synthesise(
            "Pay four thousand five hundred dollars by ten thirty.", Voice(piper=(name,))
        )
        assert np.array_equal(written.samples, heard.samples)
        assert [word.text for word in written.words] == ["Pay", "$4,500", "by", "10:30."]
        amount, until = written.words[1], heard.words[5]
        assert (amount.start_ms, amount.end_ms) == (heard.words[1].start_ms, until.end_ms)


def test_energy_makes_a_voice_louder_and_never_clips_it(piper: Piper) -> None:
    peaks = [int(np.abs(piper.synthesise(SENTENCE, Voice(energy=e)).samples).max()) for e in (0, 50, 99)]
    assert peaks == sorted(peaks)
    assert 20 * np.log10(peaks[2] / peaks[0]) == pytest.approx(6, abs=0.2)
    assert peaks[2] < 32_767


def test_words_that_espeak_merges_are_timed_in_proportion_even_so(piper: Piper) -> None:
    text = "It is one of the 4,000 in here."
    speech = piper.synthesise(text, Voice(piper=(TIMED,)))
    bounds = [bound for word in speech.words for bound in (word.start_ms, word.end_ms)]
    assert [word.text for word in speech.words] == text.split()
    assert bounds == sorted(bounds)
    assert bounds[-1] <= duration_ms(speech)


@pytest.mark.parametrize("text", ["", "...", "\0\x01", "😀", "[[ ]]"])
def test_text_without_anything_to_say_is_silent(piper: Piper, text: str) -> None:
    speech = piper.synthesise(text, Voice())
    assert (speech.samples.size, speech.words) == (0, ())


def test_text_cannot_contain_raw_phonemes(piper: Piper) -> None:
    said = piper.synthesise("hi [[ aaaaaaaaaaaaaaaaaaaaaaaa ]]", Voice())
    assert duration_ms(said) != duration_ms(piper.synthesise("hi", Voice()))
    assert [word.text for word in said.words] == ["hi", "[[", "a" * 24, "]]"]


def test_threads_share_a_voice(piper: Piper) -> None:
    expected = piper.synthesise(SENTENCE, Voice()).samples
    with ThreadPoolExecutor(4) as threads:
        spoken = list(threads.map(lambda _: piper.synthesise(SENTENCE, Voice()).samples, range(12)))
    assert all(np.array_equal(samples, expected) for samples in spoken)


@pytest.mark.parametrize("name", ["en_US-nobody-medium", "../secret", "a/b"])
def test_a_voice_that_is_not_there_is_named(piper: Piper, name: str) -> None:
    with pytest.raises(EngineFailed, match=name):
        piper.synthesise("Hello.", Voice(piper=(name,)))


def test_a_voice_that_cannot_be_loaded_gives_way_to_the_next_one(voices: Path, tmp_path: Path) -> None:
    for ending in (".onnx", ".onnx.json"):
        shutil.copy(voices / f"{PLAIN}{ending}", tmp_path)
        (tmp_path / f"en_US-broken-tiny{ending}").write_bytes(b"not what it should be")
    piper = Piper(tmp_path, "en_US-broken-tiny")
    names = ("en_US-nobody-medium", "en_US-broken-tiny", PLAIN)
    assert piper.synthesise(SENTENCE, Voice(piper=names)).samples.size
    with pytest.raises(EngineFailed, match="nobody"):
        piper.synthesise(SENTENCE, Voice(piper=names[:2]))


def test_a_voice_that_could_not_be_loaded_is_not_tried_in_every_clause(voices: Path, tmp_path: Path) -> None:
    for ending in (".onnx", ".onnx.json"):
        shutil.copy(voices / f"{PLAIN}{ending}", tmp_path)
    piper = Piper(tmp_path, PLAIN)
    voice = Voice(piper=(TIMED, PLAIN))
    before = piper.synthesise(SENTENCE, voice)
    for ending in (".onnx", ".onnx.json"):
        shutil.copy(voices / f"{TIMED}{ending}", tmp_path)
    assert piper.synthesise(SENTENCE, voice).words == before.words


@pytest.mark.parametrize("broken", [".onnx", ".onnx.json"])
def test_a_voice_that_cannot_be_read_is_unavailable(voices: Path, tmp_path: Path, broken: str) -> None:
    for ending in (".onnx", ".onnx.json"):
        shutil.copy(voices / f"{PLAIN}{ending}", tmp_path)
    (tmp_path / f"{PLAIN}{broken}").write_bytes(b"not what it should be")
    with pytest.raises(EngineUnavailable, match=PLAIN):
        Piper(tmp_path, PLAIN).load(PLAIN)


def test_half_a_voice_is_not_on_disk(voices: Path, tmp_path: Path) -> None:
    shutil.copy(voices / f"{PLAIN}.onnx", tmp_path)
    assert voices_on_disk(voices) == [PLAIN, TIMED]
    assert voices_on_disk(tmp_path) == voices_on_disk(tmp_path / "missing") == []
