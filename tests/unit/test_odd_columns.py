"""Columns that nobody means to have end in an error with a code, not in a traceback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.data.table import Column, Table
from federatedml.errors import DataError
from tests import fault_cases, homo_cases
from tests.conformance import Case
from tests.members import GUEST


def with_column(case: Case, values: Column, label: bool) -> Case:
    """The guest's label or first feature replaced in all of its tables, row by row from ``values``."""

    def edited(table: Table) -> Table:
        name = (table.label or "") if label else table.header[0]
        return replace(table, columns={**table.columns, name: np.resize(values, len(table))})

    data = {key: [edited(table) for table in tables] for key, tables in case.inputs[GUEST].data.items()}
    return replace(case, inputs={**case.inputs, GUEST: replace(case.inputs[GUEST], data=data)})


@pytest.mark.parametrize("name", ["weighed", "repeated"])
def test_a_label_that_is_not_there_in_text_is_missing(name: str, tmp_path: Path) -> None:
    case = fault_cases.cases("FederatedSample")[name].case
    with pytest.raises(DataError, match="FED-881"):
        with_column(case, np.array([None, "a"], object), label=True).run(tmp_path)


@pytest.mark.parametrize("values", [["a", "b"], [None, "b"], [object(), 1]])
def test_text_in_a_column_of_a_fitted_linear_model(values: list[Any], tmp_path: Path) -> None:
    case = fault_cases.cases("HomoLR")["predict"].case
    with pytest.raises(DataError, match="FED-253") as caught:
        with_column(case, np.array(values, object), label=False).run(tmp_path)
    assert "x0" not in caught.value.message
    assert "x0" in caught.value.hint


def test_a_column_too_large_for_a_step_is_refused_without_a_warning(tmp_path: Path) -> None:
    tables = homo_cases.rows()
    huge = replace(tables[GUEST], columns={**tables[GUEST].columns, "x0": np.resize([1e308, -1e308], 40)})
    case = homo_cases.case(homo_cases.params(), {**tables, GUEST: huge})
    with pytest.raises(DataError, match="FED-761"):
        case.run(tmp_path)
