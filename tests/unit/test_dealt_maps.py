"""Linear maps on shares with a dealer: exact results, what is refused, and attacks that show why."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.compute.engine import Serial
from federatedml.compute.kernels import LOADING, Kernel
from federatedml.crypto.candidates import BinTable, Candidates
from federatedml.crypto.codec import Codec
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import STRIPE, Deal
from federatedml.crypto.dealt.dealer import MapDealer
from federatedml.crypto.dealt.holder import DealtHolder
from federatedml.crypto.dealt.kernels import product
from federatedml.crypto.dealt.maps import DealtMap
from federatedml.crypto.dealt.matrices import Splits
from federatedml.crypto.dealt.messages import Block, pack, unpack
from federatedml.crypto.dealt.owner import DealtAsker, DealtOwner
from federatedml.crypto.dealt.splits import SplitMap
from federatedml.crypto.dealt.words import WordRing
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Reply, Sealed
from federatedml.errors import DataError, ProtocolError

HOLDER, OWNER = Stream(b"h" * 32, b"test"), Stream(b"o" * 32, b"test")
ROWS = 1003


def table(rows: int = ROWS) -> BinTable:
    rng = np.random.default_rng(3)
    counts = [5, 2, 1, 7]
    return BinTable.of(np.stack([rng.integers(0, c, rows) for c in counts]).astype(np.uint8), counts)


def vectors(count: int, rows: int = ROWS) -> np.ndarray:
    rng = np.random.default_rng(4)
    return np.stack([rng.normal(size=rows) if q % 2 == 0 else rng.random(rows) for q in range(count)], axis=1)


class Counts:
    """A ledger that outlives the parties' objects."""

    def __init__(self) -> None:
        self.used: dict[bytes, int] = {}

    def columns(self, name: bytes, planned: int) -> Columns:
        return Columns(planned, self.used.get(name, 0), lambda used: self.used.update({name: used}))


def ready(plan: DealtMap, asker: DealtAsker) -> MapDealer:
    """The offline part."""
    dealer = MapDealer(Deal.from_bytes(plan.setup_message(), plan.inputs, plan.outputs), HOLDER, OWNER)
    for block in plan.blocks():
        asker.pads.absorb(Block.from_bytes(block.to_bytes()))
    for correction in dealer.corrections(asker.pads.columns):
        asker.pads.correct(correction)
    return dealer


def attached(plan: DealtMap, count: int) -> tuple[DealtAsker, MapDealer]:
    """The owner's side after the offline part, and the dealer."""
    asker = DealtOwner(OWNER).attach(plan.inputs, plan.outputs, count, plan.setup_message())
    return asker, ready(plan, asker)


def splits(count: int, rows: int = ROWS) -> tuple[SplitMap, DealtAsker, MapDealer]:
    plan = DealtHolder(HOLDER, count).plan_splits(table(rows))
    return plan, *attached(plan, count)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(("rows", "left", "right"), [(1, 1, 1), (8, 3, 40), (131, 40, 3), (129, 33, 513)])
def test_compiled_products_equal_numpys(bits: int, rows: int, left: int, right: int) -> None:
    rng = np.random.default_rng(rows)
    a = rng.integers(0, 2**bits, (rows, left), np.uint64, endpoint=False).astype(f"<u{bits // 8}")
    b = rng.integers(0, 2**bits, (rows, right), np.uint64, endpoint=False).astype(f"<u{bits // 8}")
    found = product(a, b)
    assert found.dtype == a.dtype
    np.testing.assert_array_equal(found, a.T @ b)


def test_sums_of_candidates_come_out_at_the_owner() -> None:
    plan, asker, _ = splits(4)
    for values in (vectors(2), vectors(2)[:, ::-1]):
        sealed = Sealed.from_bytes(asker.seal(values).to_bytes())
        found = asker.open(Reply.from_bytes(plan.apply(sealed).reveal().to_bytes()))
        np.testing.assert_allclose(found, table().candidate_sums(values), atol=1e-3)


class Three(Serial):
    """Three workers' parts, one after the other."""

    workers = 3


