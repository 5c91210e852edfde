from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import ScenarioError
from agent.scenario import Scenario, load_scenario, load_scenarios
from agent.scenario_check import check_scenario
from agent.speech import Voice
from tests.agent.scenarios import COLD_CALL, changed, cold_call

Change = Callable[[dict[str, Any]], object]


def faults_of(path: Path) -> list[tuple[str, str]]:
    return [(fault.field, fault.reason) for fault in check_scenario(path)]


def place_of(document: dict[str, Any], path: str) -> tuple[Any, str | int]:
    steps = path.replace("[", ".").replace("]", "").split(".")
    *before, last = (int(step) if step.isdigit() else step for step in steps)
    place: Any = document
    for step in before:
        place = place[step]
    return place, last


def field_set(path: str, value: object) -> Change:
    """Sets the field at a path such as `facts[2].unlocked_by.move`."""

    def change(document: dict[str, Any]) -> None:
        place, last = place_of(document, path)
        place[last] = value

    return change


def field_removed(path: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        place, last = place_of(document, path)
        del place[last]

    return change


def test_the_shipped_scenarios_have_no_fault() -> None:
    for path in COLD_CALL.parent.glob("*.yaml"):
        assert check_scenario(path) == []


def test_the_cold_call_has_what_a_call_needs() -> None:
    scenario = cold_call()

    assert len(scenario.moves) >= 8
    assert len(scenario.facts) == 4
    assert len(scenario.objections) == 3
    assert {ending.outcome for ending in scenario.endings} == {"success", "failure", "open"}
    assert scenario.persona.voice == Voice(
        espeak=("en-us+f3",),
        piper=("en_US-amy-medium", "en_US-kristin-medium"),
        rate_wpm=180,
        pitch=55,
        energy=60,
    )
    assert scenario.simulation.voice.espeak == ("en-us",)
    assert [line.interrupt_after_ms for line in scenario.simulation.lines].count(2600) == 1


def test_a_voice_is_named_once_or_several_times_best_first(tmp_path: Path) -> None:
    voice = {"espeak": "en-us+f2", "piper": ["en_US-amy-medium", "en_US-lessac-medium"], "elevenlabs": "Dana"}
    scenario = load_scenario(changed(tmp_path, field_set("persona.voice", voice)))

    assert scenario.persona.voice == Voice(
        espeak=("en-us+f2",), piper=("en_US-amy-medium", "en_US-lessac-medium"), elevenlabs=("Dana",)
    )


def test_a_trainee_speaks_the_language_of_the_scenario_unless_it_allows_others(tmp_path: Path) -> None:
    assert cold_call().spoken_languages == ("en",)
    british = load_scenario(changed(tmp_path, field_set("language", "en-GB")))
    assert british.spoken_languages == ("en",)
    several = load_scenario(changed(tmp_path, field_set("languages", ["en", "es"])))
    assert several.spoken_languages == ("en", "es")


@pytest.mark.parametrize(
    ("languages", "field"),
    [
        (["en", "en"], "languages"),
        (["English"], "languages[0]"),
        (["en-GB"], "languages[0]"),
        ("en", "languages"),
    ],
)
def test_languages_are_codes_and_each_is_named_once(tmp_path: Path, languages: object, field: str) -> None:
    [(named, _)] = faults_of(changed(tmp_path, field_set("languages", languages)))
    assert named == field


def test_everybody_speaks_the_language_of_the_scenario(tmp_path: Path) -> None:
    german = load_scenario(changed(tmp_path, field_set("language", "de-AT")))

    assert {german.persona.voice.language, german.simulation.voice.language} == {"de"}
    assert cold_call().simulation.voice.language == "en"


def test_expected_lines_are_everything_a_trainee_may_say_each_once() -> None:
    scenario = cold_call()
    lines = scenario.expected_lines()

    assert len(lines) == len(set(lines))
    assert "Who is your current supplier?" in lines
    assert "That makes sense. Who do you order from today?" in lines
    assert "stop the exercise" in lines


def test_the_version_follows_the_content_and_not_the_layout(tmp_path: Path) -> None:
    same = changed(tmp_path, lambda document: None)
    assert load_scenario(same).version == cold_call().version

    reordered = dict(reversed(yaml.safe_load(COLD_CALL.read_text()).items()))
    same.write_text("# a comment\n" + yaml.safe_dump(reordered, sort_keys=False))
    assert load_scenario(same).version == cold_call().version

    other = changed(tmp_path, field_set("facts[0].truth", "They order from somebody else."))
    assert load_scenario(other).version != cold_call().version
    assert len(cold_call().version) == len("sha256:") + 12


def test_the_file_name_is_the_id(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda document: None, name="warm-call")

    assert faults_of(path) == [("id", "should be 'warm-call', the name of the file")]


def test_a_folder_is_loaded_whole(tmp_path: Path) -> None:
    changed(tmp_path, lambda document: None)
    changed(tmp_path, field_set("id", "another"), name="another")

    assert list(load_scenarios(tmp_path)) == ["another", "cold-call"]


def test_a_folder_without_scenarios_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no scenario in"):
        load_scenarios(tmp_path)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (field_set("tempers", {}), "tempers", "is not a field of the scenario format"),
        (field_set("moves[0].reply", ["x"]), "moves[0].reply", "is not a field of the scenario format"),
        (field_set("persona.voice.speed", 1), "persona.voice.speed", "is not a field of the scenario format"),
        (field_removed("opening"), "opening", "is missing"),
        (field_set("opening", []), "opening", "is empty: at least one is needed"),
        (field_set("opening[0]", " "), "opening[0]", "is empty"),
        (field_removed("moves[3].replies"), "moves[3].replies", "is missing"),
        (field_set("moves[3].replies", []), "moves[3].replies", "is empty: at least one is needed"),
        (field_set("title", 7), "title", "should be text, not a number"),
        (field_set("title", None), "title", "should be text, not empty"),
        (field_set("title", True), "title", "should be text, not yes or no"),
        (field_set("moves", "none"), "moves", "should be a list, not text"),
        (field_set("emotions.trust.start", 1.5), "emotions.trust.start", "should be less than or equal to 1"),
        (field_set("emotions.trust.start", "high"), "emotions.trust.start", "should be a number, not text"),
        (
            field_set("emotions.trust.start", True),
            "emotions.trust.start",
            "should be a number, not yes or no",
        ),
        (field_set("moves[0].feel.trust", float("nan")), "moves[0].feel.trust", "should be a finite number"),
        (
            field_set("persona.voice.rate_wpm", 9),
            "persona.voice.rate_wpm",
            "should be greater than or equal to 80",
        ),
        (
            field_set("persona.voice.energy", 100),
            "persona.voice.energy",
            "should be less than or equal to 99",
        ),
        (field_set("persona.voice.piper", [""]), "persona.voice.piper[0]", "is empty"),
        (field_set("persona.voice.espeak", []), "persona.voice.espeak", "is empty: at least one is needed"),
        (field_set("persona.voice.coqui", 7), "persona.voice.coqui", "should be a list, not a number"),
        (
            field_set("emotions.trust.voice", {"rate": 31}),
            "emotions.trust.voice.rate",
            "should be less than or equal to 30",
        ),
        (
            field_set("emotions.trust.voice", {"volume": 1}),
            "emotions.trust.voice.volume",
            "is not a field of the scenario format",
        ),
        (field_set("difficulty", "brutal"), "difficulty", "should be 'easy', 'medium' or 'hard'"),
        (field_removed("endings[0].outcome"), "endings[0].outcome", "is missing"),
        (
            field_set("endings[0].outcome", "won"),
            "endings[0].outcome",
            "should be 'success', 'failure' or 'open'",
        ),
        (
            field_set("simulation.lines[0].interrupt_after_ms", -1),
            "simulation.lines[0].interrupt_after_ms",
            "should",
        ),
        (
            field_set("moves[0].patterns[0]", "(a"),
            "moves[0].patterns[0]",
            "is not a regular expression: missing )",
        ),
        (field_set("moves[0].id", "Say Hello"), "moves[0].id", "should match"),
        (
            field_set("facts[2].unlocked_by.move", "ask"),
            "facts[2].unlocked_by.move",
            "there is no move 'ask'",
        ),
        (
            field_set("objections[0].raised_by.move", "x"),
            "objections[0].raised_by.move",
            "there is no move 'x'",
        ),
        (
            field_set("objections[1].resolved_by[2]", "x"),
            "objections[1].resolved_by[2]",
            "there is no move 'x'",
        ),
        (field_set("endings[0].when.move", "x"), "endings[0].when.move", "there is no move 'x'"),
        (field_set("stages[1].entered_by[0]", "x"), "stages[1].entered_by[0]", "there is no move 'x'"),
        (field_set("moves[1].id", "introduce"), "moves[1].id", "'introduce' is used twice in moves"),
        (field_set("facts[1].id", "supplier"), "facts[1].id", "'supplier' is used twice in facts"),
        (field_set("endings[1].id", "meeting"), "endings[1].id", "'meeting' is used twice in endings"),
        (field_set("moves[0].id", "unclear"), "moves[0].id", "'unclear' is a name the persona needs itself"),
        (
            field_set("endings[0].id", "stop_word"),
            "endings[0].id",
            "'stop_word' is a name the persona needs itself",
        ),
        (
            field_removed("emotions.patience"),
            "emotions.patience",
            "is missing: endings and facts depend on it",
        ),
        (field_set("moves[0].feel.anger", 0.1), "moves[0].feel.anger", "there is no emotion 'anger'"),
        (field_set("stages[0].entered_by", ["push"]), "stages[0].entered_by", "the first stage is where"),
        (field_removed("stages[1].entered_by"), "stages[1].entered_by", "no move ever enters this stage"),
        (
            field_removed("facts[3].withheld"),
            "facts[3].withheld",
            "is missing: what is said when it is asked for too early?",
        ),
        (field_set("facts[0].lines[1]", "Somebody."), "facts[0].lines[1]", "matches no pattern of told_by"),
        (
            field_set("persona.goals[2]", "never buy from Delmar"),
            "persona.goals[2]",
            "gives away the fact 'supplier'",
        ),
        (
            field_set("lines.other[0]", "Late gloves again."),
            "lines.other[0]",
            "gives away the fact 'late_gloves'",
        ),
        (
            field_set("endings[0].when.facts_at_least", 5),
            "endings[0].when.facts_at_least",
            "can never be reached",
        ),
        (
            field_set("endings[1].when.below.patience", 0),
            "endings[1].when.below.patience",
            "can never be reached",
        ),
        (field_set("endings[2].when", {}), "endings[2].when", "holds at once"),
        (
            field_set("endings[2].when", {"below": {"patience": 0.1}}),
            "endings[2]",
            "can never be reached: 'brush_off' comes first and holds whenever it does",
        ),
    ],
)
def test_a_fault_is_named_with_its_field_and_reason(
    change: Change, field: str, reason: str, tmp_path: Path
) -> None:
    path = changed(tmp_path, change)
    found = dict(faults_of(path))

    assert field in found
    assert found[field].startswith(reason)
    with pytest.raises(ScenarioError, match="cold-call.yaml: "):
        load_scenario(path)


