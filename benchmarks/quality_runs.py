"""Jobs of ``quality``: a component on a data set, beside a central model of the same kind."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.lr_runs import ARBITER, GUEST, HOST, Floats
from benchmarks.quality_data import DataSet, data_set
from federatedml.component import Inputs, component
from federatedml.components.lr_optimizers import Memory, stepped
from federatedml.components.lr_plan import closed_batches
from federatedml.components.tree_columns import binned
from federatedml.crypto.shared_linear import batch_order
from federatedml.federation.local import LocalNetwork
from federatedml.metrics.binary import Counts
from federatedml.metrics.multi import Confusion
from federatedml.metrics.regression import measures
from tests.homo_cases import by_rows, in_clear

METRIC = {"binary": "AUC", "multi": "accuracy", "regression": "rmse"}
STEPS = {"penalty": "NONE", "eps": 1e-12, "init_param": {"init_method": "zeros"}}
MOMENTUM = {**STEPS, "optimizer": "nesterov_momentum_sgd", "learning_rate": 0.2}
WHOLE = {**STEPS, "learning_rate": 0.5, "batch_size": -1, "max_iter": 100}
CLASSES = {"one_vs_rest_param": {"need_one_vs_rest": True}}
TREES = {
    "num_trees": 50,
    "learning_rate": 0.1,
    "bin_num": 32,
    "tree_param": {"max_depth": 3, "criterion_params": [1.0]},
}


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        split: ``hetero`` (columns) or ``homo`` (rows).
        prepare: what becomes of the data set first.
    """

    data: str
    split: str
    module: str
    params: Mapping[str, Any]
    prepare: Callable[[DataSet], DataSet] = DataSet.standardised
    note: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.data}, {self.split}, {self.module}{self.note}"


def _as_is(data: DataSet) -> DataSet:
    return data


def _above(data: DataSet) -> DataSet:
    return data.standardised().halved()


REGRESSION = {**TREES, "task_type": "regression"}
JOBS = (
    Job("breast", "hetero", "HeteroLR", {**STEPS, "learning_rate": 0.15, "max_iter": 100}),
    Job("default_credit", "hetero", "HeteroLR", {**STEPS, "learning_rate": 0.15, "max_iter": 10}),
    Job("vehicle", "hetero", "HeteroLR", {**MOMENTUM, **CLASSES, "batch_size": 128, "max_iter": 100}, _as_is),
    Job("breast", "hetero", "HeteroSecureBoost", TREES),
    Job("default_credit", "hetero", "HeteroSecureBoost", TREES),
    Job("vehicle", "hetero", "HeteroSecureBoost", TREES),
    Job("student", "hetero", "HeteroSecureBoost", REGRESSION),
    Job("motor", "hetero", "HeteroSecureBoost", {**REGRESSION, "min_cell_rows": 10}, note=", cells of 10 rows"),
    Job("breast", "homo", "HomoLR", {**MOMENTUM, "batch_size": 64, "max_iter": 20}),
    Job("default_credit", "homo", "HomoLR", {**MOMENTUM, "max_iter": 10}),
    Job("vehicle", "homo", "HomoLR", {**MOMENTUM, **CLASSES, "batch_size": 64, "max_iter": 100}, _as_is),
    Job("student", "homo", "HomoLR", WHOLE, _above, ", above the median"),
    Job("motor", "homo", "HomoLR", {**MOMENTUM, "batch_size": 64, "max_iter": 50}, _above, ", above the median"),
)


@dataclass(frozen=True)
class Measured:
    """What came of a job.

    Attributes:
        ours, pooled: the metric of the federated and of the central model on the rows they were trained on.
        clear: of the federated model's own steps on pooled rows, where they are other than the central model's.
        cpu, wall: seconds of all parties.
        peak: bytes of memory that the process has had, all parties together.
        sent: bytes by sending party.
    """

    metric: str
    ours: float
    pooled: float
    clear: float | None
    cpu: float
    wall: float
    peak: float
    sent: Mapping[str, int]