def test_the_number_of_workers_changes_nothing() -> None:
    sent = []
    for compute in (Serial(), Three()):
        plan = DealtHolder(HOLDER, 2, compute=compute).plan_splits(table())
        plan.deal = replace(plan.deal, name=b"one for both run")
        asker = DealtOwner(OWNER, compute).attach(plan.inputs, plan.outputs, 2, plan.setup_message())
        ready(plan, asker)
        result = plan.apply(asker.seal(vectors(2)))
        sent.append((result.reveal().body, asker.open(result.reveal()).tolist()))
    assert sent[0] == sent[1]


def test_the_masked_matrix_is_never_held_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "spent", LOADING)
    splits(1)  # numba is loaded now: how much was computed before does not decide whether that is counted below
    bins = BinTable.of(np.zeros((20, 8 * STRIPE), np.uint8), [9] * 20)
    plan = DealtHolder(HOLDER, 1).plan_splits(bins)
    asker = DealtOwner(OWNER).attach(plan.inputs, plan.outputs, 1, plan.setup_message())
    tracemalloc.start()
    ready(plan, asker)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole = 4 * plan.inputs * plan.outputs
    block = whole // plan.deal.blocks
    assert plan.deal.blocks == 8
    assert peak < 4.5 * block  # copies of one block, on its way from its words to those of the other side


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 70),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(1, 3),
    st.sampled_from([32, 64]),
)
def test_any_shape(rows: int, counts: list[int], width: int, bits: int) -> None:
    rng = np.random.default_rng(rows)
    bins = BinTable.of(np.stack([rng.integers(0, c, rows) for c in counts]).astype(np.uint8), counts)
    plan = DealtHolder(HOLDER, width, WordRing(bits)).plan_histogram(bins.bins, counts)
    asker, _ = attached(plan, width)
    values = rng.normal(size=(rows, width))
    found = asker.open(plan.apply(asker.seal(values)).reveal()).reshape(plan.outputs, width)
    np.testing.assert_allclose(found, bins.flat(bins.sums(values)), atol=1e-5)


def test_a_table_without_candidates_has_no_map() -> None:
    with pytest.raises(ProtocolError, match="FED-711"):
        DealtHolder(HOLDER, 1).plan_splits(BinTable.of(np.zeros((2, 5), np.uint8), [1, 1]))


def test_one_hot_histograms() -> None:
    bins = table()
    plan = DealtHolder(HOLDER, 1).plan_histogram(bins.bins, bins.counts)
    asker, _ = attached(plan, 1)
    values = vectors(1)[:, 0]
    found = asker.open(plan.apply(asker.seal(values)).reveal())
    expected = [np.bincount(row, values, count) for row, count in zip(bins.bins, bins.counts, strict=True)]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-3)


def test_more_rows_than_a_stripe_and_a_block() -> None:
    rows = STRIPE + 17
    plan, asker, _ = splits(2, rows)
    values = vectors(2, rows)
    found = asker.open(plan.apply(asker.seal(values)).reveal())
    np.testing.assert_allclose(found, table(rows).candidate_sums(values), atol=1e-2)


def test_words_are_exact_where_numbers_fit_them() -> None:
    plan, asker, _ = splits(1)
    quarters = np.full(ROWS, 0.25)
    found = asker.open(plan.apply(asker.seal(quarters)).reveal())
    np.testing.assert_array_equal(found, table().candidate_sums(quarters[:, None])[:, 0])


def test_products_at_the_holder() -> None:
    """The gradient of the holder's columns: revealed to the holder, in the columns' own units."""
    rng = np.random.default_rng(5)
    X, codec = rng.normal(size=(ROWS, 6)) * np.logspace(-4, 4, 6), Codec(24, 8.0)
    plan = DealtHolder(HOLDER, 2, WordRing(64)).plan_matvec(X, bits=20)
    asker, _ = attached(plan, 2)
    r = rng.uniform(-1, 1, ROWS)
    result = plan.apply(asker.seal(r, codec))
    found = result.read(asker.tell(), codec)[:, 0]
    assert (np.abs(found - X.T @ r) <= ROWS * 2.0**-20 * np.abs(X).max(axis=0)).all()


