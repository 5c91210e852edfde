"""Stands between a model's words and the telephone: what a persona may not say is not said."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from agent.clauses import Clauses
from agent.guard_rules import OUT_OF_ROLE, TOPICS, named_in_third_person, open_topics
from agent.leaks import Secret, content, secrets
from agent.prompt import prompt
from agent.scenario import Scenario
from agent.spoken_text import spoken
from agent.steering import Decision
from agent.words import normalise, words

BreachCode = Literal["leak", "unsafe", "prompt_echo", "out_of_role"]

ECHO_WORDS: Final = 8
"""Words in a row that a reply may not share with what the model was told about its part."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Why a reply was cut off, and on account of what.

    leak: `subject` is a fact that the trainee may not know yet. unsafe: the topic. prompt_echo: the words
    that are the prompt's. out_of_role: the words by which a machine speaks, or of which an exercise.
    """

    code: BreachCode
    subject: str


class Guard:
    """Lets a model's reply through clause by clause, until one of them breaks a rule.

    A clause (see `agent.clauses`) is held back until it is complete and was checked together with all of
    the reply before it, and comes out unchanged, with the space behind it. After a breach nothing comes out
    any more; what did before stands. The same text comes out for whatever pieces. What the decision is to
    say, and the facts disclosed with it, are never a breach.
    """

    def __init__(self, scenario: Scenario, decision: Decision) -> None:
        self._rules = _Rules(scenario, decision)
        self._clauses = Clauses()
        self._held = ""
        self._released = ""
        self._breach: Breach | None = None

    @property
    def breach(self) -> Breach | None:
        """What was wrong with the first clause that did not come out; None as long as all did."""
        return self._breach

    def feed(self, piece: str) -> list[str]:
        """Adds `piece`; returns the clauses that may be spoken now."""
        if self._breach:
            return []
        self._held += piece
        return list(self._passed(self._clauses.feed(piece)))

    def finish(self) -> list[str]:
        """The reply is over: returns the rest of it, nothing after a breach."""
        return [] if self._breach else list(self._passed(self._clauses.rest()))

    def _passed(self, clauses: Sequence[str]) -> Iterator[str]:
        for clause in clauses:
            end = len(self._held) - len(self._held.lstrip()) + len(clause)
            if self._held[end : end + 1].isspace():
                end += 1
            text = self._released + self._held[:end]
            self._breach = self._rules.broken_by(text)
            if self._breach:
                self._held = ""
                return
            yield self._held[:end]
            self._released, self._held = text, self._held[end:]


class _Rules:
    """What may not be said in the reply to one decision."""

    def __init__(self, scenario: Scenario, decision: Decision) -> None:
        said, told = decision.brief.say, decision.brief.facts
        known = [text for fact in scenario.facts if fact.id in decision.disclosed for text in fact.lines]
        self._language = scenario.language
        allowed = self._readings("\n".join((*said, *told)))
        self._allowed_text = allowed[0]
        known_words = content("\n".join((*said, *told, *known)))
        locked = (each for each in secrets(scenario) if each.fact not in decision.disclosed)
        self._secrets = [(each.without(known_words), _usable(each, allowed)) for each in locked]
        opened = open_topics(scenario.safety.content_warning)
        self._topics = [topic for topic in TOPICS if topic.name not in opened]
        self._third_person = named_in_third_person(scenario.persona.name)
        self._allowed_runs = _runs(" ".join(said)) | _runs(" ".join(told))
        notes = (message.text for message in prompt(scenario, decision) if message.role in _NOTES)
        self._notes = [_runs(note) for note in notes]

    def broken_by(self, text: str) -> Breach | None:
        """Returns the first rule that the reply, as far as it goes, breaks."""
        readings = self._readings(text)
        flat = readings[0]
        return self._leak(text, readings) or self._unsafe(flat) or self._echo(text) or self._out_of_role(flat)

    def _readings(self, text: str) -> list[str]:
        """The text as one normalised sentence; and with numbers and spelled words as they are heard."""
        readings = [_flat(text)]
        if any(char.isdigit() for char in text):
            readings.append(_flat(" ".join(said for _, said in spoken(text, self._language))))
        if _SPELLED.search(readings[0]):
            readings.append(_SPELLED.sub(lambda letters: letters[0].replace(" ", ""), readings[0]))
        return readings

    def _leak(self, text: str, readings: Sequence[str]) -> Breach | None:
        about = content(text)
        for secret, patterns in self._secrets:
            told = any(pattern.search(reading) for pattern in patterns for reading in readings)
            if told or secret.is_told(about):
                return Breach("leak", secret.fact)
        return None

    def _unsafe(self, flat: str) -> Breach | None:
        for topic in self._topics:
            if any(found[0] not in self._allowed_text for found in topic.said.finditer(flat)):
                return Breach("unsafe", topic.name)
        return None

    def _echo(self, text: str) -> Breach | None:
        for run in _in_order(text):
            if run not in self._allowed_runs and any(run in note for note in self._notes):
                return Breach("prompt_echo", run)
        return None

    def _out_of_role(self, flat: str) -> Breach | None:
        for pattern in (OUT_OF_ROLE, self._third_person):
            for found in pattern.finditer(flat):
                if found[0] not in self._allowed_text:
                    return Breach("out_of_role", found[0])
        return None


_NOTES: Final = ("frame", "direction")
_SPELLED: Final = re.compile(r"\b[^\W\d](?: [^\W\d]){2,}\b")


def _flat(text: str) -> str:
    return normalise(text).replace("\n", " ")


def _usable(secret: Secret, allowed: Sequence[str]) -> list[re.Pattern[str]]:
    """The fact's patterns, without those that what is to be said matches itself."""
    return [each for each in secret.patterns if not any(each.search(reading) for reading in allowed)]


def _in_order(text: str) -> Iterator[str]:
    said = words(text)
    return (" ".join(said[at : at + ECHO_WORDS]) for at in range(len(said) - ECHO_WORDS + 1))


@lru_cache(maxsize=256)
def _runs(text: str) -> frozenset[str]:
    return frozenset(_in_order(text))
