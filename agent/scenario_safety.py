"""What must not be in a scenario: numbers of real people, and what nobody should say."""

import re
from collections.abc import Iterator
from typing import Any, Final

Finding = tuple[str, str]

_PHONE: Final = re.compile(r"(?<![\d-])(?:\+?1[ .-]?)?(?:\(?\d{3}\)?[ .-])?(\d{3})[ .-](\d{4})(?![\d-])")
_FICTIONAL: Final = re.compile(r"555[ .-]01\d\d$")
_EMAIL: Final = re.compile(r"[\w.+-]+@([\w-]+\.)+([a-z]{2,})", re.IGNORECASE)
_FICTIONAL_DOMAINS: Final = re.compile(
    r"@([\w-]+\.)*(example\.(com|org|net)|[\w-]+\.(example|test|invalid))$"
)
_ENCOURAGED: Final = re.compile(
    r"\b(you should|go and|just|why don't you) (kill|hurt|hang|cut|shoot) yourself\b"
    r"|\bhow to (make|build) (a )?(bomb|explosive|pipe bomb)\b"
    r"|\b(kill yourself|kys)\b",
    re.IGNORECASE,
)
_SLURS: Final = re.compile(
    r"\b(nigg(er|a)s?|fagg?ots?|trann(y|ies)|kikes?|spics?|chinks?|wetbacks?|retards?|ragheads?)\b",
    re.IGNORECASE,
)
_SERIOUS: Final = re.compile(
    r"\b(suicid\w*|raped?|rapist|sexual\w*|murder\w*|stabb\w*|shot|gun(s|shot)?|knife|blood(y)?|bleeding|corpse"
    r"|not breathing|isn't breathing|beat(s|en|ing)? (me|her|him|us)|hit(s|ting)? (me|her|him)|strangl\w*"
    r"|(he|she|they)( is|'s| are|'re) (dead|dying)|overdos\w*)\b",
    re.IGNORECASE,
)
_NO_WARNING: Final = re.compile(r"^(none|no|nothing|-|n/a)\.?$", re.IGNORECASE)


def unsafe_content(document: Any, content_warning: str) -> Iterator[Finding]:
    """Yields (field path, reason) for every text that should not be in a scenario.

    A telephone number has to be one of those that nobody has (555-0100 to 555-0199, North American Numbering
    Plan), an e-mail address in a domain that is kept free (RFC 2606). What can upset needs a content warning.
    """
    warned = not _NO_WARNING.match(content_warning.strip())
    for path, text in _texts(document, ""):
        for number in _PHONE.finditer(text):
            if not _FICTIONAL.search(number[0]):
                yield path, f"'{number[0]}' may be somebody's number: use 555-0100 to 555-0199"
        for address in _EMAIL.finditer(text):
            if not _FICTIONAL_DOMAINS.search(address[0].lower()):
                yield path, f"'{address[0]}' may be somebody's address: use a name at example.com"
        if _ENCOURAGED.search(text):
            yield path, "has unsafe content: it encourages or explains harm"
        if _SLURS.search(text):
            yield path, "has unsafe content: a slur"
        if not warned and not path.endswith("]") and path.startswith("safety"):
            continue
        if not warned and (found := _SERIOUS.search(text)) and not _is_pattern(path):
            yield path, f"speaks of '{found[0]}', so safety.content_warning cannot be 'none'"


def _is_pattern(path: str) -> bool:
    return ".patterns[" in path or ".told_by[" in path


def _texts(value: Any, path: str) -> Iterator[Finding]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")
