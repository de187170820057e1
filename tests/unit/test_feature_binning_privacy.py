"""What each party sees of a HeteroFeatureBinning; attacks that work without a control, not with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.component import Inputs
from federatedml.components import binning_paillier
from federatedml.components.binning_bins import ColumnBins, bin_table, joined
from federatedml.components.binning_paillier import packing
from federatedml.components.hetero_feature_binning import HETERO_FEATURE_BINNING
from federatedml.components.quantile_bins import quantile_points
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.paillier.evaluator import Evaluator, evaluator
from federatedml.crypto.paillier.histogram import Rows
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.parts import unpacked
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Packed, Reply
from federatedml.errors import PolicyError
from federatedml.federation.box import Box
from federatedml.federation.local import StepResult
from federatedml.federation.party import Member
from federatedml.federation.topic import Carries
from tests.binning_cases import bin_tables, binning_case, binning_param
from tests.lr_cases import bodies
from tests.members import ARBITER, GUEST, HOST

KEY = generate(1024)
TOPICS = HETERO_FEATURE_BINNING.topic_table()
SHORT = {"encrypt_param": {"key_length": 1024}}
ROWS = 40


def packets(result: StepResult, topic: str) -> Iterator[Packed]:
    yield from (TOPICS[topic].codec.decode(body) for body in bodies(result, topic))


def two_bins(seed: int) -> BinTable:
    bins = np.random.default_rng(seed).integers(0, 2, (1, ROWS)).astype(np.uint16)
    return BinTable.of(bins, [2])


def rows_of(party: Evaluator, table: BinTable, elements: list[mpz]) -> Rows:
    """What a host makes of ciphertexts that the guest chose."""
    plan = packing(KEY.public, ROWS)
    vector = Encrypted(KEY.public, party.noise, elements, 0, 1)
    return party.plan_splits(table).rows(plan.receive(party, vector.seal()), plan)


def told(reply: Reply) -> int:
    """The only plaintext of an answer, as the owner of the key decrypts it."""
    (plain,) = KEY.decrypt(unpacked(reply.body, reply.width))
    return int(plain)


def in_first(table: BinTable) -> int:
    """The rows of the first bin as bits."""
    return sum(1 << row for row in range(ROWS) if table.bins[0, row] == 0)


def test_a_guest_that_encrypts_powers_of_two_reads_no_more_bits_than_a_sum_has() -> None:
    """Decision 3: row i is 2^i. A sum in clear names all rows of a bin; the answer only its low bits."""
    party, table, plan = evaluator(KEY.public), two_bins(0), packing(KEY.public, ROWS)
    chosen = [mpz(1 + KEY.public.n * (1 << row)) for row in range(ROWS)]
    sums = rows_of(party, table, chosen).sums()
    assert int(KEY.decrypt(sums.cells[:1])[0]) == in_first(table), "without flooding the attack works"
    low = 1 << 2 * plan.slot_bits
    both = in_first(table) + ((((1 << ROWS) - 1) ^ in_first(table)) << plan.slot_bits)
    answers = [told(sums.reveal()) for _ in range(64)]
    assert {answer % low for answer in answers} == {both % low}
    high = [answer >> 2 * plan.slot_bits for answer in answers]
    assert len(set(high)) == len(high)
    for row in range(2 * plan.slot_bits, ROWS):  # what would be a row's bit is a coin
        assert 6 < sum(answer >> row & 1 for answer in answers) < 58, row


def test_a_guest_that_encrypts_above_what_is_told_learns_nothing() -> None:
    party, plan = evaluator(KEY.public), packing(KEY.public, ROWS)
    low = 1 << 2 * plan.slot_bits
    beyond = [mpz(1 + KEY.public.n * (low << row)) for row in range(ROWS)]
    for seed in range(3):
        sums = rows_of(party, two_bins(seed), beyond).sums()
        assert int(KEY.decrypt(sums.cells[:1])[0]) == low * in_first(two_bins(seed)), "without flooding it names all"
        assert told(sums.reveal()) % low == 0


def noise_of(ciphertext: mpz) -> int:
    """r of c = (1 + n)^m r^n modulo n^2, which the owner of the key can find."""
    n, order = KEY.public.n, gmpy2.lcm(KEY.p - 1, KEY.q - 1)
    return int(gmpy2.powmod(ciphertext % n, gmpy2.invert(n, order), n))


def test_a_guest_that_chooses_its_noise_reads_no_rows_from_sums() -> None:
    """Decision 2: with a prime of its own in each row's noise, a sum's noise names the rows of the bin."""
    party, table = evaluator(KEY.public), two_bins(1)
    primes = [int(gmpy2.next_prime(10**6 * (row + 1))) for row in range(ROWS)]
    chosen = [gmpy2.powmod(prime, KEY.public.n, KEY.public.n2) for prime in primes]
    vector = Encrypted(KEY.public, party.noise, chosen, 0, 1)
    plan = packing(KEY.public, ROWS)
    sums = Rows(table, replace(vector, bound=2**6), plan, party.compute).sums()
    of_first = np.flatnonzero(table.bins[0] == 0).tolist()
    assert len(of_first) > 10
    assert [row for row, prime in enumerate(primes) if noise_of(sums.cells[0]) % prime == 0] == of_first
    (sent,) = unpacked(sums.reveal().body, KEY.public.width)
    named = [row for row, prime in enumerate(primes) if noise_of(sent) % prime == 0]
    assert len(named) < 2, "only by chance, four in a million all together"


def test_no_ciphertext_is_another_one_plus_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T13, over all that crosses the border: c' / c = 1 + k n would tell k."""
    monkeypatch.setattr(binning_paillier, "generate", lambda bits: KEY)
    result = binning_case(bin_tables(60, hosts=2), bin_num=2, **SHORT).run(tmp_path)
    found = {
        int(c)
        for topic in ("encrypted_labels", "event_sums")
        for p in packets(result, topic)
        for c in unpacked(p.body, p.width)
    }
    n, n2 = KEY.public.n, KEY.public.n2
    labels = [int(c) for c in unpacked(next(packets(result, "encrypted_labels")).body, KEY.public.width)]
    assert len(found) == 60 + 2
    assert not any(mpz(b) * gmpy2.invert(a, n2) % n2 % n == 1 for a in labels for b in found if a != b)


