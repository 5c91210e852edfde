import pocketsphinx  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.language_model import TrigramModel

SENTENCES = [
    ["do", "you", "have", "a", "minute"],
    ["do", "you", "have", "a", "supplier"],
    ["do", "i", "have", "to"],
    ["bye"],
]


@pytest.fixture(scope="module")
def read_back(tmp_path_factory: pytest.TempPathFactory) -> pocketsphinx.NGramModel:
    """The ARPA file as PocketSphinx understands it."""
    path = tmp_path_factory.mktemp("lm") / "model.lm"
    path.write_text(TrigramModel(SENTENCES).arpa(), encoding="utf-8")
    log_math = pocketsphinx.LogMath(1.0001)
    return pocketsphinx.NGramModel(pocketsphinx.Config(loglevel="FATAL"), log_math, str(path))


@pytest.mark.parametrize(
    "gram",
    [
        ("bye",),
        ("you", "have"),
        ("do", "you", "have"),
        ("<s>", "do", "i"),
        ("have", "a", "minute"),
        ("have", "a", "bye"),
        ("bye", "bye", "bye"),
        ("supplier", "i", "have"),
        ("you", "have", "to"),
        ("minute", "</s>"),
    ],
)
def test_pocketsphinx_reads_the_probabilities_that_were_written(
    read_back: pocketsphinx.NGramModel, gram: tuple[str, ...]
) -> None:
    # PocketSphinx takes the word first and its history latest first.
    found = pocketsphinx.LogMath(1.0001).exp(read_back.prob(list(reversed(gram))))
    assert found == pytest.approx(TrigramModel(SENTENCES).probability(gram), rel=0.01)


def test_a_seen_sentence_is_likelier_than_its_words_in_another_order() -> None:
    model = TrigramModel(SENTENCES)
    assert model.probability(("do", "you", "have")) > 10 * model.probability(("have", "you", "do"))


@given(
    st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=6), min_size=1, max_size=8),
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "<s>"]), max_size=2),
)
def test_after_any_history_the_probabilities_add_up_to_one(
    sentences: list[list[str]], history: list[str]
) -> None:
    vocabulary = {word for words in sentences for word in words} | {"</s>"}
    model = TrigramModel(sentences)
    assert sum(model.probability((*history, word)) for word in vocabulary) == pytest.approx(1)


def test_a_model_says_how_many_entries_it_has() -> None:
    arpa = TrigramModel([["yes"]]).arpa()
    assert arpa.startswith("\\data\\\nngram 1=3\nngram 2=2\nngram 3=1\n")
    assert arpa.endswith("\\end\\\n")
