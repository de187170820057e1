"""Components that choose, split, unite or count rows keep the contract of components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from tests.conforming import Inherited
from tests.members import GUEST, HOST, OTHER_HOST

Pairs = Mapping[str, tuple[Any, Any]]


class TestHeteroDataSplit(Inherited):
    module = "HeteroDataSplit"

    def references(self) -> Mapping[str, Pooled]:
        return {"2 hosts": whole}


class TestHomoDataSplit(Inherited):
    module = "HomoDataSplit"

    def references(self) -> Mapping[str, Pooled]:
        return {"halves": lambda outputs: {str(m): (sizes(outputs)[m], [n, n, 0]) for m, n in ((GUEST, 2), (HOST, 3))}}


class TestFederatedSample(Inherited):
    module = "FederatedSample"

    def references(self) -> Mapping[str, Pooled]:
        return {"fewer, 2 hosts": fewer, "weighed": weighed, "repeated": repeated}


class TestUnion(Inherited):
    module = "Union"

    def references(self) -> Mapping[str, Pooled]:
        return {"overlap": lambda outputs: {"x": (column(outputs, "x"), [1, 2, 4])}}


class TestDataStatistics(Inherited):
    module = "DataStatistics"

    def references(self) -> Mapping[str, Pooled]:
        return {"summary": deviation}


def sizes(outputs: Found) -> dict[Any, list[int]]:
    return {
        member: [0 if part is None else len(part) for part in (out.data, *out.rest)] for member, out in outputs.items()
    }


def column(outputs: Found, name: str) -> np.ndarray:
    table = outputs[GUEST].data
    assert table is not None
    return table.columns[name]


def whole(outputs: Found) -> Pairs:
    """The sizes that were asked for; every row in one part, the same at all parties."""
    parts = [part for part in (outputs[GUEST].data, *outputs[GUEST].rest) if part is not None]
    rows = np.sort(np.concatenate([part.columns["x"] for part in parts]))
    of_host = np.sort(np.concatenate([part.columns["z"] for part in (outputs[HOST].data, *outputs[HOST].rest) if part]))
    found = sizes(outputs)
    return {
        "rows": (rows, np.arange(8)),
        "rows of the host": (of_host, np.arange(8)),
        **{f"sizes at {member}": (found[member], [4, 2, 2]) for member in (GUEST, HOST, OTHER_HOST)},
    }


def fewer(outputs: Found) -> Pairs:
    table = outputs[HOST].data
    assert table is not None
    return {"rows": (column(outputs, "x"), table.columns["z"]), "half of them": (len(table), 4)}


def weighed(outputs: Found) -> Pairs:
    """1.5 times the five rows of label 0, 3 times the three of label 1."""
    labels, weights = column(outputs, "y"), column(outputs, "sample_weight")
    return {f"label {label}": (weights[labels == label].sum(), total) for label, total in ((0, 7), (1, 9))}


def repeated(outputs: Found) -> Pairs:
    labels = column(outputs, "y")
    return {f"label {label}": ((labels == label).sum(), total) for label, total in ((0, 7), (1, 9))}


def deviation(outputs: Found) -> Pairs:
    model = outputs[GUEST].model
    assert model is not None
    values = model["StatisticParam"].self_values["x"].values
    return {"stddev": (values["stddev"], np.std(np.arange(5))), "median": (values["median"], 2)}


class TestStatistics(Inherited):
    module = "Statistics"

    def references(self) -> Mapping[str, Pooled]:
        return {"summary": deviation}
