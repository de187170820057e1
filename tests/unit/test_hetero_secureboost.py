"""HeteroSecureBoost, protocol shared: XGBoost's trees, whoever has which column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.boost_cases import breast, case, cut, params, reference
from tests.members import GUEST

TOLERANCE = 1e-5


@pytest.mark.parametrize(
    "given", [{}, {"num_trees": 6, "tree_param": {"max_depth": 4}}, {"min_cell_rows": 20}], ids=str
)
def test_breast(given: dict[str, Any], tmp_path: Path) -> None:
    p, (x, y) = params(**given), breast()
    tables = cut(x, y, [10, 20])
    if p.min_cell_rows > 1:
        p = params(**given, tree_param={"min_sample_split": 2 * p.min_cell_rows})
    result = case(p, tables).run(tmp_path)
    scores = np.asarray(result.outputs[GUEST].data.columns["predict_score"])
    booster, bins = reference(p, tables, y)
    if p.min_cell_rows == 1:
        np.testing.assert_allclose(scores, booster.inplace_predict(bins), atol=TOLERANCE)
    assert not result.unread
