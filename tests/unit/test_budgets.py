"""What peers learn is summed over jobs, kept, and refused beyond the policy's limit."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from federated_operators import budgets
from federated_operators.budgets import StoredBudget, budget_of, source_tables
from federated_operators.gateway.plan import DataRef
from federated_operators.gateway.policy import Budgets, Policy, default_policy, load_policy
from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams
from federatedml.errors import PolicyError
from federatedml.federation.box import AttemptKey, Box
from federatedml.federation.home import PartyHome
from federatedml.federation.local import LocalNetwork
from tests.members import GUEST, HOST
from tests.unit.test_intersection import case
from tests.unit.test_policy import TABLE, plan

KEY = AttemptKey("9999", "20260728120000000001", "match_0", 1, 1)


def account(folder: Path, attempt: AttemptKey = KEY, **limits: Any) -> StoredBudget:
    policy = Policy.model_validate({"initiators": ["9999"], "budgets": {"psi_ids": limits} if limits else {}})
    return StoredBudget(folder / "gateway" / "budgets.db", lambda: policy, HOST, attempt)


def job(number: int) -> AttemptKey:
    return replace(KEY, job_id=f"2026072812000000{number:04}")


def test_sums_are_kept_over_jobs_per_kind_peer_and_subject(tmp_path: Path) -> None:
    assert account(tmp_path, job(1)).spend("psi_ids", "9999", "t", 30) == 30
    assert account(tmp_path, job(2)).spend("psi_ids", "9999", "t", 12) == 42
    assert account(tmp_path, job(2)).spend("psi_ids", "9999", "other table", 1) == 1
    assert account(tmp_path, job(2)).spend("psi_ids", "10002", "t", 2) == 2
    assert account(tmp_path, job(2)).spend("equations", "9999", "t", 3) == 3


def test_several_spends_of_one_attempt_add_up(tmp_path: Path) -> None:
    spender = account(tmp_path)
    assert [spender.spend("psi_ids", "9999", "t", 5) for _ in range(3)] == [5, 10, 15]


def test_a_repeated_attempt_spends_only_what_is_more(tmp_path: Path) -> None:
    assert [
        account(tmp_path, replace(KEY, attempt=n)).spend("psi_ids", "9999", "t", amount)
        for n, amount in ((1, 30), (2, 30), (3, 10), (4, 35))
    ] == [30, 30, 30, 35]
    assert account(tmp_path, replace(KEY, generation=2)).spend("psi_ids", "9999", "t", 30) == 65


def test_ten_attempts_are_free_and_more_are_not(tmp_path: Path) -> None:
    """A peer that breaks every attempt off after the answer could test another list in each."""
    sums = [account(tmp_path, replace(KEY, attempt=n)).spend("psi_ids", "9999", "t", 7) for n in range(1, 22)]
    assert sums == [7] * 10 + [14] * 10 + [21]


def test_beyond_the_limit_nothing_is_noted(tmp_path: Path) -> None:
    assert account(tmp_path, job(1), most=100).spend("psi_ids", "9999", "t", 60) == 60
    with pytest.raises(PolicyError) as refused:
        account(tmp_path, job(2), most=100).spend("psi_ids", "9999", "t", 41)
    assert refused.value.code == "FED-747"
    for word in ("budgets.psi_ids", "party 10000", "party 9999", "spent 60", "41 more", "at most 100"):
        assert word in refused.value.message
    assert account(tmp_path, job(3), most=100).spend("psi_ids", "9999", "t", 40) == 100


def test_a_computations_own_limit_holds_besides_unless_the_policy_lifts_it(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"FED-747.*at most 10 are allowed ever"):
        account(tmp_path, most=100).spend("psi_ids", "9999", "t", 11, most=10)
    with pytest.raises(PolicyError, match="at most 5"):
        account(tmp_path, most=5).spend("psi_ids", "9999", "t", 6, most=10)
    assert account(tmp_path, most=100, lifted=True).spend("psi_ids", "9999", "t", 11, most=10) == 11


def test_what_is_older_than_the_period_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(budgets.time, "time", lambda: now)
    assert account(tmp_path, job(1), most=10, days=2).spend("psi_ids", "9999", "t", 8) == 8
    now += 1.9 * 86400
    with pytest.raises(PolicyError, match="at most 10 are allowed within 2 days"):
        account(tmp_path, job(2), most=10, days=2).spend("psi_ids", "9999", "t", 8)
    now += 0.2 * 86400
    assert account(tmp_path, job(2), most=10, days=2).spend("psi_ids", "9999", "t", 8) == 8
    assert account(tmp_path, job(3)).spend("psi_ids", "9999", "t", 8) == 24


def test_spenders_at_once_never_pass_the_limit_together(tmp_path: Path) -> None:
    refused: list[PolicyError] = []

    def spend(number: int) -> None:
        try:
            account(tmp_path, job(number), most=5).spend("psi_ids", "9999", "t", 1)
        except PolicyError as error:
            refused.append(error)

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    with closing(sqlite3.connect(tmp_path / "gateway" / "budgets.db")) as db:
        assert db.execute("SELECT SUM(amount) FROM spent").fetchone() == (5,)


def test_the_file_is_the_partys_own(tmp_path: Path) -> None:
    account(tmp_path).spend("psi_ids", "9999", "t", 1)
    file = tmp_path / "gateway" / "budgets.db"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("amount", [0, -5])
def test_nothing_and_less_cannot_be_spent(tmp_path: Path, amount: int) -> None:
    with pytest.raises(ValueError, match="nothing to spend"):
        account(tmp_path).spend("psi_ids", "9999", "t", amount)


def test_the_policy_of_the_home_counts_as_it_is_now(tmp_path: Path) -> None:
    home = PartyHome(tmp_path)
    home.policy.write_text("initiators: []\nbudgets: {psi_ids: {most: 3}}\n")
    assert budget_of(home, HOST, job(1)).spend("psi_ids", "9999", "t", 3) == 3
    with pytest.raises(PolicyError, match="FED-747"):
        budget_of(home, HOST, job(2)).spend("psi_ids", "9999", "t", 1)
    home.policy.write_text("initiators: []\nbudgets: {psi_ids: {most: 4}}\n")
    assert budget_of(home, HOST, job(2)).spend("psi_ids", "9999", "t", 1) == 4


@pytest.mark.parametrize(
    "wrong",
    [{"psi": {"most": 1}}, {"psi_ids": {"most": 0}}, {"psi_ids": {"days": 0}}, {"psi_ids": 5}, {"psi_ids": {"max": 1}}],
)
def test_budgets_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="budgets"):
        Policy.model_validate({"initiators": [], "budgets": wrong})


def test_a_new_partys_policy_spells_the_defaults_out(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(default_policy("10000", []))
    assert load_policy(file).budgets == Budgets()
    assert load_policy(file).raw_ids is False


def test_the_subject_is_the_stored_table_behind_the_steps() -> None:
    made = plan()
    later = replace(made.steps["lr_0"], component="match_0", data={"data": (DataRef("lr_0", "train"),)})
    chained = replace(made, steps={**made.steps, "match_0": later})
    assert source_tables(chained, "match_0") == source_tables(made, "lr_0") == (str(TABLE),)
    elsewhere = replace(later, data={"data": (DataRef("earlier_0", "train"),)})
    alone = replace(made, steps={"match_0": elsewhere})
    assert source_tables(alone, "match_0") == source_tables(alone, "match_0", {"earlier_0": ()}) == ()
    assert source_tables(alone, "match_0", {"earlier_0": ("bank/a", "bank/b")}) == ("bank/a", "bank/b")


class Accounting(LocalNetwork):
    """A network whose host keeps an account."""

    def account_of(self, box: Box, most: int) -> None:
        if box.me == HOST:
            box.budget = account(self.folder, box.attempt, most=most)


def intersect(
    network: Accounting,
    number: int,
    host: list[str],
    most: int,
    monkeypatch: pytest.MonkeyPatch,
    tables: tuple[str, ...] = (),
) -> None:
    """Run one job."""
    for role, function in list(INTERSECTION.roles.items()):

        def counted(p: Any, box: Box, inputs: Any, function: Any = function) -> Any:
            network.account_of(box, most)
            box.tables = tables
            return function(p, box, inputs)

        monkeypatch.setitem(INTERSECTION.roles, role, counted)
    step = case({GUEST: [f"u{i}" for i in range(10)], HOST: host}, IntersectParams(min_intersection=1))
    try:
        network.run(step.component, step.params, step.inputs, "match_0", f"2026072812000000{number:04}")
    finally:
        monkeypatch.undo()


def test_the_intersection_that_passes_the_limit_gets_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T9: a guest that tries the whole domain, ten ids a job, is stopped by the host's account."""
    ids = ["u1", "u2", "x"]
    for number in range(3):
        intersect(Accounting(tmp_path), number, ids, 30, monkeypatch)
    network = Accounting(tmp_path)
    with pytest.raises(
        PolicyError, match=r"FED-747.*budgets\.psi_ids of party 10000: party 9999 has spent 30 .*10 more"
    ):
        intersect(network, 3, ids, 30, monkeypatch)
    assert {message.key.topic for message in network.sent if message.key.source == HOST} <= {"host_size"}


