import base64
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.breaker import Breakers
from agent.errors import EngineFailed, EngineTimedOut, EngineUnavailable
from agent.speech import Speech, SpokenWord, Voice
from pipelines.engines.budget import Budget, BudgetSpent
from pipelines.engines.elevenlabs import ElevenLabs, ElevenLabsOptions, open_elevenlabs
from pipelines.engines.espeak import Espeak
from pipelines.engines.handover import Patience, Pools
from pipelines.engines.ladder import synthesisers_for
from pipelines.engines.loading import SynthesiserSettings
from pipelines.engines.remote import Remote
from pipelines.engines.rungs import CallSynthesiser
from pipelines.engines.workers import open_workers
from tests.engines.fake_elevenlabs import (
    CHARACTER_S,
    KEY,
    FakeElevenLabs,
    lines_of,
    open_fake_elevenlabs,
    refusal,
)
from tests.engines.fake_http import Asked, Behaviour, breaks_off, never_ends, sends
from tests.engines.local_hub import address_of_no_hub

RACHEL = Voice(elevenlabs=("rachel",))
GREETING = "Good morning, who is this?"


@pytest.fixture
def server() -> Iterator[FakeElevenLabs]:
    with open_fake_elevenlabs() as fake:
        yield fake


@contextmanager
def opened(
    server: FakeElevenLabs, budget: Budget | None = None, within_s: float = 5.0, **options: str
) -> Iterator[ElevenLabs]:
    with open_elevenlabs(
        server.service.url, KEY, ElevenLabsOptions(**options), budget or Budget(10_000, 10_000), within_s
    ) as engine:
        yield engine


@pytest.fixture
def engine(server: FakeElevenLabs) -> Iterator[ElevenLabs]:
    with opened(server) as engine:
        yield engine


def answered(*lines: bytes) -> ElevenLabs:
    """An engine whose server answers with these lines, without a socket."""
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, stream=httpx.ByteStream(b"\n".join(lines)))
    )
    service = Remote(httpx.Client(transport=transport, base_url="http://fake"), "ElevenLabs", 5)
    budget = Budget(10**9, 10**9)
    return ElevenLabs(service, ElevenLabsOptions(), budget, budget, set())


def test_a_clause_is_spoken_without_the_silence_around_it(engine: ElevenLabs) -> None:
    speech = engine.synthesise("Hi there.", RACHEL)
    assert speech.rate_hz == 8000
    assert speech.samples.dtype == np.int16
    assert speech.samples.size == pytest.approx(8000 * (9 * CHARACTER_S + 0.045), abs=16)


def test_words_have_the_times_of_their_characters(engine: ElevenLabs) -> None:
    assert engine.synthesise("Hi - there.", RACHEL).words == (
        SpokenWord("Hi", 5, 105),
        SpokenWord("-", 105, 105),
        SpokenWord("there.", 255, 555),
    )


@pytest.mark.parametrize("output", ["pcm_8000", "ulaw_8000", "pcm_16000", "pcm_24000"])
def test_each_way_of_sending_sound_sounds_the_same(server: FakeElevenLabs, output: str) -> None:
    with opened(server, format=output) as engine:
        speech = engine.synthesise("Hello.", RACHEL)
    assert server.queries[-1] == {"output_format": [output]}
    assert speech.rate_hz == int(output.split("_")[1])
    assert speech.samples.size / speech.rate_hz == pytest.approx(6 * CHARACTER_S + 0.045, abs=0.002)
    assert np.abs(speech.samples).max() == pytest.approx(8000, rel=0.03)


def test_a_request_names_voice_model_language_and_pace(server: FakeElevenLabs, engine: ElevenLabs) -> None:
    engine.synthesise("Guten Tag.", Voice(elevenlabs=("rachel",), language="de", rate_wpm=187))
    assert server.service.asked[-1].startswith("POST /v1/text-to-speech/rachel/stream/with-timestamps?")
    assert server.bodies[-1] == {
        "text": "Guten Tag.",
        "model_id": "eleven_flash_v2_5",
        "voice_settings": {"speed": 1.1},
        "language_code": "de",
    }


def test_a_model_that_guesses_the_language_is_not_told_it(server: FakeElevenLabs) -> None:
    with opened(server, model="eleven_multilingual_v2") as engine:
        engine.synthesise("Hello.", RACHEL)
    assert server.bodies[-1] == {"text": "Hello.", "model_id": "eleven_multilingual_v2"}


