"""What a trainee calls themselves, and what they promise to do."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from agent.memory import Detail
from agent.words import normalise

MAX_CHARACTERS: Final = 2000
PROMISE_CHARACTERS: Final = 160
PROMISES_PER_TURN: Final = 5

_BEFORE_OWN_NAME: Final = re.compile(
    r"\b(?:my (?:full |first )?name(?: is|'s)|this is|i am|i'm|im|call me|it's|it is"
    r"|you(?:'re| are) (?:speaking|talking) (?:to|with))[\s,:]+(?:(?:uh|um|er)[\s,]+)*$",
    re.IGNORECASE,
)
_BEHIND_OWN_NAME: Final = re.compile(r"[\s,]+(?:speaking|here|from|with|calling|again)\b", re.IGNORECASE)
_SPEAKING: Final = re.compile(r"[\s,]+(?:speaking|here)\b", re.IGNORECASE)

_BLANKS: Final = re.compile(r"[^\S\n]+")
_SENTENCE: Final = re.compile(r"[^.?!;\n]+(?:\.\d[^.?!;\n]*)*")
_JOINT: Final = re.compile(
    r",?\s+(?=(?:and|but|so|because)\s+(?:i|we|you|he|she|they|it|help|please|stay|is|do|can)\b)"
    r"|,\s+(?=(?:i|we|they|you|he|she|it|help|my|please|stay|do|is|are)\b)"
    r"|\s+(?=(?:i|we)(?:'ll|'m going|'re going|\s+will|\s+am going|\s+are going|\s+won't)\b|help is\b"
    r"|(?:an?|the) (?:\w+ )?(?:ambulance|police|paramedics|officers|units?|engine|truck"
    r"|department) (?:is|are|will)\b)"
    r"|(?<!\bto)(?<!ll)(?<!and)(?<!can)(?<!just)"
    r"\s+(?=(?:thanks|thank you|bye|goodbye|have a (?:good|nice|great)|stay (?:on|with)|do not"
    r"|don't|can you"
    r"|could you|are you|is (?:he|she|anybody|anyone|there))\b)",
    re.IGNORECASE,
)
_OPENERS: Final = re.compile(
    r"(?:(?:okay|ok|yes|yeah|no|sure|of course|no problem|great|perfect|all right|alright"
    r"|absolutely|right|well|and"
    r"|but|so|because|then|now|look|listen|good|fine|oh|hey|sir|ma'am|um+|uh+m?|erm?|hmm*"
    r"|you know|i mean)\b[\s,]*)+",
    re.IGNORECASE,
)
_FILLER: Final = re.compile(
    r",?\s*\b(?:um+|uh+m?|erm?|hmm*)\b[,.]*(?=\s|$)|,\s*(?:you know|i mean|like)\s*(?=,)", re.IGNORECASE
)
_UNSPOKEN: Final = re.compile(r"[^\w\s'.,:$%@&/-]")
_TAG: Final = re.compile(r"[\s,]+(?:okay|ok|all right|alright|right|yes|please|sir|ma'am)$", re.IGNORECASE)
_LEADS_IN: Final = re.compile(
    r"\s*(?:by|on|at|in|next|tomorrow|tonight|this|first|before|after|as soon as|once|within"
    r"|later|right after)\b",
    re.IGNORECASE,
)
_LEAD_IN_WORDS: Final = 8
_NOT_MEANT: Final = re.compile(
    r"(?:if|unless|when|whenever|whether|should)\b|(?:.*\b)?(?:think|thought|said|say|suppose"
    r"|hope|told|know) *$"
    r"|(?:do|does|did|would|could|why|how|what) ",
    re.IGNORECASE,
)
"""Before "I will" it makes the promise a condition, a question or somebody else's word."""

