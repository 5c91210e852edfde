"""Engines that are missing, hang, crash or answer nonsense in a real call: the call is held, and says so."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.call import EndReason, Speaker
from agent.errors import EngineFailed, EngineUnavailable
from agent.events import EngineBroke
from agent.speech import Recogniser, Recognition, Speech, Voice
from db.records import CallRecord
from pipelines.engines.espeak import Espeak, open_espeak
from pipelines.engines.factories import RECOGNISERS, SYNTHESISERS
from pipelines.engines.loading import Rung
from rolecall.settings import Settings
from telephony.simulator import Call
from tests.engines.fakes import Hang, crashes, fails, hanging, works
from tests.fake_ollama import Behaviour, FakeOllama, HangUp, open_fake_ollama, says, sends
from tests.phone import Phone, open_phone, settings_for, spoken

QUESTION = "Who do you order from today?"


@dataclass
class Fault:
    """What is wrong with the engines from now on; nothing as long as they have to start."""

    hang: Hang
    happens: Callable[[], None] = works
    garbage: bool = False


class FaultyWhisper:
    """Understands nothing but how to start. For all calls, and for each."""

    engine = "whisper"
    model = "faulty"
    remote = False

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def for_call(self, version: str, expected_lines: Sequence[str], languages: Sequence[str]) -> Recogniser:
        return self

    def recognise(self, audio: NDArray[np.float32]) -> Recognition:
        self._fault.happens()
        return Recognition("\0\1\2" if self._fault.garbage else QUESTION, 0.9)


class FaultyPiper:
    """Speaks in espeak-ng's voice until it breaks."""

    engine = "piper"
    model = "faulty"
    remote = False
    costs = False

    def __init__(self, espeak: Espeak, fault: Fault) -> None:
        self._espeak = espeak
        self._fault = fault

    def synthesise(self, text: str, voice: Voice) -> Speech:
        self._fault.happens()
        speech = self._espeak.synthesise(text, voice)
        return replace(speech, samples=np.full(9, np.nan)) if self._fault.garbage else speech


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fault]:
    """Both first rungs of speech are engines with this fault."""

    def whisper(settings: object, resources: ExitStack) -> Rung[FaultyWhisper]:
        return Rung(FaultyWhisper(fault), "for a test")

    def piper(settings: object, resources: ExitStack) -> Rung[FaultyPiper]:
        return Rung(FaultyPiper(resources.enter_context(open_espeak()), fault), "for a test")

    monkeypatch.setitem(RECOGNISERS, "whisper", whisper)
    monkeypatch.setitem(SYNTHESISERS, "piper", piper)
    with hanging() as hang:
        fault = Fault(hang)
        yield fault


def faulty(home: Path, ollama: FakeOllama) -> Settings:
    settings = settings_for(
        home,
        speech_to_text={"engine": "whisper", "model": "faulty"},
        text_to_speech={"engine": "piper"},
        wording={"engine": "ollama"},
    )
    return settings.model_copy(update={"ollama_host": ollama.host, "ollama_model": "llama3.2:3b"})


async def rehearsed(phone: Phone) -> CallRecord:
    """A call in which the trainee asks one question, listens to the answer, and hangs up."""
    call = await phone.dial()
    await call.handset.quiet(600)
    await call.handset.say(spoken(QUESTION))
    await call.handset.speech(300)
    await call.handset.quiet(1_900)
    call.handset.hang_up()
    await asyncio.wait_for(call.ended, 10)
    return await phone.record(call)


def broke(phone: Phone, record: CallRecord) -> list[tuple[str, str, str, str]]:
    with phone.services.database.calls() as calls:
        events = [event for _, event in calls.events(record.id)]
    return sorted(
        (event.part, event.engine, event.code, event.fallback)
        for event in events
        if isinstance(event, EngineBroke)
    )


def said_by(record: CallRecord, speaker: Speaker) -> list[str]:
    return [turn.text for turn in record.turns if turn.speaker is speaker]


