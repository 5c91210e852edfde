"""How long a reply may take, reckoned from what the trainee hears of it."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.clauses import Clauses

_LETTERS_PER_S = 16.0
"""Of a voice at 170 words a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """How long a reply may take, in seconds.

    `first_word_s` counts from the request to the first word that can be spoken, loading of the model and
    any thinking included; `first_clause_s` from the request to the first clause, because nothing is spoken
    before; `pause_s` from when all clauses so far have been spoken to the next. With half a second until a
    turn is over, and no time for what is said instead, these are the silences that the trainee hears.

    Without a word after `filler_after_s` the persona says something that takes about a second to speak, and
    the reply may take longer: the two `..._after_filler_s`, from the request on.

    A model for whose next word there are less than `worth_asking_s` is not asked.
    """

    first_word_s: float = 1.3
    first_clause_s: float = 1.5
    pause_s: float = 1.5
    turn_s: float = 15.0
    filler_after_s: float = 0.7
    first_word_after_filler_s: float = 2.2
    first_clause_after_filler_s: float = 2.5
    worth_asking_s: float = 0.3


class Deadlines:
    """When the next words of one reply have to be there, whoever words it; on the clock `now_s`.

    The reply begins when this is made. A `filler` that would not be spoken before the words after it, as it
    does not end like a clause, is none.
    """

    def __init__(self, budgets: Budgets, now_s: Callable[[], float], filler: str = "") -> None:
        self._budgets = budgets
        self._now_s = now_s
        self._start_s = now_s()
        self._clauses = Clauses()
        self._spoken_until_s = self._start_s
        self._filler = f"{filler.strip()} " if filler and Clauses().feed(f"{filler.strip()} ") else ""
        self._filled = self._worded = self._audible = False

    @property
    def filler_in_s(self) -> float | None:
        """In how many seconds the filler is due; None if there is none to say."""
        if not self._filler or self._filled:
            return None
        return self._start_s + self._budgets.filler_after_s - self._now_s()

    def fill(self) -> str:
        """Returns the filler, with the space after it: it is said now."""
        self._filled = True
        self._speak(self._filler)
        return self._filler

    def worded(self, piece: str) -> None:
        """The reply goes on with `piece`."""
        self._worded = True
        self._audible = self._speak(piece) or self._audible

    def due_s(self, *, shared: bool) -> float:
        """When the next piece is due. `shared`: another model is to have time, too, if none comes."""
        budgets = self._budgets
        if self._audible:
            due_s = self._spoken_until_s + budgets.pause_s
        elif self._worded:
            within_s = budgets.first_clause_after_filler_s if self._filled else budgets.first_clause_s
            due_s = self._start_s + within_s
        else:
            patient = bool(self._filler) and not shared
            due_s = self._start_s + (budgets.first_word_after_filler_s if patient else budgets.first_word_s)
        return min(due_s, self._start_s + budgets.turn_s)

    def leave_time(self, *, shared: bool) -> bool:
        """Whether it is worth asking a model for the next piece."""
        return self.due_s(shared=shared) - self._now_s() >= self._budgets.worth_asking_s

    def _speak(self, piece: str) -> bool:
        """Whether the voice has something to say with this piece."""
        clauses = self._clauses.feed(piece)
        for clause in clauses:
            since_s = max(self._spoken_until_s, self._now_s())
            self._spoken_until_s = since_s + len(clause) / _LETTERS_PER_S
        return bool(clauses)
