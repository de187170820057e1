"""Models of boosted trees that are not what a training leaves are refused with a code."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from federatedml.component import ModelBuffers
from federatedml.components.tree_model import GUEST_META, GUEST_PARAM
from federatedml.components.tree_predict import merge, partial_of
from federatedml.errors import ModelError
from tests.boost_cases import case, cut, made, params
from tests.members import GUEST, HOST

NAN = float("nan")


@cache
def trained() -> tuple[ModelBuffers, Any, Any]:
    """The guest's model, and both parties' parts of some rows."""
    tables = cut(*made(200, 6), [3, 3])
    with TemporaryDirectory() as folder:
        outputs = case(params(), tables).run(Path(folder)).outputs
    models = [outputs[member].model or {} for member in (GUEST, HOST)]
    own, theirs = (partial_of(model, tables[m]) for model, m in zip(models, (GUEST, HOST), strict=True))
    return models[0], own, theirs


def of_a_host(param: Any) -> Any:
    return next(node for tree in param.trees_ for node in tree.tree_ if node.sitename == str(HOST))


CHANGES: dict[str, Callable[[Any], object]] = {
    "a child before its parent": lambda p: setattr(p.trees_[0].tree_[0], "left_nodeid", 0),
    "a child that is not there": lambda p: setattr(p.trees_[0].tree_[0], "right_nodeid", 999),
    "another site": lambda p: setattr(of_a_host(p), "sitename", "host_1"),
    "a split that nobody has": lambda p: setattr(of_a_host(p), "bid", 10_000),
    "first scores": lambda p: p.init_score.append(0.5),
    "sites": lambda p: p.sites.append("host_99999"),
    "a split before the first": lambda p: setattr(of_a_host(p), "bid", -1),
    "half a split": lambda p: setattr(of_a_host(p), "bid", 0.5),
    "no sites": lambda p: p.ClearField("sites"),
    "trees without nodes": lambda p: [tree.ClearField("tree_") for tree in p.trees_],
    "nodes of one number": lambda p: [setattr(node, "id", 0) for node in p.trees_[0].tree_],
    "a weight": lambda p: setattr(p.trees_[0].tree_[-1], "weight", NAN),
    "a first score": lambda p: p.init_score.__setitem__(0, NAN),
}
OF_META: dict[str, Callable[[Any], object]] = {
    "a loss": lambda m: setattr(m.objective_meta, "objective", "none"),
    "no loss": lambda m: m.ClearField("objective_meta"),
    "a task": lambda m: setattr(m, "task_type", "none"),
    "a number of the loss": lambda m: m.objective_meta.param.append(NAN),
    "one class": lambda m: m.label_values.pop(),
    "no class": lambda m: m.ClearField("label_values"),
    "classes that are no numbers": lambda m: m.label_values.__setitem__(0, NAN),
    "classes twice": lambda m: m.label_values.__setitem__(0, m.label_values[1]),
    "a threshold": lambda m: setattr(m, "threshold", NAN),
    "a threshold above 1": lambda m: setattr(m, "threshold", 5),
}


@pytest.mark.parametrize("change", OF_META)
def test_descriptions_that_were_changed(change: str) -> None:
    model, own, theirs = trained()
    other = {GUEST_META: deepcopy(model[GUEST_META]), GUEST_PARAM: model[GUEST_PARAM]}
    OF_META[change](other[GUEST_META])
    with pytest.raises(ModelError, match="FED-803"):
        merge(other, own, [theirs])


def test_thresholds_that_are_no_numbers() -> None:
    model, _, _ = trained()
    other = {GUEST_META: model[GUEST_META], GUEST_PARAM: deepcopy(model[GUEST_PARAM])}
    for tree in other[GUEST_PARAM].trees_:  # type: ignore[attr-defined]
        for number in tree.split_maskdict:
            tree.split_maskdict[number] = NAN
    with pytest.raises(ModelError, match="FED-803"):
        partial_of(other, cut(np.zeros((1, 6)), None, [3, 3])[GUEST])


@pytest.mark.parametrize("change", CHANGES)
def test_models_that_were_changed(change: str) -> None:
    model, own, theirs = trained()
    assert merge(model, own, [theirs]).shape == (200,)
    other = {GUEST_META: model[GUEST_META], GUEST_PARAM: deepcopy(model[GUEST_PARAM])}
    CHANGES[change](other[GUEST_PARAM])
    with pytest.raises(ModelError, match="FED-803"):
        merge(other, own, [theirs])


@pytest.mark.parametrize("parts", [0, 2])
def test_parts_of_other_hosts(parts: int) -> None:
    model, own, theirs = trained()
    with pytest.raises(ModelError, match="FED-803"):
        merge(model, own, [theirs] * parts)


def test_own_splits_of_columns_without_a_name() -> None:
    model, _, _ = trained()
    other = {GUEST_META: model[GUEST_META], GUEST_PARAM: deepcopy(model[GUEST_PARAM])}
    del other[GUEST_PARAM].header[:]  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="FED-803"):
        partial_of(other, cut(np.zeros((1, 6)), None, [3, 3])[GUEST])
