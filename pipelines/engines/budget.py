"""What an engine that costs money may spend: characters in a day, and characters in a call."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol

from agent.errors import EngineFailed


class BudgetSpent(EngineFailed):
    """The budget of the day or of this call, or the account's own quota, has no room for a text."""

    code = "engine_budget_spent"


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent on one day; `price` is in the currency of the price that the budget was given."""

    day: date
    characters: int
    price: float


class Purse(Protocol):
    """What an engine pays from."""

    def spend(self, characters: int) -> None:
        """Counts them, all or none. Raises BudgetSpent."""

    def give_back(self, characters: int) -> None:
        """Takes back what was spent on a text that was refused."""


class Budget:
    """The budget of a day, which begins at midnight UTC; thread-safe.

    It is this process's alone: each process has the whole budget, and a new one begins at zero. That stays so
    until live state is shared by all processes; divide the budget by their number until then.
    """

    def __init__(
        self,
        daily_characters: int,
        call_characters: int,
        price_per_1000: float = 0.0,
        today: Callable[[], date] = today,
    ) -> None:
        """Limits of a day and of a call; 0 lets nothing be spent."""
        self._daily_characters = daily_characters
        self._call_characters = call_characters
        self._price_per_1000 = price_per_1000
        self._today = today
        self._day = today()
        self._characters = 0
        self._counting = threading.Lock()

    @property
    def spent(self) -> Spent:
        """What was spent today."""
        with self._counting:
            self._turn_page()
            price = self._characters * self._price_per_1000 / 1000
            return Spent(self._day, self._characters, price)

    @property
    def is_spent(self) -> bool:
        """Nothing is left of the day, or a call may have nothing."""
        return self.spent.characters >= self._daily_characters or not self._call_characters

    def for_call(self) -> "CallBudget":
        """The purse of one call."""
        return CallBudget(self, self._call_characters)

    def spend(self, characters: int) -> None:
        """Counts them against the day, all or none. Raises BudgetSpent."""
        with self._counting:
            self._turn_page()
            if self._characters + characters > self._daily_characters:
                raise BudgetSpent(
                    f"{self._characters} of the day's {self._daily_characters} characters are spent",
                    hint="Raise text_to_speech.elevenlabs_daily_characters",
                )
            self._characters += characters

    def give_back(self, characters: int) -> None:
        """Takes back what was spent on a text that was refused; what was spent yesterday stays spent."""
        with self._counting:
            self._turn_page()
            self._characters = max(0, self._characters - characters)

    def _turn_page(self) -> None:
        if (day := self._today()) != self._day:
            self._day, self._characters = day, 0


class CallBudget:
    """What one call may spend, from the day's budget; thread-safe."""

    def __init__(self, day: Budget, call_characters: int) -> None:
        self._day = day
        self._call_characters = call_characters
        self._counting = threading.Lock()
        self.characters = 0

    def spend(self, characters: int) -> None:
        """Counts them against the call and the day, all or none. Raises BudgetSpent."""
        with self._counting:
            if self.characters + characters > self._call_characters:
                raise BudgetSpent(
                    f"{self.characters} of the call's {self._call_characters} characters are spent",
                    hint="Raise text_to_speech.elevenlabs_call_characters",
                )
            self._day.spend(characters)
            self.characters += characters

    def give_back(self, characters: int) -> None:
        """Takes back what was spent on a text that was refused."""
        with self._counting:
            self._day.give_back(characters)
            self.characters -= characters
