from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airfed_proto.v1 import model_pb2
from federated_operators.gateway.plan import DataRef, ModelRef, StepPlan
from federated_operators.outputs import JobStore, StepOutputs, dump_outputs, load_outputs
from federatedml.component import Inputs, Outputs
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError, DslError, FedError, ModelError

TABLE = Table(
    np.array(["b", "a"], dtype=object), {"x": np.array([1.5, 2.5]), "y": np.array([0.0, 1.0])}, "y", Kind.INSTANCES
)
MODEL = {"DataIOMeta": model_pb2.DataIOMeta(with_label=True), "DataIOParam": model_pb2.DataIOParam(header=["x"])}
STEP = StepPlan("data_io_0", "DataIO", "1", (), {}, {}, data_aliases=("train",), model_alias="io")
NEXT = StepPlan("next_0", "DataIO", "1", (), {}, {"data": [DataRef("data_io_0", "train")]}, ModelRef("data_io_0", "io"))


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "job", Catalogue(tmp_path / "data"))


def stored(store: JobStore, step: StepPlan = STEP, outputs: Outputs | None = None) -> StepOutputs:
    attempt = store.folder / step.component / "guest" / "g1" / "a2"
    attempt.mkdir(parents=True)
    return store.store(step, outputs or Outputs(TABLE, MODEL, summary={"rows": 2.0}), attempt)


def test_what_was_stored_is_what_the_next_component_reads(store: JobStore) -> None:
    found = load_outputs(dump_outputs(stored(store)))
    inputs = store.inputs(NEXT, {"data_io_0": found})
    table = inputs.one("data")
    assert table.origin == "data_io_0"
    assert replace(table, origin="").digest() == TABLE.digest()
    assert inputs.model is not None
    assert inputs.model == MODEL
    assert (found.summary, found.folder) == ({"rows": 2.0}, "data_io_0/guest/g1/a2")
    assert all(not Path(entry.path).is_absolute() for entry in found.data.values())


def test_a_model_has_a_twin_that_people_can_read(store: JobStore) -> None:
    stored(store)
    text = (store.folder / "data_io_0/guest/g1/a2/model/io/DataIOMeta.json").read_text()
    assert '"with_label": true' in text


def test_only_what_the_dsl_declares_is_stored(store: JobStore) -> None:
    found = stored(store, replace(STEP, data_aliases=(), model_alias=None))
    assert (found.data, found.model) == ({}, {})
    assert not list(store.folder.rglob("*.parquet")) + list(store.folder.rglob("*.pb"))


def test_nothing_is_left_half_written(store: JobStore) -> None:
    stored(store)
    assert not [path for path in store.folder.rglob("*") if "tmp" in path.name]


@pytest.mark.parametrize("victim", ["data/train.parquet", "model/io/DataIOParam.pb"])
@pytest.mark.parametrize(("harm", "code"), [(lambda p: p.write_bytes(b"?"), "FED-225"), (Path.unlink, "FED-224")])
def test_a_damaged_or_missing_file_is_named(store: JobStore, victim: str, harm: object, code: str) -> None:
    found = stored(store)
    harm(store.folder / found.folder / victim)  # type: ignore[operator]
    with pytest.raises(DataError, match=code) as error:
        store.inputs(NEXT, {"data_io_0": found})
    assert victim in str(error.value)


def test_a_path_cannot_leave_the_jobs_folder(store: JobStore, tmp_path: Path) -> None:
    found = stored(store)
    table = found.data["train"]
    outside = replace(found, data={"train": replace(table, path="../data/secret.parquet")})
    with pytest.raises(DataError, match="FED-223"):
        store.inputs(NEXT, {"data_io_0": outside})


def test_an_alias_cannot_name_a_path(store: JobStore) -> None:
    with pytest.raises(DataError, match="FED-227"):
        stored(store, replace(STEP, data_aliases=["../../train"]))


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (replace(NEXT, data={"data": [DataRef("gone_0", "train")]}, model=None), DataError, "gone_0 is not committed"),
        (replace(NEXT, data={"data": [DataRef("data_io_0", "test")]}, model=None), DataError, "no data 'test'"),
        (replace(NEXT, data={}, model=ModelRef("data_io_0", "lr")), ModelError, "no model 'lr'"),
    ],
)
def test_what_is_not_there_is_named(store: JobStore, step: StepPlan, error: type[FedError], words: str) -> None:
    with pytest.raises(error, match=words):
        store.inputs(step, {"data_io_0": stored(store)})


def test_a_component_without_upstream_reads_the_catalogue(store: JobStore) -> None:
    name = TableName("demo", "breast")
    store.catalogue.write(name, TABLE)
    step = replace(NEXT, data={"data": [DataRef(None, "train_data", name)]}, model=None)
    assert store.inputs(step, {}).one("data").digest() == TABLE.digest()


@pytest.mark.parametrize("body", [b"", b"{", b'{"data": 1}', b'{"data": {"a": {"path": 1}}}', b"[]"])
def test_bytes_that_are_no_outputs_are_refused(body: bytes) -> None:
    with pytest.raises(DataError, match="FED-220"):
        load_outputs(body)


TWO = replace(NEXT, data={"data": [DataRef("data_io_0", "train"), DataRef("gone_0", "train")]}, model=None)


@pytest.mark.parametrize("rule", ["all_done", "one_success"])
def test_a_tolerant_component_works_on_what_is_there(store: JobStore, rule: str) -> None:
    found = stored(store)
    assert [table.origin for table in store.inputs(TWO, {"data_io_0": found}, rule).data["data"]] == ["data_io_0"]
    assert store.inputs(TWO, {}, rule).data == {}
    with pytest.raises(DataError, match=r"FED-226.* gone_0 is not committed"):
        store.inputs(TWO, {"data_io_0": found})


@pytest.mark.parametrize(("module", "tables"), [("DataIO", 1), ("Union", 2)])
def test_of_alternatives_the_first_counts_where_one_table_is_taken(store: JobStore, module: str, tables: int) -> None:
    two = replace(NEXT, module=module, data={"data": [DataRef(n, "train") for n in ("a_0", "b_0")]}, model=None)
    left = dict.fromkeys(("a_0", "b_0"), stored(store))
    assert len(store.inputs(two, left, "one_success").data["data"]) == tables
    assert len(store.inputs(two, left).data["data"]) == 2


def test_a_component_that_takes_one_table_refuses_two() -> None:
    with pytest.raises(DslError, match=r"FED-142.*2 tables of input data under train_data or data.*exactly one"):
        Inputs({"data": [TABLE, TABLE]}).one("train_data", "data")
    with pytest.raises(DslError, match="FED-140"):
        Inputs({"data": []}).all("data")


def test_a_component_that_needs_a_model_is_not_fitted_instead(store: JobStore) -> None:
    with pytest.raises(DataError, match="FED-226"):
        store.inputs(NEXT, {}, "all_done")


def test_tolerance_is_for_components_that_did_not_succeed(store: JobStore) -> None:
    other = replace(NEXT, data={"data": [DataRef("data_io_0", "test")]}, model=None)
    with pytest.raises(DataError, match="FED-222"):
        store.inputs(other, {"data_io_0": stored(store)}, "all_done")
