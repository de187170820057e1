from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from federated_operators.gateway.plan import DataRef, JobPlan, ModelRef, StepPlan
from federated_operators.gateway.policy import Policy, default_policy, load_policy
from federatedml.component import registry
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.errors import DataError, FedError, PolicyError
from federatedml.federation.party import Member, Role
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST, table

TABLE = TableName("bank", "clients")


def plan(params: Mapping[str, Any] | None = None, module: str = "HeteroLR", name: TableName = TABLE) -> JobPlan:
    data = {"data": [DataRef(None, "data", name)]}
    step = StepPlan("lr_0", module, "1", (GUEST, HOST), params or {}, data)
    return JobPlan(
        initiator=GUEST,
        job_id="20260728120000000001",
        pipeline="p",
        me=HOST,
        members=(GUEST, HOST),
        model_key="model",
        digest="",
        spec_digest="",
        dag_id="",
        steps={"lr_0": step},
        all_steps={"lr_0": (GUEST, HOST)},
        modules={"lr_0": module},
        dsl={},
        conf={},
        disclosure={},
    )


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    made = Catalogue(tmp_path)
    made.write(TABLE, table(["a", "b"], x=[1.0, 2.0], y=[1.0, 2.0]))
    return made


def test_the_default_allows_the_configured_peers_only(tmp_path: Path, catalogue: Catalogue) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(default_policy("10000", ["9999", "10001"]))
    policy = load_policy(file)
    assert policy.initiators == ["9999", "10001"]
    policy.check(plan(), catalogue)


@pytest.mark.parametrize(
    ("rules", "params", "rule"),
    [
        ({"initiators": ["10001"]}, {}, "policy initiators: party 9999"),
        ({"modules": ["DataIO", "Inter*"]}, {}, "policy modules: lr_0: module HeteroLR"),
        ({"tables": ["bank/public_*"]}, {}, "policy tables: lr_0: table bank/clients"),
        ({"floors": {"key_length": 2048}}, {"encrypt_param": {"key_length": 1024}}, "policy floors.key_length"),
        (
            {},
            {"protocol": "paillier", "encrypt_param": {"key_length": 1024}},
            "policy floors.paillier_bits: lr_0 has 1024 bits, at least 2048",
        ),
        (
            {},
            {"protocol": "paillier", "batch_rows_per_column": 5.0},
            "policy floors.batch_rows_per_column: lr_0 has batch_rows_per_column 5, at least 10",
        ),
        (
            {},
            {"protocol": "shared", "optimizer": "adam", "batch_size": 19},
            "policy floors.batch_rows_per_column: lr_0 has batch_size 19",
        ),
        ({}, {"min_bin_rows": 19}, "policy floors.bin_rows: lr_0 has min_bin_rows 19, at least 20"),
        ({}, {"batch_size": 19}, "policy floors.batch_rows_per_column: lr_0 has batch_size 19, at least 10 x 2"),
    ],
)
def test_a_refusal_names_its_rule(
    catalogue: Catalogue, rules: dict[str, Any], params: dict[str, Any], rule: str
) -> None:
    policy = Policy.model_validate({"initiators": ["9999"], **rules})
    with pytest.raises(PolicyError, match=rule):
        policy.check(plan(params), catalogue)


def test_hashes_of_ids_leave_only_where_the_policy_says_so(catalogue: Catalogue) -> None:
    asked = plan({"intersect_method": "raw"}, "Intersection")
    for party, rules in (("default", {}), ("strict", {"raw_ids": False})):
        with pytest.raises(PolicyError, match=r"FED-532.*policy raw_ids: lr_0.*method raw") as refused:
            Policy.model_validate({"initiators": ["9999"], **rules}).check(asked, catalogue)
        assert refused.value.code == "FED-532", party
    Policy.model_validate({"initiators": ["9999"], "raw_ids": True}).check(asked, catalogue)
    Policy(initiators=["9999"]).check(plan({"intersect_method": "ecdh"}, "Intersection"), catalogue)


@pytest.mark.parametrize(
    "params",
    [
        {"batch_size": 20},
        {"batch_size": -1},
        {"batch_size": 1, "protocol": "shared", "batch_rows_per_column": 0.0},
        {"batch_size": None},
    ],
)
def test_batches_matter_only_where_gradients_can_be_seen(catalogue: Catalogue, params: dict[str, Any]) -> None:
    Policy(initiators=["9999"]).check(plan(params), catalogue)


def test_a_party_may_permit_short_keys_and_small_batches(catalogue: Catalogue) -> None:
    floors = {"paillier_bits": 1024, "batch_rows_per_column": 5}
    params = {"protocol": "paillier", "encrypt_param": {"key_length": 1024}, "batch_rows_per_column": 5.0}
    Policy.model_validate({"initiators": ["9999"], "floors": floors}).check(plan(params), catalogue)
    Policy(initiators=["9999"]).check(plan({"protocol": "shared", "encrypt_param": {"key_length": 1024}}), catalogue)


