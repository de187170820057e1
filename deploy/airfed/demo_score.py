"""What the demo checks: the federated model against central ones, and the online score against the batch."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from airfed.demo_data import GUEST_COLUMNS, DemoData, joined
from federated_operators.registry.rest import MlflowRest
from federatedml.components.lr_params import LogisticParams
from federatedml.crypto.shared_linear import batch_order, batch_sizes
from federatedml.data.table import Table, read
from federatedml.errors import FedError, ModelError
from federatedml.federation.home import PartyHome
from federatedml.metrics.binary import Counts

LOADED_TIMEOUT = 60.0  # seconds until serving has taken the new model up
ATTEMPT = re.compile(r"g(\d+)/a(\d+)/data")


@dataclass(frozen=True)
class Quality:
    """Of one model on the rows that guest and host share."""

    name: str
    auc: float
    ks: float


def federated(guest: PartyHome, experiment: str, job_id: str, component: str) -> Quality:
    """AUC and KS of the job's evaluation, from the guest's MLflow."""
    with MlflowRest(guest.mlflow_url) as rest:
        tags = {"fed.kind": "task", "fed.job_id": job_id, "fed.component": component}
        runs = rest.search_runs(rest.experiment(experiment), tags)
    if not runs or "auc" not in runs[-1].metrics:
        raise ModelError("FED-925", f"MLflow of {guest.root} has no AUC of {component} of job {job_id}")
    return Quality("federated (HeteroLR)", runs[-1].metrics["auc"], runs[-1].metrics["ks"])


def central(data: DemoData) -> Quality:
    """scikit-learn's logistic regression (C=1) on the same rows, with all columns in one place."""
    from sklearn.linear_model import LogisticRegression

    features, label, _ = joined(data)
    model = LogisticRegression(C=1.0, max_iter=1000).fit(features, label)
    return quality("central (scikit-learn, C=1)", label, model.predict_proba(features)[:, 1])


def in_clear(data: DemoData, order: Sequence[str], p: LogisticParams) -> Quality:
    """The job's own steps in clear, on rows in the job's ``order``, with the exact sigmoid.

    Each batch of n rows: w -= learning_rate X'(sigmoid(X w) - y) / n + decay w, the intercept without decay.
    """
    features, label, ids = joined(data)
    place = {sample: at for at, sample in enumerate(ids)}
    rows = np.array([place[sample] for sample in order])
    x, y = np.column_stack([features, np.ones(len(label))])[rows], label[rows]
    shrink = np.append(np.full(features.shape[1], p.shrinkage), 0.0)
    mixed = batch_order(np.array(order, dtype=object))
    batches = np.split(mixed, np.cumsum(batch_sizes(len(y), p.batch_size))[:-1])
    w = np.zeros(x.shape[1])
    for at in itertools.chain.from_iterable(itertools.repeat(batches, p.max_iter)):
        w -= p.learning_rate * x[at].T @ (_sigmoid(x[at] @ w) - y[at]) / len(at) + shrink * w
    return quality("the same steps in clear", y, x @ w)


def quality(name: str, label: NDArray[Any], score: NDArray[np.float64]) -> Quality:
    """AUC and KS as the evaluation component counts them."""
    counts = Counts.of(np.asarray(label) == 1, score)
    return Quality(name, counts.auc(), counts.ks())


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-z))
    return values


def predictions(guest: PartyHome, job_id: str, component: str, alias: str = "train") -> Table:
    """The batch predictions that the guest's last attempt of a component stored."""
    folder = guest.job_dir(guest.config.party_id, job_id) / component / "guest"
    found = [(tuple(map(int, ATTEMPT.findall(str(p))[0])), p) for p in folder.glob(f"g*/a*/data/{alias}.parquet")]
    if not found:
        raise FedError("FED-926", f"{folder} has no predictions")
    return read(max(found)[1])


def score_request(data: DemoData, sample: str, service_id: str) -> dict[str, Any]:
    """The body of a federated score: the guest's own columns, and only the id for the host."""
    at = int(np.flatnonzero(data.guest.ids == sample)[0])
    own = {f"x{i}": float(data.guest.columns[f"x{i}"][at]) for i in range(GUEST_COLUMNS)}
    return {
        "head": {"serviceId": service_id},
        "body": {"featureData": own, "sendToRemoteFeatureData": {"id": sample}},
    }


def curl(url: str, body: Mapping[str, Any]) -> str:
    """The line that a person can paste into a shell, also where a proxy is set."""
    return shlex.join(
        ["curl", "-s", url, "--noproxy", "*", "-H", "content-type: application/json", "-d", json.dumps(body)]
    )


def run_curl(line: str) -> dict[str, Any]:
    """Run that very line (without curl on the machine: the same request); its answer."""
    words = shlex.split(line)
    if shutil.which("curl"):
        text = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60).stdout
    else:
        headers = {"content-type": "application/json"}
        text = httpx.post(words[2], content=words[-1], headers=headers, trust_env=False, timeout=60).text
    found: dict[str, Any] = json.loads(text)
    return found


def wait_until_served(guest: PartyHome, job_id: str) -> None:
    """Until the guest's serving and the host's have taken up the model of this job."""
    deadline = time.monotonic() + LOADED_TIMEOUT
    said = ""
    while time.monotonic() < deadline:
        said = httpx.get(f"{guest.serving_url}/health/ready", trust_env=False, timeout=10).text
        found = json.loads(said)
        if any(model["modelVersion"] == job_id and model["ready"] for model in found["models"].values()):
            return
        time.sleep(0.2)
    raise ModelError("FED-927", f"the model of job {job_id} is not served after {LOADED_TIMEOUT:.0f} s: {said[:500]}")


def example_folder() -> Path:
    """``examples/hetero_lr`` of the clone that this package is installed from."""
    folder = Path(__file__).resolve().parents[2] / "examples" / "hetero_lr"
    if not folder.is_dir():
        raise FedError("FED-928", f"{folder} is not there", "the demo runs from a clone of the repository: make demo")
    return folder
