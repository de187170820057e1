"""Compiled products against Python's own."""

from __future__ import annotations

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.crypto.paillier.montgomery import (
    Modulus,
    add_rows,
    fill_window,
    gather,
    multiply,
    multiply_picked,
    square,
    weigh,
)
from federatedml.crypto.paillier.parts import packed, unpacked

SIZES = [3, 26, 27, 28, 53, 54, 55, 100, 512, 1024, 2048, 4096, 6144]


@st.composite
def moduli(draw: st.DrawFn) -> Modulus:
    bits = draw(st.sampled_from(SIZES))
    return Modulus(mpz(draw(st.integers(1 << (bits - 1), (1 << bits) - 1)) | 1))


def below(m: Modulus) -> st.SearchStrategy[int]:
    top = int(m.value) - 1
    return st.integers(0, top) | st.sampled_from([0, 1, top, top // 2])


@given(st.data(), moduli())
@settings(max_examples=60)
def test_products_are_those_of_integers(data: st.DataObject, m: Modulus) -> None:
    a, b = (data.draw(st.lists(below(m), min_size=3, max_size=3)) for _ in range(2))
    x, y = m.plain([mpz(i) for i in a]), m.plain([mpz(i) for i in b])
    expected = [i * j % m.value for i, j in zip(a, b, strict=True)]
    assert unpacked(m.written(x), m.size) == a
    assert m.left(m.entered(x)) == a
    assert m.left(m.paired(m.entered(x), m.entered(y))) == expected
    assert unpacked(m.written(m.paired(x, m.entered(y))), m.size) == expected
    assert unpacked(m.written(m.scaled(x, m.entered(y)[0])), m.size) == [i * b[0] % m.value for i in a]


@given(st.data(), moduli(), st.sampled_from([0, 1, 2, 31, 32, 2**16 + 1]) | st.integers(0, 2**70))
@settings(max_examples=30)
def test_powers_are_those_of_integers(data: st.DataObject, m: Modulus, exponent: int) -> None:
    a = data.draw(st.lists(below(m), min_size=2, max_size=2))
    powers = m.left(m.power(m.entered(m.plain([mpz(i) for i in a])), exponent))
    assert powers == [pow(i, exponent, int(m.value)) for i in a]


@given(st.data(), moduli(), st.lists(st.sampled_from([0, 1, 2, 3, 4, 2**62]) | st.integers(0, 2**20), min_size=1))
@settings(max_examples=30)
def test_every_number_has_its_own_power(data: st.DataObject, m: Modulus, exponents: list[int]) -> None:
    a = data.draw(st.lists(below(m), min_size=len(exponents), max_size=len(exponents)))
    powers = m.left(m.power_each(m.entered(m.plain([mpz(i) for i in a])), np.array(exponents)))
    assert powers == [pow(i, e, int(m.value)) for i, e in zip(a, exponents, strict=True)]


@pytest.mark.parametrize("bits", SIZES)
def test_long_chains_stay_below_twice_the_modulus(bits: int) -> None:
    for value in ((1 << bits) - 1, (1 << (bits - 1)) + 1):
        m = Modulus(mpz(value))
        number = m.entered(m.plain([m.value - 1]))[0] if bits > 3 else m.one.copy()
        start = m.left(number[None])[0]
        square(number, 100, m.words, m.inverse)
        assert m.left(number[None])[0] == pow(start, 2**100, m.value)


def test_the_largest_limbs_do_not_overflow_the_words() -> None:
    """All limbs of both factors and of the modulus at their largest, for the longest key."""
    m = Modulus(mpz(1 << 8192) - 1)
    top = np.zeros(m.width, np.uint32)
    top[1 : m.limbs + 1] = 2**27 - 1
    top[m.limbs] = 0
    t, out = np.zeros(m.width, np.uint64), np.zeros(m.width, np.uint32)
    multiply(top, top, m.words, m.inverse, t, out)
    number = sum(int(limb) << (27 * i) for i, limb in enumerate(top[1 : m.limbs + 1]))
    result = sum(int(limb) << (27 * i) for i, limb in enumerate(out[1 : m.limbs + 1]))
    assert result % m.value == number * number * pow(1 << (27 * m.limbs), -1, int(m.value)) % m.value


def test_a_product_may_overwrite_its_factors() -> None:
    m = Modulus(mpz(2**89 - 1))
    x = m.entered(m.plain([mpz(12345), mpz(67890)]))
    t = np.zeros(m.width, np.uint64)
    multiply(x[0], x[1], m.words, m.inverse, t, x[0])
    multiply(x[1], x[1], m.words, m.inverse, t, x[1])
    assert m.left(x) == [12345 * 67890, 67890**2]


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(-1, 4)), min_size=1, max_size=20))
@settings(max_examples=40)
def test_buckets_and_their_weights(rows: list[tuple[int, int]]) -> None:
    m = Modulus(mpz(2**127 - 1))
    bases = m.entered(m.plain([mpz(base) for base, _ in rows]))
    buckets, used = np.zeros((5, m.width), np.uint32), np.zeros(5, np.bool_)
    gather(bases, np.array([at for _, at in rows]), m.words, m.inverse, buckets, used)
    weighted, expected = m.one.copy(), 1
    weigh(buckets, used, m.words, m.inverse, weighted)
    for bucket in range(5):
        own = [base for base, at in rows if at == bucket]
        assert used[bucket] == bool(own)
        product = int(np.prod(np.array(own, object))) if own else 1
        if own:
            assert m.left(buckets[bucket : bucket + 1]) == [product % m.value]
        expected = expected * pow(product, bucket + 1, int(m.value)) % m.value
    assert m.left(weighted[None]) == [expected]


def test_windows_and_picked_entries() -> None:
    m = Modulus(mpz(2**107 - 1))
    rows = np.zeros((2, 16, m.width), np.uint32)
    for row, base in zip(rows, m.entered(m.plain([mpz(3), mpz(3**16)])), strict=True):
        row[0] = m.one
        fill_window(base, m.words, m.inverse, row)
    out = m.plain([mpz(5), mpz(7)])
    multiply_picked(rows, np.array([[2, 1], [15, 15]], np.uint16), m.words, m.inverse, out)
    assert unpacked(m.written(out), m.size) == [5 * 3**18 % m.value, 7 * pow(3, 255, int(m.value)) % m.value]


@given(st.data(), moduli())
@settings(max_examples=30)
def test_a_sum_of_two_products_is_a_factor(data: st.DataObject, m: Modulus) -> None:
    a, b, c, d, e = (data.draw(below(m)) for _ in range(5))
    x, y, z, v, w = (m.plain([mpz(i)]) for i in (a, b, c, d, e))
    total = m.paired(m.entered(x), m.entered(y))
    add_rows(total, m.paired(m.entered(z), m.entered(v)))
    assert unpacked(m.written(m.paired(w, total)), m.size) == [(a * b + c * d) * e % m.value]


def test_what_is_written_is_reduced() -> None:
    m = Modulus(mpz(2**61 - 1))
    numbers = [m.value, m.value + 5, 2 * m.value - 1, mpz(7)]
    limbs = np.zeros((4, m.width), np.uint32)
    for row, number in zip(limbs, numbers, strict=True):
        row[1 : m.limbs + 1] = [int(number >> (27 * i)) & (2**27 - 1) for i in range(m.limbs)]
    assert m.written(limbs) == packed([mpz(0), mpz(5), m.value - 1, mpz(7)], m.size)
