"""Scenario files for tests: the shipped one, and copies of it with something changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from agent.scenario import Scenario, load_scenario

COLD_CALL = Path(__file__).parents[2] / "scenarios" / "cold-call.yaml"


def cold_call() -> Scenario:
    return load_scenario(COLD_CALL)


def changed(folder: Path, change: Callable[[dict[str, Any]], object], name: str = "cold-call") -> Path:
    """Writes the cold call, as `change` leaves it, and returns the file."""
    document = yaml.safe_load(COLD_CALL.read_text())
    change(document)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return path


def with_parts(**parts: Any) -> Scenario:
    """The cold call with these parts of a scenario added or replaced; emotions and lines are merged."""
    document = yaml.safe_load(COLD_CALL.read_text())
    for name, part in parts.items():
        merged = isinstance(part, dict) and isinstance(document.get(name), dict)
        document[name] = {**document[name], **part} if merged else part
    return Scenario.model_validate(document)


def with_move_changes(scenario: Scenario, move_id: str, **changes: Any) -> Scenario:
    """`scenario` with one of its moves changed."""
    document = scenario.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for move in document["moves"]:
        if move["id"] == move_id:
            move.update(changes)
    return Scenario.model_validate(document)
