from agent.protocol import Verdict, check_protocol
from tests.agent.scenarios import with_parts

RULE = {"id": "rule", "title": "a rule", "do": ["move:ask_supplier"], "source": "our own"}


def judged(timeline: list[tuple[int, str]], **rule: object) -> Verdict:
    [verdict] = check_protocol(with_parts(protocol=[{**RULE, **rule}]), timeline)
    return verdict


def test_what_has_to_happen_and_does_is_met() -> None:
    assert judged([(4_000, "move:ask_supplier")]) == Verdict("rule", "met", 4_000, "after 4 s")


def test_what_has_to_happen_and_does_not_is_broken() -> None:
    assert judged([]) == Verdict("rule", "broken", None, "it did not happen")


def test_any_of_several_moments_will_do() -> None:
    verdict = judged([(9_000, "move:ask_volume")], do=["move:ask_supplier", "move:ask_volume"])

    assert verdict.status == "met"


def test_a_time_runs_from_the_start_of_the_call() -> None:
    assert judged([(30_000, "move:ask_supplier")], within_s=30).status == "met"
    late = judged([(30_001, "move:ask_supplier")], within_s=30)
    assert (late.status, late.reason) == ("broken", "after 30.0 s, 30 s allowed")


def test_a_time_may_run_from_another_moment() -> None:
    rule = {"within_s": 10, "since": "fact:supplier"}

    assert judged([(50_000, "fact:supplier"), (59_000, "move:ask_supplier")], **rule).status == "met"
    assert judged([(50_000, "fact:supplier"), (61_000, "move:ask_supplier")], **rule).status == "broken"
    assert judged([(61_000, "move:ask_supplier")], **rule).status == "not_due"


def test_what_was_done_ahead_of_time_is_in_time() -> None:
    timeline = [(5_000, "move:ask_supplier"), (50_000, "fact:supplier")]

    assert judged(timeline, within_s=10, since="fact:supplier").status == "met"


def test_the_order_counts_from_the_first_time() -> None:
    timeline = [(1_000, "move:introduce"), (2_000, "move:ask_supplier"), (3_000, "move:introduce")]

    broken = judged(timeline, before=["move:introduce"])
    assert (broken.status, broken.reason) == ("broken", "move:introduce came first")
    assert judged(timeline, after=["move:introduce"]).status == "met"
    missing = judged(timeline, after=["move:ask_time"])
    assert (missing.status, missing.reason) == ("broken", "move:ask_time had not happened")


def test_something_may_have_to_happen_several_times() -> None:
    twice = [(1_000, "move:ask_supplier"), (8_000, "move:ask_supplier")]

    assert judged(twice, at_least=2, within_s=8).status == "met"
    assert judged(twice, at_least=3).reason == "it happened 2 times"


def test_what_must_never_happen_is_broken_the_first_time() -> None:
    assert judged([], never=True).status == "met"
    broken = judged([(7_000, "move:ask_supplier"), (9_000, "move:ask_supplier")], never=True)
    assert (broken.status, broken.at_ms) == ("broken", 7_000)