@pytest.mark.parametrize(
    ("name", "model_server", "codes"),
    [
        ("hangs", sends(hangs=True), ("engine_timed_out", "engine_late", "engine_timed_out")),
        ("crashes", sends(then=HangUp()), ("engine_crashed", "engine_failed", "engine_crashed")),
        ("garbage", sends(b"<html>\n"), ("engine_garbage", "engine_failed", "engine_garbage")),
    ],
    ids=["hangs", "crashes", "garbage"],
)
async def test_a_call_is_held_although_every_engine_breaks(
    name: str, model_server: Behaviour, codes: tuple[str, str, str], fault: Fault, tmp_path: Path
) -> None:
    async with (
        open_fake_ollama(FakeOllama(behaviour=says("Delmar Medical."))) as ollama,
        open_phone(faulty(tmp_path, ollama)) as phone,
    ):
        fault.happens = {"hangs": fault.hang, "crashes": crashes}.get(name, works)
        fault.garbage = name == "garbage"
        ollama.behaviour = model_server
        record = await rehearsed(phone)
        fault.hang.let_go()

        assert broke(phone, record) == [
            ("speech_to_text", "whisper", codes[0], "sphinx"),
            ("text_to_speech", "piper", codes[2], "espeak"),
            ("wording", "ollama", codes[1], "authored"),
        ]
    assert record.end_reason is EndReason.TRAINEE_HUNG_UP
    assert len(said_by(record, Speaker.TRAINEE)) == 1, "sphinx has understood something"
    assert len(said_by(record, Speaker.PERSONA)) >= 2, "the greeting, and an answer"
    assert {use.engine for use in record.engines if use.broke_code is None} >= {
        "sphinx",
        "authored",
        "espeak",
    }


async def test_a_call_is_held_with_engines_that_are_missing_and_its_record_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(settings: object, resources: ExitStack) -> Rung[Recogniser]:
        raise EngineUnavailable("its model is not on disk, and the hub cannot be reached")

    monkeypatch.setitem(RECOGNISERS, "whisper", missing)
    monkeypatch.setitem(SYNTHESISERS, "piper", missing)
    async with open_fake_ollama(FakeOllama(models=())) as ollama:
        settings = settings_for(
            tmp_path,
            speech_to_text={"engine": "auto", "model": ""},
            text_to_speech={"engine": "auto"},
            wording={"engine": "auto"},
        ).model_copy(update={"ollama_host": ollama.host, "ollama_model": "llama3.2:3b"})
        async with open_phone(settings) as phone:
            record = await rehearsed(phone)
            assert broke(phone, record) == []
    spoken = ("speech_to_text", "wording", "text_to_speech")
    uses = [use for use in record.engines if use.part in spoken]
    serving = {use.engine: [engine for engine, _ in use.passed_over] for use in uses}
    assert serving == {"sphinx": ["whisper"], "authored": ["ollama"], "espeak": ["piper"]}
    assert len(said_by(record, Speaker.PERSONA)) >= 2


async def test_a_model_that_is_deleted_while_the_server_runs_costs_no_word(tmp_path: Path) -> None:
    async with open_fake_ollama() as ollama:
        settings = settings_for(tmp_path, wording={"engine": "ollama"})
        settings = settings.model_copy(update={"ollama_host": ollama.host, "ollama_model": "llama3.2:3b"})
        async with open_phone(settings) as phone:
            ollama.models = ()
            record = await rehearsed(phone)
            assert broke(phone, record) == [("wording", "ollama", "model_missing", "authored")]
    assert "Delmar Medical" in said_by(record, Speaker.PERSONA)[1]


async def test_when_no_engine_can_speak_any_more_the_caller_hears_an_apology(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_fake_ollama() as ollama,
        open_phone(faulty(tmp_path, ollama)) as phone,
    ):
        question = spoken(QUESTION)
        fault.happens = fails
        monkeypatch.setattr(Espeak, "synthesise", _mute)
        call: Call = await phone.dial()
        await call.handset.quiet(600)
        await call.handset.say(question)
        await asyncio.wait_for(call.ended, 30)
        record = await phone.record(call)
        assert ("text_to_speech", "espeak", "engine_failed", "") in broke(phone, record)
    assert record.end_reason is EndReason.FAILED
    assert [entry.detail for entry in call.log if entry.kind == "verb"][-2:] == ["Say", "Hangup"]


def _mute(espeak: Espeak, text: str, voice: Voice) -> Speech:
    raise EngineFailed("espeak-ng could not speak (status 1)")
