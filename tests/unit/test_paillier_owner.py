from __future__ import annotations

import numpy as np
import pytest

from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.matvec import MatVec, Quantised
from federatedml.crypto.paillier.owner import KeyOwner
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import Asker, LinearMap, Owner
from federatedml.errors import ProtocolError
from tests.paillier_keys import small_key

CODEC = Codec(20, 2.0)


def ask(owner: Owner, plan: LinearMap[Encrypted], matrix: np.ndarray) -> None:
    asker: Asker = owner.attach(plan.inputs, plan.outputs, 2, plan.setup_message())
    host = evaluator(KEY.public)
    for v in (np.array([0.5, -2.0, 1.0]), np.array([2.0, 0.0, 0.25])):
        reply = plan.apply(host.receive(asker.seal(v, CODEC), CODEC)).reveal()
        assert asker.open(reply).tolist() == (matrix @ v).tolist()
    with pytest.raises(ProtocolError, match="FED-709"):
        asker.open(reply)
    with pytest.raises(ProtocolError, match="FED-707"):
        asker.seal(np.zeros(4), CODEC)


KEY = small_key()


def test_a_matrix_of_integers_is_asked_as_often_as_planned() -> None:
    matrix = np.array([[1, 0, 3], [-2, 7, 1]], np.int32)
    plan = MatVec(evaluator(KEY.public).compute, Quantised(matrix, np.ones(2), 4))
    ask(KeyOwner.of(KEY), plan, matrix)


def test_a_set_up_message_is_refused() -> None:
    with pytest.raises(ProtocolError, match="FED-705"):
        KeyOwner.of(KEY).attach(1, 1, 1, b"x")


def test_threads_decrypt_the_same() -> None:
    vector = evaluator(KEY.public).encrypt(np.arange(11) / 8, CODEC)
    assert KEY.decrypt(vector.elements, 3) == KEY.decrypt(vector.elements)


def test_costs_grow_with_the_key() -> None:
    small, large = evaluator(generate(1024).public), evaluator(generate(2048).public)
    assert small.capabilities.multiply < large.capabilities.multiply
    assert large.capabilities.public_key
    assert large.capabilities.elementwise
    assert large.capabilities.bytes_per_value == 512