def test_results_that_stay_shared_add_up() -> None:
    plan, asker, _ = splits(1)
    codec = Codec(8, 4.0)
    result = plan.apply(asker.seal(vectors(1)[:, 0] / 4, codec))
    reply, mine = result.share()
    found = mine.combined(asker.share(Reply.from_bytes(reply.to_bytes())), codec.scale_bits)
    expected = table().candidate_sums(codec.encode(vectors(1) / 4)) / 2.0**8
    np.testing.assert_array_equal(found, expected)
    assert len(mine) == plan.outputs


def test_a_lifted_share_goes_to_the_shuffle_only() -> None:
    plan, asker, _ = splits(1)
    reply, _ = plan.apply(asker.seal(vectors(1))).share()
    asker.lift(len(table().candidates))
    for use in (lambda: asker.lift(3), asker.tell, lambda: asker.share(reply)):
        with pytest.raises(ProtocolError, match="FED-717"):
            use()


def test_shuffled_outputs_come_in_the_holders_order() -> None:
    """Two trees of at most three vectors; the first needs only two."""
    plan, asker, dealer = splits(6)
    values, orders = vectors(2), []
    for tree in range(2):
        columns = range(3 * tree, 3 * tree + 3)
        for side in (plan, asker):
            side.start(columns.start)
        shuffle = plan.shuffle(dealer.shuffle(table().candidates, columns, tree), columns, tree)
        for part in (values[:, :1], values[:, 1:])[: 2 - tree]:
            sealed, lifted = asker.seal(part), asker.lift(len(table().candidates))
            found = asker.open(shuffle.reveal(plan.apply(sealed), lifted))
            np.testing.assert_allclose(found, table().candidate_sums(part)[shuffle.order, 0], atol=1e-3)
        orders.append(shuffle.order.tolist())
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(plan.outputs))
    assert orders[0] != orders[1]


def test_missing_values_go_both_ways_behind_the_shuffle() -> None:
    bins = BinTable.of(table().bins, table().counts, [True, False, False, True])
    plan = DealtHolder(HOLDER, 2).plan_splits(bins)
    asker, dealer = attached(plan, 2)
    columns, told = range(2), len(bins.candidates)
    assert told == len(table().candidates) + 3 + 5
    shuffle = plan.shuffle(dealer.shuffle(bins.candidates, columns, 0), columns, 0)
    sealed, lifted = asker.seal(vectors(2)), asker.lift(told)
    found = asker.open(shuffle.reveal(plan.apply(sealed), lifted))
    np.testing.assert_allclose(found, bins.candidate_sums(vectors(2))[shuffle.order], atol=1e-3)


def test_a_dealer_is_told_the_candidates_of_the_map() -> None:
    _, _, dealer = splits(1)
    with pytest.raises(ProtocolError, match="FED-711"):
        dealer.shuffle(Candidates.of([3, 3]), range(1), 0)


def test_an_order_is_for_the_columns_of_one_tree() -> None:
    plan, asker, dealer = splits(3)
    shuffle = plan.shuffle(dealer.shuffle(table().candidates, range(2), 0), range(2), 0)
    for side in (plan, asker):
        side.start(1)
    sealed, lifted = asker.seal(vectors(2)), asker.lift(len(table().candidates))
    with pytest.raises(ProtocolError, match="FED-714"):
        shuffle.reveal(plan.apply(sealed), lifted)


def test_columns_are_never_taken_again() -> None:
    columns = Columns(4, used=2)
    for wrong in (1, 5):
        with pytest.raises(ProtocolError, match="FED-714"):
            columns.start(wrong)
    columns.start(3)
    assert columns.take(1) == range(3, 4)


