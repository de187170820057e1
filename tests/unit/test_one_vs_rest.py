"""One-vs-rest HeteroLR: a model per class in boxes of their own, one model and one table of predictions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_iris

from airfed_proto.v1 import model_pb2
from federatedml.component import Component, Inputs, Outputs
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.homo_lr import HOMO_LR
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.linear_model import logistic
from federatedml.components.lr_params import LogisticParams, LogisticTraining
from federatedml.components.lr_predict import partial_of
from federatedml.components.lr_result import PARAM
from federatedml.components.one_vs_rest import CLASSES
from federatedml.components.prediction_table import multiclass
from federatedml.data.table import Table
from federatedml.errors import DataError, ModelError, ProtocolError
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Role
from tests.conformance import Case, conforms
from tests.lr_cases import case, in_clear, params, small, spread, table
from tests.members import ARBITER, GUEST, HOST

OVR = {"need_one_vs_rest": True}
CLASS_VALUES = (10.0, 20.5, 1000001.0)


@cache
def iris(every: int = 1) -> tuple[Table, Table]:
    """150 rows of three classes; label and two columns at the guest, two at the host."""
    data = load_iris()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    ids = np.array([f"flower{i}" for i in range(len(x))], dtype=object)
    y = np.array(CLASS_VALUES)[data.target]
    tables = table(ids, x[:, :2], "g", y), table(ids, x[:, 2:], "h")
    rows = np.arange(0, 150, every)
    return tables[0].take(rows), tables[1].take(rows)


def ovr(tables: tuple[Table, Table], held_out: tuple[Table, Table] | None = None, **more: Any) -> Case:
    return case(params(**{"max_iter": 2, "one_vs_rest_param": OVR, **more}), tables, held_out)


def param(outputs: Outputs) -> model_pb2.LRModelParam:
    assert outputs.model is not None
    return cast(model_pb2.LRModelParam, outputs.model[PARAM])


def test_each_class_has_the_model_of_its_rows_against_the_rest(tmp_path: Path) -> None:
    guest, host = iris()
    p = params(max_iter=5, learning_rate=0.5, one_vs_rest_param=OVR)
    outputs = case(p, (guest, host)).run(tmp_path).outputs
    own = param(outputs[GUEST])
    assert (own.need_one_vs_rest, list(own.classes)) == (True, list(CLASS_VALUES))
    assert list(own.one_vs_rest_classes) == ["10", "20.5", "1000001"]
    assert [len(param(outputs[m]).classifiers) for m in (GUEST, HOST, ARBITER)] == [3, 3, 3]
    for number, value in enumerate(CLASS_VALUES):
        one = replace(guest, columns={**guest.columns, "y": (guest.labels() == value).astype(int)})
        clear = in_clear(p, one, host)
        theirs = param(outputs[HOST]).classifiers[number]
        mine = own.classifiers[number]
        found = [*(mine.weight[n] for n in guest.header), mine.intercept, *(theirs.weight[n] for n in host.header)]
        assert np.abs(np.array(found) - clear.weights).max() < 0.02


def test_the_result_is_the_class_with_the_highest_probability(tmp_path: Path) -> None:
    outputs = ovr(iris(), max_iter=30, learning_rate=1).run(tmp_path).outputs
    found = outputs[GUEST].data
    assert found is not None
    assert found.columns["label"].tolist() == iris()[0].labels().tolist()
    assert set(found.columns["predict_result"]) <= set(CLASS_VALUES)
    assert np.mean(found.columns["predict_result"] == found.columns["label"]) > 0.85
    assert found.columns["predict_detail"][0].startswith('{"10": ')
    assert found.label == "label"
    assert outputs[HOST].data is None


def test_the_host_hears_the_number_of_classes_only(tmp_path: Path) -> None:
    result = ovr(iris(), max_iter=1).run(tmp_path)
    told = [m for m in result.sent if m.key.topic == CLASSES.name]
    assert {m.key.destination for m in told} == {HOST, ARBITER}
    assert all(CLASSES.codec.decode(m.body).tolist() == [3] for m in told)
    for member in (HOST, ARBITER):
        assert not param(result.outputs[member]).classes
        assert not param(result.outputs[member]).one_vs_rest_classes


def test_validation_rows_are_predicted_too(tmp_path: Path) -> None:
    found = ovr(iris(), iris(7), validation_freqs=1, early_stopping_rounds=2).run(tmp_path)
    data = found.outputs[GUEST].data
    assert data is not None
    assert len(data) == 150 + 22
    assert set(data.columns["type"]) == {"train", "validate"}
    assert data.columns["label"][150:].tolist() == iris(7)[0].labels().tolist()
    names = {m.name for m in found.metrics[GUEST] if m.namespace == "validate"}
    assert names == {f"{metric}_class_{k}" for metric in ("auc", "ks") for k in range(3)}


@pytest.mark.parametrize(
    "more", [{}, {"encrypt_param": {"method": "Paillier", "key_length": 1024}}], ids=["shared", "paillier"]
)
def test_validation_rows_may_lack_a_class(more: dict[str, Any], tmp_path: Path) -> None:
    guest, host = iris()
    rows = np.flatnonzero(guest.labels() != CLASS_VALUES[1])[::9]
    late = guest.take(rows), host.take(rows)
    given = {"max_iter": 1, "batch_size": -1, "validation_freqs": 1, "metrics": ["auc", "loss"]}
    found = ovr(iris(), late, **given, **more).run(tmp_path)
    data = found.outputs[GUEST].data
    assert data is not None
    assert data.columns["label"][150:].tolist() == late[0].labels().tolist()
    names = {m.name for m in found.metrics[GUEST] if m.namespace == "validate"}
    assert names == {"auc_class_0", "auc_class_2", *(f"loss_class_{k}" for k in range(3))}


def test_a_class_that_validation_rows_lack_cannot_stop_its_training(tmp_path: Path) -> None:
    guest, host = iris()
    rows = np.flatnonzero(guest.labels() != CLASS_VALUES[2])[::9]
    one = ovr(iris(), (guest.take(rows), host.take(rows)), early_stopping_rounds=1)
    network = LocalNetwork(tmp_path)
    told: list[Any] = []
    with pytest.raises(DataError, match=r"FED-897.*all held-out rows are of one class"):
        network.run(one.component, one.params, one.inputs, "lr", on_progress=lambda *news: told.append(news))
    assert not told, "a class was trained before"


def test_a_fitted_model_predicts_what_the_training_said(tmp_path: Path) -> None:
    one = ovr(iris())
    trained = one.run(tmp_path / "train").outputs
    inputs = {
        GUEST: Inputs({"data": [iris()[0]]}, model=trained[GUEST].model),
        HOST: Inputs({"data": [iris()[1]]}, model=trained[HOST].model),
        ARBITER: Inputs(model=trained[ARBITER].model),
    }
    predicted = Case(HETERO_LR, one.params, inputs, "hetero_lr_0").run(tmp_path / "predict").outputs[GUEST]
    assert predicted.data is not None
    assert trained[GUEST].data is not None
    for name in ("label", "predict_result", "predict_score", "predict_detail"):
        assert predicted.data.columns[name].tolist() == trained[GUEST].data.columns[name].tolist()


def test_the_scorer_gives_a_column_per_class(tmp_path: Path) -> None:
    outputs = ovr(iris()).run(tmp_path).outputs
    guest, host = (cast(Any, outputs[m].model) for m in (GUEST, HOST))
    parts = partial_of(guest, iris()[0]), partial_of(host, iris()[1])
    assert parts[0].shape == parts[1].shape == (150, 3)
    scores = logistic(guest, parts[0], [parts[1]])
    data = outputs[GUEST].data
    assert data is not None
    assert scores.max(axis=1).tolist() == data.columns["predict_score"].tolist()
    one_row = logistic(guest, partial_of(guest, iris()[0].take(np.array([3]))), [parts[1][3:4]])
    assert one_row.tolist() == scores[3:4].tolist()


def test_two_classes_are_one_model(tmp_path: Path) -> None:
    outputs = ovr(small(60)).run(tmp_path).outputs
    assert not param(outputs[GUEST]).need_one_vs_rest
    assert not param(outputs[GUEST]).classifiers


def test_several_classes_without_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"FED-257.*3 classes.*one_vs_rest_param"):
        case(params(), iris()).run(tmp_path)


@pytest.mark.parametrize("count", [1, 1500])
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, count: int) -> None:
    ids = np.array([f"r{i}" for i in range(1500)], dtype=object)
    x = np.random.default_rng(0).standard_normal((1500, 4))
    tables = table(ids, x[:, :2], "g", np.arange(1500) % count), table(ids, x[:, 2:], "h")
    with pytest.raises(DataError, match=rf"FED-257.*{count} classes"):
        ovr(tables).run(tmp_path)


def test_validation_rows_of_another_class_are_refused(tmp_path: Path) -> None:
    guest, host = iris(7)
    other = replace(guest, columns={**guest.columns, "y": guest.labels() + 1})
    with pytest.raises(DataError, match="FED-257"):
        ovr(iris(), (other, host)).run(tmp_path)


@pytest.mark.parametrize("told", [[0], [1], [1001], [2, 2], []])
def test_a_hostile_number_of_classes_is_refused(tmp_path: Path, told: list[int]) -> None:
    one = ovr(iris())

    def lying(p: Any, box: Any, inputs: Inputs) -> Outputs:
        box.send(CLASSES, np.array(told, np.int64))
        return Outputs()

    component = replace(HETERO_LR, roles={**HETERO_LR.roles, Role.GUEST: lying})
    with pytest.raises(ProtocolError, match="FED-910"):
        replace(one, component=component).run(tmp_path)


def _same(expected: Outputs, found: Outputs) -> None:
    assert (expected.model is None) == (found.model is None)
    if expected.model is not None:
        for one, other in zip(param(expected).classifiers, param(found).classifiers, strict=True):
            assert all(abs(one.weight[name] - other.weight[name]) < 0.002 for name in one.header)


@pytest.mark.parametrize("more", [{}, {"encrypt_param": {"method": "Paillier", "key_length": 1024}}])
def test_one_vs_rest_survives_deaths(tmp_path: Path, more: dict[str, Any]) -> None:
    one = ovr(iris(2), max_iter=1, batch_size=-1, batch_rows_per_column=0, **more)
    conforms(one, tmp_path, kill_every=29, same=_same)


def test_classes_and_folds_go_together(tmp_path: Path) -> None:
    cv = {"need_cv": True, "n_splits": 2}
    result = ovr(iris(), max_iter=10, learning_rate=1, cv_param=cv).run(tmp_path)
    found = result.outputs[GUEST]
    assert found.summary["accuracy_mean"] > 0.75
    assert found.data is not None
    assert found.data.ids.tolist() == iris()[0].ids.tolist()
    assert {"loss_class_2_fold_1", "validate_fold_0_confusion_mat"} <= {view.name for view in found.views}


def test_several_hosts(tmp_path: Path) -> None:
    guest, host = iris()
    p = params(max_iter=3, one_vs_rest_param=OVR)
    alone, two = (spread(p, guest, host, n).run(tmp_path / str(n)).outputs[GUEST].data for n in (1, 2))
    assert alone is not None
    assert two is not None
    assert np.abs(alone.columns["predict_score"] - two.columns["predict_score"]).max() < 0.01


def test_training_goes_on_from_a_model_of_each_class(tmp_path: Path) -> None:
    one = ovr(iris(), max_iter=3)
    before = one.run(tmp_path / "a").outputs
    warm = {m: replace(given, isometric_model=before[m].model) for m, given in one.inputs.items()}
    after = replace(one, inputs=warm).run(tmp_path / "b").outputs
    at_once = ovr(iris(), max_iter=6).run(tmp_path / "c").outputs
    for number in range(3):
        warmed, straight = (param(o[HOST]).classifiers[number].weight for o in (after, at_once))
        assert all(abs(warmed[name] - straight[name]) < 0.01 for name in straight)


def test_a_model_of_other_classes_is_no_start(tmp_path: Path) -> None:
    one = ovr(iris())
    before = one.run(tmp_path / "a").outputs
    binary = case(params(), small(60))
    warm = {m: replace(given, isometric_model=before[m].model) for m, given in binary.inputs.items()}
    with pytest.raises(DataError, match="FED-911"):
        replace(binary, inputs=warm).run(tmp_path / "b")


WRONG = {
    "none of each": model_pb2.LRModelParam(need_one_vs_rest=True),
    "classes of classes": model_pb2.LRModelParam(
        need_one_vs_rest=True, classifiers=[model_pb2.LRModelParam(need_one_vs_rest=True)]
    ),
}


@pytest.mark.parametrize("param", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("component", [HETERO_LR, HOMO_LR], ids=lambda c: c.module)
def test_a_model_file_without_a_model_per_class_is_refused(component: Component, param: model_pb2.LRModelParam) -> None:
    assert component.model
    assert component.scorer
    assert component.scorer.partial
    meta, name = component.model.buffers
    with pytest.raises(ModelError, match="FED-917"):
        component.scorer.partial({meta: model_pb2.LRModelMeta(), name: param}, small(3)[0])


def test_a_model_file_that_does_not_name_its_classes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"FED-918.*3 classes and names 2"):
        multiclass(small(3)[0], np.zeros((3, 3)), [0.0, 1.0], "predict", "")


@pytest.mark.parametrize("kind", [LogisticParams, HomoLogisticParams])
def test_weights_by_label_value_are_refused_for_labels_that_become_0_and_1(kind: type[LogisticTraining]) -> None:
    """They would be those of other classes."""
    with pytest.raises(ValidationError, match=r"class_weight by label value.*'balanced'"):
        kind.model_validate({"class_weight": {"0": 1.0, "1": 2.0, "2": 3.0}, "one_vs_rest_param": OVR})
    assert kind.model_validate({"class_weight": "balanced", "one_vs_rest_param": OVR}).weighs_rows
