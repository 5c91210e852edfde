"""The rules of the scenario format that go across fields. They read the raw document, however broken it is.

Each rule yields (field path, reason). A part of the document that has the wrong shape is passed over: the
schema names it.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent.scenario_file import Document
from agent.words import normalise

Finding = tuple[str, str]

_LISTS = ("stages", "moves", "facts", "objections", "endings")
_RESERVED = {
    "moves": {"unclear", "other", "stop"},
    "endings": {"stop_word"},
}
_FEELINGS = ("trust", "patience")
_LISTED = ("made", "not_made", "told", "not_told", "happened", "not_happened")


def broken_rules(document: Document, file_id: str) -> Iterator[Finding]:
    """Yields every broken rule; `file_id` is the file's name without its suffix."""
    if isinstance(document.get("id"), str) and document["id"] != file_id:
        yield "id", f"should be '{file_id}', the name of the file"
    for rule in _RULES:
        yield from rule(document)


def _ids_are_unique(document: Document) -> Iterator[Finding]:
    for name in _LISTS:
        seen: set[str] = set()
        for path, row in _rows(document, name):
            given = _text(row, "id")
            if given in seen:
                yield f"{path}.id", f"'{given}' is used twice in {name}"
            if given in _RESERVED.get(name, ()):
                yield f"{path}.id", f"'{given}' is a name the persona needs itself"
            seen.add(given)


def _references_exist(document: Document) -> Iterator[Finding]:
    moves = _ids(document, "moves")
    for path, named in _named_moves(document):
        if named not in moves:
            yield path, f"there is no move '{named}'"


def _named_moves(document: Document) -> Iterator[Finding]:
    """Every place that names a move, and the name in it."""
    for lists, field in (("facts", "unlocked_by"), ("objections", "raised_by"), ("endings", "when")):
        for path, row in _rows(document, lists):
            condition = _mapping(row, field)
            if isinstance(condition.get("move"), str):
                yield f"{path}.{field}.move", condition["move"]
            yield from _texts(condition, "move", f"{path}.{field}")
    for lists, field in (("objections", "resolved_by"), ("stages", "entered_by")):
        for path, row in _rows(document, lists):
            yield from _texts(row, field, path)


def _feelings_exist(document: Document) -> Iterator[Finding]:
    feelings = _mapping(document, "emotions")
    for name in _FEELINGS:
        if name not in feelings and isinstance(document.get("emotions"), dict):
            yield f"emotions.{name}", "is missing: endings and facts depend on it"
    for path, move in _rows(document, "moves"):
        for name in _mapping(move, "feel"):
            if name not in feelings:
                yield f"{path}.feel.{name}", f"there is no emotion '{name}'"


def _stages_are_entered(document: Document) -> Iterator[Finding]:
    for index, (path, stage) in enumerate(_rows(document, "stages")):
        entered_by = stage.get("entered_by", [])
        if index == 0 and entered_by:
            yield f"{path}.entered_by", "the first stage is where the call begins: no move enters it"
        if index > 0 and entered_by == []:
            yield f"{path}.entered_by", "no move ever enters this stage"


def _facts_can_be_told(document: Document) -> Iterator[Finding]:
    for path, fact in _rows(document, "facts"):
        needed = _number(_mapping(_mapping(fact, "unlocked_by"), "at_least"), "trust")
        if needed is not None and not _can_rise(document, "trust", needed):
            yield f"{path}.unlocked_by.at_least.trust", "can never be reached: nothing raises trust"
        patterns = _patterns(fact)
        for line_path, line in _texts(fact, "lines", path):
            if patterns and not _any_match(patterns, line):
                yield line_path, "matches no pattern of told_by, so the fact would never count as told"


def _endings_can_be_reached(document: Document) -> Iterator[Finding]:
    earlier: list[Mapping[str, Any]] = []
    for path, ending in _rows(document, "endings"):
        when = ending.get("when")
        if not isinstance(when, dict):
            continue
        for field, reason in _out_of_reach(document, when):
            yield f"{path}.when{field}", f"can never be reached: {reason}"
        if not when:
            yield f"{path}.when", "holds at once: the persona would hang up after the first turn"
        for before in earlier:
            if _implies(when, _mapping(before, "when")):
                yield (
                    path,
                    f"can never be reached: '{_text(before, 'id')}' comes first and holds whenever it does",
                )
                break
        earlier.append(ending)


