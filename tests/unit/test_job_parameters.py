"""What a conf says about a job as a whole reaches every plan: timeouts, retries, and when a component may start."""

from __future__ import annotations

import pytest

from dags_generator.describe import plan_json, plan_text
from dags_generator.plan import job_plan
from dags_generator.roleplan import dump_role_plans, load_role_plans, role_plans
from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import JOB_TIMEOUT_S, JobPlan, dump_plan, load_plan
from tests import pipeline_v2_example as v2
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import JOB_ID, at, spec

NAMES = ("dataio_0", "evaluation_0", "hetero_lr_0", "intersection_0")


def plan(found: PipelineSpec) -> JobPlan:
    """The host's plan, as it is stored."""
    return load_plan(dump_plan(job_plan(found, HOST, JOB_ID, "")))


def test_a_conf_that_says_nothing_has_the_defaults() -> None:
    found = plan(spec())
    assert (found.timeout, found.task_timeouts, found.auto_retries) == (JOB_TIMEOUT_S, {}, {})
    assert set(found.trigger_rules.values()) == {"all_success"}


def test_timeouts_and_retries_reach_every_plan() -> None:
    edit = at("job_parameters", timeout=3600, task_timeout=60, auto_retries={"hetero_lr_0": 2})
    found = plan(spec(conf_edit=edit))
    assert (found.timeout, found.auto_retries) == (3600.0, {"hetero_lr_0": 2})
    assert found.task_timeouts == dict.fromkeys(NAMES, 60.0)
    found = plan(spec(conf_edit=at("job_parameters", task_timeout={"hetero_lr_0": 60}, auto_retries=3)))
    assert (found.task_timeouts, found.auto_retries) == ({"hetero_lr_0": 60.0}, dict.fromkeys(NAMES, 3))


def test_conf_v2_says_the_same() -> None:
    given = {"timeout": 3600, "auto_retries": 1, "auto_retry_delay": 5, "task_timeout": {"dataio_0": 9}}
    found = v2.spec(conf_edit=at("job_parameters", "common", **given))
    assert (found.job.timeout, found.job.task_timeouts) == (3600.0, {"dataio_0": 9.0})
    assert found.job.auto_retries == dict.fromkeys(("reader_0", *NAMES), 1)
    assert any("common.auto_retry_delay has no effect" in note for note in found.notes)


def test_the_coordinator_sees_the_edges_and_rules_of_components_that_its_member_does_not_run() -> None:
    found = plan(spec(at("hetero_lr_0", trigger_rule="one_success")))
    assert "evaluation_0" not in found.steps
    assert found.upstream["evaluation_0"] == ["hetero_lr_0"]
    assert found.upstream["dataio_0"] == []
    assert found.trigger_rules == {**dict.fromkeys(NAMES, "all_success"), "hetero_lr_0": "one_success"}


def test_a_rule_is_part_of_what_the_parties_agree_to_and_its_default_may_be_written() -> None:
    assert spec(at("hetero_lr_0", trigger_rule="all_done")).graph.digest != spec().graph.digest
    assert plan(spec(at("hetero_lr_0", trigger_rule="all_success"))).trigger_rules == plan(spec()).trigger_rules


def test_the_plan_shows_it_all() -> None:
    found = spec(
        at("evaluation_0", trigger_rule="all_done"),
        at("job_parameters", timeout=3600, task_timeout={"hetero_lr_0": 60}, auto_retries={"hetero_lr_0": 2}),
    )
    text, shown = plan_text(found), plan_json(found)
    assert "model key breast, at most 3600 s" in text
    assert "hetero_lr_0 (HeteroLR), after intersection_0, at most 60 s, auto_retries 2" in text
    assert "evaluation_0 (Evaluation), after hetero_lr_0; all_done: also if some of its inputs failed" in text
    assert (shown["timeout"], shown["task_timeout"], shown["auto_retries"]) == (
        3600.0,
        {"hetero_lr_0": 60.0},
        {"hetero_lr_0": 2},
    )
    assert shown["members"]["guest_9999"]["components"]["evaluation_0"]["trigger_rule"] == "all_done"


@pytest.mark.parametrize("rule", ["all_done", "one_success"])
def test_a_prediction_waits_by_the_same_rule_where_it_waits_for_components(rule: str) -> None:
    found = spec(lambda c: [c[name].update(trigger_rule=rule) for name in ("intersection_0", "hetero_lr_0")])
    assert found.graph.inference_dsl["components"]["intersection_0"]["trigger_rule"] == rule

    def no_dataio(components: dict) -> None:
        components["dataio_0"]["need_deploy"] = False
        components["intersection_0"]["trigger_rule"] = rule

    derived = spec(no_dataio).graph.inference_dsl["components"]
    assert "trigger_rule" not in derived["intersection_0"], "it reads only the new data"


def tasks(found: PipelineSpec, party: str) -> dict[str, tuple[list[str], str]]:
    (role_plan,) = load_role_plans(dump_role_plans(role_plans(found.graph, party)))
    return {task.component: (list(task.upstream), task.trigger_rule) for task in role_plan.tasks}


def test_a_task_waits_for_what_its_own_dag_has() -> None:
    found = spec(at("hetero_lr_0", trigger_rule="all_done"))
    assert tasks(found, GUEST.party)["hetero_lr_0"] == (["intersection_0"], "all_done")
    assert tasks(found, ARBITER.party)["hetero_lr_0"] == ([], "all_done")


def test_a_task_that_may_start_by_what_only_others_run_waits_for_nothing() -> None:
    def second(components: dict) -> None:
        components["dataio_1"] = {
            "module": "DataIO",
            "input": {"data": {"data": ["dataio_0.train"]}, "isometric_model": ["hetero_lr_0.hetero_lr"]},
            "output": {"data": ["train"]},
            "trigger_rule": "one_success",
        }

    found = spec(second)
    assert tasks(found, HOST.party)["dataio_1"] == (["dataio_0", "hetero_lr_0"], "one_success")
    graph = found.graph
    assert graph.edges_of(graph.components["dataio_1"], ARBITER) == [], "dataio_0 is not the arbiter's"
    assert graph.upstream_of(graph.components["dataio_1"], ARBITER) == ["hetero_lr_0"]
