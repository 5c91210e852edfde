"""TwiML documents: what the application wants done with a call.

https://www.twilio.com/docs/voice/twiml
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

PARSE_FAILURE: Final = 12100
SCHEMA_WARNING: Final = 12200
BAD_CONTENT_TYPE: Final = 12300

_CONTENT_TYPES: Final = ("text/xml", "application/xml", "text/html")
_SOUND: Final = frozenset({"Say", "Play", "Pause"})


@dataclass(frozen=True, slots=True)
class _Rule:
    attributes: frozenset[str] = frozenset()
    children: frozenset[str] = frozenset()


_VERBS: Final = frozenset(
    {"Say", "Play", "Pause", "Gather", "Redirect", "Hangup", "Reject", "Connect", "Start", "Stop"}
)
_RULES: Final = {
    "Say": _Rule(frozenset({"voice", "language", "loop"})),
    "Play": _Rule(frozenset({"loop", "digits"})),
    "Pause": _Rule(frozenset({"length"})),
    "Gather": _Rule(
        frozenset(
            {"input", "action", "method", "timeout", "numDigits", "finishOnKey", "actionOnEmptyResult"}
            | {"bargeIn", "language", "hints", "speechTimeout", "speechModel", "profanityFilter", "enhanced"}
            | {
                "partialResultCallback",
                "partialResultCallbackMethod",
                "maxSpeechTime",
                "dtmfDetection",
                "debug",
            }
        ),
        _SOUND,
    ),
    "Redirect": _Rule(frozenset({"method"})),
    "Hangup": _Rule(),
    "Reject": _Rule(frozenset({"reason"})),
    "Connect": _Rule(frozenset({"action", "method"}), frozenset({"Stream"})),
    "Start": _Rule(frozenset({"action", "method"}), frozenset({"Stream"})),
    "Stop": _Rule(frozenset(), frozenset({"Stream"})),
    "Stream": _Rule(
        frozenset({"url", "name", "track", "statusCallback", "statusCallbackMethod", "connectorName"}),
        frozenset({"Parameter"}),
    ),
    "Parameter": _Rule(frozenset({"name", "value"})),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What Twilio's debugger would say about a document."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Verb:
    """One element of TwiML, a verb or a noun."""

    name: str
    attributes: Mapping[str, str]
    text: str
    children: tuple["Verb", ...]

    def get(self, attribute: str, default: str = "") -> str:
        """An attribute's value."""
        return self.attributes.get(attribute, default)

    def number(self, attribute: str, default: int, *, least: int = 0, most: int = 86_400) -> int:
        """A whole number within limits; `default` if it is absent or not a number."""
        text = self.get(attribute)
        return min(most, max(least, int(text))) if text.isascii() and text.isdigit() else default

    def flag(self, attribute: str) -> bool:
        """Whether an attribute is "true"."""
        return self.get(attribute).lower() == "true"


@dataclass(frozen=True, slots=True)
class Document:
    """Verbs in order, and what was wrong with the rest, which is skipped."""

    verbs: tuple[Verb, ...]
    problems: tuple[Problem, ...]


def accepts(content_type: str) -> bool:
    """Whether Twilio reads a body of this type as TwiML."""
    return content_type.partition(";")[0].strip().lower() in _CONTENT_TYPES


def read_document(body: str | bytes) -> Document | Problem:
    """Parses TwiML; a Problem if there is nothing to run in it."""
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError) as error:
        return Problem(PARSE_FAILURE, f"not XML: {error}")
    if root.tag != "Response":
        return Problem(PARSE_FAILURE, f"the root element is <{root.tag}>, not <Response>")
    problems: list[Problem] = []
    verbs = [_read(child, problems) for child in root if _is_verb(child, problems)]
    return Document(tuple(verbs), tuple(problems))


def _is_verb(element: ElementTree.Element, problems: list[Problem]) -> bool:
    if element.tag not in _VERBS:
        problems.append(Problem(PARSE_FAILURE, f"<{element.tag}> is not a verb that the simulator runs"))
    return element.tag in _VERBS


def _read(element: ElementTree.Element, problems: list[Problem]) -> Verb:
    rule = _RULES[element.tag]
    for attribute in element.attrib:
        if attribute not in rule.attributes:
            problems.append(Problem(SCHEMA_WARNING, f"<{element.tag}> has no attribute {attribute!r}"))
    children: list[Verb] = []
    for child in element:
        if child.tag in rule.children:
            children.append(_read(child, problems))
        else:
            problems.append(Problem(SCHEMA_WARNING, f"<{child.tag}> cannot stand in <{element.tag}>"))
    return Verb(element.tag, dict(element.attrib), (element.text or "").strip(), tuple(children))