def test_columns_dealt_in_two_passes_need_the_blocks_twice() -> None:
    plan = DealtHolder(HOLDER, 4).plan_splits(table())
    asker = DealtOwner(OWNER).attach(plan.inputs, plan.outputs, 4, plan.setup_message())
    dealer = MapDealer(plan.deal, HOLDER, OWNER)
    for first in (0, 2):
        pads = asker.deal_next(2)
        for block in plan.blocks():
            pads.absorb(block)
        for correction in dealer.corrections(range(first, first + 2)):
            pads.correct(correction)
        found = asker.open(plan.apply(asker.seal(vectors(2))).reveal())
        np.testing.assert_allclose(found, table().candidate_sums(vectors(2)), atol=1e-3)


def test_matrices_and_vectors_leave_only_masked() -> None:
    """E and d are uniform: no word of the matrix, and all bits are balanced."""
    plan, asker, _ = splits(2)
    E = np.concatenate([np.frombuffer(block.body, "<u4") for block in plan.blocks()])
    d = np.frombuffer(asker.seal(np.zeros(ROWS)).body, "<u4")
    for words in (E, d):
        ones = np.unpackbits(words.view(np.uint8)).reshape(len(words), 32).mean(axis=0)
        assert (np.abs(ones - 0.5) < 7 * 0.5 / len(words) ** 0.5).all()  # seven standard deviations


class TestWhatMasksMustNotDo:
    def test_a_column_used_twice_tells_the_difference_of_two_vectors(self) -> None:
        _, asker, _ = splits(1)
        first, second = vectors(2).T
        codec = Codec(8, 8.0)
        d1 = np.frombuffer(asker.seal(first, codec).body, "<u4")
        asker._columns = Columns(1)  # what a lost counter would do
        d2 = np.frombuffer(asker.seal(second, codec).body, "<u4")
        np.testing.assert_array_equal((d1 - d2).view("<i4"), codec.encode(first) - codec.encode(second))

    def test_no_column_is_handed_out_twice(self) -> None:
        stored: list[int] = []
        columns = Columns(5, used=1, store=stored.append)
        assert [columns.take(2), columns.take(1)] == [range(1, 3), range(3, 4)]
        assert stored == [3, 4]
        with pytest.raises(ProtocolError, match="FED-714"):
            columns.take(2)
        assert Columns(5, used=stored[-1]).take(1) == range(4, 5)

    def test_what_cannot_be_stored_is_not_used(self) -> None:
        def full(_: int) -> None:
            raise OSError("no space")

        plan = DealtHolder(HOLDER, 1).plan_splits(table())
        asker, _ = attached(plan, 1)
        asker._columns = Columns(1, store=full)
        with pytest.raises(OSError, match="no space"):
            asker.seal(np.zeros(ROWS))

    def test_one_mask_on_two_matrices_tells_their_difference(self) -> None:
        one, other = table(), BinTable.of(np.roll(table().bins, 1, axis=1), table().counts)
        plan = DealtHolder(HOLDER, 1).plan_splits(one)
        forced = DealtMap(plan.deal, Splits(other, WordRing()), HOLDER, Columns(1), plan._compute)
        E1, E2 = (np.frombuffer(next(iter(p.blocks())).body, "<u4") for p in (plan, forced))
        expected = one.indicators(0, ROWS, np.dtype("<u4")) - other.indicators(0, ROWS, np.dtype("<u4"))
        np.testing.assert_array_equal((E1 - E2).reshape(expected.shape), expected)

    def test_a_holder_that_names_two_maps_alike_would_read_differences_of_vectors(self) -> None:
        plan, asker, _ = splits(1)
        codec, (first, second) = Codec(8, 8.0), vectors(2).T
        d1 = np.frombuffer(asker.seal(first, codec).body, "<u4")
        unaware, _ = attached(plan, 1)  # an owner that has forgotten the name
        d2 = np.frombuffer(unaware.seal(second, codec).body, "<u4")
        np.testing.assert_array_equal((d1 - d2).view("<i4"), codec.encode(first) - codec.encode(second))
        owner = DealtOwner(OWNER)
        owner.attach(plan.inputs, plan.outputs, 1, plan.setup_message())
        with pytest.raises(ProtocolError, match="FED-716"):
            owner.attach(plan.inputs, plan.outputs, 1, plan.setup_message())

    def test_every_map_has_masks_of_its_own(self) -> None:
        holder = DealtHolder(HOLDER, 1)
        one, other = holder.plan_splits(table()), holder.plan_splits(table())
        assert one.deal.name != other.deal.name
        E1, E2 = (np.frombuffer(next(iter(p.blocks())).body, "<u4") for p in (one, other))
        assert (E1 != E2).mean() > 0.99

    def test_kept_masks_serve_the_same_matrix_only(self) -> None:
        """Two jobs, one masked matrix: the second takes columns that the first has not used."""
        holders, owners = Counts(), Counts()
        plan = DealtHolder(HOLDER, 4, ledger=holders).plan_splits(table())
        asker = DealtOwner(OWNER, ledger=owners).attach(plan.inputs, plan.outputs, 4, plan.setup_message())
        ready(plan, asker)
        plan.apply(asker.seal(vectors(3)))
        later = DealtHolder(HOLDER, 4, ledger=holders)
        again = later.plan_splits(table(), plan.kept())
        asker = DealtOwner(OWNER, ledger=owners).attach(again.inputs, again.outputs, 4, again.setup_message())
        ready(again, asker)
        result = again.apply(asker.seal(vectors(1)))
        assert result.columns == range(3, 4)
        np.testing.assert_allclose(asker.open(result.reveal()), table().candidate_sums(vectors(1))[:, 0], atol=1e-3)
        other = BinTable.of(np.roll(table().bins, 1, axis=1), table().counts)
        with pytest.raises(ProtocolError, match="FED-716"):
            later.plan_splits(other, plan.kept())

    def test_a_dealer_on_the_wire_would_read_everything(self) -> None:
        """Why the messages between holder and owner are encrypted end to end against the dealer."""
        plan, asker, dealer = splits(1)
        v = vectors(1)[:, 0]
        sealed, block = asker.seal(v, Codec(8, 8.0)), next(iter(plan.blocks()))
        E = unpack(block, plan.deal, range(ROWS), plan.outputs)
        seen = E + dealer.deal.matrix_mask(dealer._holder, 0)
        np.testing.assert_array_equal(seen, table().indicators(0, ROWS, seen.dtype))
        d = unpack(sealed, plan.deal, range(1), ROWS)
        told = d + dealer.deal.vector_masks(dealer._owner, range(1), slice(0, ROWS))
        np.testing.assert_array_equal(told.view("<i4")[:, 0], Codec(8, 8.0).encode(v))
        stranger = Stream(b"?" * 32, b"test")  # without the seeds nothing fits
        assert (E + plan.deal.matrix_mask(stranger, 0) > 1).mean() > 0.99