@pytest.mark.parametrize(
    ("floor", "asked", "members", "refused"),
    [
        (3, 3, (ARBITER, GUEST, HOST, OTHER_HOST), None),
        (3, 3, (ARBITER, GUEST, HOST), r"floors\.contributors: lr_0 has 2 contributors, at least 3 is needed"),
        (3, 3, (GUEST, HOST, Member(Role.HOST, "9999")), r"floors\.contributors: lr_0 has 2 contributors"),
        (3, 2, (ARBITER, GUEST, HOST, OTHER_HOST), r"floors\.contributors: lr_0 has min_contributors 2"),
        (2, 2, (ARBITER, GUEST, HOST), None),
        (3, None, (ARBITER, GUEST, HOST), None),
    ],
)
def test_secure_sums_need_enough_contributors(
    catalogue: Catalogue, floor: int, asked: int | None, members: tuple[Member, ...], refused: str | None
) -> None:
    policy = Policy.model_validate({"initiators": ["9999"], "floors": {"contributors": floor}})
    step = replace(plan({"min_contributors": asked} if asked else {}).steps["lr_0"], members=members)
    with pytest.raises(PolicyError, match=f"FED-533.*{refused}") if refused else nullcontext():
        policy.check(replace(plan(), steps={"lr_0": step}), catalogue)


@pytest.mark.parametrize(
    ("rules", "rule"), [({}, r"floors\.batch_rows_per_column: lr_0"), ({"tables": ["bank/public_*"]}, "tables: lr_0")]
)
def test_what_the_jobs_before_it_read_counts(catalogue: Catalogue, rules: dict[str, Any], rule: str) -> None:
    step = replace(plan({"batch_size": 19}).steps["lr_0"], data={})
    later, policy = replace(plan(), steps={"lr_0": step}), Policy.model_validate({"initiators": ["9999"], **rules})
    policy.check(later, catalogue)
    with pytest.raises(PolicyError, match=rule):
        policy.check(later, catalogue, [plan()])


def test_a_floor_that_was_raised_since_holds_for_a_rerun() -> None:
    before, now = (
        Policy(initiators=["9999"]),
        Policy.model_validate({"initiators": [], "floors": {"min_intersection": 99}}),
    )
    admitted = before.enforced(plan({}, "Intersection"))
    before.check_floors(admitted)
    with pytest.raises(PolicyError, match=r"floors\.min_intersection is 99 now"):
        now.check_floors(admitted)


def test_a_refusal_does_not_tell_what_others_may(catalogue: Catalogue) -> None:
    for rules in ({"initiators": ["rival"]}, {"initiators": ["9999"], "tables": ["rival/*"]}):
        with pytest.raises(PolicyError) as refused:
            Policy.model_validate(rules).check(plan(), catalogue)
        assert "rival" not in str(refused.value)


@pytest.mark.parametrize(("asked", "runs"), [(10, 100), (100, 100), (500, 500)])
def test_the_floor_raises_what_the_job_asks_for(asked: int, runs: int) -> None:
    policy = Policy.model_validate({"initiators": ["9999"], "floors": {"min_intersection": 100}})
    params = {"min_intersection": asked, "only_output_key": True}
    enforced = policy.enforced(plan(params, "Intersection")).steps["lr_0"].params
    assert enforced == {"min_intersection": runs, "only_output_key": True}
    assert policy.enforced(plan({"batch_size": 5})) == plan({"batch_size": 5})


def test_a_missing_table_is_refused_before_anything_runs(catalogue: Catalogue) -> None:
    with pytest.raises(DataError, match="table bank/other does not exist"):
        Policy(initiators=["*"]).check(plan(name=TableName("bank", "other")), catalogue)


def outputs(rows: int) -> bytes:
    return json.dumps({"data": {"data": {"path": "x", "rows": rows, "digest": ""}}}).encode()


def test_a_small_intersection_is_never_used() -> None:
    policy = Policy.model_validate({"initiators": ["9999"], "floors": {"min_intersection": 100}})
    policy.check_outputs("Intersection", outputs(100))
    policy.check_outputs("DataIO", outputs(1))
    policy.check_outputs("Intersection", b"{}")
    with pytest.raises(PolicyError, match=r"floors.min_intersection: the intersection has 99 rows, at least 100"):
        policy.check_outputs("Intersection", outputs(99))