@pytest.mark.parametrize(("rate_wpm", "speed"), [(60, 0.7), (400, 1.2)])
def test_the_pace_stays_within_what_elevenlabs_takes(
    server: FakeElevenLabs, engine: ElevenLabs, rate_wpm: int, speed: float
) -> None:
    engine.synthesise("Hello.", Voice(elevenlabs=("rachel",), rate_wpm=rate_wpm))
    assert server.bodies[-1]["voice_settings"] == {"speed": speed}


@pytest.mark.parametrize("text", ["...", " - ", "", "\N{GRINNING FACE}"])
def test_what_has_no_words_is_not_paid_for(server: FakeElevenLabs, engine: ElevenLabs, text: str) -> None:
    speech = engine.synthesise(text, RACHEL)
    assert (speech.samples.size, server.spoken) == (0, [])


def test_numbers_are_said_as_people_say_them_and_timed_as_they_are_written(
    server: FakeElevenLabs, engine: ElevenLabs
) -> None:
    words = engine.synthesise("Room 12 please.", RACHEL).words
    assert server.spoken == ["Room twelve please."]
    assert [word.text for word in words] == ["Room", "12", "please."]
    assert words[1] == SpokenWord("12", 255, 555)


def test_a_name_cannot_lead_to_another_address(server: FakeElevenLabs, engine: ElevenLabs) -> None:
    with pytest.raises(EngineFailed):
        engine.synthesise("Hello.", Voice(elevenlabs=("../../v1/user?x=",)))
    assert server.service.asked[-1].startswith("POST /v1/text-to-speech/..%2F..%2Fv1%2Fuser%3Fx%3D/stream/")


def test_clauses_share_one_connection(server: FakeElevenLabs, engine: ElevenLabs) -> None:
    for _ in range(3):
        engine.synthesise("Hello.", RACHEL)
    assert server.service.connections == 1


def trickles(asked: Asked) -> None:
    asked.close_connection = True
    asked.send_response(200)
    asked.end_headers()
    while True:
        asked.wfile.write(b"\n")
        asked.wfile.flush()


GARBAGE: dict[str, tuple[Behaviour, str]] = {
    "key refused": (refusal("invalid_api_key", 401), "refuses ELEVENLABS_API_KEY"),
    "too many at once": (refusal("too_many_concurrent_requests", 429), "no more requests at once"),
    "text refused": (sends(422, b'{"detail":[{"loc":["body"],"msg":"Good morning"}]}'), r"refuses \(422\)"),
    "out of order": (sends(500, b"<html>Good morning"), r"refuses \(500\)"),
    "elsewhere": (sends(307, b"", Location="http://127.0.0.1:1/"), r"refuses \(307\)"),
    "broken stream": (breaks_off(b"\n".join(lines_of("Good", "pcm_8000"))), "broke the connection"),
    "half a document": (sends(200, lines_of("Good", "pcm_8000")[0][:-40]), "not documented"),
    "no JSON": (sends(200, b"Good morning"), "not documented"),
    "another JSON": (sends(200, b'{"audio_base64": 5}'), "not documented"),
    "no base64": (sends(200, b'{"audio_base64": "!!!!"}'), "not base64"),
    "half a sample": (sends(200, b'{"audio_base64": "AAAA"}'), "half a sample"),
    "endless": (never_ends(b" " * 65_536), "more than 8000000 bytes"),
    "hour-long": (
        sends(200, b'{"audio_base64": "' + b"A" * 1_400_000 + b'"}'),
        "speaks for more than 60 s",
    ),
}


