"""How the aggregator takes the Listener's word for the end of a turn, and for one that is expected."""

from pipecat.frames.frames import EagerTranscriptionFrame, Frame
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_stop import ExternalUserTurnStopStrategy


class TurnEndStrategy(ExternalUserTurnStopStrategy):
    """Ends a turn when the Listener says so, words or none; has an expected turn answered in a draft.

    Pipecat's own eager strategy lets a draft that came true stand for the answer and runs no other. Here the
    finished turn is always answered: the persona knows the draft of it, and the turn is on record before.
    """

    def __init__(self) -> None:
        super().__init__(wait_for_transcript=False)

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Passes an expected turn on to be answered; leaves the rest to the base class."""
        if isinstance(frame, EagerTranscriptionFrame):
            speculation = UserTurnSpeculation(text=frame.text)
            await self.trigger_user_turn_inference_triggered(speculation=speculation)
        return await super().process_frame(frame)