_WHEN: Final = r"""
(?:by (?:next |this )?(?:\w+day|tomorrow|tonight|noon|then|the end|the \w+th|the \w+ \w+th)|(?:on|next
|this) \w+day
|tomorrow|tonight|next (?:week|month)|later(?: today)?|(?:in|within) (?:\w+ ){1,3}(?:minutes?|hours?|days?
|weeks?)
|first thing|as soon as|until (?:they|the|help)|right after|at (?:noon|\w+ o'clock))\b
"""
_DEEDS: Final = r"""
(?:send|email|e mail|text|forward|mail|deliver|ship|dispatch|arrange|book|schedule|reserve|refund|prepare
|draft)\b
|(?:phone|ring|visit|meet|remind|contact|update|notify|reimburse|join) (?:you|him|her|them|your|the)\b
|call (?!it\b|this\b|that\b)\w+|call$|write (?:to )?(?:you|him|her|them|it|that|up|a)\b
|get (?:back to|you|somebody|someone|a|an|him|her|them|those|these|help|your|my|our|this|that
|in touch)\b(?! idea)
|come (?!to (?:the|my|that)\b|back to (?:that|this|it)\b)\w+|(?:stop|drop|swing|come|go) (?:by|over|in
|it off)\b
|pick \w+ up\b|bring (?:you|it|them|the|my|our|a|an|some|him|her)\b|set (?:\w+ )?up\b|follow up\b
|reach out\b
|put (?:\w+ ){1,3}(?:in|on|down|through|into|together)\b|check\b(?! out)|look into\b|make sure\b
|take care of\b
|find (?:out|you|somebody|someone|a|an)\b|take (?:you|your \w+) off\b|take (?:this|that|it) (?:back|up
|with)\b
|(?:let|keep) (?:you|him|her|them|everyone|the \w+|my \w+) (?:know|posted|updated|informed)\b|fix\b
|stay until\b
|(?:stay|be|remain) (?:right )?(?:on the (?:line|phone)|with you|here|there|back|in touch)\b|see you\b
|(?:transfer|connect) you\b|(?:ask|tell|speak (?:to|with)|talk (?:to|with)) (?:my|our|the|him|her|them)\b
|have (?:somebody|someone|my \w+|our \w+|him|her|them) (?!to\b)\w+
|give you (?:a (?:call|ring|copy|quote|list|discount|refund)|an (?:answer|estimate|update|offer)|my \w+)\b
|not (?:hang up|leave|go anywhere|bother|forget|let you|(?:call|contact) (?:you )?again)\b
"""
_TALK: Final = r"""
(?:be (?:honest|brief|quick|straight|clear|frank|direct|blunt|done)|say|tell you|admit|guess|assume|need
|have to|try
|see (?:if|what)|take (?:just )?\w+ (?:seconds?|minutes?)|let you go|explain|ask you|wait|want|think|not)\b
"""
_HELPERS: Final = r"""
(?:(?:an?|the|another|two|three|your|more) (?:\w+ )?)?(?:help|ambulances?|police|officers?|units?
|paramedics?|medics?
|crews?|deput(?:y|ies)|fire department|firefighters?|fire trucks?|engines?|technicians?|cars?|squad
|engine crew)
"""
_PEOPLE: Final = r"(?:they|somebody|someone|he|she|(?:my|our|the) \w+)"
_OTHERS: Final = rf"""
(?:{_HELPERS}(?: and {_HELPERS})?|they|somebody|someone) (?:is|are) (?:already |all |just |now |about 
|only )*
(?:on (?:the|their|its|his|her) way|coming|en route|headed|heading|being sent|almost (?:there|at)
|(?:\w+ ){{1,3}}(?:minutes?|blocks?) (?:away|out))\b
|(?:{_HELPERS}(?: and {_HELPERS})?|{_PEOPLE}) will (?:also |soon )?
(?:be (?:there|here|with you|in touch|calling)|arrive|call|come|contact|get (?:to|there|back)|reach|knock
|meet)\b
|(?:i|we) am (?:already |now )?(?:sending|dispatching|getting|bringing|coming)\b
|(?:i|we) are (?:already |now )?(?:sending|dispatching|getting|bringing|coming)\b
|you will (?:have (?!to\b)\w+|get (?:it|the|a|an|your|my|that)\b|receive\b|hear (?:back )?from (?:me|us)\b
|be (?:contacted|refunded|reimbursed|called)\b)
"""


def _pattern(text: str) -> str:
    return text.replace("\n", "")


