"""Turns with labelled pauses, as a telephone line brings them: a trainee thinks, lists, and is done.

Made on the spot by espeak-ng, the same for the same seed. A pause in mid-phrase is cut into a sentence that
was spoken as a whole, so that the melody before it is not the one of an end; at a boundary of syntax the
parts are spoken one by one, with the melody of a comma or of an end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from agent.speech import Synthesiser, Voice
from audio import ulaw
from audio.levels import FULL_SCALE, sound_bounds_ms
from audio.resample import Upsampler
from pipelines.engines.telephone import to_telephone

RATE_HZ: Final = 16_000
LEAD_IN_MS: Final = 700
AFTER_MS: Final = 4_500
"""Of line noise behind the last sound: longer than the longest fixed silence that ends a turn."""

_PER_MS: Final = ulaw.RATE_HZ // 1_000
_LEVELS_DBFS: Final = (-26.0, -18.0)
_FLOOR_DBFS: Final = -62.0
_RATES_WPM: Final = (140, 195)
_TAIL_MS: Final = 20
_BABBLERS: Final = 6
_BABBLE: Final = (
    "They moved the whole team to the second floor last week and nobody told the people downstairs.",
    "If you walk past the station you can see the old market on the left hand side of the road.",
    "We had lunch by the river, and afterwards the children played football until it was dark.",
)


class Kind(StrEnum):
    """What a silence is: a pause within a turn, or (the last four) the end of one."""

    HESITATION = "hesitation"
    FILLER = "filler"
    CLAUSE = "clause"
    LIST = "list"
    NUMBER = "number"
    ADDRESS = "address"
    SENTENCE = "sentence"
    STATEMENT = "statement"
    QUESTION = "question"
    WORD = "word"
    GOODBYE = "goodbye"


PAUSES: Final = (
    Kind.HESITATION,
    Kind.FILLER,
    Kind.CLAUSE,
    Kind.LIST,
    Kind.NUMBER,
    Kind.ADDRESS,
    Kind.SENTENCE,
)
ENDS: Final = (Kind.STATEMENT, Kind.QUESTION, Kind.WORD, Kind.GOODBYE)

_LENGTHS_MS: Final = {
    Kind.HESITATION: (300, 1_500),
    Kind.FILLER: (300, 1_500),
    Kind.CLAUSE: (300, 1_000),
    Kind.LIST: (300, 900),
    Kind.NUMBER: (300, 800),
    Kind.ADDRESS: (300, 900),
    Kind.SENTENCE: (300, 700),
}

VOICES: Final = ("en-us", "en-us+f1", "en-us+m3", "en", "en+f1", "en-gb-scotland+m2", "en-us+f4", "en-us-nyc")
"""None of those that are breathy, for which espeak-ng draws random numbers of its own."""
NOISES: Final = (
    "clean",
    "white 25 dB",
    "pink 25 dB",
    "clean",
    "babble 25 dB",
    "white 15 dB",
    "clean",
    "pink 15 dB",
    "babble 15 dB",
)

SCRIPTS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.HESITATION: (
        "We help dental offices spend | less time ordering supplies.",
        "I was hoping to show you how | it works.",
        "Who do you usually | order from today?",
        "Could we meet for fifteen | minutes on Tuesday at ten?",
        "My name is | Alex and I am calling from | Northwind Supply.",
        "It costs less than | one late order.",
        "What happens when an | order arrives late?",
        "Can I come by on | Monday morning?",
        "How many gloves do you | need every month?",
        "The house on Oak Avenue has | three bedrooms and a | garage.",
        "I am sending help | to your address now.",
        "Put the heel of your hand on the | center of the chest.",
        "I can send you a | list of homes by Friday.",
        "Is there anyone | else who will decide with you?",
        "You could try it with | twenty boxes for a month.",
        "What would | have to change?",
        "When does your | contract with Acme Software end?",
        "We work with forty | offices like yours.",
        "The ambulance will be | there in five minutes.",
        "Did he take any | drugs or medicine?",
        "Are you working with | another agent?",
        "I know I caught you in the | middle of something.",
        "What is the best | email address for you?",
        "Our | price is ninety dollars per month.",
    ),
    Kind.FILLER: (
        "I am calling because um | we help offices like yours.",
        "The price is um | ninety dollars per month.",
        "Could we meet on uh | Tuesday at ten?",
        "So | what I wanted to ask is how you order today.",
        "Well | it depends on how many boxes you need.",
        "You know um | that is a very good question.",
        "I think uh | we could start with gloves and masks.",
        "Is he um | is he breathing?",
        "We have a um | three bedroom house on Oak Avenue.",
        "My name is Alex and | I work for Northwind Supply.",
        "I understand but | let me make sure that I got that right.",
        "We can do it on Monday or | on Friday afternoon.",
        "I would like to | come back to the price.",
        "That is because | most offices order far too late.",
        "I am not sure if | that would work for you.",
        "What about the | the masks and the towels?",
    ),
    Kind.CLAUSE: (
        "If you have a minute, | I can tell you why I called.",
        "When the order arrives late, | what do you do?",
        "I hear you, | and I do not want to waste your time.",
        "We looked at your orders, | and you could save ten percent.",
        "Before I send anything, | may I ask one more question?",
        "There is no contract, | so you can stop at any time.",
        "If you like the house, | we can see it on Friday.",
        "As far as I can see, | you order twice every month.",
        "Stay on the line with me, | and do exactly what I tell you.",
        "It is a big decision, | so take your time.",
        "After the first month, | it costs ninety dollars.",
        "I can call you back on Monday, | or I can send you a proposal.",
        "Once help is there, | you can hang up.",
        "To be honest, | I do not know.",
        "Since you asked, | we work with forty offices like yours.",
        "While you wait, | unlock the front door.",
    ),
    Kind.LIST: (
        "You would get gloves, | masks, | needles, | and towels.",
        "We can meet on Monday, | Tuesday, | or Friday.",
        "I need your name, | your address, | and your phone number.",
        "Get the boxes, | the cups, | and the towels.",
        "There is a kitchen, | a living room, | two bedrooms, | and a garage.",
        "We work with Harbor Dental, | Bright Smile, | and Delmar Medical.",
        "I talked to Maria, | David, | and Susan.",
        "Check the kitchen, | the basement, | and the garage.",
    ),
    Kind.NUMBER: (
        "My number is five five five, | zero one two, | three four six seven.",
        "You can call me at eight zero zero, | five five five, | nine nine one two.",
        "The code is four seven, | one one, | eight.",
        "My number is two one two, | four four six, | nine zero three one.",
        "The order is seven seven, | three zero, | five two.",
        "It is five, | five, | five, | two.",
        "The contract number is nine one, | zero four, | six six.",
        "Call us at three one zero, | two two two, | eight eight one one.",
    ),
    Kind.ADDRESS: (
        "The address is twelve, | Oak Avenue, | apartment four.",
        "We are at forty, | Main Street, | second floor.",
        "It is sixteen Park Road, | in Harbor City, | near the station.",
        "Send it to thirty, | Hill Street, | Springfield.",
        "I live at nine, | Mill Lane, | on the left side.",
        "The house is at fifty, | Lake Drive, | next to the school.",
    ),
    Kind.SENTENCE: (
        "I know I caught you in the middle of something. | Can I have thirty seconds?",
        "That makes sense. | Who do you order from today?",
        "I am sorry to hear that. | How did you solve it?",
        "I understand. | What would have to change?",
        "That is fair enough. | May I ask one more question?",
        "You are doing great. | Keep going.",
        "Hello, this is Alex from Northwind Supply. | Is this a bad time?",
        "I hear you. | It is a lot of work.",
        "Thank you. | I will send you the proposal by Friday.",
        "Okay. | Tell me exactly what happened.",
    ),
    Kind.STATEMENT: (
        "We help dental offices spend less time ordering supplies.",
        "It costs ninety dollars per month, and there is no contract.",
        "I am calling from Northwind Supply.",
        "That sounds stressful.",
        "I can send you a proposal by Friday.",
        "Help is on the way to your address.",
        "I will call you back on Monday morning.",
        "There is no charge for the tour.",
        "I understand that you are just looking.",
        "We can save you ten percent on gloves.",
        "My name is Alex.",
        "Homes on that street sell in about thirty days.",
        "I need your phone number.",
        "We work with forty offices like yours.",
        "Let me think about it.",
        "I do not know.",
    ),
    Kind.QUESTION: (
        "Who do you order from today?",
        "What happens when an order arrives late?",
        "How many orders do you place every month?",
        "Who else decides about suppliers?",
        "Could we meet for fifteen minutes on Tuesday at ten?",
        "Is this a bad time?",
        "What is the address of your emergency?",
        "Is he breathing?",
        "Would you like to see it on Friday at noon?",
        "Do you own your home or do you rent?",
        "Can you tell me more about that?",
        "Have you talked to a lender yet?",
        "What price range are you comfortable with?",
        "Does that work for you?",
        "Are you there?",
        "How old is he?",
    ),
    Kind.WORD: (
        "Yes.",
        "No.",
        "Okay.",
        "Right.",
        "Tuesday.",
        "Sure.",
        "Hello?",
        "Exactly.",
        "Thirty.",
        "Monday morning.",
        "Maybe.",
        "Never.",
    ),
    Kind.GOODBYE: (
        "Goodbye.",
        "Thank you for your time. Goodbye.",
        "Bye.",
        "Thanks, talk to you on Tuesday. Bye.",
        "Have a good day.",
        "Great, I will see you on Friday.",
        "Thank you very much.",
        "Okay, goodbye.",
    ),
}


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence within a turn, from the last sound before it to the first behind it.

    `text` is what the turn says before it. Times in ms from the start of the turn's samples.
    """

    kind: Kind
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class LabelledTurn:
    """A turn as a call hears it: int16 mono at 16 kHz, mu-law coded on its way.

    `end_ms` is where its last sound ends; `AFTER_MS` of the line's noise follow.
    """

    text: str
    voice: str
    noise: str
    samples: NDArray[np.int16]
    start_ms: int
    end_ms: int
    ending: Kind
    pauses: tuple[Pause, ...]


