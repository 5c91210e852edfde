"""The words of a service that listens along: it sits before the Listener and hears what it hears."""

import asyncio
from typing import Final

from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.services.stt_service import STTService

from agent.speech import Recognition
from pipelines.engines.services import recognition_of

_FINAL_WITHIN_S: Final = 0.5
"""After the trainee fell silent; services answer a request to finish in 0.1 to 0.3 s."""


class ServiceWords:
    """What a service has understood of the trainee's turn so far, and whether it can still be relied on."""

    def __init__(self, service: STTService) -> None:
        self.service = service
        self._final: list[Recognition] = []
        self._interim = Recognition("", None)
        self._arrived = asyncio.Event()

    def begin(self) -> None:
        """A turn begins: what was said before it is none of it."""
        self._final = []
        self._interim = Recognition("", None)

    def take(self, frame: Frame) -> bool:
        """Takes a frame of the service; returns whether it was its words."""
        if isinstance(frame, InterimTranscriptionFrame):
            self._interim = recognition_of(frame)
        elif isinstance(frame, TranscriptionFrame):
            self._final.append(recognition_of(frame))
            self._interim = Recognition("", None)
            self._arrived.set()
        else:
            return False
        return True

    def pause(self) -> None:
        """The trainee falls silent: from here on, a final text is waited for."""
        self._arrived.clear()

    async def words(self) -> Recognition:
        """The turn up to this pause; empty if the service is gone or understood nothing in time."""
        if not self.service.is_usable:
            return Recognition("", None)
        try:
            await asyncio.wait_for(self._arrived.wait(), _FINAL_WITHIN_S)
        except TimeoutError:
            return joined([*self._final, self._interim])
        return joined(self._final)


def joined(pieces: list[Recognition]) -> Recognition:
    """One text of several, in order, as sure as its words are on average; empty ones do not count."""
    said = [piece for piece in pieces if piece.text]
    sure = [(len(p.text.split()), p.confidence) for p in said if p.confidence is not None]
    words = sum(count for count, _ in sure)
    return Recognition(
        " ".join(piece.text for piece in said),
        sum(count * confidence for count, confidence in sure) / words if words else None,
        said[-1].language if said else "",
    )