_FUTURE: Final = (
    r"(?:i|we) (?:will|shall|(?:am |are )?(?:going to|gonna)"
    r"|(?:promise|swear|guarantee)(?: you)?(?: that)? (?:to|(?:i|we)(?: will)?))"
    r"(?: (?:also|then|just|definitely|certainly|personally|gladly|happily|immediately|always"
    r"|go ahead and))* "
)
_COMMITS: Final = re.compile(
    rf"(?:{_FUTURE}(?:{_pattern(_DEEDS)}|(?!{_pattern(_TALK)})\w.*\b{_pattern(_WHEN)})"
    rf"|let me (?:{_pattern(_DEEDS)}).*\b{_pattern(_WHEN)}|{_pattern(_OTHERS)})"
)
_OFFERED: Final = re.compile(
    r"\b(?:if|provided|as long as|unless|should) (?:you|that|this|it) (?:would |will )?"
    r"(?:want|like|wish|need|agree|sign|buy|prefer|give|help|work|let|are okay|is (?:okay"
    r"|all right|fine))s?\b"
)


def caller_name(text: str, details: Sequence[Detail]) -> str:
    """Returns what the trainee calls themselves in the turn, "" if they do not.

    `details` are those that `agent.entities.find_details` found in `text`; of the names among them the one
    counts that stands behind "my name is", "this is" and the like. Never raises.
    """
    text = _with_plain_apostrophes(text[:MAX_CHARACTERS])
    at = 0
    for detail in details:
        said = re.compile(rf"(?<!\w){re.escape(_with_plain_apostrophes(detail.text))}(?!\w)")
        match = said.search(text, at)
        if match is not None:
            at = match.end()
            if detail.kind == "name" and _is_own(text[: match.start()], text[at:]):
                return detail.value
    return ""


def _with_plain_apostrophes(text: str) -> str:
    return text.replace("\u2019", "'")


def _is_own(before: str, behind: str) -> bool:
    if _SPEAKING.match(behind):
        return True
    cue = _BEFORE_OWN_NAME.search(before)
    if cue is None:
        return False
    asked = re.match(r"[^.!;\n]*\?", behind) is not None and not _BEHIND_OWN_NAME.match(behind)
    if cue[0].lower().startswith(("my", "call", "you")):
        return True
    return bool(_BEHIND_OWN_NAME.match(behind)) if cue[0].lower().startswith("it") else not asked


def promises(text: str) -> tuple[str, ...]:
    """Returns what the trainee commits to, as they said it: "I'll send you two references by Friday."

    Each is one clause in the first person, without fillers, of at most `PROMISE_CHARACTERS`, with a full
    stop; there are at most `PROMISES_PER_TURN`. Talk about the call itself ("I will be brief") is no promise,
    nor is an offer ("I'll send it if you like"). Never raises; only the first `MAX_CHARACTERS` characters are
    looked at.
    """
    found = (
        _tidy(clause)
        for clause in _clauses(_with_plain_apostrophes(text[:MAX_CHARACTERS]))
        if _commits(normalise(clause).replace("\n", " "))
    )
    return tuple(dict.fromkeys(found))[:PROMISES_PER_TURN]


def _clauses(text: str) -> Iterator[str]:
    """The clauses of a turn, with or without punctuation, each without what only opens it."""
    for sentence in _SENTENCE.findall(_BLANKS.sub(" ", text)):
        before = ""
        for part in _JOINT.split(sentence):
            opener = _OPENERS.match(part.strip())
            clause = f"{before} {part.strip()[opener.end() if opener else 0 :]}".strip()
            is_time = _LEADS_IN.match(clause) and len(clause.split()) <= _LEAD_IN_WORDS
            before = clause if not before and (is_time or _NOT_MEANT.match(clause)) else ""
            if not before:
                yield clause


def _commits(plain: str) -> bool:
    match = _COMMITS.search(plain)
    if match is None or _OFFERED.search(plain):
        return False
    before = plain[: match.start()]
    return not before or (_LEADS_IN.match(before) is not None and len(before.split()) <= _LEAD_IN_WORDS)


def _tidy(clause: str) -> str:
    clean = _UNSPOKEN.sub(" ", _FILLER.sub("", clause))
    clean = " ".join(re.sub(r"\bi\b(?=['\s])", "I", clean).split()).strip(" ,.:-")
    clean = _TAG.sub("", clean)
    if len(clean) >= PROMISE_CHARACTERS:
        clean = clean[: PROMISE_CHARACTERS - 1].rpartition(" ")[0].rstrip(" ,.:-")
    return f"{clean[:1].upper()}{clean[1:]}."