def _out_of_reach(document: Document, when: Mapping[str, Any]) -> Iterator[Finding]:
    facts = _number(when, "facts_at_least")
    if facts is not None and facts > len(_ids(document, "facts")):
        yield ".facts_at_least", "there are not as many facts"
    for feeling in _mapping(when, "at_least"):
        level = _number(_mapping(when, "at_least"), str(feeling))
        if level is not None and not _can_rise(document, str(feeling), level):
            yield f".at_least.{feeling}", f"nothing raises {feeling}"
    for feeling in _mapping(when, "below"):
        level = _number(_mapping(when, "below"), str(feeling))
        if level is not None and not _can_sink(document, str(feeling), level):
            reason = f"nothing costs {feeling}" if level > 0 else f"no {feeling} is below 0"
            yield f".below.{feeling}", reason


def _implies(when: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether `other` surely holds whenever `when` does."""
    mine, theirs = _named(when, "move"), _named(other, "move")
    if theirs and not (mine and mine <= theirs):
        return False
    if any(_named(other, field) - _named(when, field) for field in _LISTED):
        return False
    if any(other.get(field) not in (None, when.get(field)) for field in ("signal", "stage")):
        return False
    at_least = ("facts_at_least", "turns_at_least", "after_s")
    return (
        all(_weaker(when, other, field, operator.ge) for field in at_least)
        and _weaker(when, other, "open_objections_at_most", operator.le)
        and _levels_weaker(when, other, "at_least", operator.ge)
        and _levels_weaker(when, other, "below", operator.le)
    )


def _named(when: Mapping[str, Any], field: str) -> set[str]:
    given = when.get(field)
    return {given} if isinstance(given, str) else {text for _, text in _texts(when, field, "")}


def _levels_weaker(
    when: Mapping[str, Any], other: Mapping[str, Any], field: str, compare: Callable[[float, float], bool]
) -> bool:
    mine, theirs = _mapping(when, field), _mapping(other, field)
    return all(_weaker(mine, theirs, str(feeling), compare) for feeling in theirs)


def _weaker(
    when: Mapping[str, Any], other: Mapping[str, Any], field: str, compare: Callable[[float, float], bool]
) -> bool:
    mine, theirs = _number(when, field), _number(other, field)
    return theirs is None or (mine is not None and compare(mine, theirs))


def _can_rise(document: Document, feeling: str, to: float) -> bool:
    start = _number(_mapping(_mapping(document, "emotions"), feeling), "start")
    return start is None or start >= to or any(change > 0 for change in _changes(document, feeling))


def _can_sink(document: Document, feeling: str, below: float) -> bool:
    start = _number(_mapping(_mapping(document, "emotions"), feeling), "start")
    costs = _mapping(document, "patience") if feeling == "patience" else {}
    drains = any((_number(costs, str(field)) or 0) > 0 for field in costs)
    sinks = drains or any(change < 0 for change in _changes(document, feeling))
    return below > 0 and (start is None or start < below or sinks)


def _changes(document: Document, feeling: str) -> list[float]:
    """Everything that moves a feeling, in either direction."""
    rows = [row for name in ("moves", "events", "interruptions") for _, row in _rows(document, name)]
    rows += [row for row in _mapping(document, "reactions").values() if isinstance(row, dict)]
    emotion = _mapping(_mapping(document, "emotions"), feeling)
    changes = [_number(_mapping(row, "feel"), feeling) for row in rows]
    changes.append(_number(_mapping(emotion, "calmed_by_repetition"), "change"))
    start, baseline = _number(emotion, "start"), _number(emotion, "baseline")
    if start is not None and baseline is not None and emotion.get("half_life_s"):
        changes.append(baseline - start)
    return [change for change in changes if change is not None]


def _rows(document: Document, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = document.get(name)
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict):
            yield f"{name}[{index}]", row


def _ids(document: Document, name: str) -> set[str]:
    return {_text(row, "id") for _, row in _rows(document, name)} - {""}


def _texts(row: Mapping[str, Any], field: str, path: str) -> Iterator[Finding]:
    listed = row.get(field)
    for index, text in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(text, str):
            yield f"{path}.{field}[{index}]".removeprefix("."), text


def _mapping(row: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = row.get(field)
    return value if isinstance(value, dict) else {}


def _text(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    return value if isinstance(value, str) else ""


def _number(row: Mapping[str, Any], field: str) -> float | None:
    value = row.get(field)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _patterns(fact: Mapping[str, Any]) -> list[re.Pattern[str]]:
    compiled = []
    for _, pattern in _texts(fact, "told_by", ""):
        try:
            compiled.append(re.compile(pattern))
        except (re.error, OverflowError, RecursionError):
            continue
    return compiled


def _any_match(patterns: list[re.Pattern[str]], text: str) -> bool:
    plain = normalise(text).replace("\n", " ")
    return any(pattern.search(plain) for pattern in patterns)


_RULES: tuple[Callable[[Document], Iterator[Finding]], ...] = (
    _ids_are_unique,
    _references_exist,
    _feelings_exist,
    _stages_are_entered,
    _facts_can_be_told,
    _endings_can_be_reached,
)
