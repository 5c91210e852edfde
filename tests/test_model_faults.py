"""A model server that fails in the middle of real calls: what the caller hears, and what is on record."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from agent.call import EndReason, Speaker
from agent.events import EngineBroke
from rolecall.settings import Settings
from telephony.simulator.measure import measure, segments
from tests.chat_server import Behaviour, ChatServer, after, open_chat_server, refuses, says, sends
from tests.graphs.models import OLLAMA, SERVER, Kind
from tests.phone import open_phone, settings_for, spoken

LONGEST_SILENCE_MS = 2_000

TURNS: list[tuple[str, Behaviour, str]] = [
    ("Who do you order from today?", after(1.6, says("We order from Delmar Medical.")), ""),
    ("What happens when an order arrives late?", sends("Well. I ", hangs=True), "engine_stalled"),
    ("How many orders do you place every month?", refuses(500, "out of memory"), "engine_failed"),
    ("That sounds stressful.", says("It is what it is."), ""),
    ("Do you have a minute to talk?", refuses(404, "model not found"), "model_missing"),
]


def settings(home: Path, kind: Kind, server: ChatServer) -> Settings:
    wording = {"engine": kind.engine, "server_url": f"{server.host}/v1", "server_model": kind.model}
    settings = settings_for(home, wording=wording, turns={"speculate": False})
    return settings.model_copy(update={"ollama_host": server.host, "ollama_model": kind.model})


async def test_the_caller_hears_no_silence_over_two_seconds_and_no_error_whatever_the_model_server_does(
    tmp_path: Path,
) -> None:
    homes = {kind.engine: tmp_path / kind.engine for kind in (OLLAMA, SERVER)}
    for home in homes.values():
        home.mkdir()
    opening = asyncio.Lock()
    async with asyncio.TaskGroup() as calls:
        for kind in (OLLAMA, SERVER):
            calls.create_task(hold(kind, homes[kind.engine], opening))


async def hold(kind: Kind, home: Path, opening: asyncio.Lock) -> None:
    """A call whose model server fails in another way in each turn; migrations run one at a time."""
    async with open_chat_server(kind.server(behaviour=says("Fine."))) as server, AsyncExitStack() as stack:
        async with opening:
            phone = await stack.enter_async_context(open_phone(settings(home, kind, server)))
        call = await phone.dial()
        for line, behaviour, _ in TURNS:
            server.behaviour = behaviour
            await call.handset.quiet(1_800)
            await call.handset.say(spoken(line))
        await call.handset.quiet(1_800)
        await server.hang_up()
        server.silent = True
        await call.handset.say(spoken("We help dental offices spend less time ordering supplies."))
        await call.handset.quiet(1_800)
        call.handset.hang_up()
        await asyncio.wait_for(call.ended, 10)
        record = await phone.record(call)
        with phone.services.database.calls() as calls:
            broke = [event for _, event in calls.events(record.id) if isinstance(event, EngineBroke)]

    gaps_ms = [gap.gap_ms for gap in measure(call.handset).response_gaps]
    assert len(gaps_ms) == len(TURNS) + 1
    assert max(gaps_ms) <= LONGEST_SILENCE_MS
    assert max(silences_within_replies_ms(call.handset), default=0.0) <= LONGEST_SILENCE_MS
    codes = [code for _, _, code in TURNS if code]
    worded = [event for event in broke if event.fallback == "authored"]
    assert list(dict.fromkeys(event.code for event in worded)) == [*codes, "engine_late"]
    assert {event.engine for event in worded} == {kind.engine}
    assert record.end_reason is EndReason.TRAINEE_HUNG_UP
    said = [turn.text for turn in record.turns if turn.speaker is Speaker.PERSONA]
    assert len(said) == len(TURNS) + 2
    assert not any("error" in text.lower() or "model" in text.lower() for text in said)


def silences_within_replies_ms(handset: object) -> list[float]:
    """The pauses in what the persona says between two turns of the trainee."""
    heard, said = segments(handset.heard), segments(handset.said)  # type: ignore[attr-defined]
    return [
        later.start_ms - sooner.end_ms
        for sooner, later in zip(heard, heard[1:], strict=False)
        if not any(sooner.end_ms < turn.end_ms < later.start_ms for turn in said)
    ]
