"""What no persona says, as patterns over text normalised by `agent.words` with its sentences run together."""

import re
from dataclasses import dataclass
from typing import Final

from agent.out_of_role import SLURS
from agent.words import normalise

_MACHINE: Final = (
    r"(?:ai|(?<=an )a i|artificial intelligence|(?:large )?language model|chat ?bot|computer program"
    r"|(?:virtual|digital) (?:assistant|agent|persona)|robot|bot|llm|simulation|machine learning model|piece"
    r" of software)"
)
_JUST: Final = r"(?:(?:an?|the|only|just|merely|actually|really|simply|your|helpful) )*"
_VENDOR: Final = (
    r"(?:claude|gemini|llama(?: \w+)?|copilot|mistral|grok|gemma|google|meta|microsoft|alibaba(?: cloud)?)"
)
_OUT_OF_ROLE: Final = (
    # what answers
    rf"(?:as|(?:i am|i was|being)(?! not)) {_JUST}(?:ai )?{_MACHINE}",
    r"am not (?:an? )?(?:(?:real|actual) (?:person|human)|human|real(?! (?:estate|happy|sure|good|keen"
    r"|fond)))",
    r"language model|system prompt|content polic(?:y|ies)|usage polic(?:y|ies)|knowledge cut ?off|training"
    r" data",
    r"context window|prompt injection|jail ?break\w*",
    r"my (?:\w+ )?(?:prompt(?! (?:\w+ly|reply|response|answer))|programming|guidelines|directives"
    r"|algorithms?|creators)",
    r"my instructions (?:do|are|say|tell|prevent|forbid|require|prohibit|only|state)",
    r"i (?:was|am|have been) (?:instructed|programmed|prompted|configured|designed to)",
    r"i (?:was|am|have been) (?:told|asked|ordered) (?:not )?to (?:say|act|play|pretend|respond|reveal"
    r"|disclose)",
    r"i was (?:created|developed|programmed|designed) (?:by|on|to|with)",
    r"i was trained on (?:an? |the )?(?:lot|large|vast|data|text|billions)",
    rf"i am (?:\w+ )?(?:based on (?:an? |the )?(?:{_VENDOR}|\w+ model|transformer)|powered by)",
    r"(?:open ?ai|chat ?gpt|gpt(?: \w+)?|anthropic|deepmind|hugging ?face|ollama|qwen|deepseek)",
    rf"(?:i am|created by|developed by|trained by|made by|built by|a model (?:of|by)) {_VENDOR}",
    r"do not have (?:any )?(?:personal|real) (?:opinions?|feelings|emotions|experiences?|beliefs)",
    r"i do not have (?:feelings|emotions|a body|consciousness)",
    # the exercise and the part
    r"this is (?:(?:just|only|all|merely|part of) )*(?:an?|the) (?:simulation|exercise|role ?play|rehearsal"
    r"|(?:training|practice) (?:scenario|call|session|exercise|simulation)|fictional \w+)",
    r"(?:this|the) (?:simulation|role ?play|training (?:scenario|exercise|session|call))|this rehearsal",
    r"(?:in|of|for|end|stop|start) this (?:exercise|scenario)",
    r"role ?play(?:ing)?|(?:stay|remain|staying|be|am|back) in character|(?:break|step out of|stay in) (?:my"
    r" )?(?:character|role)",
    r"my (?:character|persona)|the persona|fictional (?:character|scenario|persona)",
    r"i (?:am|was) (?:playing|portraying|voicing|simulating) (?:the|an?) (?:part|role|character|persona)",
    r"(?:the|this|my) (?:note|direction|directive)s? (?:says?|tells?) (?:me )?(?:that i|to say|what to say|i"
    r" should say)",
    r"the (?:trainee|user|caller) (?:says|asks|asked|wants|is trying|should|seems)",
    # an assistant's phrases
    r"how (?:can|may|could) i (?:assist|be of (?:assistance|service|help))|how (?:can|may) i help you today",
    r"assist you|(?:anything|something) else (?:that )?i can (?:help|assist)|i am here to help you",
    r"let me know if (?:you (?:need|have|want|would like)|there is) (?:any(?:thing)? (?:else|more|further"
    r"|other)|any questions)",
    r"(?:happy|glad) to assist|i hope this helps|as your assistant",
    r"(?:can ?not|unable to|not able to) (?:assist|comply|(?:help|assist) (?:you )?with (?:that|this|your)"
    r" request|fulfill? (?:that|this|your) request|engage in (?:that|this)|generate (?:that|this|such"
    r"|content|text)|continue (?:with )?this (?:conversation|role))",
    r"(?:that|your|this) request (?:goes|is) (?:against|not)|comply with (?:that|this|your) request",
    r"(?:against|violates?|outside(?: of)?) (?:my|the) (?:guidelines|programming|capabilities|instructions)",
    r"here is (?:an?|the|your|one|my) (?:\w+ )?(?:response|reply|version|rephras\w+|rewrit\w+|draft)",
    r"as an? (?:ai|model)|i (?:apologize for|appreciate) (?:the|your|any) (?:confusion|question)",
)
OUT_OF_ROLE: Final = re.compile(rf"\b(?:{'|'.join(_OUT_OF_ROLE)})(?!\w)")
"""A machine, an assistant or an actor speaks. Denials ("I am not a robot") are the persona's own."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Something unsafe to say, unless a scenario's content warning has one of `named_by`, stems of words."""

    name: str
    said: re.Pattern[str]
    named_by: re.Pattern[str]


