"""Reading a scenario file: plain YAML mappings, lists and scalars, whatever somebody put into the file."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 24

Document = Mapping[str, Any]

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a scenario file.

    `field` is a path such as `facts[2].unlocked_by.move`, `line 12` where the YAML itself is broken, or ""
    for the whole file.
    """

    file: str
    field: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.field, self.reason) if part)


class _PlainLoader(_Loader):  # type: ignore[misc]
    """PyYAML's safe loader, except that a key given twice is an error and not a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{_short(key.value)}' is given twice", key.start_mark
                )
            seen.add(str(key.value))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_document(path: Path) -> Document | Fault:
    """Returns the file's mapping, or the fault that makes it unreadable.

    Anchors, aliases and tags are refused (a few lines of aliases can expand to gigabytes), and so are
    files over `MAX_FILE_BYTES` and nesting over `MAX_DEPTH`.
    """
    file = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return Fault(file, "", f"cannot be read: {error.strerror or error}")
    if len(content) > MAX_FILE_BYTES:
        return Fault(file, "", f"is larger than {MAX_FILE_BYTES // 1000} kB")
    try:
        text = content.decode("utf-8-sig")
        _refuse_what_is_not_plain(text)
        document = yaml.load(text, _PlainLoader)  # noqa: S506 a subclass of the safe loader
    except UnicodeDecodeError as error:
        return Fault(file, "", f"is not UTF-8 text (byte {error.start})")
    except yaml.MarkedYAMLError as error:
        return _yaml_fault(file, error)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: 2024-99-99, a number of 5000 digits
        return Fault(file, "", f"is not YAML: {_short(str(error))}")
    if not isinstance(document, dict):
        return Fault(file, "", f"should be a mapping of fields, not {kind_of(document)}")
    return document


_KINDS: Mapping[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "yes or no",
    int: "a number",
    float: "a number",
    type(None): "empty",
}


def kind_of(value: object) -> str:
    """Names the YAML kind of a value, for messages."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _refuse_what_is_not_plain(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _refusal(f"is nested deeper than {MAX_DEPTH} levels", event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refusal("uses an anchor or alias (& or *): write the text out", event)
        if getattr(event, "tag", None):
            raise _refusal("uses a tag (!): only plain text, numbers, lists and mappings are read", event)


def _refusal(reason: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark
    return yaml.MarkedYAMLError(problem=reason, problem_mark=mark)


def _yaml_fault(file: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    line = f"line {mark.line + 1}" if mark else ""
    return Fault(file, line, _short(error.problem or error.context or "is not YAML"))


def _short(text: str) -> str:
    """A hostile file must not fill the terminal."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 160 else f"{flat[:157]}..."