@pytest.mark.parametrize(("behaviour", "complaint"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused_and_neither_key_nor_text_is_repeated(
    server: FakeElevenLabs, engine: ElevenLabs, behaviour: Behaviour, complaint: str
) -> None:
    server.misbehave = behaviour
    with pytest.raises(EngineFailed, match=complaint) as failure:
        engine.synthesise(GREETING, RACHEL)
    assert len(server.bodies) == 1, "nothing is tried twice"
    assert KEY not in str(failure.value)
    assert "Good" not in str(failure.value)


def test_silence_of_the_server_is_given_up_in_time(server: FakeElevenLabs) -> None:
    def is_silent(_: Asked) -> None:
        server.service.closing.wait()

    server.misbehave = is_silent
    with opened(server, within_s=1.0) as engine, pytest.raises(EngineTimedOut, match=r"within 1 s"):
        engine.synthesise(GREETING, RACHEL)


def test_an_answer_that_trickles_is_given_up_in_time(server: FakeElevenLabs) -> None:
    server.misbehave = trickles
    with opened(server, within_s=1.0) as engine, pytest.raises(EngineTimedOut, match=r"within 1 s"):
        engine.synthesise(GREETING, RACHEL)


def test_a_voice_that_is_gone_gives_way_to_the_personas_next_and_is_not_asked_for_again(
    server: FakeElevenLabs, engine: ElevenLabs
) -> None:
    voice = Voice(elevenlabs=("deleted", "adam"))
    first, second = engine.for_call(voice), engine.for_call(voice)
    first.synthesise("One.", voice)
    second.synthesise("Two.", voice)
    assert [path.split("/")[3] for path in server.service.asked if "POST" in path] == [
        "deleted",
        "adam",
        "adam",
    ]
    assert engine.budget.spent.characters == 8, "what was refused costs nothing"


def test_a_persona_without_a_voice_here_is_left_to_other_engines(engine: ElevenLabs) -> None:
    with pytest.raises(EngineUnavailable, match="names no voice"):
        engine.for_call(Voice())


def test_without_any_voice_left_the_call_hands_over(engine: ElevenLabs) -> None:
    with pytest.raises(EngineFailed, match="has not the voice deleted"):
        engine.synthesise("Hello.", Voice(elevenlabs=("deleted",)))
    with pytest.raises(EngineUnavailable):
        engine.for_call(Voice(elevenlabs=("deleted",)))


def test_a_call_stops_at_its_budget_and_nothing_more_is_sent(server: FakeElevenLabs) -> None:
    with opened(server, Budget(1000, 10)) as engine:
        call = engine.for_call(RACHEL)
        call.synthesise("Hello.", RACHEL)
        with pytest.raises(BudgetSpent):
            call.synthesise("Hello.", RACHEL)
        assert engine.for_call(RACHEL).synthesise("Hello.", RACHEL).words
    assert server.spoken == ["Hello.", "Hello."]


def test_a_call_does_not_begin_with_elevenlabs_once_the_day_is_spent(server: FakeElevenLabs) -> None:
    with opened(server, Budget(6, 100)) as engine:
        engine.for_call(RACHEL).synthesise("Hello.", RACHEL)
        with pytest.raises(EngineUnavailable, match="budget of the day"):
            engine.for_call(RACHEL)


def test_a_quota_that_is_used_up_at_elevenlabs_counts_as_a_spent_budget(
    server: FakeElevenLabs, engine: ElevenLabs
) -> None:
    server.misbehave = refusal("quota_exceeded", 401)
    with pytest.raises(BudgetSpent, match="quota"):
        engine.synthesise("Hello.", RACHEL)


@pytest.mark.parametrize(
    ("behaviour", "spent"),
    [(refusal("system_busy", 429), 0), (breaks_off(b"\n"), len(GREETING)), (sends(500, b""), len(GREETING))],
    ids=["refused", "broken off", "failed"],
)
def test_what_may_have_been_billed_stays_spent(
    server: FakeElevenLabs, engine: ElevenLabs, behaviour: Behaviour, spent: int
) -> None:
    server.misbehave = behaviour
    with pytest.raises(EngineFailed):
        engine.synthesise(GREETING, RACHEL)
    assert engine.budget.spent.characters == spent


def test_it_costs_and_waits_for_a_network(engine: ElevenLabs) -> None:
    assert (engine.costs, engine.remote) == (True, True)


def test_a_wrong_key_is_noticed_before_the_first_call(server: FakeElevenLabs) -> None:
    wrong = open_elevenlabs(server.service.url, "sk_wrong", ElevenLabsOptions(), Budget(9, 9), 5)
    with pytest.raises(EngineUnavailable, match="refuses ELEVENLABS_API_KEY") as failure, wrong:
        pass
    assert "sk_wrong" not in str(failure.value)


@pytest.mark.parametrize("key", ["sk with space", "sk_\N{EN DASH}", "sk_\r\nx-evil: 1"])
def test_what_cannot_be_a_key_is_not_sent(server: FakeElevenLabs, key: str) -> None:
    opening = open_elevenlabs(server.service.url, key, ElevenLabsOptions(), Budget(9, 9), 5)
    with pytest.raises(EngineUnavailable, match="is no key"), opening:
        pass
    assert server.service.asked == []


def test_a_key_for_speech_alone_is_good_enough(server: FakeElevenLabs) -> None:
    server.account = refusal("missing_permissions", 401)
    with opened(server) as engine:
        assert engine.synthesise("Hello.", RACHEL).words


def test_an_address_where_nobody_answers_is_a_reason_not_to_choose_it() -> None:
    opening = open_elevenlabs(address_of_no_hub(), KEY, ElevenLabsOptions(), Budget(9, 9), 5)
    with pytest.raises(EngineUnavailable, match="refused"), opening:
        pass


def test_the_key_is_never_logged_nor_shown(server: FakeElevenLabs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(server) as engine:
        engine.synthesise(GREETING, RACHEL)
        server.misbehave = refusal("invalid_api_key", 401)
        with pytest.raises(EngineFailed):
            engine.synthesise(GREETING, RACHEL)
        shown = caplog.text + repr(vars(engine))
    assert "httpcore" in shown, "libraries do log"
    assert KEY not in shown
    assert KEY not in repr(SynthesiserSettings(models_folder=None, elevenlabs_key=KEY))  # type: ignore[arg-type]


def aligned(**change: object) -> ElevenLabs:
    line = json.loads(lines_of("Hi there.", "pcm_8000")[0])
    whole = json.loads(lines_of("Hi there.", "pcm_8000")[1])
    return answered(
        json.dumps(line | {"alignment": line["alignment"] | change}).encode(), json.dumps(whole).encode()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"characters": ["Hi", " ", "t", "h"]},
        {"characters": ["H"]},
        {"character_start_times_seconds": [0.2, 0.1, 0.3, 0.4]},
        {"character_start_times_seconds": [-1.0, 0.1, 0.3, 0.4]},
        {"character_end_times_seconds": [float("inf"), 0.1, 0.3, 0.4]},
    ],
)
def test_times_that_cannot_be_are_replaced_by_times_in_proportion(change: dict[str, object]) -> None:
    words = aligned(**change).synthesise("Hi there.", RACHEL).words
    assert [(word.text, word.start_ms) for word in words] == [("Hi", 0), ("there.", 129)]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["", "a", "\x00", "AAAA"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["characters", "character_start_times_seconds", "x"]), inner)
    ),
    max_leaves=6,
)
times = st.lists(st.floats() | st.floats(0, 5), max_size=12)
alignments = st.fixed_dictionaries(
    {
        "characters": st.lists(st.sampled_from(["", "a", "ab", " "]), max_size=12)
        | st.just(list("Hi there.")),
        "character_start_times_seconds": times,
        "character_end_times_seconds": times,
    }
)
sounds = st.binary(max_size=400).map(lambda sound: base64.b64encode(sound).decode())
lines = st.fixed_dictionaries(
    {"audio_base64": sounds | json_values}, optional={"alignment": alignments | json_values}
).map(lambda line: json.dumps(line).encode())


