"""Runs TwiML documents, one verb after the other, from the first until there is nothing left to do."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final, Protocol
from urllib.parse import urldefrag, urljoin

from agent.errors import TelephonyError
from telephony.simulator.calls import Call, CallStatus, Instruction
from telephony.simulator.gather import DigitCollector
from telephony.simulator.media import MediaSession
from telephony.simulator.sound import Samples, encode_ulaw, key_tones, read_wav
from telephony.simulator.twiml import BAD_CONTENT_TYPE, Document, Problem, Verb, accepts, read_document
from telephony.simulator.webhooks import Failure, Reply, Webhooks

_MOST_DOCUMENTS: Final = 100
_MOST_REPEATS: Final = 1_000
_LARGEST_SOUND: Final = 40 * 1_024 * 1_024
_APOLOGY: Final = "We are sorry, an application error has occurred. Goodbye."


class Flow(Enum):
    """What follows a verb, where it is not another document."""

    NEXT = auto()
    END = auto()


class Stage(Protocol):
    """What verbs do to a call."""

    @property
    def is_answered(self) -> bool:
        """Whether the handset is connected."""

    async def answer(self) -> None:
        """Picks up, if that has not happened."""

    async def play(self, ulaw: bytes) -> None:
        """Plays sound to its end."""

    def reject(self, status: CallStatus) -> None:
        """Decides what an unanswered call ends as."""

    async def open_stream(self, noun: Verb, document_url: str, *, bidirectional: bool) -> MediaSession | None:
        """Opens a stream; None if it was refused."""

    def stop_stream(self, name: str) -> None:
        """Ends a fork."""

    def collect_digits(self, collector: DigitCollector | None) -> None:
        """Sends keys to `collector`, or back to where they went before."""


class Interpreter:
    """One call's TwiML. A verb's method returns the document to go on with, or a Flow."""

    def __init__(
        self, call: Call, stage: Stage, webhooks: Webhooks, voice: Callable[[str], Samples], base_url: str
    ) -> None:
        self._call = call
        self._stage = stage
        self._webhooks = webhooks
        self._voice = voice
        self._base_url = base_url
        self._fallback = call.plan.fallback
        self._verbs: dict[str, Callable[[Verb, str], Awaitable[Instruction | Flow]]] = {
            "Say": self._say,
            "Play": self._play,
            "Pause": self._pause,
            "Gather": self._gather,
            "Redirect": self._redirect,
            "Hangup": self._hang_up,
            "Reject": self._reject,
            "Connect": self._connect,
            "Start": self._start,
            "Stop": self._stop,
        }

    async def run(self, instruction: Instruction) -> None:
        """Runs `instruction` and what follows from it; returns when the call is to be hung up."""
        flow: Instruction | Flow = instruction
        for _ in range(_MOST_DOCUMENTS):
            if not isinstance(flow, Instruction):
                return
            document, url = await self._fetch(flow)
            if isinstance(document, Problem):
                self._call.note("error", f"{url}: {document.message}", document.code)
                flow = await self._fail(document, url)
            else:
                flow = await self._run(document, url)
        self._call.note("error", f"gave up after {_MOST_DOCUMENTS} documents")

    async def _fetch(self, instruction: Instruction) -> tuple[Document | Problem, str]:
        if instruction.twiml:
            return read_document(instruction.twiml), self._base_url
        outcome = await self.request(instruction)
        if isinstance(outcome, Failure):
            return Problem(outcome.code, outcome.message), outcome.url
        if not accepts(outcome.content_type):
            return Problem(BAD_CONTENT_TYPE, f"content type {outcome.content_type!r}"), outcome.url
        return read_document(outcome.body), outcome.url

    async def request(self, instruction: Instruction) -> Reply | Failure:
        """Sends the voice request for a document."""
        fields = [*self._call.fields(), *instruction.fields]
        outcome = await self._webhooks.request(instruction.url, instruction.method, fields)
        if isinstance(outcome, Reply):
            self._call.note("webhook", f"{instruction.method} {outcome.url}: {outcome.status}")
        return outcome

    async def _fail(self, problem: Problem, url: str) -> Instruction | Flow:
        fallback, self._fallback = self._fallback, None
        if fallback is not None:
            fields = (("ErrorCode", str(problem.code)), ("ErrorUrl", url))
            return Instruction(fallback.url, fallback.method, fields)
        await self._stage.answer()
        await self._speak(_APOLOGY)
        return Flow.END

    async def _run(self, document: Document, url: str) -> Instruction | Flow:
        for problem in document.problems:
            self._call.note("warning", problem.message, problem.code)
        for verb in document.verbs:
            self._call.note("verb", verb.name)
            flow = await self._verbs[verb.name](verb, url)
            if flow is not Flow.NEXT:
                return flow
        await self._stage.answer()
        return Flow.END

    async def _say(self, verb: Verb, url: str) -> Flow:
        await self._stage.answer()
        for _ in range(verb.number("loop", 1) or _MOST_REPEATS):
            await self._speak(verb.text)
        return Flow.NEXT

    async def _speak(self, text: str) -> None:
        await self._stage.play(encode_ulaw(await asyncio.to_thread(self._voice, text)))

    async def _play(self, verb: Verb, url: str) -> Flow:
        await self._stage.answer()
        samples = key_tones(verb.get("digits")) if verb.get("digits") else await self._load(verb, url)
        for _ in range(verb.number("loop", 1) or _MOST_REPEATS):
            await self._stage.play(encode_ulaw(samples))
        return Flow.NEXT

    async def _load(self, verb: Verb, url: str) -> Samples:
        nothing = key_tones("")
        if not verb.text:
            return nothing
        outcome = await self._webhooks.request(urljoin(url, verb.text), "GET", (), max_bytes=_LARGEST_SOUND)
        if isinstance(outcome, Failure):
            self._call.note("error", f"<Play> {outcome.url}: {outcome.message}", outcome.code)
            return nothing
        try:
            return await asyncio.to_thread(read_wav, outcome.body)
        except TelephonyError as error:
            self._call.note("error", f"<Play> {outcome.url}: {error.message}", BAD_CONTENT_TYPE)
            return nothing

    async def _pause(self, verb: Verb, url: str) -> Flow:
        """As the first verb it lets the call ring on."""
        await asyncio.sleep(verb.number("length", 1))
        return Flow.NEXT

    async def _gather(self, verb: Verb, url: str) -> Instruction | Flow:
        await self._stage.answer()
        if "dtmf" not in verb.get("input", "dtmf").split():
            self._call.note("warning", "<Gather> without dtmf: the simulator hears no speech")
        collector = DigitCollector(
            most=verb.number("numDigits", 0) or None,
            finish_key=verb.get("finishOnKey", "#"),
            timeout_s=verb.number("timeout", 5),
        )
        self._stage.collect_digits(collector)
        try:
            await self._prompt(verb, url, collector)
            await collector.finish()
        finally:
            self._stage.collect_digits(None)
        self._call.note("digits", collector.digits)
        if not collector.digits and not verb.flag("actionOnEmptyResult"):
            return Flow.NEXT
        fields = (
            ("Digits", collector.digits),
            ("FinishedOnKey", collector.finished_on),
            ("msg", "Gather End"),
        )
        return self._goto(verb.get("action"), verb, url, fields)

    async def _prompt(self, verb: Verb, url: str, collector: DigitCollector) -> None:
        """Runs the children until they end or a key is pressed."""

        async def perform() -> None:
            for child in verb.children:
                self._call.note("verb", child.name)
                await self._verbs[child.name](child, url)

        async with asyncio.TaskGroup() as tasks:
            performing = tasks.create_task(perform())
            pressed = tasks.create_task(collector.pressed.wait())
            await asyncio.wait({performing, pressed}, return_when=asyncio.FIRST_COMPLETED)
            performing.cancel()
            pressed.cancel()

    async def _redirect(self, verb: Verb, url: str) -> Instruction:
        return self._goto(verb.text, verb, url)

    async def _hang_up(self, verb: Verb, url: str) -> Flow:
        await self._stage.answer()
        return Flow.END

    async def _reject(self, verb: Verb, url: str) -> Flow:
        if not self._stage.is_answered:
            busy = verb.get("reason") == "busy"
            self._stage.reject(CallStatus.BUSY if busy else CallStatus.NO_ANSWER)
        return Flow.END

    async def _connect(self, verb: Verb, url: str) -> Instruction | Flow:
        await self._stage.answer()
        for noun in verb.children[:1]:
            session = await self._stage.open_stream(noun, url, bidirectional=True)
            if session is not None:
                await session.ended.wait()
        if "action" in verb.attributes:
            return self._goto(verb.get("action"), verb, url)
        return Flow.NEXT

    async def _start(self, verb: Verb, url: str) -> Flow:
        await self._stage.answer()
        for noun in verb.children:
            await self._stage.open_stream(noun, url, bidirectional=False)
        return Flow.NEXT

    async def _stop(self, verb: Verb, url: str) -> Flow:
        for noun in verb.children:
            self._stage.stop_stream(noun.get("name"))
        return Flow.NEXT

    def _goto(
        self, target: str, verb: Verb, url: str, fields: tuple[tuple[str, str], ...] = ()
    ) -> Instruction:
        address = urljoin(url, target) if target else urldefrag(url).url
        return Instruction(address, verb.get("method", "POST").upper(), fields)
