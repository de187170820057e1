"""DataTransform with the ids of another column: one row each, in training, prediction and intersection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.component import Inputs, Outputs
from federatedml.components.data_io import DATA_TRANSFORM, DataTransformParams
from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from tests.conformance import Case
from tests.members import GUEST, HOST, table


def transformed(folder: Path, data: Table, model: Any = None, **given: Any) -> Outputs:
    p = DataTransformParams.model_validate({"with_match_id": True, **given})
    return Case(DATA_TRANSFORM, {GUEST: p}, {GUEST: Inputs({"data": [data]}, model)}).run(folder).outputs[GUEST]


def rows(clients: list, **columns: list) -> Table:
    return table(
        [f"s{at}" for at in range(len(clients))], kind=Kind.RAW, x=[*range(len(clients))], client=clients, **columns
    )


@pytest.mark.parametrize(
    ("clients", "ids"),
    [
        (["b", "a"], ["b", "a"]),
        ([2**62 + 1, -3], [str(2**62 + 1), "-3"]),
        (["7", 8], ["7", "8"]),
        ([], []),
    ],
)
def test_the_ids_of_the_column_become_the_ids(tmp_path: Path, clients: list, ids: list[str]) -> None:
    found = transformed(tmp_path, rows(clients), match_id_name="client")
    assert found.data is not None
    assert (found.data.ids.tolist(), found.data.sid_name, found.data.header) == (ids, "client", ["x"])
    assert found.model["DataTransformMeta"].with_match_id


def test_a_prediction_matches_by_the_same_column(tmp_path: Path) -> None:
    model = transformed(tmp_path / "fit", rows(["b", "a"]), match_id_index=1).model
    later = transformed(tmp_path / "later", rows(["d", "c"]), model, with_match_id=False)
    assert later.data is not None
    assert later.data.ids.tolist() == ["d", "c"]
    with pytest.raises(DataError, match="FED-861"):
        transformed(tmp_path / "without", table(["a"], kind=Kind.RAW, x=[1]), model)


@pytest.mark.parametrize(
    ("clients", "given", "words"),
    [
        (["secret", "secret", "b"], {}, r"1 match ids are repeated"),
        (["a", None, ""], {}, r"2 match ids are empty"),
        ([1.0, 2.0], {}, r"2 match ids are empty, or neither"),
        ([True, False], {}, r"neither text nor whole"),
        (["a"], {"match_id_name": "no"}, r"no column of match ids.*'x', 'client'"),
        (["a"], {"match_id_name": None, "match_id_index": 2}, r"at position 2"),
    ],
)
def test_what_cannot_be_matched_is_counted_never_shown(
    tmp_path: Path, clients: list, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=rf"FED-861.*{words}") as caught:
        transformed(tmp_path, rows(clients), **{"match_id_name": "client", **given})
    assert "secret" not in str(caught.value)


def test_parties_meet_by_match_ids(tmp_path: Path) -> None:
    guest = transformed(tmp_path / "guest", rows(["b", "a", "c"]), match_id_name="client").data
    host = table(["c", "b", "z"], z=[1.0, 2.0, 3.0])
    p = IntersectParams(min_intersection=1)
    inputs = {GUEST: Inputs({"data": [guest]}), HOST: Inputs({"data": [host]})}
    found = Case(INTERSECTION, {GUEST: p, HOST: p}, inputs).run(tmp_path / "both").outputs
    assert [found[member].data.ids.tolist() for member in (GUEST, HOST)] == [["b", "c"], ["b", "c"]]
    np.testing.assert_array_equal(found[GUEST].data.columns["x"], [0.0, 2.0])
