"""Weights of tasks: by the age of their job, within what Airflow's databases hold."""

from dags_generator.age import FIRST, weight


def test_tasks_of_older_jobs_come_first() -> None:
    ids = ["202611222016456477173", "202611222016457477174", "202612010000000000000", "203101010000000000001"]
    weights = [weight(run_id) for run_id in ids]
    assert weights == sorted(set(weights), reverse=True)


def test_weights_fit_into_32_bits() -> None:
    for run_id in (
        "200001010000000000000",
        "209912312359599999999",
        "999999999999999999999",
        "0" * 21,
        "",
        "scheduled__x",
    ):
        assert 0 <= weight(run_id) <= FIRST


def test_what_only_starts_jobs_comes_first() -> None:
    assert weight("backfill__2026-07-28T00:00:00+00:00") == FIRST > weight("202611222016456477173")
