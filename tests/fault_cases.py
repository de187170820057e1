"""Every installed component as one or more steps, as small as can be, for the faults that all must survive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from federatedml.component import Component, Inputs, ModelBuffers, Outputs, Params
from federatedml.components.data_io import DATA_IO, DATA_TRANSFORM, DataIOParams, DataTransformParams
from federatedml.components.data_split import HETERO_DATA_SPLIT, HOMO_DATA_SPLIT, DataSplitParams
from federatedml.components.data_statistics import DATA_STATISTICS, STATISTICS_OF_V2, StatisticsParams
from federatedml.components.evaluation import EVALUATION, EvaluateParams
from federatedml.components.feature_scale import FEATURE_SCALE, ScaleParams
from federatedml.components.federated_sample import FEDERATED_SAMPLE, SampleParams
from federatedml.components.hetero_feature_selection import HETERO_FEATURE_SELECTION
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams
from federatedml.components.one_hot import ONE_HOT, OneHotParams
from federatedml.components.reader import READER, ReaderParams
from federatedml.components.secure_add import SECURE_ADD, SecureAddParams
from federatedml.components.selection_params import FeatureSelectionParams
from federatedml.components.tree_params import TreeParam
from federatedml.components.union import UNION, UnionParams
from federatedml.data.table import Kind, Table
from federatedml.federation.party import Member
from tests import homo_cases
from tests.binning_cases import bin_tables, binning_case
from tests.boost_cases import case as boost_case
from tests.boost_cases import cut, made
from tests.boost_cases import params as boost_params
from tests.conformance import Case, Same
from tests.lr_cases import case as lr_case
from tests.lr_cases import params as lr_params
from tests.lr_cases import same_model, small, spread
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST, table
from tests.paillier_lr_cases import encrypted, tables, training


@dataclass(frozen=True)
class Small:
    """A small step, and how its outputs are compared if not value by value within the declared tolerance."""

    case: Case
    same: Same | None = None


def data_io() -> Mapping[str, Small]:
    guest = table(["a", "b", "c"], kind=Kind.RAW, x=[1.0, None, 3.0], y=[0, 1, 1])
    p = DataIOParams(missing_fill=True, missing_fill_method="min")
    host = table(["a", "b"], kind=Kind.RAW, z=["4", "5"])
    inputs = {GUEST: Inputs({"data": [guest]}), HOST: Inputs({"data": [host]})}
    return {"fit": Small(Case(DATA_IO, {GUEST: p, HOST: DataIOParams(with_label=False)}, inputs, "dataio_0"))}


def reader() -> Mapping[str, Small]:
    guest, host = (table([name], kind=Kind.RAW, x=["text"]) for name in ("a", "b"))
    return {"hand over": Small(_local(READER, ReaderParams(), guest, host))}


def data_transform() -> Mapping[str, Small]:
    p = DataTransformParams(input_format="sparse", delimitor=" ", with_label=True)
    guest = table(["a", "b", "c"], kind=Kind.RAW, line=["0 1:2", "1", "1 3:0.5"])
    return {"fit": Small(_local(DATA_TRANSFORM, p, guest, table(["c"], kind=Kind.RAW, line=["1 0:5"])))}


def feature_scale() -> Mapping[str, Small]:
    p = ScaleParams(method="standard_scale")
    return {"fit": Small(_local(FEATURE_SCALE, p, table(["a", "b"], x=[1.0, 2.0]), table(["c"], z=[5.0])))}


def one_hot() -> Mapping[str, Small]:
    return {"fit": Small(_local(ONE_HOT, OneHotParams(), table(["a", "b"], x=[1.0, 2.0]), table(["c"], z=[5.0])))}


def hetero_data_split() -> Mapping[str, Small]:
    p = DataSplitParams(stratified=True, train_size=0.5, test_size=0.25)
    guest, hosts = labelled(8), [table([f"u{i}" for i in range(8)], z=list(range(8)))] * 2
    tables = dict(zip((GUEST, HOST, OTHER_HOST), (guest, *hosts), strict=True))
    inputs = {member: Inputs({"data": [rows]}) for member, rows in tables.items()}
    return {"2 hosts": Small(Case(HETERO_DATA_SPLIT, dict.fromkeys(tables, p), inputs))}


def federated_sample() -> Mapping[str, Small]:
    rows = table([f"u{i}" for i in range(8)], z=list(range(8)))

    def small(hosts: Sequence[Member], **values: Any) -> Small:
        tables = {GUEST: labelled(8)} | dict.fromkeys(hosts, rows)
        p = SampleParams.model_validate({"fractions": 0.5, **values})
        inputs = {member: Inputs({"data": [data]}) for member, data in tables.items()}
        return Small(Case(FEDERATED_SAMPLE, dict.fromkeys(tables, p), inputs))

    fractions = [[0, 1.5], [1, 3.0]]
    return {
        "fewer, 2 hosts": small([HOST, OTHER_HOST]),
        "weighed": small([HOST], method="upsample", mode="stratified", fractions=fractions),
        "repeated": small([HOST], method="upsample", mode="stratified", fractions=fractions, repeats=True),
    }


def union() -> Mapping[str, Small]:
    parts = [table(["a", "b"], x=[1, 2]), table(["b", "c"], x=[3, 4])]
    return {"overlap": Small(Case(UNION, {GUEST: UnionParams()}, {GUEST: Inputs({"data": parts})}))}


def data_statistics() -> Mapping[str, Small]:
    return {"summary": Small(_local(DATA_STATISTICS, StatisticsParams(), labelled(5), table(["c"], z=[5.0])))}


def statistics() -> Mapping[str, Small]:
    return {"summary": Small(_local(STATISTICS_OF_V2, StatisticsParams(), labelled(5), table(["c"], z=[5.0])))}


def homo_data_split() -> Mapping[str, Small]:
    return {"halves": Small(_local(HOMO_DATA_SPLIT, DataSplitParams(train_size=0.5), labelled(4), labelled(6)))}


def labelled(rows: int) -> Table:
    """Rows with one label of 1 in three."""
    return table([f"u{i}" for i in range(rows)], "y", y=[i % 3 == 0 for i in range(rows)], x=list(range(rows)))


def _local(component: Component, p: Params, guest: Table, host: Table) -> Case:
    """A step in which guest and host each work on their own table."""
    inputs = {GUEST: Inputs({"data": [guest]}), HOST: Inputs({"data": [host]})}
    return Case(component, {GUEST: p, HOST: p}, inputs)


def intersection() -> Mapping[str, Small]:
    ids = {GUEST: ["a", "b", "c", "d"], HOST: ["d", "c", "b", "x"], OTHER_HOST: ["c", "y", "b"]}
    inputs = {member: Inputs({"data": [table(names, x=list(range(len(names))))]}) for member, names in ids.items()}

    def small(hosts: Sequence[Member], **values: Any) -> Small:
        p = IntersectParams.model_validate({"min_intersection": 1, **values})
        members = (GUEST, *hosts)
        return Small(Case(INTERSECTION, dict.fromkeys(members, p), {m: inputs[m] for m in members}, "match_0"))

    return {
        "1 hosts": small([HOST]),
        "2 hosts": small([HOST, OTHER_HOST]),
        "count": small([HOST, OTHER_HOST], cardinality_only=True),
        "rsa": small([HOST], intersect_method="rsa", rsa_params={"key_length": 1024}),
        "raw": small([HOST], intersect_method="raw"),
        "cached": small([HOST], run_cache=True),
        "kkrt": small([HOST], intersect_method="kkrt"),
    }


def hetero_lr() -> Mapping[str, Small]:
    rows, steps = small(rows=24, guest=1, host=2), {"max_iter": 2, "batch_size": 12, "learning_rate": 0.5}
    plain, l2 = (lr_params(penalty=penalty, **steps) for penalty in ("NONE", "L2"))
    validated = lr_case(plain, rows, small(rows=5, guest=1, host=2, seed=1))
    whole = {"max_iter": 2, "batch_size": -1, "learning_rate": 0.05}
    momentum = {**whole, "optimizer": "nesterov_momentum_sgd", "penalty": "L2", "converge_func": "weight_diff"}
    opened = {**whole, "max_iter": 1, "optimizer": "adam", "class_weight": "balanced", "validation_freqs": 1}
    held_out = small(rows=12, guest=1, host=2, seed=1)
    short = encrypted(batch_size=-1, optimizer="adam")
    folds = {"need_cv": True, "n_splits": 2, "evaluate_param": {"metrics": ["roc"]}}
    return {
        "plain": Small(validated, same_model),
        "paillier": Small(training(short, tables({GUEST: 1, HOST: 1}, rows=20)), same_model),
        "L2": Small(lr_case(l2, rows), same_model),
        "momentum, 2 hosts": Small(spread(lr_params(**momentum), *rows, 2), same_model),
        "opened, 2 hosts": Small(spread(lr_params(**opened), *rows, 2, held_out), same_model),
        "predict": Small(_predicting(lr_case(plain, rows))),
        "folds": Small(lr_case(lr_params(**whole, cv_param=folds), rows), _same_scores),
    }


def _same_scores(expected: Outputs, found: Outputs) -> None:
    """Equal within twice the declared tolerance of the weights."""
    assert (expected.data is None) == (found.data is None)
    if expected.data is not None and found.data is not None:
        pair = (table.columns["predict_score"] for table in (expected.data, found.data))
        assert np.allclose(*pair, atol=2 * float(HETERO_LR.reproducible))


def _models(training: Case) -> Mapping[Member, ModelBuffers | None]:
    with TemporaryDirectory() as folder:
        return {member: out.model for member, out in training.run(Path(folder)).outputs.items()}


def _predicting(training: Case) -> Case:
    with TemporaryDirectory() as folder:
        return training.predicting(training.run(Path(folder)).outputs)


def hetero_secureboost() -> Mapping[str, Small]:
    short: dict[str, Any] = {"num_trees": 2, "bin_num": 4, "tree_param": {"max_depth": 2}, "use_missing": True}
    x, y = made(60, 5, missing=True)
    several, classes = made(60, 6, "multi")
    numbers, values = made(50, 4, "regression")
    held_out = cut(x[:40], y[:40], [2, 3], "late")
    looks = {"early_stopping_rounds": 1, "metrics": ["loss"]}
    plain = boost_case(boost_params(**short, **looks), cut(x, y, [2, 3]), held_out)
    training = boost_case(boost_params(**short, task_type="regression"), cut(numbers, values, [2, 2]))
    hidden = boost_params(**short, protocol="paillier", encrypt_param={"key_length": 1024})
    drawn = hidden.model_copy(update={"run_goss": True, "tree_param": TreeParam(max_depth=2, min_leaf_node=2)})
    return {
        "validated": Small(plain),
        "classes, 2 hosts": Small(boost_case(boost_params(**short), cut(several, classes, [2, 2, 2]))),
        "paillier": Small(_without_arbiter(boost_case(hidden, cut(x, y, [2, 3])))),
        "paillier, drawn rows": Small(_without_arbiter(boost_case(drawn, cut(several, classes, [2, 2, 2])))),
        "predict": Small(_predicting(training)),
    }


def _without_arbiter(step: Case) -> Case:
    params, inputs = ({m: of[m] for m in of if m != ARBITER} for of in (dict(step.params), dict(step.inputs)))
    return replace(step, params=params, inputs=inputs)


def homo_lr() -> Mapping[str, Small]:
    two, three = (
        homo_cases.rows(members, sizes=(5, 4, 3), columns=1) for members in (homo_cases.TWO, homo_cases.THREE)
    )
    stopping = {"optimizer": "adam", "aggregate_iters": 2, "max_iter": 3, "early_stopping_rounds": 1}
    predicted = homo_cases.case(homo_cases.params(max_iter=1), two)
    return {
        "two": Small(homo_cases.case(homo_cases.params(max_iter=2), two)),
        "three, stopping": Small(homo_cases.case(homo_cases.params(**stopping), three, three)),
        "predict": Small(_predicting(predicted)),
    }


def evaluation() -> Mapping[str, Small]:
    scored = table(["a", "b", "c"], kind=Kind.PREDICTIONS, label=[0, 1, 1], predict_score=[0.2, 0.7, 0.1])
    inputs = {GUEST: Inputs({"data": [scored]})}
    return {"two curves": Small(Case(EVALUATION, {GUEST: EvaluateParams()}, inputs, "evaluation_0"))}


def secure_add() -> Mapping[str, Small]:
    p = SecureAddParams(seed=1, data_num=5)
    return {
        f"{len(members)} members": Small(
            Case(SECURE_ADD, dict.fromkeys(members, p), {member: Inputs() for member in members}, "secure_add_0")
        )
        for members in ([GUEST, HOST], [ARBITER, GUEST, HOST, OTHER_HOST])
    }


def binning() -> Mapping[str, Small]:
    short = {"min_bin_rows": 2, "bin_num": 2, "encrypt_param": {"key_length": 1024}}
    return {
        "paillier": Small(binning_case(bin_tables(8), **short)),
        "paillier, 2 hosts": Small(binning_case(bin_tables(8, hosts=2), **short)),
        "shared": Small(binning_case(bin_tables(8), arbiter=True, **short)),
        "local": Small(binning_case(bin_tables(8), local_only=True)),
    }


def selection() -> Mapping[str, Small]:
    tables = bin_tables(8, missing=0)
    models = _models(binning_case(tables, arbiter=True, min_bin_rows=2, bin_num=2))
    inputs = {m: Inputs({"data": [table]}, isometric_model=models[m]) for m, table in tables.items()}
    p = FeatureSelectionParams(filter_methods=["unique_value", "iv_value_thres"])
    return {"iv": Small(Case(HETERO_FEATURE_SELECTION, dict.fromkeys(inputs, p), inputs, "selection_0"))}


MAKERS = {
    "HeteroFeatureSelection": selection,
    "HeteroFeatureBinning": binning,
    "Reader": reader,
    "DataIO": data_io,
    "DataTransform": data_transform,
    "FeatureScale": feature_scale,
    "OneHotEncoder": one_hot,
    "FederatedSample": federated_sample,
    "HeteroDataSplit": hetero_data_split,
    "HomoDataSplit": homo_data_split,
    "Union": union,
    "DataStatistics": data_statistics,
    "Statistics": statistics,
    "Intersection": intersection,
    "HeteroLR": hetero_lr,
    "HeteroSecureBoost": hetero_secureboost,
    "HomoLR": homo_lr,
    "Evaluation": evaluation,
    "SecureAddExample": secure_add,
}


@cache
def cases(module: str) -> Mapping[str, Small]:
    """The small steps of a module, by name."""
    return MAKERS[module]()


def names() -> Sequence[tuple[str, str]]:
    """(module, name) of every small step."""
    return [(module, name) for module in MAKERS for name in cases(module)]
