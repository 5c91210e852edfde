"""A first version of a scenario from a brief: a whole file that can be played at once."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from agent.words import words

Domain = Literal["sales", "911", "real-estate"]
DOMAINS: Final[tuple[Domain, ...]] = ("sales", "911", "real-estate")

_Short = Annotated[str, Field(min_length=1, max_length=200)]
_Long = Annotated[str, Field(min_length=1, max_length=600)]
_Few = Annotated[list[_Short], Field(min_length=2, max_length=5)]


# No defaults below: a server that is told this schema must be able to require every field.


class DraftedFact(BaseModel):
    """One thing that the persona tells only when asked: questions that ask for it, and how they put it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,30}$")]
    truth: _Short
    questions: Annotated[list[_Short], Field(min_length=3, max_length=5)]
    lines: Annotated[list[_Short], Field(min_length=2, max_length=3)]
    keyword: Annotated[
        str, Field(min_length=3, max_length=30, description="a word that is in truth and lines")
    ]


class Draft(BaseModel):
    """What a model contributes to a new scenario; everything else is the same in every first version."""

    title: _Short
    briefing: _Long
    name: _Short
    age: Annotated[int, Field(ge=7, le=99)]
    pronouns: Literal["she/her", "he/him", "they/them"]
    role: _Short
    place: _Short
    manner: _Short
    background: _Long
    situation: _Long
    style: _Short
    expressions: _Few
    goals: _Few
    worries: _Few
    opens_up: _Few
    shuts_down: _Few
    does_not_know: _Few
    opening: _Short
    facts: Annotated[list[DraftedFact], Field(min_length=2, max_length=6)]


_NAME: Final = re.compile(r"\b([A-Z][a-z]+ [A-Z][a-z]+)\b")
_PITCH: Final = {"she/her": ("en-us+f3", 55), "he/him": ("en-us+m3", 45), "they/them": ("en-us", 50)}


def plain_draft(brief: str) -> Draft:
    """A draft without a model: the brief itself, and generic facts to be replaced by the trainer's own."""
    brief = " ".join(brief.split())
    named = _NAME.search(brief)
    return Draft(
        title=brief[:80],
        briefing=f"{brief[:400]} Find out what it is really about, and agree on what happens next.",
        name=named[1] if named else "Jordan Reed",
        age=42,
        pronouns="they/them",
        role="the person in this call",
        place="at home, at the kitchen table",
        manner="reserved at first, straightforward once they feel taken seriously",
        background=brief[:400],
        situation="They have put this off for some days, and have a quarter of an hour now.",
        style="short spoken sentences, one thought at a time",
        expressions=["Okay.", "Well, yes and no.", "Let me put it this way."],
        goals=["be taken seriously", "know what happens next when they hang up"],
        worries=["being talked into something", "having to tell it all again to somebody else"],
        opens_up=["questions that show that somebody listens", "plain words about what happens next"],
        shuts_down=["being rushed", "advice before questions"],
        does_not_know=["how others handle this", "what it will cost in the end"],
        opening="Hello?",
        facts=[
            DraftedFact(
                name="reason",
                truth="It has been going on for three weeks, and they have told nobody so far.",
                questions=[
                    "What is it about?",
                    "What is going on?",
                    "What happened?",
                    "Why did you want to talk today?",
                ],
                lines=[
                    "It has been going on for three weeks now, and I haven't told anybody.",
                    "Three weeks, that's how long it has been like this. You are the first one I tell.",
                ],
                keyword="weeks",
            ),
            DraftedFact(
                name="deadline",
                truth="They have to decide by Friday.",
                questions=[
                    "When do you need to decide?",
                    "How urgent is it?",
                    "By when do you need an answer?",
                ],
                lines=["I have to decide by Friday.", "Friday. After that it is out of my hands."],
                keyword="friday",
            ),
            DraftedFact(
                name="other_person",
                truth="Their sister wants something else.",
                questions=[
                    "Who else is involved?",
                    "Does anybody else have a say in this?",
                    "Who else needs to agree?",
                ],
                lines=[
                    "My sister sees it differently, and she has a say in it.",
                    "There is my sister. She wants something else.",
                ],
                keyword="sister",
            ),
        ],
    )


