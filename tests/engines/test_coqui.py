"""The engine that speaks through deploy/coqui, against that very server; only its model is a fake."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import EngineFailed, EngineTimedOut, EngineUnavailable
from agent.speech import Speech, Voice
from deploy.coqui.server import Limits
from pipelines.engines.coqui import Coqui, Offer, open_coqui
from pipelines.engines.remote import Remote
from tests.engines.fake_coqui import TOKEN, FakeSpeaker, open_server, until
from tests.engines.fake_http import Asked, Behaviour, breaks_off, never_ends, open_fake_service, sends
from tests.engines.local_hub import address_of_no_hub

ANNA = Voice(coqui=("p225",))


@contextmanager
def opened(
    speaker: FakeSpeaker, limits: Limits | None = None, token: str = "", within_s: float = 5.0
) -> Iterator[Coqui]:
    with open_server(lambda: speaker, limits, token) as url:
        until(lambda: httpx.get(f"{url}/ready", trust_env=False).status_code == 200)
        with open_coqui(url, token, within_s) as engine:
            yield engine


@pytest.fixture
def speaker() -> FakeSpeaker:
    return FakeSpeaker()


@pytest.fixture
def engine(speaker: FakeSpeaker) -> Iterator[Coqui]:
    with opened(speaker) as engine:
        yield engine


def test_a_clause_is_spoken_without_the_silence_around_it(engine: Coqui) -> None:
    speech = engine.synthesise("Who is this please?", ANNA)
    assert speech.rate_hz == 22_050
    assert speech.samples.dtype == np.int16
    assert speech.samples.size == pytest.approx(22_050 * 0.445, abs=22)
    assert np.abs(speech.samples).max() == pytest.approx(16_383, rel=0.01)


def test_words_share_the_time_by_their_length(engine: Coqui) -> None:
    words = engine.synthesise("Yes - certainly.", ANNA).words
    assert [(word.text, word.start_ms, word.end_ms) for word in words] == [
        ("Yes", 0, 76),
        ("-", 76, 76),
        ("certainly.", 76, 304),
    ]


@pytest.mark.parametrize(("rate_wpm", "rate"), [(170, 1.0), (204, 1.2), (20, 0.5), (900, 2.0)])
def test_pace_is_the_voices(engine: Coqui, speaker: FakeSpeaker, rate_wpm: int, rate: float) -> None:
    engine.synthesise("Hello.", Voice(coqui=("p226",), rate_wpm=rate_wpm))
    assert speaker.said[-1] == ("Hello.", "p226", "en", rate)


def test_a_model_of_many_languages_is_told_which() -> None:
    speaker = FakeSpeaker(languages=("en", "de", "zh-cn"))
    with opened(speaker) as engine:
        engine.synthesise("Guten Tag.", Voice(coqui=("p225",), language="de"))
        assert speaker.said[-1] == ("Guten Tag.", "p225", "de", 1.0)
        engine.synthesise("Ni hao.", Voice(coqui=("p225",), language="zh"))
        assert speaker.said[-1] == ("Ni hao.", "p225", "zh-cn", 1.0)
        with pytest.raises(EngineFailed, match="refuses the text"):
            engine.synthesise("Bonjour.", Voice(coqui=("p225",), language="fr"))


def test_the_first_voice_that_the_server_has_speaks(engine: Coqui, speaker: FakeSpeaker) -> None:
    engine.synthesise("Hello.", Voice(coqui=("claribel", "p226", "p225")))
    assert speaker.said[-1][1] == "p226"


def test_a_voice_that_is_lost_in_mid_call_gives_way_to_the_next(engine: Coqui, speaker: FakeSpeaker) -> None:
    voice = Voice(coqui=("p225", "p226"))
    speaker.voices = ("p226",)
    assert engine.synthesise("One.", voice).words
    assert speaker.said[-1][1] == "p226"
    speaker.voices = ()
    with pytest.raises(EngineFailed, match="lost the voice p226"):
        engine.synthesise("Two.", voice)


@pytest.mark.parametrize("text", ["...", "", "\N{GRINNING FACE}"])
def test_what_has_no_words_is_silence(engine: Coqui, speaker: FakeSpeaker, text: str) -> None:
    assert engine.synthesise(text, ANNA).samples.size == 0
    assert len(speaker.said) == 1, "the warm-up"


@pytest.mark.parametrize("voice", [Voice(), Voice(coqui=("claribel",))])
def test_a_persona_without_a_voice_here_is_left_to_other_engines(engine: Coqui, voice: Voice) -> None:
    with pytest.raises(EngineUnavailable):
        engine.for_call(voice)
    with pytest.raises(EngineFailed):
        engine.synthesise("Hello.", voice)


def test_calls_share_the_server_and_its_name(engine: Coqui) -> None:
    assert engine.for_call(ANNA) is engine
    assert (engine.engine, engine.model, engine.remote, engine.costs) == ("coqui", "vctk", True, False)


def test_a_token_is_shown_where_one_is_wanted(speaker: FakeSpeaker) -> None:
    with opened(speaker, token=TOKEN) as engine:
        assert engine.synthesise("Hello.", ANNA).words


def test_a_wrong_token_is_noticed_before_the_first_call(speaker: FakeSpeaker) -> None:
    with open_server(lambda: speaker, token=TOKEN) as url:
        until(lambda: httpx.get(f"{url}/ready", trust_env=False).status_code == 200)
        with pytest.raises(EngineUnavailable, match="refuses COQUI_TOKEN"), open_coqui(url, "wrong", 5):
            pass


def test_what_cannot_be_a_token_is_not_sent() -> None:
    with pytest.raises(EngineUnavailable, match="is no token"), open_coqui(address_of_no_hub(), "a\r\nb", 5):
        pass


def test_a_server_that_is_still_loading_is_not_chosen(speaker: FakeSpeaker) -> None:
    loading = threading.Event()

    def load() -> FakeSpeaker:
        loading.wait()
        return speaker

    with open_server(load) as url:
        try:
            with pytest.raises(EngineUnavailable, match=r"is not ready \(503\)"), open_coqui(url, "", 5):
                pass
        finally:
            loading.set()


def test_no_server_is_a_reason_not_to_choose_it() -> None:
    with pytest.raises(EngineUnavailable, match="refused"), open_coqui(address_of_no_hub(), "", 5):
        pass


def test_a_server_with_too_much_to_do_hands_over(speaker: FakeSpeaker) -> None:
    with opened(speaker, Limits(waiting=0)) as engine:
        speaker.go_on.clear()
        first = threading.Thread(target=engine.synthesise, args=("First.", ANNA))
        first.start()
        until(lambda: speaker.said[-1][0] == "First.")
        with pytest.raises(EngineFailed, match="too much to do"):
            engine.synthesise("Second.", ANNA)
        speaker.go_on.set()
        first.join()


def test_a_server_that_hangs_is_given_up_in_time(speaker: FakeSpeaker) -> None:
    with opened(speaker, within_s=1.0) as engine:
        speaker.go_on.clear()
        with pytest.raises(EngineTimedOut, match=r"within 1 s"):
            engine.synthesise("Hello.", ANNA)
        speaker.go_on.set()


def test_a_model_that_breaks_hands_over_and_may_speak_the_next_clause(
    engine: Coqui, speaker: FakeSpeaker
) -> None:
    speaker.sound = lambda samples: samples * np.nan
    with pytest.raises(EngineFailed, match="status 500"):
        engine.synthesise("Hello.", ANNA)
    speaker.sound = lambda samples: samples
    assert engine.synthesise("Hello.", ANNA).words


OFFER = json.dumps({"model": "vctk", "voices": ["p225"], "languages": ["en"]}).encode()
SOUND = {"Content_Type": "audio/pcm", "X_Sample_Rate_Hz": "8000"}


def speaks_like(behaviour: Behaviour) -> Behaviour:
    """A server that is ready and lists a voice, and then `behaviour`."""

    def behave(asked: Asked) -> None:
        (behaviour if asked.command == "POST" else sends(200, OFFER))(asked)

    return behave


GARBAGE: dict[str, tuple[Behaviour, str]] = {
    "a web page": (sends(200, b"<html></html>", Content_Type="text/html"), "no sound"),
    "half a sample": (sends(200, b"abc", **SOUND), "no sound"),
    "no rate": (sends(200, b"ab", Content_Type="audio/pcm"), "no sound"),
    "an absurd rate": (sends(200, b"ab", Content_Type="audio/pcm", X_Sample_Rate_Hz="999999999"), "no sound"),
    "a rate of digits": (sends(200, b"ab", Content_Type="audio/pcm", X_Sample_Rate_Hz="²²"), "no sound"),
    "a negative rate": (sends(200, b"ab", Content_Type="audio/pcm", X_Sample_Rate_Hz="-8000"), "no sound"),
    "an hour": (sends(200, bytes(2 * 8000 * 61), **SOUND), "speaks for more than 60 s"),
    "no end": (never_ends(bytes(65_536), **SOUND), "more than 5760000 bytes"),
    "cut off": (breaks_off(bytes(1000), **SOUND), "broke the connection"),
    "elsewhere": (sends(302, b"", Location="http://127.0.0.1:1/"), "status 302"),
}


@pytest.mark.parametrize(("behaviour", "complaint"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused(behaviour: Behaviour, complaint: str) -> None:
    with open_fake_service(speaks_like(behaviour)) as service, open_coqui(service.url, "", 5) as engine:
        with pytest.raises(EngineFailed, match=complaint):
            engine.synthesise("Hello.", ANNA)
        assert service.asked.count("POST /v1/speech") == 1, "nothing is tried twice"


@pytest.mark.parametrize(
    "listing", [b"", b"[]", b"{}", b'{"model": "", "voices": [], "languages": []}', b"\xff", b"[" * 100_000]
)
def test_a_listing_that_is_none_is_a_reason_not_to_choose_it(listing: bytes) -> None:
    with (
        open_fake_service(sends(200, listing)) as service,
        pytest.raises(EngineUnavailable, match="list of voices"),
        open_coqui(service.url, "", 5),
    ):
        pass


def test_clauses_share_one_connection() -> None:
    tone = (8000 * np.sin(np.arange(800))).astype("<i2").tobytes()
    behaviour = speaks_like(sends(200, tone, **SOUND))
    with open_fake_service(behaviour) as service, open_coqui(service.url, "", 5) as engine:
        for _ in range(3):
            engine.synthesise("Hello.", ANNA)
        assert service.connections == 1


@given(
    st.integers(100, 599).filter(lambda status: status >= 200),
    st.dictionaries(
        st.sampled_from(["Content-Type", "X-Sample-Rate-Hz", "Content-Encoding"]),
        st.sampled_from(["audio/pcm", "audio/pcm; a=b", "8000", "16000", "gzip", "", "x", "1e4"]),
    ),
    st.binary(max_size=200),
)
def test_whatever_is_answered_is_speech_with_words_in_it_or_a_failure(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, content=OFFER)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://fake") as client:
        engine = Coqui(Remote(client, "Coqui", 5), Offer.model_validate_json(OFFER))
        try:
            speech = engine.synthesise("Hi there.", ANNA)
        except EngineFailed:
            return
    assert isinstance(speech, Speech)
    end_ms = speech.samples.size * 1000 // speech.rate_hz
    assert [word.text for word in speech.words] == ["Hi", "there."]
    assert all(0 <= word.start_ms <= word.end_ms <= end_ms for word in speech.words)
