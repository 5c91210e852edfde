from pathlib import Path

import pocketsphinx  # type: ignore[import-untyped]
import pytest
from rapidfuzz.distance import Levenshtein

from pipelines.engines.espeak import Espeak
from pipelines.engines.pronunciation import arpabet, dictionary, spoken_words

CMU = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))


def test_words_are_lower_case_without_punctuation() -> None:
    assert spoken_words("It’s 24/7 — “Dana”, isn't it?") == ["it's", "24", "7", "dana", "isn't", "it"]


@pytest.mark.parametrize(
    ("word", "phonemes"),
    [
        ("northwind", "N AO R TH W IH N D"),
        ("zendesk", "Z EH N D EH S K"),
        ("naloxone", "N AE L AH K S OW N"),
        ("tachycardia", "T AE K IH K AA R D IY AH"),
        ("30", "TH ER T IY"),
    ],
)
def test_unknown_words_are_said_as_espeak_says_them(espeak: Espeak, word: str, phonemes: str) -> None:
    assert arpabet(espeak.phonemes(word)) == phonemes


def test_espeaks_pronunciation_is_close_to_the_dictionarys(espeak: Espeak) -> None:
    entries = [line.split() for line in CMU.read_text().splitlines() if "(" not in line][::1_500]
    said = [(arpabet(espeak.phonemes(word)).split(), phonemes) for word, *phonemes in entries]
    errors = sum(Levenshtein.distance(found, expected) for found, expected in said)
    assert errors / sum(len(expected) for _, expected in said) < 0.25


def test_whatever_espeak_says_is_written_in_phonemes_that_the_model_has(espeak: Espeak) -> None:
    known = {phoneme for line in CMU.read_text().splitlines() for phoneme in line.split()[1:]}
    for word in ("château", "llanfair", "nguyen", "schäuble", "123456", "bottle", "button", "rhythm", "ærø"):
        assert set(arpabet(espeak.phonemes(word)).split()) <= known


def test_a_dictionary_has_every_pronunciation_and_makes_up_what_is_missing() -> None:
    espeak = {"northwind": "n_ˈɔːɹ_θ_w_ɪ_n_d", "qqq": ""}
    found = dictionary(["a", "dental", "northwind", "qqq"], CMU, espeak.__getitem__)
    assert found == {
        "a": ["AH", "EY"],
        "dental": ["D EH N T AH L", "D EH N AH L"],
        "northwind": ["N AO R TH W IH N D"],
    }
