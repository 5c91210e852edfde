"""One call from its first ring to its last callback."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from telephony.simulator.callbacks import Callbacks
from telephony.simulator.calls import Call, CallDirection, CallStatus
from telephony.simulator.gather import DigitCollector
from telephony.simulator.handset import HungUp
from telephony.simulator.interpreter import Interpreter
from telephony.simulator.line import Line, Prompt
from telephony.simulator.media import MediaSession
from telephony.simulator.routes import Routes
from telephony.simulator.settings import Destination, Outcome, SimulatorSettings
from telephony.simulator.streams import Streams
from telephony.simulator.twiml import Verb
from telephony.simulator.webhooks import Webhooks

_REFUSALS = {
    Outcome.BUSY: CallStatus.BUSY,
    Outcome.NO_ANSWER: CallStatus.NO_ANSWER,
    Outcome.FAILED: CallStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class Services:
    """What all calls of an account share."""

    settings: SimulatorSettings
    routes: Routes
    webhooks: Webhooks
    new_sid: Callable[[str], str]


class Conductor:
    """Owns every task of its call; `run` returns when the call is over and nothing of it is left."""

    def __init__(self, call: Call, destination: Destination | None, services: Services) -> None:
        settings = services.settings
        self._call = call
        self._destination = destination
        self._line = Line(call.handset, settings.conditions.echo)
        self._callbacks = Callbacks(call, services.webhooks)
        self._streams = Streams(
            call,
            self._line,
            self._callbacks,
            services.routes,
            auth_token=settings.auth_token,
            conditions=settings.conditions,
            new_sid=services.new_sid,
        )
        self._interpreter = Interpreter(call, self, services.webhooks, settings.voice, settings.public_url)
        self._collector: DigitCollector | None = None
        self._verdict: CallStatus | None = None
        self._tasks = asyncio.TaskGroup()
        self._background: list[asyncio.Task[None]] = []
        self._time_limit: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Conducts the call."""
        try:
            async with self._tasks:
                delivering = self._tasks.create_task(self._callbacks.run())
                await self._conduct()
                self._call.set_status(self._final_status())
                self._call.handset.disconnect()
                for task in self._background:
                    task.cancel()
                self._callbacks.progress(self._call.status)
                await self._streams.stop_all()
                self._callbacks.close()
                await delivering
        finally:
            if self._time_limit is not None:
                self._time_limit.cancel()
            self._call.set_status(self._final_status())
            self._call.handset.disconnect()
            self._call.close()

    def press(self, digit: str) -> None:
        """A key of the handset: for `<Gather>`, else for the stream."""
        if self._collector is not None:
            self._collector.press(digit)
        elif not self._streams.press(digit):
            self._call.note("digits", f"{digit} pressed, and nothing listens")

    @property
    def is_answered(self) -> bool:
        """Whether the handset is connected."""
        return self._call.started_at is not None

    async def answer(self) -> None:
        """Picks up, if that has not happened: the line begins to tick."""
        if self.is_answered:
            return
        call = self._call
        call.set_status(CallStatus.IN_PROGRESS)
        self._callbacks.progress(CallStatus.IN_PROGRESS)
        self._line.started_s = asyncio.get_running_loop().time()
        self._background.append(self._tasks.create_task(self._line.run()))
        if self._destination is not None and self._destination.answer is not None:
            self._background.append(self._tasks.create_task(self._drive(self._destination.answer)))
        limit_s = call.plan.time_limit_s
        self._time_limit = asyncio.get_running_loop().call_later(limit_s, call.end, "time limit")

    async def play(self, ulaw: bytes) -> None:
        """Plays sound to its end."""
        prompt = Prompt(ulaw)
        self._line.source = prompt
        try:
            await prompt.done.wait()
        finally:
            if self._line.source is prompt:
                self._line.source = None

    def reject(self, status: CallStatus) -> None:
        """Decides what an unanswered call ends as."""
        self._verdict = status

    async def open_stream(self, noun: Verb, document_url: str, *, bidirectional: bool) -> MediaSession | None:
        """Opens a stream; None if it was refused."""
        return await self._streams.open(noun, document_url, self._tasks, bidirectional=bidirectional)

    def stop_stream(self, name: str) -> None:
        """Ends a fork."""
        self._streams.stop_named(name)

    def collect_digits(self, collector: DigitCollector | None) -> None:
        """Sends keys to `collector`, or back to the stream."""
        self._collector = collector

    async def _conduct(self) -> None:
        call = self._call
        if call.direction is CallDirection.OUTBOUND_API:
            await self._unless_interrupted(self._place())
            if not self.is_answered:
                return
        instruction = call.plan.first
        while not call.ending:
            await self._unless_interrupted(self._interpreter.run(instruction))
            # The running document is gone by now. Were the stream ended first, the document would go on
            # with the verb behind <Connect>, which Twilio does not do.
            self._streams.stop_bidirectional()
            if call.redirection is None:
                return
            instruction, call.redirection = call.redirection, None
            if not call.ending:
                call.interrupted.clear()

    async def _place(self) -> None:
        call, destination = self._call, self._destination
        assert destination is not None, "an outbound call has a destination"
        await asyncio.sleep(call.plan.queue_time_ms / 1_000)
        self._callbacks.progress(CallStatus.INITIATED)
        if destination.outcome is Outcome.FAILED:
            self._verdict = CallStatus.FAILED
            return
        call.set_status(CallStatus.RINGING)
        self._callbacks.progress(CallStatus.RINGING)
        limit_ms = call.plan.ring_limit_s * 1_000
        ring_ms = destination.ring_ms
        if ring_ms is None:
            ring_ms = limit_ms if destination.outcome is Outcome.NO_ANSWER else 0
        await asyncio.sleep(min(ring_ms, limit_ms) / 1_000)
        if ring_ms > limit_ms:
            self._verdict = CallStatus.NO_ANSWER
        elif destination.outcome is Outcome.ANSWER:
            await self.answer()
        else:
            self._verdict = _REFUSALS[destination.outcome]

    async def _drive(self, answer: Callable[[Call], Awaitable[None]]) -> None:
        with suppress(HungUp):
            await answer(self._call)

    async def _unless_interrupted(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work`, or breaks it off when the call is redirected or ended."""
        async with asyncio.TaskGroup() as race:
            working = race.create_task(work)
            interrupted = race.create_task(self._call.interrupted.wait())
            await asyncio.wait({working, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            interrupted.cancel()

    def _final_status(self) -> CallStatus:
        if self.is_answered:
            return CallStatus.COMPLETED
        return self._verdict or CallStatus.CANCELED
