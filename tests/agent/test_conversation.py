"""From signals to the record of a conversation."""

from agent.call import Speaker, Stages
from agent.conversation import Conversation
from agent.events import BargedIn, Event, TurnTaken
from agent.playback import HeardReply
from agent.speech import Recognition


class Tracks:
    """Sound as the recorder would find it: (first, last) per speaker, in order."""

    def __init__(self) -> None:
        self.sounds: list[tuple[Speaker, int, int]] = []

    def add(self, speaker: Speaker, first_ms: int, last_ms: int) -> None:
        self.sounds.append((speaker, first_ms, last_ms))

    def bounds(self, speaker: Speaker, start_ms: float, end_ms: float) -> tuple[int, int] | None:
        inside = [(max(a, int(start_ms)), min(b, int(end_ms))) for who, a, b in self.sounds if who is speaker]
        inside = [(a, b) for a, b in inside if a < b]
        return (inside[0][0], inside[-1][1]) if inside else None


def conversation() -> tuple[Conversation, list[Event], Tracks]:
    events: list[Event] = []
    tracks = Tracks()
    return Conversation(events.append, tracks.bounds), events, tracks


def trainee_says(talk: Conversation, tracks: Tracks, text: str, start_ms: int, end_ms: int) -> None:
    tracks.add(Speaker.TRAINEE, start_ms, end_ms)
    talk.voice_started(start_ms + 220)
    talk.voice_stopped(end_ms + 250)
    talk.turn_judged(end_ms + 300)
    talk.understood(Recognition(text, 0.9), end_ms + 420)
    talk.trainee_finished(text, end_ms + 421)


def heard(text: str, start_ms: int, end_ms: int, *, interrupted: bool = False) -> HeardReply:
    return HeardReply(1, text, start_ms, end_ms, complete=not interrupted, interrupted=interrupted)


def test_a_turn_is_bounded_by_its_sound_and_not_by_its_detection() -> None:
    talk, events, tracks = conversation()
    trainee_says(talk, tracks, "who do you order from", 3_000, 4_500)
    (event,) = events
    assert isinstance(event, TurnTaken)
    assert (event.turn.start_ms, event.turn.end_ms, event.turn.confidence) == (3_000, 4_500, 0.9)


def test_the_response_gap_is_from_sound_to_sound_and_its_stages_add_up_to_it() -> None:
    talk, events, tracks = conversation()
    trainee_says(talk, tracks, "who do you order from", 3_000, 4_500)
    talk.first_clause(4_930)
    talk.first_sent(4_960)
    tracks.add(Speaker.PERSONA, 5_050, 6_000)
    turn = talk.persona_heard(heard("Delmar Medical", 5_000, 6_100), 6_200)
    assert turn is not None
    assert turn.response_gap_ms == 550
    assert turn.stages == Stages(300, 120, 10, 30, 90)


def test_an_opening_answers_nobody_and_has_no_gap() -> None:
    talk, _, tracks = conversation()
    tracks.add(Speaker.PERSONA, 200, 1_500)
    turn = talk.persona_heard(heard("Harbor Dental", 180, 1_500), 1_600)
    assert turn is not None and turn.response_gap_ms is None and turn.stages is None


def test_a_barge_in_is_dated_by_the_trainee_s_first_sound_and_the_persona_s_last() -> None:
    talk, events, tracks = conversation()
    tracks.add(Speaker.PERSONA, 1_000, 2_260)
    tracks.add(Speaker.TRAINEE, 2_000, 3_000)
    talk.voice_started(2_215)
    talk.barged_in(2_220)
    talk.persona_heard(heard("Late gloves twice", 1_000, 2_260, interrupted=True), 2_300)
    assert events[0] == BargedIn(at_ms=2_000, cleared_ms=2_260)


def test_an_answer_that_was_never_audible_leaves_no_turn() -> None:
    talk, events, tracks = conversation()
    trainee_says(talk, tracks, "so", 1_000, 1_200)
    assert talk.persona_heard(HeardReply(1, "", None, None, complete=False, interrupted=True), 1_900) is None
    assert len(events) == 1


def test_a_cough_is_no_turn() -> None:
    talk, events, _ = conversation()
    talk.voice_started(1_000)
    talk.voice_stopped(1_400)
    assert talk.trainee_finished("", 1_700) is None
    assert events == []


def test_a_turn_is_as_sure_as_its_last_recognition() -> None:
    talk, _, _ = conversation()
    talk.voice_started(1_000)
    talk.understood(Recognition("I know I", 0.3), 2_000)
    talk.understood(Recognition("I know I caught you", 0.9004), 3_000)
    assert talk.confidence == 0.9
    turn = talk.trainee_finished("I know I caught you", 3_100)
    assert turn is not None and turn.confidence == 0.9
    assert talk.confidence is None


def test_turns_are_numbered_in_the_order_in_which_they_ended() -> None:
    talk, events, tracks = conversation()
    tracks.add(Speaker.PERSONA, 200, 1_500)
    talk.persona_heard(heard("Hello", 200, 1_500), 1_600)
    trainee_says(talk, tracks, "hi", 2_000, 2_500)
    assert [event.turn.index for event in events if isinstance(event, TurnTaken)] == [0, 1]
