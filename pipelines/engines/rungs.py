"""One call's speech engines: text from sound and sound from text, whichever engine can."""

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agent.breaker import Breakers
from agent.errors import EngineFailed
from agent.speech import Recogniser, Recognition, Speech, Synthesiser, Voice
from pipelines.engines.garbage import check_recognition, check_speech
from pipelines.engines.handover import Attempt, CallRung, Handover, OnBroke, Patience, Pools, now_s
from pipelines.engines.phrases import PhraseKey, Phrases
from pipelines.engines.telephone import to_telephone


class CallRecogniser(Handover[Recogniser]):
    """One call's recognisers. An engine that is slow but works is waited for; see `Patience`."""

    _returns = True
    _usual = Patience(hedge_s=0.8, within_s=1.3, last_s=4.0)

    async def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        """Understands float32 mono audio in [-1, 1] at 16 kHz. Raises EngineFailed if no engine can."""
        return await self.first_good(partial(self.begin, partial(_recognise, audio)))


class CallSynthesiser(Handover[Synthesiser]):
    """One call's synthesisers, and what they have spoken before.

    A voice that changes is a persona that changes: an engine whose circuit was open when it was to be asked
    is not asked again in this call.
    """

    _returns = False
    _usual = Patience(hedge_s=1.0, within_s=1.0, last_s=4.0)

    def __init__(
        self,
        engines: Sequence[Synthesiser],
        *,
        pools: Pools,
        breakers: Breakers,
        on_broke: OnBroke,
        patience: Patience | None = None,
        phrases: Phrases | None = None,
        caller: object = None,
    ) -> None:
        super().__init__(
            engines, pools=pools, breakers=breakers, on_broke=on_broke, patience=patience, caller=caller
        )
        self._phrases = phrases
        self._ahead: dict[PhraseKey, Attempt[Synthesiser, Speech]] = {}

    async def speak(self, clause: str, voice: Voice, *, covered_s: float = 0.0) -> Speech:
        """Returns a clause as speech at 8 kHz. Raises EngineFailed if no engine can speak it.

        `covered_s`: for how long there is still sound to be heard, so that an engine may take longer.
        """
        serving = self.next_to_ask().engine
        if (speech := self._kept(serving, clause, voice)) is not None:
            self.engine, self.model = serving.engine, serving.model
            return speech
        return await self.first_good(partial(self._begin_speaking, clause, voice), covered_s)

    async def prepare(self, clause: str, voice: Voice) -> None:
        """Has `speak` find a clause ready; when cancelled, work that has not begun is dropped.

        Does nothing without a cache of phrases, or if the engine costs money. Fails in silence.
        """
        rung = self.next_to_ask()
        key = _key(rung.engine, clause, voice)
        if self._phrases is None or rung.engine.costs or key in self._ahead:
            return
        if self._kept(rung.engine, clause, voice) is not None or not rung.breaker.admits(now_s()):
            return
        try:
            attempt = self._begin_speaking(clause, voice, rung, self._patience.within_s, quiet=True)
        except EngineFailed:
            return
        self._ahead[key] = attempt
        attempt.piece.result.add_done_callback(lambda _: self._ahead.pop(key, None))
        try:
            await asyncio.wait((attempt.piece.result,), timeout=self._patience.within_s)
        finally:
            if attempt.quiet:
                attempt.piece.drop()

    def _begin_speaking(
        self, clause: str, voice: Voice, rung: CallRung[Synthesiser], within_s: float, *, quiet: bool = False
    ) -> Attempt[Synthesiser, Speech]:
        key = _key(rung.engine, clause, voice)
        if (begun := self._ahead.pop(key, None)) is not None and not begun.piece.late:
            begun.quiet = False
            return begun
        attempt = self.begin(partial(_speak, clause, voice), rung, within_s, quiet=quiet)
        attempt.piece.result.add_done_callback(lambda _: self._keep(key, attempt))
        return attempt

    def _kept(self, engine: Synthesiser, clause: str, voice: Voice) -> Speech | None:
        return self._phrases.get(_key(engine, clause, voice)) if self._phrases is not None else None

    def _keep(self, key: PhraseKey, attempt: Attempt[Synthesiser, Speech]) -> None:
        if self._phrases is not None and attempt.answered:
            self._phrases.put(key, attempt.piece.result.result())


def _recognise(audio: NDArray[np.float32], engine: Recogniser) -> Recognition:
    return check_recognition(engine.recognise(audio), audio.size)


def _speak(clause: str, voice: Voice, engine: Synthesiser) -> Speech:
    return to_telephone(check_speech(engine.synthesise(clause, voice), clause), voice.energy)


def _key(engine: Synthesiser, clause: str, voice: Voice) -> PhraseKey:
    return PhraseKey(engine.engine, engine.model, voice, clause)
