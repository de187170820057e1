"""FederatedSample: fewer rows or weights, what hosts learn, and what they would learn from repeated rows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from federatedml.component import Inputs
from federatedml.components import federated_sample, row_choice
from federatedml.components.federated_sample import FEDERATED_SAMPLE, REPEATED, SAMPLE_IDS, SampleParams
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.local import StepResult
from federatedml.federation.party import Member
from federatedml.metrics.binary import Counts
from tests.conformance import Case, chart, conforms
from tests.members import GUEST, HOST, OTHER_HOST, table


def params(**given: Any) -> SampleParams:
    return SampleParams.model_validate({"random_state": 7, **given})


def rows(count: int, labels: list | None = None) -> Table:
    given = [i % 4 == 0 for i in range(count)] if labels is None else labels
    y = np.array(given, object if labels and isinstance(labels[0], str) else None)
    return Table(np.array([f"u{i}" for i in range(count)], object), {"y": y, "x": np.arange(float(count))}, "y")


def case(p: SampleParams, data: Table, hosts: tuple[Member, ...] = (HOST,)) -> Case:
    unlabelled = Table(data.ids, {"z": np.arange(float(len(data)))})
    tables = {GUEST: data} | dict.fromkeys(hosts, unlabelled)
    return Case(FEDERATED_SAMPLE, dict.fromkeys(tables, p), {m: Inputs({"data": [t]}) for m, t in tables.items()})


def sampled(p: SampleParams, data: Table, folder: Path) -> Table:
    found = case(p, data).run(folder).outputs[GUEST].data
    assert found is not None
    return found


def counted(result: StepResult, member: Member) -> dict[float, float]:
    return {point.key: point.value for point in result.metrics[member]}


def test_fewer_rows_are_the_same_at_all_parties_in_their_order(tmp_path: Path) -> None:
    result = conforms(case(params(fractions=0.3), rows(50), (HOST, OTHER_HOST)), tmp_path)
    found = {member: result.outputs[member].data.ids.tolist() for member in (GUEST, HOST, OTHER_HOST)}
    assert found[GUEST] == found[HOST] == found[OTHER_HOST]
    assert len(set(found[GUEST])) == 15
    assert found[GUEST] == sorted(found[GUEST], key=lambda name: int(name[1:]))
    assert (result.outputs[HOST].data.columns["z"] == result.outputs[GUEST].data.columns["x"]).all()
    assert chart(result) == [("sample_ids", 0, "guest_9999", f"host_{i}") for i in (10000, 10002)]
    assert counted(result, GUEST) == counted(result, HOST) == {0.0: 15.0}


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [([[0, 0.5], [1, 1]], {0: 15, 1: 10}), ([[1, 0.0], [0, 0.1]], {0: 3, 1: 1}), (0.2, {0: 6, 1: 2})],
)
def test_labels_have_their_own_fractions_but_at_least_one_row(
    fractions: Any, expected: dict[int, int], tmp_path: Path
) -> None:
    p = params(mode="stratified", fractions=fractions)
    result = case(p, rows(40)).run(tmp_path)
    assert Counter(int(label) for label in result.outputs[GUEST].data.labels()) == expected
    assert counted(result, GUEST) == expected
    assert counted(result, HOST) == {0.0: sum(expected.values())}
    grid = result.outputs[GUEST].views[0]
    assert (grid.name, grid.namespace, grid.metric_type) == ("stratified", "sample_count", "SAMPLE_TABLE")
    assert (result.outputs[HOST].views[0].metric_type) == "SAMPLE_TEXT"


def test_labels_may_be_text(tmp_path: Path) -> None:
    p = params(mode="stratified", fractions=[["no", 0.5], ["yes", 1.0], ["maybe", 1.0]])
    found = sampled(p, rows(8, ["no", "no", "yes", "no", "no", "yes", "yes", "yes"]), tmp_path)
    assert Counter(found.labels().tolist()) == {"no": 2, "yes": 4}


def test_upsampling_weighs_rows_at_the_guest_and_tells_nothing(tmp_path: Path) -> None:
    p = params(method="upsample", mode="stratified", fractions=[[0, 1.0], [1, 3.0]])
    data = rows(40)
    result = conforms(case(p, data), tmp_path)
    guest, host = (result.outputs[member].data for member in (GUEST, HOST))
    assert (guest.weight, guest.header, guest.ids.tolist()) == ("sample_weight", ["x"], data.ids.tolist())
    weights = guest.columns["sample_weight"]
    assert [weights[data.labels() == label].sum() for label in (0, 1)] == [30.0, 30.0]
    assert list(host.columns) == ["z"]
    assert host.ids.tolist() == data.ids.tolist()
    assert not result.sent
    assert not FEDERATED_SAMPLE.variant(FEDERATED_SAMPLE, p).topics


def test_a_weight_that_was_there_is_multiplied(tmp_path: Path) -> None:
    data = replace(rows(6), weight="w", columns={**rows(6).columns, "w": np.array([2, 0, 1, 1, 1, 1])})
    p = params(method="upsample", fractions=5)
    found, plain = sampled(p, data, tmp_path / "1"), sampled(p, rows(6), tmp_path / "2")
    assert found.weight == "w"
    assert found.columns["w"].tolist() == (plain.columns["sample_weight"] * [2, 0, 1, 1, 1, 1]).tolist()


def test_a_column_that_has_the_weights_name_is_not_overwritten(tmp_path: Path) -> None:
    data = replace(rows(4), columns={**rows(4).columns, "sample_weight": np.ones(4)})
    with pytest.raises(DataError, match=r"FED-877.*'sample_weight'"):
        sampled(params(method="upsample", fractions=2), data, tmp_path)


def label_auc(repeats: bool, folder: Path) -> float:
    """How well a host tells the labels by how often each row comes."""
    p = params(method="upsample", mode="stratified", fractions=[[0, 1.0], [1, 3.0]], repeats=repeats)
    data = rows(400)
    seen = Counter(case(p, data).run(folder).outputs[HOST].data.columns["z"].tolist())
    return Counts.of(data.labels() == 1, np.array([float(seen[float(i)]) for i in range(400)])).auc()


def test_repeated_rows_would_tell_hosts_the_labels_and_weights_do_not(tmp_path: Path) -> None:
    assert label_auc(repeats=True, folder=tmp_path / "repeats") > 0.8
    assert label_auc(repeats=False, folder=tmp_path / "weights") == 0.5


def test_repeats_are_by_an_explicit_parameter_and_disclosed(tmp_path: Path) -> None:
    p = params(method="upsample", fractions=2.5, repeats=True)
    result = conforms(case(p, rows(20)), tmp_path)
    guest, host = (result.outputs[member].data for member in (GUEST, HOST))
    assert guest.ids.tolist() == host.ids.tolist() == [str(i) for i in range(50)]
    assert (guest.columns["x"] == host.columns["z"]).all()
    assert len(set(guest.columns["x"])) < 20
    assert guest.copies == host.copies == Counter(guest.columns["x"]).most_common()[0][1]
    assert FEDERATED_SAMPLE.variant(FEDERATED_SAMPLE, p).topics == (REPEATED,)
    assert "labels" in REPEATED.learns
    assert "label" in SAMPLE_IDS.learns
    assert "hosts learn" in FEDERATED_SAMPLE.notes(p)[0]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mode": "stratified", "fractions": [[0, 0.5], [1, 1]]}, True),
        ({"mode": "stratified", "fractions": [[0, 0.5], [1, 0.5]]}, False),
        ({"mode": "stratified", "fractions": 0.5}, False),
        ({"mode": "stratified", "method": "upsample", "fractions": [[0, 1], [1, 3]], "repeats": True}, True),
        ({"mode": "stratified", "method": "upsample", "fractions": [[0, 1], [1, 3]]}, False),
    ],
)
def test_the_disclosure_says_where_hosts_hear_of_labels(given: dict, told: bool) -> None:
    report = FEDERATED_SAMPLE.variant(FEDERATED_SAMPLE, params(**given)).disclosure()
    assert any("EXCEPTION" in text for text in report["outputs"].get("host", ())) == told


def test_homo_each_party_draws_its_own_rows(tmp_path: Path) -> None:
    p = params(task_type="homo", fractions=0.5)
    tables = {GUEST: rows(10), HOST: rows(30)}
    inputs = {m: Inputs({"data": [t]}) for m, t in tables.items()}
    result = conforms(Case(FEDERATED_SAMPLE, dict.fromkeys(tables, p), inputs), tmp_path)
    assert [len(result.outputs[member].data) for member in tables] == [5, 15]
    assert not result.sent


def test_the_same_seed_gives_the_same_rows_and_no_seed_those_of_the_job(tmp_path: Path) -> None:
    found = [
        sampled(params(random_state=seed), rows(60), tmp_path / str(i)).ids.tolist()
        for i, seed in enumerate((3, 3, 4, None, None))
    ]
    assert found[0] == found[1] != found[2]
    assert found[3] == found[4]
    again = replace(case(params(random_state=None), rows(60)), name="other_0").run(tmp_path / "other")
    assert again.outputs[GUEST].data.ids.tolist() != found[3]


def test_without_need_run_tables_pass(tmp_path: Path) -> None:
    result = case(params(need_run=False), rows(4)).run(tmp_path)
    assert [len(result.outputs[member].data) for member in (GUEST, HOST)] == [4, 4]
    assert not result.sent


def test_one_row_and_a_guest_alone(tmp_path: Path) -> None:
    assert len(sampled(params(fractions=0.1), rows(1), tmp_path / "1")) == 1
    assert len(case(params(fractions=0.5), rows(10), ()).run(tmp_path / "2").outputs[GUEST].data) == 5
    empty = case(params(mode="stratified", fractions=[[0, 0.5], [1, 0.5], [2, 1]]), rows(8)).run(tmp_path / "3")
    assert counted(empty, GUEST) == {0.0: 3.0, 1.0: 1.0, 2.0: 0.0}


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"fractions": 1.5}, "0 to 1 for downsample"),
        ({"method": "upsample", "fractions": 0}, "above 0"),
        ({"method": "upsample", "fractions": 1000}, "at most 100"),
        ({"fractions": [[0, 0.5]]}, "one number"),
        ({"mode": "stratified", "fractions": []}, "at least one"),
        ({"mode": "stratified", "fractions": [[0, 0.5], [0, 0.1]]}, "each label once"),
        ({"mode": "stratified", "fractions": [[0, 0.5, 1]]}, "fractions"),
        ({"repeats": True}, "for upsample"),
        ({"mode": "other"}, "random"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(given: dict, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        params(**given)


def test_parameters_are_fates_and_survive_json() -> None:
    p = params(mode="Stratified", method="UpSample", fractions=[[0, 1], ["a", 2.5]])
    assert (p.mode, p.method) == ("stratified", "upsample")
    assert SampleParams.model_validate_json(p.model_dump_json()) == p
    assert SampleParams.model_validate_json(json.dumps({"fractions": None})).fractions == 0.9


def test_what_cannot_be_sampled_is_refused(tmp_path: Path) -> None:
    def refused(p: SampleParams, data: Table, words: str) -> None:
        with pytest.raises(DataError, match=words):
            case(p, data).run(tmp_path / words[:7])

    refused(params(), rows(0), r"FED-872.*no rows")
    refused(params(mode="stratified", fractions=[[0, 0.5]]), rows(8), r"FED-878.*names 1 labels, the table has 1 more")
    refused(params(mode="stratified"), Table(rows(3).ids, {"x": np.ones(3)}), "FED-203")
    refused(params(mode="stratified"), rows(3, [1.0, float("nan"), 0.0]), r"FED-881.*1 rows")
    refused(params(), replace(rows(3), kind=Kind.PREDICTIONS), r"FED-870.*FederatedSample")


def test_a_host_with_other_rows_refuses(tmp_path: Path) -> None:
    bad = case(params(), rows(5))
    other = table(["u0", "u1", "u2", "u3", "u9"], z=[1, 2, 3, 4, 5])
    with pytest.raises(DataError, match=r"FED-251.*Intersection"):
        replace(bad, inputs={**bad.inputs, HOST: Inputs({"data": [other]})}).run(tmp_path)


@pytest.mark.parametrize(
    ("repeats", "wrong"),
    [(False, [1, 1]), (False, [2, 1]), (False, [0, 5]), (False, [-1, 0]), (True, [5]), (True, [0] * 501)],
)
def test_a_host_refuses_rows_that_there_are_not(
    repeats: bool, wrong: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sends(box: Any, topic: Any, data: Table, _: Any) -> None:
        row_choice.tell(box, topic, data, np.array(wrong, np.int64))

    monkeypatch.setattr(federated_sample, "tell", sends)
    p = params(method="upsample", fractions=2, repeats=True) if repeats else params()
    with pytest.raises(ProtocolError, match="FED-879"):
        case(p, rows(5)).run(tmp_path)


@pytest.mark.parametrize(
    "given",
    [{"need_run": False}, {"task_type": "homo"}, {"task_type": "homo", "need_run": False}, {"method": "upsample"}],
)
def test_parties_that_would_not_draw_together_are_refused(given: dict) -> None:
    with pytest.raises(DslError, match="FED-180"):
        FEDERATED_SAMPLE.settle({GUEST: params(), HOST: params(**given)})


def test_under_homo_parties_may_differ() -> None:
    submitted = {GUEST: params(task_type="homo"), HOST: params(task_type="homo", need_run=False)}
    assert FEDERATED_SAMPLE.settle(submitted) == submitted
