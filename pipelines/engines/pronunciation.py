"""How English words are said, in the ARPAbet of PocketSphinx's acoustic model.

The 39 phonemes are those of the CMU Pronouncing Dictionary. IPA symbols are as espeak-ng's en-us voice
writes them.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_ARPABET = {
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH",
    "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "ç": "HH", "tʃ": "CH", "dʒ": "JH",
    "m": "M", "n": "N", "ŋ": "NG", "l": "L", "ɬ": "L", "w": "W", "ɹ": "R", "j": "Y", "ɾ": "T", "ʔ": "T",
    "x": "K", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "e": "EY", "ɛ": "EH", "æ": "AE", "a": "AE", "ɑ": "AA",
    "ɒ": "AA", "ɔ": "AO", "o": "AO", "ʊ": "UH", "u": "UW", "y": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH",
    "ɜ": "ER", "ɚ": "ER", "eɪ": "EY", "aɪ": "AY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY",
    "aɪə": "AY AH", "aɪɚ": "AY ER", "iə": "IY AH", "əl": "AH L", "l̩": "AH L", "n̩": "AH N", "m̩": "AH M",
}  # fmt: skip
_LONGEST = max(map(len, _ARPABET))
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_ALTERNATIVE = re.compile(r"(.+)\(\d+\)")


def spoken_words(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation; "it's" is one word."""
    return _WORD.findall(text.lower().replace("’", "'"))


def arpabet(ipa: str) -> str:
    """Translates IPA ("n_ˈɔːɹ_θ") into ARPAbet ("N AO R TH"); what it does not know it leaves out."""
    phonemes = [p for symbol in re.split(r"[_\s]+", ipa) for said in _translate(symbol) for p in said.split()]
    # espeak-ng writes the r between two vowels twice, with the first and on its own.
    return " ".join(phoneme for phoneme, _ in itertools.groupby(phonemes))


def dictionary(
    words: Iterable[str], cmu_dictionary: Path, to_ipa: Callable[[str], str]
) -> dict[str, list[str]]:
    """Pronunciations of `words`: all that the CMU dictionary has, otherwise one by `to_ipa`.

    A word without a sound is left out.
    """
    wanted = set(words)
    found: dict[str, list[str]] = {}
    with cmu_dictionary.open(encoding="utf-8") as lines:
        for line in lines:
            entry, _, phonemes = line.strip().partition(" ")
            alternative = _ALTERNATIVE.fullmatch(entry)
            word = alternative.group(1) if alternative else entry
            if word in wanted:
                found.setdefault(word, []).append(phonemes.strip())
    for word in sorted(wanted - found.keys()):
        if phonemes := arpabet(to_ipa(word)):
            found[word] = [phonemes]
    return found


def _translate(symbol: str) -> Iterator[str]:
    symbol = re.sub(r"[ˈˌ]", "", symbol)
    at = 0
    while at < len(symbol):
        for length in range(min(_LONGEST, len(symbol) - at), 0, -1):
            if (phoneme := _ARPABET.get(symbol[at : at + length])) is not None:
                yield phoneme
                break
        else:
            # A length mark, a nasal or a tone: it colours the sound before it.
            length = 1
        at += length
