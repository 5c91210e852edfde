"""The wired server: what it says of itself, what stops its start, and calls on real stores."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from agent.call import EndReason, Speaker
from agent.errors import ConfigError, StoreError
from db.database import migrate
from rolecall.app import Services, create_app, open_services
from rolecall.settings import Settings
from telephony.front_desk import Connect, InboundCall, Refuse
from telephony.simulator import Call
from tests import servers
from tests.phone import CALLED, CALLER, Phone, open_phone, settings_for, spoken
from tests.postgres import new_database

FAREWELL = "Thank you for your time, goodbye."


def on(settings: Settings, *, database_url: str | None = None, redis_url: str | None = None) -> Settings:
    update: dict[str, Any] = {"redis_url": SecretStr(redis_url) if redis_url else None}
    if database_url is not None:
        update["database_url"] = SecretStr(database_url)
    return settings.model_copy(update=update)


@asynccontextmanager
async def asking(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who operates the server."""
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def ready(phone: Phone) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{phone.url}/ready")
    return answer.status_code, answer.json()


def ring(call_sid: str) -> InboundCall:
    return InboundCall(call_sid=call_sid, caller=CALLER, called=CALLED, direction="inbound", status="ringing")


async def farewell(call: Call) -> None:
    """The trainee takes their leave, and the persona theirs."""
    await call.handset.quiet(600)
    await call.handset.say(spoken(FAREWELL))
    await asyncio.wait_for(call.ended, 30)


async def test_a_server_says_that_it_lives_what_it_is_ready_for_and_what_it_counts(tmp_path: Path) -> None:
    async with open_services(settings_for(tmp_path)) as services, asking(services) as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
        answer = await client.get("/ready")
        assert answer.status_code == 200
        report = answer.json()
        assert (report["ready"], report["database"], report["live_state"]) == (True, "ok", "ok")
        assert report["calls"] == {"active": 0, "most": 20}
        engines = {part: each["engine"] for part, each in report["engines"].items()}
        assert engines.pop("echo_cancellation") in ("speex", "adaptive")
        assert engines.pop("noise_reduction") in ("speex", "spectral")
        assert engines == {"speech_to_text": "whisper", "wording": "authored", "text_to_speech": "espeak"}
        assert all(each["reason"] for each in report["engines"].values())

        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert "rolecall_calls_active 0.0" in metrics.text.splitlines()


async def test_two_callers_who_ring_at_once_do_not_get_the_same_line(tmp_path: Path) -> None:
    async with open_services(settings_for(tmp_path, server={"max_calls": 1})) as services:
        assert isinstance(await services.desk.admit(ring("CA1")), Connect)
        assert isinstance(await services.desk.admit(ring("CA2")), Refuse)
        assert isinstance(await services.desk.admit(ring("CA1")), Connect), "a retry has its line already"


async def test_a_server_whose_lines_are_all_taken_is_not_ready_for_more(tmp_path: Path) -> None:
    async with open_phone(settings_for(tmp_path, server={"max_calls": 1})) as phone:
        call = await phone.dial()
        await call.handset.speech(200)
        status, report = await ready(phone)
        assert (status, report["ready"], report["calls"]) == (503, False, {"active": 1, "most": 1})
        call.handset.hang_up()
        await phone.record(call)
        assert (await ready(phone))[0] == 200


async def test_a_default_scenario_that_does_not_exist_stops_the_start(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, scenarios={"default": "nobody"})
    with pytest.raises(ConfigError, match="'nobody' is not in .*There are: .*cold-call"):
        async with open_services(settings):
            raise AssertionError("it started")
    assert not (tmp_path / "rolecall.db").exists()


async def test_a_database_without_our_schema_stops_the_start_with_the_way_out(
    tmp_path: Path, postgres_url: str
) -> None:
    with new_database(postgres_url) as url:
        with pytest.raises(StoreError, match="no.*Run `rolecall migrate` first"):
            async with open_services(on(settings_for(tmp_path), database_url=url)):
                raise AssertionError("it started")
        await asyncio.to_thread(migrate, url)
        async with open_services(on(settings_for(tmp_path), database_url=url)) as services:
            assert (await services.readiness())["database"] == "ok"


async def test_a_call_is_held_and_recorded_on_postgresql_and_redis(tmp_path: Path, postgres_url: str) -> None:
    with new_database(postgres_url) as url, servers.own_redis() as redis:
        await asyncio.to_thread(migrate, url)
        settings = on(settings_for(tmp_path), database_url=url, redis_url=redis.url)
        async with open_phone(settings) as phone:
            call = await phone.dial()
            await farewell(call)
            record = await phone.record(call)
            assert (await ready(phone))[1]["records_waiting"] == 0
    assert [turn.text for turn in record.turns if turn.speaker is Speaker.TRAINEE] == [FAREWELL]
    assert (record.end_reason, record.ending) == (EndReason.PERSONA_ENDED, "farewell")
    assert record.recording is not None and record.recording.complete
    assert not (tmp_path / "rolecall.db").exists()
    verbs = [entry.detail for entry in call.log if entry.kind == "verb"]
    assert verbs[-1] == "Hangup" and "Say" not in verbs


async def test_a_call_outlives_redis_and_ends_on_record_as_it_did(tmp_path: Path) -> None:
    with servers.own_redis() as redis:
        async with open_phone(on(settings_for(tmp_path), redis_url=redis.url)) as phone:
            call = await phone.dial()
            await call.handset.speech(200)
            redis.stop()
            status, report = await ready(phone)
            assert (status, report["ready"]) == (503, False)
            assert "Redis at 127.0.0.1" in report["live_state"]
            await call.handset.quiet(600)
            await call.handset.say(spoken(FAREWELL))
            record = await phone.record(call)
    assert (record.end_reason, record.ending) == (EndReason.PERSONA_ENDED, "farewell")
    assert record.recording is not None and record.recording.complete


async def test_a_webhook_that_finds_the_live_state_away_is_told_to_try_again(tmp_path: Path) -> None:
    with servers.own_redis() as redis:
        settings = on(settings_for(tmp_path), redis_url=redis.url)
        async with open_phone(settings) as phone:
            redis.stop()
            call = await phone.dial()
            await asyncio.wait_for(call.ended, 30)
    assert any("503" in entry.detail for entry in call.log)


async def test_who_calls_while_the_engines_are_behind_hears_that_all_lines_are_busy(tmp_path: Path) -> None:
    async with open_services(settings_for(tmp_path)) as services, asking(services) as client:
        workers = services.engines.pools.local
        held, release = threading.Barrier(workers.threads + 1), threading.Event()

        def hold() -> None:
            held.wait(30)
            release.wait(30)

        async with asyncio.TaskGroup() as calls:
            for _ in range(workers.threads):
                calls.create_task(workers.run(hold))
            await asyncio.to_thread(held.wait, 30)
            calls.create_task(workers.run(release.wait))
            await asyncio.sleep(0)
            metrics = (await client.get("/metrics")).text
            assert 'rolecall_engine_queue{pool="local"} 1.0' in metrics
            async with asyncio.timeout(10):
                while not services.engines.behind:  # noqa: ASYNC110 a queue that grows old tells nobody
                    await asyncio.sleep(0.05)
            answer = await services.desk.admit(ring("CA" + "7" * 32))
            assert isinstance(answer, Refuse) and answer.reason == "engines_behind"
            assert (await client.get("/ready")).json()["ready"] is False
            release.set()
        assert 'rolecall_engine_wait_seconds_count{pool="local"}' in (await client.get("/metrics")).text
