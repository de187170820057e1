"""Noise made ahead: fresh each time, and never used twice."""

from __future__ import annotations

from dataclasses import replace

import gmpy2
import numpy as np

from federatedml.compute.engine import SERIAL
from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import Evaluator, evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.noise import BaseNoise
from federatedml.crypto.paillier.parts import unpacked
from federatedml.crypto.paillier.stock import Stock
from federatedml.crypto.vector import Sealed

KEY = generate(1024)
CODEC = Codec(8, 100.0)


def stocked() -> tuple[Stock, Evaluator]:
    stock = Stock(KEY.public, BaseNoise(KEY.public, SERIAL))
    return stock, replace(evaluator(KEY.public), noise=stock)


def noises(sealed: Sealed, values: np.ndarray) -> list[int]:
    """What hides the values."""
    plain = [1 + KEY.public.n * int(m) for m in CODEC.encode(values)]
    elements = unpacked(sealed.body, KEY.public.width)
    return [int(c * gmpy2.invert(m, KEY.public.n2) % KEY.public.n2) for c, m in zip(elements, plain, strict=True)]


def test_values_are_those_that_were_hidden() -> None:
    stock, party = stocked()
    stock.prepare(4)
    values = np.array([1.0, -2.5, 0.0, 99.0])
    plain = [KEY.public.signed(m) for m in KEY.decrypt(unpacked(party.encrypt(values, CODEC).seal().body, 256))]
    assert plain == CODEC.encode(values).tolist()


def test_no_noise_is_used_twice_or_missing() -> None:
    stock, party = stocked()
    stock.prepare(7)
    seen: list[int] = []
    for _ in range(4):  # 3 and 3 from the stock, then more than is left
        seen += noises(party.encrypt(np.zeros(3), CODEC).seal(), np.zeros(3))
    stock.prepare(2)
    seen += noises(party.encrypt(np.zeros(3), CODEC).seal(), np.zeros(3))
    assert len(set(seen)) == len(seen) == 15
    assert 1 not in seen
    assert set(KEY.decrypt([gmpy2.mpz(r) for r in seen])) == {0}


def test_what_is_for_the_owner_is_left_to_the_source() -> None:
    stock, party = stocked()
    stock.prepare(2)
    party.encrypt(np.zeros(2), CODEC).mask()
    before = noises(party.encrypt(np.zeros(2), CODEC).seal(), np.zeros(2))
    assert len(set(before)) == 2
