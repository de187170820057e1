from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from mypy import api

from federatedml.compute.engine import SERIAL, Partitions
from federatedml.crypto.codec import Codec, Floats
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.matvec import MatVec, Quantised
from federatedml.crypto.paillier.noise import MANY, NoiseKind
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.paillier.owner_noise import OwnerNoise
from federatedml.crypto.paillier.parts import sizes, unpacked
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Opened, Reply, Sealed
from federatedml.errors import ProtocolError
from tests.paillier_keys import small_key

KEY = small_key(bits=768)
GUEST, OWNER = evaluator(KEY.public), owner_evaluator(KEY)
CODEC = Codec(32, 4.0)
NUMBERS = st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=6)


class Workers:
    """An engine of several workers that hand over nothing but bytes and arrays."""

    def __init__(self, workers: int) -> None:
        self.workers, self.calls = workers, 0

    def map(self, kernel: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        self.calls += len(parts)
        plain = (bytes, int, list, np.ndarray)
        assert all(isinstance(item, plain) for part in parts for item in (part if isinstance(part, tuple) else (part,)))
        return [kernel(part) for part in parts]

    def hold(self, load: Callable[[Any], Any], parts: Sequence[Any]) -> Partitions:
        return SERIAL.hold(load, parts)


def opened(vector: Encrypted) -> list[float]:
    return Opener(KEY, {"t": Allowance(1, len(vector))}).values("t", 0, vector.reveal()).tolist()


def test_a_vector_travels_is_computed_on_and_is_opened_by_the_owner() -> None:
    x = np.array([1.5, -2.25, 0.0, 4.0])
    at_host = GUEST.receive(Sealed.from_bytes(OWNER.encrypt(x, CODEC).seal().to_bytes()), CODEC)
    result = at_host.add(at_host).add_plain([1, 1, 1, -1], 1.0).times(-3)
    reply = Reply.from_bytes(result.reveal().to_bytes())
    opener = Opener(KEY, {"t": Allowance(1, 4)})
    assert opener.values("t", 0, reply).tolist() == (-3 * (2 * x + [1, 1, 1, -1])).tolist()


@given(NUMBERS, st.data())
@settings(max_examples=25)
def test_operations_are_those_of_integers(a: list[int], data: st.DataObject) -> None:
    codec = Codec(0, 2.0**20)
    b = data.draw(st.lists(st.integers(-(2**20), 2**20), min_size=len(a), max_size=len(a)))
    factor = data.draw(st.integers(-1000, 1000))
    x, y = OWNER.encrypt(a, codec), GUEST.encrypt(b, codec)
    assert opened(x.add(y)) == [i + j for i, j in zip(a, b, strict=True)]
    assert opened(x.add_plain(b, 2.0**20)) == [i + j for i, j in zip(a, b, strict=True)]
    assert opened(x.times(factor)) == [i * factor for i in a]
    assert opened(x.times_plain(b, codec)) == [i * j for i, j in zip(a, b, strict=True)]
    assert opened(x.negated()) == [-i for i in a]
    assert opened(x.sum()) == [sum(a)]
    rows = np.array(data.draw(st.permutations(range(len(a)))))
    assert opened(x.take(rows)) == np.array(a)[rows].tolist()


@given(NUMBERS)
@settings(max_examples=25)
def test_several_elements_share_a_masked_ciphertext(numbers: list[int]) -> None:
    codec = Codec(0, 2.0**60)
    vector = GUEST.encrypt(numbers * 4, codec)  # 62 bits a slot: 12 to a ciphertext
    reply, mask = vector.mask()
    assert reply.count == -(-len(vector) // 12)
    answer = Opener(KEY, {"t": Allowance(1, reply.count)}).masked("t", 0, Reply.from_bytes(reply.to_bytes()))
    assert mask.remove(Opened.from_bytes(answer.to_bytes())).tolist() == numbers * 4


def masked(plan: MatVec, vector: Encrypted) -> Floats:
    reply, mask = plan.apply(vector).mask()
    return mask.remove(Opener(KEY, {"t": Allowance(1, reply.count)}).masked("t", 0, reply))


@pytest.mark.parametrize("bits", [2, 8, 16, 24])
@pytest.mark.parametrize("rows", [1, 3, 60])
def test_products_are_exact_on_the_quantised_matrix(rows: int, bits: int) -> None:
    rng = np.random.default_rng(rows)
    matrix, v = rng.normal(size=(rows, 6)), rng.uniform(-4, 4, rows)
    matrix[:, 1] = 0
    matrix[:, 2] = rng.integers(-1, 2, rows)
    matrix[:, 3] = -1.5
    matrix[:, 4] = np.where(np.arange(rows) < rows * 0.9, -0.25, matrix[:, 0])  # nearly constant
    plan = GUEST.plan_matvec(matrix, bits)
    exact = plan.matrix.integers.astype(object) @ CODEC.encode(v).astype(object)
    expected = [int(i) / 2**32 * f for i, f in zip(exact, plan.matrix.factors, strict=True)]
    assert masked(plan, GUEST.encrypt(v, CODEC)).tolist() == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_products_of_no_rows_are_zero(workers: int) -> None:
    plan = evaluator(KEY.public, Workers(workers)).plan_matvec(np.zeros((0, 3)))
    assert masked(plan, GUEST.encrypt(np.zeros(0), CODEC)).tolist() == [0.0] * 3


def test_a_column_of_numbers_next_to_nothing_is_zero() -> None:
    """Their scale would be zero, and their quotients by it no integers of the bits that buckets are made for."""
    matrix = np.array([[5e-324, 1e-320, 1e-280], [0.0, -1e-320, -1e-280]])
    assert Quantised.of(matrix, 16).integers.tolist() == [[0, 0], [0, 0], [32767, -32767]]


@given(st.data())
@settings(max_examples=15)
def test_products_of_any_integers(data: st.DataObject) -> None:
    rows, bits = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 24))
    top = 2 ** (bits - 1) - 1
    some = data.draw(st.lists(st.integers(-top, top), min_size=1, max_size=4))
    column = data.draw(st.lists(st.sampled_from(some) | st.integers(-top, top), min_size=rows, max_size=rows))
    v = data.draw(st.lists(st.integers(-100, 100), min_size=rows, max_size=rows))
    plan = MatVec(SERIAL, Quantised(np.array([column], np.int32), np.ones(1), bits))
    assert masked(plan, GUEST.encrypt(v, Codec(0, 100.0)))[0] == sum(x * y for x, y in zip(column, v, strict=True))


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_results_do_not_depend_on_the_engine(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federatedml.crypto.paillier.matvec.MIN_ROWS", 30)
    rng = np.random.default_rng(5)
    matrix, v, engine = rng.normal(size=(100, 3)), rng.uniform(-4, 4, 100), Workers(workers)
    spread = evaluator(KEY.public, engine)
    vector = OWNER.receive(spread.encrypt(v, CODEC).seal(), CODEC)
    assert masked(GUEST.plan_matvec(matrix), vector).tolist() == masked(spread.plan_matvec(matrix), vector).tolist()
    weighted = spread.receive(vector.seal(), CODEC).times_plain(v, CODEC)
    assert opened(weighted) == opened(vector.times_plain(v, CODEC))
    assert engine.calls > workers
    assert opened(vector) == CODEC.decode(CODEC.encode(v)).tolist()


def test_parts_are_nearly_equal_and_not_too_small() -> None:
    assert sizes(10, 3, 1) == [4, 3, 3]
    assert sizes(10, 3, 5) == [5, 5]
    assert sizes(3, 8, 5) == [3]
    assert sizes(0, 4, 1) == [0]


def test_shares_add_up_to_the_products() -> None:
    v = np.array([1.0, -2.0])
    reply, share = GUEST.plan_matvec(np.array([[1.0, 0.0], [1.0, 1.0]])).apply(GUEST.encrypt(v, CODEC)).share()
    other = Opener(KEY, {"t": Allowance(1, 2)}).share("t", 0, reply)
    assert share.combined(other).tolist() == [-(2.0**15 - 1), -2.0 * (2**15 - 1)]


@pytest.mark.parametrize("kind", NoiseKind)
def test_every_kind_of_noise_is_removed_by_decryption_and_never_repeats(kind: NoiseKind) -> None:
    for own in (evaluator(KEY.public, SERIAL, kind), owner_evaluator(KEY, SERIAL, kind)):
        first, second = own.encrypt([2.0] * 3, CODEC).seal(), own.encrypt([2.0] * 3, CODEC).seal()
        assert len({own.public.to_bytes(), *(c for s in (first, second) for c in split(s))}) == 7
        assert opened(GUEST.receive(first, CODEC)) == [2.0] * 3


def split(sealed: Sealed) -> list[bytes]:
    return [sealed.body[at : at + sealed.width] for at in range(0, len(sealed.body), sealed.width)]


@pytest.mark.parametrize("kind", NoiseKind)
@pytest.mark.parametrize("workers", [1, 3])
def test_the_owner_makes_its_noise_with_its_primes_in_threads_of_its_own(kind: NoiseKind, workers: int) -> None:
    own = owner_evaluator(KEY, Workers(workers), kind)
    assert isinstance(own.noise, OwnerNoise)
    numbers = np.arange(100.0)
    sealed = own.encrypt(numbers, Codec(20, 128.0)).seal()
    assert len(set(split(sealed))) == 100
    assert opened(GUEST.receive(sealed, Codec(20, 128.0))) == numbers.tolist()


@given(st.data())
def test_the_owners_noise_encrypts_zero_and_is_not_one(data: st.DataObject) -> None:
    """Modulo p^2 and q^2 it is what the powers say, whatever they are."""
    noise = OwnerNoise(KEY)
    a, b = (data.draw(st.integers(1, int(m.value) - 1)) for m in noise._squares)
    noise._short = lambda count: [m.plain([mpz(x)]) for m, x in zip(noise._squares, (a, b), strict=True)]  # type: ignore[method-assign]
    c = data.draw(st.integers(1, int(KEY.public.n2) - 1))
    (found,) = unpacked(noise.for_peers([mpz(c)]), KEY.public.width)
    assert (found % KEY.p2, found % KEY.q2) == (c * a % KEY.p2, c * b % KEY.q2)


def test_many_ciphertexts_take_wider_windows_and_decrypt_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MANY > 1000
    monkeypatch.setattr("federatedml.crypto.paillier.noise.MANY", 2)
    monkeypatch.setattr("federatedml.crypto.paillier.owner_noise.MANY", 2)
    for own in (evaluator(KEY.public), owner_evaluator(KEY)):
        assert opened(OWNER.receive(own.encrypt([1.0, -4.0, 0.5], CODEC).seal(), CODEC)) == [1.0, -4.0, 0.5]


def test_what_a_key_cannot_hold_is_refused_before_it_wraps() -> None:
    vector = GUEST.encrypt([1.0], Codec(60, 2.0))
    assert len(vector.times(2**60).times(2 ** (KEY.public.bits - 125))) == 1
    with pytest.raises(ProtocolError, match="FED-703"):
        vector.times(2**60).times(2 ** (KEY.public.bits - 122))


def test_vectors_that_do_not_fit_are_refused() -> None:
    x = GUEST.encrypt([1.0, 2.0], CODEC)
    other = evaluator(small_key(2**20, 768).public).encrypt([1.0, 2.0], CODEC)
    for wrong in (other, GUEST.encrypt([1.0], CODEC), GUEST.encrypt([1.0, 2.0], Codec(28, 4.0))):
        with pytest.raises(ProtocolError, match="FED-707"):
            x.add(wrong)
    for shape in ([1.0], [[1.0, 2.0]], [1.0, 2.0, 3.0]):
        with pytest.raises(ProtocolError, match="FED-707"):
            x.add_plain(shape, 4.0)
    with pytest.raises(ProtocolError, match="FED-707"):
        GUEST.plan_matvec(np.ones((3, 1))).apply(x)


@pytest.mark.parametrize(
    ("matrix", "bits"), [([[np.nan]], 16), ([[np.inf]], 16), ([1.0], 16), ([[1.0]], 1), ([[1.0]], 25)]
)
def test_a_matrix_that_cannot_be_planned_is_refused(matrix: list[Any], bits: int) -> None:
    with pytest.raises(ProtocolError, match=r"FED-70[01]"):
        GUEST.plan_matvec(np.array(matrix), bits)


def test_what_peers_see_of_a_product_is_made_of_public_numbers() -> None:
    """The width of a slot is in the header: were it made of the matrix, it would tell of its columns' sums."""
    for matrix in (np.zeros((10, 1)), np.ones((10, 1)), np.arange(10.0)[:, None] ** 9):
        reply, _ = GUEST.plan_matvec(matrix).apply(GUEST.encrypt(np.zeros(10), CODEC)).mask()
        assert reply.slot_bits == (CODEC.limit * 10 * 2**15).bit_length() + 1


def test_a_vector_that_is_not_fresh_cannot_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held by types: the code that would send one does not pass mypy."""
    lines = (
        "from federatedml.crypto.paillier.vectors import Encrypted",
        "from federatedml.crypto.vector import PackedCodec, Reply, Sealed",
        "def send(vector: Encrypted, reply: Reply) -> None:",
        "    PackedCodec(Sealed).encode(vector.seal())",
        "    PackedCodec(Sealed).encode(vector)",
        "    PackedCodec(Sealed).encode(reply)",
        "    vector.to_bytes()",
        "    vector.seal().add(vector)",
    )
    (tmp_path / "sender.py").write_text("\n".join(lines))
    monkeypatch.setenv("MYPYPATH", str(Path(__file__).parents[2]))
    options = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "--cache-dir", str(tmp_path)]
    out, _, _ = api.run([*options, str(tmp_path / "sender.py")])
    assert [line.split(":")[1] for line in out.splitlines() if "error:" in line] == ["5", "6", "7", "8"]


def test_empty_vectors_are_vectors() -> None:
    empty = GUEST.encrypt([], CODEC)
    assert opened(empty.times(5).times_plain([], CODEC).add(empty.times_plain([], CODEC).times(-1))) == []
    assert GUEST.receive(empty.seal(), CODEC).elements == []
    assert empty.mask()[0].count == 0
    assert opened(empty.sum()) == [0.0]