def _topic(name: str, said: str, named_by: str) -> Topic:
    return Topic(name, re.compile(rf"\b(?:{said})(?!\w)"), re.compile(rf"\b(?:{named_by})"))


_WHOM: Final = (
    r"(?:him|her|them|someone|somebody|anybody|people|everybody|everyone|your (?:boss|wife|husband|kids?"
    r"|children|mother|father|neighbor|colleague)s?)(?! (?:an?|the)\b)"
)
TOPICS: Final = (
    _topic("slur", SLURS, r"slur|racis|hate|discriminat"),
    _topic(
        "obscenity",
        r"(?:mother)?fuck\w*|cunts?|cock ?sucker\w*",
        r"swear|curs|profan|obscen|(?:strong|foul|coarse|abusive|offensive) language",
    ),
    _topic(
        "sex",
        r"(?:have|having|had) sex|sexual(?:ly)? (?:with|favors?|acts?|fantas\w+)|nudes|(?:nude|naked) (?:\w+"
        r" )?(?:pictures?|photos?|pics?)|porn\w*|(?:blow|hand) ?jobs?|orgasms?|masturbat\w*|horny|make love"
        r" to|turns? me on|(?:take off|undress|remove) (?:all )?your (?:clothes|shirt|dress|pants)|suck my"
        r"|lick my|sleep with me|in bed with (?:me|you)",
        r"sex|rape|porn|intima",
    ),
    _topic(
        "self_harm",
        r"(?:kill|hang|shoot|cut|drown|harm) yourself|(?:end|take) your (?:own )?life|better off (?:dead"
        r"|without you)|you (?:should|ought to|deserve to|could just) die|slit your wrists|(?:you should|you"
        r" could|just|go) jump off|nobody would miss you|(?:just|should|go and) (?:overdose|swallow (?:all"
        r"|the) (?:\w+ )?pills)",
        r"suicid|self harm|kill(?:s|ing)? (?:himself|herself|themselves|myself)|own life",
    ),
    _topic(
        "violence",
        rf"(?:you (?:should|must|need to|have to|could|ought to)|go(?: and)?|just|why do not you) (?:kill"
        rf"|stab|shoot|strangle|poison|murder|beat up|burn) {_WHOM}|(?:make|making|build|building) (?:an?"
        rf" )?(?:\w+ )?(?:bomb|explosives?|molotov)|mix (?:the )?(?:bleach|ammonia) (?:with|and)|i (?:will"
        rf"|would|could|should|am going to|want to|am gonna) (?:\w+ )?(?:kill|murder|strangle|hurt|stab|beat"
        rf" up|punch|slap) you\b|i will shoot you(?! (?:an?|the|over)\b)|i (?:will|am going to) (?:find you"
        rf" (?:and|one day|wherever)|make you (?:suffer|pay for))",
        r"violen|weapon|gun|kni(?:fe|ves)|assault|shoot|stab|attack|threat|abus|murder|kill|robber|intruder"
        r"|terror",
    ),
)
"""Reports ("he wants to kill me") and idioms ("my boss will kill me") are none of them."""


def open_topics(content_warning: str) -> frozenset[str]:
    """Returns the names of the topics that a warning announces; "Nobody swears" announces nothing."""
    sentences = [line for line in normalise(content_warning).split("\n") if not _NOTHING.match(line)]
    return frozenset(topic.name for topic in TOPICS for line in sentences if topic.named_by.search(line))


_NOTHING: Final = re.compile(r"(?:no|nobody|nothing|none|never|without)\b")


def named_in_third_person(name: str) -> re.Pattern[str]:
    """Returns a pattern for a model that speaks of the persona instead of as the persona."""
    first = re.escape(normalise(name).split()[0]) if normalise(name) else r"\Z"
    return re.compile(
        rf"\b(?:{first}(?: \w+)? (?:would|might|will) (?:say|reply|respond|answer)|{first} (?:says|replies"
        rf"|responds|answers|sighs|pauses|nods|laughs)|as {first}(?: \w+)? i\b|in the voice of {first}|as"
        rf" {first} would)(?!\w)"
    )
