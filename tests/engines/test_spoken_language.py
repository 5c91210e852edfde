import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from pipelines.engines.spoken_language import LanguageChoice


def choice_after(*said: tuple[dict[str, float], float], allowed: tuple[str, ...] = ("en", "es")) -> str:
    choice = LanguageChoice(allowed)
    for utterance, (probabilities, seconds) in enumerate(said):
        choice.hear(probabilities, seconds, utterance)
    return choice.decided


SPANISH, ENGLISH = {"es": 0.9, "en": 0.05}, {"es": 0.1, "en": 0.85}
LIKELY_SPANISH, LIKELY_ENGLISH = {"es": 0.7, "en": 0.3}, {"es": 0.45, "en": 0.55}
CERTAINLY_SPANISH = {"es": 0.98, "en": 0.01}


def test_one_language_needs_no_decision() -> None:
    choice = LanguageChoice(["es"])
    assert (choice.decided, choice.is_open) == ("es", False)


def test_no_language_is_an_error() -> None:
    with pytest.raises(ConfigError, match="language"):
        LanguageChoice([])


def test_the_first_long_utterance_decides_if_it_is_clear() -> None:
    assert choice_after((SPANISH, 2.0)) == "es"


def test_a_short_utterance_decides_nothing_but_is_understood_in_its_likeliest_language() -> None:
    choice = LanguageChoice(["en", "es"])
    assert choice.hear(SPANISH, 0.8, 1) == "es"
    assert choice.decided == ""


def test_three_unclear_utterances_decide_by_their_mean() -> None:
    assert choice_after((LIKELY_SPANISH, 2.0), (LIKELY_ENGLISH, 2.0)) == ""
    assert choice_after((LIKELY_SPANISH, 2.0), (LIKELY_ENGLISH, 2.0), (LIKELY_ENGLISH, 2.0)) == "es"


def test_an_utterance_heard_again_and_longer_counts_once() -> None:
    choice = LanguageChoice(["en", "es"])
    for seconds in (1.6, 2.0, 2.4, 3.0):
        choice.hear(LIKELY_SPANISH, seconds, "the same")
    assert choice.decided == ""


def test_only_the_allowed_languages_are_weighed() -> None:
    assert choice_after(({"cy": 0.5, "en": 0.45, "es": 0.05}, 2.0)) == "en"


def test_one_utterance_in_another_language_does_not_change_the_call() -> None:
    assert choice_after((ENGLISH, 2.0), (CERTAINLY_SPANISH, 3.0)) == "en"


def test_two_certain_utterances_in_a_row_change_it() -> None:
    assert choice_after((ENGLISH, 2.0), (CERTAINLY_SPANISH, 3.0), (CERTAINLY_SPANISH, 2.0)) == "es"
    interrupted = ((CERTAINLY_SPANISH, 3.0), (LIKELY_ENGLISH, 3.0), (CERTAINLY_SPANISH, 3.0))
    assert choice_after((ENGLISH, 2.0), *interrupted) == "en"


def test_a_certain_utterance_that_grows_is_still_one() -> None:
    choice = LanguageChoice(["en", "es"])
    choice.hear(ENGLISH, 2.0, 1)
    for seconds in (2.0, 3.0, 4.0):
        assert choice.hear(CERTAINLY_SPANISH, seconds, 2) == "en"


@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.sampled_from(["en", "es", "cy"]),
                st.one_of(st.floats(0, 1), st.sampled_from([math.nan, 0.0])),
            ),
            st.floats(0, 20),
            st.integers(0, 3),
        )
    )
)
def test_whatever_is_heard_the_language_is_an_allowed_one(
    said: list[tuple[dict[str, float], float, int]],
) -> None:
    choice = LanguageChoice(["en", "es"])
    for probabilities, seconds, utterance in said:
        assert choice.hear(probabilities, seconds, utterance) in ("en", "es")