def labelled_turns(synthesiser: Synthesiser, *, takes: int = 2, seed: int = 7) -> Iterator[LabelledTurn]:
    """Speaks every script `takes` times, each time in another voice, pace, loudness and noise."""
    random = np.random.default_rng(seed)
    noises = _Noises(synthesiser, random)
    scripts = [(kind, script) for kind in Kind for script in SCRIPTS[kind]] * takes
    voices = random.permutation(np.arange(len(scripts)) % len(VOICES))
    kinds_of_noise = random.permutation(np.arange(len(scripts)) % len(NOISES))
    for (kind, script), voice, noise in zip(scripts, voices, kinds_of_noise, strict=True):
        rate_wpm, pitch = int(random.integers(*_RATES_WPM)), int(random.integers(35, 65))
        speaker = Voice(espeak=(VOICES[voice],), rate_wpm=rate_wpm, pitch=pitch)
        parts = _spoken(synthesiser, speaker, kind, [part.strip() for part in script.split("|")])
        yield _on_the_line(kind, script, parts, VOICES[voice], NOISES[noise], noises, random)


def _spoken(
    synthesiser: Synthesiser, voice: Voice, kind: Kind, parts: Sequence[str]
) -> list[NDArray[np.float64]]:
    """The parts as sound at 8 kHz: of one sentence cut at its words, or spoken apart."""
    if kind in (Kind.HESITATION, Kind.FILLER):
        return _cut_at_words(synthesiser, voice, parts)
    return [_sound(to_telephone(synthesiser.synthesise(part, voice)).samples) for part in parts]


