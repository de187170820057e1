"""Tables of no row or one, and a party that is guest and host at once, through whole chains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airfed.demo_data import breast
from dags_generator.simulate import Simulation, simulate
from federatedml.component import Inputs
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.party import Member, Role
from tests.conformance import Case
from tests.example_runs import EXAMPLES
from tests.lr_cases import case, params, small
from tests.members import ARBITER, GUEST, HOST

SAME = Member(Role.HOST, GUEST.party)
LR, TREES = "hetero_lr_0", "hetero_secureboost_0"
SHORT = {"method": "Paillier", "key_length": 1024}


def rows(tables: tuple[Table, Table], count: int) -> tuple[Table, Table]:
    return tables[0].take(np.arange(count)), tables[1].take(np.arange(count))


@pytest.mark.parametrize(
    "given", [{}, {"encrypt_param": SHORT}, {"optimizer": "adam"}], ids=["sgd", "paillier", "adam"]
)
@pytest.mark.parametrize("count", [0, 1])
def test_a_regression_on_no_row_or_one_is_refused(given: dict[str, Any], count: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"FED-257.*the label has {count} classes"):
        case(params(**given), rows(small(), count)).run(tmp_path)


@pytest.mark.parametrize("count", [0, 1])
def test_a_regression_predicts_no_row_or_one(count: int, tmp_path: Path) -> None:
    trained = case(params(), small())
    models = trained.run(tmp_path / "train").outputs
    some = dict(zip((GUEST, HOST), rows(small(), count), strict=True))
    inputs = {m: Inputs({"data": [some[m]]} if m in some else {}, models[m].model) for m in trained.inputs}
    found = Case(trained.component, trained.params, inputs).run(tmp_path / "predict").outputs[GUEST].data
    assert found is not None
    assert len(found) == count
    whole = models[GUEST].data
    assert whole is not None
    assert found.columns["predict_score"].tolist() == whole.columns["predict_score"][:count].tolist()


@pytest.mark.parametrize("given", [{}, {"encrypt_param": SHORT}], ids=["shared", "paillier"])
def test_eval_data_of_no_rows_that_nobody_looks_at_change_nothing(given: dict[str, Any], tmp_path: Path) -> None:
    found = case(params(max_iter=1, **given), small(), rows(small(), 0)).run(tmp_path).outputs[GUEST].data
    assert found is not None
    assert len(found) == 50


def chain(folder: Path, host: str) -> Simulation:
    """``min_test`` with scaling, binning and selection between, where ``host`` is the party of the host."""
    dsl, conf = (json.loads((EXAMPLES / "min_test" / f"min_test_{kind}.json").read_text()) for kind in ("dsl", "conf"))
    source, components = "intersection_0.train", dsl["components"]
    for module, name in {
        "FeatureScale": "feature_scale_0",
        "HeteroFeatureBinning": "hetero_feature_binning_0",
        "HeteroFeatureSelection": "hetero_feature_selection_0",
    }.items():
        components[name] = {"module": module, "input": {"data": {"data": [source]}}, "output": {"data": ["train"]}}
        components[name]["output"]["model"] = ["fitted"]
        source = f"{name}.train"
    components["hetero_feature_selection_0"]["input"]["isometric_model"] = ["hetero_feature_binning_0.fitted"]
    for name in (LR, TREES):
        components[name]["input"]["data"] = {"train_data": [source]}
    conf["role"]["host"] = [host]
    conf["algorithm_parameters"] |= {
        "feature_scale_0": {"method": "standard_scale"},
        "hetero_feature_binning_0": {"transform_param": {"transform_type": None}},
        "hetero_feature_selection_0": {
            "filter_methods": ["iv_value_thres"],
            "iv_value_param": {"value_threshold": 0.5},
        },
    }
    files = folder / "min_test_dsl.json", folder / "min_test_conf.json"
    for file, value in zip(files, (dsl, conf), strict=True):
        file.write_text(json.dumps(value))
    tables = breast()
    Catalogue(folder / GUEST.party).write(TableName("breast", "guest"), tables.guest)
    Catalogue(folder / host).write(TableName("breast", "host"), tables.host)
    return simulate(*files, folder)


def test_a_party_that_is_guest_and_host_gets_what_two_parties_get(tmp_path: Path) -> None:
    found = {}
    for host in (HOST.party, SAME.party):
        (tmp_path / host).mkdir()
        found[host] = chain(tmp_path / host, host)
    two, one = found[HOST.party], found[SAME.party]
    assert set(one.outputs[LR]) == {GUEST, SAME, ARBITER}
    for module in ("intersection_0", "hetero_feature_selection_0"):
        assert one.outputs[module][SAME].data.header == two.outputs[module][HOST].data.header
    scores = {
        name: [of.predictions()[name][GUEST].columns["predict_score"] for of in (one, two)] for name in (LR, TREES)
    }
    assert np.array_equal(*scores[TREES])
    assert np.allclose(*scores[LR], atol=2.0**-8)
    assert one.summaries()["evaluation_0"][str(GUEST)]["auc"] > 0.98
