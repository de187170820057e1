"""HeteroDataSplit and HomoDataSplit: sizes, strata, what hosts learn, hosts that do not hold the rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from federatedml.component import Inputs, Outputs
from federatedml.components import data_split, row_choice
from federatedml.components.data_split import HETERO_DATA_SPLIT, HOMO_DATA_SPLIT, PARTS, DataSplitParams, part_sizes
from federatedml.components.row_choice import generator, spread, strata
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import AttemptKey
from federatedml.federation.party import Member, Role
from tests.conformance import Case, chart, conforms
from tests.members import GUEST, HOST, OTHER_HOST, table


def params(**given: Any) -> DataSplitParams:
    return DataSplitParams.model_validate({"random_state": 7, **given})


def rows(count: int, labels: list | None = None) -> Table:
    ids = [f"u{i}" for i in range(count)]
    given = labels if labels is not None else [i % 4 == 0 for i in range(count)]
    return table(ids, "y", y=np.array(given) if labels else np.array(given, np.int64), x=np.arange(float(count)))


def without_label(data: Table) -> Table:
    return Table(data.ids, {"z": np.arange(float(len(data)))})


def case(p: DataSplitParams, data: Table, hosts: tuple[Member, ...] = (HOST,)) -> Case:
    tables = {GUEST: data} | {host: without_label(data) for host in hosts}
    return Case(HETERO_DATA_SPLIT, dict.fromkeys(tables, p), {m: Inputs({"data": [t]}) for m, t in tables.items()})


def parts(outputs: Outputs) -> list[list[str]]:
    return [[] if part is None else part.ids.tolist() for part in (outputs.data, *outputs.rest)]


def test_all_parties_hold_the_same_parts_in_the_same_order(tmp_path: Path) -> None:
    p = params(train_size=0.5, validate_size=0.25, test_size=0.25, stratified=True)
    result = conforms(case(p, rows(40), (HOST, OTHER_HOST)), tmp_path)
    found = {member: parts(outputs) for member, outputs in result.outputs.items()}
    assert found[GUEST] == found[HOST] == found[OTHER_HOST]
    assert [len(part) for part in found[GUEST]] == [20, 10, 10]
    assert sorted(chain(*found[GUEST])) == sorted(f"u{i}" for i in range(40))
    assert all(part == sorted(part, key=lambda i: int(i[1:])) for part in found[GUEST])
    assert [sum(part.labels()) for part in (result.outputs[GUEST].data, *result.outputs[GUEST].rest)] == [5, 2, 3]
    assert chart(result) == [("parts", 0, "guest_9999", f"host_{i}") for i in (10000, 10002)]


def test_the_view_counts_rows_and_at_the_guest_labels(tmp_path: Path) -> None:
    outputs = case(params(stratified=True, train_size=0.75), rows(8)).run(tmp_path).outputs
    guest, host = outputs[GUEST], outputs[HOST]
    assert [list(row) for row in guest.views[0].rows][:2] == [
        ["train_data", 6, 0.75, 4, 2],
        ["validate_data", 2, 0.25, 2, 0],
    ]
    assert host.views[0].columns == ["part", "rows", "share"]
    assert host.summary == guest.summary == {"rows": 8.0, "train_rows": 6.0, "validate_rows": 2.0, "test_rows": 0.0}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (80, 20, 0)),
        ({"train_size": 0.6}, (60, 40, 0)),
        ({"train_size": 60}, (60, 40, 0)),
        ({"test_size": 0.3}, (70, 0, 30)),
        ({"train_size": 0.5, "validate_size": 10}, (50, 10, 40)),
        ({"train_size": 0.5, "validate_size": 0.1, "test_size": 0.1}, (50, 10, 10)),
        ({"train_size": 1}, (100, 0, 0)),
        ({"train_size": 0, "test_size": 0.5}, (0, 50, 50)),
        ({"validate_size": 100}, (0, 100, 0)),
    ],
)
def test_sizes_are_parts_or_numbers_and_the_first_that_is_left_out_takes_the_rest(
    given: dict, expected: tuple[int, ...]
) -> None:
    assert part_sizes(params(**given), 100) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1000), st.floats(0, 1), st.floats(0, 1))
def test_parts_of_all_rows_are_all_rows(count: int, first: float, second: float) -> None:
    train, validate = sorted((first, second))[0], abs(first - second)
    sizes = part_sizes(params(train_size=train, validate_size=validate, test_size=1 - train - validate), count)
    assert sum(sizes) == count
    assert abs(sizes[0] - train * count) <= 0.5 + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 9))
def test_every_beginning_has_each_label_in_proportion(labels: list, share: float, seed: int) -> None:
    groups = strata(np.array(labels))
    order = spread(groups, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    first = order[: int(share * len(labels))]
    sizes = Counter(groups.tolist())
    for group, count in sizes.items():
        bound = max(1 + count / len(labels) * (len(sizes) - 2), 0) / 2
        assert abs((groups[first] == group).sum() - count * len(first) / len(labels)) <= bound + 1e-9


def test_labels_that_are_numbers_are_grouped_by_split_points(tmp_path: Path) -> None:
    data = rows(40, [float(i) for i in range(40)])
    p = params(stratified=True, split_points=[10, 30.5], train_size=0.5, test_size=0.5)
    train = case(p, data).run(tmp_path).outputs[GUEST].data
    groups = Counter(np.digitize(train.labels(), [10, 30.5]).tolist())
    assert [groups[group] for group in range(3)] in ([5, 10, 5], [5, 11, 4], [5, 11, 5])


def test_the_same_seed_gives_the_same_parts_and_another_one_others(tmp_path: Path) -> None:
    found = [
        parts(case(params(random_state=seed), rows(60)).run(tmp_path / str(i)).outputs[GUEST])
        for i, seed in enumerate((3, 3, 4))
    ]
    assert found[0] == found[1] != found[2]


def test_without_a_seed_it_is_the_job_that_decides(tmp_path: Path) -> None:
    p = params(random_state=None)
    network = case(p, rows(60))
    same = [parts(network.run(tmp_path / str(i)).outputs[GUEST]) for i in range(2)]
    other = parts(replace(network, name="other_0").run(tmp_path / "other").outputs[GUEST])
    assert same[0] == same[1] != other


def test_without_shuffle_rows_keep_their_order(tmp_path: Path) -> None:
    found = parts(case(params(shuffle=False), rows(10)).run(tmp_path).outputs[GUEST])
    assert found == [[f"u{i}" for i in range(8)], ["u8", "u9"], []]


def test_a_part_without_rows_is_not_there(tmp_path: Path) -> None:
    outputs = case(params(train_size=0, test_size=1), rows(3)).run(tmp_path).outputs[HOST]
    assert (outputs.data, outputs.rest[0], len(outputs.rest[1])) == (None, None, 3)


def test_one_row_is_in_one_part(tmp_path: Path) -> None:
    assert parts(case(params(stratified=True), rows(1)).run(tmp_path).outputs[GUEST]) == [["u0"], [], []]


def test_without_need_run_all_rows_are_to_train_on_and_nothing_is_sent(tmp_path: Path) -> None:
    p = params(need_run=False)
    result = case(p, rows(4)).run(tmp_path)
    assert parts(result.outputs[HOST]) == [["u0", "u1", "u2", "u3"], [], []]
    assert not result.sent
    assert not HETERO_DATA_SPLIT.variant(HETERO_DATA_SPLIT, p).topics


def test_a_party_may_be_guest_and_host(tmp_path: Path) -> None:
    own = Member(Role.HOST, GUEST.party)
    found = case(params(), rows(10), (own,)).run(tmp_path).outputs
    assert parts(found[GUEST]) == parts(found[own])


def test_a_guest_alone_may_split(tmp_path: Path) -> None:
    assert len(case(params(), rows(10), ()).run(tmp_path).outputs[GUEST].data) == 8


def test_homo_each_party_splits_its_own_rows(tmp_path: Path) -> None:
    tables = {GUEST: rows(20), HOST: rows(40)}
    p = params(stratified=True, train_size=0.5)
    result = conforms(
        Case(HOMO_DATA_SPLIT, dict.fromkeys(tables, p), {m: Inputs({"data": [t]}) for m, t in tables.items()}), tmp_path
    )
    assert [len(result.outputs[m].data) for m in tables] == [10, 20]
    assert [int(result.outputs[m].data.labels().sum()) for m in tables] in ([2, 5], [3, 5])


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"train_size": 0.8, "test_size": 0.3}, "more than all rows"),
        ({"train_size": 1.5}, "whole"),
        ({"train_size": -1}, "greater than or equal to 0"),
        ({"stratified": True, "shuffle": False}, "would tell labels"),
        ({"split_points": [1]}, "for stratified"),
        ({"stratified": True, "split_points": [2, 1]}, "ascending"),
        ({"random_state": -1}, "greater than or equal to 0"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(given: dict, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        params(**given)


def test_effective_parameters_mean_the_same_as_plain_json() -> None:
    p = params(train_size=1.0)
    plain = json.loads(p.model_dump_json())
    assert DataSplitParams.model_validate_json(json.dumps({**plain, "train_size": 1})) == p


def test_what_cannot_be_split_is_refused(tmp_path: Path) -> None:
    def refused(p: DataSplitParams, data: Table, words: str) -> None:
        with pytest.raises(DataError, match=words):
            case(p, data).run(tmp_path / words[:7])

    refused(params(train_size=20, test_size=5), rows(10), r"FED-880.*parts are of 25 rows, the table has 10")
    refused(params(), rows(0), r"FED-872.*no rows")
    refused(params(stratified=True), without_label(rows(5)), "FED-203")
    refused(params(stratified=True), rows(3, [1.0, float("nan"), 0.0]), r"FED-881.*1 rows have no label")
    refused(params(stratified=True, split_points=[1]), rows(2, ["a", "b"]), r"FED-884.*is text")
    refused(params(), replace(rows(3), kind=Kind.PREDICTIONS), r"FED-870.*HeteroDataSplit")


def test_a_host_with_other_rows_refuses(tmp_path: Path) -> None:
    bad = case(params(), rows(5))
    turned = without_label(rows(5)).take(np.arange(5)[::-1])
    with pytest.raises(DataError, match=r"FED-251.*Intersection"):
        replace(bad, inputs={**bad.inputs, HOST: Inputs({"data": [turned]})}).run(tmp_path)


@pytest.mark.parametrize("wrong", [[0, 1], [0, 1, 0, 1, 4], [[0, 1, 2, 3, 0]]])
def test_a_host_refuses_parts_that_are_none(wrong: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sends(box: Any, topic: Any, data: Table, _: Any) -> None:
        row_choice.tell(box, topic, data, np.array(wrong, np.uint8))

    monkeypatch.setattr(data_split, "tell", sends)
    with pytest.raises(ProtocolError, match=r"FED-(879|310|312)"):
        case(params(), rows(5)).run(tmp_path)


def test_parties_that_disagree_whether_to_split_are_refused() -> None:
    with pytest.raises(DslError, match=r"FED-180.*need_run"):
        HETERO_DATA_SPLIT.settle({GUEST: params(), HOST: params(need_run=False)})


def suspects(seen: list[str], labels: list[int], draw: Callable[[Table], np.random.Generator]) -> list[int]:
    """What a host that knows all labels but the first finds to be possible for it, from the parts that it sees."""
    found = []
    for guess in (0, 1):
        data = rows(len(labels), [guess, *labels[1:]])
        parts = data_split._drawn(ATTACKED, data, draw(data))
        found += [guess] if data.ids[parts == 0].tolist() == seen else []
    return found


ATTEMPT = AttemptKey("9999", "1", "step_0", 1, 1)
ATTACKED = params(stratified=True, train_size=0.5)


def test_a_seed_that_the_host_knows_would_tell_labels_and_ours_does_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    told, kept = [], []
    for trial in range(12):
        labels = rng.integers(0, 2, 30).tolist()
        data = rows(30, labels)
        open_seed = data_split._drawn(ATTACKED, data, np.random.default_rng(7))
        told.append(
            suspects(data.ids[open_seed == 0].tolist(), labels, lambda _: np.random.default_rng(7)) == labels[:1]
        )
        secret = replace(data, columns={**data.columns, "x": rng.normal(size=30)})
        train = case(ATTACKED, secret).run(tmp_path / str(trial)).outputs[HOST].data
        kept.append(suspects(train.ids.tolist(), labels, lambda table: generator(ATTEMPT, 7, table)))
        own = data_split._drawn(ATTACKED, secret, generator(ATTEMPT, 7, secret))
        assert secret.ids[own == 0].tolist() == train.ids.tolist(), "with them the guest can"
    assert sum(told) >= 6, "the attack finds the label from a seed that all parties know"
    assert kept == [[]] * 12, "the host cannot repeat the drawing without the guest's columns"


def test_every_topic_says_what_stratified_tells() -> None:
    assert "labels" in PARTS.learns
    assert "which part" in PARTS.learns
