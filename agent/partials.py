"""What of a growing hypothesis is settled: LocalAgreement-2, for the live view of an unfinished turn.

A word is settled once two hypotheses in a row have it in the same place behind the settled words.
Source: Machacek, Dabre, Bojar, "Turning Whisper into Real-Time Transcription System" (2023).
"""

from agent.words import normalise


class Agreement:
    """The partial results of one turn; each `update` brings a hypothesis of the turn from its beginning."""

    def __init__(self) -> None:
        self._settled: list[str] = []
        self._open: list[str] = []

    def update(self, text: str) -> tuple[str, str]:
        """Returns (stable, unstable): together they are the turn so far. What is stable never changes.

        Case and punctuation do not count in the comparison; the later spelling is taken.
        """
        behind = text.split()[len(self._settled) :]
        agreed = 0
        for before, now in zip(self._open, behind, strict=False):
            if _plain(before) != _plain(now):
                break
            agreed += 1
        self._settled += behind[:agreed]
        self._open = behind[agreed:]
        return " ".join(self._settled), " ".join(self._open)


def _plain(word: str) -> str:
    return normalise(word) or word
