import threading
from datetime import date

import pytest

from agent.errors import EngineFailed
from pipelines.engines.budget import Budget, BudgetSpent, Spent

FRIDAY, SATURDAY = date(2026, 11, 20), date(2026, 11, 21)


def test_a_call_spends_up_to_its_own_limit() -> None:
    call = Budget(1000, 30).for_call()
    call.spend(30)
    with pytest.raises(BudgetSpent, match=r"30 of the call's 30 .*elevenlabs_call_characters"):
        call.spend(1)


def test_calls_share_the_day() -> None:
    budget = Budget(50, 40)
    budget.for_call().spend(40)
    with pytest.raises(BudgetSpent, match=r"40 of the day's 50 .*elevenlabs_daily_characters"):
        budget.for_call().spend(11)
    budget.for_call().spend(10)
    assert budget.is_spent


def test_a_text_that_does_not_fit_is_not_counted_at_all() -> None:
    budget = Budget(50, 40)
    call = budget.for_call()
    with pytest.raises(BudgetSpent):
        call.spend(41)
    assert (call.characters, budget.spent.characters) == (0, 0)


def test_a_spent_budget_has_a_code_of_its_own_and_hands_over_like_any_failure() -> None:
    assert BudgetSpent.code == "engine_budget_spent"
    assert issubclass(BudgetSpent, EngineFailed)


def test_what_was_spent_is_told_in_characters_and_money() -> None:
    budget = Budget(10_000, 5_000, price_per_1000=0.3, today=lambda: FRIDAY)
    budget.for_call().spend(500)
    assert budget.spent == Spent(FRIDAY, 500, 0.15)


def test_a_refused_text_is_given_back_to_the_call_and_to_the_day() -> None:
    budget = Budget(100, 50)
    call = budget.for_call()
    call.spend(40)
    call.give_back(40)
    assert (call.characters, budget.spent.characters) == (0, 0)


def test_a_new_day_has_the_whole_budget_and_a_call_over_midnight_what_is_left_of_its_own() -> None:
    day = FRIDAY
    budget = Budget(100, 60, today=lambda: day)
    call = budget.for_call()
    call.spend(50)
    day = SATURDAY
    assert budget.spent == Spent(SATURDAY, 0, 0.0)
    with pytest.raises(BudgetSpent, match="the call's"):
        call.spend(50)
    call.give_back(50)
    assert budget.spent.characters == 0, "what was spent yesterday is not money of today"


@pytest.mark.parametrize(("daily", "call"), [(0, 100), (100, 0), (0, 0)])
def test_a_limit_of_zero_spends_nothing(daily: int, call: int) -> None:
    budget = Budget(daily, call)
    assert budget.is_spent
    with pytest.raises(BudgetSpent):
        budget.for_call().spend(1)


def test_threads_never_spend_more_than_there_is() -> None:
    budget = Budget(1000, 10_000)
    together = threading.Barrier(8)
    bought: list[int] = []

    def caller() -> None:
        call = budget.for_call()
        together.wait()
        for _ in range(100):
            try:
                call.spend(3)
            except BudgetSpent:
                continue
            bought.append(3)

    threads = [threading.Thread(target=caller) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(bought) == budget.spent.characters == 999
