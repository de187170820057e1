"""What models and predictions tell is counted over jobs, before it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.component import Inputs, component
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.errors import PolicyError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from tests.conformance import Case
from tests.lr_cases import HOSTS, case, params, small, spread, weights
from tests.members import GUEST, HOST


class Account:
    """A party's sums, kept over jobs; refuses what passes the limit that the computation states."""

    def __init__(self, limited: bool = True) -> None:
        self.sums: Counter[tuple[str, str, str]] = Counter()
        self.limited = limited

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        total = self.sums[kind, peer, subject] + amount
        if self.limited and most is not None and total > most:
            raise PolicyError("FED-747", f"{kind}: {total} is more than {most}")
        self.sums[kind, peer, subject] = total
        return total


def counting(the_case: Case, accounts: dict[Member, Account], tables: Sequence[str] = ()) -> Case:
    """The same step, every party with its account."""

    def role(function: Any) -> Any:
        def run(p: Any, box: Box, inputs: Inputs) -> Any:
            box.budget = accounts.setdefault(box.me, Account())
            box.tables = tables
            return function(p, box, inputs)

        return run

    roles = {name: role(function) for name, function in HETERO_LR.roles.items()}
    return replace(the_case, component=replace(HETERO_LR, roles=roles))


def test_each_party_counts_what_every_other_learns(tmp_path: Path) -> None:
    accounts: dict[Member, Account] = {}
    result = counting(spread(params(), *small(120, 2, 4), 3), accounts).run(tmp_path)
    told = {
        member: {peer: n for (kind, peer, _), n in account.sums.items() if kind == "equations"}
        for member, account in accounts.items()
    }
    one, two, three = (host.party for host in HOSTS)
    assert told[GUEST] == {one: 1, two: 1, three: 2}
    assert told[HOSTS[0]] == {GUEST.party: 3, two: 1, three: 2}
    assert result.outputs[GUEST].summary["equations_of_all_models"] == 2
    assert result.outputs[HOST].summary["equations_of_all_models"] == 3


def test_predicted_rows_are_counted_by_the_host(tmp_path: Path) -> None:
    accounts: dict[Member, Account] = {}
    counting(case(params(), small(), small(30)), accounts).run(tmp_path)
    assert accounts[HOST].sums["predicted_rows", GUEST.party, ""] == 80
    assert not any(kind == "predicted_rows" for kind, *_ in accounts[GUEST].sums)


def test_what_is_counted_is_declared(tmp_path: Path) -> None:
    accounts: dict[Member, Account] = {}
    counting(case(params(), small(), small(30)), accounts).run(tmp_path)
    counted = {kind for account in accounts.values() for kind, *_ in account.sums}
    assert counted == set(component("HeteroLR").spends)
    assert component("HeteroLR", predicting=True).spends == ("predicted_rows",)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_each_look_at_validation_rows_is_counted(optimizer: str, tmp_path: Path) -> None:
    accounts: dict[Member, Account] = {}
    p = params(optimizer=optimizer, batch_size=-1, max_iter=4, validation_freqs=2)
    counting(case(p, small(), small(30)), accounts).run(tmp_path)
    assert accounts[HOST].sums["predicted_rows", GUEST.party, ""] == 80 + 2 * 30


def test_models_on_the_same_rows_add_up_until_half_the_rows(tmp_path: Path) -> None:
    accounts: dict[Member, Account] = {}
    the_case = counting(case(params(max_iter=1), small(40, 2, 9)), accounts)
    for job in range(2):
        the_case.run(tmp_path / str(job))
    guest, host = (table.take(np.arange(40)[::-1]) for table in small(40, 2, 9))
    turned = counting(case(params(max_iter=1), (guest, host)), accounts)
    for name, third in (("third", the_case), ("turned", turned)):
        with pytest.raises(PolicyError, match="equations: 27 is more than 20"):
            third.run(tmp_path / name)
    other_rows = counting(case(params(max_iter=1), small(41, 2, 9)), accounts)
    other_rows.run(tmp_path / "other")


def test_models_on_other_rows_of_a_table_add_up_too(tmp_path: Path) -> None:
    """T10: a party that leaves one id out of its list each time would have a new account for each model."""
    accounts: dict[Member, Account] = {}
    for rows in (40, 41):
        counting(case(params(max_iter=1), small(rows, 2, 9)), accounts, ("a",)).run(tmp_path / str(rows))
    with pytest.raises(PolicyError, match="equations: 27 is more than 21"):
        counting(case(params(max_iter=1), small(42, 2, 9)), accounts, ("a", "b")).run(tmp_path / "third")
    counting(case(params(max_iter=1), small(42, 2, 9)), accounts, ("c",)).run(tmp_path / "another table")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_no_weight_and_no_gradient_leaves_if_it_may_not_be_told(optimizer: str, tmp_path: Path) -> None:
    sent: list[str] = []

    class Full(Account):
        def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
            raise PolicyError("FED-747", "full")

    def guest(p: Any, box: Box, inputs: Inputs) -> Any:
        send = box.send
        box.send = lambda topic, *rest, **named: (sent.append(topic.name), send(topic, *rest, **named))  # type: ignore
        box.budget = Full()
        return HETERO_LR.roles[Role.GUEST](p, box, inputs)

    full = replace(HETERO_LR, roles={**HETERO_LR.roles, Role.GUEST: guest})
    with pytest.raises(PolicyError, match="FED-747"):
        replace(case(params(optimizer=optimizer, batch_size=-1), small()), component=full).run(tmp_path)
    assert sent == ["agreement", "shape"]


def labels_from_models(tmp_path: Path, limited: bool) -> float:
    """Share of labels that a host solves from its weights of several one-step models on the same rows.

    The attack of threat T9 over jobs: a model's weights are X^T (y - 1/2), and the host brings other columns each time.
    """
    rows, random = 60, np.random.default_rng(3)
    guest, _ = small(rows, 2, 1)
    labels = guest.labels()
    accounts: dict[Member, Account] = {m: Account(limited) for m in (GUEST, HOST)}
    seen, told = [], []
    for job in range(4):
        x = random.standard_normal((rows, 15))
        names = {f"h{j}": x[:, j] for j in range(15)}
        host = replace(small(rows, 2, 1)[1], columns=names)
        the_case = counting(case(params(batch_size=-1, max_iter=1), (guest, host)), accounts)
        try:
            outputs = the_case.run(tmp_path / str(job)).outputs
        except PolicyError:
            break
        seen.append(x.T * 0.15 / rows)
        told.append(weights(outputs)[3:])
    solved = np.linalg.lstsq(np.concatenate(seen), np.concatenate(told), rcond=None)[0]
    return float(np.mean((solved > 0) == (labels == 1)))


def test_many_models_would_tell_the_labels(tmp_path: Path) -> None:
    assert labels_from_models(tmp_path, limited=False) == 1.0


def test_counted_models_do_not(tmp_path: Path) -> None:
    assert labels_from_models(tmp_path, limited=True) < 0.95


def test_above_a_tenth_of_the_rows_it_is_warned_of(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    accounts: dict[Member, Account] = {}
    the_case = counting(case(params(max_iter=1), small(80)), accounts)
    for job in range(3):
        the_case.run(tmp_path / str(job))
    assert [r for r in caplog.records if "all models on these 80 rows" in r.getMessage()]