def test_the_guest_tells_hosts_nothing_that_depends_on_labels_in_clear(tmp_path: Path) -> None:
    for arbiter in (False, True):
        case = binning_case(bin_tables(60), arbiter, **SHORT)
        running = case.component.variant(case.component, case.params[GUEST])
        for topic in running.topics:
            if GUEST.role in topic.source and HOST.role in topic.to:
                assert topic.carries in (Carries.CONTROL, Carries.PUBLIC_KEY, Carries.CIPHERTEXT, Carries.MASKED)
        plain = {t.name for t in running.topics if t.carries is Carries.AGGREGATE or t.carries is Carries.SHARES}
        assert plain == ({"bins", "event_shares"} if arbiter else {"bins", "event_sums"})
        result = case.run(tmp_path / str(arbiter))
        to_arbiter = {m.key.topic for m in result.sent if m.key.destination == ARBITER}
        assert to_arbiter == ({"rows", "map_shape"} if arbiter else set())


def test_masked_labels_and_bins_are_uniform_words(tmp_path: Path) -> None:
    """The same constant table twice: neither words nor their differences repeat."""
    tables = bin_tables(2000, missing=0)
    words: dict[str, list[Any]] = {"masked_labels": [], "masked_bins": []}
    for run in range(2):
        result = binning_case(tables, True).run(tmp_path / str(run))
        for topic, found in words.items():
            found.append(np.frombuffer(next(packets(result, topic)).body, "<u4"))
    for first, second in words.values():
        for seen in (first, second, second - first):
            counts = np.histogram(seen, bins=16, range=(0, 2**32))[0]
            expected = len(seen) / 16
            assert ((counts - expected) ** 2 / expected).sum() < 84, "15 degrees of freedom: 1 in 10^11"


CELL = st.one_of(st.just(float("nan")), st.integers(-3, 3).map(float), st.floats(-10, 10))


@settings(deadline=None)
@given(st.lists(CELL, max_size=120), st.integers(2, 12), st.integers(1, 25))
def test_no_bin_of_a_host_has_few_rows(cells: list[float], most: int, least: int) -> None:
    values = np.array(cells, float)
    found = joined(values, quantile_points(values, most), least)
    assert found.counts.sum() == len(values)
    assert len(found.counts) == 1 or found.counts.min() >= least
    assert np.bincount(found.of(values), minlength=len(found.counts)).tolist() == found.counts.tolist()
    assert (np.diff(found.points) > 0).all()
    assert len(found.counts) == len(found.points) + found.has_missing


