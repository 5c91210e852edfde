"""Telephone numbers and e-mail addresses, as they are said digit by digit and word by word."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from agent.entities.lexicon import CODES, NUMBER_CONTEXT
from agent.entities.pattern import LIKELY, POSSIBLE, SURE
from agent.entities.tokens import Token
from agent.scenario_parts import EntityKind
from agent.spoken_tables import word_set

REGION: Final = "US"
_LENGTHS: Final = (7, 10, 11)
_DIGITS_AT_ONCE: Final = 4
_CONTEXT_TOKENS: Final = 8
_TOP_LEVEL: Final = word_set("com org net edu gov io co us biz info")
_JOINTS: Final = {
    "dot": ".",
    ".": ".",
    "underscore": "_",
    "_": "_",
    "dash": "-",
    "hyphen": "-",
    "period": ".",
}
_BEFORE_EMAIL: Final = word_set("""
is at to email mail address me it its that's use on through via reach , : and or
""")
_LOCAL_TOKENS: Final = 12


class Contact(NamedTuple):
    """A detail found: `tokens[first:last]`."""

    kind: EntityKind
    first: int
    last: int
    value: str
    confidence: float


def contacts(tokens: Sequence[Token]) -> Iterator[Contact]:
    """Yields every telephone number and e-mail address."""
    yield from _phones(tokens)
    yield from _emails(tokens)


def written_phone(digits: str) -> str | None:
    """Writes 10 digits as (415) 555-0142 and 7 as 555-0142; None if they can be no American number.

    Numbers that are never assigned, such as 555-0142, are numbers too.
    """
    import phonenumbers

    if len(digits) not in _LENGTHS or (len(digits) == 11 and digits[0] != "1"):
        return None
    try:
        number = phonenumbers.parse(digits, REGION)
    except phonenumbers.NumberParseException:
        return None
    possible = (
        phonenumbers.ValidationResult.IS_POSSIBLE,
        phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY,
    )
    if phonenumbers.is_possible_number_with_reason(number) not in possible:
        return None
    area, rest = digits[-10:-7], f"{digits[-7:-4]}-{digits[-4:]}"
    return f"({area}) {rest}" if area else rest


def _phones(tokens: Sequence[Token]) -> Iterator[Contact]:
    for first, last in _runs(tokens):
        at = first
        while at < last:
            end, value = _longest_phone(tokens, at, last)
            if value:
                confidence = _phone_confidence(tokens, at, end)
                if confidence:
                    yield Contact("phone", at, end, value, confidence)
                at = end
            else:
                at = _next_group(tokens, at, last)


def _runs(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Stretches of digits; commas and full stops may be between them."""
    first = last = -1
    for at, token in enumerate(tokens):
        is_digits = token.kind == "NUM" and token.form.isdecimal() and _is_group(token)
        if is_digits and first < 0:
            first = at
        if is_digits:
            last = at + 1
        elif first >= 0 and not (token.form in (",", ".") and at == last):
            yield first, last
            first = -1
    if first >= 0:
        yield first, last


def _is_group(token: Token) -> bool:
    return len(token.form) <= _DIGITS_AT_ONCE or (len(token.form) in _LENGTHS and token.raw.isdecimal())


def _longest_phone(tokens: Sequence[Token], first: int, last: int) -> tuple[int, str]:
    """The longest number that begins at `first` and ends where a group of digits does."""
    digits, best, value = "", first, ""
    for at in range(first, last):
        if tokens[at].kind != "NUM":
            continue
        digits += tokens[at].form
        if len(digits) > max(_LENGTHS):
            break
        written = written_phone(digits) if len(digits) in _LENGTHS else None
        ends = at + 1 == last or tokens[at + 1].kind != "NUM"
        if written and (ends or best == first):
            best, value = at + 1, written
    trailing = last - best if value else 0
    # Digits that go on with no pause belong to the same number, which is then none.
    return (best, value) if value and (not trailing or tokens[best].kind != "NUM") else (first, "")


def _next_group(tokens: Sequence[Token], at: int, last: int) -> int:
    """The token behind the next pause."""
    while at < last and tokens[at].kind == "NUM":
        at += 1
    return at + 1


def _phone_confidence(tokens: Sequence[Token], first: int, last: int) -> float:
    """0 for somebody who counts, and for the number of a badge."""
    forms = [token.form for token in tokens[first:last] if token.kind == "NUM"]
    counting = all(form.isdecimal() and len(form) < 3 for form in forms) and all(
        int(after) == int(before) + 1 for before, after in zip(forms, forms[1:], strict=False)
    )
    around = [token.form for token in tokens[max(0, first - _CONTEXT_TOKENS) : first]]
    if (counting and len(forms) > 3) or set(around) & CODES:
        return 0.0
    if set(around) & NUMBER_CONTEXT or sum(map(len, forms)) >= 10:
        return SURE
    return LIKELY if "555" in "".join(forms) or len(forms) == 2 else POSSIBLE


def _emails(tokens: Sequence[Token]) -> Iterator[Contact]:
    for at, token in enumerate(tokens):
        if token.kind == "EMAIL":
            yield Contact("email", at, at + 1, token.form, SURE)
        elif token.form in ("at", "@"):
            last, domain = _domain(tokens, at + 1)
            first, local = _local(tokens, at) if domain else (at, "")
            if local:
                yield Contact("email", first, last, f"{local}@{domain}", LIKELY)


def _domain(tokens: Sequence[Token], first: int) -> tuple[int, str]:
    """Reads "gmail dot com"; up to three words before the dot are one name."""
    name = ""
    for at in range(first, min(first + 6, len(tokens) - 1)):
        form = tokens[at].form
        if form in ("dot", ".") and name and tokens[at + 1].form in _TOP_LEVEL:
            return at + 2, f"{name}.{tokens[at + 1].form}"
        if tokens[at].kind in ("WORD", "STOP", "LETTER", "NUM"):
            name += form
        elif form in _JOINTS:
            name += _JOINTS[form]
        else:
            break
    return first, ""


def _local(tokens: Sequence[Token], end: int) -> tuple[int, str]:
    """Reads backwards to where it begins: single letters and digits go together, words need a joint."""
    asked_for = any(token.form in ("email", "mail") for token in tokens[max(0, end - _LOCAL_TOKENS) : end])
    local, first, joined = "", end, True
    for at in range(end - 1, max(-1, end - 1 - _LOCAL_TOKENS), -1):
        token = tokens[at]
        is_short = token.kind in ("LETTER", "NUM") or (len(token.form) == 1 and token.kind == "STOP")
        if token.form in _JOINTS and local and (token.kind != "END" or _touches(tokens, at)):
            local, joined = _JOINTS[token.form] + local, True
        elif token.form in _BEFORE_EMAIL or token.kind not in ("WORD", "STOP", "LETTER", "NUM"):
            break
        elif joined or is_short or asked_for:
            local, first, joined = token.form + local, at, is_short
        else:
            break
    return first, local.lstrip("._-")


def _touches(tokens: Sequence[Token], at: int) -> bool:
    return 0 < at < len(tokens) - 1 and tokens[at - 1].end == tokens[at].start == tokens[at + 1].start - 1
