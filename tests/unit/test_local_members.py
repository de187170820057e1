"""Who runs a component whose members send each other nothing: whoever has some of its data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dags_generator.parse import parse_pair
from dags_generator.plan import job_plan
from dags_generator.spec import PipelineSpec
from tests.example_runs import EXAMPLES, run
from tests.members import ARBITER, GUEST, HOST


def spec(name: str, components: dict[str, Any]) -> PipelineSpec:
    """An example whose DSL has some components more."""
    dsl, conf = (json.loads((EXAMPLES / name / f"{name}_{part}.json").read_text()) for part in ("dsl", "conf"))
    both = json.dumps({"components": dsl["components"] | components}).encode()
    return parse_pair(name, both, json.dumps(conf).encode(), "dsl.json", "conf.json")


def reading(module: str, *sources: str, **more: Any) -> dict[str, Any]:
    return {"module": module, "input": {"data": {"data": list(sources)}}, **more}


def test_hosts_evaluate_what_a_homo_model_predicts_of_their_rows() -> None:
    found = run("homo_lr").summaries()["evaluation_0"]
    assert set(found) == {"guest_9999", "host_10000"}
    assert found["guest_9999"]["auc"] != found["host_10000"]["auc"]


def test_hosts_have_nothing_to_evaluate_where_the_guest_has_all_scores() -> None:
    assert set(run("hetero_lr").outputs["evaluation_0"]) == {GUEST}


@pytest.mark.parametrize("name", ["hetero_lr", "hetero_secureboost_binary"])
def test_what_reads_scores_of_the_guest_runs_at_the_guest_only(name: str) -> None:
    model = "hetero_lr_0" if name == "hetero_lr" else "hetero_secureboost_0"
    source = f"{model}.train"
    found = spec(name, {"union_0": reading("Union", source, source, output={"data": ["both"]}),
                        "evaluation_1": reading("Evaluation", "union_0.both")})  # fmt: skip
    assert found.graph.components["union_0"].members == (GUEST,)
    assert found.graph.components["evaluation_1"].members == (GUEST,)
    assert "union_0" not in job_plan(found, HOST, "1", digest="").steps


def test_a_member_reads_only_what_is_there() -> None:
    mixed = reading("Evaluation", "hetero_lr_0.train", "dataio_0.train")
    found = spec("hetero_lr", {"evaluation_1": mixed})
    assert found.graph.components["evaluation_1"].members == (GUEST, HOST)
    steps = {m: job_plan(found, m, "1", digest="").steps["evaluation_1"] for m in (GUEST, HOST)}
    assert [ref.component for ref in steps[GUEST].data["data"]] == ["hetero_lr_0", "dataio_0"]
    assert [ref.component for ref in steps[HOST].data["data"]] == ["dataio_0"]
    assert "evaluation_1" not in job_plan(found, ARBITER, "1", digest="").steps
