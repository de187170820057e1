"""The examples of binning and selection, on the demo's data: the same as from pooled data, and what a model does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airfed.demo_data import breast, joined
from dags_generator.describe import plan_text
from dags_generator.parse import parse_paths
from dags_generator.plan import job_plan
from dags_generator.simulate import Simulation, simulate
from federated_operators.gateway.plan import DataRef
from federatedml.components.quantile_bins import bins_of, quantile_points
from federatedml.data.catalogue import Catalogue, TableName
from tests.binning_cases import binning_param, pooled_iv
from tests.example_runs import predicting
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import written

EXAMPLES = Path(__file__).parents[2] / "examples"


def pair(name: str) -> tuple[Path, Path]:
    return EXAMPLES / name / f"{name}_dsl.json", EXAMPLES / name / f"{name}_conf.json"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tables = tmp_path_factory.mktemp("data"), breast()
    Catalogue(folder / "9999").write(TableName("breast", "guest"), tables.guest)
    Catalogue(folder / "10000").write(TableName("breast", "host"), tables.host)
    return folder


@pytest.fixture(scope="module")
def binned(data: Path) -> Simulation:
    return simulate(*pair("hetero_feature_binning"), data)


@pytest.fixture(scope="module")
def selected(data: Path) -> Simulation:
    return simulate(*pair("hetero_feature_selection"), data)


def pooled() -> list[tuple[float, Any]]:
    """IV and WOE of all 30 columns, and the bins."""
    x, y, _ = joined(breast())
    return [pooled_iv(bins_of(column, quantile_points(column, 10)).astype(np.int64), y) for column in x.T]


def test_ivs_are_those_of_pooled_data(binned: Simulation) -> None:
    found = binning_param(binned.outputs["hetero_feature_binning_0"][GUEST])
    own, told = found.binning_result.binning_result, found.host_results[str(HOST)].binning_result
    names = [f"x{i}" for i in range(10)]
    ivs = [own[name].iv for name in names] + [told[f"{HOST}_{i}"].iv for i in range(20)]
    np.testing.assert_allclose(ivs, [iv for iv, _ in pooled()], atol=1e-12)
    assert set(binned.outputs["hetero_feature_binning_0"]) == {GUEST, HOST}


def test_the_guest_works_on_with_evidence_and_the_host_with_numbers(binned: Simulation) -> None:
    guest, host = (binned.outputs["hetero_feature_binning_0"][member].data for member in (GUEST, HOST))
    assert guest is not None
    assert host is not None
    for place, (_, woe) in enumerate(pooled()[:10]):
        found = np.unique(guest.columns[f"x{place}"])
        np.testing.assert_allclose(found, np.unique(woe), atol=1e-12)
    assert {value for column in host.columns.values() for value in column.tolist()} == set(range(10))


def test_the_columns_that_are_left_make_a_good_model(selected: Simulation) -> None:
    assert selected.summaries()["evaluation_0"]["guest_9999"]["auc"] > 0.98
    left = selected.summaries()["hetero_feature_selection_0"]
    assert 0 < left["guest_9999"]["columns_left"] < left["guest_9999"]["columns"] == 10
    assert 0 < left["host_10000"]["columns_left"] < left["host_10000"]["columns"] == 20
    assert set(selected.outputs["hetero_feature_binning_0"]) == {GUEST, HOST, ARBITER}
    trained = selected.models()["hetero_lr_0"][HOST]["HeteroLogisticRegressionParam"]
    assert len(trained.header) == left["host_10000"]["columns_left"]  # type: ignore[attr-defined]


def test_plans_name_the_protocol_and_what_it_tells() -> None:
    without, dealt = (plan_text(parse_paths(*pair(f"hetero_feature_{name}"))) for name in ("binning", "selection"))
    assert "protocol = 'paillier'" in without
    assert "encrypted_labels" not in dealt
    assert "hetero_feature_binning_0: bin_sums" in without
    assert "how many rows of each bin have label 1" in dealt


@pytest.mark.parametrize("deployed", [False, True])
def test_a_predict_job_bins_and_selects_as_the_training_did(deployed: bool, data: Path, tmp_path: Path) -> None:
    dsl, conf = (json.loads(path.read_text()) for path in pair("hetero_feature_selection"))
    if deployed:
        dsl["components"]["hetero_feature_binning_0"]["need_deploy"] = True
        conf["algorithm_parameters"]["hetero_feature_binning_0"]["transform_param"]["transform_type"] = "bin_num"
        conf["algorithm_parameters"]["hetero_lr_0"]["learning_rate"] = 0.01
    training = simulate(*written(tmp_path, "training", dsl, conf), data)
    again = predicting(training, tmp_path, data)
    assert ("hetero_feature_binning_0" in again.outputs) == deployed
    scores = [found.predictions()["hetero_lr_0"][GUEST].columns["predict_score"] for found in (training, again)]
    np.testing.assert_array_equal(scores[0], scores[1])
    for member in (GUEST, HOST):
        selected = [found.outputs["hetero_feature_selection_0"][member].data for found in (training, again)]
        assert selected[0] is not None
        assert selected[1] is not None
        assert selected[0].header == selected[1].header


def test_the_dealer_of_a_binning_is_given_none_of_its_data(tmp_path: Path) -> None:
    """A component that an arbiter takes part in feeds another one, which the arbiter also takes part in."""
    dsl, conf = (json.loads(path.read_text()) for path in pair("hetero_feature_selection"))
    dsl["components"]["hetero_lr_0"]["input"]["data"]["train_data"] = ["hetero_feature_binning_0.train"]
    del dsl["components"]["hetero_feature_selection_0"], conf["algorithm_parameters"]["hetero_feature_selection_0"]
    spec = parse_paths(*written(tmp_path, "dealt", dsl, conf))
    plans = {member: job_plan(spec, member, "1" * 21, "") for member in (ARBITER, GUEST)}
    assert plans[ARBITER].steps["hetero_lr_0"].data == {}
    assert plans[GUEST].steps["hetero_lr_0"].data == {
        "train_data": (DataRef("hetero_feature_binning_0", "train"),),
    }