def test_data_of_unknown_tables_have_one_account_whatever_ids_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T9: who submits jobs on samples of an earlier job's outputs makes as many sets of ids as there are seeds."""
    intersect(Accounting(tmp_path), 1, ["u1", "x"], 10, monkeypatch)
    with pytest.raises(PolicyError, match="FED-747"):
        intersect(Accounting(tmp_path), 2, ["u1", "y"], 10, monkeypatch)


def test_a_table_has_one_account_whatever_other_tables_a_job_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T9: a job with one more table, of which nothing is used, is no new account."""
    intersect(Accounting(tmp_path), 1, ["u1", "x"], 10, monkeypatch, ("a",))
    intersect(Accounting(tmp_path), 2, ["u1", "x"], 10, monkeypatch, ("b",))
    for number, others in enumerate([("a", "c"), ("b", "c")], start=3):
        with pytest.raises(PolicyError, match="FED-747"):
            intersect(Accounting(tmp_path), number, ["u1", "x"], 10, monkeypatch, others)


def test_a_limit_that_is_about_own_rows_is_not_told(tmp_path: Path) -> None:
    """HeteroLR states how many rows the rarer class has."""
    with pytest.raises(PolicyError) as refused:
        account(tmp_path, most=None).spend("equations", "9999", "t", 120, most=113)
    assert "113" not in refused.value.message
    assert "113" in refused.value.hint
