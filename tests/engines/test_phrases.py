import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agent.speech import Speech, SpokenWord, Voice
from pipelines.engines.phrases import PhraseKey, Phrases

VOICE = Voice()


def key(text: str, voice: Voice = VOICE) -> PhraseKey:
    return PhraseKey("espeak", "", voice, text)


def speech(samples: int = 8_000, value: int = 1) -> Speech:
    return Speech(np.full(samples, value, np.int16), 8_000, (SpokenWord("Hello.", 0, 990),))


def test_what_was_spoken_before_is_found_again() -> None:
    phrases = Phrases()
    phrases.put(key("Hello."), speech(value=7))
    found = phrases.get(key("Hello."))
    assert found is not None
    assert (int(found.samples[0]), found.words) == (7, speech().words)
    assert (phrases.hits, phrases.misses) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [
        PhraseKey("piper", "", VOICE, "Hello."),
        PhraseKey("espeak", "x", VOICE, "Hello."),
        key("Hello.", Voice(energy=60)),
        key("Hello"),
    ],
)
def test_another_engine_model_voice_or_text_is_another_phrase(other: PhraseKey) -> None:
    phrases = Phrases()
    phrases.put(key("Hello."), speech())
    assert phrases.get(other) is None
    assert (phrases.hits, phrases.misses) == (0, 1)


def test_the_least_recently_used_goes_first() -> None:
    phrases = Phrases(limit_bytes=36_000)
    for text in ("one", "two"):
        phrases.put(key(text), speech())
    phrases.get(key("one"))
    phrases.put(key("three"), speech())
    assert [phrases.get(key(text)) is not None for text in ("one", "two", "three")] == [True, False, True]


def test_a_phrase_put_again_takes_its_place_once() -> None:
    phrases = Phrases()
    phrases.put(key("Hello."), speech(value=1))
    once = phrases.size_bytes
    phrases.put(key("Hello."), speech(value=2))
    found = phrases.get(key("Hello."))
    assert found is not None
    assert (int(found.samples[0]), phrases.size_bytes, len(phrases)) == (2, once, 1)


def test_what_does_not_fit_at_all_leaves_the_others_where_they_are() -> None:
    phrases = Phrases(limit_bytes=20_000)
    phrases.put(key("short"), speech())
    phrases.put(key("long"), speech(80_000))
    assert (phrases.get(key("short")) is not None, phrases.get(key("long"))) == (True, None)


def test_what_is_kept_cannot_be_changed_from_outside() -> None:
    phrases = Phrases()
    original = speech(value=1)
    phrases.put(key("Hello."), original)
    original.samples[:] = 9
    found = phrases.get(key("Hello."))
    assert found is not None
    assert int(found.samples.max()) == 1
    with pytest.raises(ValueError, match="read-only"):
        found.samples[0] = 5


def test_a_view_into_a_large_buffer_does_not_keep_the_buffer() -> None:
    phrases = Phrases()
    phrases.put(key("Hello."), Speech(np.zeros(1_000_000, np.int16)[:100], 8_000, ()))
    found = phrases.get(key("Hello."))
    assert found is not None
    assert found.samples.base is None


def test_speech_at_another_rate_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        Phrases().put(key("Hello."), Speech(np.zeros(10, np.int16), 22_050, ()))


def test_eight_threads_keep_the_books_straight() -> None:
    phrases = Phrases(limit_bytes=100_000)
    together = threading.Barrier(8)

    def work(seed: int) -> int:
        together.wait()
        found = 0
        for n in range(300):
            name = key(str((seed * 7 + n) % 20))
            if phrases.get(name) is None:
                phrases.put(name, speech(1_000 + n))
            else:
                found += 1
        return found

    with ThreadPoolExecutor(8) as threads:
        found = sum(threads.map(work, range(8)))
    assert (phrases.hits, phrases.hits + phrases.misses) == (found, 2_400)
    kept = [phrases.get(key(str(n))) for n in range(20)]
    assert sum(each.samples.nbytes for each in kept if each) < phrases.size_bytes <= phrases.limit_bytes