@pytest.mark.parametrize(
    "text",
    [
        "initiators: 9999",
        "initiators: ['9999']\nmodule: ['*']",
        "initiators: ['9999']\nfloors: {key_length: 512}",
        "initiators: ['9999']\nmay_cancel: 'yes'",
        "initiators: [*all]",
        "",
    ],
)
def test_a_wrong_file_is_an_error_not_a_wider_policy(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(FedError, match="FED-531"):
        load_policy(file)


@pytest.mark.parametrize(
    ("text", "words"), [("initiators: rival", "initiators: Input should be"), ("a: 1\ntables: [rival", "in line 2")]
)
def test_an_error_in_the_file_does_not_tell_what_is_in_it(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=words) as wrong:
        load_policy(file)
    assert "rival" not in str(wrong.value)


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="airfed party init"):
        load_policy(tmp_path / "policy.yaml")


def test_public_data_may_tell_any_number_of_equations(tmp_path: Path) -> None:
    found = {}
    for public in (False, True):
        path = tmp_path / f"{public}.yaml"
        path.write_text(default_policy("9999", ["10000"], public_data=public))
        found[public] = load_policy(path)
    assert (found[False].budgets.equations.lifted, found[True].budgets.equations.lifted) == (False, True)
    assert found[False].budgets.psi_ids == found[True].budgets.psi_ids
    assert (found[False].floors.contributors, found[True].floors.contributors) == (3, 2)


def test_a_prediction_sums_nothing(catalogue: Catalogue) -> None:
    step = replace(plan({"min_contributors": 2}).steps["lr_0"], model=ModelRef("lr_0", "lr"))
    Policy.model_validate({"initiators": ["9999"]}).check(replace(plan(), steps={"lr_0": step}), catalogue)


def test_batches_of_a_secure_sum_may_be_small(catalogue: Catalogue) -> None:
    policy = Policy.model_validate({"initiators": ["9999"], "floors": {"contributors": 2}})
    for given, refused in (({}, True), ({"min_contributors": 2}, False)):
        job = plan({"batch_size": 10, "batch_rows_per_column": 10.0, **given})
        with pytest.raises(PolicyError, match=r"floors\.batch_rows_per_column") if refused else nullcontext():
            policy.check(job, catalogue)


def test_the_rules_are_those_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    for slots in (3, 4, 5):
        path.write_text(f"initiators: []\nslots: {slots}\n")
        os.utime(path, ns=(slots, slots))
        assert [load_policy(path).slots for _ in range(2)] == [slots, slots]
    other = tmp_path / "other"
    other.write_text("initiators: []\nslots: 6\n")
    os.utime(other, ns=(5, 5))
    other.rename(path)
    assert load_policy(path).slots == 6
    path.write_text("slots: many\n")
    with pytest.raises(PolicyError, match="FED-531"):
        load_policy(path)
    path.unlink()
    with pytest.raises(PolicyError, match="FED-530"):
        load_policy(path)


def test_there_is_a_budget_for_all_that_components_count() -> None:
    budgets = Policy.model_validate({"initiators": []}).budgets
    for component in registry().values():
        for kind in (*component.spends, *(component.prediction.spends if component.prediction else ())):
            assert budgets.of(kind)


def test_columns_of_declared_tables_count_as_far_as_their_files_tell(tmp_path: Path) -> None:
    place = tmp_path / "bank"
    place.mkdir()
    asked = plan({"batch_size": 25, "protocol": "paillier"}, name=TableName("bank", "text"))
    for descriptor, refused in (("kind: csv", True), ("{kind: sql, connection: c, table: t}", False)):
        (place / "text.yaml").write_text(descriptor)
        (place / "text.csv").write_text("id,x,y,z\na,1,2,3\n") if refused else (place / "text.csv").unlink()
        with pytest.raises(PolicyError, match="10 x 3 columns") if refused else nullcontext():
            Policy(initiators=["9999"]).check(asked, Catalogue(tmp_path))


def test_a_descriptor_that_is_wrong_is_refused_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "text.yaml").write_text("{kind: sql, connection: secret, table: t, password: secret}")
    with pytest.raises(DataError, match="FED-850") as caught:
        Policy(initiators=["9999"]).check(plan(name=TableName("bank", "text")), Catalogue(tmp_path))
    assert "secret" not in str(caught.value)


def test_a_step_that_takes_more_than_a_share_is_refused_at_once(catalogue: Catalogue) -> None:
    twice = replace(plan(), members=(Member(Role.GUEST, HOST.party), HOST, GUEST))
    for rules, refused in (({}, False), ({"slots_per_initiator": 2}, False), ({"slots_per_initiator": 1}, True)):
        policy = Policy.model_validate({"initiators": ["*"], **rules})
        with pytest.raises(PolicyError, match="slots_per_initiator: a step takes 2") if refused else nullcontext():
            policy.check(twice, catalogue)