def _cut_at_words(synthesiser: Synthesiser, voice: Voice, parts: Sequence[str]) -> list[NDArray[np.float64]]:
    speech = to_telephone(synthesiser.synthesise(" ".join(parts), voice))
    cuts_ms, said = [0], 0
    for part in parts[:-1]:
        said += len(part.split())
        cuts_ms.append(_quietest_ms(speech.samples, speech.words[said].start_ms))
    cuts_ms.append(len(speech.samples) // _PER_MS)
    return [
        _sound(speech.samples[start_ms * _PER_MS : end_ms * _PER_MS])
        for start_ms, end_ms in zip(cuts_ms, cuts_ms[1:], strict=False)
    ]


def _quietest_ms(samples: NDArray[np.int16], about_ms: int) -> int:
    """Where the sound is weakest within 30 ms of `about_ms`: where a speaker would stop."""
    window = 5 * _PER_MS
    power = np.convolve(np.square(samples.astype(np.float64)), np.ones(window), mode="same")
    start = max(0, (about_ms - 30) * _PER_MS)
    return (start + int(np.argmin(power[start : (about_ms + 30) * _PER_MS]))) // _PER_MS


def _sound(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """From the first sound to the last, and what fades within 20 ms behind it."""
    start_ms, end_ms = sound_bounds_ms(samples, ulaw.RATE_HZ) or (0, 0)
    kept = samples[start_ms * _PER_MS : (end_ms + _TAIL_MS) * _PER_MS].astype(np.float64)
    fade = min(len(kept), _TAIL_MS * _PER_MS)
    kept[len(kept) - fade :] *= np.linspace(1.0, 0.0, fade)
    return np.pad(kept, (0, _TAIL_MS * _PER_MS - fade))


def _on_the_line(
    kind: Kind,
    script: str,
    parts: Sequence[NDArray[np.float64]],
    voice: str,
    noise: str,
    noises: "_Noises",
    random: np.random.Generator,
) -> LabelledTurn:
    level_dbfs = random.uniform(*_LEVELS_DBFS)
    gain = _gain_to(level_dbfs, np.concatenate(parts))
    pieces = [np.zeros(LEAD_IN_MS * _PER_MS)]
    pauses: list[Pause] = []
    at_ms = float(LEAD_IN_MS)
    for number, part in enumerate(parts):
        pieces.append(part * gain)
        sound_ms = len(part) / _PER_MS - _TAIL_MS
        at_ms += sound_ms
        if number + 1 < len(parts):
            length_ms = float(np.exp(random.uniform(*np.log(_LENGTHS_MS[kind]))))
            pieces.append(np.zeros(round((length_ms - _TAIL_MS) * _PER_MS)))
            said = " ".join(part.strip() for part in script.split("|")[: number + 1])
            pauses.append(Pause(kind, round(at_ms), round(at_ms + length_ms), said))
            at_ms += length_ms
    pieces.append(np.zeros((AFTER_MS - _TAIL_MS) * _PER_MS))
    speech = np.concatenate(pieces)
    text = " ".join(script.replace("|", " ").split())
    heard = _over_the_line(speech + noises.over(len(speech), noise, level_dbfs))
    return LabelledTurn(
        text, voice, noise, heard, LEAD_IN_MS, round(at_ms), _ending(kind, text), tuple(pauses)
    )


def _ending(kind: Kind, text: str) -> Kind:
    if kind in ENDS:
        return kind
    return Kind.QUESTION if text.endswith("?") else Kind.STATEMENT


def _gain_to(level_dbfs: float, samples: NDArray[np.float64]) -> float:
    return float(10 ** (level_dbfs / 20) * FULL_SCALE / np.sqrt(np.mean(samples**2)))


def _over_the_line(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    narrow = np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16)
    return Upsampler().process(ulaw.decode(ulaw.encode(narrow)))


class _Noises:
    """Line noise, white noise, pink noise and other people talking, at 8 kHz."""

    def __init__(self, synthesiser: Synthesiser, random: np.random.Generator) -> None:
        self._random = random
        self._babble = _babble(synthesiser, random)

    def over(self, count: int, noise: str, speech_dbfs: float) -> NDArray[np.float64]:
        """`count` samples of the line's own noise and of `noise`, named with its distance to the speech."""
        line = self._coloured(count, 0.0)
        line *= _gain_to(_FLOOR_DBFS, line)
        if noise == "clean":
            return line
        name, below_db, _ = noise.split()
        if name == "babble":
            start = int(self._random.integers(len(self._babble)))
            added = np.resize(np.roll(self._babble, -start), count)
        else:
            added = self._coloured(count, 1.0 if name == "pink" else 0.0)
        return line + added * _gain_to(speech_dbfs - float(below_db), added)

    def _coloured(self, count: int, slope: float) -> NDArray[np.float64]:
        """Noise whose power falls with frequency to the power of `slope`, from 100 Hz on."""
        spectrum = np.fft.rfft(self._random.standard_normal(count))
        frequency_hz = np.fft.rfftfreq(count, 1 / ulaw.RATE_HZ)
        spectrum *= np.maximum(frequency_hz, 100.0) ** (-slope / 2)
        return np.fft.irfft(spectrum, count)


def _babble(synthesiser: Synthesiser, random: np.random.Generator) -> NDArray[np.float64]:
    """Six people at once, through a wall: 8 s."""
    length = 8 * ulaw.RATE_HZ
    mixed = np.zeros(length)
    for number in range(_BABBLERS):
        voice = Voice(
            espeak=(VOICES[number % len(VOICES)],), rate_wpm=160 + 8 * number, pitch=35 + 6 * number
        )
        spoken = to_telephone(synthesiser.synthesise(_BABBLE[number % len(_BABBLE)], voice)).samples
        mixed += np.roll(np.resize(spoken.astype(np.float64), length), int(random.integers(length)))
    low_pass = signal.butter(2, 2_000, fs=ulaw.RATE_HZ, output="sos")
    muffled: NDArray[np.float64] = signal.sosfilt(low_pass, mixed)
    return muffled
