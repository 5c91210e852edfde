"""What one call learnt about an engine, for all others: whether it is worth asking at the moment."""

from typing import Final

CIRCUIT_OPEN: Final = "engine_circuit_open"
"""What a call is told of an engine that is not asked, where engines' own errors have their codes."""

FAILURES: Final = 3
REST_S: Final = 30.0
TRIAL_S: Final = 5.0
HANGING_AT_MOST: Final = 2


class Breaker:
    """A circuit breaker: closed, open after failures in a row, half-open after a rest, one trial at a time.

    It is open, too, as long as pieces of work that the engine was given are overdue: each of them may have
    cost a thread, and what has not come back needs no trial. Times are seconds on any one clock. For use by
    one thread.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        rest_s: float = REST_S,
        trial_s: float = TRIAL_S,
        hanging_at_most: int = HANGING_AT_MOST,
    ) -> None:
        """Opens after `failures` in a row, for `rest_s`, or while `hanging_at_most` pieces are overdue.

        A trial that is not decided within `trial_s`, as its waiter left, makes way for the next.
        """
        assert failures > 0 and hanging_at_most > 0, "an engine gets a chance"
        assert rest_s > 0 and trial_s > 0, "an engine gets a rest"
        self._failures_at_most = failures
        self._rest_s = rest_s
        self._trial_s = trial_s
        self._hanging_at_most = hanging_at_most
        self._failures = 0
        self._hanging = 0
        self._rests_until_s = 0.0

    @property
    def hangs(self) -> bool:
        """So much of its work is overdue that more would be lost, too."""
        return self._hanging >= self._hanging_at_most

    def is_open(self, now_s: float) -> bool:
        """Whether `admits` would refuse; takes no trial."""
        return self.hangs or (self._failures >= self._failures_at_most and now_s < self._rests_until_s)

    def admits(self, now_s: float) -> bool:
        """Whether a piece of work may be given to the engine now. In half-open state that is the trial."""
        if self.is_open(now_s):
            return False
        if self._failures >= self._failures_at_most:
            self._rests_until_s = now_s + self._trial_s
        return True

    def worked(self) -> None:
        """A piece of work was done well, in time or late: closes the circuit."""
        self._failures = 0

    def failed(self, now_s: float) -> None:
        """A piece of work was not done, or not well."""
        self._failures += 1
        self._rests_until_s = now_s + self._rest_s

    def overdue(self, now_s: float) -> None:
        """A piece of work has not come back in time: a failure, and it hangs until `came_back`."""
        self._hanging += 1
        self.failed(now_s)

    def came_back(self) -> None:
        """A piece of work that was overdue has come back; `worked` or `failed` says with what."""
        assert self._hanging > 0, "only what is overdue comes back"
        self._hanging -= 1


class Breakers:
    """The breakers of one process, by name of the engine."""

    def __init__(self) -> None:
        self._breakers: dict[str, Breaker] = {}

    def of(self, engine: str) -> Breaker:
        """The breaker that all calls share for `engine`."""
        return self._breakers.setdefault(engine, Breaker())
