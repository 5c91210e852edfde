import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech import Recognition
from pipelines.engines.hallucinations import Hypothesis, believable, plain, understood


def heard(
    text: str, log_probability: float = -0.1, no_speech: float = 0.0, seconds: float = 5.0, tokens: int = 4
) -> Hypothesis:
    return Hypothesis(text, seconds, tokens, log_probability, no_speech)


def test_pieces_are_joined_and_confidence_is_the_mean_probability_of_a_token() -> None:
    recognition = understood(
        [heard(" That makes  sense.", -0.1, tokens=1), heard(" Bye now.", -0.4, tokens=2)], "en"
    )
    assert recognition.text == "That makes sense. Bye now."
    assert recognition.confidence == pytest.approx(math.exp(-0.3))
    assert recognition.language == "en"


@pytest.mark.parametrize(
    "phantom",
    [
        heard(" Thank you for watching!"),
        heard(" Thanks for watching. Please subscribe to my channel!"),
        heard(" Subtitles by the Amara.org community"),
        heard(" Subtítulos realizados por la comunidad de Amara.org"),
        heard(" Sous-titrage Société Radio-Canada"),
        heard(" ♪ Music ♪"),
        heard(" ♪ la la la"),
        heard(" [BLANK_AUDIO]"),
        heard(" (upbeat music)"),
        heard(" *beep*"),
        heard(" [Music] (applause) ..."),
        heard(" Thank you.", no_speech=0.4),
        heard(" you", no_speech=0.5),
        heard(" I am going to", -1.2, no_speech=0.7),
        heard(" no" * 8),
        heard(" I don't know." * 4, seconds=30.0),
        heard(" tell me about it again and" * 12, seconds=30.0),
        heard(" I will see what I can do about it and then we can talk", seconds=0.8),
        heard(" ..."),
        heard(""),
    ],
)
def test_a_phantom_is_not_taken_for_speech(phantom: Hypothesis) -> None:
    assert understood([phantom]) == Recognition("", None)


@pytest.mark.parametrize(
    "speech",
    [
        heard(" Thank you.", no_speech=0.1),
        heard(" Bye.", no_speech=0.02, seconds=0.4),
        heard(" Thank you for watching the store while I was out."),
        heard(" The music is too loud."),
        heard(" Do you have a minute?", -1.4, no_speech=0.2),
        heard(" Do you have a minute?", -0.3, no_speech=0.8),
        heard(" No, no, no, no. I said no!"),
        heard(" Hello? Hello? Hello? Hello?"),
        heard(" I don't know. I don't know. I don't know.", seconds=3.0),
        heard(" My number is 555-0100, extension 12.", seconds=3.0),
    ],
)
def test_real_speech_is_not_taken_for_a_phantom(speech: Hypothesis) -> None:
    assert understood([speech]).text == speech.text.strip()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Who is this? Thanks for watching!", "Who is this?"),
        ("[Music] Who is this?", "Who is this?"),
        ("Who is (coughs) this?", "Who is this?"),
    ],
)
def test_a_phantom_beside_speech_is_cut_out(text: str, left: str) -> None:
    assert believable(heard(text)) == left


def test_a_piece_that_is_not_believed_does_not_count_for_the_confidence() -> None:
    recognition = understood([heard("Who is this?", -0.2), heard("Thanks for watching!", -3.0, tokens=40)])
    assert recognition.confidence == pytest.approx(math.exp(-0.2))


def test_an_impossible_probability_is_no_confidence() -> None:
    assert understood([heard("Hello.", math.nan)]) == Recognition("Hello.", None)
    assert understood([heard("Hello.", 0.5)]) == Recognition("Hello.", 1.0)


@given(
    st.lists(
        st.builds(
            Hypothesis,
            st.text(max_size=200),
            st.floats(0.1, 30),
            st.integers(0, 300),
            st.floats(-1e6, 0),
            st.floats(0, 1),
        )
    )
)
def test_whatever_a_model_writes_it_is_text_with_a_probability_or_nothing(pieces: list[Hypothesis]) -> None:
    recognition = understood(pieces)
    assert recognition.text == " ".join(recognition.text.split())
    assert bool(plain(recognition.text)) == (recognition.confidence is not None)
    assert recognition.confidence is None or 0 <= recognition.confidence <= 1
