"""What an error says to other parties names no column; what it says at home does."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import federatedml.components
from federatedml.components.data_split import DataSplitParams, _groups
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.homo_lr_steps import Rows
from federatedml.components.linear_model import binary_labels
from federatedml.components.lr_batches import check_columns
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_row_weights import row_weights
from federatedml.components.prediction_table import binary, numeric_labels
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_target import Target
from federatedml.components.tree_target import row_weights as tree_weights
from federatedml.data.table import Column, Table
from federatedml.errors import DataError

SECRET = "hiv_positive"
CONSTANTS = {"WEIGHT", "metric"}  # FederatedSample's own column; a statistic's name from a list


def labelled(values: Column) -> Table:
    return Table(np.array([f"r{n}" for n in range(len(values))], object), {"x": np.arange(4.0), SECRET: values}, SECRET)


def weighed(values: Column, weight: str | None = None) -> Table:
    columns = {"x": np.arange(4.0), "y": np.arange(4) % 2, SECRET: values}
    return Table(np.array([f"r{n}" for n in range(4)], object), columns, "y", weight=weight)


ONE, MANY, TEXT, NAN = np.ones(4), np.arange(4), np.array(list("abcd"), object), np.full(4, np.nan)
SOME = np.arange(4) % 2 * 1.0
TREES, BY_SECRET = SecureBoostParams(), {"sample_weight_name": SECRET}
LR, HUGE = LogisticParams(), SecureBoostParams(task_type="regression")
CALLS: Mapping[str, Callable[[], object]] = {
    "label of text": lambda: numeric_labels(labelled(TEXT)),
    "label that is not finite": lambda: numeric_labels(labelled(NAN)),
    "label of one class": lambda: binary_labels(labelled(ONE)),
    "label of many classes": lambda: Rows.of(HomoLogisticParams(), labelled(MANY)),
    "label of one class, trees": lambda: Target.of(TREES, labelled(ONE)),
    "label that is new": lambda: binary(labelled(MANY), SOME, (0.0, 1.0), 0.5, "train", ""),
    "label that is new, trees": lambda: Target.of(TREES, labelled(SOME)).labels(labelled(MANY)),
    "label that is large": lambda: Target.of(HUGE, labelled(ONE)).labels(labelled(ONE * 1e60)),
    "label to be split": lambda: _groups(DataSplitParams(stratified=True, split_points=[1]), labelled(TEXT)),
    "weight of text": lambda: row_weights(LogisticParams.model_validate(BY_SECRET), weighed(TEXT), SOME),
    "no weight": lambda: row_weights(LogisticParams.model_validate(BY_SECRET), labelled(SOME), SOME),
    "weight that is not asked for": lambda: row_weights(LR, weighed(ONE, SECRET), SOME),
    "weight of text, trees": lambda: tree_weights(SecureBoostParams.model_validate(BY_SECRET), weighed(TEXT)),
    "weight below nothing, trees": lambda: tree_weights(SecureBoostParams.model_validate(BY_SECRET), weighed(-ONE)),
    "column of a batch": lambda: check_columns(LR, [SECRET], [np.zeros((4, 1))]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_column_is_named_at_home_only(call: Callable[[], object]) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert SECRET not in caught.value.message
    assert SECRET in caught.value.hint


def test_no_component_quotes_a_name_in_what_peers_read() -> None:
    folder = Path(federatedml.components.__file__).parent
    quoting = {
        f"{path.name}:{call.lineno}"
        for path in sorted(folder.glob("*.py"))
        for call in _data_errors(ast.parse(path.read_text()))
        if _quoted(call.args[1]) - CONSTANTS
    }
    assert not quoting, "a DataError's message crosses the border; names belong into its hint"


def _data_errors(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "DataError":
            yield node


def _quoted(message: ast.expr) -> set[str]:
    """Expressions that a message shows by ``!r``."""
    return {
        ast.unparse(part.value)
        for part in ast.walk(message)
        if isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
    }
