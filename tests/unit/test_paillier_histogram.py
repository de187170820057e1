"""Packed rows and their encrypted histograms: exact, and nothing above the declared slots gets through."""

from __future__ import annotations

from typing import Any

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.compute.engine import Serial
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import Evaluator, evaluator, owner_evaluator
from federatedml.crypto.paillier.histogram import Rows, Sums, group_sums, groups
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.montgomery import Modulus
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.paillier.packing import Packing
from federatedml.crypto.paillier.slots import apart
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Reply, Sealed
from federatedml.errors import ProtocolError

KEY = generate(1024)
HOST, GUEST = evaluator(KEY.public), owner_evaluator(KEY)
ROWS = 120


class Three(Serial):
    """Three workers' parts, one after the other."""

    workers = 3


def table(counts: tuple[int, ...] = (4, 2, 1, 7), rows: int = ROWS) -> BinTable:
    rng = np.random.default_rng(3)
    bins = np.stack([rng.integers(0, c, rows) for c in counts])
    bins[-1, : rows * 3 // 4] = 5  # most rows in one bin
    return BinTable.of(bins.astype(np.uint8), counts, [False, False, False, True])


def values(columns: int, rows: int = ROWS) -> np.ndarray:
    """Multiples of 2^-40, so that sums are exact."""
    return np.random.default_rng(4).integers(-(2**40), 2**40, (rows, columns)) / 2.0**40


def opened(packing: Packing, reply: Reply, count: int) -> np.ndarray:
    opener = Opener(KEY, {"sums": Allowance(1, packing.ciphertexts(count))})
    return packing.open(opener, "sums", 0, Reply.from_bytes(reply.to_bytes()), count)


def at_host(host: Evaluator, packing: Packing, rows: np.ndarray, bins: BinTable) -> Rows:
    sealed = Sealed.from_bytes(packing.encrypt(GUEST, rows).seal().to_bytes())
    return host.plan_splits(bins).rows(packing.receive(host, sealed), packing)


@pytest.mark.parametrize("columns", [1, 2, 6])
def test_sums_per_bin_and_per_candidate(columns: int) -> None:
    bins, v = table(), values(columns)
    packing = Packing.of(KEY.public, 1.0, ROWS, columns)
    rows = at_host(HOST, packing, v, bins)
    sums = rows.sums()
    np.testing.assert_array_equal(opened(packing, sums.reveal(), bins.cells), bins.flat(bins.sums(v)))
    candidates = sums.candidates()
    assert len(candidates) == len(bins.candidates)
    np.testing.assert_array_equal(opened(packing, candidates.reveal(), len(candidates)), bins.candidate_sums(v))
    rows.close()


def test_sums_of_a_node_its_sibling_and_a_permutation() -> None:
    bins, v = table(), values(2)
    packing = Packing.of(KEY.public, 1.0, ROWS)
    rows = at_host(HOST, packing, v, bins)
    left = np.flatnonzero(np.arange(ROWS) % 3 == 0)
    right = np.setdiff1d(np.arange(ROWS), left)
    parent, child = rows.sums(), rows.sums(left)
    order = np.random.default_rng(1).permutation(len(bins.candidates))
    sibling = parent.minus(child).candidates().take(order)
    expected = BinTable(bins.bins[:, right], bins.candidates).candidate_sums(v[right])[order]
    np.testing.assert_array_equal(opened(packing, sibling.reveal(), len(order)), expected)


def test_an_empty_node() -> None:
    packing = Packing.of(KEY.public, 1.0, ROWS)
    rows = at_host(HOST, packing, values(2), table())
    assert not opened(packing, rows.sums(np.zeros(0, np.int64)).reveal(), table().cells).any()


def test_the_number_of_workers_changes_nothing() -> None:
    bins, v = table(), values(2)
    packing = Packing.of(KEY.public, 1.0, ROWS)
    found = at_host(evaluator(KEY.public, Three()), packing, v, bins).sums().reveal()
    np.testing.assert_array_equal(opened(packing, found, bins.cells), bins.flat(bins.sums(v)))


def test_a_vector_of_one_value_a_row() -> None:
    bins, v, codec = table(), values(1)[:, 0], Codec(40, 1.0)
    result = HOST.plan_histogram(bins.bins, bins.counts).apply(HOST.receive(GUEST.encrypt(v, codec).seal(), codec))
    opener = Opener(KEY, {"sums": Allowance(1, bins.cells)})
    expected = bins.flat(bins.sums(v[:, None]))[:, 0]
    np.testing.assert_array_equal(opener.values("sums", 0, result.reveal()), expected)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_joint_tables_and_differences_change_nothing(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    rows = data.draw(st.integers(0, 60))
    bins = np.array([data.draw(st.lists(st.integers(0, c - 1), min_size=rows, max_size=rows)) for c in counts])
    bins = bins.reshape(len(counts), rows).astype(np.uint16)
    modulus = mpz(1_000_003)  # a prime stands for n^2: every factor has an inverse
    factors = [mpz(i + 2) for i in range(rows)]
    total = mpz(1)
    for f in factors:
        total = total * f % modulus
    expected = [
        [_product([f for f, b in zip(factors, column, strict=True) if b == k], modulus) for k in range(count)]
        for column, count in zip(bins, counts, strict=True)
    ]
    m = Modulus(modulus)
    numbers, known = m.entered(m.plain(factors)), m.entered(m.plain([total]))
    for given_ in (None, known):
        assert [m.left(cells) for cells in group_sums(numbers, bins, counts, m, given_)] == expected


def _product(factors: list[mpz], modulus: mpz) -> mpz:
    product = mpz(1)
    for f in factors:
        product = product * f % modulus
    return product


def test_few_bins_and_many_rows_share_a_table() -> None:
    assert groups([8] * 6, 10**5) == [[0, 1, 2], [3, 4, 5]]
    assert groups([8] * 4, 20_000) == [[0, 1, 2, 3]]
    assert groups([32] * 4, 500) == [[0], [1], [2], [3]]
    assert groups([32] * 2, 10**5) == [[0, 1]]
    assert groups([300, 2, 2], 1000) == [[1, 2], [0]]
    assert groups([], 5) == []


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(0, 5000))
def test_every_feature_is_in_one_table(counts: list[int], rows: int) -> None:
    found = groups(counts, rows)
    assert sorted(feature for group in found for feature in group) == list(range(len(counts)))
    assert all(found)


def test_one_product_for_each_row_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update of a row's whole (g, h) is one product, whatever the number of its values."""
    rng, rows, m, products = np.random.default_rng(1), 4000, Modulus(mpz(97)), list[int]()
    gathered = Modulus.gathered

    def counting(m: Modulus, numbers: Any, at: Any, size: int) -> Any:
        products.append(int(np.count_nonzero(at >= 0)))
        return gathered(m, numbers, at, size)

    monkeypatch.setattr(Modulus, "gathered", counting)
    bins, numbers = rng.integers(0, 32, (1, rows)).astype(np.uint16), m.entered(m.plain([mpz(5)] * rows))
    group_sums(numbers, bins, [32], m, None)
    assert products == [rows, 32]
    products.clear()
    group_sums(numbers, bins[[0, 0]] % 8, [8, 8], m, None)
    assert products[0] == rows
    assert sum(products[1:]) <= 2 * 64


class TestPacking:
    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_signed_sums_at_the_limit_come_apart(self, data: st.DataObject) -> None:
        rows, columns = data.draw(st.integers(1, 1000)), data.draw(st.integers(1, 5))
        packing = Packing.of(KEY.public, data.draw(st.sampled_from([0.3, 1.0, 8.0])), rows, columns, 20)
        top = rows * packing.codec.limit
        sums = [data.draw(st.sampled_from([-top, -1, 0, 1, top])) for _ in range(columns)]
        together = sum(s << (i * packing.slot_bits) for i, s in enumerate(sums))
        assert abs(together) < 2**packing.bits
        assert apart(together, packing.slot_bits, columns) == sums

    @pytest.mark.parametrize(("declared", "rounded"), [(1.0, 1.0), (1.01, 2.0), (8.0, 8.0), (0.3, 0.5), (0.25, 0.25)])
    def test_bounds_are_powers_of_two(self, declared: float, rounded: float) -> None:
        assert Packing.of(KEY.public, declared, 10).codec.magnitude == rounded

    def test_values_beyond_the_bound_are_refused(self) -> None:
        packing = Packing.of(KEY.public, 1.0, ROWS)
        bad = values(2)
        bad[7, 0] = 1.5
        with pytest.raises(ProtocolError, match="FED-701"):
            packing.encrypt(GUEST, bad)

    def test_all_classes_in_one_plaintext(self) -> None:
        assert Packing.of(KEY.public, 1.0, 10**6, 14, 40).values == 14
        with pytest.raises(ProtocolError, match="FED-719"):
            Packing.of(KEY.public, 1.0, 10**6, 17, 40)

    def test_rows_of_another_form_are_refused(self) -> None:
        packing = Packing.of(KEY.public, 1.0, ROWS)
        for bad in (values(3), values(2, ROWS + 1), values(2)[:, 0]):
            with pytest.raises(ProtocolError, match="FED-719"):
                packing.encrypt(GUEST, bad)

    def test_answers_of_another_form_are_refused(self) -> None:
        packing, bins = Packing.of(KEY.public, 1.0, ROWS), table()
        reply = at_host(HOST, packing, values(2), bins).sums().reveal()
        for count in (bins.cells + packing.each, 1):
            with pytest.raises(ProtocolError, match="FED-719"):
                opened(packing, reply, count)
        other = Packing.of(KEY.public, 2.0, ROWS)
        with pytest.raises(ProtocolError, match="FED-719"):
            other.open(Opener(KEY, {"sums": Allowance(1, reply.count)}), "sums", 0, reply, bins.cells)

    def test_sums_of_other_rows_are_not_taken_off(self) -> None:
        packing = Packing.of(KEY.public, 1.0, ROWS)
        one, other = (at_host(HOST, packing, values(2), table()).sums() for _ in range(2))
        with pytest.raises(ProtocolError, match="FED-707"):
            one.minus(other)
        with pytest.raises(ProtocolError, match="FED-707"):
            one.minus(one.candidates())
        with pytest.raises(ProtocolError, match="FED-707"):
            one.candidates().candidates()


class TestAGuestThatEncryptsPowersOfTwo:
    """Row i holds 2^i above the declared width: one sum of a bin would tell which rows are in it."""

    packing = Packing.of(KEY.public, 1.0, ROWS)
    bins = BinTable.of(np.random.default_rng(3).integers(0, 2, (1, ROWS)).astype(np.uint8), [2])

    def sums(self) -> Sums:
        n, n2 = KEY.public.n, KEY.public.n2
        chosen = [mpz(1 + n * (mpz(1) << (self.packing.bits + i))) % n2 for i in range(ROWS)]
        sealed = Encrypted(KEY.public, GUEST.noise, chosen, 40, 1).seal()
        plan = HOST.plan_splits(self.bins)
        return plan.rows(self.packing.receive(HOST, sealed), self.packing).sums().candidates()

    def right(self, ciphertext: mpz) -> float:
        """Share of rows that it places rightly."""
        (plain,) = KEY.decrypt([ciphertext])
        read = [gmpy2.bit_test(plain, self.packing.bits + i) for i in range(ROWS)]
        return float((np.array(read) == self.bins.goes_left(0)).mean())

    def test_it_reads_all_rows_of_a_sum_that_is_not_flooded(self) -> None:
        (cell,) = self.sums().cells
        assert self.right(cell) == 1.0

    def test_it_reads_none_of_a_sum_that_is_revealed(self) -> None:
        replies = [self.sums().reveal() for _ in range(4)]
        assert {reply.count for reply in replies} == {1}
        right = [self.right(mpz.from_bytes(reply.body, "little")) for reply in replies]
        assert abs(np.mean(right) - 0.5) < 0.25  # coins: eleven standard deviations


def test_what_leaves_is_fresh_each_time() -> None:
    packing = Packing.of(KEY.public, 1.0, ROWS)
    sums = at_host(HOST, packing, values(2), table()).sums()
    one, two = sums.reveal(), sums.reveal()
    assert one.body != two.body
    np.testing.assert_array_equal(opened(packing, one, len(sums)), opened(packing, two, len(sums)))