def test_without_the_rule_a_bin_would_name_a_label(tmp_path: Path) -> None:
    """A column that singles out one row tells its label: to the guest, who knows it, which row it is."""
    tables = bin_tables(200, missing=0)
    lonely = np.arange(200) % 2 * 1.0
    lonely[7] = 5.0
    tables[HOST] = replace(tables[HOST], columns={"h0": lonely})
    for least, sizes in ((1, [100, 99, 1]), (20, [100, 100])):
        case = binning_case(tables, min_bin_rows=least, bin_num=200, **SHORT)
        result = case.run(tmp_path / str(least))
        assert TOPICS["bins"].codec.decode(bodies(result, "bins")[0])["counts"].tolist() == sizes
        learns = case.component.variant(case.component, case.params[GUEST]).learns[GUEST.role]
        assert any("EXCEPTION" in text for text in learns) == (least < 20)


class Account:
    """A party's sums, kept over jobs."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[str, str, str]] = Counter()

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        total = self.sums[kind, peer, subject] + amount
        if most is not None and total > most:
            raise PolicyError("FED-747", f"{kind}: {total} is more than {most}")
        self.sums[kind, peer, subject] = total
        return total


@pytest.mark.parametrize(
    ("arbiter", "bits", "copies"), [(False, 8, 1), (True, 32, 1), (False, 8, 2)], ids=["paillier", "shared", "copies"]
)
def test_hosts_count_the_bits_that_sums_tell(arbiter: bool, bits: int, copies: int, tmp_path: Path) -> None:
    """With vectors of its choice the guest would know a bin's rows after rows / bits jobs."""
    accounts: dict[Member, Account] = {}
    tables = {member: replace(data, copies=copies) for member, data in bin_tables(100).items()}
    case = binning_case(tables, arbiter, **SHORT)

    def role(function: Any) -> Any:
        def run(p: Any, box: Box, inputs: Inputs) -> Any:
            box.budget = accounts.setdefault(box.me, Account())
            box.tables = ("breast/host",)
            return function(p, box, inputs)

        return run

    roles = {name: role(function) for name, function in HETERO_FEATURE_BINNING.roles.items()}
    counted = replace(case, component=replace(HETERO_FEATURE_BINNING, roles=roles))
    jobs = 50 // copies // bits
    for job in range(jobs):
        counted.run(tmp_path / str(job))
    assert {(kind, peer): n for (kind, peer, _), n in accounts[HOST].sums.items()} == {
        ("bin_sums", GUEST.party): jobs * bits
    }
    assert not accounts[GUEST].sums
    with pytest.raises(PolicyError, match="bin_sums"):
        counted.run(tmp_path / "one more")


def test_bins_and_their_table_agree() -> None:
    tables = bin_tables(200)
    bins = {"h1": joined(tables[HOST].columns["h1"], np.array([-0.5, 0.5, 3.5]), 20)}
    found = bin_table(tables[HOST], bins)
    assert isinstance(bins["h1"], ColumnBins)
    assert found.counts == (len(bins["h1"].counts),)
    assert np.bincount(found.bins[0]).tolist() == bins["h1"].counts.tolist()


def test_rows_of_one_person_do_not_make_a_bin(tmp_path: Path) -> None:
    """A guest that has rows repeated gets a bin per person, unless the table says how often one may be there."""
    people = np.repeat(np.arange(30), 40)
    few = bin_tables(30, missing=0)
    few[GUEST].columns["y"][:2] = 0, 1
    ids = np.array([*map(str, range(len(people))), None], object)[:-1]
    tables = {member: replace(data.take(people), ids=ids) for member, data in few.items()}
    for copies, alone in ((1, 30), (40, 1)):
        marked = {member: replace(data, copies=copies) for member, data in tables.items()}
        found = binning_param(binning_case(marked, bin_num=30, **SHORT).run(tmp_path / str(copies)).outputs[GUEST])
        assert {column.bin_nums for column in found.host_results[str(HOST)].binning_result.values()} == {alone}