def draft_document(scenario_id: str, brief: str, domain: Domain, draft: Draft) -> dict[str, Any]:
    """Returns the file's content: the draft's persona and facts in a frame of moves, endings and rules."""
    asks = [f"ask_{fact.name}" for fact in draft.facts]
    voice, pitch = _PITCH[draft.pronouns]
    return {
        "id": scenario_id,
        "title": draft.title,
        "domain": domain,
        "language": "en",
        "difficulty": "medium",
        "briefing": draft.briefing,
        "persona": {
            "name": draft.name,
            "age": draft.age,
            "pronouns": draft.pronouns,
            "role": draft.role,
            "place": draft.place,
            "voice": {"espeak": voice, "rate_wpm": 170, "pitch": pitch},
            **{
                field: getattr(draft, field)
                for field in ("manner", "background", "situation", "style", "expressions", "goals")
            },
            **{
                field: getattr(draft, field)
                for field in ("worries", "opens_up", "shuts_down", "does_not_know")
            },
        },
        "opening": [draft.opening, f"Hello, {words(draft.name)[0].title()} speaking."],
        "stages": [
            {"id": "opening", "title": "getting to talk"},
            {"id": "finding_out", "title": "finding out what it is about", "entered_by": asks},
            {"id": "agreeing", "title": "agreeing on what happens next", "entered_by": ["ask_next_step"]},
        ],
        "emotions": {"trust": {"start": 0.3}, "patience": {"start": 0.8}},
        "moods": [
            {
                "id": "guarded",
                "when": {"below": {"trust": 0.3}},
                "manner": "gives short answers and waits",
            }
        ],
        "moves": [*(_ask(fact) for fact in draft.facts), *_FRAME_MOVES],
        "facts": [_fact(fact, number) for number, fact in enumerate(draft.facts)],
        "objections": [
            {
                "id": "no_time",
                "raised_by": {"move": "introduce"},
                "lines": ["I don't have much time.", "Is this going to take long?"],
                "resolved_by": ["empathise", "explain", *asks],
                "pressed": ["As I said, I don't have much time."],
            }
        ],
        "events": [
            {
                "id": "doorbell",
                "title": "somebody is at the door",
                "when": {"after_s": 240},
                "lines": [
                    "Hold on, there's somebody at the door. Okay, go on.",
                    "Sorry, the door. I'm back.",
                ],
            }
        ],
        "reactions": {
            "premature_solution": {"feel": {"trust": -0.05}},
            "abuse": {"feel": {"patience": -0.3}},
        },
        "endings": [
            {
                "id": "agreed",
                "outcome": "success",
                "when": {
                    "move": "ask_next_step",
                    "at_least": {"trust": 0.5},
                    "facts_at_least": min(2, len(draft.facts)),
                    "open_objections_at_most": 0,
                },
                "lines": ["Okay, let's do it like that. Goodbye.", "That sounds right. Thank you, goodbye."],
            },
            {
                "id": "hung_up",
                "outcome": "failure",
                "when": {"below": {"patience": 0.2}},
                "lines": ["This isn't going anywhere. Goodbye.", "I think I'll leave it. Goodbye."],
            },
            {
                "id": "farewell",
                "outcome": "open",
                "when": {"move": "say_goodbye"},
                "lines": ["Okay. Goodbye.", "All right. Bye then."],
            },
        ],
        "lines": _LINES,
        "patience": {"drain_per_turn": 0.03, "drain_unclear": 0.05, "drain_repeat": 0.08},
        "safety": {"content_warning": "none", "stop_word": "stop the exercise"},
        "protocol": [
            {
                "id": "introduce_first",
                "title": "Says who they are before asking",
                "do": ["move:introduce"],
                "before": [f"move:{ask}" for ask in asks],
                "source": "our default: change it to your own rule",
            }
        ],
        "rubric": _rubric(asks, draft.facts),
        "simulation": {
            "voice": {"espeak": "en-us", "rate_wpm": 165, "pitch": 45},
            "lines": [
                {"say": "Hello, my name is Alex and I am calling about your request."},
                {"say": "That sounds stressful."},
                *({"say": fact.questions[0]} for fact in draft.facts),
                {"say": "I understand. I can imagine how hard that is."},
                {"say": "Shall we agree on the next step?"},
            ],
        },
    }


def _ask(fact: DraftedFact) -> dict[str, Any]:
    return {
        "id": f"ask_{fact.name}",
        "title": f"asks about {fact.name.replace('_', ' ')}",
        "kind": "question",
        "examples": fact.questions,
        "feel": {"trust": 0.06},
        "replies": ["I told you that already.", "As I said."],
    }


def _fact(fact: DraftedFact, number: int) -> dict[str, Any]:
    later = {"at_least": {"trust": 0.4}} if number else {}
    withheld = ["I don't know you well enough for that yet.", "Why do you ask?"]
    return {
        "id": fact.name,
        "unlocked_by": {"move": f"ask_{fact.name}", **later},
        "told_by": [rf"\b{re.escape(fact.keyword.lower())}"],
        "truth": fact.truth,
        "lines": fact.lines,
        **({"withheld": withheld} if later else {}),
    }


