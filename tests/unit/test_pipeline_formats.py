"""A pipeline whose parties keep their data as text: Reader, libsvm at the guest, tags at the host; then prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dags_generator.parse import parse_paths
from dags_generator.plan import job_plan
from dags_generator.simulate import Simulation, simulate
from federated_operators.budgets import source_tables
from federatedml.errors import FedError
from tests.members import GUEST, HOST

ROWS = 240
DSL: dict[str, Any] = {
    "reader_0": {"module": "Reader", "output": {"data": ["table"]}},
    "transform_0": {
        "module": "DataTransform",
        "input": {"data": {"data": ["reader_0.table"]}},
        "output": {"data": ["train"], "model": ["transform"]},
    },
    "intersection_0": {
        "module": "Intersection",
        "input": {"data": {"data": ["transform_0.train"]}},
        "output": {"data": ["train"]},
    },
    "hetero_lr_0": {
        "module": "HeteroLR",
        "input": {"data": {"train_data": ["intersection_0.train"]}},
        "output": {"data": ["train"], "model": ["lr"]},
    },
    "evaluation_0": {
        "module": "Evaluation",
        "input": {"data": {"data": ["hetero_lr_0.train"]}},
        "need_deploy": False,
    },
}
READS = {
    "guest": {"input_format": ["sparse"], "delimitor": [" "], "with_label": [True]},
    "host": {"input_format": ["tag"], "tag_with_value": [True], "delimitor": [";"], "tag_value_delimitor": ["="]},
}


def conf(key: str, namespace: str, transform: bool = True, **job: str) -> dict[str, Any]:
    def role(name: str) -> dict[str, Any]:
        tables = {"args": {"data": {key: [{"namespace": namespace, "name": name}]}}}
        return {**tables, **({"transform_0": READS[name]} if transform else {})}

    return {
        "initiator": {"role": "guest", "party_id": 9999},
        "role": {"guest": [9999], "host": [10000], "arbiter": [10001]},
        "job_parameters": job,
        "role_parameters": {"guest": role("guest"), "host": role("host")},
        "algorithm_parameters": {"hetero_lr_0": {"max_iter": 60, "learning_rate": 0.5, "batch_size": -1}},
    }


def lines(folder: Path, namespace: str, rows: range, labelled: bool) -> None:
    """The label is the sign of a sum of one column of each side; one column of each is named in some rows only."""
    rng = np.random.default_rng(4)
    x, z, rare = rng.normal(size=ROWS), rng.normal(size=ROWS), rng.integers(1, 4, ROWS)
    guest = [f"k{at} {f'{int(x[at] + z[at] > 0)} ' if labelled else ''}2:{x[at]} 5:{rare[at]}" for at in rows]
    host = [f"k{at},dose={z[at]}{';often=1' if rare[at] > 1 else ''}" for at in reversed(rows)]
    for party, name, kind, text in (("9999", "guest", "libsvm", guest), ("10000", "host", "tag", host)):
        place = folder / party / namespace
        place.mkdir(parents=True)
        (place / f"{name}.{kind}").write_text("\n".join(text))
        (place / f"{name}.yaml").write_text(f"kind: {kind}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("formats")
    lines(made, "old", range(180), labelled=True)
    lines(made, "new", range(100, ROWS), labelled=False)
    for name, value in (("dsl", {"components": DSL}), ("conf", conf("reader_0", "old"))):
        (made / f"{name}.json").write_text(json.dumps(value))
    return made


@pytest.fixture(scope="module")
def trained(folder: Path) -> Simulation:
    return simulate(folder / "dsl.json", folder / "conf.json", folder)


def test_a_model_of_lines_is_good(trained: Simulation) -> None:
    assert trained.summaries()["evaluation_0"]["guest_9999"]["auc"] > 0.95
    assert trained.summaries()["reader_0"]["host_10000"] == {"rows": 180.0, "columns": 1.0}
    assert trained.outputs["transform_0"][HOST].data.header == ["dose", "often"]


def test_new_lines_are_predicted_by_the_derived_pipeline(trained: Simulation, folder: Path) -> None:
    derived = parse_paths(folder / "dsl.json", folder / "conf.json").graph.inference_dsl
    assert sorted(derived["components"]) == ["hetero_lr_0", "intersection_0", "transform_0"]
    model = {"model_id": "arbiter-10001#guest-9999#host-10000#model", "model_version": "20260101000000000001"}
    (folder / "predict_dsl.json").write_text(json.dumps(derived))
    given = {**conf("eval_data", "new", transform=False), "job_parameters": {"job_type": "predict", **model}}
    (folder / "predict_conf.json").write_text(json.dumps({**given, "algorithm_parameters": {}}))
    pair = folder / "predict_dsl.json", folder / "predict_conf.json"
    found = simulate(*pair, folder, models=trained.models()).predictions()["hetero_lr_0"][GUEST]
    assert len(found) == ROWS - 100
    before = trained.predictions()["hetero_lr_0"][GUEST]
    scores = dict(zip(before.ids.tolist(), before.columns["predict_score"], strict=True))
    again = dict(zip(found.ids.tolist(), found.columns["predict_score"], strict=True))
    assert {each: again[each] for each in again.keys() & scores.keys()} == {
        each: scores[each] for each in again.keys() & scores.keys()
    }


def test_accounts_of_what_peers_learn_name_the_table_behind_the_reader(folder: Path) -> None:
    plan = job_plan(parse_paths(folder / "dsl.json", folder / "conf.json"), HOST, "20260101000000000001", "")
    assert source_tables(plan, "hetero_lr_0") == ("old/host",)


@pytest.mark.parametrize("key", ["query", "connection", "path", "kind"])
def test_a_conf_names_tables_and_nothing_else(folder: Path, tmp_path: Path, key: str) -> None:
    asked = conf("reader_0", "old")
    asked["role_parameters"]["host"]["args"]["data"]["reader_0"][0][key] = "SELECT 1"
    (tmp_path / "conf.json").write_text(json.dumps(asked))
    with pytest.raises(FedError, match=rf"FED-102.*'{key}' is not understood \(allowed: name, namespace\)"):
        parse_paths(folder / "dsl.json", tmp_path / "conf.json")
