"""Statistics, sampling, scaling, one-hot and split in one pipeline; the predict job and single rows say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airfed.demo_data import breast
from dags_generator.simulate import Simulation, simulate
from federatedml.component import component
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Table
from tests.example_runs import predicting
from tests.members import GUEST, HOST
from tests.pipeline_example import conf, dsl, written

LR = "hetero_lr_0"
CHAIN = ["dataio_0", "feature_scale_0", "one_hot_0", LR]  # what is deployed, intersection_0 aside


def chain(components: dict[str, Any]) -> None:
    """The example with all of it between Intersection and HeteroLR."""
    steps = {
        "data_statistics_0": ("DataStatistics", ["data"], "stats"),
        "federated_sample_0": ("FederatedSample", ["data"], None),
        "feature_scale_0": ("FeatureScale", ["data"], "scale"),
        "one_hot_0": ("OneHotEncoder", ["data"], "encoder"),
        "hetero_data_split_0": ("HeteroDataSplit", ["train", "test"], None),
    }
    source = "intersection_0.train"
    for name, (module, aliases, model) in steps.items():
        output = {"data": aliases, **({"model": [model]} if model else {})}
        components[name] = {"module": module, "input": {"data": {"data": [source]}}, "output": output}
        source = f"{name}.{aliases[0]}"
    data = {"train_data": [source], "eval_data": ["hetero_data_split_0.test"]}
    components[LR]["input"]["data"] = data


def parameters(value: dict[str, Any]) -> None:
    up = {"method": "upsample", "mode": "stratified", "fractions": [[0, 3.0], [1, 1.0]], "random_state": 1}
    value["algorithm_parameters"] |= {
        "federated_sample_0": up,
        "feature_scale_0": {"method": "min_max_scale", "mode": "cap", "feat_upper": 0.8},  # a fifth of the rows are 1
        "one_hot_0": {"cols": [0]},
        "hetero_data_split_0": {"validate_size": 0.2, "stratified": True, "random_state": 1},
    }
    value["algorithm_parameters"][LR]["sample_weight_name"] = "sample_weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tables = tmp_path_factory.mktemp("data"), breast()
    Catalogue(folder / "9999").write(TableName("breast", "guest"), tables.guest)
    Catalogue(folder / "10000").write(TableName("breast", "host"), tables.host)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Simulation:
    return simulate(*written(folder, "p", dsl(chain), conf(parameters)), folder)


@pytest.fixture(scope="module")
def predicted(folder: Path, trained: Simulation) -> Simulation:
    return predicting(trained, folder, folder)


def test_it_trains_on_weighed_rows_and_validates_on_others(trained: Simulation) -> None:
    split = trained.outputs["hetero_data_split_0"][GUEST]
    assert (split.data.weight, len(split.data), len(split.rest[0])) == ("sample_weight", 363, 91)
    assert trained.summaries()["evaluation_0"]["guest_9999"]["auc"] > 0.98
    sampled = trained.outputs["federated_sample_0"][GUEST].data
    drawn = [sampled.columns["sample_weight"][sampled.labels() == label].sum() for label in (0, 1)]
    assert drawn == [3 * (sampled.labels() == 0).sum(), (sampled.labels() == 1).sum()]


def test_what_only_training_needs_is_not_deployed(trained: Simulation) -> None:
    assert sorted(trained.spec.graph.inference_dsl["components"]) == sorted([*CHAIN, "intersection_0"])


def test_the_predict_job_says_what_the_training_said_of_the_same_rows(
    trained: Simulation, predicted: Simulation
) -> None:
    first, again = (of.predictions()[LR][GUEST] for of in (trained, predicted))
    scores = dict(zip(again.ids.tolist(), again.columns["predict_score"].tolist(), strict=True))
    told = zip(first.ids.tolist(), first.columns["predict_score"].tolist(), strict=True)
    assert len(scores) == 454
    assert all(scores[sid] == score for sid, score in told)


def test_a_single_row_gets_the_same_score(folder: Path, trained: Simulation, predicted: Simulation) -> None:
    batch = predicted.predictions()[LR][GUEST]
    parts = {}
    for member, name in ((GUEST, "guest"), (HOST, "host")):
        raw = Catalogue(folder / member.party).read(TableName("breast", name))
        row = raw.take(np.flatnonzero(raw.ids == batch.ids[3]))
        parts[member] = partial(trained, member, row)
    merge = component("HeteroLR").scorer.merge
    assert merge(trained.models()[LR][GUEST], parts[GUEST], [parts[HOST]])[0] == batch.columns["predict_score"][3]


def partial(trained: Simulation, member: Any, row: Table) -> Any:
    for name in CHAIN[:-1]:
        model = trained.models()[name][member]
        row = component(trained.spec.graph.components[name].module).scorer.transform(model, row)
    return component("HeteroLR").scorer.partial(trained.models()[LR][member], row)