class TestHostile:
    def test_vectors_out_of_turn(self) -> None:
        plan, asker, _ = splits(4)
        first, second = asker.seal(vectors(1)), asker.seal(vectors(1))
        with pytest.raises(ProtocolError, match="FED-715"):
            plan.apply(second)
        plan.apply(first)
        with pytest.raises(ProtocolError, match="FED-715"):
            plan.apply(first)
        plan.apply(second)

    def test_more_vectors_than_planned(self) -> None:
        plan = DealtHolder(HOLDER, 1).plan_splits(table())
        asker, _ = attached(plan, 2)
        plan.apply(asker.seal(vectors(1)))
        with pytest.raises(ProtocolError, match="FED-714"):
            plan.apply(asker.seal(vectors(1)))

    @pytest.mark.parametrize("cut", [0, 4, 8])
    def test_vectors_of_another_length(self, cut: int) -> None:
        plan, asker, _ = splits(1)
        sealed = asker.seal(vectors(1))
        body = sealed.body[:-cut] if cut else sealed.body + bytes(4)
        with pytest.raises(ProtocolError, match="FED-715"):
            plan.apply(Sealed(sealed.scheme, sealed.key, len(body) // 4, 4, 0, body))

    def test_blocks_in_another_order_or_twice(self) -> None:
        plan = DealtHolder(HOLDER, 1).plan_splits(table(STRIPE + 1))
        asker = DealtOwner(OWNER).attach(plan.inputs, plan.outputs, 1, plan.setup_message())
        one, two = plan.blocks()
        with pytest.raises(ProtocolError, match="FED-715"):
            asker.pads.absorb(two)
        asker.pads.absorb(one)
        with pytest.raises(ProtocolError, match="FED-715"):
            asker.pads.absorb(one)

    @pytest.mark.parametrize("rows", [5, STRIPE, STRIPE + 1])
    def test_a_block_behind_the_last_one(self, rows: int) -> None:
        plan = DealtHolder(HOLDER, 1).plan_splits(table(rows))
        asker = DealtOwner(OWNER).attach(plan.inputs, plan.outputs, 1, plan.setup_message())
        ready(plan, asker)
        behind = plan.deal.rows(plan.deal.blocks)
        with pytest.raises(ProtocolError, match="FED-715"):
            asker.pads.absorb(pack(Block, plan.deal, range(behind.start, behind.stop), np.zeros(0, "<u4")))

    def test_vectors_before_the_set_up(self) -> None:
        plan = DealtHolder(HOLDER, 1).plan_splits(table())
        asker = DealtOwner(OWNER).attach(plan.inputs, plan.outputs, 1, plan.setup_message())
        with pytest.raises(ProtocolError, match="FED-717"):
            asker.seal(vectors(1))
        assert asker._columns.used == 0

    def test_corrections_for_too_many_columns(self) -> None:
        plan, asker, dealer = splits(1)
        more = pack(
            type(next(dealer.corrections(range(1)))), plan.deal, range(1, 2), np.zeros((plan.outputs, 1), "<u4")
        )
        with pytest.raises(ProtocolError, match="FED-715"):
            asker.pads.correct(more)

    def test_replies_of_another_map(self) -> None:
        _, asker, _ = splits(1)
        other, foreign, _ = splits(1)
        asker.seal(vectors(1))
        with pytest.raises(ProtocolError, match="FED-715"):
            asker.open(other.apply(foreign.seal(vectors(1))).reveal())

    def test_an_answer_that_was_not_asked_for(self) -> None:
        plan, asker, _ = splits(1)
        reply = plan.apply(asker.seal(vectors(1))).reveal()
        asker.open(reply)
        with pytest.raises(ProtocolError, match="FED-717"):
            asker.open(reply)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=64))
    def test_announcements(self, data: bytes) -> None:
        with pytest.raises(ProtocolError, match="FED-71"):
            Deal.from_bytes(data, 10, 10)

    @pytest.mark.parametrize(
        ("ring", "entry", "rows"), [(33, 0, 64), (32, 16, 64), (32, 0, 0), (32, 0, 7), (32, 0, 48), (32, 0, 2 * STRIPE)]
    )
    def test_announcements_with_impossible_sizes(self, ring: int, entry: int, rows: int) -> None:
        good = Deal.new(10, 10, WordRing(), 0).to_bytes()
        data = bytearray(good)
        data[16], data[17] = ring, entry
        data[-4:] = rows.to_bytes(4, "little")
        Deal.from_bytes(good, 10, 10)
        with pytest.raises(ProtocolError, match="FED-71"):
            Deal.from_bytes(bytes(data), 10, 10)


def test_a_declared_scale_is_checked() -> None:
    _, asker, _ = splits(1)
    with pytest.raises(DataError, match="FED-712"):
        asker.seal(np.full(ROWS, 7.0), Codec(24, 8.0))


def test_names_never_repeat() -> None:
    names = {Deal.new(1, 1, WordRing(), 0).name for _ in range(100)}
    assert len(names) == 100


def test_blocks_that_nobody_could_hold_are_refused() -> None:
    honest = Deal.new(100, 2**22, WordRing(), 1)
    assert Deal.from_bytes(honest.to_bytes(), 100, 2**22) == honest
    with pytest.raises(ProtocolError, match=r"FED-711.*too large"):
        Deal.from_bytes(replace(honest, block_rows=2**13).to_bytes(), 100, 2**22)
