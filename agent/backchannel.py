"""Sounds of listening: "uh-huh", "right", "I see". Who makes them does not want the floor.

Yngve (1970), "On getting a word in edgewise", named them back-channel; they overlap the other's turn and
leave it whole.
"""

import re
from typing import Final

from agent.clauses import Clauses

# fmt: off
_HUMS: Final = frozenset({
    "uh-huh", "uhhuh", "uh", "huh", "mm-hmm", "mmhmm", "mm", "mmm", "hm", "hmm", "mhm", "mhmm",
    "ah", "aha", "oh", "um", "er",
})
_ASSENTS: Final = frozenset({
    "yeah", "yes", "yep", "yup", "ok", "okay", "right", "sure", "alright", "all right", "i see", "got it",
    "gotcha", "of course", "exactly", "absolutely", "true", "good", "great", "fine", "cool", "i know",
    "i understand", "understood", "makes sense", "that makes sense", "fair enough", "no problem",
})
# fmt: on
_LONGEST_WORDS: Final = 4
_WORTH_RESUMING_WORDS: Final = 4
_SPLIT: Final = re.compile(r"[.,;!?…\u2014]+|\s+(?=(?:uh-huh|mm-hmm|okay|ok|yeah|right)\b)")


def leaves_the_floor(text: str, rest: str) -> bool:
    """Whether somebody who said `text` over another's turn wants them to go on with the `rest` of it.

    Assent ("yes", "right") over a turn that was to end in a question answers it; a hum never does. Nothing
    intelligible, as of a cough, wants nothing.
    """
    said = [part for piece in _SPLIT.split(text.casefold().replace("\u2019", "'")) if (part := piece.strip())]
    if sum(len(part.split()) for part in said) > _LONGEST_WORDS:
        return False
    if all(all(word in _HUMS for word in part.split()) for part in said):
        return True
    return "?" not in rest and all(part in _ASSENTS or part in _HUMS for part in said)


def rest_of(reply: str, heard: str) -> str:
    """What is left to say of `reply` after `heard` of it: from the clause on that was cut, "" if too little.

    A voice cannot take up a clause in the middle: its melody would be that of a new sentence.
    """
    clauses = Clauses()
    pieces = [*clauses.feed(reply + " "), *clauses.rest()]
    words_heard = len(heard.split())
    for index, clause in enumerate(pieces):
        words_heard -= len(clause.split())
        if words_heard < 0:
            rest = " ".join(pieces[index:])
            return rest if len(rest.split()) >= _WORTH_RESUMING_WORDS else ""
    return ""
