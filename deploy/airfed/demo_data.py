"""The demo's tables: scikit-learn's breast cancer set, split by columns between guest and host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.data.table import Kind, Table
from federatedml.errors import FedError

GUEST_COLUMNS = 10
ONLY_GUEST = 60  # rows that the other party does not have
ONLY_HOST = 55
SEED = 20260725


@dataclass(frozen=True)
class DemoData:
    """What each party has before anything runs.

    Attributes:
        guest: label ``y`` and columns x0..x9.
        host: columns x0..x19.
    """

    guest: Table
    host: Table


def breast() -> DemoData:
    """Both halves: each in an order of its own, with rows of its own, standardised on its own rows."""
    features, label = data_set("breast_cancer")
    rows = len(label)
    random = np.random.default_rng(SEED)
    order = random.permutation(rows)
    guest_rows = random.permutation(order[ONLY_HOST:])  # all but some that only the host has
    host_rows = random.permutation(order[: rows - ONLY_GUEST])
    ids = np.array([f"patient-{number:04d}" for number in random.permutation(10_000)[:rows]], dtype=object)
    guest = {"y": label[guest_rows].astype(np.int64), **_columns(features[guest_rows, :GUEST_COLUMNS])}
    host = _columns(features[host_rows, GUEST_COLUMNS:])
    return DemoData(guest=Table(ids[guest_rows], guest, kind=Kind.RAW), host=Table(ids[host_rows], host, kind=Kind.RAW))


def data_set(name: str) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Features (n, d) and label (n,) of a data set that comes with scikit-learn.

    Raises:
        FedError: scikit-learn is not installed; jobs do without.
    """
    try:
        import sklearn.datasets
    except ModuleNotFoundError:
        problem = "the tables of demo and examples are made from scikit-learn's, which is not installed"
        raise FedError("FED-936", problem, "pip install scikit-learn") from None
    load: Any = getattr(sklearn.datasets, f"load_{name}")
    features, label = load(return_X_y=True)
    return features, label


def joined(data: DemoData) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """The rows that both have, as a party that saw everything would join them: (n, 30), (n,), ids."""
    places = {sample: at for at, sample in enumerate(data.host.ids)}
    both = [sample for sample in data.guest.ids if sample in places]
    mine = {sample: at for at, sample in enumerate(data.guest.ids)}
    guest_at = np.array([mine[sample] for sample in both])
    host_at = np.array([places[sample] for sample in both])
    guest = np.column_stack([data.guest.columns[f"x{i}"] for i in range(GUEST_COLUMNS)])[guest_at]
    host = np.column_stack(list(data.host.columns.values()))[host_at]
    return np.hstack([guest, host]), np.asarray(data.guest.columns["y"])[guest_at], both


def _columns(values: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    return {f"x{i}": np.ascontiguousarray(scaled[:, i]) for i in range(scaled.shape[1])}
