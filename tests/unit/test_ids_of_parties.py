"""Ids as parties have them, through DataIO, Intersection and HeteroLR: whole numbers, text, few or none in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dags_generator.simulate import Simulation, simulate
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table
from federatedml.errors import FedError
from tests.members import GUEST, HOST
from tests.pipeline_example import FOLDER

DSL, CONF = FOLDER / "hetero_lr_dsl.json", FOLDER / "hetero_lr_conf.json"
ROWS = 200


def features(seed: int, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"x{at}": rng.normal(size=ROWS) for at in range(count)}


def csv(folder: Path, name: TableName, ids: Sequence[object], columns: dict[str, np.ndarray]) -> None:
    place = folder / name.namespace
    place.mkdir(parents=True)
    lines = [",".join(["id", *columns]), *(",".join(map(str, row)) for row in zip(ids, *columns.values(), strict=True))]
    (place / f"{name.name}.csv").write_text("\n".join(lines), encoding="utf-8")


def run(folder: Path, guest_ids: Sequence[object], host_ids: Sequence[object]) -> Simulation:
    """The guest has a Parquet file with ids of any type, the host CSV."""
    columns = {"y": np.arange(ROWS) % 2, **features(1, 2)}
    if isinstance(guest_ids[0], int):
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Catalogue(folder / "9999").path(TableName("breast", "guest"))
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"key": guest_ids, **columns}), path)
    else:
        ids = np.array([*guest_ids, None], object)[:-1]
        Catalogue(folder / "9999").write(TableName("breast", "guest"), Table(ids, columns, kind=Kind.RAW))
    csv(folder / "10000", TableName("breast", "host"), host_ids, features(2, 3))
    return simulate(DSL, CONF, folder)


def names(first: int) -> list[str]:
    return [f"k\u00fcnde-{at:04d}" for at in range(first, first + ROWS)]


@pytest.mark.parametrize(
    ("guest_ids", "host_ids", "common"),
    [
        ([2**60 + at for at in range(ROWS)], [2**60 + at for at in reversed(range(ROWS))], ROWS),
        ([*range(ROWS)], [str(at) for at in range(50, 50 + ROWS)], ROWS - 50),
        (names(0), names(100), ROWS - 100),
    ],
)
def test_a_model_on_the_common_ids(tmp_path: Path, guest_ids: list, host_ids: list, common: int) -> None:
    found = run(tmp_path, guest_ids, host_ids)
    assert {summary["intersect_count"] for summary in found.summaries()["intersection_0"].values()} == {common}
    scored = found.predictions()["hetero_lr_0"][GUEST]
    assert sorted(scored.ids.tolist()) == sorted(set(map(str, guest_ids)) & set(map(str, host_ids)))
    assert found.models()["hetero_lr_0"][HOST] is not None


def test_no_common_id_is_an_error_that_tells_no_number_of_them(tmp_path: Path) -> None:
    with pytest.raises(FedError, match=r"FED-241.*no or too few ids are common.*at least \d+; nothing else is told"):
        run(tmp_path, names(0), names(1000))


def test_ids_that_only_look_alike_have_nothing_in_common(tmp_path: Path) -> None:
    with pytest.raises(FedError, match=r"FED-241.*the same kind of ids"):
        run(tmp_path, [*range(ROWS)], [f"{at}.0" for at in range(ROWS)])


@pytest.mark.parametrize("party", ["guest", "host"])
def test_repeated_ids_are_refused_at_the_party_that_has_them(tmp_path: Path, party: str) -> None:
    repeated = [*names(0)[:-3], *names(0)[:3]]
    ids = {"guest": names(0), "host": names(0), party: repeated}
    with pytest.raises(FedError, match=rf"FED-204.*{party}\.\w+: 0 ids are null, 3 are repeated"):
        run(tmp_path, ids["guest"], ids["host"])