@given(st.lists(lines | st.binary(max_size=40), max_size=4))
def test_whatever_is_answered_is_speech_with_words_in_it_or_a_failure(answer: list[bytes]) -> None:
    engine = answered(*answer)
    try:
        speech = engine.synthesise("Hi there.", RACHEL)
    except EngineFailed:
        return
    assert isinstance(speech, Speech)
    assert [word.text for word in speech.words] == ["Hi", "there."]
    end_ms = speech.samples.size * 1000 // speech.rate_hz
    assert all(0 <= word.start_ms <= word.end_ms <= end_ms for word in speech.words)


def test_a_closed_engine_leaves_no_connection_open(server: FakeElevenLabs) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(opened(server))
        engine.synthesise("Hello.", RACHEL)
    with pytest.raises(RuntimeError, match="closed"):
        engine.synthesise("Hello.", RACHEL)


async def test_with_the_budget_spent_another_engine_speaks_in_the_same_turn_and_the_event_says_why(
    server: FakeElevenLabs, espeak: Espeak
) -> None:
    events: list[tuple[str, str, str]] = []
    breakers = Breakers()
    with opened(server, Budget(1000, 10)) as engine:
        async with open_workers(1) as local, open_workers(1) as remote:

            def call() -> CallSynthesiser:
                engines = synthesisers_for([engine, espeak], RACHEL)
                return CallSynthesiser(
                    engines,
                    pools=Pools(local, remote),
                    breakers=breakers,
                    on_broke=lambda *what: events.append(what),
                    patience=Patience(hedge_s=5, within_s=5, last_s=5),
                )

            first, second = call(), call()
            for _ in range(2):
                assert (await first.speak("Hello.", RACHEL)).samples.size
            assert (await second.speak("Hello.", RACHEL)).samples.size
    assert (first.engine, second.engine) == ("espeak", "elevenlabs"), "the other call has its own budget"
    assert events == [("elevenlabs", "engine_budget_spent", "espeak")]
    assert server.spoken == ["Hello.", "Hello."]
