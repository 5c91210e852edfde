"""A call as it is noted, and as hypothesis imagines it."""

from datetime import UTC
from typing import get_args

from hypothesis import strategies as st

from agent.call import EndReason, Speaker, Stages, Turn
from agent.events import (
    BargedIn,
    CallEnded,
    CallStarted,
    EngineBroke,
    EngineChosen,
    Event,
    FilterBypassed,
    KeyPressed,
    LineJudged,
    MessageRefused,
    Part,
    PersonaDecided,
    TraineeSilent,
    TurnTaken,
)


def started(carrier_call_id: str = "CA1", scenario_id: str = "cold-call", at: str = "09:00") -> CallStarted:
    return CallStarted(
        scenario_id=scenario_id,
        scenario_version="sha256:0123456789ab",
        carrier="simulator",
        carrier_call_id=carrier_call_id,
        seed=7,
        started_at=f"2026-11-21T{at}:00+00:00",
    )


def persona_says(index: int, text: str, at_ms: int) -> TurnTaken:
    stages = Stages(turn_end_ms=300, recognition_ms=0, persona_ms=5, speech_ms=10, carrier_ms=40)
    turn = Turn(index, Speaker.PERSONA, text, at_ms - 900, at_ms, response_gap_ms=355, stages=stages)
    return TurnTaken(turn, at_ms)


def trainee_says(index: int, text: str, at_ms: int) -> TurnTaken:
    return TurnTaken(Turn(index, Speaker.TRAINEE, text, at_ms - 900, at_ms, confidence=0.9), at_ms)


def ended(
    at_ms: int = 60_000,
    reason: EndReason = EndReason.PERSONA_ENDED,
    ending: str = "meeting",
    outcome: str = "success",
    at: str = "09:01",
) -> CallEnded:
    instant = f"2026-11-21T{at}:00+00:00"
    return CallEnded(reason, ending, outcome, instant, at_ms, counters={"frames_refused": 2})


def whole_call(carrier_call_id: str = "CA1", exchanges: int = 2) -> list[Event]:
    events: list[Event] = [
        started(carrier_call_id),
        EngineChosen("speech_to_text", "whisper", "tiny", "a model is on disk"),
        EngineChosen("echo_cancellation", "adaptive", "", "always there"),
        EngineChosen("wording", "authored", "", "needs no model", (("ollama", "connection refused"),)),
    ]
    for exchange in range(exchanges):
        at_ms = 5_000 * (exchange + 1)
        events += [
            persona_says(2 * exchange, f"What do you want, {exchange}?", at_ms),
            trainee_says(2 * exchange + 1, f"Half a minute, {exchange}.", at_ms + 2_000),
            PersonaDecided("ask", "time", "opening", {"patience": 0.5}, ("f1",), (), at_ms + 2_400),
        ]
    line = LineJudged(("too_quiet",), {"speech_dbfs": -44.0, "hum_hz": None}, 60_000)
    return [*events, line, ended()]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
small = st.integers(0, 3_600_000)
fractions = st.floats(0, 1)
parts = st.sampled_from(get_args(Part))
words = st.lists(texts, max_size=3).map(tuple)

trainee_turns = st.builds(
    Turn,
    index=st.integers(0, 1_000),
    speaker=st.just(Speaker.TRAINEE),
    text=texts,
    start_ms=st.integers(0, 1_000),
    end_ms=st.integers(1_000, 3_600_000),
    interrupted=st.booleans(),
    confidence=st.none() | fractions,
)
persona_turns = st.builds(
    Turn,
    index=st.integers(0, 1_000),
    speaker=st.just(Speaker.PERSONA),
    text=texts,
    start_ms=st.integers(0, 1_000),
    end_ms=st.integers(1_000, 3_600_000),
    interrupted=st.booleans(),
    response_gap_ms=st.none() | small,
    stages=st.none() | st.builds(Stages, small, small, small, small, small),
)
events_within = st.one_of(
    st.builds(
        EngineChosen,
        parts,
        texts,
        texts,
        texts,
        st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
        small,
    ),
    st.builds(EngineBroke, parts, texts, texts, texts, small),
    st.builds(FilterBypassed, texts, texts, small),
    st.builds(
        LineJudged,
        words,
        st.dictionaries(texts, st.none() | fractions, max_size=3),
        small,
    ),
    st.builds(TurnTaken, trainee_turns | persona_turns, small),
    st.builds(
        PersonaDecided,
        move=texts,
        intent=texts,
        stage=texts,
        emotions=st.dictionaries(texts, fractions, max_size=3),
        disclosed=words,
        open_objections=words,
        at_ms=small,
    ),
    st.builds(BargedIn, small, small),
    st.builds(TraineeSilent, st.integers(1, 5), small),
    st.builds(KeyPressed, st.sampled_from("0123456789*#ABCD"), small),
    st.builds(MessageRefused, texts, texts, small, small),
)
endings = st.builds(
    CallEnded,
    reason=st.sampled_from(EndReason),
    ending=texts,
    outcome=st.sampled_from(["", "success", "failure", "open"]),
    ended_at=st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat()),
    at_ms=small,
    counters=st.dictionaries(texts, small, max_size=3),
)
