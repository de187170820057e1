"""T9: a peer tests no more ids than it is charged for, names no more matches than ids, and fits into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.component import Inputs, Outputs
from federatedml.components import intersection, intersection_cached, intersection_kkrt, intersection_rsa
from federatedml.components.intersection import GUEST_SIZE, HOST_SIZE, INTERSECTION, chosen
from federatedml.components.intersection_kkrt import MATCHES
from federatedml.components.intersection_method import Pair, Positions
from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.id_column import IdColumn
from federatedml.crypto.psi import sizes
from federatedml.crypto.psi.sizes import Sizes
from federatedml.errors import DataError, PolicyError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Member, Role
from tests import kkrt_pair
from tests.conformance import Case
from tests.members import GUEST, HOST
from tests.unit.test_intersection import ONE, case
from tests.unit.test_intersection_rsa import hostile

CLAIMED = 50
EVERY = 3000  # ids that the greedy side puts in
METHODS: dict[str, dict[str, Any]] = {
    "ecdh": {"intersect_method": "ecdh"},
    "kkrt": {"intersect_method": "kkrt"},
    "rsa": {"intersect_method": "rsa", "rsa_params": {"key_length": 1024}},
    "raw": {"intersect_method": "raw"},
    "cached": {"run_cache": True},
    "count": {"cardinality_only": True},
}


def params(name: str, **more: Any) -> IntersectParams:
    return IntersectParams.model_validate({"min_intersection": 1, **METHODS[name], **more})


@dataclass
class Account:
    """A budget with one limit, for all that is spent by whoever it is."""

    most: int = 10**9
    spent: dict[str, int] = field(default_factory=dict)

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        self.spent[peer] = self.spent.get(peer, 0) + amount
        if self.spent[peer] > self.most:
            raise PolicyError("FED-747", f"{kind}: {amount} more of {self.most}")
        return amount


def accounts(monkeypatch: pytest.MonkeyPatch, account: Account) -> None:
    """Have both parties spend from ``account``."""
    for role, function in list(INTERSECTION.roles.items()):

        def counted(p: Any, box: Box, inputs: Inputs, function: Any = function) -> Outputs:
            box.budget = account
            return function(p, box, inputs)

        monkeypatch.setitem(INTERSECTION.roles, role, counted)


def greedy_guest(learned: list[str]) -> Callable[[Any, Box, Inputs], Outputs]:
    """A guest that names few ids, puts all that it has into the rows of the transfer, and tells the host of few."""

    def run(p: IntersectParams, box: Box, inputs: Inputs) -> Outputs:
        mine = inputs.one("data")
        box.send(GUEST_SIZE, np.array([CLAIMED], "<u8"))
        theirs = int(box.recv(HOST_SIZE)[0])
        roomy = replace(Sizes.of(CLAIMED, theirs), guest_ids=EVERY)
        buckets, found = intersection_kkrt._compared(Pair(box, HOST, p, IdColumn(mine.ids), theirs), roomy)
        learned.extend(mine.ids[at] for b, (_, items) in enumerate(found) for at in buckets[b][items])
        for bucket, (rows, _) in enumerate(found):
            box.send(MATCHES, rows[:2], bucket, to=HOST)
        return Outputs(mine)

    return run


def attack(monkeypatch: pytest.MonkeyPatch, most: int) -> tuple[Case, list[str]]:
    """A step with the greedy guest and a host that lets it test ``most`` ids; what the guest learns in it."""
    monkeypatch.setattr(sizes, "BUCKET_IDS", 200)
    learned: list[str] = []
    monkeypatch.setitem(INTERSECTION.roles, Role.GUEST, greedy_guest(learned))
    accounts(monkeypatch, Account(most))
    ids = {GUEST: [f"u{i}" for i in range(EVERY)], HOST: [f"u{i}" for i in range(0, 8000, 2)]}
    return case(ids, params("kkrt")), learned


def test_a_guest_that_puts_in_more_ids_than_it_names_gets_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could test one id in each row of each bucket, and is charged for all of them before anything leaves."""
    (step, learned), network = attack(monkeypatch, EVERY), LocalNetwork(tmp_path)
    with pytest.raises(PolicyError, match="FED-747"):
        network.run(step.component, step.params, step.inputs)
    assert learned == []
    assert {message.key.topic for message in network.sent if message.key.source == HOST} <= {"host_size"}