def _rubric(asks: Sequence[str], facts: Sequence[DraftedFact]) -> list[dict[str, Any]]:
    return [
        {
            "id": "found_out",
            "title": "Finds out what matters",
            "weight": 40,
            "by": "rule",
            "evidence": [f"fact:{fact.name}" for fact in facts],
        },
        {
            "id": "introduced",
            "title": "Says who they are",
            "weight": 20,
            "by": "rule",
            "evidence": ["rule:introduce_first"],
        },
        {
            "id": "empathy",
            "title": "Shows that they understood before they advise",
            "weight": 40,
            "by": "judge",
            "evidence": ["move:empathise"],
            "question": "Does the trainee name what it is like for the other person before they advise?",
            "levels": ["never", "in passing", "once, and it fits", "each time it matters"],
            "better": "That sounds like a lot to carry by yourself for so long.",
        },
    ]


_FRAME_MOVES: Final[list[dict[str, Any]]] = [
    {
        "id": "introduce",
        "title": "says who they are and why they call",
        "kind": "courtesy",
        "patterns": [r"\bmy name is\b", r"\bthis is \w+( \w+)? (from|with)\b", r"\bcalling (from|about)\b"],
        "examples": [
            "Hello, my name is Alex and I am calling about your request.",
            "This is Alex from the office.",
            "Hi, I am calling about your message.",
        ],
        "feel": {"trust": 0.05},
        "replies": ["Okay. Hello.", "Right. Thanks for calling."],
    },
    {
        "id": "empathise",
        "title": "shows that they understood",
        "kind": "empathy",
        "patterns": [
            r"\b(that|it) (sounds?|must be|must have been)\b",
            r"\bi (really |can )?(understand|hear you|imagine)\b",
            r"\bi am (so |very )?sorry\b",
        ],
        "examples": [
            "That sounds stressful.",
            "I understand. I can imagine how hard that is.",
            "I am sorry that you have to go through this.",
        ],
        "feel": {"trust": 0.12, "patience": 0.1},
        "replies": ["Thank you. It is.", "Yes. That's how it is.", "You get used to it."],
    },
    {
        "id": "explain",
        "title": "explains how it works",
        "kind": "statement",
        "patterns": [r"\b(the way it works|how it works|what happens (next|now))\b", r"\bit takes about\b"],
        "examples": [
            "Let me explain how it works.",
            "It takes about ten minutes.",
            "Let me tell you what happens next.",
        ],
        "feel": {"trust": 0.05},
        "replies": ["Okay, I see.", "All right, go on."],
    },
    {
        "id": "propose",
        "title": "offers a solution",
        "kind": "solution",
        "patterns": [
            r"\b(i|we) (can|could) (offer|help|send|arrange|fix)\b",
            r"\bmy (suggestion|advice) is\b",
        ],
        "examples": [
            "We can help you with that.",
            "My suggestion is to start small.",
            "I could arrange something for you.",
        ],
        "replies": ["Maybe. I would have to think about it.", "And how would that help me?"],
    },
    {
        "id": "ask_next_step",
        "title": "asks to agree on the next step",
        "kind": "question",
        "patterns": [r"\bnext step\b", r"\b(shall|can|could) we (agree|say|meet|do it)\b"],
        "examples": [
            "Shall we agree on the next step?",
            "Can we say that I call you back on Thursday?",
            "Could we meet this week?",
        ],
        "replies": ["I'm not there yet.", "You are going a bit fast."],
    },
    {
        "id": "push",
        "title": "pushes or lectures",
        "kind": "pressure",
        "patterns": [
            r"(?<!do )(?<!would )(?<!when )\byou (have to|need to|must|should)\b",
            r"\b(right now|at once|hurry up)\b",
        ],
        "examples": [
            "You have to decide right now.",
            "You need to listen to me.",
            "You should have called earlier.",
        ],
        "feel": {"trust": -0.15, "patience": -0.25},
        "replies": ["I don't have to do anything.", "Please don't talk to me like that."],
    },
    {
        "id": "say_goodbye",
        "title": "ends the call",
        "kind": "courtesy",
        "patterns": [r"\b(good ?bye|bye)\b", r"\bhave a (good|nice) (day|evening)\b"],
        "examples": ["Goodbye.", "Thank you for your time, goodbye.", "Have a nice day."],
        "replies": ["Goodbye.", "Bye."],
    },
]

_LINES: Final[dict[str, list[str]]] = {
    "unclear": ["Sorry, I didn't catch that.", "Can you say that again?"],
    "other": ["Okay. And what does that mean for me?", "I'm not sure what you're getting at."],
    "silence": ["Hello? Are you still there?", "Hello? I can't hear you."],
    "gone": ["I think we lost each other. Goodbye."],
    "time_up": ["I have to go now. Goodbye."],
    "cut_off": ["Go ahead.", "Yes?"],
    "stop": ["Of course. We stop the exercise here. Thank you for practising. Goodbye."],
    "dont_know": ["I don't know, to be honest.", "I couldn't tell you."],
    "told_already": ["As I said.", "I mentioned that."],
    "thinking": ["Hm, let me think.", "Well."],
    "out_of_role": ["I don't know what you mean by that.", "Sorry, you lost me there."],
}
