from __future__ import annotations

import numpy as np
import pytest

from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.vector import Opened, Reply, Sealed

KEY = generate(1024)
GUEST, OWNER = evaluator(KEY.public), owner_evaluator(KEY)
CODEC = Codec(32, 4.0)


def opener(count: int) -> Opener:
    return Opener(KEY, {"t": Allowance(9, count)})


def test_a_vector_travels_is_computed_on_and_is_opened_by_the_owner() -> None:
    x = np.array([1.5, -2.25, 0.0, 4.0])
    at_host = GUEST.receive(Sealed.from_bytes(OWNER.encrypt(x, CODEC).seal().to_bytes()), CODEC)
    result = at_host.add(at_host).add_plain([1, 1, 1, -1], 1.0).times(-3)
    reply = Reply.from_bytes(result.reveal().to_bytes())
    assert opener(4).values("t", 0, reply).tolist() == (-3 * (2 * x + [1, 1, 1, -1])).tolist()


@pytest.mark.parametrize("bits", [2, 8, 16, 24])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_products_are_exact_on_the_quantised_matrix(rows: int, bits: int) -> None:
    rng = np.random.default_rng(rows)
    matrix, v = rng.normal(size=(rows, 4)), rng.uniform(-4, 4, rows)
    matrix[:, 1] = 0
    matrix[:, 2] = rng.integers(-1, 2, rows)
    plan = GUEST.plan_matvec(matrix, bits)
    exact = plan.matrix.integers.astype(object) @ CODEC.encode(v).astype(object)
    expected = [int(i) / 2**32 * f for i, f in zip(exact, plan.matrix.factors, strict=True)]
    reply, mask = plan.apply(GUEST.encrypt(v, CODEC)).mask()
    opened = opener(reply.count).masked("t", 0, Reply.from_bytes(reply.to_bytes()))
    assert mask.remove(Opened.from_bytes(opened.to_bytes())).tolist() == expected


def test_shares_add_up_to_the_products() -> None:
    v = np.array([1.0, -2.0])
    reply, share = GUEST.plan_matvec(np.array([[1.0, 0.0], [1.0, 1.0]])).apply(GUEST.encrypt(v, CODEC)).share()
    other = opener(2).share("t", 0, reply)
    assert share.combined(other).tolist() == [-(2.0**15 - 1), -2.0 * (2**15 - 1)]