def test_an_ending_that_asks_for_trust_nobody_can_earn_is_named(tmp_path: Path) -> None:
    def nobody_earns_trust(document: dict[str, Any]) -> None:
        for move in document["moves"]:
            move.get("feel", {}).pop("trust", None)
        for row in (*document["reactions"].values(), *document["events"]):
            row.get("feel", {}).pop("trust", None)

    assert faults_of(changed(tmp_path, nobody_earns_trust)) == [
        ("facts[3].unlocked_by.at_least.trust", "can never be reached: nothing raises trust"),
        ("endings[0].when.at_least.trust", "can never be reached: nothing raises trust"),
    ]


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["tempers"] = {}
        document["facts"][2]["unlocked_by"]["move"] = "ask"
        document["moves"][0]["patterns"] = ["(a"]
        document["moves"][1]["id"] = "introduce"
        del document["title"]

    path = changed(tmp_path, spoil)
    fields = [field for field, _ in faults_of(path)]

    assert {"tempers", "title", "facts[2].unlocked_by.move", "moves[0].patterns[0]", "moves[1].id"} <= set(
        fields
    )
    with pytest.raises(ScenarioError) as error:
        load_scenario(path)
    assert all(field in str(error.value) for field in fields)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        (b"", "", "should be a mapping of fields, not empty"),
        (b"- a\n- b\n", "", "should be a mapping of fields, not a list"),
        (b"just text", "", "should be a mapping of fields, not text"),
        (b"id: a\n  b: [\n", "line 2", "mapping values are not allowed"),
        (b"id: [a\ntitle: b\n", "line 2", "did not find expected"),
        (b"id: a\nid: b\n", "line 2", "'id' is given twice"),
        (b"a: &x [1]\nb: *x\n", "line 1", "uses an anchor or alias"),
        (b"a: !!python/object/apply:os.system ['true']\n", "line 1", "uses a tag"),
        (b"[" * 100_000, "line 1", "is nested deeper than 24 levels"),
        (b"id: \xff\xfe\n", "", "is not UTF-8 text"),
        (b"id: a\x00b\n", "", "is not YAML"),
        (b"id: 2024-99-99\n", "", "is not YAML"),
        (b"id: " + b"9" * 5000 + b"\n", "", "is not YAML"),
        (b"a: b\n" * 250_000, "", "is larger than 1000 kB"),
        (b"a: 1\n---\nb: 2\n", "line 2", "but found another document"),
    ],
)
def test_a_file_that_is_no_plain_mapping_is_named(
    content: bytes, field: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    ((found_field, found_reason),) = faults_of(path)

    assert found_field == field
    assert reason in found_reason
    assert len(found_reason) < 200


def test_a_few_aliases_that_would_expand_to_gigabytes_are_refused(tmp_path: Path) -> None:
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    path = tmp_path / "bomb.yaml"
    path.write_text(f"a0: &a0 [lol]\n{layers}\n")

    assert faults_of(path) == [("line 1", "uses an anchor or alias (& or *): write the text out")]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert faults_of(tmp_path / "none.yaml") == [("", "cannot be read: No such file or directory")]
    assert faults_of(tmp_path) == [("", "cannot be read: Is a directory")]


def test_a_fault_prints_as_file_field_and_reason(tmp_path: Path) -> None:
    path = changed(tmp_path, field_removed("opening"))

    assert [str(fault) for fault in check_scenario(path)] == [f"{path}: opening: is missing"]


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_YAML = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """The cold call with something else in one to three places."""
    document: dict[str, Any] = yaml.safe_load(COLD_CALL.read_text())
    for _ in range(draw(st.integers(1, 3))):
        place: Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
                break
            place = place[key]
        place[key] = draw(_YAML)
    return document


@given(document=spoiled())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_checking_never_raises_and_agrees_with_loading(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "cold-call.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True))
    faults = check_scenario(path)
    if faults:
        with pytest.raises(ScenarioError):
            load_scenario(path)
    else:
        assert isinstance(load_scenario(path), Scenario)


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(deadline=None)
def test_checking_never_raises_on_any_bytes(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)

    assert check_scenario(path)