def test_a_guest_learns_of_no_more_ids_than_it_is_charged_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "BUCKET_IDS", 200)
    charged = Sizes.of(CLAIMED, 4000).guest_tests
    step, learned = attack(monkeypatch, charged)
    step.run(tmp_path)
    assert len(learned) == EVERY // 2  # the attack works: what stops it is the account
    assert charged >= EVERY


def crowded(claimed: int) -> Callable[[Pair], Positions]:
    """A host that names ``claimed`` ids and puts one into every entry of every bucket."""

    def run(pair: Pair) -> Positions:
        told, digests = Sizes.of(pair.theirs, claimed), pair.ids.digests()
        oprf, buckets = intersection_kkrt._host_setup(pair, replace(told, host_ids=len(digests)), digests)
        oprf._sizes = told
        places = []
        for bucket in range(told.buckets):
            turn, matrix = intersection_kkrt._query(pair, told, bucket)
            values, rows = oprf.values(bucket, digests[buckets[bucket][: told.host_ids]], turn, matrix)
            pair.box.send(intersection_kkrt.VALUES, values, bucket)
            places.append(rows.astype(np.uint32))
        found = [pair.box.recv(MATCHES, bucket, source=pair.peer) for bucket in range(told.buckets)]
        return np.concatenate(
            [buckets[b][intersection_kkrt._items(pair, rows, places[b], told.host_ids)] for b, rows in enumerate(found)]
        )

    return run


def test_a_host_that_puts_in_more_ids_than_it_names_learns_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "BUCKET_IDS", 200)
    ids = {GUEST: [f"u{i}" for i in range(4000)], HOST: [f"u{i}" for i in range(0, 6000, 2)]}

    def guest(pair: Pair) -> Positions:
        return intersection_kkrt.guest(replace(pair, theirs=CLAIMED))

    step, network = kkrt_pair.case(ids, guest=guest, host=crowded(CLAIMED)), LocalNetwork(tmp_path)
    with pytest.raises(ProtocolError, match=r"FED-742.*more ids in common than the 50 that it named"):
        step.over(network)
    assert "kkrt_matches" not in {message.key.topic for message in network.sent}


def test_values_are_compared_only_with_ids_that_their_hash_function_placed(tmp_path: Path) -> None:
    """T9: the first hash function places most ids. A host that put first values of three ids into each entry would test
    nearly all of them, three for one answer; but first values match in the first place only."""
    ids = [f"u{i}" for i in range(300)]
    elsewhere = kkrt_pair.tampering(intersection_kkrt.host, intersection_kkrt.VALUES, lambda x: np.roll(x, 1, axis=1))
    with pytest.raises(DataError, match="FED-241"):
        kkrt_pair.case({GUEST: ids, HOST: ids}, host=elsewhere).run(tmp_path)


def test_an_entry_that_matches_two_ids_is_refused(tmp_path: Path) -> None:
    """T9: an entry with values of three ids, each in its place, has one answer at most."""
    ids = [f"u{i}" for i in range(300)]
    network = LocalNetwork(tmp_path)

    def three(values: np.ndarray) -> np.ndarray:
        return np.stack([np.roll(values[:, k], k, axis=0) for k in range(3)], axis=1)

    host = kkrt_pair.tampering(intersection_kkrt.host, intersection_kkrt.VALUES, three)
    with pytest.raises(ProtocolError, match=r"FED-733.*several ids"):
        kkrt_pair.case({GUEST: ids, HOST: ids}, host=host).over(network)
    assert "kkrt_matches" not in {message.key.topic for message in network.sent}


@pytest.mark.parametrize("name", METHODS)
def test_what_each_party_can_test_is_on_the_others_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sizes, "BUCKET_IDS", 20)
    account = Account()
    accounts(monkeypatch, account)
    case({GUEST: [f"u{i}" for i in range(30)], HOST: [f"u{i}" for i in range(100)]}, params(name)).run(tmp_path)
    by_rows = Sizes.of(30, 100)
    rows, entries = by_rows.buckets * 3 * by_rows.bins, by_rows.buckets * by_rows.host_ids
    assert by_rows.buckets == 5
    assert rows > 1000
    assert entries > 100
    expected = (rows, entries) if name == "kkrt" else (30, 100)
    assert (account.spent[GUEST.party], account.spent[HOST.party]) == expected


