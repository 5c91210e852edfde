"""What of the persona's speech was heard, by the carrier's receipts."""

from agent.playback import HeardReply, Playback
from agent.speech import SpokenWord

MESSAGE = 480
"""Samples in 60 ms."""


def words(*texts: str, each_ms: int = 300) -> list[SpokenWord]:
    return [SpokenWord(text, i * each_ms, (i + 1) * each_ms) for i, text in enumerate(texts)]


def replying(*texts: str) -> tuple[Playback, list[str]]:
    """A reply of 300 ms a word, all of it sent at 1000 ms; and the marks of its messages."""
    playback = Playback()
    playback.begin()
    playback.script(words(*texts), len(texts) * 2_400)
    marks = [playback.send(MESSAGE, 1_000) for _ in range(len(texts) * 5)]
    playback.finish()
    return playback, [mark for mark in marks if mark is not None]


def acknowledge(playback: Playback, marks: list[str], first_ms: int) -> None:
    for number, mark in enumerate(marks):
        playback.receipt(mark, first_ms + 60 * (number + 1))


def test_a_reply_is_heard_when_its_last_mark_is_back() -> None:
    playback, marks = replying("we", "order", "gloves")
    acknowledge(playback, marks[:-1], 1_100)
    assert playback.close() is None
    acknowledge(playback, marks[-1:], 1_100 + 60 * 14)
    assert playback.close() == HeardReply(
        1, "we order gloves", 1_100, 2_000, complete=True, interrupted=False
    )


def test_what_is_spoken_ahead_is_known() -> None:
    playback, marks = replying("we", "order", "gloves")
    assert playback.unheard_ms == 900
    acknowledge(playback, marks[:5], 1_100)
    assert playback.unheard_ms == 600
    playback.interrupt(1_400)
    assert playback.unheard_ms == 0


def test_a_reply_is_closed_once() -> None:
    playback, marks = replying("hello")
    acknowledge(playback, marks, 1_100)
    assert playback.close() is not None
    assert playback.close() is None


def test_a_reply_that_is_still_being_worded_stays_open() -> None:
    playback = Playback()
    playback.begin()
    playback.script(words("well"), 2_400)
    acknowledge(playback, [playback.send(MESSAGE, 0) or "" for _ in range(5)], 0)
    assert playback.close() is None


def test_after_a_barge_in_only_what_was_played_counts() -> None:
    playback, marks = replying("late", "gloves", "twice", "last", "month")
    acknowledge(playback, marks[:12], 1_100)
    assert playback.interrupt(1_830) is True
    for mark in marks[12:]:
        playback.receipt(mark, 1_840)
    assert playback.close() == HeardReply(1, "late gloves", 1_100, 1_840, complete=False, interrupted=True)


def test_receipts_that_were_on_their_way_when_the_trainee_barged_in_still_count() -> None:
    playback, marks = replying("late", "gloves", "twice", "last", "month")
    playback.interrupt(1_500)
    acknowledge(playback, marks[:10], 1_100)
    for mark in marks[10:]:
        playback.receipt(mark, 1_720)
    reply = playback.close()
    assert reply is not None and (reply.text, reply.end_ms) == ("late gloves", 1_720)


def test_a_carrier_that_drops_the_marks_of_cleared_audio_does_not_keep_the_reply_open() -> None:
    playback, marks = replying("late", "gloves", "twice", "last", "month")
    acknowledge(playback, marks[:10], 1_100)
    playback.interrupt(1_730)
    assert playback.expire(2_000) == [] and playback.close() is None
    playback.expire(2_300)
    reply = playback.close()
    assert reply is not None and (reply.text, reply.end_ms) == ("late gloves", 1_730)


def test_marks_that_never_come_are_not_waited_for_without_limit() -> None:
    playback, _ = replying("hello", "there")
    playback.expire(1_000 + 600 + 2_100)
    reply = playback.close()
    assert reply is not None and reply.text == "hello there" and reply.complete


def test_an_underrun_at_the_carrier_shifts_what_comes_after_it() -> None:
    playback, marks = replying("one", "two")
    acknowledge(playback, marks[:5], 1_000)
    late = [playback.receipt(mark, 1_300 + 400 + 60 * (i + 1)) for i, mark in enumerate(marks[5:])]
    assert [played.start_ms for played in late if played] == [1_700, 1_760, 1_820, 1_880, 1_940]


def test_receipts_to_the_nearest_block_do_not_pull_the_audio_apart() -> None:
    playback, marks = replying("one", "two")
    starts = [playback.receipt(mark, 1_060 + 60 * i + (20 if i % 3 else 0)) for i, mark in enumerate(marks)]
    assert [played.start_ms for played in starts if played] == [1_000 + 60 * i for i in range(10)]


def test_audio_of_a_reply_that_was_cut_is_not_sent() -> None:
    playback, _ = replying("one", "two")
    playback.interrupt(1_200)
    assert playback.send(MESSAGE, 1_210) is None


def test_nothing_needs_clearing_when_nothing_was_sent() -> None:
    playback = Playback()
    assert playback.interrupt(100) is False
    playback.begin()
    assert playback.interrupt(200) is False


def test_a_mark_of_nobody_is_ignored() -> None:
    playback, marks = replying("one")
    assert playback.receipt("9:99", 1_500) is None
    acknowledge(playback, marks, 1_000)
    assert playback.close() is not None


def test_a_reply_that_was_cut_before_its_first_sound_was_not_heard() -> None:
    playback = Playback()
    playback.begin()
    playback.interrupt(500)
    playback.finish()
    assert playback.close() == HeardReply(1, "", None, None, complete=False, interrupted=True)
