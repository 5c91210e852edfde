"""When the trainee has begun a turn, may have ended it, goes on, and has ended it: silence, melody and words.

Nothing here knows a clock: it counts blocks of audio, and is told what models make of them.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

_TURNS_TO_TELL: Final = 2
_CLICK_MS: Final = 40
"""A sound in a pause that is shorter than this is not the trainee going on."""

_MARKS: Final = ".,;:!…\u2014-\"'"
# fmt: off
_LEAVES_OPEN: Final = frozenset({
    "a", "an", "the", "my", "your", "our", "their", "his", "its", "every",
    "and", "or", "but", "nor", "because", "although", "though", "unless", "until", "while", "whereas",
    "since", "if", "whether", "than", "as",
    "of", "with", "from", "into", "onto", "for", "at", "by", "to", "between", "about", "around", "during",
    "without", "within", "toward", "towards",
    "um", "umm", "uh", "uhm", "er", "erm", "mm", "hmm", "well", "plus", "maybe", "basically",
    "mr", "mrs", "ms", "dr", "very", "really", "quite",
    "i", "i'm", "i'd", "i'll", "i've", "we're", "we'd", "we'll", "we've", "they're", "it's", "that's",
})
# fmt: on
"""Words after which a sentence goes on, however long the pause."""


_SURE: Final = 0.03
_UNSURE: Final = 0.06
"""Up to `_SURE` smart turn is seldom wrong that more is to come; from `_UNSURE` on it often is."""

_NUMBERS: Final = frozenset(
    """
    zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand double
    """.split()  # noqa: SIM905
)
_LIST_ITEM: Final = re.compile(r",\s*(?!and\b|or\b)(?:[^\s,]+\s+){0,2}[^\s,]+\.$")


@dataclass(frozen=True, slots=True)
class TurnTiming:
    """When a turn begins and ends, in ms of sound or silence.

    `start_ms` of voice begin a turn, `barge_in_ms` while the persona is audible. `eager_ms` of silence have
    the turn so far recognised and judged; `shortest_ms` end a turn that sounds and reads complete,
    `longest_ms` any turn.
    """

    start_ms: int = 80
    barge_in_ms: int = 80
    eager_ms: int = 80
    shortest_ms: int = 160
    longest_ms: int = 1_200


def leaves_open(text: str) -> bool:
    """Whether `text` ends in a word after which people go on: "and", "the", "um", "because"."""
    said = text.replace("\u2019", "'").casefold().split()
    return bool(said) and not text.rstrip().endswith("?") and said[-1].strip(_MARKS) in _LEAVES_OPEN


def counts_up(text: str) -> bool:
    """Whether `text` ends in a number or in an item of a list, of which there may be more."""
    said = [word.strip(_MARKS) for word in text.casefold().split()]
    if len(said) < 2 or text.rstrip().endswith("?"):
        return False
    is_number = said[-1].rpartition("-")[2] in _NUMBERS or said[-1].isdigit()
    return is_number or (len(said) > 4 and bool(_LIST_ITEM.search(text.rstrip().casefold())))


def needed_ms(probability: float, text: str, timing: TurnTiming, *, punctuates: bool = True) -> int:
    """How much silence ends a turn that says `text` and, by its melody, is complete with `probability`.

    Words tell more than melody: a recogniser that writes punctuation (`punctuates`) ends a finished sentence
    with a mark and leaves a cut one without. Where the melody surely goes on, a finished sentence waits for
    it. The figures are in docs/turn-taking.md.
    """
    sure = min(1.0, max(0.0, (_UNSURE - probability) / (_UNSURE - _SURE)))
    ended = text.rstrip().endswith((".", "?", "!"))
    if not text.strip():
        doubt = 0.5
    elif leaves_open(text):
        doubt = 1.0
    elif punctuates and not ended:
        doubt = 0.7
    elif counts_up(text):
        doubt = 0.42 + 0.2 * sure
    else:
        doubt = 0.33 * sure
    return round(timing.shortest_ms + doubt * (timing.longest_ms - timing.shortest_ms))


class Step(Enum):
    """What a block of audio, or a verdict on what was said before it, leads to."""

    BEGINS = "begins"
    PAUSES = "pauses"
    RESUMES = "resumes"
    ENDS = "ends"


class TurnTaker:
    """Follows one trainee's turns, block by block."""

    def __init__(self, timing: TurnTiming, *, block_ms: int = 20) -> None:
        self._timing = timing
        self._block_ms = block_ms
        self._in_turn = False
        self._pausing = False
        self._sound_ms = 0
        self._silence_ms = 0
        self._probability: float | None = None
        self._text: str | None = None
        self._marks_seen = False
        self._turns_without = 0

    @property
    def speaking(self) -> bool:
        """Whether the trainee has the floor and makes no pause."""
        return self._in_turn and not self._pausing

    @property
    def needed_ms(self) -> int:
        """How much silence ends the turn at this pause, by the verdicts on it; the longest before them."""
        if self._probability is None or self._text is None:
            return self._timing.longest_ms
        return needed_ms(self._probability, self._text, self._timing, punctuates=self._punctuates)

    @property
    def _punctuates(self) -> bool:
        """Whether the recogniser does: until several turns of this call say otherwise."""
        return self._marks_seen or self._turns_without < _TURNS_TO_TELL

    def hear(self, *, sounding: bool, certain: bool, persona_audible: bool) -> Step | None:
        """Takes the next block: whether there is speech in it, and whether the persona can be heard.

        `certain`: a detector of voice has no doubt that this is speech; a silence is then one within a word.
        """
        # An onset is full of dips; a pause is to be left by speech, not by a few clicks.
        leak_ms = self._block_ms if self._in_turn else self._block_ms // 4
        self._sound_ms = max(0, self._sound_ms + (self._block_ms if sounding else -leak_ms))
        if not self._in_turn:
            return self._begin(persona_audible)
        if self._pausing:
            return self._resume(sounding)
        self._sound_ms = min(self._sound_ms, _CLICK_MS)
        self._silence_ms = 0 if sounding else self._silence_ms + self._block_ms
        if self._silence_ms < self._timing.eager_ms or certain:
            return None
        self._pausing, self._sound_ms = True, 0
        self._probability = self._text = None
        return Step.PAUSES

    def judged(self, probability: float) -> Step | None:
        """The melody of the turn up to this pause sounds complete with `probability`."""
        self._probability = probability
        return self._end()

    def understood(self, text: str) -> Step | None:
        """The turn up to this pause says `text`."""
        self._text = text
        self._marks_seen = self._marks_seen or text.rstrip().endswith((".", "?", "!", ","))
        return self._end()

    def _begin(self, persona_audible: bool) -> Step | None:
        needed = self._timing.barge_in_ms if persona_audible else self._timing.start_ms
        if self._sound_ms < needed:
            return None
        self._in_turn, self._pausing, self._silence_ms = True, False, 0
        return Step.BEGINS

    def _resume(self, sounding: bool) -> Step | None:
        self._silence_ms += self._block_ms
        if self._sound_ms < _CLICK_MS:
            return None if sounding else self._end()
        self._pausing, self._silence_ms = False, 0
        return Step.RESUMES

    def _end(self) -> Step | None:
        if not self._pausing or self._probability is None or self._text is None:
            return None
        if self._silence_ms < self.needed_ms:
            return None
        self._in_turn = self._pausing = False
        self._sound_ms = 0
        self._turns_without += bool(self._text)
        return Step.ENDS
