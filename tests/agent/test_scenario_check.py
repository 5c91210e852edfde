"""What `rolecall scenarios check` refuses beyond wrong shapes, by field and reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.scenario import load_scenario
from agent.scenario_check import check_scenario
from agent.scenario_parts import SOUND_NAMES
from audio.sounds import SOUNDS
from tests.agent.scenarios import COLD_CALL, changed

Change = Callable[[dict[str, Any]], object]


def added(part: str, **row: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document.setdefault(part, []).append(row)

    return change


def updated(*path: str | int, **values: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path:
            place = place[step]
        place.update(values)

    return change


def placed(value: Any, *path: str | int) -> Change:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


EVENT = {"title": "an event", "lines": ["Something happens.", "Look at that."]}
RULE = {"title": "a rule", "source": "our own"}
CRITERION = {"title": "a criterion", "weight": 100}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (
            updated("facts", 0, "unlocked_by", told=["decider"]),
            "facts[0].withheld",
            "is missing: what is said when it is asked for too early?",
        ),
        (
            lambda document: (
                document["facts"][0].update(withheld=["No."]),
                document["facts"][0]["unlocked_by"].update(told=["volume"]),
                document["facts"][2].update(withheld=["No."]),
                document["facts"][2]["unlocked_by"].update(told=["supplier"]),
            ),
            "facts[0].unlocked_by.told",
            "nothing ever unlocks 'supplier': it waits for volume",
        ),
        (
            updated("facts", 3, "unlocked_by", made=["bow"]),
            "facts[3].unlocked_by.made",
            "there is no move 'bow'",
        ),
        (
            updated("facts", 3, "unlocked_by", happened=["flood"]),
            "facts[3].unlocked_by.happened",
            "there is no event 'flood'",
        ),
        (
            updated("facts", 3, "unlocked_by", stage="third"),
            "facts[3].unlocked_by.stage",
            "there is no stage 'third'",
        ),
        (
            updated("facts", 3, "unlocked_by", below={"anger": 0.5}),
            "facts[3].unlocked_by.below",
            "there is no emotion 'anger'",
        ),
        (
            added("stages", id="after", title="after the call", entered_by=["wave"]),
            "stages[3]",
            "nothing ever leads to the stage 'after'",
        ),
        (
            placed(["Goodbye."], "moves", 12, "replies"),
            "moves[12].replies",
            "has one line only: write another, or every call sounds the same",
        ),
        (
            placed(["Hm.", "Hm."], "lines", "thinking"),
            "lines.thinking",
            "has one line only: write another, or every call sounds the same",
        ),
        (
            placed(["[cough] Hello?", "Hello?"], "lines", "silence"),
            "lines.silence[0]",
            "there is no sound [cough]: choose breath, tap, key, sob",
        ),
        (
            placed(["Okay, {name}.", "Okay."], "moves", 0, "replies"),
            "moves[0].replies[0]",
            "{name} stands for nothing: there are caller_name and promise",
        ),
        (
            added("events", id="flood", when={"happened": ["flood"]}, **EVENT),
            "events[0].when.happened",
            "waits for itself",
        ),
        (
            added("events", id="flood", when={}, **EVENT),
            "events[0].when",
            "holds at once; leave it out for an event that is only injected",
        ),
        (
            added("events", id="flood", tells=["gloves"], **EVENT),
            "events[0].tells",
            "there is no fact 'gloves'",
        ),
        (
            added("moods", id="late", when={"after_s": 60}, manner="tired"),
            "moods[0].when.after_s",
            "is not for moods: they depend on feelings alone",
        ),
        (
            added("knowledge", id="promise", asked=["What?"], truth="That.", lines=["That."]),
            "knowledge[0].id",
            "'promise' is a name the persona needs itself",
        ),
        (
            added("entities", id="name", kind="name", title="the name", truth="Ann", fact="name"),
            "entities[0].fact",
            "there is no fact 'name', so nobody can obtain this",
        ),
        (
            added("protocol", id="rule", do=["move:bow"], **RULE),
            "protocol[0]",
            "there is no move 'bow'",
        ),
        (
            added("protocol", id="rule", do=["move:push"], never=True, within_s=10, **RULE),
            "protocol[0].never",
            "says that it must not happen, so it has no time and no order",
        ),
        (
            added("rubric", id="good", by="rule", evidence=["rule:none"], **CRITERION),
            "rubric[0].evidence",
            "there is no rule 'none'",
        ),
        (
            added("rubric", id="good", by="rule", evidence=["signal:sneeze"], **CRITERION),
            "rubric[0].evidence",
            "there is no signal 'sneeze'",
        ),
        (
            added("rubric", id="good", by="measure", evidence=["measure:charm"], **CRITERION),
            "rubric[0].evidence",
            "there is no measure 'charm'",
        ),
        (
            updated("endings", 0, "when", signal="silent"),
            "endings[0].when.signal",
            "never holds: a silence is no turn; reactions.silent says what it does",
        ),
        (
            added("rubric", id="good", by="rule", evidence=[], **CRITERION),
            "rubric[0].evidence",
            "is empty: at least one is needed",
        ),
        (
            added("rubric", id="good", by="judge", evidence=["move:push"], **CRITERION),
            "rubric[0].question",
            "is missing: what is the judge to answer?",
        ),
        (
            added("rubric", id="good", by="measure", evidence=["measure:talk_share"], **CRITERION),
            "rubric[0].band",
            "is missing: where should the measure lie?",
        ),
        (
            added("rubric", id="good", title="one", weight=60, by="rule", evidence=["move:push"]),
            "rubric",
            "has weights that add up to 60, not 100",
        ),
        (
            placed("Call me at 212-867-5309.", "persona", "situation"),
            "persona.situation",
            "'212-867-5309' may be somebody's number: use 555-0100 to 555-0199",
        ),
        (
            placed("Write to dana@harbordental.com.", "persona", "situation"),
            "persona.situation",
            "'dana@harbordental.com' may be somebody's address: use a name at example.com",
        ),
        (
            placed("You should kill yourself.", "persona", "situation"),
            "persona.situation",
            "has unsafe content: it encourages or explains harm",
        ),
        (
            placed("Somebody was shot here.", "persona", "situation"),
            "persona.situation",
            "speaks of 'shot', so safety.content_warning cannot be 'none'",
        ),
        (
            placed(["Bye.", "Goodbye.", "Who do you order from?"], "moves", 12, "examples"),
            "moves[12].examples[2]",
            "is taken for 'ask_supplier', not for 'say_goodbye'",
        ),
        (
            placed([{"say": "The weather is nice."}], "simulation", "lines"),
            "simulation.lines[0].say",
            "is taken for no move (other)",
        ),
    ],
)
def test_each_kind_of_broken_scenario_is_refused_with_its_reason(
    tmp_path: Path, change: Change, field: str, reason: str
) -> None:
    def bare(document: dict[str, Any]) -> None:
        for part in ("events", "moods", "knowledge", "entities", "protocol", "rubric", "interruptions"):
            document.pop(part, None)
        document.pop("reactions", None)
        change(document)

    found = [(fault.field, fault.reason) for fault in check_scenario(changed(tmp_path, bare))]

    assert (field, reason) in found


def test_an_emergency_caller_begins_calm_save_in_a_hard_drill(tmp_path: Path) -> None:
    def frantic(difficulty: str) -> Change:
        def change(document: dict[str, Any]) -> None:
            document.update(domain="911", difficulty=difficulty)
            document["emotions"]["panic"] = {"start": 0.9}

        return change

    reason = "is above 0.6: most emergency callers are calm; make it hard, or start lower"
    found = [(fault.field, fault.reason) for fault in check_scenario(changed(tmp_path, frantic("medium")))]
    assert found == [("emotions.panic.start", reason)]
    assert check_scenario(changed(tmp_path, frantic("hard"))) == []


def test_fictional_numbers_and_addresses_are_welcome(tmp_path: Path) -> None:
    change = placed("Call 212-555-0142 or write to dana@example.com.", "persona", "situation")

    assert check_scenario(changed(tmp_path, change)) == []


def test_what_can_upset_is_welcome_with_a_warning(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["persona"]["situation"] = "Somebody was shot here."
        document["safety"]["content_warning"] = "violence"

    assert check_scenario(changed(tmp_path, change)) == []


def test_every_sound_that_a_line_may_hold_can_be_heard() -> None:
    assert set(SOUND_NAMES) == set(SOUNDS)


@pytest.mark.parametrize("path", sorted(COLD_CALL.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_scenarios_are_whole(path: Path) -> None:
    assert check_scenario(path) == []
    scenario = load_scenario(path)

    assert len(scenario.persona.model_fields_set) >= 15
    assert len(scenario.endings) >= 2
    assert {"success", "failure"} <= {ending.outcome for ending in scenario.endings}
    assert scenario.rubric and scenario.protocol and scenario.events and scenario.knowledge