@pytest.mark.parametrize(
    ("lists", "name"),
    [
        ((5000, 5000), "kkrt"),
        ((10**5, 10**5), "kkrt"),
        ((10**6, 10**6), "kkrt"),
        ((10**7, 10**7), "kkrt"),
        ((10**5, 10**6), "kkrt"),
        ((10**6, 10**5), "kkrt"),
        ((50, 10**6), "ecdh"),
        ((50, 10**7), "ecdh"),
        ((10**4, 10**6), "ecdh"),
        ((10**6, 50), "ecdh"),
        ((1, 10_000), "ecdh"),
    ],
)
def test_auto_takes_kkrt_only_where_nobody_can_test_many_more_ids_than_it_names(
    lists: tuple[int, int], name: str
) -> None:
    assert chosen(ONE, [lists]).name == name
    tests = intersection_kkrt.tests(*lists)
    few = all(tests[role] <= 2 * count for role, count in zip((Role.GUEST, Role.HOST), lists, strict=True))
    assert few == (name == "kkrt")


@pytest.mark.parametrize("name", ["kkrt", "rsa", "raw", "cached"])
def test_a_guest_that_names_more_matches_than_ids_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    topics: dict[str, Any] = {
        "kkrt": MATCHES,
        "rsa": intersection_rsa.MATCHES,
        "raw": INTERSECTION.topic_table()["raw_at_host"],
        "cached": intersection_cached.MATCHES,
    }
    hostile(Role.GUEST, monkeypatch, topics[name], np.arange(3, dtype="<u4"))
    with pytest.raises(ProtocolError, match=r"FED-742.*guest_9999.*the 2 that it named"):
        case({GUEST: list("ab"), HOST: list("abc")}, params(name)).run(tmp_path)


@pytest.mark.parametrize("who", [GUEST, HOST])
@pytest.mark.parametrize("name", METHODS)
def test_a_list_beyond_the_methods_bound_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, who: Member
) -> None:
    bounded(monkeypatch, 3, *({"ECDH", "RSA", "CACHED", "AT_GUEST"} if name != "kkrt" else {"KKRT"}))
    network = LocalNetwork(tmp_path)
    step = case({member: list("abcd" if member == who else "ab") for member in (GUEST, HOST)}, params(name))
    said = {"count": "cardinality_only", "cached": "run_cache"}.get(name, f"method '{name}'")
    with pytest.raises(DataError, match=rf"FED-242.*{who}: 4 ids, {said} takes at most 3") as refused:
        network.run(step.component, step.params, step.inputs)
    assert ("intersect_method 'kkrt'" in refused.value.hint) == (name != "kkrt")
    assert who not in {message.key.source for message in network.sent}


def bounded(monkeypatch: pytest.MonkeyPatch, most: int, *names: str) -> None:
    """Let the methods with ``names`` take lists of ``most`` ids."""
    for name in names:
        monkeypatch.setattr(intersection, name, replace(getattr(intersection, name), most_ids=most))


def test_a_peer_that_names_more_ids_than_the_method_takes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before memory for them is taken, and before it is told anything."""
    bounded(monkeypatch, 3, "ECDH")

    def large(p: Any, box: Box, inputs: Inputs) -> None:
        box.send(GUEST_SIZE, np.array([4], "<u8"))
        box.recv(HOST_SIZE)
        box.recv(INTERSECTION.topic_table()["ecdh_host_ids"])

    monkeypatch.setitem(INTERSECTION.roles, Role.GUEST, large)
    network, step = LocalNetwork(tmp_path), case({GUEST: ["a"], HOST: list("abc")}, params("ecdh"))
    with pytest.raises(DataError, match=r"FED-242.*guest_9999: 4 ids, method 'ecdh' takes at most 3"):
        network.run(step.component, step.params, step.inputs)
    assert {message.key.topic for message in network.sent if message.key.source == HOST} == {"host_size"}


def test_auto_refuses_unequal_lists_that_ecdh_does_not_take_and_names_kkrt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded(monkeypatch, 3, "ECDH")
    with pytest.raises(DataError, match=r"FED-242.*host_10000: 4 ids, method 'ecdh' takes at most 3.*'kkrt'"):
        case({GUEST: ["a"], HOST: list("abcd")}).run(tmp_path)