def measured(job: Job, folder: Path | None) -> Measured:
    """Run a job with all its parties in this process."""
    data = job.prepare(data_set(job.data, folder))
    tables = data.by_columns() if job.split == "hetero" else data.by_rows()
    module = component(job.module)
    own = {"min_contributors": 2} if job.module == "HomoLR" else {}
    members = [*tables, ARBITER]
    params = module.settle(dict.fromkeys(members, module.params.model_validate({**job.params, **own})))
    inputs = {member: Inputs({"train_data": [table]}) for member, table in tables.items()} | {ARBITER: Inputs()}
    with tempfile.TemporaryDirectory() as scratch:
        cpu, wall = time.process_time(), time.perf_counter()
        step = LocalNetwork(Path(scratch), timeout=300.0, bodies=False).run(module, params, inputs)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    found = [outputs.data for outputs in step.outputs.values() if outputs.data is not None]
    names = ("label", "predict_result", "predict_score")
    columns = {name: np.concatenate([table.columns[name] for table in found]) for name in names}
    sent: dict[str, int] = {}
    for message in step.sent:
        sent[str(message.key.source.role)] = sent.get(str(message.key.source.role), 0) + message.size
    ours = _metric(data.kind, *(columns[name] for name in names))
    steps = {"HeteroLR": _steps, "HomoLR": _averages}.get(job.module)
    clear = _clear(data, params[ARBITER], steps) if steps else None
    return Measured(METRIC[data.kind], ours, _pooled(job, data, params[ARBITER]), clear, cpu, wall, peak, sent)


def _metric(kind: str, labels: Floats, results: Floats, scores: Floats) -> float:
    if kind == "binary":
        return Counts.of(labels == 1, scores).auc()
    if kind == "multi":
        return Confusion.of(labels, results).accuracy()
    return measures(labels, scores)["root_mean_squared_error"]


def _clear(data: DataSet, p: Any, steps: Callable[[DataSet, Floats, Any], Floats]) -> float:
    """The batches and steps of a regression with the exact sigmoid, each class against the rest."""
    classes = np.unique(data.y)
    z = np.column_stack([steps(data, 1.0 * (data.y == value), p) for value in classes])
    return _metric(data.kind, data.y, classes[z.argmax(1)], z[:, -1])


def _steps(data: DataSet, y: Floats, p: Any) -> Floats:
    """(n,) predictors of one binary training of HeteroLR."""
    order = batch_order(data.by_columns()[GUEST].ids)
    x = np.column_stack([data.x, np.ones(len(y))])
    own = data.by_columns()[GUEST].header
    columns = {GUEST: len(own) + 1, HOST: data.x.shape[1] - len(own)}
    batches = np.split(order, np.cumsum(closed_batches(p, len(y), columns))[:-1])
    w, memory = np.zeros(x.shape[1]), Memory.blank(x.shape[1])
    for epoch in range(p.max_iter):
        for at in batches:
            gradient = x[at].T @ (1 / (1 + np.exp(-x[at] @ w)) - y[at]) / len(at)
            w, memory = stepped(p, w, gradient, epoch, memory, intercept=True)
    return np.asarray(x @ w)


def _averages(data: DataSet, y: Floats, p: Any) -> Floats:
    """(n,) predictors of one binary training of HomoLR: each party's epochs, and their averages by rows."""
    tables = replace(data, y=y).by_rows()
    with np.errstate(divide="ignore", invalid="ignore"):  # of losses, where probabilities are 0 and 1
        w = in_clear(p, tables, by_rows(tables)).weights
    return np.asarray(data.x @ w[:-1] + w[-1])


def _pooled(job: Job, data: DataSet, p: Any) -> float:
    """scikit-learn's logistic regression with C=1, or XGBoost on the same bins: all rows and columns in one place."""
    if job.module != "HeteroSecureBoost":
        model = LogisticRegression(max_iter=5000).fit(data.x, data.y)
        scores = model.predict_proba(data.x)
        return _metric(data.kind, data.y, model.predict(data.x), scores[:, 1])
    import xgboost

    columns = data.by_columns().items()
    bins = np.vstack(
        [binned(p, table, 1 if member == GUEST else p.min_cell_rows).table.bins for member, table in columns]
    )
    objective = {"binary": "binary:logistic", "multi": "multi:softprob", "regression": "reg:squarederror"}[data.kind]
    classes, y = np.unique(data.y, return_inverse=True) if data.kind == "multi" else (data.y[:0], data.y)
    given = {"objective": objective, "eta": 0.1, "max_depth": 3, "lambda": 1.0, "min_child_weight": 1.0, "nthread": 1}
    given |= {"num_class": len(classes)} if data.kind == "multi" else {}
    matrix = xgboost.QuantileDMatrix(bins.T.astype(np.float64), y, max_bin=256)
    scores = xgboost.train({**given, "tree_method": "hist"}, matrix, TREES["num_trees"]).predict(matrix)
    if data.kind == "multi":
        return _metric("multi", data.y, classes[scores.argmax(1)], scores)
    return _metric(data.kind, data.y, scores, np.asarray(scores, np.float64))
